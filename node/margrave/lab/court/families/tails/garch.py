"""GARCH(1,1) and GJR-GARCH(1,1) with Student t innovations on bars of the horizon, and three readings of their tails.

Parametric (t), filtered historical simulation (Barone-Adesi et al. 1999) and extreme value theory on the residuals
(McNeil and Frey 2000). By maximum likelihood with the long-run variance set to the sample's (Engle and Mezrich 1996).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from margrave.lab.court.families.tails.evt import tail_ladder
from margrave.lab.court.families.tails.ladder import empirical, normal, student
from margrave.lab.court.families.tails.recursion import Recursion, RecursiveFamily, Side, Sides

Floats = NDArray[np.float64]

DECAY: Final = 0.94
"""RiskMetrics' (1996), a bar of the horizon."""
FAST_DECAY: Final = 0.88
"""Of the anchor that survives a break: it has forgotten the old regime in twenty bars."""
MOST_PERSISTENT: Final = 0.9995
CAP_SD: Final = 30.0
"""A bar further out than this many standard deviations is counted as this far in the variance that is targeted."""
STARTS: Final = ((0.06, 0.92, 6.0), (0.12, 0.80, 4.0))


def recursion_of(bars: Floats, asymmetric: bool) -> tuple[Recursion, float]:
    """The likelihood's best recursion and its degrees of freedom.

    Coordinates are free of bounds: logits of persistence and of its split, log of freedom - 2.
    """
    seen = np.isfinite(bars)
    target = _variance(bars[seen])
    scaled = bars / np.sqrt(target)

    def decoded(x: Floats) -> tuple[Recursion, float]:
        persistence = MOST_PERSISTENT * special.expit(x[0])
        news = persistence * special.expit(x[1])
        skew = np.tanh(x[3]) if asymmetric else 0.0
        recursion = Recursion(1.0 - persistence, news * (1 + skew), news * (1 - skew), persistence - news, 2, 1.0)
        return recursion, 2.05 + float(np.exp(min(x[2], 5.0)))

    def loss(x: Floats) -> float:
        recursion, freedom = decoded(x)
        variance = recursion.before(scaled)[seen] ** 2
        z2 = scaled[seen] ** 2 / variance
        shape = special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2) - 0.5 * np.log(np.pi * (freedom - 2))
        return float(0.5 * np.log(variance).mean() + 0.5 * (freedom + 1) * np.log1p(z2 / (freedom - 2)).mean() - shape)

    starts = [
        np.array([special.logit(min(a + b, 0.999)), special.logit(a / (a + b)), np.log(v - 2), 0.0][: 3 + asymmetric])
        for a, b, v in STARTS
    ]
    best = optimize.minimize(
        loss, min(starts, key=loss), method="Nelder-Mead", options={"maxiter": 250, "xatol": 1e-3, "fatol": 1e-6}
    )
    unit, freedom = decoded(best.x)
    return Recursion(unit.constant * target, unit.down, unit.up, unit.keep, 2, target), freedom


def residuals(recursion: Recursion, bars: Floats) -> Floats:
    """(bars that are there,) in units of their forecast."""
    z = bars / recursion.before(bars)
    return np.asarray(z[np.isfinite(z)])


def _variance(seen: Floats) -> float:
    middle = np.quantile(np.abs(seen), 0.6827) or float(np.abs(seen).max())
    return float((np.clip(seen, -CAP_SD * middle, CAP_SD * middle) ** 2).mean())


def _ewma_normal(bars: Floats) -> Sides:
    scale = Recursion(0.0, 1.0 - DECAY, 1.0 - DECAY, DECAY, 2, _variance(bars[np.isfinite(bars)]))
    return Side(scale, *normal()), Side(scale, *normal())


def _fast_fhs(bars: Floats) -> Sides:
    scale = Recursion(0.0, 1.0 - FAST_DECAY, 1.0 - FAST_DECAY, FAST_DECAY, 2, _variance(bars[np.isfinite(bars)]))
    z = residuals(scale, bars)
    return Side(scale, *empirical(-z)), Side(scale, *empirical(z))


def _garch_t(bars: Floats) -> Sides:
    scale, freedom = recursion_of(bars, asymmetric=False)
    return Side(scale, *student(freedom)), Side(scale, *student(freedom))


def _fhs_gjr(bars: Floats) -> Sides:
    scale, _ = recursion_of(bars, asymmetric=True)
    z = residuals(scale, bars)
    return Side(scale, *empirical(-z)), Side(scale, *empirical(z))


def _gjr_evt(bars: Floats) -> Sides:
    scale, _ = recursion_of(bars, asymmetric=True)
    z = residuals(scale, bars)
    return Side(scale, *tail_ladder(-z)), Side(scale, *tail_ladder(z))


EWMA_NORMAL: Final = RecursiveFamily("ewma_normal", _ewma_normal)
FAST_FHS: Final = RecursiveFamily("fast_fhs", _fast_fhs)
GARCH_T: Final = RecursiveFamily("garch_t_tails", _garch_t)
FHS_GJR: Final = RecursiveFamily("fhs_gjr", _fhs_gjr)
GJR_EVT: Final = RecursiveFamily("gjr_evt", _gjr_evt)
