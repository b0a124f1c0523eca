"""The regime: a word that rises at once, falls slowly, and means a market's own usual day."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.score.regime import (
    ABOVE,
    CALM_BELOW,
    ORDER,
    PRIOR_H,
    RELEASE_H,
    TYPICAL,
    Regarded,
    RegimeState,
    evidence,
    step,
)
from margrave.spans import HOUR_MS
from margrave.verdicts import DriftLevel, Regime


def at(hour: float, score: float, **beside: object) -> Regarded:
    return Regarded(now_ms=round(hour * HOUR_MS), score=score, **beside)  # type: ignore[arg-type]


def lived(rounds: Iterable[Regarded], state: RegimeState | None = None) -> list[RegimeState]:
    states = [state or RegimeState()]
    for seen in rounds:
        states.append(step(states[-1], seen))
    return states[1:]


def usual(score: float, hours: int = 2_000) -> RegimeState:
    """Of a market whose score has been this for a long time."""
    return lived(at(hour, score) for hour in range(1, hours + 1))[-1]


def over(state: RegimeState, log: float) -> float:
    return math.exp(state.usual + log)


def test_the_words_are_in_order_and_each_threshold_lies_above_the_one_before() -> None:
    assert ORDER == (Regime.CALM, Regime.NORMAL, Regime.ELEVATED, Regime.STRESSED, Regime.CRISIS)
    assert CALM_BELOW < 0 < ABOVE[Regime.ELEVATED] < ABOVE[Regime.STRESSED] < ABOVE[Regime.CRISIS]


@pytest.mark.parametrize("level", [300.0, 1_500.0, 4_000.0])
def test_what_is_usual_for_a_market_is_normal_whatever_its_score(level: float) -> None:
    state = usual(level)
    assert state.regime is Regime.NORMAL
    assert math.exp(state.usual) == pytest.approx(level, rel=0.1)


@pytest.mark.parametrize(
    ("log", "expected"),
    [(CALM_BELOW - 0.01, Regime.CALM), (0.0, Regime.NORMAL)]
    + [(least + 0.01, regime) for regime, least in ABOVE.items()],
)
def test_the_word_says_how_far_the_score_lies_over_the_usual_one(log: float, expected: Regime) -> None:
    state = usual(1_500.0)
    assert evidence(at(2_001, over(state, log)), state.usual) is expected


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"drift": DriftLevel.FLAGGED}, Regime.NORMAL),
        ({"drift": DriftLevel.WIDENED}, Regime.ELEVATED),
        ({"drift": DriftLevel.BASELINE}, Regime.STRESSED),
        ({"funding_8h": 0.002}, Regime.ELEVATED),
        ({"funding_8h": -0.002}, Regime.ELEVATED),
        ({"liquidated_usd_per_hour": 3e6, "open_interest_usd": 1e8}, Regime.STRESSED),
        ({"liquidated_usd_per_hour": 3e7, "open_interest_usd": 1e8}, Regime.CRISIS),
        ({"liquidated_usd_per_hour": 3e7, "open_interest_usd": 0.0}, Regime.NORMAL),
        ({"liquidated_usd_per_hour": 3e7}, Regime.NORMAL),
    ],
)
def test_each_figure_speaks_for_itself(beside: dict[str, object], expected: Regime) -> None:
    state = usual(1_500.0)
    assert step(state, at(2_001, 1_500.0, **beside)).regime is expected


def test_a_margin_that_is_eaten_whole_is_no_usual_day_in_any_market() -> None:
    state = usual(9_500.0)
    assert evidence(at(1, 9_500.0), state.usual) is Regime.NORMAL
    assert evidence(at(1, 10_000.0), state.usual) is Regime.ELEVATED


def test_it_rises_at_once_and_falls_by_one_word_a_day() -> None:
    calm = usual(1_500.0)
    crash = step(calm, at(2_001, over(calm, 2.0)))
    assert crash.regime is Regime.CRISIS
    after = lived((at(2_001 + hour, 1_500.0) for hour in range(1, 100)), crash)
    words = [state.regime for state in after]
    assert words.index(Regime.STRESSED) == RELEASE_H - 1
    assert words.index(Regime.ELEVATED) == 2 * RELEASE_H - 1
    assert words.index(Regime.NORMAL) == 3 * RELEASE_H - 1
    assert set(words[words.index(Regime.NORMAL) :]) == {Regime.NORMAL}


def test_a_score_that_hovers_about_a_threshold_does_not_change_the_word_with_every_round() -> None:
    state = usual(1_500.0)
    high, low = over(state, ABOVE[Regime.ELEVATED] + 0.02), over(state, ABOVE[Regime.ELEVATED] - 0.02)
    words = [s.regime for s in lived((at(2_000 + n / 12, high if n % 2 else low) for n in range(1, 200)), state)]
    assert set(words) == {Regime.ELEVATED}


def test_evidence_in_between_starts_the_release_again() -> None:
    state = step(usual(1_500.0), at(2_001, 7_500.0))
    assert state.regime is Regime.STRESSED
    scores = [1_500.0] * 20 + [7_500.0] + [1_500.0] * 20
    assert {s.regime for s in lived((at(2_002 + n, score) for n, score in enumerate(scores)), state)} == {
        Regime.STRESSED
    }


def test_rounds_a_minute_and_rounds_an_hour_end_at_the_same_word_and_the_same_usual_level() -> None:
    def path(hour: float) -> float:
        return 1_500.0 * math.exp(0.4 * math.sin(hour / 50))

    slow = lived(at(hour, path(hour)) for hour in range(1, 1_001))[-1]
    quick = lived(at(n / 4, path(n / 4)) for n in range(4, 4_001))[-1]
    assert quick.usual == pytest.approx(slow.usual, abs=0.01)
    assert quick.regime is slow.regime


def test_hours_that_nobody_served_prove_nothing_calm() -> None:
    crash = step(usual(1_500.0), at(2_001, 9_900.0))
    assert step(crash, at(2_200, 1_500.0)).regime is crash.regime


def test_a_crisis_does_not_become_the_norm_within_days() -> None:
    state = usual(1_500.0)
    days = lived((at(2_000 + hour, 12_000.0) for hour in range(1, 72)), state)
    assert {s.regime for s in days} == {Regime.CRISIS}
    assert days[-1].usual - state.usual < 0.1


def test_a_market_that_is_new_is_held_against_what_is_usual_anywhere() -> None:
    assert step(RegimeState(), at(1, TYPICAL)).regime is Regime.NORMAL
    assert step(RegimeState(), at(1, 3 * TYPICAL)).regime is Regime.ELEVATED
    assert RegimeState().hours == PRIOR_H


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.0])
def test_a_score_that_is_no_number_changes_nothing(score: float) -> None:
    state = usual(1_500.0, 50)
    assert step(state, at(51, score)) == state


def test_the_same_round_again_and_an_earlier_one_change_nothing() -> None:
    state = usual(1_500.0, 50)
    assert step(state, at(50, 9_000.0)) == state
    assert step(state, at(3, 9_000.0)) == state


def test_the_state_survives_the_journal() -> None:
    state = step(usual(1_500.0, 50), at(51, 9_000.0))
    assert msgspec.json.decode(msgspec.json.encode(state), type=RegimeState) == state
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=RegimeState) == state


scores = st.lists(st.floats(0, 10_000), min_size=1, max_size=60)


@given(scores, st.data())
def test_a_higher_score_never_speaks_for_a_quieter_regime(found: Sequence[float], data: st.DataObject) -> None:
    state = lived(at(n + 1, score) for n, score in enumerate(found))[-1]
    low, high = sorted(data.draw(st.tuples(st.floats(0, 10_000), st.floats(0, 10_000))))
    now = len(found) + 1
    assert ORDER.index(step(state, at(now, low)).regime) <= ORDER.index(step(state, at(now, high)).regime)


@given(scores)
def test_no_path_of_scores_moves_the_usual_level_faster_than_its_memory(found: Sequence[float]) -> None:
    before = RegimeState()
    for n, score in enumerate(found):
        after = step(before, at(n + 1, score))
        assert after.usual - before.usual <= 0.7 / PRIOR_H + 1e-12
        assert 0 <= after.hours - before.hours <= 1
        before = after
