"""The weighted geometric mean of several families: rungs that do not cross in any do not cross in the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.family import TailFamily, TailModel, Tails, fitted
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


Weights = tuple[tuple[int, float], ...]
"""(horizon in hours, weight) pairs; a horizon that is not named is not spoken for."""


@dataclass(frozen=True)
class CombinedModel:
    members: Sequence[tuple[TailModel, Weights]]

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        """Of the members that speak for the horizon; where one of them cannot say, of the others."""
        asked = [(model, dict(weights)[horizon_h]) for model, weights in self.members if horizon_h in dict(weights)]
        said = [model.tails(panel, rows, assets, horizon_h) for model, _ in asked]
        weights = np.array([weight for _, weight in asked])
        return Tails(_mean([tails.var for tails in said], weights), _mean([tails.es for tails in said], weights))


def _mean(parts: Sequence[Floats], weights: Floats) -> Floats:
    """A member's rungs are all there or none is, so that all rungs of a pair have the same members."""
    logs = np.log(np.stack(parts))
    weight = np.where(np.isfinite(logs), weights[:, None, None, None], 0.0)
    whole = weight.sum(axis=0)
    total = (np.where(np.isfinite(logs), logs, 0.0) * weight).sum(axis=0)
    return np.asarray(np.where(whole > 0, np.exp(total / np.where(whole > 0, whole, 1.0)), np.nan))


@dataclass(frozen=True)
class Combination:
    """Members, each with its weight at the horizons that it speaks for."""

    name: str
    members: tuple[tuple[TailFamily, Weights], ...]

    @property
    def least_hours(self) -> int:
        return max(family.least_hours for family, _ in self.members)

    def fit(self, past: Panel) -> CombinedModel:
        return CombinedModel([(fitted(family, past), weights) for family, weights in self.members])
