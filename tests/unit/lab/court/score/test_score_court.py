"""The court of the score: what is known of made-up markets, and the chamber on a small one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from margrave.lab.court.chamber import Case
from margrave.lab.court.panel import Panel, no_panel
from margrave.lab.court.score import alarms, calibration, crashes, regimes, told
from margrave.lab.court.score.alarms import AHEAD_H, Alarm, average_precision
from margrave.lab.court.score.chamber import ScoreChamber
from margrave.lab.court.score.crashes import Crash
from margrave.lab.court.study import Study
from margrave.score import addons, composite
from margrave.score.contagion.message import Contagion
from margrave.score.regime import ORDER
from margrave.spans import DAY_H
from margrave.verdicts import Regime
from tests.unit.lab.court.tails.test_families import panel_of
from tests.unit.score.chains import TRUE
from tests.unit.score.sample import CALM

Floats = NDArray[np.float64]


def quiet(hours: int, assets: int = 1, size: float = 0.005, seed: int = 0) -> Floats:
    return size * np.random.default_rng(seed).normal(size=(hours, assets))


def falling(returns: Floats, row: int, hours: int, whole: float, asset: int = 0) -> Floats:
    """The same with a log fall of `whole` over the `hours` from `row` on."""
    found = returns.copy()
    found[row : row + hours, asset] = -whole / hours
    return found


# --- crashes ----------------------------------------------------------------------------------------------------------


def test_a_fall_of_a_fifth_within_a_day_is_a_crash_and_its_places_are_right() -> None:
    panel = panel_of(falling(quiet(3_000, size=0.003), 2_000, 10, 0.22))
    (crash,) = crashes.crashes(panel)
    log = np.log(panel.close[:, 0])
    assert 1_976 <= crash.peak < 2_000
    assert crash.half in (2_004, 2_005)
    assert 2_009 <= crash.trough <= 2_040
    assert crash.fall == pytest.approx(1 - np.exp(log[crash.trough] - log[crash.peak]))


def test_the_same_fall_over_two_weeks_is_none() -> None:
    assert crashes.crashes(panel_of(falling(quiet(3_000, size=0.003), 2_000, 336, 0.22))) == []


def test_a_coin_that_moves_a_tenth_a_day_has_not_crashed_when_it_falls_by_a_fifth() -> None:
    wild = quiet(3_000, size=0.1 / np.sqrt(DAY_H), seed=3)
    assert not any(1_950 < c.half < 2_050 for c in crashes.crashes(panel_of(falling(wild, 2_000, 10, 0.22))))
    assert any(1_950 < c.half < 2_050 for c in crashes.crashes(panel_of(falling(wild, 2_000, 10, 0.7))))


def test_a_peg_that_loses_two_cents_has_crashed() -> None:
    peg = quiet(3_000, size=1e-4)
    (crash,) = crashes.crashes(panel_of(falling(peg, 2_000, 3, 0.02)))
    assert crash.fall == pytest.approx(0.02, abs=0.003)


def test_two_falls_of_one_week_apart_are_two_and_of_one_day_apart_are_one() -> None:
    calm = quiet(3_000, size=0.003)
    near = panel_of(falling(falling(calm, 2_000, 5, 0.2), 2_030, 5, 0.2))
    far = panel_of(falling(falling(calm, 2_000, 5, 0.2), 2_200, 5, 0.2))
    assert len(crashes.crashes(near)) == 1
    assert len(crashes.crashes(far)) == 2


def test_nothing_crashes_before_there_is_a_past_to_tell_by() -> None:
    assert crashes.crashes(panel_of(falling(quiet(600, size=0.003), 500, 5, 0.3))) == []


@pytest.mark.parametrize("odd", ["gap", "still", "exploding"])
def test_gaps_still_series_and_exploding_ones_raise_nothing(odd: str) -> None:
    returns = quiet(2_000)
    if odd == "still":
        returns[:] = 0.0
    if odd == "exploding":
        returns[1_500:1_600] = 5.0
    panel = panel_of(returns)
    if odd == "gap":
        holes = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close", "volume")}
        for column in holes.values():
            column[900:1_100] = np.nan
        panel = replace(panel, **holes)
    assert isinstance(crashes.crashes(panel), list)


# --- alarms -----------------------------------------------------------------------------------------------------------

CRASH = Crash(asset=0, peak=990, half=1_000, trough=1_010, fall=0.3)


def lead(begun: int, ended: int) -> alarms.Lead:
    return alarms.lead(CRASH, [Alarm(0, begun, ended)])


def test_the_lead_is_counted_from_the_alarm_that_stood_at_half_of_the_fall() -> None:
    assert (lead(980, 1_100).to_half, lead(980, 1_100).to_trough, lead(980, 1_100).before_peak) == (20, 30, True)
    assert (lead(995, 1_100).to_half, lead(995, 1_100).before_peak) == (5, False)


def test_an_alarm_that_is_over_or_comes_with_the_half_is_no_lead() -> None:
    assert lead(900, 999).to_half is None
    assert lead(1_000, 1_100).to_half is None
    assert lead(1_000, 1_100).to_trough == 10
    assert lead(1_010, 1_100).to_trough is None


def test_no_lead_is_longer_than_three_days_however_long_the_alarm_has_stood() -> None:
    assert lead(10, 1_100).to_half == AHEAD_H


def test_an_alarm_of_another_market_is_none_of_this_one() -> None:
    assert alarms.lead(CRASH, [Alarm(1, 900, 1_100)]).to_half is None


@pytest.mark.parametrize(
    ("begun", "ended", "in_vain"),
    [(950, 960, 0), (900, 910, 1), (900, 1_005, 0), (1_005, 1_050, 0), (1_060, 1_100, 1)],
)
def test_an_alarm_is_in_vain_where_no_crash_comes_in_three_days_or_while_it_stands(
    begun: int, ended: int, in_vain: int
) -> None:
    raised = np.zeros((2_000, 1), dtype=np.bool_)
    raised[begun : ended - alarms.RELEASE_H + 1 if ended - begun > alarms.RELEASE_H else begun + 1] = True
    found = alarms.record("x", raised, np.ones_like(raised), [CRASH])
    assert (found.alarms, found.in_vain) == (1, in_vain)


def test_hours_less_than_a_day_apart_are_one_alarm() -> None:
    raised = np.zeros(500, dtype=np.bool_)
    raised[[100, 110, 130, 200]] = True
    assert alarms.alarms_of(raised, 0) == [Alarm(0, 100, 154), Alarm(0, 200, 224)]


def test_a_crash_that_nobody_could_see_is_not_counted() -> None:
    nobody = np.zeros((2_000, 1), dtype=np.bool_)
    found = alarms.record("x", nobody, nobody, [CRASH])
    assert found.leads == ()
    assert np.isnan(found.in_time)


def test_average_precision_of_who_knows_and_of_who_knows_nothing() -> None:
    hit = np.array([True, True, False, False])
    assert average_precision(hit, np.ones(4)) == 1.0
    assert average_precision(hit[::-1], np.ones(4)) == pytest.approx((1 / 3 + 2 / 4) / 2)
    drawn = np.random.default_rng(0).random(20_000) < 0.1
    assert average_precision(drawn, np.ones(20_000)) == pytest.approx(0.1, abs=0.02)


def test_who_knows_the_crash_is_more_precise_than_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((4_000, 1))
    knows = noise.copy()
    knows[CRASH.half - AHEAD_H : CRASH.half] += 1.0
    found = alarms.precise({"knows": knows, "noise": noise}, [CRASH])
    assert found is not None
    assert found.value[0] == 1.0
    assert found.over_best[0] > 5
    assert found.base == pytest.approx(AHEAD_H / 4_000, rel=0.05)


def test_without_a_crash_ahead_nobody_is_precise() -> None:
    assert alarms.precise({"a": np.ones((100, 1)), "b": np.ones((100, 1))}, []) is None


def test_the_quantile_of_the_own_year_knows_nothing_of_the_day_it_is_used_on() -> None:
    figure = np.random.default_rng(0).random(3_000)
    before = alarms.own_year(figure, 0.95)
    figure[2_400:] = 1e9
    assert np.array_equal(alarms.own_year(figure, 0.95)[:2_424], before[:2_424], equal_nan=True)
    assert np.isnan(before[: 30 * DAY_H]).all()


# --- calibration and the score ----------------------------------------------------------------------------------------


def told_of(panel: Panel, es: Floats, far: Floats) -> told.Told:
    return told.scored(panel, es, es, far)


def test_the_chambers_score_is_the_nodes() -> None:
    """Price and volatility parts of `compose`, from one ladder."""
    panel = replace(panel_of(quiet(3)), dvol=np.full((3, 1), TRUE.total_vol_30d / np.sqrt(30 / 365)))
    moves = np.array([-np.log1p(-CALM.down_es99), np.log1p(CALM.up_es99)])
    deep = np.array([-np.log1p(-CALM.down_es999), np.log1p(CALM.up_es999)])
    said = told_of(panel, np.broadcast_to(moves, (3, 1, 2)), np.broadcast_to(deep, (3, 1, 2)))
    mpor_s = told.MPOR_H * 3_600
    shock = addons.vol_shock(CALM, mpor_s)
    cascade = addons.cascade(CALM, mpor_s, 2.0, 1e10, 1e8)
    scored = composite.compose("BTC", mpor_s, 1e6, CALM, TRUE, shock, 0.0, cascade, Contagion(addon=0.0))
    points = {reason.name: reason.points for reason in scored.reasons}
    assert said.price[0, 0] == pytest.approx(points["price"], rel=1e-9)
    assert said.volatility[0, 0] == pytest.approx(points["volatility"], rel=1e-9)


def test_a_ladder_that_is_right_has_a_ratio_of_one_before_the_published_map() -> None:
    rng = np.random.default_rng(1)
    moves = 0.01 * rng.standard_t(5, size=200_000)
    losses = composite.straddle_losses(np.expm1(moves))
    sides = np.sort(np.stack((-np.expm1(moves), np.expm1(moves)), axis=1), axis=0)
    right = composite.straddle_shortfall(sides[-2_000:].mean(axis=0), sides[-200:].mean(axis=0))
    assert calibration.worst(losses / right) == pytest.approx(1.0, abs=0.06)
    assert np.isnan(calibration.worst(np.empty(0)))


def test_a_score_that_is_twice_what_it_was_has_half_the_ratio_and_a_peg_is_shown_and_not_counted() -> None:
    hours = 6_000
    panel = panel_of(np.concatenate((quiet(hours, 2, 0.01), quiet(hours, 1, 1e-4, 1)), axis=1))
    es = np.broadcast_to(np.array([0.05, 0.05, 0.0005])[None, :, None], (hours, 3, 2)).copy()
    found = calibration.calibrated(panel, told_of(panel, es, 1.3 * es))
    assert found is not None
    assert [cell.pegged for cell in found.cells] == [False, False, True]
    assert len(found.counted) == 2
    said = told_of(panel, es, 1.3 * es)
    double = replace(said, price=2 * said.price)
    twice = calibration.calibrated(panel, double)
    assert twice is not None
    assert twice.pooled == pytest.approx(found.pooled / 2, rel=1e-9)


def test_the_map_is_taken_off_and_years_and_assets_it_was_not_chosen_by_stand_apart() -> None:
    hours = 9_000
    panel = panel_of(quiet(hours, 2, 0.01))
    at = np.datetime64("2022-07-01", "ms").astype(np.int64) + np.arange(hours, dtype=np.int64) * 3_600_000
    panel = replace(panel, open_ms=at)
    es = np.broadcast_to(np.array([0.05, 0.05])[None, :, None], (hours, 2, 2)).copy()
    said = told_of(panel, es, 1.3 * es)
    found = calibration.calibrated(panel, said, left_out=("B",))
    assert found is not None
    early, late, out = found.parts
    assert (early.hours, late.hours) == (184 * DAY_H - 1, out.hours)
    shortfall = composite.straddle_shortfall(told.simple(es[0, 0]), told.simple(1.3 * es[0, 0])) * told.POINTS
    late_rows = calibration.years_of(panel) >= 2023
    lost = told.outcomes(panel)[late_rows, 1]
    assert out.raw == pytest.approx(calibration.worst(lost[np.isfinite(lost)] / float(shortfall)), rel=1e-9)


def test_nothing_scored_is_not_calibrated() -> None:
    panel = panel_of(quiet(1_000))
    nothing = np.full((1_000, 1, 2), np.nan)
    assert calibration.calibrated(panel, told_of(panel, nothing, nothing)) is None


def test_the_regimes_of_a_history_are_the_nodes_own_steps() -> None:
    panel = panel_of(quiet(2_000))
    points = np.full((2_000, 1), 1_500.0)
    points[:100] = np.nan
    points[1_500:1_510] = 40_000.0
    found = regimes.lived(panel, points)[:, 0]
    assert (found[:100] == regimes.UNKNOWN).all()
    assert ORDER[found[1_499]] is Regime.NORMAL
    assert ORDER[found[1_500]] is Regime.CRISIS
    assert ORDER[found[-1]] is Regime.NORMAL
    spent = {row.regime: row for row in regimes.spent(found[:, None])}
    assert sum(row.share for row in spent.values()) == pytest.approx(1.0)
    assert spent[Regime.CRISIS].mean_h == pytest.approx(33, abs=1)


# --- the chamber ------------------------------------------------------------------------------------------------------


def case(panel: Panel, folder: Path) -> Case:
    return Case(folder, panel, Study(), folder / "answers", print)


@pytest.mark.parametrize("hours", [0, 100])
def test_a_folder_with_too_little_is_told_and_no_goal_is_called_met(hours: int, tmp_path: Path) -> None:
    ruling = ScoreChamber().judge(case(panel_of(quiet(hours)) if hours else no_panel(), tmp_path))
    assert ruling.silent
    assert [target.verdict for target in ruling.targets] == ["not measured"] * len(ScoreChamber().goals)


def test_the_chamber_judges_a_small_folder_and_finds_its_ladder_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    size = np.exp(0.3 * np.sin(np.arange(6_000) / 200))[:, None]
    returns = 0.006 * size * rng.standard_t(5, size=(6_000, 3)) / np.sqrt(5 / 3)
    panel = panel_of(falling(returns, 5_000, 12, 0.3))
    ruling = ScoreChamber().judge(case(panel, tmp_path))
    assert {target.name for target in ruling.targets} == {goal.name for goal in ScoreChamber().goals}
    by_name = {target.name: target for target in ruling.targets}
    pooled = by_name[ScoreChamber().goals[0].name]
    assert pooled.value is not None
    assert pooled.value < 0.6
    crashed = next(table for table in ruling.tables if table.title == "Alarms and crashes")
    assert {row[0] for row in crashed.rows} >= {"score", "ewma volatility", "regime elevated"}
    assert any("has not seen" in why for why in ruling.silent)
    (kept,) = (tmp_path / "answers").glob("ladder-*.npz")
    before = kept.stat().st_mtime_ns
    assert ScoreChamber().judge(case(panel, tmp_path)).tables == ruling.tables
    assert kept.stat().st_mtime_ns == before
