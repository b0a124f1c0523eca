"""Correlations of several speeds at once, on volatilities that see the range: the learned alternative.

    covariance[i, j] = d[i] d[j] sum over speeds of w[k] R[k][i, j],  w[k] >= 0 and of sum 1

d[i] is a geometric mean of the asset's levels of several ages (range variance, hour of the week taken out) times what
is usual for the hours ahead; R[k] are correlations of hourly returns in those units, exponentially weighted with ages
from a day to two months, and one in which all pairs are as correlated as they are on average. A mean of correlations
with weights of sum one is a correlation, whatever was learnt.

Learnt are the weights of ages and speeds, a dozen numbers, by QLIKE of the squared returns of random baskets: what a
basket's variance needs is what they are asked for. An asset never seen before needs no fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from margrave.lab.court.families.correlation.baskets import drawn
from margrave.lab.court.families.correlation.dcc import correlation
from margrave.lab.court.families.correlation.ewma import outer, weighted
from margrave.lab.court.panel import Panel
from margrave.score.features.measures import range_variance
from margrave.score.features.week import WeekTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AGES_H: Final = (6, 24, 72, 168, 720)
SPEEDS_H: Final = (24, 96, 336, 1344)
BASKETS: Final = 40
MOST_ROWS: Final = 700
SKIPPED_H: Final = 720
"""Hours of the past that only fill the filters."""
SEED: Final = 11
CAP: Final = 5.0
"""A squared return counts for no more than so many times its forecast in the fit."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Of ages, of speeds (the last that of the mean correlation), and of the log scale."""

    ages: Floats
    speeds: Floats
    log_scale: float

    @classmethod
    def of(cls, x: Floats) -> Weights:
        ages, speeds = len(AGES_H), len(SPEEDS_H) + 1
        return cls(special.softmax(x[:ages]), special.softmax(x[ages : ages + speeds]), float(x[-1]))


@dataclass(frozen=True, slots=True)
class State:
    """At some rows: logs of the levels (rows, ages, assets), correlations (rows, speeds and one, assets, assets), and
    the log of the usual variance of the hours ahead (rows, assets)."""

    levels: Floats
    correlations: Floats
    log_usual: Floats

    def deviations(self, weights: Weights) -> Floats:
        """(rows, assets)."""
        log_variance = np.einsum("rka,k->ra", self.levels, weights.ages) + self.log_usual + weights.log_scale
        return np.asarray(np.exp(0.5 * log_variance))

    def mixed(self, weights: Weights) -> Floats:
        return np.asarray(np.einsum("rkab,k->rab", self.correlations, weights.speeds))


def state_of(panel: Panel, rows: Ints, horizon_h: int) -> State:
    ranges = range_variance(panel)
    week = WeekTable(panel, ranges)
    flat = ranges / week.now
    start = np.nanmean(flat[: SKIPPED_H // 4], axis=0)
    flat = np.where(np.isfinite(flat), flat, start)
    levels = np.stack([weighted(flat, 1.0 - 1.0 / age, start) for age in AGES_H], axis=1)
    levels = np.maximum(levels, 1e-10)
    returns = np.nan_to_num(panel.log_return) / np.sqrt(week.now)
    # A day's level of the hour before: what is divided by must not hold what is divided.
    z = returns / np.sqrt(np.concatenate((start[None], levels[:-1, 1])))
    products = outer(np.clip(z, -CAP, CAP)).reshape(len(z), -1)
    count = z.shape[1]
    parts = [
        correlation(weighted(products, 1.0 - 1.0 / speed, np.eye(count).reshape(-1))[rows].reshape(-1, count, count))
        for speed in SPEEDS_H
    ]
    mean = (parts[-1].sum(axis=(1, 2)) - count) / max(count * (count - 1), 1)
    mean = np.clip(mean, 0.0, 1.0)[:, None, None]
    parts.append(mean + (1.0 - mean) * np.eye(count))
    return State(np.log(levels[rows]), np.stack(parts, axis=1), np.log(week.ahead(rows, horizon_h)))


def fitted(state: State, outcome: Floats, baskets: Floats) -> Weights:
    """
    Args:
        outcome: (rows, assets) log returns over the horizon.
        baskets: (baskets, assets).
    """
    squares = (outcome @ baskets.T) ** 2

    def loss(x: Floats) -> float:
        weights = Weights.of(x)
        held = state.deviations(weights)[:, None, :] * baskets
        variance = ((held @ state.mixed(weights)) * held).sum(axis=2)
        ratio = np.minimum(squares / variance, CAP**2)
        return float((ratio + np.log(variance)).mean()) + 1e-3 * float(x[:-1] @ x[:-1])

    start = np.zeros(len(AGES_H) + len(SPEEDS_H) + 2)
    best = optimize.minimize(loss, start, method="L-BFGS-B", options={"maxiter": 25})
    return Weights.of(best.x)


@dataclass
class SpeedsModel:
    past: Panel
    found: dict[int, Weights] = field(default_factory=dict)

    def covariance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        weights = self.weights(horizon_h)
        state = state_of(panel, rows, horizon_h)
        return state.mixed(weights) * outer(state.deviations(weights))

    def weights(self, horizon_h: int) -> Weights:
        if horizon_h not in self.found:
            rows = np.arange(SKIPPED_H, self.past.hours - horizon_h, horizon_h)
            rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]
            outcome = self.past.outcome(horizon_h)[rows]
            rows, outcome = rows[np.isfinite(outcome).all(axis=1)], outcome[np.isfinite(outcome).all(axis=1)]
            baskets = drawn(len(self.past.assets), BASKETS, SEED)
            self.found[horizon_h] = fitted(state_of(self.past, rows, horizon_h), outcome, baskets)
        return self.found[horizon_h]


@dataclass(frozen=True)
class Speeds:
    name: str = "speeds"

    def fit(self, past: Panel) -> SpeedsModel:
        return SpeedsModel(past)
