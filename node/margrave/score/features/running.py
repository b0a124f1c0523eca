"""The memory of one market that its inputs need: what a node carries from hour to hour, in its journal.

`start` takes the hours that a node finds when it begins, `after` one more; both come to the same state, and `served`
computes from it the columns that `volatility` and `tails` compute over years, to 1e-9. A gap is remembered as one: the
windows that it lies in say so, the weekly tables go on.

A cold start from four weeks of bars lacks two things and says so: the hour of the week is the prior's, and the long
level is masked until sixteen weeks have been seen. The state is 18 kB (24 as JSON), whatever the history.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.errors import Rejected
from margrave.messages import Bar, Message
from margrave.score.features import releases
from margrave.score.features.catalogue import LEVEL_H
from margrave.score.features.clock import MONDAY_H, new_york_hour_of_week, week_of
from margrave.score.features.hours import Hour, grid_of
from margrave.score.features.measures import implied_log, inner_variance, log_return, range_variance
from margrave.score.features.tails import KEEPS, SERIES, fed, sums_of
from margrave.score.features.volatility import LONG_WEEKS
from margrave.score.features.week import WeekTable, next_week, surprise_of, table_of
from margrave.spans import HOUR_MS, WEEK_H, YEAR_H
from margrave.verdicts import Rejection

Floats = npt.NDArray[np.float64]

RETURNS_H: Final = WEEK_H + 1
"""A pair of neighbours more than the longest window."""
IMPLIED_H: Final = 25
ENDS: Final = max(LONG_WEEKS)
ABSENT: Final = struct.pack("<d", math.nan)


class Running(Message, frozen=True, kw_only=True):
    """See the module. Series are float64, little-endian, the newest last, as bytes: exact, and a third of their text;
    NaN stands for what was not there."""

    market: str
    open_ms: int
    """Of the last hour taken in."""
    close: float
    ranges: bytes
    """(672,) range variance of each hour."""
    usual: bytes
    """(672,) the same over the hour-of-week factor of its time."""
    returns: bytes
    """(169,) log returns over the factor's root."""
    volumes: bytes
    """(168,) over the factor's root."""
    implied: bytes
    """(25,) log variance an hour by its own index."""
    funding_8h: float | None
    total: bytes
    """(168,) surprises by hour of the New York week, of the weeks before this one; and how many."""
    count: bytes
    fresh: bytes
    """(168,) this week's, by hours since its beginning."""
    ends: bytes
    """(12,) the level at the end of the last weeks."""
    sums: bytes
    """(18,) exponentially weighted sums in the order of `tails.SERIES`; and their weights."""
    weights: bytes

    @classmethod
    def start(cls, market: str, hours: Sequence[Hour], prior: Floats) -> Running:
        """
        Args:
            hours: ascending; hours that are missing between them are gaps.
            prior: the pooled hour-of-week table (168,), mean one.

        Raises:
            Rejected: there are none, they are not ascending whole hours, or a bar is broken.
        """
        if not hours:
            raise Rejected(Rejection.EMPTY, f"{market} has no closed hour to start from")
        times = [hour.bar.open_time_ms for hour in hours]
        if any(at % HOUR_MS for at in times) or any(b <= a for a, b in pairwise(times)):
            raise Rejected(Rejection.MALFORMED, f"the hours of {market} are not ascending whole hours")
        for hour in hours:
            refuse_broken(market, hour.bar)
        grid = grid_of(market, hours)
        ranges = range_variance(grid)
        week = WeekTable(grid, ranges, prior)
        usual, returns = ranges / week.now, log_return(grid) / week.now**0.5
        totals, weights = sums_of(grid, ranges, week)
        return cls(
            market=market,
            open_ms=times[-1],
            close=hours[-1].bar.close,
            ranges=_newest(ranges[:, 0], LEVEL_H),
            usual=_newest(usual[:, 0], LEVEL_H),
            returns=_newest(returns[:, 0], RETURNS_H),
            volumes=_newest(grid.volume[:, 0] / week.now[:, 0] ** 0.5, WEEK_H),
            implied=_newest(implied_log(grid)[:, 0], IMPLIED_H),
            funding_8h=hours[-1].funding_8h,
            total=_packed(week.total[0]),
            count=_packed(week.count[0]),
            fresh=_packed(week.fresh[:, 0]),
            ends=_newest(_ends(grid.open_ms, usual[:, 0]), ENDS),
            sums=_packed(np.array([total[-1, 0] for total in totals])),
            weights=_packed(np.array([weight[-1, 0] for weight in weights])),
        )

    def after(self, hour: Hour, prior: Floats) -> Running:
        """One hour later, or some: those between are a gap.

        Raises:
            Rejected: the hour is none, is not after the last one, or its bar is broken.
        """
        bar = hour.bar
        missed, rest = divmod(bar.open_time_ms - self.open_ms - HOUR_MS, HOUR_MS)
        if rest or missed < 0:
            raise Rejected(
                Rejection.MALFORMED, f"hour {bar.open_time_ms} of {self.market} does not follow {self.open_ms}"
            )
        refuse_broken(self.market, bar)
        total, count, fresh, ends = self._this_week(bar.open_time_ms)
        key, times_usual, is_release = _clock(bar.open_time_ms)
        factor = float(table_of(total, count, prior)[key]) * times_usual
        moved, variance = np.nan, np.nan
        if not missed:
            inner = inner_variance(*(np.array([price]) for price in (bar.open, bar.high, bar.low, bar.close)))
            moved = math.log(bar.close / self.close)
            variance = float(inner[0]) + math.log(bar.open / self.close) ** 2
        ranges = _pushed(self.ranges, missed, variance)
        if not is_release:
            fresh[(bar.open_time_ms // HOUR_MS - MONDAY_H) % WEEK_H] = surprise_of(
                np.array([variance]), np.array([read(ranges).mean()])
            )[0]
        of_hour = fed(*(np.array([value]) for value in (variance / factor, moved, factor, bar.volume)))
        new = np.array([of_hour[name][0] for name, _ in SERIES])
        there, decay = np.isfinite(new), KEEPS ** (missed + 1)
        index = hour.vol_index if hour.vol_index is not None and hour.vol_index > 0 else np.nan
        return Running(
            market=self.market,
            open_ms=bar.open_time_ms,
            close=bar.close,
            ranges=ranges,
            usual=_pushed(self.usual, missed, variance / factor),
            returns=_pushed(self.returns, missed, moved / factor**0.5),
            volumes=_pushed(self.volumes, missed, bar.volume / factor**0.5),
            implied=_pushed(self.implied, missed, math.log(index**2 / YEAR_H)),
            funding_8h=hour.funding_8h,
            total=_packed(total),
            count=_packed(count),
            fresh=_packed(fresh),
            ends=_packed(ends),
            sums=_packed(decay * read(self.sums) + np.where(there, new, 0.0)),
            weights=_packed(decay * read(self.weights) + there),
        )

    def through(self, hours: Sequence[Hour], prior: Floats) -> Running:
        """After all of them that are later than the last one taken in.

        Raises:
            Rejected: as `after`.
        """
        state = self
        for hour in hours:
            if hour.bar.open_time_ms > state.open_ms:
                state = state.after(hour, prior)
        return state

    def _this_week(self, open_ms: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Totals, counts, this week's surprises and the weeks' ends, as they stand at the beginning of an hour."""
        total, count = read(self.total), read(self.count)
        fresh, ends = read(self.fresh).copy(), read(self.ends)
        first, last = (int(week) for week in week_of(np.array([self.open_ms, open_ms])))
        for week in range(first, last):
            monday_ms = (week * WEEK_H + MONDAY_H) * HOUR_MS
            total, count = next_week(total, count, fresh, monday_ms)
            whole = self.open_ms == monday_ms + (WEEK_H - 1) * HOUR_MS
            ends = np.append(ends[1:], _level(read(self.usual)) if whole else np.nan)
            fresh = np.full(WEEK_H, np.nan)
        return total, count, fresh, ends


def refuse_broken(market: str, bar: Bar) -> None:
    """
    Raises:
        Rejected: a price is not finite or not positive, or the high and low do not contain the others.
    """
    prices = (bar.open, bar.high, bar.low, bar.close)
    if not np.isfinite(prices).all():
        raise Rejected(Rejection.NOT_FINITE, f"a bar of {market} has a price that is not a number")
    if min(prices) <= 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"a bar of {market} has a price of zero or less")
    if bar.high < max(prices) or bar.low > min(prices):
        raise Rejected(Rejection.OUT_OF_RANGE, f"a bar's high or low does not contain its prices ({market})")


@lru_cache(maxsize=64)
def _clock(open_ms: int) -> tuple[int, float, bool]:
    """Of an hour, the same for all markets: its place in the New York week, how many usual hours a release makes of it,
    and whether one does."""
    at = np.array([open_ms], dtype=np.int64)
    times_usual, is_release = releases.usual().of(at)[0], releases.are_releases(at)[0]
    return int(new_york_hour_of_week(at)[0]), float(times_usual), bool(is_release)


def read(series: bytes) -> Floats:
    return np.frombuffer(series, dtype="<f8")


def _packed(values: Floats) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _newest(values: Floats, count: int) -> bytes:
    """The last so many, NaN before the beginning."""
    return _packed(np.concatenate((np.full(max(count - len(values), 0), np.nan), values[-count:])))


def _pushed(series: bytes, missed: int, value: float) -> bytes:
    """`value` at the end, behind as many NaN as hours were missed; as long as before."""
    return (series + ABSENT * min(missed, len(series) // 8) + struct.pack("<d", value))[-len(series) :]


def _level(usual: Floats) -> float:
    """Mean of four whole weeks; NaN where one hour is missing, or nothing moved."""
    mean = float(np.mean(usual))
    return mean if mean > 0 else np.nan


def _ends(open_ms: npt.NDArray[np.int64], usual: Floats) -> Floats:
    """The level at the end of each week that is over, before the week of the last hour."""
    weeks = week_of(open_ms)
    found = np.full(int(weeks[-1] - weeks[0]), np.nan)
    for place in range(len(found)):
        monday_h = (int(weeks[0]) + place + 1) * WEEK_H + MONDAY_H
        end = monday_h - int(open_ms[0]) // HOUR_MS
        if end >= LEVEL_H:
            found[place] = _level(usual[end - LEVEL_H : end])
    return found
