"""Strictly consistent losses: the forecast that minimises each in expectation is the thing that it is a loss of.

Outcomes and quantiles are returns with their sign; the lower tail is scored. For the upper tail pass the negated
outcome and the negated forecast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def qlike(realised: Floats, forecast: Floats) -> Floats:
    """V / f - ln(V / f) - 1 of a variance forecast, zero where it is exact; robust to a noisy unbiased V (Patton 2011).

    Args:
        realised: realised variance, any shape, > 0. A proxy that can be zero has no loss: the caller states its floor.
        forecast: of the same shape, > 0.
    """
    ratio = realised / forecast
    return np.asarray(ratio - np.log(ratio) - 1.0)


def pinball(outcome: Floats, quantile: Floats, p: float) -> Floats:
    """(1{y < q} - p)(q - y) of a p-quantile forecast (Koenker and Bassett 1978)."""
    return np.asarray(((outcome < quantile) - p) * (quantile - outcome))


def fz0(outcome: Floats, quantile: Floats, shortfall: Floats, p: float) -> Floats:
    """The zero-homogeneous joint loss of (VaR, ES) at p (Fissler and Ziegel 2016; Patton, Ziegel and Chen 2019, eq. 6).

    -1{y <= v} (v - y) / (p e) + v / e + ln(-e) - 1. It holds a logarithm: only differences between forecasts mean
    anything, never ratios.

    Args:
        outcome: returns y.
        quantile: v, the p-quantile.
        shortfall: e, the mean below it; e <= v and e < 0.
    """
    beyond = np.where(outcome <= quantile, quantile - outcome, 0.0)
    return np.asarray(-beyond / (p * shortfall) + quantile / shortfall + np.log(-shortfall) - 1.0)


def energy(outcome: Floats, draws: Floats) -> Floats:
    """E|X - y| - E|X - X'| / 2 of a multivariate forecast given as draws (Gneiting and Raftery 2007, eq. 21).

    Args:
        outcome: (times, assets).
        draws: (times, draws, assets), an even number of draws; the second expectation pairs each with its neighbour
            half the sample away, which is unbiased for independent draws and costs no square.
    """
    near = np.linalg.norm(draws - outcome[:, None, :], axis=2).mean(axis=1)
    half = draws.shape[1] // 2
    spread = np.linalg.norm(draws[:, :half] - draws[:, half : 2 * half], axis=2).mean(axis=1)
    return np.asarray(near - spread / 2.0)
