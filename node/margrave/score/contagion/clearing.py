"""Clearing payments between those who owe each other (Eisenberg and Noe, Management Science 47(2), 2001).

Everybody pays what it owes or all that it has, pro rata. The greatest such vector is found by the fictitious default
algorithm: assume that all pay, see who cannot, solve the linear system of those who cannot, and again, at most once a
node. With a recovery below one (Rogers and Veraart, Management Science 59(4), 2013) who defaults loses a part of what
it has on the way, and the same algorithm still finds the greatest vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from margrave.errors import Rejected
from margrave.score.contagion.graph import Exposures, Flags, Floats
from margrave.verdicts import Rejection

SLACK: Final = 1e-12
"""Relative: who owes as much as it has is not in default for a rounding."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What is paid of what was owed; arrays of shape (N,)."""

    paid: Floats
    """USD."""
    ratio: Floats
    """Of `paid` over what was owed, in [0, 1]; one where nothing was."""
    defaulted: Flags
    waves: int
    """How often somebody new could not pay."""


def cleared(
    liabilities: Floats, means: Floats, *, owed: Floats | None = None, of_means: float = 1.0, of_claims: float = 1.0
) -> Cleared:
    """The greatest clearing vector.

    Args:
        liabilities: (N, N) USD, row i what i owes each.
        means: (N,) USD that each has beside what the others owe it.
        owed: (N,) USD that each owes to nobody in the graph, of the same seniority.
        of_means: share of its means that is left to who defaults (Rogers and Veraart's alpha).
        of_claims: share of what it is paid that is left (their beta).

    Raises:
        Rejected: an amount is negative or no number, a diagonal is not zero, or a recovery is no share.
    """
    beyond = np.zeros(len(means)) if owed is None else owed
    _check(liabilities, means, beyond, of_means, of_claims)
    due = liabilities.sum(axis=1) + beyond
    shares = np.divide(liabilities, due[:, None], out=np.zeros_like(liabilities), where=due[:, None] > 0)
    paid, defaulted = due.copy(), np.zeros(len(means), dtype=np.bool_)
    waves = 0
    while True:
        short = means + shares.T @ paid < due * (1 - SLACK)
        if not (short & ~defaulted).any():
            break
        defaulted |= short
        waves += 1
        paid = due.copy()
        among = shares[np.ix_(defaulted, defaulted)]
        given = of_means * means[defaulted] + of_claims * (shares[~defaulted][:, defaulted].T @ due[~defaulted])
        paid[defaulted] = _solved(among, given, of_claims)
    return Cleared(paid, np.divide(paid, due, out=np.ones_like(due), where=due > 0), defaulted, waves)


def of_graph(graph: Exposures, shock: Floats, *, of_means: float = 1.0, of_claims: float = 1.0) -> Cleared:
    """The same of a graph of debts whose outside means lost the shares `shock` (N,).

    Raises:
        Rejected: the graph holds what has a price: that is for `overlap.clear`.
    """
    if graph.priced.any():
        raise Rejected(Rejection.MALFORMED, f"{graph.names[int(np.argmax(graph.priced))]} has a price and owes nothing")
    liabilities = np.zeros((len(graph), len(graph)))
    np.add.at(liabilities, (graph.src, graph.dst), graph.amounts)
    means = graph.outside * (1 - shock)
    return cleared(liabilities, means, owed=graph.owed, of_means=of_means, of_claims=of_claims)


def _solved(among: Floats, given: Floats, of_claims: float) -> Floats:
    """Who defaults pays all that it has. Where those who default owe nobody else and have nothing, the system is
    singular, and what they pay each other is nothing."""
    system = np.eye(len(given)) - of_claims * among.T
    try:
        paid = np.linalg.solve(system, given)
    except np.linalg.LinAlgError:
        paid = np.linalg.lstsq(system, given, rcond=None)[0]
    return np.asarray(np.maximum(paid, 0.0))


def _check(liabilities: Floats, means: Floats, owed: Floats, of_means: float, of_claims: float) -> None:
    for what, values in (("a liability", liabilities), ("means", means), ("a debt beyond the graph", owed)):
        if not np.isfinite(values).all():
            raise Rejected(Rejection.NOT_FINITE, f"{what} is no number")
        if (values < 0).any():
            raise Rejected(Rejection.OUT_OF_RANGE, f"{what} is {values.min():g} USD")
    if np.diag(liabilities).any():
        raise Rejected(Rejection.OUT_OF_RANGE, f"node {int(np.argmax(np.diag(liabilities)))} owes itself")
    for what, share in (("of its means", of_means), ("of its claims", of_claims)):
        if not 0 <= share <= 1:
            raise Rejected(Rejection.OUT_OF_RANGE, f"who defaults recovers {share:g} {what}, not a share")
