"""Ours and others as one: geometric means whose weights come from the last quarter before each fit, and nothing later.

At a fit the members are first fitted on what was known a quarter earlier and asked about the quarter since. A member
keeps exp(-t^2 / 2) of its prior weight, t the Diebold-Mariano statistic of its QLIKE against the best member's: at
short horizons, where a quarter tells the members apart, nearly all goes to the best; at a week, where it does not, the
prior stands and the errors of the members cancel. Then all are fitted on everything known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.comparison import by_time, diebold_mariano
from margrave.lab.court.families.volatility.har import LOG_HAR
from margrave.lab.court.families.volatility.pooled import POOLED
from margrave.lab.court.family import HORIZONS_H, Ints, VolatilityFamily, VolatilityModel, fitted
from margrave.lab.court.losses import qlike
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]

QUARTER_H: Final = 2_160
FIRST_PRIOR: Final = 0.85
"""The first member's prior weight; the others share the rest."""
MOST_T: Final = 8.0
ASKED_EVERY_H: Final = 7
"""Hours between the forecasts that weights are made of: neither a day nor a week is a multiple."""
LEAST_FORECASTS: Final = 50
"""Times."""
LEAST_REALISED: Final = 1e-4
"""Of the mean: a smaller realised variance counts as this, for the logarithm of zero is no loss."""


@dataclass(frozen=True, slots=True)
class Combination:
    name: str
    members: tuple[VolatilityFamily, ...]
    least_hours: int = 673

    def fit(self, past: Panel) -> Combined:
        models = tuple(fitted(member, past) for member in self.members)
        start = past.hours - QUARTER_H
        prior = np.array([FIRST_PRIOR, *[(1.0 - FIRST_PRIOR) / (len(models) - 1)] * (len(models) - 1)])
        if start <= 0:
            return Combined(models, dict.fromkeys(HORIZONS_H, prior))
        known = past.upto(start)
        earlier = [fitted(member, known) for member in self.members]
        weights = {}
        for horizon_h in HORIZONS_H:
            losses = _losses(earlier, past, start, horizon_h)
            weights[horizon_h] = prior if losses is None else weights_of(prior, losses, horizon_h // ASKED_EVERY_H + 4)
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


def weights_of(prior: Floats, losses: Floats, lags: int) -> Floats:
    """Weights (members,) that sum to one.

    Args:
        losses: (members, times).
        lags: in times, over which losses hang together.
    """
    best = losses[np.argmin(losses.mean(axis=1))]
    excess = [diebold_mariano(one, best, lags=lags).t for one in losses]
    evidence = np.exp(-0.5 * np.clip(excess, 0.0, MOST_T) ** 2)
    weights = prior * evidence
    return np.asarray(weights / weights.sum())


def _losses(models: list[VolatilityModel], past: Panel, start: int, horizon_h: int) -> Floats | None:
    """QLIKE of each, (members, times), mean over the assets at each row from `start` whose outcome is known and of
    which all members speak."""
    rows = np.arange(start, past.hours - horizon_h, ASKED_EVERY_H)
    if not len(rows):
        return None
    said = np.stack([model.variance(past, rows, horizon_h) for model in models])
    realised = past.realised(horizon_h)[rows]
    whole = np.isfinite(realised) & np.isfinite(said).all(axis=0) & (said > 0).all(axis=0)
    if int(whole.any(axis=1).sum()) < LEAST_FORECASTS or not np.any(realised[whole]):
        return None
    floored = np.maximum(realised[whole], LEAST_REALISED * float(np.mean(realised[whole])))
    times = np.nonzero(whole)[0]
    return np.stack([by_time(qlike(floored, one[whole]), times)[1] for one in said])


OURS: Final = Combination("ours", (POOLED, LOG_HAR))
