"""`margrave value`: any option, from a round's chain, from the surface of a round without one, or from a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from margrave.errors import MargraveError, Rejected
from margrave.operate import value as fair
from margrave.score import surface
from margrave.score.fair_value import Remark
from margrave.settings import Settings
from tests.unit.decide.sample import ROUND, T_S
from tests.unit.guard.sample import T0_MS
from tests.unit.lab.court.surface.made import put
from tests.unit.operate.sample import ASKED, record
from tests.unit.score.chains import AS_OF_MS, TRUE, made
from tests.unit.terminal import Run, answer, refusal


def test_a_rounds_chain_values_any_option(settings: Settings) -> None:
    record(settings, with_chain=True)
    told = fair.from_journal(settings, "BTC", ASKED)
    call, put_ = told.values
    true = surface.implied_vol(TRUE, call.forward, 72_000.0, (call.option.expiry_ms - AS_OF_MS) / 86_400_000 / 365)
    assert call.vol_low < true < call.vol_high
    assert call.price - put_.price == pytest.approx(call.forward - 72_000.0, rel=1e-6)
    assert told.source == f"the chain of round {ROUND}"
    assert told.as_of_ms == AS_OF_MS


def test_a_round_without_a_chain_answers_from_its_surface_and_says_so(settings: Settings) -> None:
    record(settings, with_chain=False, scored=True)
    told = fair.from_journal(settings, "BTC", ASKED, ROUND)
    assert told.source == f"the surface of round {ROUND}"
    assert told.as_of_ms // 1000 == T_S or told.as_of_ms == T0_MS
    assert {remark for found in told.values for remark in found.remarks} == {Remark.SURFACE_ONLY}
    assert "the surface alone says so" in told.lines()[1]


def test_a_market_that_nobody_knows_is_one_clear_line(settings: Settings) -> None:
    record(settings, with_chain=True)
    with pytest.raises(Rejected, match="knows no market DOGE"):
        fair.from_journal(settings, "DOGE", ASKED)


def test_the_verb_prints_lines_or_json_from_a_file(run: Run, tmp_path: Path) -> None:
    file = str(put(tmp_path, [(AS_OF_MS, made())]))
    text = answer(run, "value", "BTC", "27FEB26-72000-C", "--chain", file)
    assert text.splitlines()[0].startswith("BTC from BTC.parquet, 2026-02-04 12:00:00 UTC")
    assert "27FEB26-72000-C" in text
    told = json.loads(answer(run, "value", "BTC", "27FEB26-72000-C", "--chain", file, "--json"))
    assert told["model"] == "surface_prior/1"
    assert told["values"][0]["price_low"] < told["values"][0]["price"] < told["values"][0]["price_high"]


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (("ETH", "27FEB26-72000-C"), "holds no chain of ETH — it holds BTC"),
        (("BTC", "27FEB26-72000"), "is no option — write it like"),
        (("BTC", "31FEB26-72000-C"), "is no option"),
        (("BTC", "27JAN26-72000-C"), "expired"),
        (("BTC", "25DEC26-72000-C"), "are more than the 200"),
    ],
)
def test_what_cannot_be_valued_is_one_line(run: Run, tmp_path: Path, asked: tuple[str, ...], line: str) -> None:
    file = str(put(tmp_path, [(AS_OF_MS, made())]))
    assert line in refusal(run, "value", *asked, "--chain", file)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    from margrave.lab.court import chains

    with pytest.raises(MargraveError, match="there is no file"):
        chains.last_in(tmp_path / "none.parquet", "BTC")
