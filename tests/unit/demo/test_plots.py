"""The pictures: they exist, have a size, and no shape of run breaks them."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from margrave.lab.demo import plots
from margrave.lab.demo.record import Summary
from margrave.lab.demo.series import columns

from . import sample


def png_size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_one_picture_for_all_and_one_a_market_in_both_formats(tmp_path: Path, summary: Summary) -> None:
    paths = plots.write(summary, tmp_path / "out")
    names = ["demo.png", "demo.svg", "btc.png", "btc.svg", "eth.png", "eth.svg"]
    assert [path.name for path in paths] == names
    width, height = png_size(paths[0])
    assert width > height > 1_000
    assert ElementTree.parse(paths[1]).getroot().tag.endswith("svg")


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = sample.run(rounds=10, markets=("BTC",))
    first, second = (plots.write(run, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize(
    "shape",
    [
        {"rounds": 1, "silent_rounds": ()},
        {"rounds": 2, "silent_rounds": (0, 1)},
        {"rounds": 12, "first_round_with": (("ETH", 6),)},
        {"rounds": 8, "markets": ("A$b$", "<script>", "C", "D"), "silent_rounds": ()},
    ],
)
def test_no_shape_of_run_breaks_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: dict[str, object]
) -> None:
    monkeypatch.setattr(plots, "PIXELS_PER_INCH", 50)  # the same drawing, quicker
    run = sample.run(**shape)
    paths = plots.write(run, tmp_path)
    assert all(path.stat().st_size > 5_000 for path in paths)
    assert len(paths) == 2 + 2 * len(run.markets)


def test_a_run_without_rounds_has_no_picture(tmp_path: Path, summary: Summary) -> None:
    assert plots.write(sample.with_fields(summary, rounds=(), realised=(), breaches=()), tmp_path) == []


def test_each_market_has_a_column_of_five_panels_with_its_figures(summary: Summary) -> None:
    run = columns(summary)
    figure = plots.draw(summary, run, run.markets)
    assert len(figure.axes) == 10
    price = figure.axes[0].lines[0].get_ydata()
    assert np.asarray(price) == pytest.approx(run.markets[0].price)
    asked = figure.axes[-1].patches[0].get_data().values
    assert asked == pytest.approx(run.markets[1].requirement)


@pytest.mark.parametrize(("market", "name"), [("BTC", "btc"), ("../etc/passwd", "etc-passwd"), ("<>", "market")])
def test_a_market_cannot_name_a_file_outside_the_folder(market: str, name: str) -> None:
    assert plots.file_name(market) == name
