"""The joint loss of VaR and ES without a search for its constants, for scales that all assets share.

Losses z in units of a scale, with a quantile s and a shortfall k s: at the best s and k the mean of FZ0 is ln ES_p(z)
and what the scale itself adds (see `caviar`). Its slope in anything that moves z is that of the losses in the tail.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FITTED_AT: Final = (0.10, 0.05, 0.025, 0.01)


def depth(z: Floats) -> tuple[float, Ints, Floats]:
    """The mean of ln ES_p over `FITTED_AT`, and its derivative by ln z: (value, which losses pull, how much)."""
    deepest = len(z) - int(max(FITTED_AT) * len(z))
    tail = np.argpartition(z, deepest)[deepest:]
    tail = tail[np.argsort(-z[tail], kind="stable")]
    sums = np.cumsum(z[tail])
    # Each loss pulls by its share of every tail that it is in.
    value, pull = 0.0, np.zeros(len(tail))
    for end in (int(p * len(z)) for p in FITTED_AT):
        value += float(np.log(sums[end - 1] / end)) / len(FITTED_AT)
        pull[:end] += z[tail[:end]] / sums[end - 1] / len(FITTED_AT)
    return value, tail, pull
