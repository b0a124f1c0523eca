"""What the contract would do, foreseen with its figures; and whether its rules are looser than the operator's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.decide import limits
from margrave.decide.limits import foresee, looser, policy_digest, policy_words
from margrave.lanes import LANES, Words
from margrave.messages import Epoch, MarketHalt, OnchainMarket
from margrave.mirror.words import RESUMED, unstamped
from margrave.verdicts import HaltReason, ReportKind, SkipReason
from tests.unit.decide.sample import POLICY, T_S, epoch_of, onchain, words

BOUNDS = policy_words(POLICY.limits)
RULES = epoch_of(2)


def foreseen(stored: OnchainMarket, fresh: Words, rules: Epoch = RULES) -> MarketHalt | None:
    judged = foresee(stored, fresh, rules, 0, T_S)
    return None if judged.halt is None else limits.halt("BTC", judged.halt, stored.words, fresh, BOUNDS)


def test_words_within_bounds_cause_no_halt() -> None:
    assert foreseen(onchain(words()), words(price=72_000)) is None


def test_a_figure_out_of_bounds_is_named_with_its_bounds() -> None:
    halt = foreseen(onchain(words()), words(liquidity=0.6, contagion=0.7))
    assert halt is not None
    assert halt.reason is HaltReason.OUT_OF_BOUNDS
    assert halt.detail == "liquidity 0.6 outside 0 to 0.5; contagion 0.7 outside 0 to 0.5"


def test_a_figure_on_the_bound_is_within() -> None:
    assert foreseen(onchain(words()), words(liquidity=0.5)) is None


def test_a_price_that_moved_too_far_is_named_with_its_move() -> None:
    halt = foreseen(onchain(words()), words(price=30_000))
    assert halt is not None
    assert halt.reason is HaltReason.PRICE_JUMP
    assert halt.detail == "price moved -57.1% since the last accepted round, 50% allowed"


def test_first_figures_and_those_after_a_resume_may_jump() -> None:
    assert foreseen(onchain(), words(price=30_000)) is None
    stored = onchain(words())
    flagged = Words(risk=stored.words.risk, market=stored.words.market | RESUMED << LANES["flags"].shift)
    assert foreseen(msgspec.structs.replace(stored, words=flagged), words(price=30_000)) is None


def test_a_ladder_that_does_not_ascend_is_incoherent() -> None:
    halt = foreseen(onchain(words()), words(down_es99=0.02))
    assert halt is not None
    assert halt.reason is HaltReason.INCOHERENT


def test_figures_that_trust_themselves_too_little_are_skipped_and_do_not_halt() -> None:
    judged = foresee(onchain(words()), words(confidence=0.04), RULES, 0, T_S)
    assert (judged.skip, judged.halt) == (SkipReason.LOW_CONFIDENCE, None)


def test_while_paused_a_fall_is_held_where_it_is_and_a_rise_goes_through() -> None:
    stored = onchain(words(), 3_600)
    fresh = words(price=69_000, down_q975=0.018, liquidity=0)
    judged = foresee(stored, fresh, epoch_of(2, paused=True), 0, T_S)
    assert judged.words == words(price=69_000, down_q975=0.018)
    assert foresee(stored, fresh, RULES, 0, T_S).words == fresh


def test_each_market_is_judged_by_the_limits_of_its_class() -> None:
    narrow = replace(BOUNDS, max_price_move_bp=100)
    rules = epoch_of(2, classes=(BOUNDS, narrow), class_of=b"\x00\x01")
    fresh = words(price=72_000)
    assert foresee(onchain(words()), fresh, rules, 0, T_S).halt is None
    assert foresee(onchain(words()), fresh, rules, 1, T_S).halt is HaltReason.PRICE_JUMP


# --- the digest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"kind": ReportKind.CO_SIGNED},
        {"paused": True},
        {"timing": replace(RULES.timing, min_interval=301)},
        {"classes": (replace(BOUNDS, max_price_move_bp=4_999),)},
        {"class_of": bytes(3), "group_of": bytes(3), "ring_of": bytes(3)},
        {"group_of": b"\x01\x01"},
        {"ring_of": b"\x08\x00"},
    ],
)
def test_the_digest_changes_with_every_part_of_the_policy(change: dict[str, object]) -> None:
    assert policy_digest(epoch_of(2, **change)) != RULES.policy_digest
    assert len(RULES.policy_digest) == 32


def test_members_and_models_are_no_part_of_the_policy_but_signed_beside_it() -> None:
    assert policy_digest(epoch_of(2, number=9, members=(), quorum=0, model_set=bytes(32))) == RULES.policy_digest


# --- looser than agreed ---------------------------------------------------------------------------------------------


def test_the_operators_own_policy_is_not_looser_than_itself() -> None:
    assert list(looser(POLICY, RULES)) == []


def lane_moved(name: str, what: str, counts: int) -> Epoch:
    """The rules with one lane of one row some counts up or down."""
    lane = LANES[name]
    field = f"{lane.word}_{what}"
    return epoch_of(2, classes=(replace(BOUNDS, **{field: getattr(BOUNDS, field) + (counts << lane.shift)}),))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (lambda: lane_moved("liquidity", "high", 1), "class 0: liquidity high is 5001, 5000 agreed"),
        (lambda: lane_moved("down_es99", "low", -1), "down_es99 low is 9, 10 agreed"),
        (lambda: lane_moved("vol_up", "max_fall", 1), "vol_up may loosen by 501 (max_fall), 500 agreed"),
        (lambda: lane_moved("confidence", "max_rise", 1), "confidence may loosen by 1001 (max_rise), 1000 agreed"),
        (lambda: lane_moved("score", "daily", 1), "score may loosen by 20001 (daily), 20000 agreed"),
        (lambda: epoch_of(2, classes=(replace(BOUNDS, max_price_move_bp=5_001),)), "a price may move by 5001 bp"),
        (lambda: epoch_of(2, timing=replace(RULES.timing, max_skew=31)), "31 s ahead of the block's clock"),
        (lambda: epoch_of(2, timing=replace(RULES.timing, max_report_age=901)), "reports may be 901 s old"),
        (lambda: epoch_of(2, timing=replace(RULES.timing, min_interval=299)), "written every 299 s"),
    ],
)
def test_whatever_the_chain_allows_beyond_the_operators_file_is_named(rules: Callable[[], Epoch], said: str) -> None:
    (sentence,) = looser(POLICY, rules())
    assert said in sentence


def test_a_class_that_no_market_has_loosens_nothing() -> None:
    wild = replace(BOUNDS, max_price_move_bp=9_999)
    assert list(looser(POLICY, epoch_of(2, classes=(BOUNDS, wild)))) == []
    assert list(looser(POLICY, epoch_of(2, classes=(BOUNDS, wild), class_of=b"\x00\x01"))) != []


tighter_step = st.sampled_from([n for n, x in LANES.items() if x.tightens == "up" and POLICY.limits.of(x).max_fall])


@given(name=tighter_step, by=st.integers(1, 10), paused=st.booleans())
def test_what_the_guardian_may_do_is_never_looser(name: str, by: int, paused: bool) -> None:
    for what in ("max_fall", "daily"):
        rules = msgspec.structs.replace(lane_moved(name, what, -by), paused=paused)
        assert list(looser(POLICY, rules)) == []


@given(
    stored=st.floats(0.02, 0.2),
    fresh=st.floats(0.02, 0.2),
    age_s=st.integers(1, 48).map(lambda rounds: rounds * 300),
    paused=st.booleans(),
)
def test_a_tail_rises_at_once_and_falls_no_further_than_its_step_and_its_budget(
    stored: float, fresh: float, age_s: int, paused: bool
) -> None:
    old, new = (words(**{name: value for name in LANES if name.startswith("down_")}) for value in (stored, fresh))
    judged = foresee(onchain(old, age_s), new, epoch_of(1, paused=paused), 0, T_S)
    was, now, wished = (w.risk >> LANES["down_es99"].shift & 0x7FFF for w in (old, unstamped(judged.words), new))
    allowed = 0 if paused else min(40, 3_000 * age_s // 86_400 + 1)
    assert now >= min(was, wished)
    assert now >= was - allowed
    assert now == wished or now <= was - allowed + 1
