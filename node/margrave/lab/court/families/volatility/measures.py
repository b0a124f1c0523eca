"""What volatility families measure: variances of an hour, trailing sums that stop at gaps, the clock of the week.

Everything has the shape (hours, assets) and at row t uses rows up to t only. NaN where an asset has no bar or too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.history import HOUR_MS
from margrave.lab.court.panel import Panel
from margrave.score.features import new_york_hour_of_week

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

HOURS_A_YEAR: Final = 24 * 365
LEVEL_H: Final = 672
"""Four whole weeks: a level that has every hour of the week equally often."""
WEEK_H: Final = 168
MONDAY_H: Final = 96
"""The first Monday of 1970, hours after the epoch."""
TABLE_WEEKS: Final = 26
"""Time constant of the hour-of-week table, weeks."""
SHRINK_WEEKS: Final = 26.0
"""The pooled table counts for so many of an asset's own weeks."""
FLAT_WEEKS: Final = 4.0
"""And a flat table for so many of the pooled."""
SURPRISE_CAP: Final = 10.0
"""One hour counts for no more than so many times the level in the table."""
LEAST_PEER: Final = 0.02
"""Of the median level (a variance): what moves less is a coin pegged to money, and nobody's peer."""


def stretches(panel: Panel) -> Iterator[tuple[int, slice]]:
    """(asset, rows) of each run of bars without a gap."""
    for asset in range(len(panel.assets)):
        here = np.concatenate(([False], panel.present[:, asset], [False])).astype(np.int8)
        edges = np.flatnonzero(np.diff(here))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            yield asset, slice(int(start), int(end))


def latest(panel: Panel, asset: int, most_h: int) -> slice:
    """The last `most_h` hours of an asset's last stretch that have a return; empty where it has no bars at all."""
    rows = np.flatnonzero(panel.present[:, asset])
    if not len(rows):
        return slice(0, 0)
    end = int(rows[-1]) + 1
    return slice(end - min(int(panel.age_h[end - 1, asset]) - 1, most_h), end)


def range_variance(panel: Panel) -> Floats:
    """Garman and Klass (1980) variance of each hour plus the squared gap from the last close; >= 0."""
    with np.errstate(invalid="ignore"):
        spread, body = np.log(panel.high / panel.low), np.log(panel.close / panel.open)
        gap = np.full(spread.shape, np.nan)
        gap[1:] = np.log(panel.open[1:] / panel.close[:-1])
    return np.asarray(np.maximum(0.5 * spread**2 - (2 * np.log(2) - 1) * body**2, 0.0) + gap**2)


def lagged(values: Floats, steps: int) -> Floats:
    """What stood `steps` rows earlier, NaN before the beginning."""
    moved = np.full(values.shape, np.nan)
    if steps < len(values):
        moved[steps:] = values[: len(values) - steps] if steps else values
    return moved


def trailing_mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` rows, NaN unless all are there. By doubling: the same bits wherever a series begins."""
    total: Floats | None = None
    covered, power, width = 0, values, 1
    while True:
        if window & width:
            total = lagged(power, covered) if total is None else total + lagged(power, covered)
            covered += width
        width *= 2
        if width > window:
            break
        power = power + lagged(power, width // 2)
    assert total is not None
    return np.asarray(total / window)


def peers_of(level: Floats) -> Flags:
    """(hours, assets): of a level that is no small part of the median of those that are there."""
    there = np.isfinite(level)
    some = there.any(axis=1)
    median = np.full(len(level), np.nan)
    median[some] = np.nanmedian(level[some], axis=1)
    return np.asarray(there & (np.where(there, level, 0.0) >= LEAST_PEER * median[:, None]))


class WeekTable:
    """How much more or less than usual each hour of the New York week moves, asset by asset.

    The table of a week is made at its beginning from exponentially weighted weeks before, own and pooled. Factors have
    mean one: `now` (hours, assets) of each hour, `ahead` the sum over the next ones.
    """

    def __init__(self, panel: Panel, hourly: Floats) -> None:
        """
        Args:
            hourly: variance of each hour, as `range_variance`.
        """
        hours = panel.open_ms // HOUR_MS
        self._week = (hours - MONDAY_H) // WEEK_H
        self._week -= self._week[0] if len(hours) else 0
        self._key = new_york_hour_of_week(panel.open_ms)
        self._next = new_york_hour_of_week(panel.open_ms + HOUR_MS)
        tables = self._learn(hourly)
        self.now: Floats = tables[self._week, self._key]
        twice = np.concatenate((np.zeros_like(tables[:, :1]), tables, tables), axis=1)
        self._sums = np.cumsum(twice, axis=1)

    def _learn(self, hourly: Floats) -> Floats:
        """(weeks, 168, assets): the table in force in each week."""
        level = trailing_mean(hourly, LEVEL_H)
        with np.errstate(invalid="ignore", divide="ignore"):
            surprise = np.minimum(hourly / level, SURPRISE_CAP)
        known = np.isfinite(surprise)
        peer = known & peers_of(level)
        weeks, assets = int(self._week[-1]) + 1, hourly.shape[1]
        places = self._week, self._key
        sums, counts = np.zeros((weeks, WEEK_H, assets)), np.zeros((weeks, WEEK_H, assets))
        np.add.at(sums, places, np.where(known, surprise, 0.0))
        np.add.at(counts, places, known.astype(np.float64))
        pooled_sums, pooled_counts = np.zeros((weeks, WEEK_H)), np.zeros((weeks, WEEK_H))
        np.add.at(pooled_sums, places, np.where(peer, surprise, 0.0).sum(axis=1))
        np.add.at(pooled_counts, places, peer.sum(axis=1))
        tables = np.ones((weeks, WEEK_H, assets))
        total, count = np.zeros((WEEK_H, assets)), np.zeros((WEEK_H, assets))
        of_all, count_of_all = np.zeros(WEEK_H), np.zeros(WEEK_H)
        keep = np.exp(-1.0 / TABLE_WEEKS)
        for week in range(1, weeks):
            total, count = keep * total + sums[week - 1], keep * count + counts[week - 1]
            of_all, count_of_all = keep * of_all + pooled_sums[week - 1], keep * count_of_all + pooled_counts[week - 1]
            pooled = _smooth((of_all + FLAT_WEEKS) / (count_of_all + FLAT_WEEKS))
            own = (total + SHRINK_WEEKS * pooled[:, None]) / (count + SHRINK_WEEKS)
            tables[week] = own / own.mean(axis=0)
        return tables

    def ahead(self, rows: Ints, horizon_h: int) -> Floats:
        """(rows, assets): the sum of the factors of the next `horizon_h` hours, a week at most, by the table known at
        each row. A change to or from summer time on the way is not looked at."""
        week, first = self._week[rows], self._next[rows]
        return np.asarray(self._sums[week, first + horizon_h] - self._sums[week, first])


def _smooth(table: Floats) -> Floats:
    """A little from the hours beside: a quarter each."""
    return np.asarray(0.5 * table + 0.25 * np.roll(table, 1) + 0.25 * np.roll(table, -1))


def implied_hourly(panel: Panel) -> Floats:
    """Variance an hour by implied volatility, (hours, assets): the asset's own index, else the mean of those that have
    one; NaN where nobody has."""
    hourly = panel.dvol**2 / HOURS_A_YEAR
    there = np.isfinite(hourly)
    total, count = np.where(there, hourly, 0.0).sum(axis=1), there.sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.asarray(np.where(there, hourly, mean[:, None]))
