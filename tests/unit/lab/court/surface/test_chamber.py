"""The surface chamber: judges what a folder holds, and says what it does not."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from margrave.lab.court.chamber import Case, Ruling
from margrave.lab.court.chambers import CHAMBERS
from margrave.lab.court.panel import no_panel
from margrave.lab.court.study import quick
from margrave.lab.court.surface import COMPLETED, SurfaceChamber
from tests.unit.lab.court.surface.made import put, quotes_at


def judged(folder: Path, chamber: SurfaceChamber | None = None) -> Ruling:
    case = Case(folder, no_panel(), quick(), folder / "answers", lambda _: None)
    return (chamber or SurfaceChamber()).judge(case)


@pytest.fixture(scope="module")
def ruling(tmp_path_factory: pytest.TempPathFactory) -> Ruling:
    folder = tmp_path_factory.mktemp("history")
    put(folder, [quotes_at(step, every_h=12.0) for step in range(44)], asset="AAA")
    return judged(folder)


def test_it_sits() -> None:
    assert any(chamber.kind == "surface" for chamber in CHAMBERS)


def test_every_goal_is_measured_where_there_are_chains_enough(ruling: Ruling) -> None:
    assert [target.name for target in ruling.targets] == [goal.name for goal in SurfaceChamber().goals]
    assert all(target.value is not None for target in ruling.targets), ruling.silent
    assert {table.title for table in ruling.tables} >= {"Hidden cells", "Calibration", "1 d ahead", "7 d ahead"}
    assert len(ruling.figures) == 4
    assert all(figure.svg.startswith("<svg") for figure in ruling.figures)
    for table in ruling.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_the_registrys_forecast_is_ours_on_an_asset_that_it_has_not_seen(ruling: Ruling) -> None:
    note = next(target.note for target in ruling.targets if target.name.startswith("skew"))
    assert note.startswith("surface_forecast,")


def test_a_folder_without_chains_is_said_and_nothing_measured(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ts": [1], "open": [1.0], "close": [1.0]}), tmp_path / "bars.parquet")
    found = judged(tmp_path)
    assert all(target.value is None for target in found.targets)
    assert "no option chains" in found.summary


def test_a_few_chains_fill_holes_and_foretell_nothing(tmp_path: Path) -> None:
    put(tmp_path, [quotes_at(step) for step in range(4)], asset="AAA")
    found = judged(tmp_path)
    of = {target.name: target for target in found.targets}
    assert of[COMPLETED.name].value is not None
    assert all(target.value is None for name, target in of.items() if "last surface" in name)
    assert any("chains in a row" in why for why in found.silent)


def test_chains_that_say_nothing_are_refused_by_name(tmp_path: Path) -> None:
    time, quotes = quotes_at(0)
    put(tmp_path, [(time, [q for q in quotes if q.expiry_ms == quotes[0].expiry_ms])], asset="AAA")
    found = judged(tmp_path)
    assert all(target.value is None for target in found.targets)
    assert any("AAA" in why for why in found.silent)


def test_without_its_models_the_chamber_judges_the_rest(tmp_path: Path) -> None:
    put(tmp_path, [quotes_at(step) for step in range(4)], asset="AAA")
    found = judged(tmp_path, SurfaceChamber(registry=tmp_path / "none"))
    assert {table.title for table in found.tables} == {"Hidden cells", "Calibration"}
    assert any("surface_prior/1" in why for why in found.silent)
