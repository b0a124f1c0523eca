"""How much more or less than usual each hour of the New York week moves, asset by asset.

The table of a UTC week is made at its beginning from exponentially weighted weeks before: an asset's own, drawn to a
pooled table. In the court the pooled table is learnt on the way, from all peers; a node has it from its model's card
(`prior`), so that a market of which nothing is known has one. Factors have mean one, but for hours of scheduled
releases: those are worth more, as `releases` says, and the table learns nothing from them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.score.features import releases
from margrave.score.features.catalogue import LEVEL_H
from margrave.score.features.clock import MONDAY_H, new_york_hour_of_week, week_of
from margrave.score.features.hours import Hours
from margrave.score.features.measures import peers_of, trailing_mean
from margrave.spans import HOUR_MS, WEEK_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TABLE_WEEKS: Final = 26
"""Time constant of the table, weeks."""
KEEP: Final = float(np.exp(-1.0 / TABLE_WEEKS))
SHRINK_WEEKS: Final = 26.0
"""The pooled table counts for so many of an asset's own weeks."""
FLAT_WEEKS: Final = 4.0
"""And a flat table for so many of the pooled."""
SURPRISE_CAP: Final = 10.0
"""One hour counts for no more than so many times the level in the table."""


def surprise_of(hourly: Floats, level: Floats) -> Floats:
    """An hour's variance over the mean of the last four weeks, capped; NaN where either is not there."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.minimum(hourly / level, SURPRISE_CAP)
    return np.asarray(np.where(np.isfinite(found), found, np.nan))


def table_of(total: Floats, count: Floats, pooled: Floats) -> Floats:
    """The table of a week, hours of the week on the last axis, from what the weeks before it came to."""
    own = (total + SHRINK_WEEKS * pooled) / (count + SHRINK_WEEKS)
    return np.asarray(own / own.mean(axis=-1, keepdims=True))


class WeekTable:
    """`now` (hours, assets) of each hour, `ahead` the sum over the next ones."""

    def __init__(self, hours: Hours, hourly: Floats, prior: Floats | None = None, *, scheduled: bool = True) -> None:
        """
        Args:
            hourly: variance of each hour, as `range_variance`.
            prior: the pooled table (168,), and releases are worth what they usually are; `None` learns both from the
                peers among the assets.
            scheduled: whether hours of releases are worth more; the court's baselines know nothing of them.
        """
        week = week_of(hours.open_ms)
        self._week = week - week[0] if len(week) else week
        self._hour = np.asarray((hours.open_ms // HOUR_MS - MONDAY_H) % WEEK_H)
        self._key = new_york_hour_of_week(hours.open_ms)
        self._next = new_york_hour_of_week(hours.open_ms + HOUR_MS)
        self.now: Floats
        self.releases: releases.Known
        self.worth: dict[releases.Release, tuple[float, ...]]
        """How many usual hours a release's are worth, as learnt at the end."""
        self.pooled: Floats
        """(168,) the pooled table in force in the last week: the prior of who goes on from here."""
        self._open_ms = hours.open_ms
        level = trailing_mean(hourly, LEVEL_H)
        self._is_release = releases.are_releases(hours.open_ms) & scheduled
        self._tables = tables = self._learn(hourly, level, prior)
        usual = tables[self._week, :, self._key]
        self.releases, self.worth = releases.none(), {}
        if scheduled and prior is None:
            self.releases, self.worth = releases.learnt(hours.open_ms, self._worth(hourly, level, usual))
        elif scheduled:
            self.releases, self.worth = releases.usual(), dict(releases.USUAL)
        self.now = usual * self.releases.of(hours.open_ms)[:, None]
        twice = np.concatenate((np.zeros_like(tables[..., :1]), tables, tables), axis=-1)
        self._sums = np.cumsum(twice, axis=-1)

    def _worth(self, hourly: Floats, level: Floats, usual: Floats) -> Floats:
        """(hours,) of releases: how many usual hours they were worth to the peers on average; NaN elsewhere."""
        found = np.full(len(hourly), np.nan)
        for row in np.flatnonzero(self._is_release):
            there = np.isfinite(hourly[row]) & (level[row] > 0) & peers_of(level[row : row + 1])[0]
            if there.any():
                worth = hourly[row, there] / (level[row, there] * usual[row, there])
                found[row] = np.minimum(worth, releases.MOST).mean()
        return found

    def _learn(self, hourly: Floats, level: Floats, prior: Floats | None) -> Floats:
        """(weeks, assets, 168): the table in force in each week."""
        surprise = surprise_of(hourly, level)
        surprise[self._is_release] = np.nan
        known = np.isfinite(surprise)
        peer = known & peers_of(level)
        weeks, assets = (int(self._week[-1]) + 1 if len(self._week) else 1), hourly.shape[1]
        places = self._week, self._key
        sums, counts = np.zeros((weeks, WEEK_H, assets)), np.zeros((weeks, WEEK_H, assets))
        np.add.at(sums, places, np.where(known, surprise, 0.0))
        np.add.at(counts, places, known.astype(np.float64))
        pooled_sums, pooled_counts = np.zeros((weeks, WEEK_H)), np.zeros((weeks, WEEK_H))
        np.add.at(pooled_sums, places, np.where(peer, surprise, 0.0).sum(axis=1))
        np.add.at(pooled_counts, places, peer.sum(axis=1))
        tables = np.empty((weeks, assets, WEEK_H))
        total, count = np.zeros((assets, WEEK_H)), np.zeros((assets, WEEK_H))
        of_all, count_of_all = np.zeros(WEEK_H), np.zeros(WEEK_H)
        for week in range(weeks):
            if week:
                total, count = KEEP * total + sums[week - 1].T, KEEP * count + counts[week - 1].T
                of_all = KEEP * of_all + pooled_sums[week - 1]
                count_of_all = KEEP * count_of_all + pooled_counts[week - 1]
            self.pooled = _smooth((of_all + FLAT_WEEKS) / (count_of_all + FLAT_WEEKS)) if prior is None else prior
            tables[week] = table_of(total, count, self.pooled)
        self.total, self.count, self.fresh = total, count, self._fresh(surprise)
        return tables

    def _fresh(self, surprise: Floats) -> Floats:
        """(168, assets): this week's surprises so far by hours since its beginning, for the table of the next."""
        found = np.full((WEEK_H, surprise.shape[1]), np.nan)
        mine = np.flatnonzero(self._week == self._week[-1]) if len(self._week) else self._week
        found[self._hour[mine]] = surprise[mine]
        return found

    def ahead(self, rows: Ints, horizon_h: int) -> Floats:
        """(rows, assets): the sum of the factors of the next `horizon_h` hours, a week at most, by the table known at
        each row, and what releases add. A change to or from summer time on the way is not looked at."""
        week, first = self._week[rows], self._next[rows]
        total = self._sums[week, :, first + horizon_h] - self._sums[week, :, first]
        known, opens_ms = self.releases, self._open_ms[rows]
        begin, end = (np.searchsorted(known.opens_ms, opens_ms + h * HOUR_MS, side="right") for h in (0, horizon_h))
        for nth in range(int((end - begin).max(initial=0))):
            some = np.flatnonzero(begin + nth < end)
            place = begin[some] + nth
            total[some] += (known.worth[place] - 1.0)[:, None] * self._tables[week[some], :, known.keys[place]]
        return np.asarray(total)


def ahead_of(tables: Floats, open_ms: int, horizon_h: int) -> Floats:
    """(…,): the same sum from each one's own table (…, 168), after the hour that opens at `open_ms`."""
    next_key = int(new_york_hour_of_week(np.array([open_ms + HOUR_MS]))[0])
    total = tables[..., (next_key + np.arange(horizon_h)) % WEEK_H].sum(axis=-1)
    return np.asarray(total + releases.usual().beyond(tables, open_ms, horizon_h))


def next_week(total: Floats, count: Floats, fresh: Floats, monday_ms: int) -> tuple[Floats, Floats]:
    """Totals and counts (168,) when the week that began at `monday_ms` is over; `fresh` (168,) as in `WeekTable`."""
    total, count = KEEP * total, KEEP * count
    known = np.isfinite(fresh)
    keys = new_york_hour_of_week(monday_ms + HOUR_MS * np.flatnonzero(known))
    np.add.at(total, keys, fresh[known])
    np.add.at(count, keys, 1.0)
    return total, count


def _smooth(table: Floats) -> Floats:
    """A little from the hours beside: a quarter each."""
    return np.asarray(0.5 * table + 0.25 * np.roll(table, 1) + 0.25 * np.roll(table, -1))
