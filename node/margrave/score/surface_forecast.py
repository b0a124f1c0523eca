"""Where at-the-money volatility, skew and term slope go: the inputs of `surface_forecast`, and nothing that is fitted.

Each forecast is the last surface's value and shares of three ways from it: to what the chain itself says lies ahead
(forward volatilities; the skew of what will be that long), to the value's own recent mean, and to its long mean, always
or only where the term structure is inverted. The shares are the registry's; where they are zero the last surface is
the forecast.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.score.registry import Model
from margrave.spans import DAY_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAMILY: Final = "surface_forecast"
QUANTITIES: Final = ("atm", "skew", "slope")
WAYS: Final = ("ahead", "ahead_inverted", "recent", "long_inverted", "long")
RECENT_DAYS: Final = 3.0
"""Half-life of the recent mean."""


def recent_mean(times_ms: Ints, values: Floats, half_life_days: float = RECENT_DAYS) -> Floats:
    """Shape of `values` (times, ...): exponentially weighted in time over what is there, up to and with each time."""
    mean, weight = np.zeros(values.shape[1:]), np.zeros(values.shape[1:])
    found = np.full_like(values, np.nan)
    for row, value in enumerate(values):
        gone = (times_ms[row] - times_ms[row - 1]) / DAY_MS if row else 0.0
        keep = 0.5 ** (gone / half_life_days)
        there = np.isfinite(value)
        weight = weight * keep
        mean = np.where(there, (mean * weight + np.nan_to_num(value)) / (weight + 1), mean)
        weight = weight + there
        found[row] = np.where(weight > 0, mean, np.nan)
    return found


def long_mean(values: Floats) -> Floats:
    """Mean of everything up to and with each time."""
    there = np.isfinite(values)
    count = np.cumsum(there, axis=0)
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(count > 0, np.cumsum(np.nan_to_num(values), axis=0) / count, np.nan)
    return found


def ways(last: Floats, ahead: Floats, recent: Floats, long: Floats, inverted: NDArray[np.bool_]) -> Floats:
    """Shape (n, WAYS) from columns (n,): what each way would change. A way that is not known leads nowhere."""
    columns = np.column_stack(
        [
            ahead - last,
            np.where(inverted, ahead - last, 0.0),
            recent - last,
            np.where(inverted, long - last, 0.0),
            long - last,
        ]
    )
    return np.asarray(np.nan_to_num(columns), dtype=np.float64)


def change(model: Model, quantity: str, found: Floats) -> Floats:
    """Shape (n, 2): the expected change over one day and over seven.

    Args:
        quantity: one of QUANTITIES.
        found: of `ways`.
    """
    which = np.zeros((len(found), len(QUANTITIES)))
    which[:, QUANTITIES.index(quantity)] = 1.0
    return np.asarray(model.run({"ways": found, "quantity": which})["change"])
