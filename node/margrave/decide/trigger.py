"""Whether a market is due, and why: heartbeat, deviation, emergency, or only because a transaction goes anyway."""

from __future__ import annotations

from typing import Final

from margrave import lanes
from margrave.lanes import Words
from margrave.messages import OnchainMarket
from margrave.settings import RoundPolicy
from margrave.verdicts import MarketStatus, Trigger

EMERGENCY_MULTIPLE: Final = 3.0
"""An expected shortfall that rises by more than this many times its deviation is an emergency."""
EMERGENCY_LANES: Final = ("down_es99", "up_es99")
EARLY_SHARE: Final = 0.5
"""A market past this share of its deviation or heartbeat rides along. It also keeps members together: where one sees
101 % of a deviation and another 97 %, both sign the market once anything else makes a report due."""
PRICE: Final = "price"


def trigger(onchain: OnchainMarket, fresh: Words, observed_at_s: int, policy: RoundPolicy) -> Trigger | None:
    """Why `fresh` words, observed at `observed_at_s`, should be reported over what the chain holds; `None` if not.

    A halted market is never due: only governance can resume it. Nor is one whose stored words are as new.
    """
    if onchain.status is MarketStatus.HALTED:
        return None
    if onchain.observed_at_s == 0:
        return Trigger.FIRST
    if observed_at_s <= onchain.observed_at_s:
        return None
    if _is_emergency(onchain.words, fresh, policy):
        return Trigger.EMERGENCY
    moved = largest_deviation(onchain.words, fresh, policy)
    if moved > 1:
        return Trigger.DEVIATION
    waited = (observed_at_s - onchain.observed_at_s) / policy.heartbeat_s
    if waited >= 1:
        return Trigger.HEARTBEAT
    return Trigger.EARLY_RIDER if max(waited, moved) >= EARLY_SHARE else None


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
