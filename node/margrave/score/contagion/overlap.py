"""Clearing with forced sales: debts and prices settle together (Cifuentes, Ferrucci and Shin, J. Eur. Econ. Assoc. 3,
2005; the selling rule after Greenwood, Landier and Thesmar, J. Financial Economics 115, 2015).

Of every node, `size` being what it has::

    lost   = shock * outside + sum over its edges in of amount * (1 - value of the source)
    value  = (1 - clip((lost - own) / claims, 0, 1)) * exp(-sold of it / depth)
    sold   = clip((lost / size - first) / (last - first), 0, 1) of what pays its debts, if it is forced to

`own` is zero of what has a price: its value falls with every loss. All three are monotone in each other, so there is a
greatest fixed point (Tarski) and iteration from «nobody lost anything» ends there. Without prices it is Eisenberg and
Noe's. `clear` iterates all scenarios as one array; `settle` is the textbook's way, one scenario at a time, each round
of prices with its debts cleared exactly, and the two agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from margrave.score.contagion import clearing
from margrave.score.contagion.graph import Exposures, Floats, checked_shocks

NARROWEST: Final = 1e-3
"""Share of what a node has: no band of losses within which it is sold out is narrower, so that sales rise with losses
and nothing jumps."""
TOLERANCE: Final = 1e-10
MOST_ROUNDS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Distress:
    """Where shocks end; arrays of shape (scenarios, N)."""

    value: Floats
    """Of a dollar of claims on each node, in [0, 1]."""
    loss: Floats
    """Share of what each node had that is gone, in [0, 1]; of what has a price, the fall of it."""
    sold: Floats
    """Share of what each node must sell to pay its debts that it was forced to sell."""
    rounds: int
    settled: bool
    """The fixed point was reached; otherwise what was reached is still above it."""


def clear(graph: Exposures, shock: Floats, *, rounds: int = MOST_ROUNDS) -> Distress:
    """All scenarios at once, by iteration.

    Args:
        shock: (N,) or (scenarios, N), shares of `outside` lost at once.
        rounds: stop after so many, settled or not.

    Raises:
        Rejected: a shock is no share, or of another number of nodes.
    """
    rows = checked_shocks(graph, shock)
    nodes = len(graph)
    at_stake = csr_array((graph.amounts, (graph.dst, graph.src)), shape=(nodes, nodes))
    pressed = _pressed(graph)
    direct = (rows * graph.outside).T
    down, sold = np.zeros_like(direct), np.zeros_like(direct)
    own, claims = graph.own[:, None], np.where(graph.claims > 0, graph.claims, np.inf)[:, None]
    lost, settled, done = direct, False, 0
    while done < rounds and not settled:
        done += 1
        lost = direct + at_stake @ down
        sold = _sold(graph, lost)
        with np.errstate(over="ignore"):  # claims of next to nothing: all of them, or none, are lost
            short = np.clip((lost - own) / claims, 0, 1)
        fell = 1 - (1 - short) * np.exp(-(pressed @ sold))
        settled = bool(np.abs(fell - down).max(initial=0.0) <= TOLERANCE)
        down = fell
    return _distress(graph, lost.T, 1 - down.T, sold.T, done, settled)


def settle(graph: Exposures, shock: Floats) -> Distress:
    """One scenario (N,), as it is written down: prices fall, debts clear by fictitious default, who is forced sells,
    prices fall again.

    Raises:
        Rejected: as `clear`.
    """
    row = checked_shocks(graph, shock)[0]
    nodes, priced = len(graph), graph.priced
    at_stake = np.zeros((nodes, nodes))
    np.add.at(at_stake, (graph.dst, graph.src), graph.amounts)
    pressed = _pressed(graph).toarray()
    debts = ~priced
    liabilities = at_stake[np.ix_(debts, debts)].T
    value = np.ones(nodes)
    sold, done, settled = np.zeros(nodes), 0, False
    while done < MOST_ROUNDS and not settled:
        done += 1
        from_prices = at_stake[np.ix_(debts, priced)] @ value[priced]
        means = graph.outside[debts] * (1 - row[debts]) + from_prices
        cleared = clearing.cleared(liabilities, means, owed=graph.owed[debts])
        fresh = np.empty(nodes)
        fresh[debts] = cleared.ratio
        fresh[priced] = value[priced]
        lost = row * graph.outside + at_stake @ (1 - fresh)
        sold = _sold(graph, lost[:, None])[:, 0]
        kept = 1 - np.clip(lost[priced] / np.where(graph.claims[priced] > 0, graph.claims[priced], np.inf), 0, 1)
        fresh[priced] = kept * np.exp(-(pressed @ sold)[priced])
        settled = bool(np.abs(fresh - value).max(initial=0.0) <= TOLERANCE)
        value = fresh
    lost = row * graph.outside + at_stake @ (1 - value)
    return _distress(graph, lost[None], value[None], sold[None], done, settled)


def direct(graph: Exposures, shock: Floats) -> Floats:
    """(scenarios, N): the loss shares before anybody passes anything on."""
    rows = checked_shocks(graph, shock)
    return np.clip(rows * graph.outside / graph.size, 0, 1)


def _pressed(graph: Exposures) -> csr_array:
    """(asset, holder): how far the log price falls if the holder is sold out."""
    soft = graph.press > 0
    return csr_array((graph.press[soft], (graph.src[soft], graph.dst[soft])), shape=(len(graph), len(graph)))


def _sold(graph: Exposures, lost: Floats) -> Floats:
    """(N, scenarios)."""
    first, last = graph.sold_between[:, :1], graph.sold_between[:, 1:]
    gone = (lost / graph.size[:, None] - first) / np.maximum(last - first, NARROWEST)
    return np.where(graph.forced[:, None], np.clip(gone, 0, 1), 0.0)


def _distress(graph: Exposures, lost: Floats, value: Floats, sold: Floats, rounds: int, settled: bool) -> Distress:
    share = np.clip(lost / graph.size, 0, 1)
    return Distress(value, np.where(graph.priced, 1 - value, share), sold, rounds, settled)
