"""Forced sales that did not happen: of the round that was feared most, told in one sentence and a bar a round."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from margrave.lab.demo import falls, page
from margrave.lab.demo.record import FallRound, FallRow
from margrave.messages import HealthReading
from margrave.store.journal import Journal
from tests.unit.demo import sample
from tests.unit.score.chains import AS_OF_MS
from tests.unit.score.sample import market, snapshot

HEALTH = HealthReading(
    source="aave_v3:1",
    market="BTC",
    instrument="aave_v3",
    venue_time_ms=AS_OF_MS,
    seen_time_ms=AS_OF_MS,
    protocol="aave_v3",
    edges=(1.02, 1.1, 1.5),
    debt_usd=(0.0, 4e7, 6e7, 1e8),
    collateral_usd=(0.0, 6e7, 1e8, 3e8),
    block=7,
)
FALL = FallRow(
    market="BTC",
    round=1,
    protocol="aave_v3",
    debt_usd=2e8,
    price_usd=40_000.0,
    shocked_usd=32_000.0,
    rounds=(FallRound(seized_usd=3e7, price_usd=31_000.0), FallRound(seized_usd=6e6, price_usd=30_900.0)),
    liquidated_usd=3.6e7,
    bad_debt_usd=120_000.0,
)


def test_a_fall_liquidates_those_below_one_and_a_deeper_one_no_fewer() -> None:
    seen = market(health=(HEALTH,), depth_usd=2e7)
    none, some, more = (falls.fall_of(seen, 1, fall) for fall in (0.0, 0.05, 0.2))
    assert none.rounds == ()
    assert 0 < some.liquidated_usd < more.liquidated_usd
    assert more.rounds[-1].price_usd < more.shocked_usd == pytest.approx(0.8 * seen.price)


def test_the_round_that_was_feared_most_is_taken_from_the_journal(tmp_path: Path) -> None:
    summary = sample.run(rounds=5, silent_rounds=())
    worst = max(summary.rounds, key=lambda row: falls._loss(row, "BTC"))
    seen = msgspec.structs.replace(snapshot(market(health=(HEALTH,)), market("ETH")), round=worst.round)
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        assert falls.feared(journal, summary.rounds, summary.markets) == ()
        journal.saw(seen, {})
        (found,) = falls.feared(journal, summary.rounds, summary.markets)
    assert (found.market, found.round, found.protocol, found.debt_usd) == ("BTC", worst.round, "aave_v3", 2e8)
    assert found.shocked_usd == pytest.approx(found.price_usd * (1 - worst.markets["BTC"].down_es99))


def test_the_sentence_says_what_would_have_been_sold_and_what_would_be_left() -> None:
    assert falls.drawn(FALL).sentence == (
        "aave_v3 had lent $200M against BTC. A fall of 20.0%, to $32,000, would have liquidated $36M in 2 rounds and "
        "left the price at $30,900, $120k of debt without collateral."
    )
    nobody = msgspec.structs.replace(FALL, rounds=(), liquidated_usd=0.0, bad_debt_usd=0.0)
    assert falls.drawn(nobody).sentence.endswith("would have liquidated nobody.")
    assert falls.drawn(nobody).bars == ()


def test_bars_stand_side_by_side_the_largest_up_to_the_top() -> None:
    many = msgspec.structs.replace(FALL, rounds=FALL.rounds * 12)
    bars = falls.drawn(many).bars
    assert len(bars) == falls.MOST_DRAWN
    assert all(a.x + a.width < b.x for a, b in pairwise(bars))
    assert bars[-1].x + bars[-1].width <= falls.WIDTH
    assert max(bar.height for bar in bars) == falls.BASE - 20


def test_the_page_shows_it_under_its_market() -> None:
    text = page.render(msgspec.structs.replace(sample.run(rounds=3, silent_rounds=()), falls=(FALL,)))
    assert "Had the forecast" in text
    assert "aave_v3 had lent $200M against BTC." in text
