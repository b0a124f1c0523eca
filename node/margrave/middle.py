"""The middle of an array, for hot paths: guard and score take it thousands of times a round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def median(values: NDArray[np.float64]) -> float:
    """Of some numbers, one at least. NumPy's own also cares for axes and asks whether all are numbers, which takes
    longer than to sort them."""
    ordered = np.sort(values)
    return float((ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2)
