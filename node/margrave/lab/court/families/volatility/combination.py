"""Ours and others as one: geometric means whose weights come from the last quarter before each fit, and nothing later.

At a fit the members are first fitted on what was known a quarter earlier and asked about the quarter since. A member's
weight falls by e for every `FORGIVEN` that its mean QLIKE, relative to the best member's, is above it: at short
horizons, where that is well measured and the members differ, nearly all goes to the best; at a week, where they do not,
the weights are nearly even and the errors of the members cancel. Then all are fitted on everything known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.volatility.har import DIURNAL_LHAR_IV, LHAR_IV, LOG_HAR
from margrave.lab.court.families.volatility.pooled import Pooled
from margrave.lab.court.family import HORIZONS_H, Ints, VolatilityFamily, VolatilityModel
from margrave.lab.court.losses import qlike
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]

QUARTER_H: Final = 2_160
FORGIVEN: Final = 0.02
ASKED_EVERY_H: Final = 7
"""Hours between the forecasts that weights are made of: neither a day nor a week is a multiple."""
LEAST_FORECASTS: Final = 50
LEAST_REALISED: Final = 1e-4
"""Of the mean: a smaller realised variance counts as this, for the logarithm of zero is no loss."""


@dataclass(frozen=True, slots=True)
class Combination:
    name: str
    members: tuple[VolatilityFamily, ...]
    least_hours: int = 673

    def fit(self, past: Panel) -> Combined:
        models = tuple(member.fit(past) for member in self.members)
        start = past.hours - QUARTER_H
        even = np.full(len(models), 1.0 / len(models))
        if start <= 0:
            return Combined(models, dict.fromkeys(HORIZONS_H, even))
        known = past.upto(start)
        earlier = [member.fit(known) for member in self.members]
        weights = {}
        for horizon_h in HORIZONS_H:
            losses = _losses(earlier, past, start, horizon_h)
            weights[horizon_h] = even if losses is None else weights_of(losses)
        return Combined(models, weights)


@dataclass(frozen=True, slots=True)
class Combined:
    models: tuple[VolatilityModel, ...]
    weights: Mapping[int, Floats]

    def variance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        """Members that cannot say are left out, and the others' weights made whole."""
        with np.errstate(divide="ignore"):
            said = np.stack([np.log(model.variance(panel, rows, horizon_h)) for model in self.models])
        there = np.isfinite(said)
        weights = np.where(there, self.weights[horizon_h][:, None, None], 0.0)
        whole = weights.sum(axis=0)
        mean = (weights * np.where(there, said, 0.0)).sum(axis=0) / np.where(whole > 0, whole, np.nan)
        return np.asarray(np.exp(mean))


def weights_of(losses: Floats) -> Floats:
    """(members,) mean losses -> weights that sum to one."""
    excess = losses / losses.min() - 1.0
    weights = np.exp(-excess / FORGIVEN)
    return np.asarray(weights / weights.sum())


def _losses(models: list[VolatilityModel], past: Panel, start: int, horizon_h: int) -> Floats | None:
    """Mean QLIKE of each over the rows from `start` whose outcome is known, where all of them speak."""
    rows = np.arange(start, past.hours - horizon_h, ASKED_EVERY_H)
    if not len(rows):
        return None
    said = np.stack([model.variance(past, rows, horizon_h) for model in models])
    realised = past.realised(horizon_h)[rows]
    whole = np.isfinite(realised) & np.isfinite(said).all(axis=0) & (said > 0).all(axis=0)
    if int(whole.sum()) < LEAST_FORECASTS or not np.any(realised[whole]):
        return None
    floored = np.maximum(realised[whole], LEAST_REALISED * float(np.mean(realised[whole])))
    return np.array([float(np.mean(qlike(floored, one[whole]))) for one in said])


OURS: Final = Combination("ours", (Pooled("pooled", own_share=False), DIURNAL_LHAR_IV, LOG_HAR, LHAR_IV))
