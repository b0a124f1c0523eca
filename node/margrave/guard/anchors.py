"""The agreed price against what else says where it should be. Anchors never move a price: they raise doubts.

An anchor has its own ways of being wrong (a pool is thin, a redemption rate blind to a default, another oracle late),
so none may veto venues that agree; but who reads the price is told, and its confidence falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from margrave.guard.gathered import Gathered
from margrave.messages import Doubted, Kind
from margrave.settings import GuardPolicy
from margrave.verdicts import Doubt


def pools_twap(market: Gathered) -> float | None:
    """The pools' time-weighted average, the median where there are several."""
    averages = market.values(Kind.SPOT_TWAP)
    return median(averages) if averages else None


def doubts(price: float, perpetuals: Sequence[float], market: Gathered, policy: GuardPolicy) -> list[Doubted]:
    """One doubt for each anchor that lies further off than the policy allows."""
    layers = policy.layers
    found = []

    def compare(reason: Doubt, what: str, values: Sequence[float], allowed: float, *, of_price: bool = True) -> None:
        if not values:
            return
        anchor = median(values)
        gap = price / anchor - 1 if of_price else anchor / price - 1
        if abs(gap) > allowed:
            subject = "the price is" if of_price else "they are"
            found.append(
                Doubted(reason=reason, detail=f"{what} {anchor:g}: {subject} {gap:+.2%} off, {allowed:.2%} allowed")
            )

    if layers.twap:
        compare(Doubt.OFF_TWAP, "pools' average", market.values(Kind.SPOT_TWAP), policy.max_twap_gap)
    if layers.basis:
        compare(Doubt.OFF_INDEX, "perpetuals at", perpetuals, policy.max_basis, of_price=False)
    if layers.redemption:
        values = market.values(Kind.REDEMPTION_VALUE)
        compare(Doubt.OFF_REDEMPTION, "redemption value", values, policy.max_redemption_gap)
    if layers.oracles:
        compare(Doubt.OFF_ORACLES, "other oracles say", market.values(Kind.ORACLE_PRICE), policy.max_oracle_gap)
    return found
