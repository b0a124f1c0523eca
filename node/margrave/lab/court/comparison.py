"""Whether one forecast is better than another, or than all others, by more than luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

MCS_SIZE: Final = 0.10
MCS_RESAMPLES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean loss difference (negative favours the first), its t and two-sided p."""

    mean: float
    t: float
    p: float
    times: int


def by_time(losses: Floats, times: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """(distinct times ascending, mean over the rows of each): assets crash together, so a time is one observation."""
    distinct, place = np.unique(times, return_inverse=True)
    counts = np.bincount(place)
    return distinct, np.bincount(place, weights=losses) / counts


def newey_west(values: Floats, lags: int | None = None) -> float:
    """Variance of the mean of an autocorrelated series, Bartlett weights (Newey and West 1987).

    Args:
        lags: `None` takes their 1994 rule of thumb, floor(4 (n / 100)^(2/9)).
    """
    count = len(values)
    lags = int(4 * (count / 100) ** (2 / 9)) if lags is None else lags
    centred = values - values.mean()
    variance = float(centred @ centred) / count
    for lag in range(1, min(lags, count - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / count
    return variance / count


def diebold_mariano(
    first: Floats, second: Floats, times: NDArray[np.int64] | None = None, lags: int | None = None
) -> Difference:
    """Diebold and Mariano (1995) on per-row losses; with `times`, rows of one time are averaged first."""
    difference = first - second
    if times is not None:
        _, difference = by_time(difference, times)
    mean, variance = float(difference.mean()), newey_west(difference, lags)
    if variance <= 0.0:
        return Difference(mean, float(np.copysign(np.inf, mean)) if mean else 0.0, float(mean == 0.0), len(difference))
    t = mean / variance**0.5
    return Difference(mean, t, 2.0 * float(stats.norm.sf(abs(t))), len(difference))


def model_confidence_set(losses: Mapping[str, Floats], *, block: int, seed: int = 0) -> Mapping[str, float]:
    """P-value of each model for being among the best (Hansen, Lunde and Nason 2011): `arch.bootstrap.MCS`, range
    statistic, stationary bootstrap. Those above `MCS_SIZE` are in the 90 % set.

    Args:
        losses: name -> (times,), all of the same times.
        block: mean length of a block, in times.
    """
    import pandas as pd
    from arch.bootstrap import MCS

    names = sorted(losses)
    frame = pd.DataFrame({name: losses[name] for name in names})
    mcs = MCS(frame, size=MCS_SIZE, reps=MCS_RESAMPLES, block_size=block, method="R", seed=seed)
    mcs.compute()
    values = mcs.pvalues["Pvalue"]
    return {name: float(values.loc[name]) for name in names}


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down adjustment: the chance of one false rejection among all stays below the level.

    NaN stay NaN and do not count.
    """
    values = np.asarray(p_values, dtype=np.float64)
    asked = np.flatnonzero(np.isfinite(values))
    order = asked[np.argsort(values[asked], kind="stable")]
    scaled = values[order] * np.arange(len(order), 0, -1)
    adjusted = values.copy()
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(p) for p in adjusted]
