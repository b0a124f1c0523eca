import math
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift as river_drift
from scipy import stats

from margrave.score import drift
from margrave.score.adwin import MOST_BUCKETS, MOST_ROWS, Adwin
from margrave.score.drift import Drift, PageHinkley, Seen
from margrave.verdicts import DriftLevel, DriftReason

LEVELS = np.array((0.05, 0.025, 0.01, 0.005, 0.001, 0.0005))


def run(state: Drift, scores: list[float] | np.ndarray, *, moved: bool = True) -> list[Drift]:
    states = []
    for value in scores:
        state = state.after(Seen(score=float(value), moved=moved))
        states.append(state)
    return states


def steady(bars: int, seed: int) -> Drift:
    return run(Drift(), np.random.default_rng(seed).normal(size=bars))[-1]


# --- the detectors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_adwin_is_rivers_until_its_first_finding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stream = np.concatenate((rng.uniform(size=600), rng.uniform(0.3, 1.0, size=600)))
    theirs: Any = cast("Any", river_drift.ADWIN)(delta=0.002, clock=4, max_buckets=MOST_BUCKETS)
    ours = Adwin()
    for value in stream:
        theirs.update(value)
        ours, cut = ours.after(value)
        assert cut == theirs.drift_detected
        if cut:
            break
        assert ours.width == theirs.width
        assert ours.total == pytest.approx(theirs.total, rel=1e-12)
        assert ours.spread == pytest.approx(theirs.variance, rel=1e-9, abs=1e-12)
    else:
        pytest.fail("the planted change was not found")


def test_adwin_keeps_the_newer_part_when_it_cuts() -> None:
    rng = np.random.default_rng(7)
    window = Adwin()
    for value in np.concatenate((rng.uniform(0.0, 0.4, size=800), rng.uniform(0.6, 1.0, size=300))):
        window, _ = window.after(value)
    assert 0.75 < window.mean < 0.85
    assert 300 <= window.width < 360


def test_adwin_stays_small_however_long_it_runs() -> None:
    rng = np.random.default_rng(0)
    window = Adwin()
    for value in rng.uniform(size=8_000):
        window, _ = window.after(value, delta=1e-12)
    assert len(window.rows) == MOST_ROWS
    assert all(len(row) <= MOST_BUCKETS for row in window.rows)
    counted = sum(len(row) * 2**place for place, row in enumerate(window.rows))
    assert counted == window.width
    assert math.fsum(total for row in window.rows for total, _ in row) == pytest.approx(window.total)


@pytest.mark.parametrize(("seed", "shift"), [(0, 0.6), (1, -0.6), (2, 0.3)])
def test_page_hinkley_is_rivers_until_its_finding(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    stream = np.concatenate((rng.normal(size=300), rng.normal(shift, size=400)))
    theirs: Any = river_drift.PageHinkley(min_instances=30, delta=0.1, threshold=15.0, alpha=1.0)
    ours = PageHinkley()
    for value in stream:
        theirs.update(value)
        ours = ours.after(float(value), 0.1)
        found = ours.bars >= 30 and max(ours.rise, ours.fall) > 15.0
        assert found == theirs.drift_detected
        if found:
            return
    pytest.fail("the planted change was not found")


# --- the residual -----------------------------------------------------------------------------------------------------


def test_an_outcome_at_a_rung_has_the_rungs_probability() -> None:
    down = np.array((0.01, 0.013, 0.017, 0.02, 0.03, 0.034))
    up = down * 1.2
    for place, p in enumerate(LEVELS):
        assert drift.score(-down[place], down, up, LEVELS) == pytest.approx(stats.norm.ppf(p))
        assert drift.score(up[place], down, up, LEVELS) == pytest.approx(-stats.norm.ppf(p))


@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_a_larger_outcome_never_has_a_smaller_score(a: float, b: float) -> None:
    down = np.array((0.01, 0.013, 0.017, 0.02, 0.03, 0.034))
    low, high = (drift.score(x, down, down * 0.9, LEVELS) for x in sorted((a, b)))
    assert low is not None
    assert high is not None
    assert low <= high


@pytest.mark.parametrize("broken", [math.nan, math.inf, 0.0, -0.01])
def test_a_broken_rung_gives_no_score(broken: float) -> None:
    down = np.array((0.01, 0.013, 0.017, 0.02, 0.03, 0.034))
    wrong = down.copy()
    wrong[0] = broken
    assert drift.score(0.001, wrong, down, LEVELS) is None
    assert drift.score(math.nan, down, down, LEVELS) is None


def test_many_outcomes_are_scored_as_one_is() -> None:
    rng = np.random.default_rng(20)
    down = np.sort(rng.uniform(0.005, 0.05, size=(200, 6)), axis=1)
    up = np.sort(rng.uniform(0.005, 0.05, size=(200, 6)), axis=1)
    outcome = rng.normal(scale=0.02, size=200)
    outcome[3], down[5, 2], up[7, 0] = np.nan, np.inf, -0.1
    together = drift.scores(outcome, down, up, LEVELS)
    for place, value in enumerate(outcome):
        alone = drift.score(float(value), down[place], up[place], LEVELS)
        assert (alone is None) == bool(np.isnan(together[place]))
        assert alone is None or alone == together[place]
    assert np.flatnonzero(np.isnan(together)).tolist() == [3, 5, 7]


def test_between_two_rungs_the_score_is_a_straight_line_and_beyond_the_last_it_goes_on_through_zero() -> None:
    down = np.array((0.01, 0.013, 0.017, 0.02, 0.03, 0.034))
    middle = drift.score(-0.015, down, down, LEVELS)
    assert middle == pytest.approx((stats.norm.ppf(0.025) + stats.norm.ppf(0.01)) / 2)
    assert drift.score(-0.068, down, down, LEVELS) == pytest.approx(2 * stats.norm.ppf(0.0005))
    assert drift.score(0.0, down, down, LEVELS) == pytest.approx(0.0)


# --- the levels -------------------------------------------------------------------------------------------------------


def test_outcomes_twice_as_large_flag_then_widen_then_fall_back() -> None:
    states = run(steady(720, 1), np.random.default_rng(2).normal(scale=2.5, size=48))
    seen = [state.level for state in states]
    first = {level: seen.index(level) for level in DriftLevel if level in seen}
    assert first[DriftLevel.FLAGGED] < first[DriftLevel.WIDENED] < first[DriftLevel.BASELINE] < 24
    assert DriftReason.RESIDUALS_WIDER in states[first[DriftLevel.FLAGGED]].reasons


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-9.0, 9.0), st.booleans()), min_size=40, max_size=160))
def test_levels_are_climbed_and_left_one_at_a_time(bars: list[tuple[float, bool]]) -> None:
    state = Drift()
    for value, moved in bars:
        after = state.after(Seen(score=value, moved=moved))
        assert abs(after.level - state.level) <= 1
        assert bool(after.reasons) == (after.level > DriftLevel.STEADY)
        assert 0.0 <= after.size.rise <= drift.MOST_SUM
        state = after


def test_a_level_is_left_only_after_quiet_bars_and_in_order() -> None:
    rng = np.random.default_rng(3)
    state = run(steady(720, 1), rng.normal(scale=3.0, size=30))[-1]
    assert state.level is DriftLevel.BASELINE
    seen = [after.level for after in run(state, rng.normal(size=400))]
    assert seen[drift.CALM_BARS - 2] is DriftLevel.BASELINE
    assert seen[-1] is DriftLevel.STEADY
    assert seen == sorted(seen, reverse=True)


def test_a_year_of_steady_residuals_rarely_raises_a_level() -> None:
    entries = dict.fromkeys(DriftLevel, 0)
    for seed in range(3):
        before = DriftLevel.STEADY
        for state in run(Drift(), np.random.default_rng(seed).normal(size=8_760)):
            if state.level > before:
                entries[state.level] += 1
            before = state.level
    assert entries[DriftLevel.FLAGGED] <= 3 * 5
    assert entries[DriftLevel.WIDENED] <= 3
    assert entries[DriftLevel.BASELINE] <= 1


def test_a_ladder_that_is_far_too_wide_is_flagged_and_never_widened() -> None:
    states = run(steady(720, 4), np.random.default_rng(5).normal(scale=0.3, size=120))
    assert DriftReason.RESIDUALS_NARROWER in states[-1].reasons
    assert max(state.level for state in states) is DriftLevel.FLAGGED


def test_outcomes_on_one_side_are_flagged() -> None:
    states = run(steady(720, 6), np.random.default_rng(7).normal(1.2, 0.6, size=96))
    assert any(DriftReason.RESIDUALS_LEAN in state.reasons for state in states)


def test_a_feed_that_stands_still_falls_back_within_a_few_bars() -> None:
    states = run(steady(720, 8), [0.0] * 6, moved=False)
    assert [state.level for state in states] == [0, 0, 1, 2, 3, 3]
    assert DriftReason.FROZEN in states[-1].reasons
    moving = run(states[-1], [0.5])[-1]
    assert moving.still == 0
    assert moving.level is DriftLevel.BASELINE


def test_inputs_that_live_elsewhere_are_flagged_after_days() -> None:
    rng = np.random.default_rng(9)
    state, found = Drift(), []
    for bar in range(24 * 90):
        centre = 0.2 if bar < 24 * 60 else 0.7
        features = {"unlike": float(np.clip(rng.normal(centre, 0.1), 0.0, 1.0))}
        state = state.after(Seen(score=float(rng.normal()), moved=True, features=features))
        if DriftReason.FEATURES_MOVED in state.reasons:
            found.append(bar)
    assert found
    assert 24 * 60 < found[0] <= 24 * 68


def test_what_is_not_known_moves_nothing() -> None:
    state = steady(100, 10)
    unseen = state.after(Seen())
    assert unseen == msgspec.structs.replace(state, calm=unseen.calm)
    broken = state.after(Seen(score=math.nan, moved=None, features={"unlike": math.inf}))
    assert broken == unseen


def test_haste_comes_with_the_first_bars_of_a_break_and_goes_when_outcomes_fit_again() -> None:
    rng = np.random.default_rng(21)
    before = steady(720, 21)
    broken = run(before, rng.normal(scale=3.0, size=6))
    assert broken[-1].haste > 1.3
    assert max(state.haste for state in broken) <= drift.MOST_HASTE
    after = run(broken[-1], rng.normal(size=60))
    assert after[-1].haste < 1.2
    assert Drift().haste == 1.0


def test_in_steady_times_haste_costs_a_tenth_of_width_at_most() -> None:
    states = run(steady(200, 22), np.random.default_rng(23).normal(size=4_000))
    assert 1.0 < float(np.mean([state.haste for state in states])) < 1.12


def test_one_absurd_outcome_is_not_a_drift() -> None:
    assert run(steady(720, 11), [1e9])[-1].level is DriftLevel.STEADY


def test_a_state_that_went_through_the_journal_goes_on_as_if_it_had_not() -> None:
    rng = np.random.default_rng(12)
    kept = read = steady(300, 12)
    for value in rng.normal(scale=2.0, size=200):
        seen = Seen(score=float(value), moved=True, features={"unlike": float(abs(value) / 9)})
        kept = kept.after(seen)
        read = msgspec.json.decode(msgspec.json.encode(read), type=Drift).after(seen)
        assert kept == read
    assert len(msgspec.json.encode(kept)) < 8_000
