"""What the inputs are made of: the variance of an hour, and trailing means that stop at gaps.

Everything has the shape (hours, assets) and at row t uses rows up to t only. NaN where an asset has no bar or too few.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.score.features.hours import Hours
from margrave.spans import YEAR_H

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEAST_PEER: Final = 0.02
"""Of the median level (a variance): what moves less is a coin pegged to money, and nobody's peer."""
LEAST_OF_PARKINSON: Final = 0.1
"""Garman and Klass's correction may take so much of the range's variance, and leave no hour that moved at zero."""


def log_return(hours: Hours) -> Floats:
    """ln(close / previous close), NaN at the first hour of a stretch."""
    found = np.full(hours.close.shape, np.nan)
    found[1:] = np.log(hours.close[1:] / hours.close[:-1])
    return found


def range_variance(hours: Hours) -> Floats:
    """Of each hour, >= 0: inside it as `inner_variance`, and the squared gap from the last close."""
    inner = inner_variance(hours.open, hours.high, hours.low, hours.close)
    gap = np.full(inner.shape, np.nan)
    with np.errstate(invalid="ignore"):
        gap[1:] = np.log(hours.open[1:] / hours.close[:-1])
    return np.asarray(inner + gap**2)


def inner_variance(open_: Floats, high: Floats, low: Floats, close: Floats) -> Floats:
    """Garman and Klass (1980), no less than a tenth of Parkinson (1980), which it is a correction of."""
    with np.errstate(invalid="ignore"):
        reach, body = np.log(high / low) ** 2, np.log(close / open_) ** 2
    parkinson = reach / (4.0 * np.log(2.0))
    return np.asarray(np.maximum(0.5 * reach - (2.0 * np.log(2.0) - 1.0) * body, LEAST_OF_PARKINSON * parkinson))


def lagged(values: Floats, steps: int) -> Floats:
    """What stood `steps` rows earlier, NaN before the beginning."""
    moved = np.full(values.shape, np.nan)
    if steps < len(values):
        moved[steps:] = values[: len(values) - steps] if steps else values
    return moved


def trailing_mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` rows, NaN unless all are there. By doubling: the same bits wherever a series begins."""
    total: Floats | None = None
    covered, power, width = 0, values, 1
    while True:
        if window & width:
            total = lagged(power, covered) if total is None else total + lagged(power, covered)
            covered += width
        width *= 2
        if width > window:
            break
        power = power + lagged(power, width // 2)
    assert total is not None
    return np.asarray(total / window)


def peers_of(level: Floats) -> Flags:
    """(hours, assets): of a level that is no small part of the median of those that are there."""
    there = np.isfinite(level)
    some = there.any(axis=1)
    median = np.full(len(level), np.nan)
    median[some] = np.nanmedian(level[some], axis=1)
    return np.asarray(there & (np.where(there, level, 0.0) >= LEAST_PEER * median[:, None]))


def mean_over(values: Floats, who: Flags) -> Floats:
    """(…, 1): over those on the last axis that are asked for and there; NaN where nobody is."""
    there = who & np.isfinite(values)
    count = there.sum(axis=-1, keepdims=True)
    total = np.where(there, values, 0.0).sum(axis=-1, keepdims=True)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def implied_log(hours: Hours) -> Floats:
    """Log variance an hour by the asset's own implied volatility; NaN where it has none."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.log(np.where(hours.dvol > 0, hours.dvol, np.nan) ** 2 / YEAR_H))
