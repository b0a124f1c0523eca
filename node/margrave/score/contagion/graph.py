"""Who has what at stake in whom: a directed graph of exposures, checked at the door.

An edge `src -> dst` of so many dollars is what `dst` loses if `src` is worth nothing: `src` owes it, or is the asset
that `dst` holds. Distress flows along the arrow. Forced sales flow against it: who is sold out sells what it holds.

Five facts a node, in dollars. `outside` is what it has and no edge shows; for an asset or a stablecoin, what there is
of it. `owed` is what it owes beyond the graph, of the same seniority as its edges. `depth` is the sale that moves its
price by the factor e, infinite where it is not sold. `forced` says who must sell what it holds as it loses, `band`
between which losses. From them follow what it has, what it owes and what is its own; an asset is worth what it is worth
and owes nothing beyond that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.verdicts import Rejection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class NodeKind(StrEnum):
    """What can be in distress."""

    ASSET = "asset"
    STABLECOIN = "stablecoin"
    PROTOCOL = "protocol"
    VENUE = "venue"
    ACCOUNTS = "accounts"  # of one protocol against one collateral, by how near they are to being sold out


class Evidence(StrEnum):
    """How an edge is known: seen on a chain, or inferred from returns where nobody shows what is held."""

    COLLATERAL = "collateral"  # held by accounts that borrow against it
    BORROWED = "borrowed"  # owed by accounts to a protocol, or by a protocol to those who lend through it
    POOLED = "pooled"  # a reserve of an automated market maker
    WRAPPED = "wrapped"  # redeemable for, staked or backed by the other
    COMOVES = "comoves"  # falls when the other falls: tail dependence of returns, no holding is known


PATIENCE: Final = 0.5
"""Share of their own means that accounts of unknown health may lose before they begin to be sold out. A judgement:
lending protocols close up to half of a position at first."""
WORTH: Final = frozenset({NodeKind.ASSET, NodeKind.STABLECOIN})
"""Kinds that have a price: no means of their own stand between a loss and those who hold them."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One exposure, by name."""

    src: str
    dst: str
    usd: float
    evidence: Evidence


@dataclass(frozen=True)
class Exposures:
    """N nodes and E edges; arrays are read-only in effect: nobody writes into them."""

    names: tuple[str, ...]
    kinds: tuple[NodeKind, ...]
    outside: Floats
    """(N,) USD."""
    owed: Floats
    """(N,) USD; ignored of what has a price."""
    depth: Floats
    """(N,) USD, positive, infinite where nothing is sold."""
    forced: Flags
    """(N,)"""
    band: Floats
    """(N, 2) shares of what it has: the loss at which it begins to be sold out, and the one at which all is sold; NaN
    where that follows from its own means."""
    src: Ints
    """(E,) places in `names`."""
    dst: Ints
    """(E,)"""
    amounts: Floats
    """(E,) USD."""
    evidence: tuple[Evidence, ...]
    merged: int = field(default=0, compare=False)
    """Edges that were added to another one of the same ends and evidence."""

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def priced(self) -> Flags:
        """(N,) which are assets or stablecoins."""
        return np.array([kind in WORTH for kind in self.kinds], dtype=np.bool_)

    @cached_property
    def assets(self) -> Floats:
        """(N,) USD: all that a node has; of what has a price, all that there is of it."""
        return np.where(self.priced, self.outside, self.outside + self._sums(self.dst))

    @cached_property
    def claims(self) -> Floats:
        """(N,) USD: all that others can lose through a node."""
        return np.where(self.priced, self.outside, self.owed + self._sums(self.src))

    @cached_property
    def own(self) -> Floats:
        """(N,) USD: what a node can lose before others lose; below zero where it is insolvent already."""
        return self.assets - self.claims

    @cached_property
    def size(self) -> Floats:
        """(N,) USD, positive: what a node's loss is a share of; where it has nothing, what it owes."""
        size = np.where(self.assets > 0, self.assets, self.claims)
        return np.where(size > 0, size, 1.0)

    @cached_property
    def sold_between(self) -> Floats:
        """(N, 2) as `band`, without gaps: from `PATIENCE` of its own means to all of them."""
        own = np.maximum(self.own / self.size, 0.0)[:, None] * np.array([PATIENCE, 1.0])
        return np.where(np.isnan(self.band), own, self.band)

    @cached_property
    def press(self) -> Floats:
        """(E,) how far the log price of the source falls if the edge's holder is sold out: of all that it holds alike,
        until its debts are paid. Who owes nothing is never sold out."""
        covers = np.minimum(np.maximum(self.claims, 0.0) / self.size, 1.0)[self.dst]
        soft = self.priced[self.src] & self.forced[self.dst] & ~self.priced[self.dst]
        return np.where(soft, covers * self.amounts / self.depth[self.src], 0.0)

    def place(self, name: str) -> int:
        return self.names.index(name)

    def relabelled(self, order: Sequence[int]) -> Exposures:
        """The same graph with its nodes in another order."""
        back = np.argsort(np.asarray(order, dtype=np.int64))
        pick = np.asarray(order, dtype=np.int64)
        return Exposures(
            names=tuple(self.names[i] for i in order),
            kinds=tuple(self.kinds[i] for i in order),
            outside=self.outside[pick],
            owed=self.owed[pick],
            depth=self.depth[pick],
            forced=self.forced[pick],
            band=self.band[pick],
            src=back[self.src],
            dst=back[self.dst],
            amounts=self.amounts,
            evidence=self.evidence,
        )

    def scaled(self, factor: float) -> Exposures:
        """The same graph in another unit of money."""
        return Exposures(
            self.names, self.kinds, self.outside * factor, self.owed * factor, self.depth * factor, self.forced,
            self.band, self.src, self.dst, self.amounts * factor, self.evidence,
        )  # fmt: skip

    def edges(self) -> list[Edge]:
        return [
            Edge(self.names[s], self.names[d], float(usd), why)
            for s, d, usd, why in zip(self.src, self.dst, self.amounts, self.evidence, strict=True)
        ]

    def _sums(self, ends: Ints) -> Floats:
        return np.bincount(ends, weights=self.amounts, minlength=len(self.names)).astype(np.float64)


class Drawing:
    """Collects nodes and edges by name, in any order, and checks the whole once.

    A node that an edge names and nobody described is refused: a protocol seen for the first time is added by `node`
    like any other, and nothing need be known of it but what is owed to whom.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[NodeKind, float, float, float, bool]] = {}
        self._bands: dict[str, tuple[float, float]] = {}
        self._edges: dict[tuple[str, str, Evidence], float] = {}
        self._merged = 0

    def node(
        self,
        name: str,
        kind: NodeKind,
        *,
        outside: float = 0.0,
        owed: float = 0.0,
        depth: float = float("inf"),
        forced: bool = False,
        band: tuple[float, float] | None = None,
    ) -> None:
        """Describe a node; what is said of it again is added, and the thinner depth counts. With a `band` it is forced
        to sell within it."""
        if band is not None:
            if not 0 <= band[0] <= band[1] <= 1:
                raise Rejected(
                    Rejection.OUT_OF_RANGE, f"{name} is sold out between losses of {band[0]:g} and {band[1]:g}"
                )
            self._bands[name], forced = band, True
        if name in self._nodes:
            known, had, did_owe, deep, must = self._nodes[name]
            if known is not kind:
                raise Rejected(Rejection.MALFORMED, f"{name} is {known.value} and {kind.value} at once")
            self._nodes[name] = (kind, had + outside, did_owe + owed, min(deep, depth), must or forced)
        else:
            self._nodes[name] = (kind, outside, owed, depth, forced)

    def edge(self, src: str, dst: str, usd: float, evidence: Evidence) -> None:
        """`dst` loses up to `usd` through `src`; edges of the same ends and evidence are added up."""
        key = (src, dst, evidence)
        self._merged += key in self._edges
        self._edges[key] = self._edges.get(key, 0.0) + usd

    def __contains__(self, name: str) -> bool:
        return name in self._nodes

    def outside(self, name: str) -> float:
        """USD, of a node that was described."""
        return self._nodes[name][1]

    def done(self) -> Exposures:
        """
        Raises:
            Rejected: an amount is negative or no number, a depth is not positive, a node owes itself, or an edge ends
                at a node that nobody described.
        """
        names = tuple(self._nodes)
        at = {name: place for place, name in enumerate(names)}
        rows = list(self._nodes.values())
        _amounts("outside", names, [row[1] for row in rows])
        _amounts("owed", names, [row[2] for row in rows])
        for name, row in zip(names, rows, strict=True):
            if not row[3] > 0:
                raise Rejected(Rejection.NOT_POSITIVE, f"depth of {name} is {row[3]:g}")
        _amounts("edge", [f"{s} -> {d}" for s, d, _ in self._edges], list(self._edges.values()))
        for src, dst, _ in self._edges:
            if src == dst:
                raise Rejected(Rejection.OUT_OF_RANGE, f"{src} is exposed to itself")
            for end in (src, dst):
                if end not in at:
                    raise Rejected(
                        Rejection.MALFORMED, f"the edge {src} -> {dst} ends at {end}, which nobody described"
                    )
        return Exposures(
            names=names,
            kinds=tuple(row[0] for row in rows),
            outside=np.array([row[1] for row in rows], dtype=np.float64),
            owed=np.array([row[2] for row in rows], dtype=np.float64),
            depth=np.array([row[3] for row in rows], dtype=np.float64),
            forced=np.array([row[4] for row in rows], dtype=np.bool_),
            band=np.array([self._bands.get(name, (np.nan, np.nan)) for name in names]).reshape(-1, 2),
            src=np.array([at[s] for s, _, _ in self._edges], dtype=np.int64),
            dst=np.array([at[d] for _, d, _ in self._edges], dtype=np.int64),
            amounts=np.array(list(self._edges.values()), dtype=np.float64),
            evidence=tuple(why for _, _, why in self._edges),
            merged=self._merged,
        )


def shocks(graph: Exposures, falls: Sequence[Mapping[str, float]]) -> Floats:
    """(scenarios, N): shares of `outside` that are lost at once, by name; nothing where none is named.

    Raises:
        Rejected: a name that the graph lacks, or a share outside [0, 1].
    """
    rows = np.zeros((len(falls), len(graph)))
    for row, fall in zip(rows, falls, strict=True):
        for name, share in fall.items():
            if name not in graph.names:
                raise Rejected(Rejection.MALFORMED, f"no node {name} to shock")
            row[graph.place(name)] = share
    return checked_shocks(graph, rows)


def checked_shocks(graph: Exposures, shock: Floats) -> Floats:
    """(scenarios, N) from one scenario or many.

    Raises:
        Rejected: another number of nodes, or a share outside [0, 1].
    """
    rows = np.atleast_2d(np.asarray(shock, dtype=np.float64))
    if rows.shape[1] != len(graph):
        raise Rejected(Rejection.MALFORMED, f"a shock of {rows.shape[1]} nodes to a graph of {len(graph)}")
    bad = ~((rows >= 0) & (rows <= 1))  # and what is no number
    if bad.any():
        _, node = np.argwhere(bad)[0]
        raise Rejected(Rejection.OUT_OF_RANGE, f"the shock to {graph.names[node]} is {rows[bad][0]:g}, not a share")
    return rows


def _amounts(what: str, names: Sequence[str], values: Sequence[float]) -> None:
    checks: tuple[tuple[Rejection, Callable[[float], bool]], ...] = (
        (Rejection.NOT_FINITE, lambda value: bool(np.isfinite(value))),
        (Rejection.OUT_OF_RANGE, lambda value: value >= 0),
    )
    for name, value in zip(names, values, strict=True):
        for reason, sound in checks:
            if not sound(value):
                raise Rejected(reason, f"{what} of {name} is {value:g} USD")
