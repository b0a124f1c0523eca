"""How crowded one side is: what it pays for leverage, against what it has paid.

Longs pay shorts when perpetuals stand above their index, so funding far above its own past says that longs crowd, and
far below that shorts do. A rate means different things on different venues; its distance from its own thirty days does
not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median, pstdev
from typing import Final

import msgspec

from margrave.messages import Kind, Reading, ScalarReading
from margrave.spans import DAY_MS, HOUR_MS

DAYS: Final = 30
LEAST_RATES: Final = 30
"""Ten days of a rate each eight hours: fewer say little of what is usual."""
LEAST_DEVIATION: Final = 1e-5
"""A tenth of the usual 1 bp per 8 hours: a rate that stood at its default for a month is not known that exactly."""
LIMIT: Final = 10.0
SETTLEMENT_MS: Final = 8 * HOUR_MS


def distance(rates_8h: Sequence[float]) -> float | None:
    """Standard deviations by which the last rate lies above the mean of those before it; `None` for too few.

    Args:
        rates_8h: fractions per 8 hours, one a settlement, ascending in time, of one venue.

    Returns:
        Within ±`LIMIT`: more is as crowded as it gets.
    """
    past = rates_8h[:-1]
    if len(past) < LEAST_RATES:
        return None
    deviation = max(pstdev(past), LEAST_DEVIATION)
    return max(-LIMIT, min(LIMIT, (rates_8h[-1] - fmean(past)) / deviation))


def positioning(by_venue: Sequence[Sequence[float]]) -> float | None:
    """The median of the venues' distances: one venue's odd rate is that venue's; `None` where none has a past."""
    known = [found for rates in by_venue if (found := distance(rates)) is not None]
    return median(known) if known else None


class Past(msgspec.Struct, frozen=True):
    """The last rate of each eight hours, by source and market, for `DAYS` days. A node keeps it through restarts."""

    rates: Mapping[str, Mapping[str, Mapping[int, float]]] = {}
    """Source -> market -> number of the eight hours since 1970 -> fraction per 8 hours."""

    def seen(self, readings: Iterable[Reading], now_ms: int) -> Past:
        """This past with what the readings add, without what is too old."""
        first = (now_ms - DAYS * DAY_MS) // SETTLEMENT_MS
        found = {source: {market: dict(past) for market, past in by.items()} for source, by in self.rates.items()}
        for reading in readings:
            if isinstance(reading, ScalarReading) and reading.kind is Kind.FUNDING_8H:
                past = found.setdefault(reading.source, {}).setdefault(reading.market, {})
                past[reading.venue_time_ms // SETTLEMENT_MS] = reading.value
        kept = {
            source: {market: {t: rate for t, rate in past.items() if t >= first} for market, past in by.items()}
            for source, by in found.items()
        }
        return Past(kept)

    def of(self, market: str) -> float | None:
        """See `positioning`."""
        return positioning([_ascending(by[market]) for _, by in sorted(self.rates.items()) if by.get(market)])


def _ascending(past: Mapping[int, float]) -> list[float]:
    return [past[t] for t in sorted(past)]
