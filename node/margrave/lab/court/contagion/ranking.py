"""Does the network order nodes by distress as full clearing does, and how much sooner: on drawn graphs of makes and
sizes that it never saw, and on those that the folder holds.

Losses below a basis point count as none. «Beyond the shock» is what a node lost less what the shock took from it: the
harder question, since everybody knows the shock. All stopwatches are of one thread: the textbook's clearing takes one
scenario at a time, the iterated one and the network take all of them as one array.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.stats import rankdata

from margrave.lab.court.contagion import drawn
from margrave.lab.court.contagion.found import DEPTHS, Found, deepened, roots
from margrave.score.contagion import debtrank, network, overlap
from margrave.score.contagion.graph import Exposures, Floats
from margrave.score.contagion.served import LEAST_LOSS
from margrave.score.registry import Model

NETWORK: Final = "network"
BROKEN_OFF: Final = "clearing, 12 rounds"
ROUNDS: Final = 12
"""As many as the network passes distress on."""
SIZES: Final = (40, 150, 500)
DRAWS: Final = 3
SCENARIOS: Final = 32
TEXTBOOK: Final = 3
"""Scenarios that are cleared the textbook's way, where it is not hopeless."""
MOST_DENSE: Final = 1_400
"""Nodes: the textbook's linear systems of more take minutes, and of half as many, seconds: those are solved once."""
FALLS: Final = (0.05, 0.15, 0.30)


@dataclass(slots=True)
class Scored:
    """Of one method on one kind of graph; one number a scenario."""

    whole: list[float] = field(default_factory=list)
    beyond: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    seconds: float = 0.0
    scenarios: int = 0


@dataclass(slots=True)
class Ranked:
    """By kind of graph, and by method."""

    scores: dict[str, dict[str, Scored]]
    nodes: dict[str, list[int]]
    textbook: dict[str, tuple[float, int]]
    """Seconds and scenarios of `overlap.settle`, and what the same graphs took otherwise is in `scores`."""
    iterated: dict[str, tuple[float, int]]
    ratios: dict[str, list[float]]
    """Of each graph: the textbook's seconds a scenario over the network's."""


def ranked(
    model: Model | None, graphs: Sequence[Found], *, quick: bool, say: Callable[[str], None], textbook: bool = True
) -> Ranked:
    """All kinds. Without the textbook's way nothing is said of times, and minutes are saved."""
    found = Ranked({}, {}, {}, {}, {})
    rng = np.random.default_rng(20_240)
    for seen, makers in ((True, drawn.SEEN), (False, drawn.UNSEEN)):
        for name, make in makers.items():
            kind = f"drawn, {name}{'' if seen else ', unseen'}"
            say(f"contagion: {kind}")
            for nodes in SIZES[: 2 if quick else None]:
                for _ in range(1 if quick else DRAWS):
                    graph = make(rng, nodes)
                    hear(found, kind, graph, drawn.shocked(rng, graph, SCENARIOS), model, textbook=textbook)
    for one in graphs:
        for depth in DEPTHS:
            say(f"contagion: {one.label}, depth {depth:g}")
            graph = deepened(one.graph, depth)
            hear(found, f"{one.label}, depth {depth:g}", graph, falling(rng, graph), model, textbook=textbook)
    return found


def hear(
    found: Ranked, kind: str, graph: Exposures, shock: Floats, model: Model | None, *, textbook: bool = True
) -> None:
    started = time.perf_counter()
    truth = overlap.clear(graph, shock)
    _add(found.iterated, kind, time.perf_counter() - started, len(shock))
    at_once = overlap.direct(graph, shock)
    found.nodes.setdefault(kind, []).append(len(graph))
    spent: float | None = None
    for name, measure in _methods(model).items():
        started = time.perf_counter()
        said = measure(graph, shock)
        seconds = time.perf_counter() - started
        spent = seconds / len(shock) if name == NETWORK else spent
        scored = found.scores.setdefault(kind, {}).setdefault(name, Scored())
        scored.seconds += seconds
        scored.scenarios += len(shock)
        for mine, true, began in zip(said, truth.loss, at_once, strict=True):
            scored.error.append(float(np.abs(mine - true).mean()))
            _keep(scored.whole, spearman(mine, true))
            _keep(scored.beyond, spearman(mine - began, true - began))
    if textbook and len(graph) <= MOST_DENSE:
        rows = shock[: TEXTBOOK if 2 * len(graph) <= MOST_DENSE else 1]
        started = time.perf_counter()
        for row in rows:
            overlap.settle(graph, row)
        seconds = time.perf_counter() - started
        _add(found.textbook, kind, seconds, len(rows))
        if spent is not None:
            found.ratios.setdefault(kind, []).append(seconds / len(rows) / spent)


def falling(rng: np.random.Generator, graph: Exposures) -> Floats:
    """Each asset alone and all at once, by `FALLS`, and some at random."""
    places = np.flatnonzero(graph.priced)
    rows = np.zeros((len(FALLS) * (len(places) + 1), len(graph)))
    for step, fall in enumerate(FALLS):
        first = step * (len(places) + 1)
        rows[first + np.arange(len(places)), places] = fall
        rows[first + len(places), roots(graph)] = fall
    return np.concatenate([rows, drawn.shocked(rng, graph, SCENARIOS)])


def spearman(said: Floats, true: Floats) -> float | None:
    """Rank correlation with ties shared; `None` where nothing is to be ordered, 0 where all are said to be equal."""
    a, b = np.round(said / LEAST_LOSS), np.round(true / LEAST_LOSS)
    if np.ptp(b) == 0:
        return None
    if np.ptp(a) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _methods(model: Model | None) -> Mapping[str, Callable[[Exposures, Floats], Floats]]:
    known: dict[str, Callable[[Exposures, Floats], Floats]] = {
        BROKEN_OFF: lambda graph, shock: overlap.clear(graph, shock, rounds=ROUNDS).loss,
        "DebtRank, linear": debtrank.linear,
        "DebtRank, first path": debtrank.first_path,
        "the shock alone": overlap.direct,
    }
    if model is None:
        return known
    return {NETWORK: lambda graph, shock: network.losses(model, graph, shock), **known}


def _keep(into: list[float], value: float | None) -> None:
    if value is not None:
        into.append(value)


def _add(into: dict[str, tuple[float, int]], kind: str, seconds: float, scenarios: int) -> None:
    before = into.get(kind, (0.0, 0))
    into[kind] = before[0] + seconds, before[1] + scenarios
