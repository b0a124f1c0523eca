"""EGARCH(1,1) with Student-t errors (Nelson 1991), in `arch`'s terms, fitted over its compiled recursion.

    ln h_{t+1} = w + a (|e_t| - sqrt(2 / pi)) + g e_t + b ln h_t,   e_t = r_t / sqrt(h_t)

The recursion is not linear in what is fed to it, so it runs hour by hour. The moments of h do not exist under a
Student-t; several hours ahead its logarithm is taken for normal, with the shocks' variance counted in the sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln

from margrave.lab.court.families.volatility.measures import latest, stretches
from margrave.lab.court.family import Ints
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]

FIT_H: Final = 8_760
NORM: Final = float(np.sqrt(2.0 / np.pi))
START: Final = (0.0, 0.2, 0.0, 0.97, 4.0)
BOUNDS: Final = ((-2.0, 2.0), (0.0, 1.5), (-1.0, 1.0), (0.0, 0.9995), (2.1, 60.0))
MOST_LOG: Final = 12.0
"""Of ln (h / mean square), either way: one wild hour must not send the recursion to infinity."""


@dataclass(frozen=True, slots=True)
class Exponential:
    """One asset's recursion; `unit` is the mean square that returns are measured in."""

    omega: float
    alpha: float
    gamma: float
    beta: float
    nu: float
    unit: float
    shock_variance: float

    def run(self, returns: Floats) -> Floats:
        """ln (h / unit) of the hour after each return."""
        return _filtered(np.array([self.omega, self.alpha, self.gamma, self.beta]), returns / self.unit**0.5)[1:]

    def ahead(self, log_following: Floats, horizon_h: int) -> Floats:
        """Sum of the variances of the next hours."""
        mean = self.omega / (1.0 - self.beta)
        steps = np.arange(horizon_h)
        centre = mean + self.beta**steps * (log_following[:, None] - mean)
        spread = self.shock_variance * (1.0 - self.beta ** (2 * steps)) / (1.0 - self.beta**2)
        return np.asarray(self.unit * np.exp(np.clip(centre + 0.5 * spread, -MOST_LOG, MOST_LOG)).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Exponentials:
    recursions: Mapping[str, Exponential]

    def variance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        found = np.full((len(rows), len(panel.assets)), np.nan)
        for asset, run in stretches(panel):
            recursion = self.recursions.get(panel.assets[asset])
            asked = np.flatnonzero((rows > run.start) & (rows < run.stop))
            if recursion is None or not len(asked):
                continue
            log_h = recursion.run(panel.log_return[run.start + 1 : run.stop, asset])
            found[asked, asset] = recursion.ahead(log_h[rows[asked] - run.start - 1], horizon_h)
        return found


@dataclass(frozen=True, slots=True)
class Egarch:
    name: str = "egarch_t"
    least_hours: int = 1_500

    def fit(self, past: Panel) -> Exponentials:
        recursions = {}
        for place, asset in enumerate(past.assets):
            returns = past.log_return[latest(past, place, FIT_H), place]
            if len(returns) >= self.least_hours - 1 and np.any(returns):
                recursions[asset] = fitted(returns)
        return Exponentials(recursions)


def fitted(returns: Floats) -> Exponential:
    """The likeliest recursion for hourly log returns, zero mean, any unit."""
    unit = float(np.mean(returns**2))
    scaled = returns / unit**0.5
    found = minimize(_loss, np.array(START), args=(scaled,), method="L-BFGS-B", bounds=BOUNDS)
    omega, alpha, gamma, beta, nu = (float(value) for value in found.x)
    errors = scaled / np.exp(0.5 * _filtered(found.x[:4], scaled)[:-1])
    shock = float(np.var(alpha * (np.abs(errors) - NORM) + gamma * errors))
    return Exponential(omega, alpha, gamma, beta, nu, unit, shock)


def log_likelihood(parameters: Floats, scaled: Floats) -> float:
    """Of (omega, alpha, gamma, beta, nu) for returns of mean square one."""
    log_h, nu = _filtered(parameters[:4], scaled)[:-1], float(parameters[4])
    constant = gammaln(0.5 * (nu + 1)) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * (nu - 2))
    z = scaled**2 / ((nu - 2) * np.exp(log_h))
    return float(np.sum(constant - 0.5 * log_h - 0.5 * (nu + 1) * np.log1p(z)))


def _loss(parameters: Floats, scaled: Floats) -> float:
    return -log_likelihood(parameters, scaled) / len(scaled)


def _filtered(parameters: Floats, scaled: Floats) -> Floats:
    """ln h of each return and of the hour after the last, (n + 1,); as if the hour before
    the first had had the mean square."""
    from arch.univariate.recursions import egarch_recursion

    count = len(scaled) + 1
    fed = np.ascontiguousarray(np.append(scaled, 0.0))
    variance, log_h, errors, sizes = (np.empty(count) for _ in range(4))
    bounds = np.tile([np.exp(-MOST_LOG), np.exp(MOST_LOG)], (count, 1))
    egarch_recursion(np.ascontiguousarray(parameters), fed, variance, 1, 1, 1, count, 0.0, bounds, log_h, errors, sizes)
    return np.log(variance)
