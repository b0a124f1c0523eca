"""What the inputs of `hourly-2` need of a market's past, kept from round to round: `Carried.running`, settled.

The newest closed hour is not settled: one that all venues show and take back within the hour or the next is bounded by
the guard once it is over, and the state must not have taken it in before. So the state stands one hour back, and each
round adds the newest hour as this round's guard sees it.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.messages import Bar, MarketSnapshot
from margrave.score.carried import Beside, Carried
from margrave.score.features.catalogue import LEVEL_H
from margrave.score.features.hours import Hour
from margrave.score.features.running import Running, read
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]


def settled(before: Carried, market: MarketSnapshot, prior: Floats) -> Carried:
    """With all closed hours but the newest taken in. Bars that are broken leave it as it was: what is published of them
    is for the forecast to say."""
    if len(market.bars) < 2:
        return before
    *earlier, last = market.bars
    running, beside = before.running, before.beside
    if running is not None and _parted(running, market.bars):
        running = None
    known_ms = 0 if running is None else running.open_ms
    new = (bar for bar in earlier if bar.open_time_ms > known_ms)
    hours = [_hour(bar, beside) if beside and beside.open_ms == bar.open_time_ms else Hour(bar=bar) for bar in new]
    try:
        running = Running.start(market.market, hours, prior) if running is None else running.through(hours, prior)
    except Rejected:
        return before
    if beside is None or beside.open_ms != last.open_time_ms:
        beside = Beside(last.open_time_ms, market.vol_index, market.funding_8h)
    return msgspec.structs.replace(before, running=running, beside=beside)


def now(state: Carried, market: MarketSnapshot, prior: Floats) -> Running | None:
    """With the newest closed hour too, and what is told beside it now; `None` where nothing can be known.

    Raises:
        Rejected: the newest bar is broken.
    """
    if state.running is None or state.running.open_ms >= market.bars[-1].open_time_ms:
        return state.running
    beside = Beside(market.bars[-1].open_time_ms, market.vol_index, market.funding_8h)
    return state.running.after(_hour(market.bars[-1], beside), prior)


def _parted(running: Running, bars: tuple[Bar, ...]) -> bool:
    """Whether the bars know more than the state: it ends before they begin, or has a gap that they do not have."""
    if running.open_ms < bars[0].open_time_ms - HOUR_MS:
        return True
    return len(bars) > LEVEL_H + 1 and not bool(np.isfinite(read(running.usual)).all())


def _hour(bar: Bar, beside: Beside) -> Hour:
    return Hour(bar=bar, vol_index=beside.vol_index, funding_8h=beside.funding_8h)
