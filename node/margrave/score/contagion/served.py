"""Contagion of a round: the add-on a market, how much of the others' losses it would be, and the paths.

Every market in turn falls by its worse ES99, and the stablecoins by what their worst lacks of a dollar; the graph says
what that takes from everybody else, directly and by debts and forced sales on the way. A market's add-on is the worst
that reaches it. It is never below the formula of `score.addons`, which knows tail dependence alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from margrave.errors import Rejected
from margrave.messages import HurtPath, Ladder, MarketSnapshot
from margrave.score import addons
from margrave.score.contagion import network, overlap
from margrave.score.contagion.graph import Floats
from margrave.score.contagion.holdings import STABLECOINS, Seen, seen
from margrave.score.contagion.message import Contagion
from margrave.score.registry import Model

MOST_PATHS: Final = 5
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
        formula = addons.contagion(markets, ladders)
        try:
            known = seen(markets, ladders)
        except Rejected:
            return {name: _masked(said, "holdings") for name, said in formula.items()}
        if not known.markets:
            return {}
        hurt = self.hurt(known)
        masked = (*(() if known.holdings else ("holdings",)), *(() if known.history else ("common_history",)))
        learned = self.model is not None and known.holdings
        ranks = ranked(known, hurt)
        return {
            name: Contagion(
                addon=max(formula[name].addon, min(float(_reaching(known, hurt, place).max(initial=0.0)), MOST_ADDON)),
                rank=ranks[place],
                paths=paths(known, hurt, place),
                masked=masked,
                learned=learned,
            )
            for place, name in enumerate(known.markets)
        }

    def hurt(self, known: Seen) -> Floats:
        """(sources, nodes): what each market's fall, and last the stablecoins', takes from every node."""
        shock = struck(known)
        if self.model is None:
            return overlap.clear(known.graph, shock).loss
        return network.losses(self.model, known.graph, shock)


def struck(known: Seen) -> Floats:
    """(sources, nodes) the shocks: each market alone by its worse ES99, and the stablecoins where a peg was read."""
    count = len(known.markets)
    shock = np.zeros((count + (known.peg is not None), len(known.graph)))
    for place, name in enumerate(known.markets):
        shock[place, known.graph.place(name)] = min(known.worst[place], 1.0)
    if known.peg is not None:
        shock[count, known.graph.place(STABLECOINS)] = min(abs(1 - known.peg), 1.0)
    return shock


def sources(known: Seen) -> tuple[str, ...]:
    """The names of the rows of `struck`."""
    return known.markets if known.peg is None else (*known.markets, STABLECOINS)


def ranked(known: Seen, hurt: Floats) -> list[float | None]:
    """Of all that markets' falls take from other markets, each one's part; `None` where there is no other, or nothing
    is taken."""
    columns = [known.graph.place(name) for name in known.markets]
    taken = hurt[: len(columns)][:, columns].copy()
    np.fill_diagonal(taken, 0.0)
    whole = float(taken.sum())
    return [float(row.sum()) / whole if whole > 0 else None for row in taken]


def paths(known: Seen, hurt: Floats, place: int) -> tuple[HurtPath, ...]:
    """Who hurts this market, and whom it hurts beside the markets: protocols and those who lend through them."""
    name = known.markets[place]
    reaching = _reaching(known, hurt, place)
    found = [HurtPath(source=s, target=name, loss=float(x)) for s, x in zip(sources(known), reaching, strict=True)]
    for node, target in enumerate(known.graph.names):
        if not known.graph.priced[node] and not known.graph.forced[node]:
            found.append(HurtPath(source=name, target=target, loss=float(hurt[place, node])))
    felt = [path for path in found if path.loss >= LEAST_LOSS]
    return tuple(sorted(felt, key=lambda path: (-path.loss, path.source, path.target))[:MOST_PATHS])


def sentence(path: HurtPath, worst: Mapping[str, float] | None = None) -> str:
    """A path in plain words."""
    by = f" by {worst[path.source]:.1%}" if worst and path.source in worst else ""
    return f"if {path.source} falls{by}, {path.target} loses {path.loss:.2%}"


def _reaching(known: Seen, hurt: Floats, place: int) -> Floats:
    """(sources,) without its own fall: what that comes to is its ladder and its cascade."""
    column = hurt[:, known.graph.place(known.markets[place])].copy()
    column[place] = 0.0
    return np.asarray(column)


def _masked(said: Contagion, what: str) -> Contagion:
    return msgspec.structs.replace(said, masked=(*said.masked, what))
