"""`margrave explain`: every decision of a round in plain sentences, from the journal alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from margrave.decide.report import decide
from margrave.errors import Fatal, Rejected
from margrave.guard.snapshot import Memory
from margrave.messages import AnyReading, Kind, Report
from margrave.operate.explain import DOUBTED, DRIFTED, FOUND, HELD, REFUSED, TRIGGERED, explain
from margrave.settings import Settings
from margrave.verdicts import Doubt, DriftLevel, DriftReason, HoldReason, Outcome, Rejection, Trigger
from tests.unit.decide.sample import ROUND, T_S, onchain, scores_of, settings_of, state_of, words
from tests.unit.guard.sample import T0_MS, book, books, histories, judged, scalar
from tests.unit.operate.sample import FAIR, journal_of
from tests.unit.terminal import Run, answer


def record(settings: Settings, readings: Iterable[AnyReading], memory: Memory | None = None) -> Memory:
    """A round as a node journals it, without anything after the guard."""
    snapshot, memory = judged(readings, T0_MS, memory)
    assert snapshot.round == ROUND
    with journal_of(settings) as journal:
        journal.saw(snapshot, {})
    return memory


def told(settings: Settings) -> str:
    return "\n".join(explain(settings, ROUND, "BTC").lines())


def test_what_was_kept_is_told_with_its_weight_distance_and_age(settings: Settings) -> None:
    record(settings, [*books(FAIR), *histories()])
    text = told(settings)
    assert f"Round {ROUND}, 2026-02-04 12:00:00 UTC, BTC: 7 venues agree on 70,000 USD." in text
    assert "Kept kraken at 70,000: 14% of the weight, +0.0 bp from the price, 1 s old." in text
    assert "Nobody told, or nobody was believed on: perp_basis, funding_8h, open_interest_usd, vol_index." in text
    assert "Nothing was signed." in text


def test_what_was_refused_is_told_with_the_reason_and_the_numbers(settings: Settings) -> None:
    record(settings, [*books(FAIR), book("okx", 90_000.0), scalar("kraken", Kind.FUNDING_8H, 3.0), *histories()])
    text = told(settings)
    assert (
        "Refused price of okx, because it is further from the others than they are from each other (outlier: " in text
    )
    assert "Refused funding_8h of kraken, because its numbers are outside anything that can be (out_of_range: " in text
    assert "funding_8h 3 is outside -0.1 to 0.1" in text


def test_a_doubt_is_told(settings: Settings) -> None:
    record(settings, [*books(FAIR), scalar("chain:1", Kind.ORACLE_PRICE, 60_000.0), *histories()])
    assert (
        "In doubt, because other oracles answer otherwise (other oracles say 60000: the price is +16.67% off"
        in told(settings)
    )


def test_a_hold_is_told_and_names_who_was_refused(settings: Settings) -> None:
    record(settings, [*books({"okx": 70_000.0, "kraken": 70_000.0}), *histories()])
    text = told(settings)
    assert "BTC: held by the guard, because too few venues agree (2 of 3 venues needed agree)." in text


def test_what_was_decided_is_told_up_to_the_end_of_the_round(settings: Settings) -> None:
    record(settings, [*books(FAIR), *histories()])
    scores = scores_of({"BTC": words()})
    report = decide(scores, state_of(onchain(None)), settings_of(1), T_S * 1000)
    assert isinstance(report, Report)
    with journal_of(settings) as journal:
        journal.scored(scores)
        journal.pledge(report, b"digest")
        journal.ended(ROUND, Outcome.PUBLISHED, "block 12")
    text = told(settings)
    assert "Scored " in text
    assert "Signed at 70,000 USD, because nothing of it was on chain." in text
    assert "The round ended published (block 12)." in text


def test_drift_and_what_was_learnt_are_told_with_what_follows_from_them(settings: Settings) -> None:
    record(settings, [*books(FAIR), *histories()])
    (row,) = scores_of({"BTC": words()}).markets
    row = msgspec.structs.replace(
        row,
        drift=DriftLevel.WIDENED,
        drift_reasons=(DriftReason.RESIDUALS_WIDER,),
        widening_down=1.231,
        widening_up=1.16,
        fallback=True,
    )
    scores = msgspec.structs.replace(scores_of({}), markets=(row,))
    with journal_of(settings) as journal:
        journal.scored(scores)
    text = told(settings)
    assert (
        "The models drift (widened): what came lay further out than the models said; so it is trusted less and its "
        "ladder is widened." in text
    )
    assert "The baseline speaks: the larger of both models' figures is published." in text
    assert "By what came of earlier forecasts, falls are widened by a factor of 1.23 and rises by 1.16." in text


def test_a_market_or_round_that_is_not_there_is_one_clear_line(settings: Settings) -> None:
    with pytest.raises(Fatal, match="no journal"):
        explain(settings, ROUND, "BTC")
    record(settings, [*books(FAIR), *histories()])
    with pytest.raises(Rejected, match="knows no market DOGE — it knows BTC"):
        explain(settings, ROUND, "DOGE")
    with pytest.raises(Rejected, match="no snapshot for round 1"):
        explain(settings, 1, "BTC")


def test_the_verb_prints_sentences_or_json(run: Run, settings: Settings, tmp_path: Path) -> None:
    record(settings, [*books(FAIR), *histories()])
    asked = ("explain", ROUND, "BTC", "-c", tmp_path / "ada" / "node.toml")
    assert "7 venues agree" in answer(run, *asked)
    assert "7 venues agree" in json.loads(answer(run, *asked, "--json"))["seen"][0]


def test_every_reason_the_guard_gives_is_a_sentence() -> None:
    alone = {"empty", "malformed", "wrong_instrument", "not_finite", "not_positive", "out_of_range"}
    books_ = {"crossed_book", "wide_spread", "thin_book", "stale", "future", "frozen", "outlier", "breaker"}
    assert {Rejection(r) for r in alone | books_} <= REFUSED.keys()
    assert set(Doubt) == DOUBTED.keys()
    assert set(Trigger) == TRIGGERED.keys()
    assert set(DriftReason) == FOUND.keys()
    assert set(DriftLevel) - {DriftLevel.STEADY} == DRIFTED.keys()
    assert HELD.keys() <= set(HoldReason)
