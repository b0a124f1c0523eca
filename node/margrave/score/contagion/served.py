"""Contagion of a round: the add-on a market, how much of the others' losses it would be, and the paths.

Every market in turn falls by its worse ES99. The graph of holdings says what comes of it, by debts and forced sales:
how far that market falls in the end, and what others lose on the way. From its whole fall the other markets follow by
their tail dependence, one step; and all follow the stablecoin furthest from a dollar, in which margin is kept, as if
they moved one to one. A market's add-on is the worst that reaches it. It is never below the formula of `score.addons`,
which knows tail dependence alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from margrave.errors import Rejected
from margrave.messages import HurtPath, Ladder, MarketSnapshot
from margrave.score import addons
from margrave.score.contagion import network, overlap
from margrave.score.contagion.graph import Evidence, Exposures, Floats
from margrave.score.contagion.holdings import Held, Seen, drawn, held, seen
from margrave.score.contagion.message import Contagion, World
from margrave.score.registry import Model

MOST_PATHS: Final = 5
STABLECOINS: Final = "stablecoins"
LEAST_LOSS: Final = 1e-4
"""A basis point: the lane has no finer unit."""
MOST_ADDON: Final = 0.5
"""Of the index, the lane's own bound: beyond it an add-on would halt the market that it is to protect."""


class Contagions:
    """Holds no state: the same round gives the same answer."""

    def __init__(self, model: Model | None) -> None:
        """Without a model debts and prices are cleared exactly, by `overlap.clear`."""
        self.model = model

    def forecast(self, markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder]) -> dict[str, Contagion]:
        """Of every market that has a ladder. Never raises for what a snapshot holds: what is not known is masked, and
        the formula answers."""
        (found,) = self.forecasts([World(markets, ladders, addons.contagion(markets, ladders))])
        return found

    def forecasts(self, worlds: Sequence[World]) -> list[dict[str, Contagion]]:
        """`forecast` of each of some worlds. Those that hold the same have one graph, on which the falls of all of them
        run at once: a fall is a column of its own, and what stands beside it changes nothing of it."""
        alike: dict[tuple[Held, ...], list[int]] = {}
        for place, world in enumerate(worlds):
            alike.setdefault(held(world.markets, world.ladders), []).append(place)
        found: dict[int, dict[str, Contagion]] = {}
        for holding, places in alike.items():
            found |= zip(places, self._on_one_graph(holding, [worlds[place] for place in places]), strict=True)
        return [found[place] for place in range(len(worlds))]

    def _on_one_graph(self, holding: Sequence[Held], worlds: Sequence[World]) -> list[dict[str, Contagion]]:
        try:
            graph = drawn(holding)
            told = [seen(world.markets, world.ladders, graph) for world in worlds]
            hurts = self._hurts(graph, [struck(known) for known in told])
        except Rejected:
            return [{name: _masked(said, "holdings") for name, said in world.formula.items()} for world in worlds]
        return [self._said(known, hurt, world.formula) for known, hurt, world in zip(told, hurts, worlds, strict=True)]

    def _said(self, known: Seen, hurt: Floats, formula: Mapping[str, Contagion]) -> dict[str, Contagion]:
        reaching = reached(known, hurt)
        masked = (*(() if known.holdings else ("holdings",)), *(() if known.history else ("common_history",)))
        learned = self.model is not None and known.holdings
        ranks = ranked(known, reaching)
        return {
            name: Contagion(
                addon=max(formula[name].addon, min(float(reaching[:, place].max(initial=0.0)), MOST_ADDON)),
                rank=ranks[place],
                paths=paths(known, hurt, reaching, place),
                masked=masked,
                learned=learned,
            )
            for place, name in enumerate(known.markets)
        }

    def hurt(self, known: Seen) -> Floats:
        """(markets, nodes): what each market's fall takes from every node, itself among them."""
        (found,) = self._hurts(known.graph, [struck(known)])
        return found

    def _hurts(self, graph: Exposures, shocks: Sequence[Floats]) -> list[Floats]:
        """`hurt` of each world's falls on one graph. Clearing goes on until the last of its falls has settled, so it is
        asked world by world."""
        if self.model is None:
            return [overlap.clear(graph, shock).loss for shock in shocks]
        ends = np.cumsum([len(shock) for shock in shocks])[:-1]
        return np.split(network.losses(self.model, graph, np.vstack(shocks)), ends)


def struck(known: Seen) -> Floats:
    """(markets, nodes) the shocks: each market alone by its worse ES99."""
    shock = np.zeros((len(known.markets), len(known.graph)))
    for place, name in enumerate(known.markets):
        shock[place, known.graph.place(name)] = min(known.worst[place], 1.0)
    return shock


def reached(known: Seen, hurt: Floats) -> Floats:
    """(sources, markets): what of each market's fall, and last of the stablecoins' where a peg was read, reaches each
    other market; zero where a market is its own source, whose fall is its ladder and its cascade."""
    columns = [known.graph.place(name) for name in known.markets]
    through = hurt[:, columns]
    falls = np.diag(through)
    both = 1 - (1 - through) * (1 - known.follows.T * falls[:, None])
    np.fill_diagonal(both, 0.0)
    if known.peg is None:
        return both
    broken = addons.CONTAGION_SHARE * min(abs(1 - known.peg), 1.0)
    return np.vstack([both, np.full(len(columns), broken)])


def shown(known: Seen) -> Exposures:
    """The graph with an edge for every market that follows another, for who looks at it: nothing is cleared on it."""
    graph, places = known.graph, [known.graph.place(name) for name in known.markets]
    pairs = [(j, i) for i in range(len(places)) for j in range(len(places)) if known.follows[i, j] > 0]
    follow = np.array([known.follows[i, j] * graph.outside[places[i]] for j, i in pairs])
    return replace(
        graph,
        src=np.concatenate([graph.src, np.array([places[j] for j, _ in pairs], dtype=np.int64)]),
        dst=np.concatenate([graph.dst, np.array([places[i] for _, i in pairs], dtype=np.int64)]),
        amounts=np.concatenate([graph.amounts, follow]),
        evidence=(*graph.evidence, *(Evidence.COMOVES for _ in pairs)),
    )


def sources(known: Seen) -> tuple[str, ...]:
    """The names of the rows of `reached`."""
    return known.markets if known.peg is None else (*known.markets, STABLECOINS)


def ranked(known: Seen, reaching: Floats) -> list[float | None]:
    """Of all that markets' falls take from other markets, each one's part; `None` where nothing is taken."""
    taken = reaching[: len(known.markets)].sum(axis=1)
    whole = float(taken.sum())
    return [float(part) / whole if whole > 0 else None for part in taken]


def paths(known: Seen, hurt: Floats, reaching: Floats, place: int) -> tuple[HurtPath, ...]:
    """Who hurts this market, and whom it hurts beside the markets: protocols and those who lend through them."""
    name = known.markets[place]
    told = zip(sources(known), reaching[:, place], strict=True)
    found = [HurtPath(source=source, target=name, loss=float(loss)) for source, loss in told]
    for node, target in enumerate(known.graph.names):
        if not known.graph.priced[node] and not known.graph.forced[node]:
            found.append(HurtPath(source=name, target=target, loss=float(hurt[place, node])))
    felt = [path for path in found if path.loss >= LEAST_LOSS]
    return tuple(sorted(felt, key=lambda path: (-path.loss, path.source, path.target))[:MOST_PATHS])


def sentence(path: HurtPath, worst: Mapping[str, float] | None = None) -> str:
    """A path in plain words."""
    by = f" by {worst[path.source]:.1%}" if worst and path.source in worst else ""
    return f"if {path.source} falls{by}, {path.target} loses {path.loss:.2%}"


def _masked(said: Contagion, what: str) -> Contagion:
    return msgspec.structs.replace(said, masked=(*said.masked, what))
