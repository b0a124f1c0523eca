"""One documented answer or frame, and what it amounts to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from margrave.messages import Contract
from tests.unit.collect.ask import NOW_MS

NOW_S: Final = NOW_MS // 1000
HOUR: Final = NOW_MS // 3_600_000 * 3_600_000
ISO: Final = "2026-02-05T14:00:00Z"
assert NOW_S == 1_770_300_000, "ISO says the same"


@dataclass(frozen=True, slots=True)
class Sample:
    venue: str
    name: str
    """Of the endpoint, or of the stream."""
    body: object
    gives: dict[str, int]
    instrument: str = ""
    perpetual: bool = False
    contract: Contract | None = None
    """How its sizes are counted, where the venue must have listed it first."""
