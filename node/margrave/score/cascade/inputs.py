"""What the learned cascade model is told: one definition for training, for the court, and for a node.

Four inputs, and nothing else: how near to liquidation the debts against a collateral are (`mass`), how far its price is
forecast to fall (`scale`), how much must be sold compared to what the books take (`over_depth`), and, for the question
«what if», a fall (`shock`). Whatever a snapshot lacks is taken on the safe side and named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.messages import HealthReading, Ladder, MarketSnapshot
from margrave.spans import HOUR_S
from margrave.verdicts import Rejection

Floats = NDArray[np.float64]

FAMILY: Final = "cascade"
HORIZONS_H: Final = (1, 24)
EDGES: Final = (1.005, 1.02, 1.05, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0)
"""Health factors: an account of health e is liquidated by a fall of its collateral to 1 / e."""
CASCADE: Final = 1e-3
"""A cascade is this share of a collateral's deposits liquidated within the horizon, or more."""
ANSWERED: Final = 0.25
"""Of the debts that a fall reaches, what is liquidated; the others top up in time, and one call closes a part. On the
one day of which both are known, 2026-02-24, the books' own past says 5 to 20 % of what the snapshot of Aave v3 shows
against wrapped bitcoin down to a health factor of 1.35, and less against cbBTC: a quarter is on the safe side."""
UNKNOWN_OVER_DEPTH: Final = 100.0
UNKNOWN_CONCENTRATION: Final = 0.2
"""Of three real markets of Aave on 2026-02-24 the largest borrower owed 4, 11 and 22 % of the debt."""
MOST_OVER_DEPTH: Final = 1e4
LEAST_SCALE: Final = 1e-4
MOST_SCALE: Final = 0.35
QUANTILES: Final = ((0.05, "down_q975"), (0.01, "down_q995"))
"""The lowest price within a period passes a level about twice as often as the last one (reflection principle)."""
FALLS: Final[Mapping[float, tuple[float, float]]] = {0.05: (1.95, 1.88), 0.01: (3.39, 3.55)}
"""Lowest price in an hour and in a day, in units of `scale`, that is passed with these probabilities: of bitcoin and
ether to 2022, as `models/train/cascade.py` finds them."""


def mass(health: Sequence[HealthReading]) -> Floats | None:
    """(edges,) what a fall to each of `EDGES` would liquidate, as a share of the borrowers' collateral: `ANSWERED` of
    the debt whose health factor is below it, over all protocols.

    Where a reading has other edges, what lies between two of its own counts as at the lower: never healthier than told.
    None without any debt.

    Raises:
        Rejected: buckets that are not one more than edges, edges that do not ascend, a debt or collateral that is
            negative or no number.
    """
    below = np.zeros(len(EDGES))
    for reading in health:
        edges, debt = np.asarray(reading.edges, dtype=np.float64), np.asarray(reading.debt_usd, dtype=np.float64)
        if len(debt) != len(edges) + 1 or not (np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
            raise Rejected(Rejection.MALFORMED, f"{reading.what}: {len(debt)} buckets between {len(edges)} edges")
        for told in (debt, np.asarray(reading.collateral_usd, dtype=np.float64)):
            if not (np.isfinite(told).all() and (told >= 0).all()):
                raise Rejected(Rejection.OUT_OF_RANGE, f"{reading.what}: balances {told.tolist()} USD")
        lower = np.append(0.0, edges)
        below += np.array([debt[lower < edge].sum() for edge in EDGES])
    return ANSWERED * below / book_usd(health) if _owed(health) > 0 else None


def book_usd(health: Sequence[HealthReading]) -> float:
    """The borrowers' collateral; where less is told than they owe, what they owe."""
    return max(math.fsum(sum(reading.collateral_usd) for reading in health), _owed(health))


def concentration(health: Sequence[HealthReading]) -> float:
    """Share of all the debt that the largest borrower owes; of a protocol that does not tell, a fifth of its own."""
    owed = _owed(health)
    largest = max(
        (
            sum(reading.debt_usd) * (UNKNOWN_CONCENTRATION if reading.concentration is None else reading.concentration)
            for reading in health
        ),
        default=0.0,
    )
    return largest / owed if owed > 0 else 0.0


def _owed(health: Sequence[HealthReading]) -> float:
    return math.fsum(sum(reading.debt_usd) for reading in health)


@dataclass(frozen=True, slots=True)
class Book:
    """What is owed against one collateral, by `mass`, `book_usd` and `concentration`."""

    mass: Floats | None
    usd: float
    concentration: float


@lru_cache(maxsize=16)
def book(health: tuple[HealthReading, ...]) -> Book:
    """Remembered: an explanation asks hundreds of times for the same few.

    Raises:
        Rejected: as `mass`.
    """
    return Book(mass(health), book_usd(health), concentration(health))


def scale(ladder: Ladder, mpor_s: int) -> Floats:
    """(horizons,) how far the price is forecast to fall: the unit in which the model's grid of falls is written.

    The wider of what two rungs of the ladder ask for, stretched by the square root of time, so that a wider tail always
    counts as a wider forecast.
    """
    found = []
    for place, horizon_h in enumerate(HORIZONS_H):
        stretch = math.sqrt(horizon_h * HOUR_S / mpor_s)
        # simple returns to log falls
        asked = [-math.log1p(-min(getattr(ladder, rung), 0.99)) / FALLS[p][place] for p, rung in QUANTILES]
        found.append(min(max(max(asked) * stretch, LEAST_SCALE), MOST_SCALE))
    return np.array(found)


def over_depth(amount_usd: float, depth_usd: float | None) -> float:
    """An amount to sell over what the books take within 1 % of the mid."""
    return UNKNOWN_OVER_DEPTH if depth_usd is None else min(amount_usd / max(depth_usd, 1.0), MOST_OVER_DEPTH)


def of_markets(
    markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder], mpor_s: int
) -> tuple[list[tuple[MarketSnapshot, Book]], dict[str, Floats]]:
    """Of those with a ladder and a health distribution that is one: which, and the graph's inputs a row each.

    `shock` is the fall that the ladder's 99.5 % rung asks for, stretched to each horizon.
    """
    asked, rows = [], []
    for market in markets:
        if market.market not in ladders:
            continue
        try:
            owed = book(market.health)
        except Rejected:
            continue  # the guard counts what it refuses; for the model it is as if nobody had said it
        if owed.mass is None:
            continue
        scales = scale(ladders[market.market], mpor_s)
        over = over_depth(owed.usd, market.depth_usd)
        asked.append((market, owed))
        rows.append((owed.mass, scales, [over], scales * np.array(FALLS[0.01])))
    names = ("mass", "scale", "over_depth", "shock")
    return asked, {name: np.array([row[at] for row in rows], dtype=np.float64) for at, name in enumerate(names)}
