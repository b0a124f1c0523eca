"""`margrave greeks`: from the lanes of a round or from a chain file; what cannot be asked is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from margrave.errors import Rejected
from margrave.operate import greeks as told_of
from margrave.score import surface
from margrave.score.greeks.published import surface_of
from margrave.settings import Settings
from tests.unit.decide.sample import ROUND, T_S, scores_of, words
from tests.unit.guard.sample import T0_MS
from tests.unit.lab.court.surface.made import put
from tests.unit.operate.sample import ASKED, journal_of, record
from tests.unit.score.chains import AS_OF_MS, made
from tests.unit.terminal import Run, answer, refusal


def test_a_rounds_lanes_tell_plain_smile_and_ladder(settings: Settings) -> None:
    record(settings, scored=True)
    told = told_of.from_journal(settings, "BTC", ASKED)
    call, put_ = told.options
    assert told.source == f"the lanes of round {ROUND}"
    assert told.as_of_ms // 1000 == T_S or told.as_of_ms == T0_MS
    years = (call.option.expiry_ms - told.as_of_ms) / 86_400_000 / 365
    assert call.forward == pytest.approx(70_000 * (1 + 0.05 * years))
    assert call.vol == pytest.approx(surface.implied_vol(surface_of(words()), call.forward, 72_000.0, years))
    for row in ("plain", "adjusted", "over_moves"):
        assert getattr(call, row).delta - getattr(put_, row).delta == pytest.approx(1.0, abs=1e-9)
    assert call.adjusted.delta < call.plain.delta
    assert call.over_moves is not None
    assert call.over_moves.vanna is None
    assert len(told.lines()) == 1 + 2 * 5


def test_a_round_that_did_not_score_the_market_is_one_clear_line(settings: Settings) -> None:
    record(settings, scored=False)
    with pytest.raises(Rejected, match="no round of the journal scored BTC"):
        told_of.from_journal(settings, "BTC", ASKED)
    with journal_of(settings) as journal:
        journal.scored(scores_of({"ETH": words(3_000.0)}))
    with pytest.raises(Rejected, match=f"round {ROUND} did not score BTC"):
        told_of.from_journal(settings, "BTC", ASKED, ROUND)


def test_an_option_that_a_chain_marks_keeps_its_mark() -> None:
    quotes = made()
    marked = next(q for q in quotes if q.is_call and q.mark_iv and q.expiry_ms > AS_OF_MS + 20 * 86_400_000)
    asked = [told_of.Option(marked.expiry_ms, marked.strike, True), told_of.Option(marked.expiry_ms, 71_234.5, True)]
    told = told_of.from_quotes("BTC", "a chain", quotes, AS_OF_MS, asked, 70_000.0)
    assert told.options[0].vol == marked.mark_iv
    assert told.options[0].forward == told.options[1].forward == marked.forward
    assert told.options[0].over_moves is None


def test_the_verb_prints_lines_or_json_from_a_file(run: Run, tmp_path: Path) -> None:
    file = str(put(tmp_path, [(AS_OF_MS, made())]))
    lines = answer(run, "greeks", "BTC", "27FEB26-72000-C", "--chain", file).splitlines()
    assert lines[0].startswith("BTC from BTC.parquet, 2026-02-04 12:00:00 UTC")
    assert lines[1].startswith("27FEB26-72000-C")
    assert [line.split()[0] for line in lines[2:]] == ["delta", "plain", "smile"]
    told = json.loads(answer(run, "greeks", "BTC", "27FEB26-72000-C", "--chain", file, "--json"))
    assert told["options"][0]["adjusted"]["delta"] < told["options"][0]["plain"]["delta"]


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (("ETH", "27FEB26-72000-C"), "holds no chain of ETH — it holds BTC"),
        (("BTC", "27FEB26-72000"), "is no option — write it like"),
        (("BTC", "27FEB26-0-C"), "a strike of 0.0 is none"),
        (("BTC", "27JAN26-72000-C"), "expired"),
        (("BTC", "25DEC26-72000-C"), "are more than the 200"),
    ],
)
def test_what_cannot_be_asked_is_one_line(run: Run, tmp_path: Path, asked: tuple[str, ...], line: str) -> None:
    file = str(put(tmp_path, [(AS_OF_MS, made())]))
    assert line in refusal(run, "greeks", *asked, "--chain", file)
