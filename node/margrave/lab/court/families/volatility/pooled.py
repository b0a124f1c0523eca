"""One model for all assets, listed or not, of the variance ahead relative to what is usual.

    ln f = ln (level x sum of the hour-of-week factors ahead, scheduled releases among them) + x w

w comes from two ridge regressions that err differently: a generalised linear model that minimises QLIKE itself (gamma
with a log link) of the squared returns ahead, and least squares on the logarithm of the range variance ahead, which is
less noisy. Both are brought to the mean of the squared returns ahead, both are fitted on the last year and on the last
two, and f is the geometric mean of the four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.volatility.inputs import NAMES, Inputs, inputs_of
from margrave.lab.court.families.volatility.measures import LEVEL_H, trailing_mean
from margrave.lab.court.family import HORIZONS_H, Ints
from margrave.lab.court.panel import Panel
from margrave.score.features.catalogue import VOLATILITY, VOLATILITY_NAMES

Floats = NDArray[np.float64]

TRAIN_H: Final = (8_760, 17_520)
"""A year follows the market, two know more of it."""
STRIDE_H: Final = 5
"""Every so many hours are trained on: neighbours tell the same, and five divides neither a day nor a week."""
LEAST_PAIRS: Final = 500
RIDGE: Final = 0.2
MOST_SURPRISED: Final = 3.0
"""V / f counts for no more in the generalised model: one crash must not be the whole score."""
STEPS: Final = 25
LEAST_TARGET: Final = 1e-3
FURTHEST: Final = 4.0
"""ln f stays within so much of what is usual."""


GATES: Final = tuple(
    VOLATILITY_NAMES.index(feature.mask) if feature.mask else len(VOLATILITY_NAMES) for feature in VOLATILITY
)
"""For each input the column that says whether it is there; one past the last for those that always are."""


@dataclass(frozen=True, slots=True)
class Regression:
    """weights on standardised inputs; the first is the constant's. An input that is absent counts as if it were what it
    is on average where it is there."""

    mean: Floats
    scale: Floats
    weights: Floats

    def of(self, columns: Floats, gates: Floats) -> Floats:
        said = self.weights[0] + (gates * (columns - self.mean) / self.scale) @ self.weights[1:]
        return np.asarray(np.clip(said, -FURTHEST, FURTHEST))


def gates_of(columns: Floats) -> Floats:
    """1 where an input is there, 0 where it is not; shape as the columns (…, NAMES)."""
    always = np.ones((*columns.shape[:-1], 1))
    return np.asarray(np.concatenate((columns, always), axis=-1)[..., GATES])


@dataclass(frozen=True, slots=True)
class Pooled:
    name: str = "pooled"
    least_hours: int = LEVEL_H + 1
    without: tuple[str, ...] = ()
    """Inputs left out, for ablation."""

    def fit(self, past: Panel) -> PooledModel:
        inputs = inputs_of(past)
        kept = np.array([place for place, name in enumerate(NAMES) if name not in self.without])
        return PooledModel(kept, {h: found for h in HORIZONS_H if (found := regressions_of(past, inputs, kept, h))})


@dataclass(frozen=True, slots=True)
class PooledModel:
    kept: Ints
    regressions: Mapping[int, tuple[Regression, ...]]

    def variance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        if horizon_h not in self.regressions:
            return np.full((len(rows), len(panel.assets)), np.nan)
        columns, usual = inputs_of(panel).at(rows, horizon_h)
        return np.asarray(usual * np.exp(self.log_of(columns, horizon_h)))

    def log_of(self, columns: Floats, horizon_h: int) -> Floats:
        """Log variance relative to what is usual, (…,) of columns (…, NAMES)."""
        gates = gates_of(columns)[..., self.kept]
        columns = columns[..., self.kept]
        return np.asarray(np.mean([found.of(columns, gates) for found in self.regressions[horizon_h]], axis=0))


@dataclass(frozen=True, slots=True)
class Pairs:
    """(pairs, NAMES) and, relative to the usual, the squared returns and the range variance ahead (pairs,)."""

    rows: Ints
    columns: Floats
    realised: Floats
    ranged: Floats

    def since(self, row: int) -> Pairs:
        later = self.rows >= row
        return Pairs(*(getattr(self, name)[later] for name in Pairs.__slots__))


def regressions_of(past: Panel, inputs: Inputs, kept: Ints, horizon_h: int) -> tuple[Regression, ...]:
    """All regressions of one horizon, none where there is too little; `kept`: places of the inputs that count."""
    pairs = pairs_of(past, inputs, horizon_h)
    found: list[Regression] = []
    for train_h in TRAIN_H:
        some = pairs.since(past.hours - train_h)
        if len(some.realised) >= LEAST_PAIRS:
            found.extend(_regressions(some, kept))
    return tuple(found)


def pairs_of(past: Panel, inputs: Inputs, horizon_h: int) -> Pairs:
    rows = np.arange(past.hours - 1 - horizon_h, max(LEVEL_H, past.hours - max(TRAIN_H)), -STRIDE_H)[::-1]
    if not len(rows):
        return Pairs(rows, np.empty((0, len(NAMES))), np.empty(0), np.empty(0))
    columns, usual = inputs.at(rows, horizon_h)
    realised = past.realised(horizon_h)[rows] / usual
    ranged = horizon_h * trailing_mean(inputs.ranges, horizon_h)[rows + horizon_h] / usual
    whole = inputs.peers[rows] & np.isfinite(columns).all(axis=-1) & np.isfinite(realised) & np.isfinite(ranged)
    times = np.broadcast_to(rows[:, None], whole.shape)
    return Pairs(times[whole], columns[whole], realised[whole], ranged[whole])


def _regressions(pairs: Pairs, kept: Ints) -> tuple[Regression, ...]:
    columns, gates = pairs.columns[:, kept], gates_of(pairs.columns)[:, kept]
    count = np.maximum(gates.sum(axis=0), 1.0)
    mean = (gates * columns).sum(axis=0) / count
    scale = np.sqrt((gates * (columns - mean) ** 2).sum(axis=0) / count)
    scale = np.where(scale > 1e-9, scale, 1.0)
    x = np.concatenate((np.ones((len(columns), 1)), gates * (columns - mean) / scale), axis=1)
    gram = x.T @ x / len(x)
    gram[np.arange(1, len(gram)), np.arange(1, len(gram))] += RIDGE
    logs = np.log(np.maximum(pairs.ranged, LEAST_TARGET))
    least_squares = np.linalg.solve(gram, x.T @ logs / len(x))
    found = []
    for weights in (least_squares, _generalised(x, gram, pairs.realised, least_squares)):
        level = float(np.mean(pairs.realised / np.exp(np.clip(x @ weights, -FURTHEST, FURTHEST))))
        weights = weights.copy()
        weights[0] += np.log(level)
        found.append(Regression(mean, scale, weights))
    return tuple(found)


def _generalised(x: Floats, gram: Floats, target: Floats, start: Floats) -> Floats:
    """Fisher scoring of the gamma likelihood with a log link, whose information is the Gram matrix throughout."""
    weights = start.copy()
    penalty = np.full(len(weights), RIDGE)
    penalty[0] = 0.0
    for _ in range(STEPS):
        surprise = np.minimum(target / np.exp(np.clip(x @ weights, -FURTHEST, FURTHEST)), MOST_SURPRISED) - 1.0
        step = np.linalg.solve(gram, x.T @ surprise / len(x) - penalty * weights)
        weights += step
        if float(np.abs(step).max()) < 1e-6:
            break
    return weights


POOLED: Final = Pooled()
