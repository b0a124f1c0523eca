"""When a market is due, and why."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.decide.limits import foresee
from margrave.decide.trigger import deviates, largest_deviation, trigger
from margrave.lanes import LANES, Words
from margrave.messages import Epoch, OnchainMarket
from margrave.mirror.words import RESUMED
from margrave.settings import RoundPolicy
from margrave.verdicts import MarketStatus, SkipReason, Trigger
from tests.unit.decide.sample import PERIOD_S, POLICY, T_S, epoch_of, onchain, words

ROUND = POLICY.round
BASE = words()


RULES = epoch_of(1)


def why_of(market: OnchainMarket, fresh: Words, rules: Epoch = RULES) -> Trigger | None:
    return trigger(market, fresh, foresee(market, fresh, rules, 0, T_S), T_S, ROUND)


def why(fresh: Words, stored: Words | None = BASE, age_s: int = PERIOD_S, **status: MarketStatus) -> Trigger | None:
    return why_of(onchain(stored, age_s, **status), fresh)


def test_a_market_with_nothing_on_chain_is_due() -> None:
    assert why(BASE, stored=None) is Trigger.FIRST


def test_an_unmoved_market_waits_for_its_heartbeat_and_rides_along_from_half_of_it() -> None:
    assert why(BASE, age_s=1_500) is None
    assert why(BASE, age_s=1_800) is Trigger.EARLY_RIDER
    assert why(BASE, age_s=3_300) is Trigger.EARLY_RIDER
    assert why(BASE, age_s=3_600) is Trigger.HEARTBEAT


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        (words(price=70_000 * 1.0051), Trigger.DEVIATION),
        (words(price=70_000 * 0.9949), Trigger.DEVIATION),
        (words(price=70_000 * 1.003), Trigger.EARLY_RIDER),
        (words(price=70_000 * 1.002), None),
        (words(score=2_151), Trigger.DEVIATION),
        (words(score=2_150), Trigger.EARLY_RIDER),
        (words(down_es99=0.0362), Trigger.DEVIATION),
        (words(total_vol_30d=0.1702), Trigger.DEVIATION),
        (words(liquidity=0.4), None),
    ],
)
def test_a_watched_lane_beyond_its_deviation_makes_the_market_due(fresh: Words, expected: Trigger | None) -> None:
    assert why(fresh) is expected


def test_a_tail_that_widens_by_more_than_three_deviations_is_an_emergency_and_one_that_narrows_is_not() -> None:
    assert why(words(down_es99=0.0401)) is Trigger.EMERGENCY
    assert why(words(up_es99=0.0381, up_q9995=0.055)) is Trigger.EMERGENCY
    assert why(words(down_es99=0.0399)) is Trigger.DEVIATION
    assert why(words(down_es99=0.0295), age_s=1_200) is Trigger.DEVIATION


def test_a_fall_is_due_once_the_contract_would_let_down_by_a_deviation() -> None:
    """It falls by 0.3 a day: by a deviation of 0.002 after ten minutes, whatever further it wants to go."""
    assert why(words(score=1_000)) is None
    assert why(words(score=1_000), age_s=900) is Trigger.DEVIATION
    fallen = words(down_q975=0.01, down_q995=0.01, down_es99=0.01)
    assert why(fallen, age_s=300) in (None, Trigger.EARLY_RIDER)
    assert why(fallen, age_s=900) is Trigger.DEVIATION


def test_while_the_guardian_has_paused_only_what_tightens_is_due() -> None:
    paused = epoch_of(1, paused=True)
    stored = onchain(BASE, 1_200)
    assert why_of(stored, words(score=1_000), paused) is None
    assert deviates(stored, words(score=1_000), ROUND)
    assert why_of(stored, words(score=3_000), paused) is Trigger.DEVIATION
    assert why_of(onchain(BASE, 3_600), words(score=1_000), paused) is Trigger.HEARTBEAT


def test_figures_that_trust_themselves_too_little_ride_along_and_call_for_nothing() -> None:
    """Others may see better: a quorum with this member's words may still be what they need."""
    for fresh in (words(price=80_000, confidence=0.02), words(down_es99=0.05, confidence=0.02)):
        assert foresee(onchain(BASE), fresh, RULES, 0, T_S).skip is SkipReason.LOW_CONFIDENCE
        assert why(fresh) is Trigger.EARLY_RIDER
    assert why(words(confidence=0.02), stored=None) is Trigger.EARLY_RIDER


def test_a_market_written_less_than_the_least_interval_ago_is_not_due() -> None:
    slow = epoch_of(1, timing=dataclasses.replace(RULES.timing, min_interval=600))
    assert why_of(onchain(BASE, 300), words(price=80_000), slow) is None
    assert why_of(onchain(BASE, 600), words(price=80_000), slow) is Trigger.DEVIATION
    assert why_of(onchain(), words(price=80_000), slow) is Trigger.FIRST


def test_a_market_that_governance_resumed_is_due_at_once() -> None:
    stored = onchain(BASE, 60, MarketStatus.STALE)
    flagged = Words(stored.words.risk, stored.words.market | RESUMED << LANES["flags"].shift)
    assert why_of(msgspec.structs.replace(stored, words=flagged), BASE) is Trigger.FIRST


def test_a_market_resumed_before_it_was_ever_written_is_due_although_it_has_a_time() -> None:
    empty = OnchainMarket(words=Words(0, T_S - 60 << 160), observed_at_s=T_S - 60, status=MarketStatus.EMPTY)
    assert why_of(empty, BASE) is Trigger.FIRST


def test_a_halted_market_is_never_due_because_only_governance_resumes_it() -> None:
    assert why(words(price=1.0), status=MarketStatus.HALTED) is None


def test_a_market_whose_stored_words_are_as_new_is_not_due() -> None:
    assert why(words(price=1.0), age_s=0) is None
    assert why(words(price=1.0), age_s=-PERIOD_S) is None


def test_a_stale_market_is_due() -> None:
    assert why(BASE, age_s=90_000, status=MarketStatus.STALE) is Trigger.HEARTBEAT


@given(st.floats(0.5, 2), st.floats(0, 10_000), st.floats(0.03, 0.05))
def test_deviation_is_zero_only_for_unmoved_lanes_and_grows_with_the_move(
    price: float, score: float, es99: float
) -> None:
    fresh = words(price=70_000 * price, score=score, down_es99=es99)
    expected = max(
        abs(price - 1) / 0.005,
        abs(round(score) - 2_000) / 150,
        abs(round(es99 / 1e-4) - 340) * 1e-4 / 0.002,
    )
    assert largest_deviation(BASE, fresh, ROUND) == pytest.approx(expected, abs=1e-6)


@given(st.floats(0.5, 2), st.integers(1, 100), st.integers(1, 100))
def test_waiting_longer_never_makes_a_market_less_due(price: float, a: int, b: int) -> None:
    rank = [None, Trigger.EARLY_RIDER, Trigger.HEARTBEAT, Trigger.DEVIATION, Trigger.EMERGENCY]
    short, long = sorted((a, b))
    fresh = words(price=70_000 * price)
    assert rank.index(why(fresh, age_s=short * 60)) <= rank.index(why(fresh, age_s=long * 60))


def test_a_deviation_of_a_lane_that_does_not_exist_is_refused_with_the_policy() -> None:
    data = ROUND.model_dump()
    with pytest.raises(ValueError, match="deviation of unknown lane down_es98"):
        RoundPolicy.model_validate({**data, "deviation": {"down_es98": 0.002}})
    with pytest.raises(ValueError, match="greater than 0"):
        RoundPolicy.model_validate({**data, "deviation": {"down_es99": 0.0}})
