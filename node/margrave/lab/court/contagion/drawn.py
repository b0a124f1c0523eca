"""Graphs drawn at random, of several makes, and shocks to them: what the network learns from and is judged on.

Of each make, sizes, densities, leverage and depth vary by orders of magnitude. `UNSEEN` are kept from training: the
network is asked about kinds of system that it has never met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from margrave.score.contagion.graph import Drawing, Evidence, Exposures, Floats, NodeKind

Maker = Callable[[np.random.Generator, int], Exposures]
"""Random numbers and the number of nodes, about."""

HEAVY: Final = 1.2
"""Standard deviation of log amounts."""


def debtors(rng: np.random.Generator, nodes: int) -> Exposures:
    """Everybody owes some others at random (Erdos and Renyi's graph, Eisenberg and Noe's system)."""
    pairs = _pairs(rng, nodes, rng.uniform(1.5, 6.0) * nodes)
    return _system(rng, nodes, pairs)


def core(rng: np.random.Generator, nodes: int) -> Exposures:
    """A few owe each other and everybody else (core and periphery)."""
    few = max(3, nodes // 10)
    inner = [(a, b) for a in range(few) for b in range(few) if a != b]
    outer = [(int(rng.integers(few)), n) for n in range(few, nodes) for _ in range(rng.integers(1, 3))]
    return _system(rng, nodes, [*inner, *outer, *((b, a) for a, b in outer if rng.random() < 0.5)])


def hubs(rng: np.random.Generator, nodes: int) -> Exposures:
    """New ones join those that many have joined (Barabasi and Albert)."""
    ends, pairs = [0, 1], [(0, 1), (1, 0)]
    for node in range(2, nodes):
        for other in {int(rng.choice(ends)) for _ in range(rng.integers(1, 5))}:
            pairs.append((node, other) if rng.random() < 0.5 else (other, node))
            ends += [node, other]
    return _system(rng, nodes, pairs)


def rings(rng: np.random.Generator, nodes: int) -> Exposures:
    """Long chains and cycles: what is passed on arrives late."""
    length = int(rng.integers(4, max(5, nodes // 3)))
    pairs = [(n, n + 1 if (n + 1) % length else n + 1 - length) for n in range(nodes - nodes % length)]
    return _system(rng, nodes, [*pairs, *_pairs(rng, nodes, 0.2 * nodes)])


def funds(rng: np.random.Generator, nodes: int) -> Exposures:
    """Leveraged holders of a few assets, who are sold out of all of them (overlapping portfolios)."""
    draw, assets = Drawing(), max(2, nodes // 6)
    _assets(rng, draw, assets)
    for n in range(nodes - assets):
        _holder(rng, draw, f"h{n}", assets, rng.uniform(0.0, 0.95))
    return draw.done()


def lending(rng: np.random.Generator, nodes: int) -> Exposures:
    """Accounts by collateral and health, protocols that they owe, lenders and a stablecoin behind those."""
    draw, assets, protocols = Drawing(), max(2, nodes // 12), max(1, nodes // 20)
    _assets(rng, draw, assets)
    draw.node("usd", NodeKind.STABLECOIN, outside=1e9)
    for p in range(protocols):
        draw.node(f"p{p}", NodeKind.PROTOCOL, outside=float(rng.lognormal(12, 1.5)))
        draw.node(f"l{p}", NodeKind.ACCOUNTS, owed=0.0)
    for n in range(max(nodes - assets - 2 * protocols - 1, 2)):
        held = _holder(rng, draw, f"a{n}", assets, 0.0)
        debt = held / _health(rng)
        protocol = int(rng.integers(protocols))
        draw.edge(f"a{n}", f"p{protocol}", debt, Evidence.BORROWED)
        draw.edge(f"p{protocol}", f"l{protocol}", debt * rng.uniform(0.5, 1.0), Evidence.BORROWED)
        if rng.random() < 0.2:
            draw.edge("usd", f"p{protocol}", 0.1 * debt, Evidence.POOLED)
    return draw.done()


def markets(rng: np.random.Generator, nodes: int) -> Exposures:
    """`lending` with assets that fall together, wrapped assets, and protocols that hold each other's claims."""
    draw, assets = Drawing(), max(3, nodes // 6)
    _assets(rng, draw, assets)
    for a in range(assets):
        value = draw.outside(f"x{a}")
        for b in range(assets):
            if a != b and rng.random() < 0.5:
                draw.edge(f"x{b}", f"x{a}", 0.1 * rng.random() * value, Evidence.COMOVES)
    for w in range(assets // 3):
        worth = float(rng.lognormal(15, HEAVY))
        draw.node(f"w{w}", NodeKind.ASSET, outside=worth, depth=worth * rng.uniform(0.02, 0.5))
        draw.edge(f"x{int(rng.integers(assets))}", f"w{w}", worth, Evidence.WRAPPED)
    protocols = max(2, nodes // 15)
    for p in range(protocols):
        draw.node(f"p{p}", NodeKind.PROTOCOL, outside=float(rng.lognormal(12, 1.5)))
        draw.node(f"l{p}", NodeKind.ACCOUNTS, forced=bool(rng.random() < 0.3), owed=float(rng.lognormal(10, 2.0)))
    for p in range(protocols):
        for q in range(protocols):
            if p != q and rng.random() < 0.3:
                draw.edge(f"p{p}", f"p{q}", float(rng.lognormal(13, HEAVY)), Evidence.BORROWED)
    for n in range(max(nodes - assets - assets // 3 - 2 * protocols, 2)):
        held = _holder(rng, draw, f"a{n}", assets, 0.0)
        draw.edge(f"a{n}", f"p{int(rng.integers(protocols))}", held / _health(rng), Evidence.BORROWED)
    for p in range(protocols):
        draw.edge(f"p{p}", f"l{p}", float(rng.lognormal(14, HEAVY)), Evidence.BORROWED)
    return draw.done()


def accounts(rng: np.random.Generator, nodes: int) -> Exposures:
    """Single accounts, nearly all of them small, on a few assets of which one or two are most; some wrapped."""
    draw, assets = Drawing(), int(rng.integers(2, 9))
    worth = np.sort(rng.lognormal(15, 2.0, size=assets))[::-1]
    depth = np.exp(rng.uniform(np.log(0.1), np.log(5.0)))
    count = max(nodes - 2 * assets - 3, 4)
    debtors_of = rng.choice(assets, size=(count, 2), p=worth**0.5 / (worth**0.5).sum())
    held = rng.lognormal(0.0, 2.0, size=(count, 2)) * (np.arange(2) < rng.integers(1, 3, size=(count, 1)))
    for a in range(assets):
        shown = float(held[debtors_of == a].sum()) + 1e-3
        draw.node(f"x{a}", NodeKind.ASSET, outside=shown, depth=shown * depth)
        if rng.random() < 0.4:
            draw.node(f"u{a}", NodeKind.ASSET, outside=shown, depth=shown * depth)
            draw.edge(f"u{a}", f"x{a}", shown, Evidence.WRAPPED)
        draw.node(f"l{a}", NodeKind.ACCOUNTS)
    draw.node("p", NodeKind.PROTOCOL)
    healthier = rng.uniform(0.1, 0.6)
    for n in range(count):
        draw.node(f"a{n}", NodeKind.ACCOUNTS, forced=True)
        for a, usd in zip(debtors_of[n], held[n], strict=True):
            if usd > 0:
                draw.edge(f"x{a}", f"a{n}", float(usd), Evidence.COLLATERAL)
        debt = float(held[n].sum() / (1 + rng.gamma(2.0, healthier)))
        draw.edge(f"a{n}", "p", debt, Evidence.BORROWED)
        draw.edge("p", f"l{int(rng.integers(assets))}", debt, Evidence.BORROWED)
    return draw.done()


SEEN: Final[Mapping[str, Maker]] = {
    "debtors": debtors, "core": core, "funds": funds, "lending": lending, "accounts": accounts,
}  # fmt: skip
UNSEEN: Final[Mapping[str, Maker]] = {"hubs": hubs, "rings": rings, "markets": markets}


def shocked(rng: np.random.Generator, graph: Exposures, scenarios: int) -> Floats:
    """(scenarios, N): one node, some, or all at once, from a little to everything."""
    rows = np.zeros((scenarios, len(graph)))
    places = np.flatnonzero(graph.outside > 0)
    if not len(places):
        return rows
    for row in rows:
        how = rng.random()
        count = 1 if how < 0.4 else len(places) if how > 0.8 else int(rng.integers(1, max(2, len(places) // 4)))
        hit = rng.choice(places, size=min(count, len(places)), replace=False)
        row[hit] = np.clip(rng.beta(1, 3) * rng.uniform(0.5, 1.5, size=len(hit)), 0, 1)
    return rows


def together(graphs: list[Exposures]) -> Exposures:
    """Several graphs side by side as one, its names numbered by graph."""
    starts = np.cumsum([0, *(len(graph) for graph in graphs)])
    return Exposures(
        names=tuple(f"{i}:{name}" for i, graph in enumerate(graphs) for name in graph.names),
        kinds=tuple(kind for graph in graphs for kind in graph.kinds),
        outside=np.concatenate([graph.outside for graph in graphs]),
        owed=np.concatenate([graph.owed for graph in graphs]),
        depth=np.concatenate([graph.depth for graph in graphs]),
        forced=np.concatenate([graph.forced for graph in graphs]),
        band=np.concatenate([graph.band for graph in graphs]),
        src=np.concatenate([graph.src + start for graph, start in zip(graphs, starts, strict=False)]),
        dst=np.concatenate([graph.dst + start for graph, start in zip(graphs, starts, strict=False)]),
        amounts=np.concatenate([graph.amounts for graph in graphs]),
        evidence=tuple(why for graph in graphs for why in graph.evidence),
    )


def _pairs(rng: np.random.Generator, nodes: int, count: float) -> list[tuple[int, int]]:
    ends = rng.integers(nodes, size=(max(int(count), 1), 2))
    return [(int(a), int(b)) for a, b in ends if a != b]


def _system(rng: np.random.Generator, nodes: int, pairs: list[tuple[int, int]]) -> Exposures:
    """Debts of those pairs, with means such that leverage varies, and a few insolvent from the start."""
    draw = Drawing()
    within: dict[tuple[int, int], float] = {}
    for pair in pairs:
        within[pair] = float(rng.lognormal(13, HEAVY))
    due, held = np.zeros(nodes), np.zeros(nodes)
    for (a, b), usd in within.items():
        due[a] += usd
        held[b] += usd
    beyond = rng.uniform(0.0, 3.0) * (due + held) * rng.random(nodes)
    own = rng.uniform(0.0, 0.3, size=nodes) * rng.uniform(0.3, 1.0)
    means = np.maximum((due + beyond) / (1 - own) - held, 0.02 * (due + held) + 1.0)
    for n in range(nodes):
        draw.node(
            f"n{n}", NodeKind.PROTOCOL if n % 3 else NodeKind.VENUE, outside=float(means[n]), owed=float(beyond[n])
        )
    for (a, b), usd in within.items():
        draw.edge(f"n{a}", f"n{b}", usd, Evidence.BORROWED)
    return draw.done()


def _health(rng: np.random.Generator) -> float:
    """Collateral over debt; one account in a hundred is under water and not yet sold out."""
    return float(rng.uniform(0.9, 1.0) if rng.random() < 0.01 else 1 + rng.gamma(2.0, 0.4))


def _assets(rng: np.random.Generator, draw: Drawing, count: int) -> None:
    depth = np.exp(rng.uniform(np.log(0.05), np.log(5.0)))
    for a in range(count):
        worth = float(rng.lognormal(15, HEAVY))
        draw.node(f"x{a}", NodeKind.ASSET, outside=worth, depth=worth * depth * rng.uniform(0.3, 3.0))


def _holder(rng: np.random.Generator, draw: Drawing, name: str, assets: int, leverage: float) -> float:
    """Who holds one to four assets, some of them much; USD."""
    which = rng.choice(assets, size=min(int(rng.integers(1, 5)), assets), replace=False)
    amounts = {int(a): draw.outside(f"x{a}") * rng.lognormal(-4.5, 1.0) for a in which}
    held = sum(amounts.values())
    band = None
    if rng.random() < 0.5:
        first = rng.uniform(0.0, 0.6)
        band = (float(first), float(first + rng.uniform(0.0, 0.3)))
    draw.node(name, NodeKind.ACCOUNTS, owed=leverage * held, forced=True, band=band)
    for a, usd in amounts.items():
        draw.edge(f"x{a}", name, float(usd), Evidence.COLLATERAL)
    return float(held)
