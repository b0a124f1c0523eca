"""Hedging errors beside each other: of each bucket of options the variance of ours over the variance of Black's.

Bucketed by asset, side, call delta and days to expiry. All options of a day move with one forward, so a day is one
observation: intervals come of a bootstrap that draws whole days.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.greeks.held import Bools, Floats, Held, Ints
from margrave.spans import DAY_MS, HOUR_MS, YEAR_DAYS

DELTAS: Final = (0.02, 0.10, 0.25, 0.45, 0.55, 0.75, 0.90, 0.98)
TENORS_DAYS: Final = (1.0, 2.0, 7.0, 30.0, 90.0, 200.0)
LEAST_HELD: Final = 50
"""Options that a bucket needs, on"""
LEAST_DAYS: Final = 8
"""as many days."""
RESAMPLES: Final = 1_000
INTERVAL: Final = (0.025, 0.975)


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    asset: str
    is_call: bool
    delta: int
    """Place in `DELTAS`."""
    tenor: int

    @property
    def words(self) -> str:
        low, high = DELTAS[self.delta : self.delta + 2]
        short, long = TENORS_DAYS[self.tenor : self.tenor + 2]
        side = "calls" if self.is_call else "puts"
        return f"{self.asset} {side}, call delta {low:g} to {high:g}, {short:g} to {long:g} d"


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Of errors by day and bucket, (days, buckets): how many, their sums and their squares' sums."""

    buckets: tuple[Bucket, ...]
    count: Floats
    total: Floats
    squares: Floats

    def variance(self, weights: Floats | None = None) -> Floats:
        """(…, buckets), with each day counted so often as `weights` (…, days) say."""
        weights = np.ones(len(self.count)) if weights is None else weights
        count = weights @ self.count
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (weights @ self.total) / count
            found: Floats = (weights @ self.squares) / count - mean**2
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Ratios:
    """One hedge against Black's."""

    buckets: tuple[Bucket, ...]
    ratio: Floats
    """(buckets,) of variances: below one favours the hedge."""
    low: Floats
    high: Floats
    """Of a 95 % interval, days drawn with their options."""
    worse: Floats
    """(buckets,) share of the draws in which the ratio is above one."""
    mean: float
    """Over buckets, each counted alike."""
    mean_interval: tuple[float, float]
    held: int
    days: int

    @property
    def worst(self) -> int:
        return int(np.argmax(self.ratio))


def ratios(found: Held, extra: Floats, *, seed: int = 0) -> Ratios | None:
    """Of a hedge that adds `extra` (n,) to Black's delta; `None` where no bucket has options and days enough.

    Rows where the hedge says nothing (NaN) count for neither.
    """
    said = np.isfinite(extra) & np.isfinite(found.error)
    found, extra = found.only(said), extra[said]
    base, ours = sums(found, found.error), sums(found, found.error - extra * found.move)
    if not base.buckets:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = ours.variance() / base.variance()
    there = np.isfinite(ratio)
    if not there.any():
        return None
    days = len(base.count)
    random = np.random.default_rng(seed)
    weights = random.multinomial(days, np.full(days, 1 / days), size=RESAMPLES).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = ours.variance(weights)[:, there] / base.variance(weights)[:, there]
    drawn = np.where(np.isfinite(drawn), drawn, ratio[there])
    low, high = np.quantile(drawn, INTERVAL, axis=0)
    means = np.quantile(drawn.mean(axis=1), INTERVAL)
    return Ratios(
        buckets=tuple(itertools.compress(base.buckets, there)),
        ratio=ratio[there],
        low=low,
        high=high,
        worse=(drawn > 1).mean(axis=0),
        mean=float(ratio[there].mean()),
        mean_interval=(float(means[0]), float(means[1])),
        held=len(found),
        days=days,
    )


def sums(found: Held, errors: Floats) -> Sums:
    """By the day on which the hedge was set, of the buckets with options and days enough."""
    days, day = np.unique(found.from_ms // DAY_MS, return_inverse=True)
    keys, key = _keys(found)
    shape = (len(days), len(keys))
    place = day * len(keys) + key

    def added(values: Floats | None) -> Floats:
        counted = np.bincount(place, weights=values, minlength=shape[0] * shape[1])
        return counted.astype(np.float64).reshape(shape)

    count = added(None)
    enough: Bools = (count.sum(axis=0) >= LEAST_HELD) & ((count > 0).sum(axis=0) >= LEAST_DAYS)
    return Sums(
        tuple(itertools.compress(keys, enough)),
        count[:, enough],
        added(errors)[:, enough],
        added(errors**2)[:, enough],
    )


def _keys(found: Held) -> tuple[list[Bucket], Ints]:
    if not len(found):
        return [], np.empty(0, dtype=np.int64)
    delta = np.clip(np.digitize(found.call_delta, DELTAS) - 1, 0, len(DELTAS) - 2)
    tenor = np.clip(np.digitize(found.days, TENORS_DAYS) - 1, 0, len(TENORS_DAYS) - 2)
    assets, asset = np.unique(found.asset, return_inverse=True)
    rows = np.column_stack([asset, found.is_call, delta, tenor]).astype(np.int64)
    distinct, key = np.unique(rows, axis=0, return_inverse=True)
    buckets = [Bucket(str(assets[a]), bool(c), int(d), int(t)) for a, c, d, t in distinct]
    return buckets, np.asarray(key, dtype=np.int64)


def grid(found: Ratios, asset: str) -> NDArray[np.float64]:
    """(deltas, tenors): the mean over both sides; NaN where nothing was judged."""
    total = np.zeros((len(DELTAS) - 1, len(TENORS_DAYS) - 1))
    count = np.zeros_like(total)
    for bucket, ratio in zip(found.buckets, found.ratio, strict=True):
        if bucket.asset == asset:
            total[bucket.delta, bucket.tenor] += ratio
            count[bucket.delta, bucket.tenor] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / np.where(count > 0, count, np.nan))


def learned(found: Held, *, least_days: int = 10) -> Floats:
    """What the minimum-variance delta of Hull and White (2017) adds, each day's learnt from the days before it alone.

    delta + vega / (F sqrt(T)) (a + b c + d c^2) in the call delta c, three numbers of each asset by least squares; NaN
    until `least_days` are over.
    """
    extra = np.full(len(found), np.nan)
    # in Black's own share: vega over forward and root of time, times a parabola in delta
    shape = (found.vega / np.sqrt(found.days / YEAR_DAYS))[:, None] * np.stack(
        [np.ones(len(found)), found.call_delta, found.call_delta**2], axis=1
    )
    columns = shape * found.move[:, None]
    ended = found.from_ms + (found.hours * HOUR_MS).astype(np.int64)
    for asset in np.unique(found.asset):
        mine = found.asset == asset
        days = np.unique(found.from_ms[mine] // DAY_MS)
        for day in days[least_days:]:
            past = mine & (ended < day * DAY_MS)
            today = mine & (found.from_ms // DAY_MS == day)
            numbers = np.linalg.lstsq(columns[past], found.error[past], rcond=None)[0]
            extra[today] = shape[today] @ numbers
    return extra


def months(found: Held) -> Sequence[tuple[str, Bools]]:
    """(month, its rows), ascending."""
    month = found.from_ms.astype("datetime64[ms]").astype("datetime64[M]")
    return [(str(each), np.asarray(month == each)) for each in np.unique(month)]


def calm(found: Held, stormy: float = 0.1) -> Bools:
    """Of each asset the days but the share of them with the largest mean squared moves."""
    kept = np.ones(len(found), dtype=np.bool_)
    days = found.from_ms // DAY_MS
    for asset in np.unique(found.asset):
        mine = found.asset == asset
        distinct, day = np.unique(days[mine], return_inverse=True)
        squared = np.bincount(day, weights=found.move[mine] ** 2) / np.bincount(day)
        out = distinct[np.argsort(-squared, kind="stable")[: int(np.ceil(stormy * len(distinct)))]]
        kept &= ~(mine & np.isin(days, out))
    return kept
