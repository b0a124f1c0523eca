"""A study: resumed where it was cut off, and the same whoever holds its sittings."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from margrave.errors import Fatal
from margrave.lab.court.answers import Sitting, Store, code_digest, modules_of, panel_digest, settings_of
from margrave.lab.court.engine import Engine, Held, Local, Ray, hold
from margrave.lab.court.families import Kind, Listed, Role, chosen, everyone
from margrave.lab.court.families.tails.caviar import ES_CAVIAR
from margrave.lab.court.panel import COLUMNS, Panel
from margrave.lab.court.study import (
    LEAST_PANEL_H,
    MOST_LEGS,
    QUICK_ASSETS,
    Study,
    collect,
    first_row,
    paced,
    quick,
    schedule,
    subset,
)
from margrave.lab.court.walk import ByHorizon, Leg, walk
from margrave.spans import HOUR_MS
from tests.unit.lab.court.small import CALLED, Ewma, Historical
from tests.unit.lab.court.test_walk import Smuggler

STUDY = Study(volatility_h=(4, 24), tails_h=(24,))


def panel(hours: int = 4_800, assets: int = 2, seed: int = 0) -> Panel:
    rng = np.random.default_rng(seed)
    sigma = 0.005 * np.exp(np.cumsum(rng.normal(0, 0.02, (hours, 1)), axis=0).clip(-1, 1))
    close = 100 * np.exp(np.cumsum(sigma * rng.standard_t(6, (hours, assets)), axis=0))
    nothing = np.full(close.shape, np.nan)
    columns = dict.fromkeys(COLUMNS, close) | {"dvol": nothing, "funding_8h": nothing}
    return Panel(np.arange(hours, dtype=np.int64) * HOUR_MS, tuple("ABCDEFG"[:assets]), **columns)


class Counting:
    def __init__(self, most: int | None = None) -> None:
        self.held: list[Sitting] = []
        self.most = most

    def hold(self, panel: Panel, sittings: Sequence[Sitting]) -> Iterator[tuple[int, Held]]:
        for place, sitting in enumerate(sittings):
            if self.most is not None and len(self.held) >= self.most:
                raise KeyboardInterrupt
            self.held.append(sitting)
            yield place, hold(panel, [sitting])[0]


def run(folder: Path, engine: Engine, p: Panel | None = None, said: list[str] | None = None) -> dict[str, ByHorizon]:
    say = (said if said is not None else []).append
    return dict(collect(p or panel(), CALLED, STUDY, folder, engine, say))


def same(one: dict[str, ByHorizon], other: dict[str, ByHorizon]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name][h].said, other[name][h].said)
        and np.array_equal(one[name][h].rows, other[name][h].rows)
        for name in one
        for h in one[name]
    )


def test_answers_are_those_of_a_walk_in_one_go(tmp_path: Path) -> None:
    p = panel()
    found = run(tmp_path, Local(1), p)
    alone = walk(p, Ewma(0.97), schedule(p, STUDY), STUDY.volatility_h)
    assert {h: a.said.tolist() for h, a in found["EWMA 0.97"].items()} == {h: a.said.tolist() for h, a in alone.items()}


def test_a_study_that_was_cut_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", Local(1))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Counting(most=5))
    rest, said = Counting(), []
    assert same(run(tmp_path / "cut", rest, said=said), whole)
    legs = len(schedule(panel(), STUDY))
    assert len(rest.held) == len(CALLED) * legs - 5
    assert said[0].startswith(f"5 of {len(CALLED) * legs} ")
    again = Counting()
    run(tmp_path / "cut", again)
    assert not again.held


def test_other_numbers_and_other_settings_are_asked_anew(tmp_path: Path) -> None:
    p = panel()
    leg = schedule(p, STUDY)[0]
    store = Store(tmp_path, panel_digest(p))
    asked = Sitting(Ewma(), leg, (4,), False)
    store.keep(asked, hold(p, [asked])[0])
    assert store.find(asked) is not None
    others = [
        (store, Sitting(Ewma(0.9), leg, (4,), False)),
        (store, Sitting(Ewma(), leg, (4, 24), False)),
        (store, Sitting(Ewma(), Leg(leg.fit_row + 1, leg.end_row), (4,), False)),
        (Store(tmp_path, panel_digest(panel(seed=1))), asked),
    ]
    assert all(where.find(what) is None for where, what in others)


def test_a_file_cut_off_in_the_writing_is_asked_anew(tmp_path: Path) -> None:
    p = panel()
    store, asked = Store(tmp_path, panel_digest(p)), Sitting(Ewma(), schedule(p, STUDY)[0], (4,), False)
    store.keep(asked, hold(p, [asked])[0])
    path = store.path(asked)
    path.write_bytes(path.read_bytes()[:100])
    assert store.find(asked) is None


def test_the_code_that_answers_follow_from_is_part_of_their_name() -> None:
    assert code_digest("margrave.lab.court.walk") == code_digest("margrave.lab.court.panel")
    assert code_digest("margrave.score.surface") != code_digest("margrave.lab.court.walk")


def test_a_members_code_is_part_of_it_and_a_functions_place_in_memory_is_not() -> None:
    family = next(x.family for x in everyone() if x.name == "tails_aci")
    found = modules_of(family)
    for member in ("caviar", "combination", "conformal", "pooled", "recursion"):
        assert f"margrave.lab.court.families.tails.{member}" in found
    assert "function" in repr(ES_CAVIAR)
    assert " at 0x" not in settings_of(family)


@dataclass(frozen=True)
class Hoarder(Ewma):
    """Its model holds the past, and the past the model."""

    pasts: list[weakref.ref[Panel]] = field(default_factory=list, hash=False, compare=False)

    def fit(self, past: Panel) -> Ewma:
        self.pasts.append(weakref.ref(past))
        model = Ewma(self.decay)
        object.__setattr__(model, "past", past)
        return model


def test_a_leg_does_not_outlive_the_next() -> None:
    """Legs are gigabytes: two workers that kept them were killed for memory after eleven."""
    family, p = Hoarder(), panel()
    for leg in schedule(p, STUDY):
        hold(p, [Sitting(family, leg, (4,), False)])
    gone = [past() is None for past in family.pasts]
    assert len(gone) > 2
    assert all(gone[:-1])


def test_two_processes_answer_as_one(tmp_path: Path) -> None:
    assert same(run(tmp_path / "two", Local(2)), run(tmp_path / "one", Local(1)))


def test_a_look_ahead_ends_the_study_in_its_own_words_whoever_finds_it(tmp_path: Path) -> None:
    called = (*CALLED[:1], Listed(Smuggler(), Role.OURS, Kind.VOLATILITY))
    with pytest.raises(Fatal, match="smuggler looks ahead") as caught:
        collect(panel(), called, STUDY, tmp_path, Local(2), print)
    assert caught.value.advice


@dataclass(frozen=True)
class Fragile(Ewma):
    """Fails on a long past."""

    def fit(self, past: Panel) -> Ewma:
        if past.hours > 3_500:
            raise np.linalg.LinAlgError("singular matrix")
        return self


def test_a_family_that_fails_on_a_leg_is_said_and_the_others_go_on(tmp_path: Path) -> None:
    called = (*CALLED, Listed(Fragile(0.9), Role.CANDIDATE, Kind.VOLATILITY))
    faults: list[str] = []
    found = collect(panel(), called, STUDY, tmp_path, Local(1), print, faults)
    whole = dict(run(tmp_path, Counting()))
    assert same({name: found[name] for name in whole}, whole)
    assert 0 < len(found["EWMA 0.9"][4].rows) < len(found["EWMA 0.97"][4].rows)
    assert all("EWMA 0.9 failed" in line and "LinAlgError: singular matrix" in line for line in faults)
    assert len(faults) == sum(leg.fit_row > 3_500 for leg in schedule(panel(), STUDY))
    assert len(list(tmp_path.glob("ewma-0-9-*"))) == len(schedule(panel(), STUDY)) - len(faults), "asked anew next time"


def test_a_local_ray_cluster_of_two_workers_answers_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="ray is an extra and is not installed")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # its workers import this module
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[4]}:{os.environ.get('PYTHONPATH', '')}")
    assert same(run(tmp_path / "ray", Ray(2)), run(tmp_path / "one", Local(1)))


def test_the_first_fit_sees_a_year_or_half_of_what_there_is() -> None:
    assert first_row(panel(20_000), STUDY) == 365 * 24
    assert first_row(panel(5_000), STUDY) == 2_500
    assert first_row(panel(20_000), quick()) == 20_000 - 180 * 24
    with pytest.raises(Fatal, match="too few"):
        first_row(panel(LEAST_PANEL_H - 1), STUDY)


def test_nobody_is_fitted_in_a_hole_of_the_history() -> None:
    p = panel(20_000)
    columns = {name: getattr(p, name).copy() for name in COLUMNS}
    for column in columns.values():
        column[9_000:16_000] = np.nan
    holed = Panel(p.open_ms, p.assets, **columns)
    assert first_row(holed, STUDY) == 6_500, "half of the hours that there are"
    fits = [leg.fit_row for leg in schedule(holed, STUDY)]
    assert not [row for row in fits if row >= 9_000 and row + 720 <= 16_000]
    assert max(fits) > 19_000


def test_a_long_history_is_walked_in_longer_steps_of_whole_months() -> None:
    three_years, ten = panel(hours=3 * 8_760), panel(hours=10 * 8_760)
    assert paced(Study(), three_years) == Study()
    study = paced(Study(), ten)
    assert study.refit_h == 3 * Study().refit_h
    assert len(schedule(ten, study)) <= MOST_LEGS < len(schedule(ten, Study()))
    assert paced(Study(), panel(hours=LEAST_PANEL_H - 1)) == Study()


def test_a_quick_study_takes_the_assets_with_the_most_bars() -> None:
    p = panel(assets=QUICK_ASSETS + 2)
    columns = {name: getattr(p, name).copy() for name in COLUMNS}
    for column in columns.values():
        column[:1_000, 1] = np.nan
        column[:10, 3] = np.nan
    assert subset(Panel(p.open_ms, p.assets, **columns)).assets == ("A", "C", "E", "F")


def test_no_asset_with_enough_past_is_said(tmp_path: Path) -> None:
    long_memory = (*CALLED[:1], Listed(Historical(hours=9_000), Role.BASELINE, Kind.TAILS))
    said: list[str] = []
    found = collect(panel(), long_memory, STUDY, tmp_path, Local(1), said.append)
    assert list(found) == ["EWMA 0.97"]
    assert any("9001 hours without a gap" in line for line in said)


def test_whoever_is_chosen_meets_every_baseline_of_the_kind() -> None:
    assert [x.name for x in chosen(["EWMA 0.97"], CALLED)] == ["EWMA 0.97", "EWMA 0.5"]
    assert chosen([], CALLED) == CALLED
    with pytest.raises(Fatal, match="no family is called nobody"):
        chosen(["nobody"], CALLED)
