"""What forecasts a covariance: fitted on a past without a hole, asked about rows of a longer panel."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.panel import Panel
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class CovarianceModel(Protocol):
    def covariance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        """(rows, assets, assets) of the log returns over the `horizon_h` hours after each row, from it and those
        before it."""
        ...


class CovarianceFamily(Protocol):
    @property
    def name(self) -> str: ...

    def fit(self, past: Panel) -> CovarianceModel: ...


def phase_bars(panel: Panel, horizon_h: int) -> tuple[Ints, Floats]:
    """(rows that end a bar of the horizon on the clock, log returns over each bar): (bars,) and (bars, assets)."""
    ends = np.flatnonzero((panel.open_ms // HOUR_MS + 1) % horizon_h == 0)
    ends = ends[ends >= horizon_h]
    log_close = np.log(panel.close)
    return ends, log_close[ends] - log_close[ends - horizon_h]


def bar_of(ends: Ints, rows: Ints) -> Ints:
    """The newest bar that is over at each row."""
    return np.asarray(np.searchsorted(ends, rows, side="right") - 1)
