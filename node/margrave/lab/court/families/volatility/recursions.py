"""Variance recursions over whole panels, one pass of `scipy.signal.lfilter` a stretch; restarted after each gap.

    h_{t+1} = (1 - p) m + s w_t r_t^2 + b h_t,   w = 1 - q for gains, 1 + q for losses

GARCH(1,1) has q = 0, GJR a + g/2 = s and g = 2 q s; EWMA has p = 1. A filter is linear in what is fed to it, so the
whole history costs one call of C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from margrave.lab.court.families.volatility.measures import stretches
from margrave.lab.court.family import Ints
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recursion:
    """In the terms of the module. `mean` is per hour; a stretch starts there."""

    mean: float
    shock: float
    skew: float
    keep: float

    @property
    def persistence(self) -> float:
        return self.shock + self.keep

    def run(self, returns: Floats) -> Floats:
        """Variance of the hour after each return, shape as `returns`; the filter starts at the mean."""
        omega = (1.0 - self.persistence) * self.mean
        fed = omega + self.shock * (1.0 - self.skew * np.sign(returns)) * returns**2
        found, _ = lfilter([1.0], [1.0, -self.keep], fed, zi=np.array([self.keep * self.mean]))
        return np.asarray(found)

    def ahead(self, following: Floats, horizon_h: int) -> Floats:
        """Sum of the variances of the next hours, given that of the next: they fade to the mean geometrically."""
        p = self.persistence
        weight = horizon_h if p >= 1.0 else (1.0 - p**horizon_h) / (1.0 - p)
        return np.asarray(horizon_h * self.mean + weight * (following - self.mean))


@dataclass(frozen=True, slots=True)
class Recursive:
    """A fitted family of `Recursion`: one an asset. Assets without one are not spoken of."""

    recursions: Mapping[str, Recursion]

    def variance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        found = np.full((panel.hours, len(panel.assets)), np.nan)
        for asset, run in stretches(panel):
            recursion = self.recursions.get(panel.assets[asset])
            if recursion is None or run.stop - run.start < 2:
                continue
            returns = panel.log_return[run.start + 1 : run.stop, asset]
            found[run.start + 1 : run.stop, asset] = recursion.ahead(recursion.run(returns), horizon_h)
        return np.asarray(found[rows])
