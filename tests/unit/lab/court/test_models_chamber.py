"""The chamber of the registry: unseen hours alone, the same pairs for all, and words where there is nothing to hear."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from margrave.lab.bench import models as bench
from margrave.lab.court.chamber import Case, Ruling
from margrave.lab.court.models import Models
from margrave.lab.court.panel import COLUMNS, Panel
from margrave.lab.court.study import quick
from margrave.lab.court.unseen import SIMULATION, Heard, hear
from tests.unit.lab.court.families.test_registered import UNSEEN_MS, panel

SPEAK = ("garch_t/1", "gjr_garch_t/2", "log_har/1", "diurnal_lhar_iv/1", "tail_net/1")
SILENT = "surface_start/1"
"""It says nothing of variance or tails."""
NAMES = (*SPEAK, SILENT)


@cache
def heard() -> Heard:
    found = hear(panel(), NAMES)
    assert isinstance(found, Heard)
    return found


def test_all_models_are_asked_on_the_same_pairs_after_the_latest_of_their_days() -> None:
    found = heard()
    assert found.unseen_from == "2024-06-10"
    assert [verdict.horizon_h for verdict in found.volatility] == [1, 4, 24, 168]
    of_four_hours = next(verdict for verdict in found.volatility if verdict.horizon_h == 4)
    assert set(of_four_hours.families) == set(SPEAK)
    assert of_four_hours.begins >= found.unseen_from
    tails = {verdict.horizon_h: set(verdict.families) for verdict in found.tails}
    assert tails[4] == {"garch_t/1", "gjr_garch_t/2", "tail_net/1", SIMULATION.name}
    assert tails[24] <= {"garch_t/1", "gjr_garch_t/2", SIMULATION.name}


def test_hours_before_the_day_of_the_latest_model_are_not_judged_and_that_is_said() -> None:
    early = panel(UNSEEN_MS["tail_net/1"] - 3_390 * 3_600_000)
    assert hear(early, NAMES) == "11 hours follow 2024-06-10, to which the models were trained or chosen"
    assert isinstance(hear(early, ("garch_t/1", "log_har/1")), Heard)


def test_a_registry_without_such_models_is_said() -> None:
    assert hear(panel(), (SILENT,)) == "the registry has no model of volatility or tails"


@pytest.fixture(scope="module")
def measured() -> tuple[bench.Bundle, float | None]:
    """The bundle and its memory, once for both rulings."""
    with bench.drill() as work:
        return bench.whole(work, quick=True), bench.memory_mb(work)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, measured: tuple[bench.Bundle, float | None]) -> None:
    for name, few in (("RUNS", 3), ("BATCH_RUNS", 2), ("BATCH", 3)):
        monkeypatch.setattr(bench, name, few)
    monkeypatch.setattr(bench, "drill", nullcontext)
    monkeypatch.setattr(bench, "whole", lambda _, **__: measured[0])
    monkeypatch.setattr(bench, "memory_mb", lambda _: measured[1])


def judged(of: Panel, folder: Path) -> Ruling:
    return Models().judge(Case(folder, of, quick(), folder, print))


@pytest.mark.usefixtures("short")
def test_a_ruling_brings_every_target_and_a_row_for_every_model(tmp_path: Path) -> None:
    found = judged(panel(), tmp_path)
    assert tuple(target.name for target in found.targets) == tuple(goal.name for goal in Models().goals)
    assert all(target.value is not None for target in found.targets)
    assert all(target.holds for target in found.targets if target.name.startswith("ONNX parity"))
    costs, variance, tails = found.tables
    assert [row[0] for row in costs.rows] == bench.registered()
    assert {row[1] for row in variance.rows} >= {"garch_t/1", "log_har/1"}
    assert {row[0] for row in tails.rows} >= {"1 h down", "4 h up"}
    assert all(len(row) == len(table.columns) for table in found.tables for row in table.rows)
    assert found.silent == ()


@pytest.mark.usefixtures("short")
def test_a_folder_without_bars_is_judged_by_cost_alone(tmp_path: Path) -> None:
    empty = Panel(np.empty(0, dtype=np.int64), (), **{name: np.empty((0, 0)) for name in COLUMNS})
    found = judged(empty, tmp_path)
    assert found.silent == ("the folder has no bars",)
    assert [table.title for table in found.tables] == ["Parity and cost"]


def test_a_registry_without_models_is_silent(tmp_path: Path) -> None:
    found = replace(Models(), registry=tmp_path).judge(Case(tmp_path, panel(), quick(), tmp_path, print))
    assert found.silent
    assert all(target.value is None for target in found.targets)
