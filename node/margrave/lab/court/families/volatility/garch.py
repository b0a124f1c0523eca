"""GARCH(1,1) (Bollerslev 1986) and GJR-GARCH(1,1) (Glosten, Jagannathan and Runkle 1993) with Student-t errors.

Maximum likelihood by L-BFGS with the exact gradient: the derivatives of the recursion are recursions of the same form,
so one step costs five passes of a compiled filter. `arch` finds the same optimum; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.signal import lfilter
from scipy.special import digamma, expit, gammaln

from margrave.lab.court.families.volatility.measures import latest
from margrave.lab.court.families.volatility.recursions import Recursion, Recursive
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]

FIT_H: Final = 8_760
LEAST_NU: Final = 2.05
MOST_PERSISTENT: Final = 0.9999
STARTS: Final = ((3.5, -2.0), (5.5, -2.6), (2.0, -1.0))
"""Logits of the persistence and of the shock's share of it: the likelihood is flat between some of them."""


@dataclass(frozen=True, slots=True)
class Fit:
    recursion: Recursion
    nu: float
    log_likelihood: float
    """Of returns in units of their own root mean square."""


@dataclass(frozen=True, slots=True)
class Garch:
    name: str
    skewed: bool
    least_hours: int = 1_500

    def fit(self, past: Panel) -> Recursive:
        recursions = {}
        for place, asset in enumerate(past.assets):
            returns = past.log_return[latest(past, place, FIT_H), place]
            if len(returns) >= self.least_hours - 1 and np.any(returns):
                recursions[asset] = fitted(returns, skewed=self.skewed).recursion
        return Recursive(recursions)


def fitted(returns: Floats, *, skewed: bool) -> Fit:
    """The likeliest recursion for a series of hourly log returns, zero mean, any unit."""
    scale = float(np.sqrt(np.mean(returns**2)))
    unit = returns / scale
    best, best_value = None, np.inf
    for persistence, share in STARTS[:1] if len(returns) > 4_000 else STARTS:
        start = np.array([0.0, persistence, share, 0.0, 1.0])
        bounds = [(-4.0, 4.0), (-4.0, 12.0), (-8.0, 4.0), (-3.0, 3.0) if skewed else (0.0, 0.0), (-3.0, 5.0)]
        found = minimize(_loss, start, args=(unit,), jac=True, method="L-BFGS-B", bounds=bounds)
        if found.fun < best_value:
            best, best_value = found.x, float(found.fun)
    assert best is not None
    mean, shock, skew, keep, nu = _parameters(best)
    return Fit(Recursion(mean * scale**2, shock, skew, keep), nu, -best_value * len(unit))


def _parameters(free: Floats) -> tuple[float, float, float, float, float]:
    persistence, share = MOST_PERSISTENT * expit(free[1]), expit(free[2])
    return (
        float(np.exp(free[0])),
        float(persistence * share),
        float(np.tanh(free[3])),
        float(persistence * (1.0 - share)),
        float(LEAST_NU + np.exp(free[4])),
    )


def _loss(free: Floats, returns: Floats) -> tuple[float, Floats]:
    """Mean negative log likelihood of standardised Student-t errors, and its gradient in the free parameters."""
    mean, shock, skew, keep, nu = _parameters(free)
    persistence, share = shock + keep, shock / (shock + keep)
    squares, signed = returns**2, np.sign(returns) * returns**2
    weighted = squares - skew * signed
    h = _variances(mean * (1 - persistence) + shock * weighted, keep)
    z = squares / ((nu - 2.0) * h)
    log_z = np.log1p(z)
    value = _constant(nu) - 0.5 * np.log(h) - 0.5 * (nu + 1.0) * log_z
    slope = (-0.5 + 0.5 * (nu + 1.0) * z / (1.0 + z)) / h
    by_nu = 0.5 * digamma(0.5 * (nu + 1.0)) - 0.5 * digamma(0.5 * nu) - 0.5 / (nu - 2.0)
    by_nu += float(np.mean(-0.5 * log_z + 0.5 * (nu + 1.0) * z / ((nu - 2.0) * (1.0 + z))))

    count = len(returns)
    by_omega = float(slope @ _variances(np.ones(count), keep, 0.0)) / count
    by_shock = float(slope @ _variances(weighted, keep, 0.0)) / count
    by_skew = float(slope @ _variances(-shock * signed, keep, 0.0)) / count
    by_keep = float(slope @ _variances(h, keep, 0.0)) / count
    by_persistence = -mean * by_omega + share * by_shock + (1.0 - share) * by_keep
    by_share = persistence * (by_shock - by_keep)
    gradient = np.array(
        [
            by_omega * (1.0 - persistence) * mean,
            by_persistence * persistence * (1.0 - persistence / MOST_PERSISTENT),
            by_share * share * (1.0 - share),
            by_skew * (1.0 - skew**2),
            by_nu * (nu - LEAST_NU),
        ]
    )
    return -float(np.mean(value)), -gradient


def _variances(fed: Floats, keep: float, start: float = 1.0) -> Floats:
    """h_0 = start, h_t = fed_{t-1} + keep h_{t-1}: the recursion, and with start 0 its derivatives."""
    found, _ = lfilter([1.0], [1.0, -keep], fed[:-1], zi=np.array([keep * start]))
    return np.concatenate(([start], np.asarray(found)))


def _constant(nu: float) -> float:
    return float(gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * (nu - 2.0)))


GARCH_T: Final = Garch("garch_t", skewed=False)
GJR_GARCH_T: Final = Garch("gjr_garch_t", skewed=True)
