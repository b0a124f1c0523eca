"""Hedges: bounds in order, laws that the policy has by construction, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.errors import Fatal, Rejected
from margrave.messages import Bar
from margrave.score.hedge import (
    Contracts,
    Hedger,
    MarketState,
    Remark,
    clock,
    forecast_vol,
    held,
    state_of,
    state_of_bars,
    unknown,
    whalley_wilmott,
)
from margrave.score.hedge.market import GAPS_H, LEAST_HOURS, LEVELS_H
from margrave.score.registry import open_model
from margrave.settings import REGISTRY
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

POLICY = Hedger(open_model(REGISTRY, "hedge/1"))
CLASSICAL = Hedger(None)
RULES = pytest.mark.parametrize("hedger", [POLICY, CLASSICAL], ids=["policy", "classical"])


def contracts(count: int = 1, **columns: object) -> Contracts:
    usual = {
        "spot": 100.0, "strike": 100.0, "hours_left": 336.0, "is_call": True, "vol": 0.7, "cost": 5e-4, "held": np.nan,
    }  # fmt: skip
    return Contracts(**{name: np.full(count, columns.get(name, value)) for name, value in usual.items()})


def usual_state(count: int = 1, log_variance: float = float(np.log(0.49 / 8_760))) -> MarketState:
    return MarketState(np.full((count, len(LEVELS_H)), log_variance), np.zeros((count, len(GAPS_H))))


def drawn(count: int, seed: int) -> tuple[Contracts, MarketState]:
    rng = np.random.default_rng(seed)
    asked = Contracts(
        spot=np.full(count, 100.0),
        strike=100.0 * np.exp(rng.normal(0.0, 0.2, count)),
        hours_left=rng.uniform(1.0, 720.0, count),
        is_call=rng.random(count) < 0.5,
        vol=rng.uniform(0.2, 2.0, count),
        cost=rng.uniform(0.0, 0.005, count),
        held=rng.uniform(-1.0, 1.0, count),
    )
    state = MarketState(rng.normal(-9.8, 1.0, (count, len(LEVELS_H))), rng.normal(0.0, 0.05, (count, len(GAPS_H))))
    return asked, state


@RULES
@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_bounds_are_in_order_and_a_hedge_is_no_more_than_the_option(hedger: Hedger, seed: int) -> None:
    asked, state = drawn(200, seed)
    found = hedger.hedges(asked, state)
    put = np.where(asked.is_call, 0.0, 1.0)
    assert (found.lower <= found.upper).all()
    assert (found.lower + put >= 0).all()
    assert (found.upper + put <= 1).all()
    assert ((found.hedge >= found.lower) & (found.hedge <= found.upper)).all()


@RULES
def test_what_lies_in_the_band_is_left_and_what_does_not_goes_to_the_nearer_edge(hedger: Hedger) -> None:
    bounds = hedger.hedges(contracts(), usual_state())
    low, high = float(bounds.lower[0]), float(bounds.upper[0])
    inside = (2 * low + high) / 3
    for now, want in ((inside, inside), (high + 0.2, high), (low - 0.2, low), (np.nan, (low + high) / 2)):
        assert hedger.hedges(contracts(held=now), usual_state()).hedge[0] == pytest.approx(want, abs=1e-12)


@RULES
def test_a_put_is_held_as_its_call_less_one_unit(hedger: Hedger) -> None:
    asked, state = drawn(100, 4)
    calls = hedger.hedges(replace(asked, is_call=np.ones(100, dtype=bool)), state)
    puts = hedger.hedges(replace(asked, is_call=np.zeros(100, dtype=bool)), state)
    np.testing.assert_allclose(puts.lower, calls.lower - 1.0, atol=1e-12)
    np.testing.assert_allclose(puts.upper, calls.upper - 1.0, atol=1e-12)


@RULES
@given(seed=st.integers(0, 10_000), more=st.floats(1.0, 20.0))
@settings(max_examples=15, deadline=None)
def test_a_dearer_trade_has_a_wider_band_around_the_cheaper_ones(hedger: Hedger, seed: int, more: float) -> None:
    asked, state = drawn(100, seed)
    asked = replace(asked, cost=asked.cost / 20)
    cheap, dear = hedger.hedges(asked, state), hedger.hedges(replace(asked, cost=asked.cost * more), state)
    assert (dear.lower <= cheap.lower + 1e-6).all()
    assert (dear.upper >= cheap.upper - 1e-6).all()


@RULES
def test_without_a_cost_there_is_no_band(hedger: Hedger) -> None:
    asked, state = drawn(100, 5)
    found = hedger.hedges(replace(asked, cost=np.zeros(100)), state)
    np.testing.assert_allclose(found.upper, found.lower, atol=1e-6)


@RULES
def test_prices_in_another_currency_change_nothing(hedger: Hedger) -> None:
    asked, state = drawn(50, 6)
    other = replace(asked, spot=asked.spot * 1e4, strike=asked.strike * 1e4)
    found, again = hedger.hedges(asked, state), hedger.hedges(other, state)
    np.testing.assert_allclose(again.hedge, found.hedge, atol=1e-5)


def test_far_in_the_money_all_is_held_and_far_out_of_it_nothing() -> None:
    deep = POLICY.hedges(contracts(strike=40.0), usual_state())
    out = POLICY.hedges(contracts(strike=250.0), usual_state())
    assert deep.lower[0] > 0.9
    assert out.upper[0] < 0.1
    assert deep.remarks[0] == out.remarks[0] == (Remark.FAR_FROM_STRIKE,)


def test_a_market_without_history_is_answered_wider_and_with_a_remark() -> None:
    # at the volatility that is usual, an unknown market is asked as a usual one
    known, not_known = POLICY.hedges(contracts(), usual_state()), POLICY.hedges(contracts(), unknown(1))
    assert not_known.remarks == ((Remark.NO_HISTORY,),)
    assert known.remarks == ((),)
    assert not_known.lower[0] < known.lower[0] < known.upper[0] < not_known.upper[0]


def test_what_lies_outside_of_training_is_clamped_and_said() -> None:
    found = POLICY.hedges(contracts(hours_left=2_000.0, vol=9.0, cost=0.02), usual_state())
    edge = POLICY.hedges(contracts(hours_left=720.0, vol=5.0, cost=0.005), usual_state())
    assert set(found.remarks[0]) == {Remark.LIFE_CLAMPED, Remark.VOL_CLAMPED, Remark.COST_CLAMPED}
    assert found.lower == edge.lower
    assert found.upper == edge.upper


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("spot", -1.0, Rejection.NOT_POSITIVE),
        ("spot", np.nan, Rejection.NOT_FINITE),
        ("strike", 0.0, Rejection.NOT_POSITIVE),
        ("hours_left", 0.0, Rejection.OUT_OF_RANGE),
        ("hours_left", -5.0, Rejection.OUT_OF_RANGE),
        ("vol", 0.0, Rejection.NOT_POSITIVE),
        ("vol", np.inf, Rejection.NOT_FINITE),
        ("cost", -0.001, Rejection.NOT_POSITIVE),
        ("cost", 1.0, Rejection.OUT_OF_RANGE),
        ("held", np.inf, Rejection.NOT_FINITE),
    ],
)
def test_a_figure_that_is_none_is_refused_with_its_row(column: str, value: float, reason: Rejection) -> None:
    good = contracts(3)
    bad = getattr(good, column).copy()
    bad[1] = value
    with pytest.raises(Rejected, match="contract 1") as refused:
        replace(good, **{column: bad})
    assert refused.value.reason is reason


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(Rejected, match="lengths"):
        replace(contracts(3), strike=np.full(2, 100.0))


def test_an_empty_batch_has_an_empty_answer() -> None:
    assert len(POLICY.hedges(contracts(0), usual_state(0)).hedge) == 0


def test_a_model_of_other_columns_is_refused() -> None:
    with pytest.raises(Fatal, match="other columns"):
        Hedger(open_model(REGISTRY, "unlike/1"))


def test_without_a_model_the_answer_says_that_nothing_was_learnt() -> None:
    assert POLICY.hedges(contracts(), usual_state()).learned
    assert not CLASSICAL.hedges(contracts(), usual_state()).learned


def test_the_classical_band_is_the_published_formula() -> None:
    # by hand: s = 0.1, at the money d1 = 0.05, Gamma = phi(0.05) / 0.1 = 3.984439; w^3 = 3 x 0.001 x 15.87576 / 4
    found = whalley_wilmott(np.zeros(1), np.full(1, 0.1), 0.001, 2.0)
    assert found[0] == pytest.approx(0.228349, rel=1e-5)


def test_the_clock_rests_between_its_hours_and_the_band_moves_to_its_edge() -> None:
    deltas = np.array([[0.1], [0.2], [0.3], [0.4], [0.5]])
    np.testing.assert_array_equal(clock(deltas, 2)[:, 0], [0.1, 0.1, 0.3, 0.3, 0.5])
    lower, upper = np.array([[0.2], [0.5], [0.0], [0.1]]), np.array([[0.4], [0.6], [0.9], [0.3]])
    np.testing.assert_allclose(held(lower, upper)[:, 0], [0.3, 0.5, 0.5, 0.3])


def walk(hours: int, seed: int = 0, sd: float = 0.01) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, sd, hours)))
    opens = np.concatenate(([100.0], closes[:-1]))
    spread = np.exp(np.abs(rng.normal(0.0, sd / 3, hours)))
    return opens, np.maximum(opens, closes) * spread, np.minimum(opens, closes) / spread, closes


def test_a_state_knows_nothing_of_what_follows() -> None:
    bars = walk(1_500)
    whole, part = state_of(*bars), state_of(*(column[:1_000] for column in bars))
    np.testing.assert_array_equal(whole.levels[:1_000], part.levels)
    np.testing.assert_array_equal(whole.gaps[:1_000], part.gaps)
    assert np.isnan(whole.levels[: LEAST_HOURS - 1]).all()
    assert np.isfinite(whole.levels[LEAST_HOURS - 1 :]).all()


def test_twice_the_moves_are_twice_the_volatility_whatever_the_life() -> None:
    one, two = state_of(*walk(1_200, sd=0.01)).levels[-1:], state_of(*walk(1_200, sd=0.02)).levels[-1:]
    for hours in (1.0, 30.0, 336.0, 5_000.0):
        left = np.array([hours])
        assert forecast_vol(two, left)[0] == pytest.approx(2 * forecast_vol(one, left)[0], rel=1e-6)


def test_a_steady_market_is_forecast_near_what_it_is() -> None:
    levels = state_of(*walk(3_000, sd=0.01)).levels[-1:]
    assert forecast_vol(levels, np.array([336.0]))[0] == pytest.approx(0.01 * np.sqrt(8_760), rel=0.25)


def bars_of(hours: int) -> list[Bar]:
    rows = zip(*walk(hours), strict=True)
    return [Bar(place * HOUR_MS, *map(float, row), 1.0) for place, row in enumerate(rows)]


def test_bars_of_the_node_make_the_same_state() -> None:
    np.testing.assert_allclose(state_of_bars(bars_of(700)).levels[0], state_of(*walk(700)).levels[-1])


def test_bars_that_are_few_or_broken_or_have_a_gap_are_no_history() -> None:
    bars = bars_of(700)
    broken = [*bars[:-1], Bar(699 * HOUR_MS, 1.0, 1.0, 1.0, -1.0, 1.0)]
    nothing = [*bars[:-1], Bar(699 * HOUR_MS, 1.0, 1.0, 1.0, float("nan"), 1.0)]
    upside_down = [*bars[:-1], Bar(699 * HOUR_MS, 1.0, 0.5, 1.0, 1.0, 1.0)]
    for odd in ([], bars[:100], bars[:300] + bars[301:], broken, nothing, upside_down, [*bars, bars[-1]]):
        assert np.isnan(state_of_bars(odd).levels).all()


def test_a_price_that_stands_still_has_a_state() -> None:
    still = np.full(LEAST_HOURS, 100.0)
    state = state_of(still, still, still, still)
    found = POLICY.hedges(contracts(vol=0.5), state.at(np.array([LEAST_HOURS - 1])))
    assert np.isfinite(found.hedge).all()
