"""What a round leaves to the next: every forecast judged once by its outcome, and by nothing else."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.messages import Bar, Ladder, MarketSnapshot
from margrave.score import drift
from margrave.score.carried import LEVELS, MOST_AWAITED, Carried, awaiting, fresh, hour_of, learnt, widened
from margrave.score.conformal import GAMMA, Widening, share
from margrave.score.features.catalogue import LEVEL_H
from margrave.score.features.hours import hours_of
from margrave.score.features.running import Running, read
from margrave.score.hourly import now, settled
from margrave.score.scores import Scorer
from margrave.settings import WideningPolicy
from margrave.spans import HOUR_MS
from margrave.verdicts import DriftLevel
from tests.unit.score.chains import AS_OF_MS
from tests.unit.score.history import bars
from tests.unit.score.history import snapshot as history_snapshot
from tests.unit.score.sample import CALM, MARKETS, MODEL_SET, POLICY, Forecaster, Told, market, snapshot

RULES = WideningPolicy()
HORIZON_H = 4
STEP = GAMMA / HORIZON_H * share(np.array(LEVELS))
T0 = AS_OF_MS // HOUR_MS * HOUR_MS
HOUR = hour_of(CALM, HORIZON_H)


def at_hour(hour: int, closes: dict[int, float], disbelieved: tuple[int, ...] = ()) -> MarketSnapshot:
    """The market as of `hour` after T0; hours that `closes` does not name close at 100."""
    rows = range(hour - 240, hour)
    prices = {h: closes.get(h, 100.0) for h in rows}
    bars = tuple(Bar(T0 + h * HOUR_MS, p, p, p, p, 1.0) for h, p in prices.items())
    return market(bars=bars, price=bars[-1].close, disbelieved=disbelieved)


def lived(
    closes: dict[int, float], hours: range, state: Carried | None = None, disbelieved: tuple[int, ...] = ()
) -> Carried:
    """A round at the beginning of each of the hours, which says `CALM` every time."""
    state = state or fresh(MODEL_SET)
    for hour in hours:
        seen = at_hour(hour, closes, disbelieved)
        state = learnt(state, seen, HORIZON_H, RULES)
        state = awaiting(state, seen.bars[-1].open_time_ms + HOUR_MS, CALM, HOUR, 0.3)
    return state


QUIET = -STEP * np.array(LEVELS)


def test_a_forecast_is_judged_when_its_horizon_has_closed_and_not_before() -> None:
    state = lived({}, range(HORIZON_H))
    assert state.down == Widening.none(LEVELS)
    assert len(state.awaited) == HORIZON_H
    state = lived({}, range(HORIZON_H, HORIZON_H + 1), state)
    assert state.down.log_factor == pytest.approx(QUIET)
    assert state.up.log_factor == pytest.approx(QUIET)
    assert (state.down.bars, len(state.awaited)) == (1, HORIZON_H)


def test_a_fall_widens_the_rungs_it_passed_on_its_own_side_once_for_each_forecast_it_ended() -> None:
    fall = dict.fromkeys(range(10, 40), 95.0)
    state = lived(fall, range(15))
    # CALM says 1.7, 2.9 and 5.5 % at 2.5, 0.5 and 0.05 %: a fall of 5.1 % (log) passes all but the last
    hits = np.array([1, 1, 1, 1, 0]) * HORIZON_H
    # the window that the fall begins in: forecasts of hours 7 to 10 end in it, those before and after are quiet
    assert state.down.log_factor == pytest.approx(STEP * (hits - state.down.bars * np.array(LEVELS)))
    assert state.up.log_factor == pytest.approx(state.up.bars * QUIET)


def test_rounds_of_the_same_hour_make_one_forecast_and_judge_nothing_twice() -> None:
    once = lived({}, range(10))
    often = fresh(MODEL_SET)
    for hour in range(10):
        for _ in range(12):
            often = lived({}, range(hour, hour + 1), often)
    assert often == once


def test_hours_in_which_no_round_was_held_judge_what_was_forecast_before_them() -> None:
    state = lived({9: 90.0}, range(7))
    slept = lived({9: 90.0}, range(12, 13), state)
    assert slept.down.bars == 7
    assert slept.down.log_factor[0] == pytest.approx(STEP[0] * (1 - 7 * LEVELS[0]))  # of those, one ended in hour 9
    assert len(slept.awaited) == 1


def test_what_the_guard_did_not_believe_is_no_outcome() -> None:
    spike = {9: 80.0}
    believed = lived(spike, range(16))
    doubted = lived(spike, range(16), disbelieved=(T0 + 9 * HOUR_MS,))
    assert believed.down.log_factor[0] > 0
    assert doubted.down.log_factor[0] == pytest.approx(doubted.down.bars * QUIET[0])
    assert doubted.up.log_factor[0] == pytest.approx(doubted.up.bars * QUIET[0])
    assert doubted.down.bars == believed.down.bars - 2  # the one that ended there and the one that began there


def test_forecasts_older_than_the_history_are_dropped_unjudged() -> None:
    state = lived({}, range(6))
    later = learnt(state, at_hour(1_000, {}), HORIZON_H, RULES)
    assert (later.awaited, later.down) == ((), state.down)


def test_the_detectors_see_each_hour_once_under_the_models_own_rungs() -> None:
    state = lived({}, range(5))
    assert state.drift.size.bars == 4
    again = lived({}, range(4, 5), state)
    assert again.drift == state.drift
    moved = learnt(state, at_hour(6, {5: 101.0}), HORIZON_H, RULES)
    down, up = (np.array(side) for side in (state.awaited[-1].hour_down, state.awaited[-1].hour_up))
    one = drift.Seen(score=drift.score(0.0, down, up, np.array(LEVELS)), moved=False, features={"unlike": 0.15})
    assert moved.drift == state.drift.after(one).after(drift.Seen(moved=True))  # of the hour asleep nothing was said


def test_an_hour_that_the_guard_did_not_believe_shows_the_detectors_nothing() -> None:
    spike = {9: 80.0}
    doubted = lived(spike, range(14), disbelieved=(T0 + 9 * HOUR_MS,))
    assert doubted.drift.size.rise == 0
    assert doubted.drift.size.bars == lived(spike, range(14)).drift.size.bars - 2


def test_a_market_without_bars_teaches_nothing() -> None:
    state = lived({}, range(6))
    assert learnt(state, market(bars=()), HORIZON_H, RULES) == state


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(50, 200), min_size=1, max_size=60),
    st.floats(0.5, 1),
    st.floats(1, 4),
    st.floats(1, 2),
)
def test_no_history_takes_the_factors_out_of_governances_bounds_or_makes_the_ladder_cross(
    closes: list[float], least: float, most: float, extra: float
) -> None:
    rules, state = WideningPolicy(least=least, most=most, on_drift=extra), fresh(MODEL_SET)
    for hour in range(len(closes)):
        seen = at_hour(hour, dict(enumerate(closes)))
        state = learnt(state, seen, 1, rules)
        said = widened(CALM, state, rules)
        state = awaiting(state, T0 + hour * HOUR_MS, said, CALM, 0.3)
        assert len(state.awaited) <= 1
        for side in ("down", "up"):
            rungs = [getattr(said, f"{side}_{rung}") for rung in ("q975", "q995", "es99", "q9995", "es999")]
            assert rungs == sorted(rungs)
        assert said.down_es999 < 1
    for factor in np.exp([*state.down.log_factor, *state.up.log_factor]):
        assert least * (1 - 1e-12) <= factor <= most * (1 + 1e-12)


def test_what_waits_is_bounded_whatever_the_clock_does() -> None:
    state = fresh(MODEL_SET)
    for hour in range(2 * MOST_AWAITED):
        state = awaiting(state, T0 + hour * HOUR_MS, CALM, HOUR, 0.3)
    assert len(state.awaited) == MOST_AWAITED
    assert awaiting(state, T0, CALM, HOUR, 0.3) == state


def test_widening_multiplies_log_moves_so_that_no_fall_is_of_more_than_everything() -> None:
    deep = Ladder(**(msgspec.structs.asdict(CALM) | {"down_q9995": 0.7, "down_es999": 0.8}))
    far = msgspec.structs.replace(fresh(MODEL_SET), drift=drift.Drift(level=DriftLevel.WIDENED))
    said = widened(deep, far, WideningPolicy(on_drift=2.0))
    assert said.down_es999 == pytest.approx(1 - 0.2**2)
    assert said.up_es99 == pytest.approx(1.032**2 - 1)


def test_haste_widens_at_once_and_no_further_than_governance_lets_it() -> None:
    hasty = msgspec.structs.replace(
        fresh(MODEL_SET), drift=drift.Drift(size=drift.PageHinkley(bars=drift.LEAST_BARS, rise=drift.MOST_SUM))
    )
    for most in (1.0, 1.2):
        said = widened(CALM, hasty, WideningPolicy(on_haste=most))
        assert math.log1p(said.up_es99) == pytest.approx(most * math.log1p(CALM.up_es99))


def test_nothing_learnt_changes_no_bit_of_a_ladder() -> None:
    assert widened(CALM, fresh(MODEL_SET), RULES) is CALM


def test_inputs_stand_an_hour_back_and_the_newest_is_added_as_this_round_sees_it() -> None:
    history = bars(LEVEL_H + 8)
    prior = np.ones(168)
    whole = fresh(MODEL_SET)
    for end in range(LEVEL_H + 4, len(history) + 1):
        seen = history_snapshot(history[:end], vol_index=0.5 + end / 1e4)
        whole = settled(whole, seen, prior)
        assert settled(whole, seen, prior) == whole
    last = history_snapshot(history, vol_index=0.9)
    spike = msgspec.structs.replace(history[-1], high=3 * history[-1].high)
    spiked = history_snapshot((*history[:-1], spike), vol_index=0.9)
    assert whole.running == settled(whole, spiked, prior).running
    assert now(whole, spiked, prior) != now(whole, last, prior)
    taken = Running.start("BTC", hours_of(last)[:-1], prior)
    assert read(taken.ranges) == pytest.approx(read(whole.running.ranges), rel=1e-9)
    # the index of every hour that closed while the node looked on was kept
    assert np.isfinite(read(whole.running.implied)[-3:]).all()


def test_a_gap_that_the_venues_have_filled_since_is_filled_here_too() -> None:
    history, prior = bars(LEVEL_H + 30), np.ones(168)
    state = settled(fresh(MODEL_SET), history_snapshot(history[: LEVEL_H + 3]), prior)
    torn = settled(state, history_snapshot(history[LEVEL_H + 10 : LEVEL_H + 20]), prior)
    assert not np.isfinite(read(torn.running.usual)).all()
    whole = settled(torn, history_snapshot(history), prior)
    assert np.isfinite(read(whole.running.usual)).all()


def test_broken_bars_leave_the_inputs_state_as_it_was() -> None:
    history, prior = bars(300), np.ones(168)
    state = settled(fresh(MODEL_SET), history_snapshot(history[:298]), prior)
    broken = (*history[:298], msgspec.structs.replace(history[298], low=-1.0), history[299])
    assert settled(state, history_snapshot(broken), prior) == state
    assert settled(fresh(MODEL_SET), history_snapshot(broken), prior).running is None


def test_a_state_is_the_same_after_the_journals_way_of_writing_it() -> None:
    state = lived({9: 80.0}, range(14))
    assert msgspec.json.decode(msgspec.json.encode(state), type=Carried) == state


# --- through the scorer ---------------------------------------------------------------------------------------------


def scorer(told: Told | None = None) -> Scorer:
    return Scorer(Forecaster({"BTC": told} if told else {}), MARKETS, POLICY, MODEL_SET)


def test_a_scorer_publishes_what_it_has_learnt_and_says_by_how_much() -> None:
    learnt_much = lived({h: 100.0 * 0.93**h for h in range(60)}, range(60))
    plain, _ = scorer().score(snapshot(market()))
    scores, after = scorer().score(snapshot(market()), None, {"BTC": learnt_much})
    (row,), (without,) = scores.markets, plain.markets
    assert row.ladder == widened(CALM, after["BTC"], POLICY.widening)
    assert row.widening_down == pytest.approx(math.exp(after["BTC"].down.log_factor[LEVELS.index(0.01)]), rel=0.05)
    assert row.widening_down > 1.2
    assert row.widening_up < 1
    assert row.ladder.down_es99 > 1.2 * without.ladder.down_es99
    assert row.score > without.score


def test_what_other_models_have_learnt_is_left_behind() -> None:
    others = msgspec.structs.replace(lived({h: 100.0 * 0.93**h for h in range(60)}, range(60)), model_set=b"other")
    scores, after = scorer().score(snapshot(market()), None, {"BTC": others})
    assert scores.markets[0].ladder == CALM
    assert after["BTC"].model_set == MODEL_SET
    assert len(after["BTC"].awaited) == 1


def test_a_market_that_is_held_keeps_what_it_has_and_one_that_is_not_watched_is_forgotten() -> None:
    state = lived({}, range(6))
    _, after = scorer().score(snapshot(), None, {"BTC": state, "DOGE": state})
    assert after == {"BTC": state}
