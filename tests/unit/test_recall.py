"""A node that was killed goes on from its journal as if it had not been; and every round of it replays."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from structlog.testing import capture_logs

from margrave.messages import Bar, MarketHold, MarketSnapshot, Surface
from margrave.operate.replay import replay, scorer_of
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.pipeline import Pipeline
from margrave.score.carried import Carried, fresh
from margrave.score.features.catalogue import LEVEL_H
from margrave.score.scores import BEGUN_MOST, Scorer
from margrave.settings import Settings
from margrave.spans import HOUR_MS
from margrave.store.journal import Journal
from margrave.verdicts import HoldReason
from tests.unit.operate.sample import journal_of
from tests.unit.score.chains import TRUE
from tests.unit.score.history import bars
from tests.unit.score.rounds import at_close

FIRST, LIVED = 240, 14
HISTORY = bars(FIRST + 40, seed=7)


@pytest.fixture
def scorer(settings: Settings) -> Scorer:
    return scorer_of(settings)


def live(
    scorer: Scorer,
    journal: Journal,
    ends: Sequence[int],
    surfaces: dict[str, Surface],
    carried: dict[str, Carried],
    history: Sequence[Bar] = HISTORY,
) -> tuple[dict[str, Surface], dict[str, Carried]]:
    """A round at the close of each of the bars, journalled in the order of `Pipeline`."""
    for end in ends:
        taken = at_close(history, end)
        journal.saw(taken, surfaces, carried)
        scores, carried = scorer.score(taken, surfaces, carried)
        surfaces = surfaces | {m.market: m.surface for m in scores.markets}
        journal.scored(scores)
    return surfaces, carried


def recalled(settings: Settings, scorer: Scorer, journal: Journal, now_ms: int) -> Pipeline:
    nobody = cast(Any, None)
    pipeline = Pipeline(
        settings=settings,
        clock=Clock(),
        metrics=Metrics(),
        journal=journal,
        board=nobody,
        scorer=scorer,
        oracle=nobody,
        attester=nobody,
        co_signer=nobody,
        publisher=nobody,
    )
    pipeline.recall(now_ms)
    return pipeline


def at_ms(end: int) -> int:
    return HISTORY[end - 1].open_time_ms + HOUR_MS


def test_a_killed_node_goes_on_as_one_that_was_not(settings: Settings, scorer: Scorer) -> None:
    until = FIRST + LIVED
    with journal_of(settings) as journal:
        surfaces, carried = live(scorer, journal, range(FIRST, until), {"BTC": TRUE}, {})
        again = recalled(settings, scorer, journal, at_ms(until - 1))
        assert again.carried == carried
        assert again.carried["BTC"].down.bars == LIVED - scorer.horizon_h
        assert again.surfaces["BTC"].total_vol_30d == surfaces["BTC"].total_vol_30d
        on = live(scorer, journal, range(until, until + 5), dict(again.surfaces), dict(again.carried))
        assert on[1] == live(scorer, journal, range(until, until + 5), surfaces, carried)[1]


def test_every_round_replays_with_what_it_carried(settings: Settings, scorer: Scorer) -> None:
    with journal_of(settings) as journal:
        live(scorer, journal, range(FIRST, FIRST + LIVED), {"BTC": TRUE}, {})
        rounds = journal.rounds()
        recorded = [journal.scores(round_).markets[0] for round_ in rounds]
        widened = [market.widening_down for market in recorded]
    assert widened[0] == 1.0
    assert widened[-1] != 1.0
    again = replay(settings, rounds)
    assert [r.differences for r in again] == [()] * LIVED
    for r, market in zip(again, recorded, strict=True):
        told = r.again.markets[0]
        assert (told.regime, told.masked, told.fallbacks) == (market.regime, market.masked, market.fallbacks)
        assert (told.contagion_rank, told.contagion_paths) == (market.contagion_rank, market.contagion_paths)


def test_what_came_while_a_node_was_down_is_judged_when_it_is_back(settings: Settings, scorer: Scorer) -> None:
    until = FIRST + LIVED
    with journal_of(settings) as journal:
        _, carried = live(scorer, journal, range(FIRST, until), {"BTC": TRUE}, {})
        back = recalled(settings, scorer, journal, at_ms(until + 9))
        after = live(scorer, journal, [until + 10], dict(back.surfaces), dict(back.carried))[1]["BTC"]
        assert after.down.bars == carried["BTC"].down.bars + scorer.horizon_h
        assert len(after.awaited) == 1


def test_a_surface_is_doubted_for_as_long_as_the_node_was_down(settings: Settings, scorer: Scorer) -> None:
    until = FIRST + 2
    with journal_of(settings) as journal:
        live(scorer, journal, range(FIRST, until), {"BTC": TRUE}, {})
        soon = recalled(settings, scorer, journal, at_ms(until))
        late = recalled(settings, scorer, journal, at_ms(until + 24))
    assert late.surfaces["BTC"].rmse_vol > soon.surfaces["BTC"].rmse_vol
    assert late.surfaces["BTC"].total_vol_30d == soon.surfaces["BTC"].total_vol_30d


def test_what_another_release_carried_is_begun_anew_and_said(settings: Settings, scorer: Scorer) -> None:
    with journal_of(settings) as journal, capture_logs() as logged:
        taken = at_close(HISTORY, FIRST)
        journal.saw(taken, {"BTC": TRUE}, {"BTC": TRUE})  # a surface is no such state
        again = recalled(settings, scorer, journal, at_ms(FIRST))
    assert again.carried["BTC"].down.bars == 0
    assert [line["event"] for line in logged] == ["what was learnt is begun anew"]


@pytest.mark.parametrize("journalled", [False, True], ids=["nothing", "a round of the future"])
def test_a_journal_with_nothing_to_go_on_from_is_a_fresh_start(
    settings: Settings, scorer: Scorer, *, journalled: bool
) -> None:
    with journal_of(settings) as journal:
        if journalled:
            live(scorer, journal, [FIRST + 5], {"BTC": TRUE}, {})
        again = recalled(settings, scorer, journal, at_ms(FIRST))
    assert (again.carried, again.surfaces) == ({}, {})


def test_a_node_that_begins_has_learnt_from_the_hours_that_it_is_given(settings: Settings, scorer: Scorer) -> None:
    """It then stands where one stands that has lived through them, but for what is told beside the bars."""
    history = bars(744, seed=5)
    taken = at_close(history, len(history))
    whole = msgspec.structs.replace(taken, markets=(msgspec.structs.replace(taken.markets[0], bars=history),))
    begun = scorer.score(whole, {"BTC": TRUE}, {})[1]["BTC"]
    assert begun.drift.size.bars == 744 - (LEVEL_H + 2)
    assert begun.down.bars == 744 - (LEVEL_H + 2) - scorer.horizon_h + 1
    lived: dict[str, Carried] = {"BTC": fresh(scorer.model_set)}
    for end in range(LEVEL_H + 2, 745):
        seen = at_close(history, end)
        bare = msgspec.structs.replace(seen.markets[0], bars=history[:end], vol_index=None, funding_8h=None)
        _, lived = scorer.score(msgspec.structs.replace(seen, markets=(bare,)), {"BTC": TRUE}, lived)
    assert begun.down.log_factor == pytest.approx(lived["BTC"].down.log_factor)
    assert begun.drift == lived["BTC"].drift


def test_very_many_markets_that_begin_at_once_share_a_bounded_work(scorer: Scorer) -> None:
    history = bars(744, seed=5)
    (one,) = at_close(history, len(history)).markets
    one = msgspec.structs.replace(one, bars=history)
    asked = []
    forecaster = scorer.forecaster

    class Counting:
        prior = forecaster.prior

        def forecast(self, markets: Sequence[MarketSnapshot], carried: Mapping[str, Carried]) -> list[MarketHold]:
            asked.append(len(markets))
            return [MarketHold(market=m.market, reason=HoldReason.NO_SURFACE, detail="") for m in markets]

        def forecasts(
            self, worlds: Sequence[tuple[Sequence[MarketSnapshot], Mapping[str, Carried]]]
        ) -> list[list[MarketHold]]:
            return [self.forecast(markets, carried) for markets, carried in worlds]

    names = [f"M{i}" for i in range(200)]
    crowd = [msgspec.structs.replace(one, market=name) for name in names]
    settings_of = dict.fromkeys(names, next(iter(scorer.markets.values())))
    many = Scorer(Counting(), settings_of, scorer.policy, scorer.model_set)
    many.score(msgspec.structs.replace(at_close(history, len(history)), markets=tuple(crowd)))
    assert asked == [200] * (BEGUN_MOST // 200) + [200]


KILLED = """
import os, sys
from pathlib import Path
from margrave.operate.replay import scorer_of
from margrave.settings import load
from tests.unit.test_recall import FIRST, HISTORY, LIVED, live, journal_of
from tests.unit.score.chains import TRUE
settings = load(Path(sys.argv[1]))
with journal_of(settings) as journal:
    surfaces, carried = live(scorer_of(settings), journal, range(FIRST, FIRST + LIVED), {"BTC": TRUE}, {})
    sys.stdout.buffer.write(__import__("msgspec").json.encode(carried))
    sys.stdout.flush()
    os.kill(os.getpid(), 9)
"""


def test_kill_9_right_after_a_round_loses_nothing(settings: Settings, scorer: Scorer, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "ada" / "node.toml")]
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}, check=False
    )
    assert done.returncode == -9, done.stderr
    with journal_of(settings) as journal:
        again = recalled(settings, scorer, journal, at_ms(FIRST + LIVED - 1))
    assert again.carried == msgspec.json.decode(done.stdout, type=dict[str, Carried])
    assert again.carried["BTC"].regime.at_ms == at_ms(FIRST + LIVED - 1)
