"""A venue against its own past: a lone jump is not believed, a jump that others make too passes at once.

The allowance widens with the square root of the time since the venue was last accepted, as a price's own spread does,
so a venue that comes back after an outage is not locked out. Waiting out the breaker instead (a rate limit on the
price) would under-react to true gaps; asking other venues does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Final

from margrave.guard.memory import Remembered
from margrave.settings import GuardPolicy
from margrave.spans import HOUR_MS

MIN_ELAPSED_MS: Final = 60_000
"""Readings closer together than this get the allowance of one minute, not of none."""
FROZEN_AFTER_AGES: Final = 5
"""A value unchanged for this many times the allowed age, while the others moved, is a dead feed with a live clock."""
MIN_MOVERS: Final = 2
"""One venue that moves alone shows nothing about the others, least of all where a market is pegged."""


def unconfirmed(
    prices: Mapping[str, float], memory: Mapping[str, Remembered], now_ms: int, policy: GuardPolicy
) -> Mapping[str, str]:
    """The sources whose jump too few others share, each with its numbers.

    A source supports another's jump if its own price made at least half of it, in log price, the same way. With
    `min_sources` supporters (the jumper counted) the jump is the market's.
    """
    return {
        source: detail
        for source, price in prices.items()
        if (detail := _lone_jump(source, price, prices, memory, now_ms, policy))
    }


def frozen(
    prices: Mapping[str, float], memory: Mapping[str, Remembered], now_ms: int, policy: GuardPolicy
) -> Mapping[str, str]:
    """The sources that repeat one price with fresh stamps while the market left it, each with its numbers.

    The market is here the median of the sources that do not repeat themselves, `MIN_MOVERS` of them at least.
    """
    limit_ms = FROZEN_AFTER_AGES * policy.max_age_s * 1_000
    still = {s: m for s, m in memory.items() if prices.get(s) == m.value and now_ms - m.value_since_ms > limit_ms}
    moving = [price for source, price in prices.items() if source not in still]
    if len(moving) < MIN_MOVERS:
        return {}
    found: dict[str, str] = {}
    for source, past in still.items():
        moved_bp = abs(median(moving) / past.consensus_then - 1) * 1e4 if past.consensus_then else 0.0
        if moved_bp > policy.mad_floor_bp:
            seconds = (now_ms - past.value_since_ms) / 1_000
            found[source] = f"the same price for {seconds:.0f} s while the others moved {moved_bp:.0f} bp"
    return found


def idle(kept: Mapping[str, float], memory: Mapping[str, Remembered], now_ms: int, policy: GuardPolicy) -> str | None:
    """Why an agreement looks dead: every venue in it repeats itself. It may be a quiet minute of a pegged market, so it
    is told and not refused; `frozen` refuses where others show that the market moved."""
    limit_ms = FROZEN_AFTER_AGES * policy.max_age_s * 1_000
    since = [m.value_since_ms for s, p in kept.items() if (m := memory.get(s)) is not None and m.value == p]
    if not kept or len(since) < len(kept) or now_ms - max(since) <= limit_ms:
        return None
    return f"all {len(kept)} venues kept have said the same for {(now_ms - max(since)) / 1_000:.0f} s or longer"


def allowance(elapsed_ms: int, policy: GuardPolicy) -> float:
    """The log move of one venue that needs no witness, after so long."""
    return policy.breaker_per_sqrt_hour * math.sqrt(max(elapsed_ms, MIN_ELAPSED_MS) / HOUR_MS)


def _lone_jump(
    source: str,
    price: float,
    prices: Mapping[str, float],
    memory: Mapping[str, Remembered],
    now_ms: int,
    policy: GuardPolicy,
) -> str | None:
    past = memory.get(source)
    if past is None or past.accepted_price is None:
        return None
    jump = math.log(price / past.accepted_price)
    allowed = allowance(now_ms - past.accepted_ms, policy)
    if abs(jump) <= allowed:
        return None
    halfway = math.log(past.accepted_price) + jump / 2
    supporters = sum((math.log(p) - halfway) * jump >= 0 for p in prices.values())
    if supporters >= policy.min_sources:
        return None
    return f"{math.expm1(jump):+.1%} from {past.accepted_price:g}, {allowed:.1%} allowed alone, {supporters} made it"
