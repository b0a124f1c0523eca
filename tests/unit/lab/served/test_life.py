"""The walk through a market's hours is the scorer's, and says so when the market leaves its model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from margrave.lab.served import life
from margrave.lab.served.rounds import FIRST_H
from margrave.messages import Bar
from margrave.score.carried import Carried
from tests.unit.score import real
from tests.unit.score.chains import TRUE
from tests.unit.score.rounds import at_close
from tests.unit.score.sample import POLICY, bars

HOURS = 120
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def drawn(sigma: np.ndarray) -> tuple[Bar, ...]:
    """One bar an hour, each of `sigma` (hours,)."""
    moves = sigma * np.random.default_rng(5).standard_normal(len(sigma))
    return bars(list(70_000.0 * np.exp(np.cumsum(moves))))


def lived(history: tuple[Bar, ...]) -> life.Lived:
    rounds = list(life.live(real.forecaster(), POLICY.widening, "BTC", history, FIRST_H - 1))
    return life.told("BTC", "drawn", THEN, THEN, rounds, POLICY.widening.on_haste)


def scored_through(history: tuple[Bar, ...]) -> Iterator[Carried]:
    """The whole scorer, with a surface that stands still, told nothing beside the bars."""
    scorer, carried = real.scorer(), dict[str, Carried]()
    for end in range(FIRST_H, len(history) + 1):
        taken = at_close(history, end)
        alone = msgspec.structs.replace(taken.markets[0], funding_8h=None, vol_index=None)
        scores, carried = scorer.score(msgspec.structs.replace(taken, markets=(alone,)), {"BTC": TRUE}, carried)
        assert scores.holds == ()
        yield carried["BTC"]


def test_what_a_walk_carries_is_what_the_scorer_carries() -> None:
    sigma = np.full(FIRST_H + HOURS, 0.005)
    sigma[FIRST_H + 40 :] *= 3
    history = drawn(sigma)
    walked = [state for state, _ in life.live(real.forecaster(), POLICY.widening, "BTC", history, FIRST_H - 1)]
    scored = list(scored_through(history))
    assert len(walked) == len(scored) == HOURS + 1
    for ours, theirs in zip(walked, scored, strict=True):
        assert (ours.down, ours.up, ours.drift, ours.awaited) == (theirs.down, theirs.up, theirs.drift, theirs.awaited)
        assert ours.running == theirs.running
    assert walked[-1].down.bars == HOURS + 1 - POLICY.round.mpor_s // 3_600


def test_a_market_that_leaves_its_model_is_hastened_and_climbs_and_a_quiet_one_is_not() -> None:
    sigma = np.full(FIRST_H + 2 * HOURS, 0.005)
    quiet = lived(drawn(sigma))
    sigma[FIRST_H + HOURS :] *= 6
    broken = lived(drawn(sigma))
    assert quiet.levels["steady"] == 1.0
    assert sum(quiet.climbed.values()) == 0
    assert broken.climbed["flagged"] >= 1
    assert broken.levels["steady"] < 1.0
    assert broken.haste[-1] > quiet.haste[-1]
    assert broken.learnt_down[-1] > quiet.learnt_down[-1]
    assert sum(broken.levels.values()) == pytest.approx(1.0, abs=1e-4)


def test_hours_without_a_forecast_are_counted() -> None:
    history = drawn(np.full(FIRST_H + 24, 0.005))
    stood = history[FIRST_H - 1].close
    frozen = [Bar(bar.open_time_ms, stood, stood, stood, stood, 0.0) for bar in history[FIRST_H:]]
    assert lived((*history[:FIRST_H], *frozen)).held == 12, "the hours with more than half a day that stood still"
