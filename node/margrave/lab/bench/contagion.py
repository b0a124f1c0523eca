"""How much sooner the contagion network answers than full clearing, on one graph of lending and markets of each size.

Full clearing is run in two ways: the textbook's, one scenario at a time with debts cleared by fictitious default inside
a search for prices, and its fair rival, the same fixed point iterated on all scenarios as one array. Both and the
network run on one thread; the network is asked once for all scenarios. Rank correlation stands beside the times: an
answer that is soon and wrong is worth nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from margrave.lab.bench.measured import figure
from margrave.lab.court.contagion import drawn
from margrave.lab.court.contagion.ranking import spearman
from margrave.score.contagion import network, overlap
from margrave.score.registry import open_model
from margrave.settings import REGISTRY

SIZES: Final = {50: 20, 200: 6, 800: 1}
"""Nodes, about, and how many scenarios the textbook is given."""
SCENARIOS: Final = 256
RUNS: Final = 3
TARGET: Final = 100.0
SEED: Final = 1


def run(say: Callable[[str], None]) -> dict[str, Any]:
    """
    Raises:
        Fatal: the network is not in the registry, or not whole.
    """
    model = open_model(REGISTRY, f"{network.FAMILY}/1")
    rows, targets = [], []
    for nodes, few in SIZES.items():
        rng = np.random.default_rng(SEED)
        for name, make in (("lending", drawn.lending), ("markets", drawn.markets)):
            graph = make(rng, nodes)
            say(f"{name}, {len(graph)} nodes")
            shock = drawn.shocked(rng, graph, SCENARIOS)
            ours = best(partial(model.run, network.tensors(graph, shock)), RUNS) / SCENARIOS
            fair = best(partial(overlap.clear, graph, shock), 1) / SCENARIOS
            started = time.perf_counter()
            for one in shock[:few]:
                overlap.settle(graph, one)
            slow = (time.perf_counter() - started) / few
            true, said = overlap.clear(graph, shock).loss, network.losses(model, graph, shock)
            ranks = [value for a, b in zip(said, true, strict=True) if (value := spearman(a, b)) is not None]
            rank = float(np.mean(ranks))
            row = {
                "graph": name, "nodes": len(graph), "edges": len(graph.src), "network_us": 1e6 * ours,
                "iterated_us": 1e6 * fair, "textbook_us": 1e6 * slow, "spearman": rank,
            }  # fmt: skip
            rows.append(row)
            label = f"{name}, {len(graph)} nodes"
            targets += [
                figure(f"{label}: textbook over network", slow / ours, "x", least=TARGET),
                figure(f"{label}: iterated over network", fair / ours, "x"),
                figure(f"{label}: network, a scenario", 1e6 * ours, "us"),
                figure(f"{label}: Spearman with clearing", rank, ""),
            ]
    return {"rows": rows, "scenarios": SCENARIOS, "targets": targets}


def best(work: Callable[[], object], runs: int) -> float:
    """Seconds, the least of several runs after one that warms."""
    if runs > 1:
        work()
    spent = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    return min(spent)
