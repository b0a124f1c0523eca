"""What becomes of a median, as contracts/src/oracle/Policy.sol judges it: bounds, coherence, steps and daily budgets.

The policy is taken as plain values; anything shaped like `settings.RoundPolicy` and `settings.LimitPolicy` will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Final, Protocol

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from margrave.lanes import ASCENDING, EXCESS, LANE_MAX, LANES, Lane, WordName, Words, raw
from margrave.lanes import observed_at_s as stamp_of
from margrave.mirror.words import FIELDS, HALT, PRICE_MAX, RESUMED, Field, flags, unstamped, value
from margrave.spans import DAY_S
from margrave.verdicts import HaltReason, ReportKind, SkipReason

MOVE_UNIT: Final = 1e-4
TICKS: Final = 1 << 16
"""A day in the budget's clock."""
KINDS: Final = tuple(ReportKind)
"""In the order of `ReportKind` in Config.sol."""

TIMING_TYPE: Final = "(uint32,uint32,uint32)"
LIMITS_TYPE: Final = "(uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256)"


class LaneBounds(Protocol):
    """One lane's bounds, steps and daily budget in its own unit; no step or budget (`None`) is no limit."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def max_rise(self) -> float | None: ...
    @property
    def max_fall(self) -> float | None: ...
    @property
    def daily(self) -> float | None: ...


class RoundTiming(Protocol):
    @property
    def max_skew_s(self) -> int: ...
    @property
    def max_report_age_s(self) -> int: ...
    @property
    def min_interval_s(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """`Timing` of Policy.sol, in its order; seconds."""

    max_skew: int
    max_report_age: int
    min_interval: int


@dataclass(frozen=True, slots=True)
class PolicyWords:
    """`Limits` of Policy.sol, in its order: words in the lanes' layout, and the largest price move in basis points."""

    risk_low: int
    risk_high: int
    risk_max_rise: int
    risk_max_fall: int
    risk_daily: int
    market_low: int
    market_high: int
    market_max_rise: int
    market_max_fall: int
    market_daily: int
    max_price_move_bp: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What the contract would store (unstamped), whether a step or budget held it back, or why it halts or skips."""

    words: Words
    limited: bool = False
    halt: HaltReason | None = None
    skip: SkipReason | None = None


def timing(policy: RoundTiming) -> Timing:
    return Timing(policy.max_skew_s, policy.max_report_age_s, policy.min_interval_s)


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
    daily = {x.name: _step(x, lanes[x.name].daily) for x in chosen}
    return PolicyWords(
        risk_low=word("risk", low, 0),
        risk_high=word("risk", high, 0),
        risk_max_rise=word("risk", rise, 0),
        risk_max_fall=word("risk", fall, 0),
        risk_daily=word("risk", daily, 0),
        market_low=word("market", low, 1),
        market_high=word("market", high, PRICE_MAX),
        market_max_rise=word("market", rise, PRICE_MAX),
        market_max_fall=word("market", fall, PRICE_MAX),
        market_daily=word("market", daily, 0),
        max_price_move_bp=round(max_price_move / MOVE_UNIT),
    )


def policy_digest(
    kind: ReportKind,
    paused: bool,
    when: Timing,
    classes: Sequence[PolicyWords],
    class_of: Iterable[int],
    group_of: Iterable[int],
    ring_of: Iterable[int],
) -> bytes:
    """The 32 bytes that every signature names its policy by: `Config.policyDigest`.

    Args:
        kind: which reports the deployment takes.
        paused: whether the guardian has stopped loosening.
        when: the round's timing.
        classes: limits by class.
        class_of: the class of each market, by market id.
        group_of: the group of each market; 0 is alone.
        ring_of: the length of each market's history ring.
    """
    values = [
        KINDS.index(kind),
        paused,
        astuple(when),
        [astuple(each) for each in classes],
        bytes(class_of),
        bytes(group_of),
        bytes(ring_of),
    ]
    return keccak(encode(["uint8", "bool", TIMING_TYPE, f"{LIMITS_TYPE}[]", "bytes", "bytes", "bytes"], values))


def judge(
    old: Words, new: Words, policy: PolicyWords, *, observed_at_s: int, min_interval_s: int = 0, paused: bool = False
) -> Judged:
    """What becomes of a median on chain: `Policy.judge`, in its order.

    Args:
        old: stored words with their stamp; zero words were never written. What governance resumed is nothing to step
            from either.
        new: medians of a quorum, unstamped; a zero word is an abstention.
        policy: the market's class.
        observed_at_s: Unix seconds of the medians' round.
        min_interval_s: least time since the stored observation.
        paused: whether the guardian has stopped loosening.
    """
    last_s = stamp_of(old)
    fresh = not value(old.market, _price()) or bool(flags(old) & RESUMED)
    if skip := _skip(old, new, policy, observed_at_s - last_s, 0 if fresh else min_interval_s):
        return Judged(words=new, skip=skip)
    if halt := _refusal(None if fresh else old, new, policy):
        return Judged(words=new, halt=halt)
    if fresh:
        return Judged(words=new)
    base = _clamped(unstamped(old), policy)
    held = Words(
        risk=_held(new.risk, base.risk, "risk", policy, last_s, observed_at_s, paused=paused),
        market=_held(new.market, base.market, "market", policy, last_s, observed_at_s, paused=paused),
    )
    return Judged(words=held, limited=held != new)


def granted(daily: int, from_s: int, to_s: int) -> int:
    """How much of a lane's daily budget, in counts, is granted between two times, at most one day's.

    It is counted out on a clock, so that over any number of writes the grants add up to the budget of the whole time.
    The largest budget is none.
    """
    if daily == LANE_MAX:
        return LANE_MAX

    def by(time_s: int) -> int:
        return daily * (time_s // DAY_S) + (daily * (time_s % DAY_S * TICKS // DAY_S) >> 16)

    return by(to_s) - by(max(from_s, to_s - DAY_S))


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


def _clamped(words: Words, policy: PolicyWords) -> Words:
    """Each lane held to the bounds, which governance may have changed since it was stored."""

    def held(word: int, low: int, high: int, name: WordName) -> int:
        return sum(
            min(max(value(word, field), value(low, field)), value(high, field)) << field.shift for field in FIELDS[name]
        )

    return Words(
        risk=held(words.risk, policy.risk_low, policy.risk_high, "risk"),
        market=held(words.market, policy.market_low, policy.market_high, "market"),
    )


def _skip(old: Words, new: Words, policy: PolicyWords, elapsed_s: int, min_interval_s: int) -> SkipReason | None:
    if flags(old) & HALT:
        return SkipReason.HALTED
    if elapsed_s <= 0:
        return SkipReason.NOT_NEWER
    if elapsed_s < min_interval_s:
        return SkipReason.TOO_SOON
    if not new.risk or not new.market:
        return SkipReason.ABSTAINED
    if raw(new, "confidence") < raw(Words(risk=policy.risk_low, market=policy.market_low), "confidence"):
        return SkipReason.LOW_CONFIDENCE
    return None


def _held(word: int, old: int, name: WordName, policy: PolicyWords, from_s: int, to_s: int, *, paused: bool) -> int:
    """Each lane within its largest step and, where the move would loosen, within what its budget grants."""
    rise, fall, daily = (
        (policy.risk_max_rise, policy.risk_max_fall, policy.risk_daily)
        if name == "risk"
        else (policy.market_max_rise, policy.market_max_fall, policy.market_daily)
    )
    held = 0
    for field in FIELDS[name]:
        up, down = value(rise, field), value(fall, field)
        lane = LANES.get(field.name)
        if lane is not None:  # a price neither tightens nor loosens
            budget = 0 if paused else granted(value(daily, field), from_s, to_s)
            up = min(up, budget) if lane.tightens in ("down", "either") else up
            down = min(down, budget) if lane.tightens in ("up", "either") else down
        top = min(value(old, field) + up, field.largest)
        bottom = max(value(old, field) - down, 0)
        held |= max(min(value(word, field), top), bottom) << field.shift
    return held


def _price() -> Field:
    return FIELDS["market"][-1]


def _count(lane: Lane, bound: float) -> int:
    return round(bound / lane.unit) + (EXCESS if lane.signed else 0)


def _step(lane: Lane, step: float | None) -> int:
    return LANE_MAX if step is None else min(round(step / lane.unit), LANE_MAX)
