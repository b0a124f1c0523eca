"""What the contagion network is told of a graph, in shares of what each node has: one definition for training, court
and node."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from margrave.score.contagion.graph import Exposures, Floats, checked_shocks
from margrave.score.registry import Model

FAMILY = "contagion"
Tensors = dict[str, NDArray[np.generic]]
MOST: float = 1e3
"""Shares are cut there: what owes a thousand times what it has is insolvent in any case."""


def tensors(graph: Exposures, shock: Floats) -> Tensors:
    """Inputs of the graph network, float32, edges of the graph and a column a scenario.

    Raises:
        Rejected: a shock is no share, or of another number of nodes.
    """
    rows = checked_shocks(graph, shock)
    size, priced, forced = graph.size, graph.priced, graph.forced
    first, last = graph.sold_between.T
    nodes = np.stack([graph.outside / size, graph.own / size, graph.claims / size, priced, forced, first, last], axis=1)
    per = {"shock": rows.T, "nodes": nodes, "stake": graph.amounts / size[graph.dst],
           "press": graph.press}  # fmt: skip
    told: Tensors = {name: np.clip(values, -MOST, MOST).astype(np.float32) for name, values in per.items()}
    return told | {"src": graph.src, "dst": graph.dst}


def losses(model: Model, graph: Exposures, shock: Floats) -> Floats:
    """(scenarios, N) loss shares, as `overlap.Distress.loss`.

    Raises:
        Rejected: as `tensors`.
    """
    told = tensors(graph, shock)
    if not len(graph.src):  # no edge, nothing to pass on
        return np.clip(checked_shocks(graph, shock) * graph.outside / graph.size, 0, 1)
    return np.clip(model.run(told)["loss"].T, 0.0, 1.0)
