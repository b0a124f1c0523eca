"""The geometric mean of several families: rungs that do not cross in any do not cross in the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.family import TailFamily, TailModel, Tails
from margrave.lab.court.panel import Panel

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class CombinedModel:
    members: Sequence[tuple[TailModel, frozenset[int]]]

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        """Of the members that speak for the horizon; where one of them cannot say, of the others."""
        said = [
            model.tails(panel, rows, assets, horizon_h) for model, horizons in self.members if horizon_h in horizons
        ]
        return Tails(_mean([tails.var for tails in said]), _mean([tails.es for tails in said]))


def _mean(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    logs = np.log(np.stack(parts))
    there = np.isfinite(logs)
    count = there.sum(axis=0)
    total = np.where(there, logs, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, np.exp(total / np.maximum(count, 1)), np.nan))


@dataclass(frozen=True)
class Combination:
    """Members, each with the horizons in hours that it speaks for."""

    name: str
    members: tuple[tuple[TailFamily, frozenset[int]], ...]

    @property
    def least_hours(self) -> int:
        return max(family.least_hours for family, _ in self.members)

    def fit(self, past: Panel) -> CombinedModel:
        return CombinedModel([(family.fit(past), horizons) for family, horizons in self.members])
