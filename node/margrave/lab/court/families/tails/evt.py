"""Peaks over a threshold: a generalised Pareto tail by its profile likelihood, and Hill's index beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from margrave.lab.court.families.tails.ladder import RUNGS, empirical, ordered

Floats = NDArray[np.float64]

BEYOND: Final = 0.10
"""Share of a side's losses that make its tail (McNeil and Frey 2000 take a tenth of a thousand)."""
LEAST_PEAKS: Final = 20
XI_RANGE: Final = (-0.5, 0.7)
"""Below, the likelihood is not regular (Smith 1985); above, ES is a number of the estimator's and not of the data's."""
GRID: Final = 60


@dataclass(frozen=True, slots=True)
class Pareto:
    """P(X > x) = (1 + xi x / beta)^(-1 / xi)."""

    xi: float
    beta: float

    def quantile(self, share: Floats) -> Floats:
        """Exceeded by `share` of the peaks."""
        if abs(self.xi) < 1e-6:
            return np.asarray(-self.beta * np.log(share))
        return np.asarray(self.beta / self.xi * (share**-self.xi - 1.0))

    def mean_beyond(self, quantile: Floats) -> Floats:
        return np.asarray((quantile + self.beta) / (1.0 - self.xi))


def fit_pareto(peaks: Floats) -> Pareto:
    """Maximum likelihood in one dimension (Grimshaw 1993): with theta = xi / beta, xi is the mean of ln(1 + theta x).

    Args:
        peaks: (n,) excesses over the threshold, > 0.
    """
    mean, top = float(peaks.mean()), float(peaks.max())
    x = peaks / mean

    def shape(theta: float) -> tuple[float, float]:
        xi = float(np.clip(np.log1p(theta * x).mean(), *XI_RANGE))
        return (xi, xi / theta) if abs(theta) > 1e-9 and abs(xi) > 1e-9 else (0.0, 1.0)

    def loss(theta: float) -> float:
        xi, beta = shape(theta)
        if xi == 0.0:
            return 1.0
        inside = 1.0 + xi * x / beta
        return float(np.log(beta) + (1.0 + 1.0 / xi) * np.log(inside).mean()) if inside.min() > 0 else np.inf

    low = -(1.0 - 1e-6) * mean / top
    thetas = np.concatenate((np.linspace(low, -1e-4, GRID), np.geomspace(1e-4, 1e2, GRID)))
    losses = np.array([loss(float(theta)) for theta in thetas])
    at = int(np.argmin(losses))
    span = thetas[max(at - 1, 0)], thetas[min(at + 1, len(thetas) - 1)]
    found = optimize.minimize_scalar(loss, bounds=span, method="bounded", options={"xatol": 1e-8})
    xi, beta = shape(float(found.x) if found.fun <= losses[at] else float(thetas[at]))
    return Pareto(xi, beta * mean)


def tail_ladder(losses: Floats, rungs: Floats = RUNGS) -> tuple[Floats, Floats]:
    """VaR and ES at `rungs` of a sample of losses: Pareto beyond the threshold; empirical where peaks are too few."""
    threshold = float(np.quantile(losses, 1.0 - BEYOND))
    peaks = losses[losses > threshold] - threshold
    if len(peaks) < LEAST_PEAKS or threshold <= 0.0 or float(np.ptp(peaks)) == 0.0:
        return empirical(losses, rungs)
    pareto = fit_pareto(peaks)
    beyond = pareto.quantile(rungs / (len(peaks) / len(losses)))
    return ordered(threshold + beyond, threshold + pareto.mean_beyond(beyond))
