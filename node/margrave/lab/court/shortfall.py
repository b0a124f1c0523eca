"""Whether expected shortfall is as deep as it says: Acerbi and Szekely's (2014) second test."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.coverage import Hits, Tested

Floats = NDArray[np.float64]

RESAMPLES: Final = 2_000


def z2(outcome: Floats, shortfall: Floats, hits: Hits, p: float) -> float:
    """Σ y 1{hit} / (T p e) - 1 in the lower tail: 0 where the shortfall is right, above 0 where losses were deeper or
    more frequent than stated (the sign is the opposite of the paper's, so that more is worse)."""
    return float((outcome[hits] / shortfall[hits]).sum() / (len(outcome) * p) - 1.0)


def z2_test(outcome: Floats, shortfall: Floats, hits: Hits, p: float, *, seed: int = 0, block: int = 1) -> Tested:
    """Z2 with a two-sided p-value from a moving-block bootstrap of its terms, centred on the null.

    No distribution of returns is assumed: under the null the terms y 1{hit} / (p e) have mean 1.

    Args:
        block: times that stay together, for overlapping outcomes.
    """
    terms = np.where(hits, outcome / shortfall, 0.0) / p
    count = len(terms)
    if count < 2 or not hits.any():
        return Tested.unanswered()
    found = float(terms.mean() - 1.0)
    rng = np.random.default_rng(seed)
    blocks = -(-count // block)
    starts = rng.integers(0, count, size=(RESAMPLES, blocks))
    sums = np.concatenate(([0.0], np.cumsum(np.concatenate((terms, terms[:block])))))
    means = (sums[starts + block] - sums[starts]).sum(axis=1) / (blocks * block)
    extreme = np.abs(means - terms.mean()) >= abs(found)
    return Tested(found, float((extreme.sum() + 1) / (RESAMPLES + 1)))
