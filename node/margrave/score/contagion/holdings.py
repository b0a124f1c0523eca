"""The exposure graph of a round: what the chain shows of who holds and owes what; and beside it how markets fall
together where nobody shows it.

::

    market ---collateral---> accounts of one health bucket ---borrowed---> protocol ---borrowed---> its lenders

How they fall together is kept apart on purpose. Tail dependence is what comes of all ways at once: passed on from
market to market like a debt, it would be counted again at every turn, and two dozen markets that fall together would
pull each other to nothing. It is followed one step, from a market's whole fall to the others.

Accounts of a bucket between health factors a and b are sold out while their collateral falls by 1 - 1/a to 1 - 1/b:
a health factor is how far collateral is above what would have it seized.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from margrave.messages import HealthReading, Ladder, MarketSnapshot, PoolReading
from margrave.score import addons
from margrave.score.contagion.graph import Drawing, Evidence, Exposures, Floats, NodeKind

UNSEEN_COLLATERAL_OVER_DEPTH: Final = addons.UNKNOWN_OPEN_INTEREST_OVER_DEPTH


@dataclass(frozen=True, slots=True)
class Seen:
    """The graph of a round, and what nobody told."""

    graph: Exposures
    markets: tuple[str, ...]
    """Those scored; each is a node of its name."""
    worst: Floats
    """(markets,) the worse of each one's ES99."""
    follows: Floats
    """(i, j) the share of market j's fall that i follows it by, by tail dependence; zero on the diagonal."""
    peg: float | None
    """Of the stablecoin furthest from a dollar; `None` where none was read."""
    holdings: bool
    """Some protocol's health or some pool was read."""
    history: bool
    """The markets have hours enough in common to see them fall together."""


class Held(NamedTuple):
    """What the graph is drawn from, of one market. Worlds that are equal in it have one graph."""

    market: str
    health: tuple[HealthReading, ...]
    pools: tuple[PoolReading, ...]
    depth_usd: float | None


def held(markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder]) -> tuple[Held, ...]:
    """Of the markets that are scored."""
    return tuple(Held(of.market, of.health, of.pools, of.depth_usd) for of in markets if of.market in ladders)


def drawn(world: Sequence[Held]) -> Exposures:
    """
    Raises:
        Rejected: a health reading's amounts are negative or no numbers.
    """
    draw = Drawing()
    for market in world:
        held_usd = max(sum(sum(reading.collateral_usd) for reading in market.health), 1.0)
        draw.node(market.market, NodeKind.ASSET, outside=held_usd, depth=_depth_usd(market, held_usd))
        for reading in market.health:
            _accounts(draw, market.market, reading)
    return draw.done()


def seen(markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder], graph: Exposures | None = None) -> Seen:
    """
    Args:
        graph: of these markets, where it is drawn already.

    Raises:
        Rejected: a health reading's amounts are negative or no numbers.
    """
    scored = [market for market in markets if market.market in ladders]
    follows, history = falling_together(scored, ladders)
    return Seen(
        graph=drawn(held(scored, ladders)) if graph is None else graph,
        markets=tuple(market.market for market in scored),
        worst=_worst(scored, ladders),
        follows=follows,
        peg=_peg(scored),
        holdings=any(market.health or market.pools for market in scored),
        history=history,
    )


def falling_together(markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder]) -> tuple[Floats, bool]:
    """(i, j): the share of j's fall that i follows it by, and whether history says so; with too little of it, the
    share is taken as if they fell one to one. The formula of `addons.contagion`, pair by pair."""
    down = np.array([ladders[m.market].down_es99 for m in markets])
    up = np.array([ladders[m.market].up_es99 for m in markets])
    dependences = addons.tail_dependences(markets)
    apart = 1 - np.eye(len(markets))
    if dependences is None:
        return addons.CONTAGION_SHARE * apart, len(markets) < 2
    lower, upper = dependences
    worst = np.maximum(np.maximum(down, up), 1e-12)
    followed = np.maximum(lower * down[None, :], upper * up[None, :]) / worst[None, :]
    return addons.CONTAGION_SHARE * followed * apart, True


def _worst(markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder]) -> Floats:
    return np.array([max(ladders[m.market].down_es99, ladders[m.market].up_es99) for m in markets])


def _depth_usd(market: Held, held_usd: float) -> float:
    """The sale that moves the price by the factor e, of a book as dense as it is within 1 %."""
    pools = sum(pool.bid_depth_usd for pool in market.pools)
    depth = held_usd / UNSEEN_COLLATERAL_OVER_DEPTH if market.depth_usd is None else market.depth_usd
    return max(depth + pools, 1.0) / addons.DEPTH_BAND


def _peg(markets: Sequence[MarketSnapshot]) -> float | None:
    pegs = [market.peg for market in markets if market.peg is not None and np.isfinite(market.peg)]
    return min(pegs, key=lambda peg: -abs(1 - peg), default=None)


def _accounts(draw: Drawing, market: str, reading: HealthReading) -> None:
    edges = (0.0, *reading.edges, np.inf)
    lenders = f"lenders of {reading.protocol}"
    if reading.protocol not in draw:
        draw.node(reading.protocol, NodeKind.PROTOCOL)
        draw.node(lenders, NodeKind.ACCOUNTS)
    for place, (debt, collateral) in enumerate(zip(reading.debt_usd, reading.collateral_usd, strict=True)):
        low, high = float(edges[place]), float(edges[place + 1])
        if debt == 0 and collateral == 0:
            continue
        name = f"{reading.protocol} accounts on {market}, health {_between(low, high)}"
        draw.node(name, NodeKind.ACCOUNTS, band=(_fall(low), _fall(high)))
        draw.edge(market, name, collateral, Evidence.COLLATERAL)
        draw.edge(name, reading.protocol, debt, Evidence.BORROWED)
        draw.edge(reading.protocol, lenders, debt, Evidence.BORROWED)


def _fall(health: float) -> float:
    """The fall of collateral that brings a health factor to one."""
    return 0.0 if health <= 1 else 1 - 1 / health


def _between(low: float, high: float) -> str:
    if np.isinf(high):
        return f"above {low:g}"
    return f"below {high:g}" if low <= 0 else f"{low:g} to {high:g}"
