"""What the inputs are computed from: hourly columns of some assets, over years or for one hour.

`Hours` is the shape of the court's panel and of `Grid`. `Hour` is one closed hour of one market, as a node gets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from margrave.messages import Bar, MarketSnapshot
from margrave.spans import HOUR_MS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Hours(Protocol):
    """Consecutive hours; arrays (hours, assets), NaN where an asset has no bar. Row t is known an hour after
    `open_ms[t]` and not before. Prices USD, volume in any constant unit, `dvol` the asset's own implied volatility as
    an annual fraction, `funding_8h` a fraction per 8 h."""

    @property
    def open_ms(self) -> Ints: ...
    @property
    def assets(self) -> tuple[str, ...]: ...
    @property
    def open(self) -> Floats: ...
    @property
    def high(self) -> Floats: ...
    @property
    def low(self) -> Floats: ...
    @property
    def close(self) -> Floats: ...
    @property
    def volume(self) -> Floats: ...
    @property
    def dvol(self) -> Floats: ...
    @property
    def funding_8h(self) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Grid:
    """`Hours`, and nothing more."""

    open_ms: Ints
    assets: tuple[str, ...]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    dvol: Floats
    funding_8h: Floats


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """A closed hour of one market and what was known beside it when it closed; `None` where nobody said it."""

    bar: Bar
    vol_index: float | None = None
    """Annual fraction."""
    funding_8h: float | None = None


def hours_of(market: MarketSnapshot) -> tuple[Hour, ...]:
    """A snapshot's closed bars. The volatility index and funding are known now: they stand beside the last."""
    *before, last = market.bars
    return (
        *(Hour(bar=bar) for bar in before),
        Hour(bar=last, vol_index=market.vol_index, funding_8h=market.funding_8h),
    )


def grid_of(asset: str, hours: Sequence[Hour]) -> Grid:
    """One market's hours, ascending, as columns of one; hours that are not among them are NaN rows."""
    first = hours[0].bar.open_time_ms
    count = (hours[-1].bar.open_time_ms - first) // HOUR_MS + 1
    rows = np.full((count, 7), np.nan)
    for hour in hours:
        bar = hour.bar
        beside = (np.nan if value is None else value for value in (hour.vol_index, hour.funding_8h))
        rows[(bar.open_time_ms - first) // HOUR_MS] = bar.open, bar.high, bar.low, bar.close, bar.volume, *beside
    columns = (np.ascontiguousarray(rows[:, place : place + 1]) for place in range(7))
    return Grid(first + HOUR_MS * np.arange(count, dtype=np.int64), (asset,), *columns)
