"""`margrave value`: any option, from a round's chain, from the surface of a round without one, or from a file."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import msgspec
import pytest

from margrave import cli
from margrave.errors import MargraveError, Rejected
from margrave.operate import value as fair
from margrave.operate.init import Plan, init
from margrave.score import surface
from margrave.score.fair_value import Remark
from margrave.settings import Settings, load
from margrave.store.journal import Journal
from tests.unit.decide.sample import ROUND, T_S, scores_of, words
from tests.unit.guard.sample import T0_MS, VENUES, books, histories, judged
from tests.unit.lab.court.surface.made import put
from tests.unit.score.chains import AS_OF_MS, TRUE, made

ASKED = [fair.option("27FEB26-72000-C"), fair.option("27feb26-72000-p")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    init(tmp_path / "ada", Plan(name="ada"))
    return load(tmp_path / "ada" / "node.toml")


def record(settings: Settings, *, with_chain: bool, scored: bool = False) -> None:
    """A round as a node journals it, with or without a chain of BTC."""
    snapshot, _ = judged([*books(dict.fromkeys(VENUES, 70_000.0)), *histories()], T0_MS)
    if with_chain:
        age_s = (snapshot.as_of_ms - AS_OF_MS) / 1000
        markets = tuple(
            msgspec.structs.replace(m, quotes=tuple(made()), chain_age_s=age_s) if m.market == "BTC" else m
            for m in snapshot.markets
        )
        snapshot = msgspec.structs.replace(snapshot, markets=markets)
    with contextlib.closing(Journal(settings.node.state_dir / "journal.sqlite")) as journal:
        journal.saw(snapshot, {})
        if scored:
            journal.scored(scores_of({"BTC": words()}))


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


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words_: str) -> str:
    monkeypatch.setattr("sys.argv", ["margrave", "value", *words_])
    with pytest.raises(SystemExit) as left:
        cli.main()
    out = capsys.readouterr()
    return out.out if not left.value.code else out.err


def test_the_verb_prints_lines_or_json_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(put(tmp_path, [(AS_OF_MS, made())]))
    text = printed(capsys, monkeypatch, "BTC", "27FEB26-72000-C", "--chain", file)
    assert text.splitlines()[0].startswith("BTC from BTC.parquet, 2026-02-04 12:00:00 UTC")
    assert "27FEB26-72000-C" in text
    told = json.loads(printed(capsys, monkeypatch, "BTC", "27FEB26-72000-C", "--chain", file, "--json"))
    assert told["model"] == "surface_prior/1"
    assert told["values"][0]["price_low"] < told["values"][0]["price"] < told["values"][0]["price_high"]


@pytest.mark.parametrize(
    ("words_", "line"),
    [
        (("ETH", "27FEB26-72000-C"), "holds no chain of ETH — it holds BTC"),
        (("BTC", "27FEB26-72000"), "is no option — write it like"),
        (("BTC", "31FEB26-72000-C"), "is no option"),
        (("BTC", "27JAN26-72000-C"), "expired"),
        (("BTC", "25DEC26-72000-C"), "are more than the 200"),
    ],
)
def test_what_cannot_be_valued_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words_: tuple[str, ...],
    line: str,
) -> None:
    file = str(put(tmp_path, [(AS_OF_MS, made())]))
    text = printed(capsys, monkeypatch, *words_, "--chain", file)
    assert line in text
    assert len(text.splitlines()) == 1
    assert "Traceback" not in text


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    from margrave.lab.court import chains

    with pytest.raises(MargraveError, match="there is no file"):
        chains.last_in(tmp_path / "none.parquet", "BTC")
