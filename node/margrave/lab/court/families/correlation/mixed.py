"""DCC's correlations on the learned family's volatilities: which of the two is the gain?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.correlation.dcc import DccModel, correlation
from margrave.lab.court.families.correlation.ewma import outer
from margrave.lab.court.families.correlation.speeds import SpeedsModel
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class MixedModel:
    volatilities: SpeedsModel
    correlations: DccModel

    def covariance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        ours = self.volatilities.covariance(panel, rows, horizon_h)
        deviations = np.sqrt(np.diagonal(ours, axis1=1, axis2=2))
        return correlation(self.correlations.covariance(panel, rows, horizon_h)) * outer(deviations)


@dataclass(frozen=True)
class Mixed:
    name: str = "dcc_on_our_volatilities"

    def fit(self, past: Panel) -> MixedModel:
        return MixedModel(SpeedsModel(past), DccModel(past))
