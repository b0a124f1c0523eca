"""DebtRank: distress that travels before anybody defaults.

`first_path` is Battiston et al., Scientific Reports 2, 541 (2012): a node passes its distress on once, and what comes
back to it later is not passed again. `linear` is Bardoscia et al., PLoS ONE 10(6), 2015: every increase is passed on,
until nothing increases. Both know neither clearing nor prices: what a node lost of its own means, its creditors lose of
their claims on it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.sparse import csr_array

from margrave.score.contagion.graph import Exposures, Floats, checked_shocks

TOLERANCE: Final = 1e-12
MOST_ROUNDS: Final = 5_000


def impact(graph: Exposures) -> csr_array:
    """(dst, src): how much of its own means `dst` loses if `src` is in full distress, at most one. Who has no means of
    its own is in full distress by the smallest loss."""
    means = np.where(graph.priced, graph.outside, np.maximum(graph.own, 0.0))[graph.dst]
    share = np.divide(graph.amounts, means, out=np.ones_like(graph.amounts), where=means > 0)
    whole = csr_array((share, (graph.dst, graph.src)), shape=(len(graph), len(graph)))
    whole.data = np.minimum(whole.data, 1.0)
    return whole


def first_path(graph: Exposures, shock: Floats) -> Floats:
    """(scenarios, N): distress in [0, 1], of shocks that are shares of a node's outside means.

    Raises:
        Rejected: a shock is no share, or of another number of nodes.
    """
    weights, distress = impact(graph), began(graph, shock)
    active, spent = distress > 0, np.zeros_like(distress, dtype=np.bool_)
    while active.any():
        passed = np.minimum(distress + (weights @ np.where(active, distress, 0.0).T).T, 1.0)
        spent |= active
        active = (passed > distress) & (distress <= 0) & ~spent
        distress = passed
    return distress


def linear(graph: Exposures, shock: Floats) -> Floats:
    """(scenarios, N): distress in [0, 1].

    Raises:
        Rejected: as `first_path`.
    """
    weights, distress = impact(graph), began(graph, shock)
    risen = distress
    for _ in range(MOST_ROUNDS):
        passed = np.minimum(distress + (weights @ risen.T).T, 1.0)
        risen, distress = passed - distress, passed
        if risen.max(initial=0.0) <= TOLERANCE:
            break
    return distress


def began(graph: Exposures, shock: Floats) -> Floats:
    """(scenarios, N): what the shock takes of each node's own means, at most one."""
    lost = checked_shocks(graph, shock) * graph.outside
    means = np.where(graph.priced, graph.outside, np.maximum(graph.own, 0.0))[None, :]
    return np.minimum(np.divide(lost, means, out=(lost > 0).astype(np.float64), where=means > 0), 1.0)


def ranked(graph: Exposures, distress: Floats, began_with: Floats) -> Floats:
    """(scenarios,) DebtRank R: what was lost beyond the shock, each node weighed by its size."""
    weight = graph.size / graph.size.sum()
    return np.asarray((distress - began_with) @ weight)
