"""What the contract will make of our words, foreseen: a halt is told to the operator in the round that causes it."""

from __future__ import annotations

from margrave import lanes
from margrave.lanes import LANES, Words
from margrave.messages import MarketHalt, OnchainMarket
from margrave.mirror import limits as contract
from margrave.mirror.limits import MOVE_UNIT, PolicyWords
from margrave.mirror.words import RESUMED, flags
from margrave.settings import LimitPolicy, Policy
from margrave.verdicts import HaltReason


def policy_digest(policy: Policy, markets: int) -> bytes:
    """The 32 bytes by which the contract names this policy, with all markets in one class."""
    return contract.policy_digest(contract.timing(policy.round), [policy_words(policy.limits)], [0] * markets)


def policy_words(policy: LimitPolicy) -> PolicyWords:
    return contract.policy_words(policy.lanes, policy.max_price_move)


def foresee(market: str, onchain: OnchainMarket, fresh: Words, policy: PolicyWords) -> MarketHalt | None:
    """The halt that a quorum of words like ours would cause, with the figure behind it.

    The words are signed all the same: only a quorum can halt, and a member that kept its figure back would let a
    minority decide.
    """
    first = onchain.observed_at_s == 0 or bool(flags(onchain.words) & RESUMED)
    reason = contract.apply(None if first else onchain.words, fresh, policy).halt
    if reason is None:
        return None
    return MarketHalt(market=market, reason=reason, detail=_detail(reason, onchain.words, fresh, policy))


def _detail(reason: HaltReason, old: Words, fresh: Words, policy: PolicyWords) -> str:
    match reason:
        case HaltReason.PRICE_JUMP:
            move = lanes.price_usd(fresh) / lanes.price_usd(old) - 1
            allowed = policy.max_price_move_bp * MOVE_UNIT
            return f"price moved {move:+.1%} since the last accepted round, {allowed:.0%} allowed"
        case HaltReason.INCOHERENT:
            return "a return ladder or the term structure does not ascend"
        case HaltReason.OUT_OF_BOUNDS:
            low = Words(risk=policy.risk_low, market=policy.market_low)
            high = Words(risk=policy.risk_high, market=policy.market_high)
            return "; ".join(
                f"{name} {lanes.decode(fresh, name):g} outside "
                f"{lanes.decode(low, name):g} to {lanes.decode(high, name):g}"
                for name, lane in LANES.items()
                if not lane.stamped and not lanes.raw(low, name) <= lanes.raw(fresh, name) <= lanes.raw(high, name)
            )
