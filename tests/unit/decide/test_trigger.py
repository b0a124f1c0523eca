"""When a market is due, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.decide.trigger import largest_deviation, trigger
from margrave.lanes import Words
from margrave.settings import RoundPolicy
from margrave.verdicts import MarketStatus, Trigger
from tests.unit.decide.sample import PERIOD_S, POLICY, T_S, onchain, words

ROUND = POLICY.round
BASE = words()


def why(fresh: Words, stored: Words | None = BASE, age_s: int = PERIOD_S, **status: MarketStatus) -> Trigger | None:
    return trigger(onchain(stored, age_s, **status), fresh, T_S, ROUND)


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
        (words(score=1_849), Trigger.DEVIATION),
        (words(down_es99=0.0362), Trigger.DEVIATION),
        (words(up_es99=0.0298), Trigger.DEVIATION),
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
    assert why(words(down_es99=0.0295)) is Trigger.DEVIATION


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
