"""What stands before the court: families of models, fitted on a past and asked about what follows it.

A family is given a panel that ends where its knowledge ends. What it fits may then be asked about later rows of a
longer panel, and must answer each from that row and those before it: `walk.audit` catches one that does not.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Protocol, cast, overload

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HORIZONS_H: Final = (1, 4, 24, 168)
"""Of volatility forecasts."""
TAIL_HORIZONS_H: Final = (1, 4, 24)
"""Margin periods of risk."""
LEVELS: Final = (0.05, 0.025, 0.01, 0.005, 0.001)
"""Tail probabilities of VaR and ES, ascending in depth."""
DOWN, UP = 0, 1


@dataclass(frozen=True, slots=True)
class Tails:
    """Both tails of the log return over one horizon, for (row, asset) pairs; all as positive magnitudes.

    Shapes (pairs, 2, levels): side DOWN or UP, level as `LEVELS`. Quantiles do not cross and es >= var by construction
    of the family: the court counts where they do not. NaN where the family cannot say.
    """

    var: Floats
    es: Floats


class VolatilityModel(Protocol):
    def variance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        """(rows, assets): the variance of the sum of hourly log returns over the `horizon_h` hours after each row."""
        ...


class VolatilityFamily(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def least_hours(self) -> int:
        """Bars without a gap that an asset needs before anything is said of it."""
        ...

    def fit(self, past: Panel) -> VolatilityModel: ...


class TailModel(Protocol):
    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        """For the pairs (rows[i], assets[i])."""
        ...


class TailFamily(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def least_hours(self) -> int: ...

    def fit(self, past: Panel) -> TailModel: ...


@overload
def fitted(family: VolatilityFamily, past: Panel) -> VolatilityModel: ...
@overload
def fitted(family: TailFamily, past: Panel) -> TailModel: ...
def fitted(family: VolatilityFamily | TailFamily, past: Panel) -> VolatilityModel | TailModel:
    """The family's model of this past, fitted once for all who ask: several combinations have one member."""
    return past.once(("fitted", cast(Hashable, family)), lambda: family.fit(past))
