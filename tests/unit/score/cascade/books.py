"""Books for the tests, by hand and by hypothesis, and the same rules again in exact fractions, row by row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from margrave.score.cascade import CloseFactor, Depth, Law, Positions, Waterfall
from margrave.score.cascade.fire_sale import RESIDUE

ENDLESS = Depth(np.array([np.inf, np.inf]))
ETH, USD = 0, 1


def against_ether(
    *rows: tuple[float, float],
    price: float = 1_000.0,
    threshold: float = 0.8,
    bonus: float = 0.05,
    close: CloseFactor | None = None,
) -> Positions:
    """Rows of (ether, dollars owed)."""
    ether, owed = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    nothing = np.zeros(len(ether))
    return Positions(
        collateral=np.column_stack((ether, nothing)),
        debt=np.column_stack((nothing, owed)),
        prices_usd=np.array([price, 1.0]),
        threshold=np.array([threshold, 0.0]),
        bonus=np.array([bonus, 0.0]),
        close=close or CloseFactor(),
        assets=("ETH", "USD"),
    )


@dataclass(frozen=True, slots=True)
class Exact:
    """What the fractions say."""

    rounds: int
    sold: list[Fraction]
    prices: list[Fraction]
    collateral: list[list[Fraction]]
    debt: list[list[Fraction]]
    liquidated: Fraction
    repaid: Fraction
    bad_debt: Fraction


def exactly(positions: Positions, depth: Depth, shock: list[float]) -> Exact:
    """The waterfall account by account and asset by asset in `Fraction`s. Only the exponential of the impact is a
    float's: it has no fraction."""
    count, assets = positions.collateral.shape
    collateral = [[Fraction(x) for x in row] for row in positions.collateral.tolist()]
    debt = [[Fraction(x) for x in row] for row in positions.debt.tolist()]
    thresholds = np.broadcast_to(positions.threshold, (count, assets)).tolist()
    bonuses = np.broadcast_to(positions.bonus, (count, assets)).tolist()
    before = [Fraction(x) for x in positions.prices_usd.tolist()]
    # the shock is one multiplication in floats there, so it is here
    start = [Fraction(p * (1 + m)) for p, m in zip(positions.prices_usd.tolist(), shock, strict=True)]
    prices, sold = list(start), [Fraction(0)] * assets
    borrowed = [sum(row) for row in debt]
    rounds, liquidated, repaid_in_all = 0, Fraction(0), Fraction(0)
    while True:
        units = [Fraction(0)] * assets
        called = False
        for i in range(count):
            owed = sum(d * p for d, p in zip(debt[i], prices, strict=True))
            worth = sum(c * p * Fraction(t) for c, p, t in zip(collateral[i], prices, thresholds[i], strict=True))
            if not any(collateral[i]) or worth >= owed:
                continue
            called = True
            left = sum(debt[i]) / borrowed[i]
            close = positions.close
            whole = worth < Fraction(close.all_below_health) * owed or owed < Fraction(close.all_below_usd)
            share = Fraction(1) if whole or left < Fraction(RESIDUE) else Fraction(close.part)
            most = sum(c * p / (1 + Fraction(b)) for c, p, b in zip(collateral[i], prices, bonuses[i], strict=True))
            repaid = min(share * owed, most)
            taken = repaid / most if most else Fraction(1)
            for a in range(assets):
                units[a] += collateral[i][a] * taken
                liquidated += collateral[i][a] * taken * prices[a]
                collateral[i][a] *= 1 - taken
                debt[i][a] *= 1 - repaid / owed
            repaid_in_all += repaid
        if not called:
            break
        rounds += 1
        sold = [a + b for a, b in zip(sold, units, strict=True)]
        prices = [s * _kept(depth, q * b, a) for a, (s, q, b) in enumerate(zip(start, sold, before, strict=True))]
    bad_debt = sum(
        (sum(d * p for d, p in zip(debt[i], prices, strict=True)) for i in range(count) if not any(collateral[i])),
        Fraction(0),
    )
    return Exact(rounds, sold, prices, collateral, debt, liquidated, repaid_in_all, bad_debt)


def _kept(depth: Depth, sold_usd: Fraction, asset: int) -> Fraction:
    times = float(sold_usd) / float(depth.usd[asset])
    return Fraction(math.exp(-depth.share * (times if depth.law is Law.EVEN else math.sqrt(times))))


def losses(found: Waterfall) -> np.ndarray:
    """What a law says does not fall: coins sold, each price's fall, debt closed or lost, and debt lost."""
    gone = found.repaid_usd + found.bad_debt_usd
    return np.array([*found.sold, *(-found.prices_usd / found.shocked_usd), gone, found.bad_debt_usd])


# --- strategies -----------------------------------------------------------------------------------------------------

thresholds = st.sampled_from([0.0, 0.5, 0.75, 0.8125, 0.875])
bonuses = st.sampled_from([0.0, 0.0625, 0.125])
closes = st.builds(CloseFactor, st.sampled_from([0.25, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 0.9375]))
laws = st.sampled_from(list(Law))
moves = st.integers(-60, 0).map(lambda percent: percent / 100)


@st.composite
def positions(draw: st.DrawFn, assets: int = 3, most: int = 6) -> Positions:
    """Some coins that are collateral, and the last asset, dollars, that is owed; in the first coin debts too."""
    count = draw(st.integers(1, most))
    collateral = np.zeros((count, assets))
    debt = np.zeros((count, assets))
    for row in range(count):
        for asset in range(assets - 1):
            collateral[row, asset] = draw(st.integers(0, 64))
        debt[row, -1] = draw(st.integers(0, 4_000))
    pairs = [(draw(thresholds), draw(bonuses)) for _ in range(assets - 1)]
    return Positions(
        collateral=collateral,
        debt=debt,
        prices_usd=np.array([*(draw(st.integers(1, 64)) for _ in range(assets - 1)), 1.0]),
        threshold=np.array([*(t for t, _ in pairs), 0.0]),
        bonus=np.array([*(b for _, b in pairs), 0.0]),
        close=draw(closes),
    )


def depths(assets: int = 3) -> st.SearchStrategy[Depth]:
    usd = st.lists(st.integers(10, 10_000), min_size=assets - 1, max_size=assets - 1)
    return st.builds(lambda some, law: Depth(np.array([*some, np.inf]), 0.01, law), usd, laws)


def shocks(assets: int = 3) -> st.SearchStrategy[list[float]]:
    return st.lists(moves, min_size=assets - 1, max_size=assets - 1).map(lambda some: [*some, 0.0])
