"""What the contract will make of our words, foreseen, and whether its limits are those this node's operator knows."""

from __future__ import annotations

from collections.abc import Iterator

from margrave import lanes
from margrave.lanes import LANES, Words
from margrave.messages import Epoch, MarketHalt, OnchainMarket
from margrave.mirror import limits as contract
from margrave.mirror.limits import MOVE_UNIT, Judged, PolicyWords
from margrave.mirror.words import FIELDS, value
from margrave.settings import LimitPolicy, Policy
from margrave.verdicts import HaltReason


def policy_digest(epoch: Epoch) -> bytes:
    """The 32 bytes that a signature names the policy by, made from the settings themselves."""
    return contract.policy_digest(
        epoch.kind, epoch.paused, epoch.timing, epoch.classes, epoch.class_of, epoch.group_of, epoch.ring_of
    )


def policy_words(policy: LimitPolicy) -> PolicyWords:
    return contract.policy_words(policy.lanes, policy.max_price_move)


def foresee(onchain: OnchainMarket, fresh: Words, epoch: Epoch, market_id: int, observed_at_s: int) -> Judged:
    """What a quorum of words like ours would become."""
    return contract.judge(
        onchain.words,
        fresh,
        epoch.limits_of(market_id),
        observed_at_s=observed_at_s,
        min_interval_s=epoch.timing.min_interval,
        paused=epoch.paused,
    )


def halt(market: str, reason: HaltReason, old: Words, fresh: Words, policy: PolicyWords) -> MarketHalt:
    """The halt that a quorum of words like ours would cause, with the figure behind it.

    The words are signed all the same: only a quorum can halt, and a member that kept its figure back would let a
    minority decide.
    """
    return MarketHalt(market=market, reason=reason, detail=_detail(reason, old, fresh, policy))


def looser(policy: Policy, epoch: Epoch) -> Iterator[str]:
    """Where the chain's rules allow more than the operator's policy.toml: a sentence each, none where nothing does.

    Tighter ones are no reason to stop: the guardian may tighten at any time, and no node must wait for a new file.
    """
    ours, when, known = policy_words(policy.limits), policy.round, epoch.timing
    if known.max_skew > when.max_skew_s:
        yield f"rounds may be {known.max_skew} s ahead of the block's clock, {when.max_skew_s} s agreed"
    if known.max_report_age > when.max_report_age_s:
        yield f"reports may be {known.max_report_age} s old, {when.max_report_age_s} s agreed"
    if known.min_interval < when.min_interval_s:
        yield f"a market may be written every {known.min_interval} s, {when.min_interval_s} s agreed"
    for class_ in sorted(set(epoch.class_of)):
        theirs = epoch.classes[class_]
        if theirs.max_price_move_bp > ours.max_price_move_bp:
            moves = f"{theirs.max_price_move_bp} bp, {ours.max_price_move_bp} bp agreed"
            yield f"class {class_}: a price may move by {moves}"
        for lane in LANES.values():
            if not lane.stamped:
                yield from (f"class {class_}: {said}" for said in _looser_lane(lane, theirs, ours))


def _looser_lane(lane: lanes.Lane, theirs: PolicyWords, ours: PolicyWords) -> Iterator[str]:
    field = next(x for x in FIELDS[lane.word] if x.name == lane.name)

    def pair(what: str) -> tuple[int, int]:
        return tuple(value(getattr(x, f"{lane.word}_{what}"), field) for x in (theirs, ours))  # type: ignore[return-value]

    for what, wider in (("low", -1), ("high", 1)):
        got, agreed = pair(what)
        if (got - agreed) * wider > 0:
            yield f"{lane.name} {what} is {got}, {agreed} agreed (in counts of {lane.unit:g})"
    steps = {"up": ("max_fall",), "down": ("max_rise",), "either": ("max_rise", "max_fall"), "none": ()}[lane.tightens]
    for what in (*steps, "daily"):
        got, agreed = pair(what)
        if got > agreed:
            yield f"{lane.name} may loosen by {got} ({what}), {agreed} agreed (in counts of {lane.unit:g})"


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
