"""The command writes what it did, and refuses in one line what a folder lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from margrave.lab.served.__main__ import main
from margrave.lab.served.rounds import FIRST_H
from tests.unit.lab.served.folders import halves, hourly, put

HOURS = FIRST_H + 48


def run(folder: Path, *more: str) -> int:
    return main(["--data", str(folder), "--out", str(folder / "served.json"), *more])


def test_assets_spans_and_models_stand_beside_the_figures(tmp_path: Path) -> None:
    for seed, asset in enumerate(("BTC", "ETH")):
        put(halves(HOURS, seed), tmp_path, "some_perp", f"{asset}USDT")
    assert run(tmp_path, "--asked", "2024-01-29", "2024-01-30") == 0
    said = json.loads((tmp_path / "served.json").read_bytes())
    assert said["command"] == "python -m margrave.lab.served --data DIR --asset BTC --asked 2024-01-29 2024-01-30"
    assert said["models"][0] == "tails/1"
    (lived,) = said["lived"]
    assert (lived["asset"], lived["hours"], lived["first"]) == ("BTC", 49, "2024-01-29T02:00:00Z")
    assert said["asked"]["assets"] == ["BTC", "ETH"]
    assert said["asked"]["spans"] == [["2024-01-29T05:00:00Z", "2024-01-29T20:00:00Z"]]
    found = said["asked"]["found"]
    assert found["moved"]["times"] + found["still"]["times"] == 2 * 4


def test_a_hole_in_what_is_asked_stands_beside_the_figures(tmp_path: Path) -> None:
    finer = halves(3 * FIRST_H, 0)
    put(finer.drop(index=range(3 * FIRST_H, 3 * FIRST_H + 96)), tmp_path, "some_perp", "BTCUSDT")
    assert run(tmp_path, "--lived", "2024-01-30", "2024-01-31", "--asked", "2024-02-01", "2024-03-20") == 0
    asked = json.loads((tmp_path / "served.json").read_bytes())["asked"]
    assert [first[:10] for first, _ in asked["spans"]] == ["2024-02-01", "2024-03-13"], "four weeks after the hole"


def test_hours_alone_are_lived_through_and_nothing_is_asked_between(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(hourly(halves(HOURS, 0)), tmp_path, "some_perp", "BTCUSDT")
    assert run(tmp_path, "--lived", "2024-01-30", "2024-01-31") == 0
    said = json.loads((tmp_path / "served.json").read_bytes())
    assert said["asked"] is None
    assert said["lived"][0]["hours"] == 24
    assert "nothing is asked at half past" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (("--asset", "ETH"), "no bars of ETH — name one of BTC with --asset"),
        (("--lived", "2023-01-01", "2023-02-01"), "BTC has no hour from 2023-01-01 to 2023-02-01"),
        (("--data", "/nowhere"), "/nowhere is no folder"),
    ],
)
def test_what_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], line: str
) -> None:
    put(hourly(halves(HOURS, 0)), tmp_path, "some_perp", "BTCUSDT")
    assert run(tmp_path, *more) == 1
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    assert not (tmp_path / "served.json").exists()
