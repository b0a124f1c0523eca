"""Whether a market is due, and why: heartbeat, deviation, emergency, or only because a transaction goes anyway."""

from __future__ import annotations

from typing import Final

from margrave import lanes
from margrave.lanes import Words
from margrave.messages import OnchainMarket
from margrave.mirror.limits import Judged
from margrave.mirror.words import RESUMED, flags
from margrave.settings import RoundPolicy
from margrave.verdicts import MarketStatus, SkipReason, Trigger

EMERGENCY_MULTIPLE: Final = 3.0
"""An expected shortfall that rises by more than this many times its deviation is an emergency."""
EMERGENCY_LANES: Final = ("down_es99", "up_es99")
EARLY_SHARE: Final = 0.5
"""A market past this share of its deviation or heartbeat rides along. It also keeps members together: where one sees
101 % of a deviation and another 97 %, both sign the market once anything else makes a report due."""
PRICE: Final = "price"
UNWRITABLE: Final = frozenset({SkipReason.HALTED, SkipReason.NOT_NEWER, SkipReason.TOO_SOON, SkipReason.ABSTAINED})


def trigger(
    onchain: OnchainMarket, fresh: Words, judged: Judged, observed_at_s: int, policy: RoundPolicy
) -> Trigger | None:
    """Why `fresh` words, observed at `observed_at_s`, should be reported over what the chain holds; `None` if not.

    A market that the contract would leave as it is whatever is reported (halted, as new, written too recently) is never
    due. What counts as a move is what would be written: a fall that a step, a budget or the guardian's pause holds back
    is no reason to pay for a transaction. Words that trust themselves too little ride along and call for nothing:
    others may see better.

    Args:
        onchain: what is stored.
        fresh: this node's words.
        judged: what the contract would make of them.
        observed_at_s: of the round, Unix seconds.
        policy: deviations and heartbeat.
    """
    if judged.skip in UNWRITABLE:
        return None
    why = _why(onchain, fresh, judged, observed_at_s, policy)
    return why if why is None or judged.skip is None else Trigger.EARLY_RIDER


def _why(
    onchain: OnchainMarket, fresh: Words, judged: Judged, observed_at_s: int, policy: RoundPolicy
) -> Trigger | None:
    if onchain.status is MarketStatus.EMPTY or flags(onchain.words) & RESUMED:
        return Trigger.FIRST
    if _is_emergency(onchain.words, fresh, policy):
        return Trigger.EMERGENCY
    written = fresh if judged.halt or judged.skip else judged.words
    moved = largest_deviation(onchain.words, written, policy)
    if moved > 1:
        return Trigger.DEVIATION
    waited = (observed_at_s - onchain.observed_at_s) / policy.heartbeat_s
    if waited >= 1:
        return Trigger.HEARTBEAT
    return Trigger.EARLY_RIDER if max(waited, moved) >= EARLY_SHARE else None


def deviates(onchain: OnchainMarket, fresh: Words, policy: RoundPolicy) -> bool:
    """Whether the figures, taken whole, lie beyond a deviation from what is stored."""
    return onchain.status is not MarketStatus.EMPTY and largest_deviation(onchain.words, fresh, policy) > 1


def largest_deviation(old: Words, new: Words, policy: RoundPolicy) -> float:
    """The largest move of any watched lane, as a multiple of its deviation; the price's is relative."""
    return max((_move(name, old, new) / limit for name, limit in policy.deviation.items()), default=0.0)


def _is_emergency(old: Words, new: Words, policy: RoundPolicy) -> bool:
    return any(
        lanes.decode(new, name) - lanes.decode(old, name) > EMERGENCY_MULTIPLE * policy.deviation[name]
        for name in EMERGENCY_LANES
        if name in policy.deviation
    )


def _move(name: str, old: Words, new: Words) -> float:
    if name == PRICE:
        return abs(lanes.price_usd(new) / lanes.price_usd(old) - 1)
    return abs(lanes.decode(new, name) - lanes.decode(old, name))
