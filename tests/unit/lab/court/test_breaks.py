"""Planted breaks, the chamber that judges them, and haste in the court as in the node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from margrave.lab.court.breaks import Breaks, coverage, planted, scene
from margrave.lab.court.breaks.scene import Scene
from margrave.lab.court.chamber import Case
from margrave.lab.court.families.tails.conformal import Widened
from margrave.lab.court.families.tails.garch import EWMA_NORMAL, FAST_FHS, GARCH_T
from margrave.lab.court.families.tails.hastened import Hastened, haste
from margrave.lab.court.family import DOWN, LEVELS, UP, TailFamily
from margrave.lab.court.panel import COLUMNS, Panel
from margrave.lab.court.study import Study, quick
from margrave.score import drift
from margrave.score.drift import Drift, Seen
from tests.unit.lab.court.tails.test_families import panel_of


def noise(hours: int, assets: int = 2, seed: int = 0) -> Panel:
    return panel_of(0.01 * np.random.default_rng(seed).standard_t(5, (hours, assets)))


def case(panel: Panel, tmp_path: Path, study: Study | None = None) -> Case:
    return Case(tmp_path, panel, study or quick(), tmp_path / "answers", lambda _: None)


def test_a_louder_market_has_every_later_move_times_the_factor_and_the_same_past() -> None:
    panel = noise(300)
    broken = planted.louder(panel, 200, 3.0)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(broken, name)[:201], getattr(panel, name)[:201])
    np.testing.assert_allclose(broken.log_return[201:], 3.0 * panel.log_return[201:], rtol=1e-9)
    inside = np.log(panel.high / panel.low)[201:]
    np.testing.assert_allclose(np.log(broken.high / broken.low)[201:], 3.0 * inside, rtol=1e-9, atol=1e-12)


def test_a_leaning_market_gains_the_same_every_hour() -> None:
    panel = noise(300)
    broken = planted.leaning(panel, 200, np.array([0.01, -0.02]))
    gained = broken.log_return[201:] - panel.log_return[201:]
    np.testing.assert_allclose(gained, np.tile([0.01, -0.02], (99, 1)), atol=1e-12)


def test_a_frozen_feed_repeats_its_last_close_and_keeps_its_holes() -> None:
    panel = noise(300)
    close = panel.close.copy()
    close[250, 1] = np.nan
    broken = planted.frozen(replace(panel, close=close), 200)
    assert (broken.close[201:, 0] == panel.close[200, 0]).all()
    assert (broken.high[201:, 0] == broken.low[201:, 0]).all()
    assert np.isnan(broken.close[250, 1])


def test_the_court_hastens_as_the_node_does_bar_by_bar() -> None:
    panel = planted.louder(noise(900, seed=3), 700, 3.0)
    close = panel.close.copy()
    close[640:643, 1] = np.nan
    panel = replace(panel, close=close)
    model, rows = FAST_FHS.fit(panel.upto(600)), np.arange(400, 900)
    court = haste(model, panel, rows, np.arange(2))
    levels = np.array(LEVELS)
    for asset in (0, 1):
        said = model.tails(panel, rows, np.full(len(rows), asset), 1).var
        state, highest = Drift(), 1.0
        for at, row in enumerate(rows):
            if at:
                came = float(panel.log_return[row, asset])
                seen = drift.score(came, said[at - 1, DOWN], said[at - 1, UP], levels)
                state = state.after(Seen(score=seen, moved=True))
            assert court[at, asset] == pytest.approx(state.haste, rel=1e-9)
            highest = max(highest, state.haste)
        assert highest > 1.3


def test_haste_is_bought_with_width_and_buys_coverage_after_a_break() -> None:
    """A slow model, which is where it matters: an EWMA of normal tails with a long memory is late for a day."""
    inside = {}
    for family in (Widened(EWMA_NORMAL), Hastened(Widened(EWMA_NORMAL))):
        hits = []
        for seed in range(4):
            panel = planted.louder(noise(1_600, 6, seed), 1_500, 3.0)
            rows, assets = np.repeat(np.arange(1_500, 1_560), 6), np.tile(np.arange(6), 60)
            var = family.fit(panel.upto(1_400)).tails(panel, rows, assets, 1).var[:, :, 0]
            came = panel.outcome(1)[rows, assets]
            hits.append(((-var[:, DOWN] <= came) & (came <= var[:, UP])).mean())
        inside[family.name] = float(np.mean(hits))
    assert inside["ewma_normal_aci_haste"] > inside["ewma_normal_aci"] + 0.01


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Families that are fitted in no time, in the places of ours."""
    asked: dict[str, TailFamily] = {f.name: f for f in (Hastened(Widened(FAST_FHS)), FAST_FHS, GARCH_T)}
    for module in (scene, coverage):
        monkeypatch.setattr(module, "families", lambda: asked)
    for name in ("margrave.lab.court.breaks.drifting", "margrave.lab.court.breaks.coverage"):
        monkeypatch.setattr(f"{name}.ours", lambda: (Widened(FAST_FHS), FAST_FHS))
    monkeypatch.setattr(scene, "ours", lambda: (Widened(FAST_FHS), FAST_FHS))


@pytest.mark.usefixtures("light")
def test_the_chamber_measures_its_targets_and_says_which_real_breaks_are_not_there(tmp_path: Path) -> None:
    found = Breaks().judge(case(noise(7_600, 3), tmp_path))
    share, width = found.targets
    assert share.value is not None
    assert width.value is not None
    assert 0.8 < share.value < 0.95
    assert 0.8 < width.value < 1.3
    covered = {(row[0], row[1], row[2]): row[4] for row in found.tables[0].rows}
    fast, slow = covered["fast_fhs", 1, 3.0], covered["garch_t_tails", 1, 3.0]
    assert isinstance(fast, float)
    assert isinstance(slow, float)
    assert fast > slow
    by_what = {row[0]: row for row in found.tables[2].rows}
    frozen, louder = by_what["frozen feed"], by_what["volatility x3"]
    assert frozen[2] == 1.0
    assert frozen[3] == drift.STILL_BARS
    flagged, widened, baseline = louder[2], louder[4], louder[6]
    assert flagged >= widened >= baseline  # type: ignore[operator]
    assert len(found.silent) == 4
    assert found.figures[0].svg.startswith("<svg")


@pytest.mark.parametrize("hours", [0, 50, 5_000])
def test_too_little_history_is_said_and_nothing_is_measured(tmp_path: Path, hours: int) -> None:
    found = Breaks().judge(case(noise(max(hours, 1)).upto(hours), tmp_path))
    assert found.silent
    assert all(target.value is None and target.note for target in found.targets)


def test_a_history_full_of_holes_has_no_scene() -> None:
    panel = noise(9_000)
    close = panel.close.copy()
    close[::500] = np.nan
    holed = replace(panel, close=close)
    assert scene.scenes(holed, 4_500) == []


def test_a_model_asked_about_one_panel_answers_another_as_if_it_had_not() -> None:
    panel = noise(7_000)
    here = Scene(panel, 6_000)
    past = here.past()
    model = here.fitted(scene.ours()[0], past, (1,))
    broken, rows = planted.louder(panel, 6_100, 3.0), np.arange(6_100, 6_110)
    first = scene.rungs(scene.copied(model, past), broken, rows, 1)
    scene.rungs(scene.copied(model, past), panel, rows, 1)
    again = scene.rungs(scene.copied(model, past), broken, rows, 1)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[3:], scene.rungs(scene.copied(model, past), panel, rows, 1)[3:])
