"""How close a lending protocol's borrowers are to liquidation: pure arithmetic over positions of one block.

The health factor is what the collateral is worth at its liquidation thresholds over the debt; below 1 anybody may
liquidate. A position's debt is attributed to the markets of its collateral in proportion to their value, so that the
debt against one market adds up over accounts with mixed collateral.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

EDGES: Final = (1.0, 1.02, 1.05, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0)
"""Health factors that part the buckets."""
AT_RISK_BELOW: Final = 1.05


@dataclass(frozen=True, slots=True)
class Position:
    """One account at one block. Its debt is in dollars, its collateral by asset too."""

    account: str
    health: float
    """Infinite without debt."""
    debt_usd: float
    collateral_usd: Mapping[str, float] = field(default_factory=dict)
    """Of the assets that are watched; what else there is, in `other_usd`."""
    other_usd: float = 0.0

    @property
    def total_usd(self) -> float:
        return sum(self.collateral_usd.values()) + self.other_usd


@dataclass(frozen=True, slots=True)
class Distribution:
    """Debt and collateral by bucket of health: one more bucket than edges."""

    debt_usd: tuple[float, ...]
    collateral_usd: tuple[float, ...]
    at_risk: float
    """Share of the debt with a health factor below 1.05; 0 where there is no debt."""
    concentration: float
    """Share of the debt that the largest borrower owes; 0 where there is no debt."""


def health_factor(weighted_collateral: float, debt: float) -> float:
    """Collateral at liquidation thresholds over debt, both in one unit; infinite without debt."""
    return weighted_collateral / debt if debt > 0 else math.inf


def weighted(collateral: Mapping[str, float], thresholds: Mapping[str, float]) -> float:
    """Value at liquidation thresholds; an asset without one counts for nothing, as on chain."""
    return sum(value * thresholds.get(asset, 0.0) for asset, value in collateral.items())


def distribution(positions: Iterable[Position], assets: Sequence[str], edges: Sequence[float] = EDGES) -> Distribution:
    """Debt against these assets by health factor, over all positions that have both."""
    debt, collateral = [0.0] * (len(edges) + 1), [0.0] * (len(edges) + 1)
    at_risk, largest = 0.0, 0.0
    for position in positions:
        mine = sum(position.collateral_usd.get(asset, 0.0) for asset in assets)
        if position.debt_usd <= 0 or mine <= 0:
            continue
        bucket = bisect_right(edges, position.health)
        against = position.debt_usd * mine / position.total_usd
        debt[bucket] += against
        collateral[bucket] += mine
        at_risk += against if position.health < AT_RISK_BELOW else 0.0
        largest = max(largest, against)
    total = sum(debt)
    if total <= 0:
        return Distribution(tuple(debt), tuple(collateral), 0.0, 0.0)
    return Distribution(tuple(debt), tuple(collateral), at_risk / total, min(largest / total, 1.0))


class Tracked:
    """The accounts that are watched: at most `most`, largest debts first; what is let go is counted.

    A quarter of the room is for new borrowers, because nobody's debt is known without being read once: a crowd of new
    accounts with dust can push out neither the large ones nor, for longer than one reading, each other.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._debt_usd: dict[str, float | None] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._debt_usd)

    def accounts(self) -> tuple[str, ...]:
        """Whom to read now."""
        self._trim()
        return tuple(self._debt_usd)

    def add(self, account: str) -> None:
        self._debt_usd.setdefault(account, None)
        if len(self._debt_usd) >= 2 * self._most:
            self._trim()

    def measured(self, debts_usd: Mapping[str, float], *, dust_usd: float) -> None:
        """Remember the debts that were read, and let go of accounts that have repaid."""
        for account, debt_usd in debts_usd.items():
            if account in self._debt_usd:
                if debt_usd < dust_usd:
                    del self._debt_usd[account]
                else:
                    self._debt_usd[account] = debt_usd

    def state(self) -> dict[str, float | None]:
        return dict(self._debt_usd)

    def restore(self, state: Mapping[str, float | None]) -> None:
        self._debt_usd = dict(state) | self._debt_usd
        self._trim()

    def clear(self) -> None:
        self._debt_usd.clear()

    def _trim(self) -> None:
        if len(self._debt_usd) <= self._most:
            return
        fresh = [account for account, debt in self._debt_usd.items() if debt is None][-max(self._most // 4, 1) :]
        known = sorted(((debt, account) for account, debt in self._debt_usd.items() if debt is not None), reverse=True)
        kept = {account: debt for debt, account in known[: self._most - len(fresh)]} | dict.fromkeys(fresh)
        self.dropped += len(self._debt_usd) - len(kept)
        self._debt_usd = kept
