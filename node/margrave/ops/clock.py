"""The only place that asks the machine for the time.

Rounds are `floor(t / period)` on every node, so there is no leader and no clock protocol. A drill or a replay runs the
same node on an accelerated clock: market time passes `speed` times as fast as the wall's.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Self

from margrave.settings import ClockSettings


@dataclass(frozen=True, slots=True)
class Clock:
    """Market time. `speed` market seconds pass per wall second since `wall_origin_ms`, when it was `origin_ms`."""

    origin_ms: int = 0
    wall_origin_ms: int = 0
    speed: float = 1.0

    @classmethod
    def of(cls, settings: ClockSettings | None) -> Self:
        if settings is None:
            return cls()
        return cls(settings.origin_ms, settings.wall_origin_ms, settings.speed)

    def now_ms(self) -> int:
        return round(self.origin_ms + (wall_ms() - self.wall_origin_ms) * self.speed)

    def wall_s(self, market_s: float) -> float:
        """How long the wall's clock takes for so many seconds of market time."""
        return market_s / self.speed

    async def sleep_until_ms(self, at_ms: int) -> None:
        # A second at a time at most: the wall's clock may be stepped while we sleep.
        while (left_ms := at_ms - self.now_ms()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(self.wall_s(left_ms / 1000), 1.0))


def wall_ms() -> int:
    return time.time_ns() // 1_000_000
