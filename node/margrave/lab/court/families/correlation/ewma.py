"""RiskMetrics (1996): an exponentially weighted covariance of bars of the horizon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from margrave.lab.court.families.correlation.family import bar_of, phase_bars
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def weighted(values: Floats, keep: float, start: Floats) -> Floats:
    """s[t] = keep s[t - 1] + (1 - keep) values[t] over the first axis, s[-1] = `start`."""
    state = keep * start[None]
    found, _ = lfilter([1.0 - keep], [1.0, -keep], values, axis=0, zi=state)
    return np.asarray(found)


def outer(values: Floats) -> Floats:
    """(bars, assets) -> (bars, assets, assets)."""
    return values[:, :, None] * values[:, None, :]


@dataclass(frozen=True)
class EwmaModel:
    keep: float
    start: dict[int, Floats]

    def covariance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        ends, returns = phase_bars(panel, horizon_h)
        return weighted(outer(returns), self.keep, self.start[horizon_h])[bar_of(ends, rows)]


@dataclass(frozen=True)
class Ewma:
    name: str
    keep: float

    def fit(self, past: Panel) -> EwmaModel:
        bars = {horizon_h: phase_bars(past, horizon_h)[1] for horizon_h in (4, 24)}
        return EwmaModel(self.keep, {horizon_h: values.T @ values / len(values) for horizon_h, values in bars.items()})
