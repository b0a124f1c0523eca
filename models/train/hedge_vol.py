"""The volatility forecast of a hedge: weights of variance levels by the life that is left, fitted on the early years.

`margrave.score.hedge.market.LIFE_WEIGHTS` holds them, rounded; this makes them again and says what the rounding and
the years since have cost.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from margrave.lab.court.losses import qlike
from margrave.score.hedge.market import LEAST_HOURS, LIVES_H, forecast_vol, state_of
from margrave.spans import YEAR_H
from train.hedge_paths import Bars

Floats = NDArray[np.float64]

EVERY_H: Final = 6
LEAST_VARIANCE: Final = 1e-9


def fitted(known: list[Bars]) -> Floats:
    """(lives, 1 + levels less one): least QLIKE of log variance = usual + c + sum w (level - usual), 0 <= w <= 1."""
    return np.stack([_one(known, int(life)) for life in LIVES_H])


def losses(known: list[Bars]) -> dict[str, float]:
    """Mean QLIKE of the published weights by life, in hours."""
    found = {}
    for life in LIVES_H:
        levels, realised = _rows(known, int(life))
        variance = forecast_vol(levels, np.array(life)) ** 2 / YEAR_H
        found[f"{life:.0f}"] = float(qlike(realised, variance).mean())
    return found


def _one(known: list[Bars], life_h: int) -> Floats:
    levels, realised = _rows(known, life_h)
    usual = levels[:, -1]
    design = np.column_stack([np.ones(len(usual)), levels[:, :-1] - usual[:, None]])
    ratio = realised / np.exp(usual)

    def loss(weights: Floats) -> tuple[float, Floats]:
        said = design @ weights
        over = ratio * np.exp(-said)
        return float(np.mean(over + said)), design.T @ (1.0 - over) / len(over)

    start = np.array([0.0] + [1.0 / levels.shape[1]] * (levels.shape[1] - 1))
    bounds = [(None, None)] + [(0.0, 1.0)] * (levels.shape[1] - 1)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _rows(known: list[Bars], life_h: int) -> tuple[Floats, Floats]:
    """(levels (n, LEVELS_H), realised variance an hour over the life (n,))."""
    levels, realised = [], []
    for bars in known:
        opens, highs, lows, closes = bars.prices()
        squares = np.concatenate(([0.0], np.cumsum(bars.moves[:, 3] ** 2)))
        rows = np.arange(LEAST_HOURS - 1, len(closes) - life_h, EVERY_H)
        levels.append(state_of(opens, highs, lows, closes).levels[rows])
        realised.append((squares[rows + life_h + 1] - squares[rows + 1]) / life_h)
    return np.concatenate(levels), np.maximum(np.concatenate(realised), LEAST_VARIANCE)
