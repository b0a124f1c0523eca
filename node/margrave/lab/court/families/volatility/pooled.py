"""Ours: one model for all assets, listed or not, of the variance ahead relative to what is usual.

    ln f = ln (level x sum of the hour-of-week factors ahead) + x w

w comes from three ridge regressions that err differently, and f is their geometric mean: generalised linear models that
minimise QLIKE itself (gamma with a log link) of the squared returns ahead and of the range variance ahead, which is
less noisy, and least squares on the logarithm of the latter. All are brought to the mean of the squared returns ahead.
For a day a fifth and for a week a third of ln f is the asset's own diurnal LHAR-IV, where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.volatility.har import DIURNAL_LHAR_IV
from margrave.lab.court.families.volatility.inputs import NAMES, Inputs, inputs_of
from margrave.lab.court.families.volatility.measures import LEVEL_H, trailing_mean
from margrave.lab.court.family import HORIZONS_H, Ints, VolatilityModel, fitted
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]

TRAIN_H: Final = 17_520
STRIDE_H: Final = 5
"""Every so many hours are trained on: neighbours tell the same, and five divides neither a day nor a week."""
LEAST_PAIRS: Final = 500
RIDGE: Final = 0.03
MOST_SURPRISED: Final = 5.0
"""V / f counts for no more in the generalised model: one crash must not be the whole score."""
STEPS: Final = 25
LEAST_TARGET: Final = 1e-3
FURTHEST: Final = 4.0
"""ln f stays within so much of what is usual."""
OWN_SHARE: Final[Mapping[int, float]] = {1: 0.0, 4: 0.0, 24: 0.2, 168: 1 / 3}


@dataclass(frozen=True, slots=True)
class Regression:
    """weights on standardised inputs; the first is the constant's."""

    mean: Floats
    scale: Floats
    weights: Floats

    def of(self, columns: Floats) -> Floats:
        said = self.weights[0] + ((columns - self.mean) / self.scale) @ self.weights[1:]
        return np.asarray(np.clip(said, -FURTHEST, FURTHEST))


@dataclass(frozen=True, slots=True)
class Pooled:
    name: str = "pooled"
    least_hours: int = LEVEL_H + 1
    without: tuple[str, ...] = ()
    """Inputs left out, for ablation."""
    own_share: bool = True

    def fit(self, past: Panel) -> PooledModel:
        inputs = inputs_of(past)
        kept = np.array([place for place, name in enumerate(NAMES) if name not in self.without])
        found = {}
        for horizon_h in HORIZONS_H:
            parts = _pairs(past, inputs, horizon_h)
            if len(parts.realised) >= LEAST_PAIRS:
                found[horizon_h] = _regressions(parts, kept)
        return PooledModel(kept, found, fitted(DIURNAL_LHAR_IV, past) if self.own_share else None)


@dataclass(frozen=True, slots=True)
class PooledModel:
    kept: Ints
    regressions: Mapping[int, tuple[Regression, ...]]
    own: VolatilityModel | None

    def variance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        if horizon_h not in self.regressions:
            return np.full((len(rows), len(panel.assets)), np.nan)
        columns, usual = inputs_of(panel).at(rows, horizon_h)
        columns = columns[..., self.kept]
        said = np.log(usual) + np.mean([found.of(columns) for found in self.regressions[horizon_h]], axis=0)
        share = OWN_SHARE[horizon_h]
        if self.own is not None and share > 0.0:
            own = np.log(self.own.variance(panel, rows, horizon_h))
            said = np.where(np.isfinite(own), (1.0 - share) * said + share * own, said)
        return np.asarray(np.exp(said))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """(pairs, NAMES) and, relative to the usual, the squared returns and the range variance ahead (pairs,)."""

    columns: Floats
    realised: Floats
    ranged: Floats


def _pairs(past: Panel, inputs: Inputs, horizon_h: int) -> _Pairs:
    rows = np.arange(past.hours - 1 - horizon_h, max(LEVEL_H, past.hours - TRAIN_H), -STRIDE_H)[::-1]
    if not len(rows):
        return _Pairs(np.empty((0, len(NAMES))), np.empty(0), np.empty(0))
    columns, usual = inputs.at(rows, horizon_h)
    realised = past.realised(horizon_h)[rows] / usual
    ranged = horizon_h * trailing_mean(inputs.ranges, horizon_h)[rows + horizon_h] / usual
    whole = inputs.peers[rows] & np.isfinite(columns).all(axis=-1) & np.isfinite(realised) & np.isfinite(ranged)
    return _Pairs(columns[whole], realised[whole], ranged[whole])


def _regressions(pairs: _Pairs, kept: Ints) -> tuple[Regression, ...]:
    columns = pairs.columns[:, kept]
    mean, scale = columns.mean(axis=0), columns.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    x = np.concatenate((np.ones((len(columns), 1)), (columns - mean) / scale), axis=1)
    gram = x.T @ x / len(x)
    gram[np.arange(1, len(gram)), np.arange(1, len(gram))] += RIDGE
    logs = np.log(np.maximum(pairs.ranged, LEAST_TARGET))
    least_squares = np.linalg.solve(gram, x.T @ logs / len(x))
    found = []
    for weights in (
        least_squares,
        _generalised(x, gram, pairs.realised, least_squares),
        _generalised(x, gram, pairs.ranged, least_squares),
    ):
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
