"""Chambers: called by their word, heard beside the walked kinds, and never needed for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from margrave.errors import Fatal
from margrave.lab.court import backtest as court
from margrave.lab.court import page
from margrave.lab.court.backtest import Wish
from margrave.lab.court.chamber import Case, Chamber, Ruling
from margrave.lab.court.chambers import CHAMBERS
from margrave.lab.court.families import Kind, everyone
from margrave.lab.court.report import Report
from margrave.lab.court.target import Goal
from tests.unit.lab.court.small import CALLED, Zeroes
from tests.unit.lab.court.test_history import bars, put

SITTING: tuple[Chamber, ...] = (Zeroes(), Zeroes(kind="others", goals=(Goal("another share", 0.5, at_least=True),)))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    put(folder, "ohlcv_any_1h/AAAUSDT", bars(4_500))
    return folder


def judged(history: Path, out: Path, *words: str, sitting: Sequence[Chamber] = SITTING) -> Report:
    return court.backtest(Wish(data=history, out=out, families=words, workers=1), print, CALLED, sitting)


def test_a_chamber_alone_is_heard_and_the_others_targets_say_that_they_were_not_called(
    history: Path, tmp_path: Path
) -> None:
    found = judged(history, tmp_path, "zeroes")
    assert not found.volatility
    assert [ruling.kind for ruling in found.rulings] == ["zeroes"]
    of = {target.name: target for target in found.targets}
    assert of["share of hours without a move"].holds is True
    assert of["another share"].value is None
    assert "name others" in of["another share"].note
    told = msgspec.json.decode((tmp_path / "report.json").read_bytes())
    assert told["rulings"][0]["tables"][0]["rows"][1] == ["none", None, "no <b>"]
    assert told["rulings"][0]["figures"] == [{"title": "Moves", "svg": "", "note": ""}]
    html = page.render(found)
    assert html.count("<svg") == 1
    assert "no &lt;b&gt;" in html


def test_a_kinds_word_calls_all_of_it_and_no_chamber(history: Path, tmp_path: Path) -> None:
    found = judged(history, tmp_path, "volatility")
    assert set(found.facts.families) == {x.name for x in CALLED if x.kind is Kind.VOLATILITY}
    assert found.rulings == ()


def test_without_words_all_are_called(history: Path, tmp_path: Path) -> None:
    found = judged(history, tmp_path)
    assert found.volatility
    assert found.tails
    assert [ruling.kind for ruling in found.rulings] == ["zeroes", "others"]


def test_a_word_that_is_nobodys_is_refused_with_all_that_there_are(history: Path, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="no family is called nobody") as refused:
        judged(history, tmp_path, "zeroes", "nobody")
    assert "EWMA 0.97" in refused.value.advice
    assert refused.value.advice.endswith("zeroes, others")


def test_a_folder_without_bars_is_for_those_who_need_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(Fatal, match=r"nothing could be judged: volatility and tails: no bars.*; there are no bars"):
        judged(tmp_path / "data", tmp_path / "out")


def test_a_chamber_that_fails_is_said_and_costs_the_others_nothing(history: Path, tmp_path: Path) -> None:
    class Failing(Zeroes):
        def judge(self, case: Case) -> Ruling:
            raise ZeroDivisionError(f"no {case.panel.hours - 4_500} hours")

    found = judged(history, tmp_path, sitting=(Failing(kind="failing", goals=(Goal("never", 1.0),)), Zeroes()))
    assert found.volatility
    failed, whole = found.rulings
    assert failed.silent == ("failing failed, which is a fault of it: ZeroDivisionError: no 0 hours",)
    assert whole.tables
    assert next(target for target in found.targets if target.name == "never").holds is None


def test_a_goal_is_met_from_its_own_side() -> None:
    most, least = Goal("most", 1.0), Goal("least", 0.9, at_least=True)
    assert most.measured(1.0).verdict == least.measured(0.9).verdict == "met"
    assert most.measured(1.2).verdict == "missed by 0.2"
    assert least.measured(0.6).verdict == "missed by 0.3"
    assert most.measured(float("nan")).verdict == "not measured"


def test_no_chamber_takes_anothers_word_or_target() -> None:
    kinds = [chamber.kind for chamber in CHAMBERS]
    taken = {*Kind, *(listed.name for listed in everyone())}
    assert len(set(kinds)) == len(kinds)
    assert not taken & set(kinds)
    names = [goal.name for chamber in CHAMBERS for goal in chamber.goals]
    assert len(set(names)) == len(names)
    assert all(chamber.about and chamber.about == chamber.about.strip() for chamber in CHAMBERS)
