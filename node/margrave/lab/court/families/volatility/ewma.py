"""Exponentially weighted variance, plain (RiskMetrics 1996) and with losses counting for more than gains.

The decay, and the weight of losses, are those of the likeliest normal returns on each asset's own past.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.volatility.measures import latest
from margrave.lab.court.families.volatility.recursions import Recursion, Recursive
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]

KEEPS: Final = (0.90, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
SKEWS: Final = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6)
FIT_H: Final = 8_760
WARM_H: Final = 200
"""Hours at the start of the fit that are filtered but not judged."""


@dataclass(frozen=True, slots=True)
class Ewma:
    name: str
    skews: tuple[float, ...]
    least_hours: int = 500

    def fit(self, past: Panel) -> Recursive:
        recursions = {}
        for place, asset in enumerate(past.assets):
            returns = past.log_return[latest(past, place, FIT_H), place]
            if len(returns) >= self.least_hours - 1 and np.any(returns):
                recursions[asset] = self._likeliest(returns)
        return Recursive(recursions)

    def _likeliest(self, returns: Floats) -> Recursion:
        mean = float(np.mean(returns**2))
        tried = [Recursion(mean, 1.0 - keep, skew, keep) for keep, skew in product(KEEPS, self.skews)]
        return min(tried, key=lambda recursion: _loss(recursion, returns))


def _loss(recursion: Recursion, returns: Floats) -> float:
    h = recursion.run(returns)[WARM_H:-1]
    return float(np.mean(np.log(h) + returns[WARM_H + 1 :] ** 2 / h))


EWMA: Final = Ewma("ewma", (0.0,))
ASYMMETRIC_EWMA: Final = Ewma("asymmetric_ewma", SKEWS)
