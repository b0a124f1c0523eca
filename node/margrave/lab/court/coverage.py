"""Whether a quantile is crossed as often as it says, independently of the past: three tests of a row of hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]
Hits = NDArray[np.bool_]

DQ_LAGS: Final = 4


@dataclass(frozen=True, slots=True)
class Tested:
    """A statistic and its p-value; NaN where the data cannot answer (no hit at all says nothing of independence)."""

    statistic: float
    p: float

    @classmethod
    def unanswered(cls) -> Tested:
        return cls(float("nan"), float("nan"))


def kupiec(hits: int, count: int, p: float) -> Tested:
    """Unconditional coverage (Kupiec 1995): LR of a hit rate p against the one observed, chi-squared with 1."""
    if count == 0:
        return Tested.unanswered()
    rate = hits / count
    ratio = 2.0 * (_log_likelihood(hits, count, rate) - _log_likelihood(hits, count, p))
    return _chi2(max(float(ratio), 0.0), 1)


def independence(hits: Hits) -> Tested:
    """LR of a hit that does not depend on whether the last one hit (Christoffersen 1998), chi-squared with 1."""
    before, after = hits[:-1], hits[1:]
    n00, n01 = int((~before & ~after).sum()), int((~before & after).sum())
    n10, n11 = int((before & ~after).sum()), int((before & after).sum())
    if n01 + n11 == 0 or n10 + n11 == 0 or n00 + n01 == 0:
        return Tested.unanswered()
    apart = _log_likelihood(n01, n00 + n01, n01 / (n00 + n01)) + _log_likelihood(n11, n10 + n11, n11 / (n10 + n11))
    pooled = _log_likelihood(n01 + n11, len(after), (n01 + n11) / len(after))
    return _chi2(max(2.0 * (apart - pooled), 0.0), 1)


def christoffersen(hits: Hits, p: float) -> Tested:
    """Conditional coverage: coverage and independence together, chi-squared with 2 (Christoffersen 1998)."""
    rate, apart = kupiec(int(hits.sum()), len(hits), p), independence(hits)
    if not np.isfinite(apart.statistic):
        # Without two hits to compare there is only the rate to judge, and it keeps its own freedom.
        return rate
    return _chi2(rate.statistic + apart.statistic, 2)


def dynamic_quantile(hits: Hits, quantile: Floats, p: float, lags: int = DQ_LAGS) -> Tested:
    """Engle and Manganelli's (2004) DQ out of sample: (hit - p) regressed on a constant, its lags and the quantile.

    DQ = b' X'X b / (p (1 - p)), chi-squared with the rank of X. Columns that do not vary fall out of the rank.

    Args:
        hits: (times,).
        quantile: (times,), the forecast itself.
    """
    centred = hits.astype(np.float64) - p
    count = len(centred) - lags
    if count <= 10 * (lags + 2):
        return Tested.unanswered()
    past = np.column_stack([centred[lags - lag : len(centred) - lag] for lag in range(1, lags + 1)])
    scale = np.abs(quantile).mean() or 1.0
    columns = np.column_stack([np.ones(count), past, quantile[lags:] / scale])
    beta, _, rank, _ = np.linalg.lstsq(columns, centred[lags:], rcond=1e-8)
    fitted = columns @ beta
    return _chi2(float(fitted @ fitted) / (p * (1 - p)), int(rank))


def _log_likelihood(hits: int, count: int, rate: float) -> float:
    return float(special.xlogy(hits, rate) + special.xlog1py(count - hits, -rate))


def _chi2(statistic: float, freedom: int) -> Tested:
    return Tested(statistic, float(stats.chi2.sf(statistic, freedom)))
