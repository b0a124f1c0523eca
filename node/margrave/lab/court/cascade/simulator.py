"""The fire-sale simulator asked alone: the smallest fall after which it sees a cascade, and how likely a fall of that
size is by the same forecast of falls that the model is given."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.messages import HealthReading
from margrave.score.cascade.fire_sale import Depth, clear
from margrave.score.cascade.inputs import CASCADE, EDGES
from margrave.score.cascade.positions import WHOLE, Positions, of_health

Floats = NDArray[np.float64]

PARTS: Final = 4
"""Accounts a bucket: debts are spread evenly between edges, as the model takes them to be."""
FINE: Final = 0.002
"""Of a log fall: nearer the critical one is not told."""
THRESHOLD: Final = 0.8
"""Liquidation threshold of every account, whatever its health: it cancels."""
DEEPEST: Final = 0.8
MOST_ROUNDS: Final = 60


def positions(mass: Floats) -> Positions:
    """Accounts whose debts, in all, are what a fall to each health factor liquidates.

    Args:
        mass: (edges,) share of the deposits, as in `Questions.mass`.
    """
    debt = tuple(float(share) for share in np.append(np.diff(np.append(0.0, mass)), 0.0))
    health = (*EDGES, EDGES[-1])
    reading = HealthReading(
        source="history",
        market="collateral",
        instrument="collateral",
        venue_time_ms=0,
        seen_time_ms=0,
        protocol="history",
        edges=EDGES,
        debt_usd=debt,
        collateral_usd=tuple(owed * h / THRESHOLD for owed, h in zip(debt, health, strict=True)),
        block=0,
    )
    return of_health(reading, 1.0, bonus=0.0, close=WHOLE, parts=PARTS)


def liquidated(book: Positions, over_depth: float, fall: float) -> float:
    """Share of the deposits that is liquidated after a log fall: the clearing solution, which moves one way with it.

    Args:
        over_depth: deposits over what the books take for one per cent.
    """
    depth = Depth(np.array([1.0 / over_depth, np.inf]))
    return clear(book, depth, np.array([math.expm1(-fall), 0.0]), most_rounds=MOST_ROUNDS).repaid_usd


def critical_fall(mass: Floats, over_depth: float) -> float:
    """The smallest log fall that begins a cascade, by halving; infinite where none up to `DEEPEST` does."""
    book = positions(mass)
    # sales only deepen a fall: where the debts passed would do without them is deep enough
    alone = float(np.interp(CASCADE, np.append(0.0, mass), np.log((1.0, *EDGES))))
    low, high = 0.0, alone
    if liquidated(book, over_depth, high) < CASCADE:
        low, high = high, DEEPEST
        if liquidated(book, over_depth, high) < CASCADE:
            return math.inf
    while high - low > FINE:
        middle = (low + high) / 2
        if liquidated(book, over_depth, middle) >= CASCADE:
            high = middle
        else:
            low = middle
    return high


def probabilities(critical: Floats, scale: Floats, standard_falls: Floats) -> Floats:
    """(rows, horizons): share of earlier falls, in units of their forecast, that were deep enough.

    Args:
        critical: (rows,)
        standard_falls: (seen, horizons), ascending in each column.
    """
    said = np.empty(scale.shape)
    for horizon in range(scale.shape[1]):
        column = standard_falls[:, horizon]
        passed = len(column) - np.searchsorted(column, critical / scale[:, horizon], side="left")
        said[:, horizon] = (passed + 0.5) / (len(column) + 1.0)
    return said
