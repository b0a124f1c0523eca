"""From standardised losses to a ladder of VaR and ES whose rungs cannot cross."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from margrave.lab.court.family import LEVELS

Floats = NDArray[np.float64]

RUNGS: Final = np.array(LEVELS)
LEAST_RUNG: Final = 1e-12
"""Of a loss in units of its scale: a forecast of no loss at all has no ES loss function."""


def ordered(var: Floats, es: Floats) -> tuple[Floats, Floats]:
    """The same with every rung at least the one before it and es >= var; levels on the last axis. NaN stays NaN."""
    var = np.maximum.accumulate(np.maximum(var, LEAST_RUNG), axis=-1)
    return var, np.maximum(np.maximum.accumulate(es, axis=-1), var)


def empirical(losses: Floats, rungs: Floats = RUNGS) -> tuple[Floats, Floats]:
    """VaR and ES of a sample of losses (positive is a loss) at `rungs`; shapes (rungs,).

    The quantile at rank p (n + 1) is exceeded by the next draw of the same law with probability p, and a rung deeper
    than the sample is its largest loss. ES is VaR plus the mean excess over p (Rockafellar and Uryasev 2000).
    """
    var = np.quantile(losses, 1.0 - rungs, method="weibull")
    es = var + np.maximum(losses[:, None] - var, 0.0).mean(axis=0) / rungs
    return ordered(var, es)


def normal() -> tuple[Floats, Floats]:
    """Of a standard normal."""
    var = stats.norm.isf(RUNGS)
    return var, stats.norm.pdf(var) / RUNGS


def student(freedom: float) -> tuple[Floats, Floats]:
    """Of Student's t with `freedom` > 2, scaled to variance 1 (McNeil, Frey and Embrechts 2015, eq. 2.24)."""
    raw = stats.t.isf(RUNGS, freedom)
    shrink = np.sqrt((freedom - 2.0) / freedom)
    es = stats.t.pdf(raw, freedom) / RUNGS * (freedom + raw**2) / (freedom - 1.0)
    return raw * shrink, es * shrink
