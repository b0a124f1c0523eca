"""`margrave hedge`: what to hold, from a round of the journal or a chain file, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from margrave.errors import Fatal
from margrave.operate import hedge as hedging
from margrave.score.hedge import Remark
from margrave.settings import Settings
from tests.unit.lab.court.surface.made import put
from tests.unit.operate.sample import ASKED, record
from tests.unit.score.chains import AS_OF_MS, made
from tests.unit.terminal import Run, answer, refusal


def test_a_round_hedges_a_call_and_its_put_one_unit_apart(settings: Settings) -> None:
    record(settings, with_chain=True)
    told = hedging.from_journal(settings, "BTC", ASKED, 0.0005, None, None)
    call, put_ = told.holdings
    assert 0 < call.lower < call.upper < 1
    assert put_.hedge == pytest.approx(call.hedge - 1.0, abs=0.02)
    assert call.forward > 0
    assert told.model == hedging.CLASSICAL
    assert hedging.from_journal(settings, "BTC", ASKED, 0.0005, None, None, learned=True).model == "hedge/1"


def test_the_learned_hedge_is_looked_for_in_the_registry_that_the_node_names(
    settings: Settings, tmp_path: Path
) -> None:
    record(settings, with_chain=False, scored=True)
    other = settings.model_copy(update={"node": settings.node.model_copy(update={"registry_dir": tmp_path})})
    assert hedging.from_journal(other, "BTC", ASKED, 0.0005, None, None).holdings
    with pytest.raises(Fatal, match=str(tmp_path / "hedge" / "1")):
        hedging.from_journal(other, "BTC", ASKED, 0.0005, None, None, learned=True)


def test_the_verb_prints_lines_or_json_from_a_file(run: Run, tmp_path: Path) -> None:
    asked = ("BTC", "27FEB26-72000-C", "--chain", str(put(tmp_path, [(AS_OF_MS, made())])), "--held", "0.9", "--policy")
    text = answer(run, "hedge", *asked)
    assert "BTC from BTC.parquet, by hedge/1, at 5 bp" in text
    assert "fewer than four weeks of bars" in text
    told = json.loads(answer(run, "hedge", *asked, "--json", "--cost", "20"))
    row = told["holdings"][0]
    assert row["hedge"] == row["upper"] < 0.9
    assert row["remarks"] == [Remark.NO_HISTORY]
    assert told["cost"] == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (("BTC", "27FEB26-72000-C", "--cost", "-1"), "contract 0: cost"),
        (("BTC", "27FEB26-72000-C", "--held", "inf"), "contract 0: held"),
        (("BTC", "27JAN26-72000-C"), "expired"),
        (("DOGE", "27FEB26-72000-C"), "holds no chain of DOGE"),
    ],
)
def test_what_cannot_be_hedged_is_one_line(run: Run, tmp_path: Path, asked: tuple[str, ...], line: str) -> None:
    assert line in refusal(run, "hedge", *asked, "--chain", str(put(tmp_path, [(AS_OF_MS, made())])))
