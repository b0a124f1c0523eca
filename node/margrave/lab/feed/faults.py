"""Ways a venue fails, one at a time, for tests and drills: set by venue, seen by every node that asks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    GEO_BLOCKED = "geo_blocked"  # 451
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    DOWN = "down"  # 503
    HANGS = "hangs"  # accepts and never answers
    GARBAGE = "garbage"  # 200 with bytes that are not JSON
    TRUNCATED = "truncated"  # 200 with the first half of the answer
    EMPTY = "empty"  # 200 with no body
    FROZEN = "frozen"  # answers as it did when the fault began, venue time included
    SKEWED = "skewed"  # answers with a clock ten minutes ahead


SKEW_MS = 600_000


@dataclass(slots=True)
class Faults:
    """Which venue fails how; empty is health."""

    by_venue: dict[str, Fault] = field(default_factory=dict)
    since_ms: dict[str, int] = field(default_factory=dict)

    def set(self, venue: str, fault: Fault | None, now_ms: int) -> None:
        if fault is None:
            self.by_venue.pop(venue, None)
        else:
            self.by_venue[venue] = fault
            self.since_ms[venue] = now_ms

    def of(self, venue: str) -> Fault | None:
        return self.by_venue.get(venue)
