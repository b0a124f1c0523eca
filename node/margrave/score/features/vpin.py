"""VPIN: how one-sided trading was over the last fifty buckets of equal volume.

Easley, Lopez de Prado and O'Hara (2012): trades fill buckets of V dollars each, V a fiftieth of an average day; VPIN is
the mean over the last fifty of |bought - sold| / V. Here V is set at the beginning of each UTC day from the seven days
before, and an hour's trades are taken in evenly. Where no venue says who took, `bought_share` classifies in bulk.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from margrave.spans import DAY_MS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BUCKETS: Final = 50
DAYS: Final = 7


class Flow(msgspec.Struct, frozen=True):
    """What VPIN remembers of one market: bounded by `BUCKETS` and `DAYS`."""

    day: int = 0
    """Days since the epoch, UTC."""
    today_usd: float = 0.0
    days_usd: tuple[float, ...] = ()
    """Of the days before, the newest last; days on which nothing was known are not among them."""
    size_usd: float = 0.0
    """Of a bucket today; 0 until a week is known."""
    filled_usd: float = 0.0
    bought_usd: float = 0.0
    """Of what is in the open bucket."""
    buckets: tuple[float, ...] = ()
    """|bought - sold| / V, the newest last."""

    def after(self, open_ms: int, bought_usd: float, sold_usd: float) -> Flow:
        """One hour later; hours of which nothing is known are left out or given as NaN, and change nothing."""
        state = self._on(open_ms // DAY_MS)
        if not (np.isfinite(bought_usd) and np.isfinite(sold_usd)):
            return state
        volume = bought_usd + sold_usd
        today = state.today_usd + volume
        if state.size_usd <= 0.0:
            return msgspec.structs.replace(state, today_usd=today)
        reached = np.array([0.0, state.filled_usd, state.filled_usd + volume])
        bought = np.array([0.0, state.bought_usd, state.bought_usd + bought_usd])
        closed, filled, left = _closed(reached, bought, state.size_usd)
        return msgspec.structs.replace(
            state,
            today_usd=today,
            filled_usd=filled,
            bought_usd=left,
            buckets=(*state.buckets, *(float(one) for one in closed))[-BUCKETS:],
        )

    @property
    def vpin(self) -> float:
        """NaN until fifty buckets are full."""
        return float(np.mean(self.buckets)) if len(self.buckets) == BUCKETS else np.nan

    def _on(self, day: int) -> Flow:
        if day == self.day:
            return self
        known = (*self.days_usd, self.today_usd)[-DAYS:] if self.today_usd > 0.0 else self.days_usd
        size = float(np.mean(known)) / BUCKETS if len(known) == DAYS else 0.0
        return msgspec.structs.replace(self, day=day, today_usd=0.0, days_usd=known, size_usd=size)


def vpin_of(open_ms: Ints, bought_usd: Floats, sold_usd: Floats) -> Floats:
    """(hours,) of one market at each hour's end, day by day; NaN until fifty buckets are full."""
    known = np.isfinite(bought_usd) & np.isfinite(sold_usd)
    volume = np.where(known, bought_usd + sold_usd, 0.0)
    bought = np.where(known, bought_usd, 0.0)
    found = np.full(len(open_ms), np.nan)
    state = Flow()
    shares = np.empty(0)
    day_of = open_ms // DAY_MS
    starts = np.flatnonzero(np.diff(day_of, prepend=day_of[:1] - 1)) if len(open_ms) else np.empty(0, dtype=np.int64)
    for start, end in zip(starts, [*starts[1:], len(open_ms)], strict=True):
        state = state._on(int(day_of[start]))
        today = float(volume[start:end].sum())
        if state.size_usd > 0.0:
            reached = np.cumsum([0.0, state.filled_usd, *volume[start:end]])
            of_them = np.cumsum([0.0, state.bought_usd, *bought[start:end]])
            closed, filled, left = _closed(reached, of_them, state.size_usd)
            before = len(shares)
            shares = np.concatenate((shares, closed))
            sums = np.concatenate(([0.0], np.cumsum(shares)))
            whole = before + np.floor(reached[2:] / state.size_usd).astype(np.int64)
            full = whole >= BUCKETS
            found[start:end][full] = (sums[whole[full]] - sums[whole[full] - BUCKETS]) / BUCKETS
            shares = shares[-BUCKETS:]
            state = msgspec.structs.replace(state, filled_usd=filled, bought_usd=left)
        state = msgspec.structs.replace(state, today_usd=today)
    return found


def _closed(reached: Floats, bought: Floats, size: float) -> tuple[Floats, float, float]:
    """The buckets that were filled on the way, and what is in the open one: all of it, and what was bought."""
    edges = size * np.arange(int(reached[-1] / size) + 1)
    at = np.interp(edges, reached, bought)
    return np.abs(2.0 * np.diff(at) - size) / size, float(reached[-1] - edges[-1]), float(bought[-1] - at[-1])


def bought_share(log_return: Floats, sigma: Floats) -> Floats:
    """Bulk classification (the same authors, 2012): of a bar's volume the share that was bought, by the normal
    distribution of its return in standard deviations of a bar."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(ndtr(log_return / sigma))
