"""Bounds, coherence and step limits, as contracts/src/oracle/Policy.sol applies them to a median.

The policy is taken as plain values; anything shaped like `settings.RoundPolicy` and `settings.LimitPolicy` will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Final, Protocol

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from margrave.lanes import ASCENDING, EXCESS, LANE_MAX, LANES, Lane, Words, raw
from margrave.mirror.words import FIELDS, PRICE_MAX, RESUMED, Field, flags, unstamped, value
from margrave.verdicts import HaltReason

MOVE_UNIT: Final = 1e-4
MAX_SKEW_S: Final = 30
"""How far ahead of the block's clock a round may be observed: room for a proposer's clock, not for a choice."""

TIMING_TYPE: Final = "(uint32,uint32,uint32,uint32,uint32)"
LIMITS_TYPE: Final = "(uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256)"


class LaneBounds(Protocol):
    """One lane's bounds and steps in its own unit; no step (`None`) is no limit."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def max_rise(self) -> float | None: ...
    @property
    def max_fall(self) -> float | None: ...


class RoundTiming(Protocol):
    @property
    def period_s(self) -> int: ...
    @property
    def max_report_age_s(self) -> int: ...
    @property
    def aging_after_s(self) -> int: ...
    @property
    def stale_after_s(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """`Timing` of Policy.sol, in its order; seconds."""

    period: int
    max_skew: int
    max_report_age: int
    aging_after: int
    stale_after: int


@dataclass(frozen=True, slots=True)
class PolicyWords:
    """`Limits` of Policy.sol, in its order: words in the lanes' layout, and the largest price move in basis points."""

    risk_low: int
    risk_high: int
    risk_max_rise: int
    risk_max_fall: int
    market_low: int
    market_high: int
    market_max_rise: int
    market_max_fall: int
    max_price_move_bp: int


@dataclass(frozen=True, slots=True)
class Limited:
    """What the contract would store (unstamped), whether a step was held back, or why it would halt instead."""

    words: Words
    limited: bool
    halt: HaltReason | None


def timing(policy: RoundTiming) -> Timing:
    return Timing(policy.period_s, MAX_SKEW_S, policy.max_report_age_s, policy.aging_after_s, policy.stale_after_s)


def policy_words(lanes: Mapping[str, LaneBounds], max_price_move: float) -> PolicyWords:
    """Quantise limits to the wire.

    Args:
        lanes: limits of every lane that is not stamped, by name.
        max_price_move: relative move of the index price between two rounds beyond which the market halts.
    """
    chosen = [lane for lane in LANES.values() if not lane.stamped]

    def word(kind: str, values: Mapping[str, int], price: int) -> int:
        lanes_of_word = sum(values[lane.name] << lane.shift for lane in chosen if lane.word == kind)
        return lanes_of_word | (price << _price().shift if kind == "market" else 0)

    low = {x.name: _count(x, lanes[x.name].low) for x in chosen}
    high = {x.name: _count(x, lanes[x.name].high) for x in chosen}
    rise = {x.name: _step(x, lanes[x.name].max_rise) for x in chosen}
    fall = {x.name: _step(x, lanes[x.name].max_fall) for x in chosen}
    return PolicyWords(
        risk_low=word("risk", low, 0),
        risk_high=word("risk", high, 0),
        risk_max_rise=word("risk", rise, 0),
        risk_max_fall=word("risk", fall, 0),
        market_low=word("market", low, 1),
        market_high=word("market", high, PRICE_MAX),
        market_max_rise=word("market", rise, PRICE_MAX),
        market_max_fall=word("market", fall, PRICE_MAX),
        max_price_move_bp=round(max_price_move / MOVE_UNIT),
    )


def policy_digest(when: Timing, classes: Sequence[PolicyWords], class_of: Iterable[int]) -> bytes:
    """The 32 bytes that every signature names its policy by: `Config.policyDigest`.

    Args:
        when: the round's timing.
        classes: limits by class.
        class_of: the class of each market, by market id.
    """
    values = [astuple(when), [astuple(each) for each in classes], bytes(class_of)]
    return keccak(encode([TIMING_TYPE, f"{LIMITS_TYPE}[]", "bytes"], values))


def apply(old: Words | None, new: Words, policy: PolicyWords) -> Limited:
    """What becomes of a median on chain.

    Args:
        old: stored words; `None`, words never written, and words that governance resumed are nothing to step from.
        new: medians of a quorum, unstamped.
        policy: the market's class.
    """
    if old and (not old.market or flags(old) & RESUMED):
        old = None
    if halt := _refusal(old, new, policy):
        return Limited(words=new, limited=False, halt=halt)
    # After a change of policy that excludes the stored figures the median is taken whole.
    if old is None or not within_bounds(unstamped(old), policy):
        return Limited(words=new, limited=False, halt=None)
    base = unstamped(old)
    held = Words(
        risk=_held(new.risk, base.risk, policy.risk_max_rise, policy.risk_max_fall, FIELDS["risk"]),
        market=_held(new.market, base.market, policy.market_max_rise, policy.market_max_fall, FIELDS["market"]),
    )
    return Limited(words=held, limited=held != new, halt=None)


def within_bounds(words: Words, policy: PolicyWords) -> bool:
    """Whether each lane lies within the class's hard bounds."""
    return _between(words.risk, policy.risk_low, policy.risk_high, FIELDS["risk"]) and _between(
        words.market, policy.market_low, policy.market_high, FIELDS["market"]
    )


def is_coherent(words: Words) -> bool:
    """Whether both return ladders and the term structure of total volatility ascend."""
    counts = [[raw(words, name) for name in chain] for chain in ASCENDING]
    return all(chain == sorted(chain) for chain in counts)


def price_moved(old: int, new: int, max_move_bp: int) -> bool:
    """Whether the index price, in counts of the wire, moved further than a round may."""
    return abs(new - old) * 10_000 > old * max_move_bp


def _refusal(old: Words | None, new: Words, policy: PolicyWords) -> HaltReason | None:
    if not within_bounds(new, policy):
        return HaltReason.OUT_OF_BOUNDS
    if not is_coherent(new):
        return HaltReason.INCOHERENT
    price = _price()
    if old and price_moved(value(old.market, price), value(new.market, price), policy.max_price_move_bp):
        return HaltReason.PRICE_JUMP
    return None


def _between(word: int, low: int, high: int, fields: Iterable[Field]) -> bool:
    return all(value(low, field) <= value(word, field) <= value(high, field) for field in fields)


def _held(word: int, old: int, rise: int, fall: int, fields: Iterable[Field]) -> int:
    held = 0
    for field in fields:
        top = min(value(old, field) + value(rise, field), field.largest)
        bottom = max(value(old, field) - value(fall, field), 0)
        held |= max(min(value(word, field), top), bottom) << field.shift
    return held


def _price() -> Field:
    return FIELDS["market"][-1]


def _count(lane: Lane, bound: float) -> int:
    return round(bound / lane.unit) + (EXCESS if lane.signed else 0)


def _step(lane: Lane, step: float | None) -> int:
    return LANE_MAX if step is None else min(round(step / lane.unit), LANE_MAX)
