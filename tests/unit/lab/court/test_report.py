"""The judgement: measures on forecasts whose truth is known, targets and what they were missed by, and the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from margrave.errors import Fatal
from margrave.lab.court import backtest as court
from margrave.lab.court import judge_tails, judge_volatility, page
from margrave.lab.court.apart import parted
from margrave.lab.court.backtest import Wish
from margrave.lab.court.families import Kind, Listed, Role
from margrave.lab.court.family import LEVELS
from margrave.lab.court.hearing import agree
from margrave.lab.court.panel import COLUMNS, Panel
from margrave.lab.court.walk import Answers
from margrave.spans import HOUR_MS
from tests.unit.lab.court.small import CALLED, Ewma
from tests.unit.lab.court.test_history import bars, put

HOURS = 9_000
SIGMA = 0.01


def panel(assets: int = 3) -> Panel:
    steps = np.random.default_rng(5).normal(0, SIGMA, (HOURS, assets))
    close = 100 * np.exp(np.cumsum(steps, axis=0))
    nothing = np.full(close.shape, np.nan)
    columns = dict.fromkeys(COLUMNS, close) | {"dvol": nothing, "funding_8h": nothing}
    return Panel(np.arange(HOURS, dtype=np.int64) * HOUR_MS, tuple("ABC"[:assets]), **columns)


def every(p: Panel, horizon_h: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(999, HOURS - horizon_h - 1, horizon_h)
    return np.repeat(rows, len(p.assets)), np.tile(np.arange(len(p.assets)), len(rows))


def variances(p: Panel, factor: float, horizon_h: int = 4) -> Answers:
    rows, assets = every(p, horizon_h)
    return Answers(rows, assets, np.full(len(rows), factor * horizon_h * SIGMA**2))


def normal(p: Panel, factor: float, horizon_h: int = 4) -> Answers:
    from scipy import stats

    rows, assets = every(p, horizon_h)
    levels = np.array(LEVELS)
    var = stats.norm.isf(levels)
    es = stats.norm.pdf(var) / levels
    said = factor * SIGMA * horizon_h**0.5 * np.stack([np.stack([var, var]), np.stack([es, es])])
    return Answers(rows, assets, np.broadcast_to(said, (len(rows), 2, 2, len(LEVELS))).copy())


def test_the_truth_beats_twice_the_truth_and_is_unbiased() -> None:
    p = panel()
    verdict = judge_volatility.judge(p, {"true": variances(p, 1), "double": variances(p, 2)}, 4, ["double"])
    assert verdict is not None
    true, double = verdict.families["true"], verdict.families["double"]
    assert true.qlike < double.qlike
    assert true.bias == pytest.approx(1, abs=0.03)
    assert double.bias == pytest.approx(0.5, abs=0.02)
    (row,) = verdict.against
    assert row.difference == pytest.approx(true.qlike - double.qlike)
    assert row.t < -10
    assert true.mcs_p == 1 > 0.05 > double.mcs_p
    ratio, difference = verdict.over_best["true"]
    assert ratio == pytest.approx(true.qlike / double.qlike)
    assert difference.t == pytest.approx(row.t)


def test_the_bound_takes_each_assets_own_best_baseline() -> None:
    p = panel(2)
    good, bad = variances(p, 1), variances(p, 3)
    mine = [np.where(good.assets == place, good.said, bad.said) for place in (0, 1)]
    said = {f"good at {a}": Answers(good.rows, good.assets, mine[place]) for place, a in enumerate("AB")}
    verdict = judge_volatility.judge(p, said | {"good": good}, 4, list(said))
    assert verdict is not None
    assert verdict.best_by_asset == {"A": "good at A", "B": "good at B"}
    assert verdict.over_best["good"][0] == pytest.approx(1)
    assert verdict.over_best["good at A"][0] > 1.05


def test_scaled_draws_score_better_where_the_scale_is_known() -> None:
    """Standardised by a constant both are the same draws: only a forecast that moves with the market gains."""
    rng = np.random.default_rng(0)
    sigma = np.where(np.arange(HOURS) // 200 % 2, 0.002, 0.02)[:, None]
    close = 100 * np.exp(np.cumsum(sigma * rng.normal(size=(HOURS, 2)), axis=0))
    nothing = np.full(close.shape, np.nan)
    columns = dict.fromkeys(COLUMNS, close) | {"dvol": nothing, "funding_8h": nothing}
    p = Panel(np.arange(HOURS, dtype=np.int64) * HOUR_MS, ("A", "B"), **columns)
    rows, assets = every(p)
    knows = Answers(rows, assets, 4 * sigma[np.minimum(rows + 2, HOURS - 1), 0] ** 2)
    verdict = judge_volatility.judge(p, {"knows": knows, "flat": variances(p, 1)}, 4, ["flat"])
    assert verdict is not None
    assert verdict.families["knows"].energy < 0.97 * verdict.families["flat"].energy


def test_true_quantiles_pass_and_half_of_them_do_not() -> None:
    p = panel()
    said = {"true": normal(p, 1), "half": normal(p, 0.5)}
    verdict = judge_tails.judge(p, said, 4, ["half"])
    assert verdict is not None
    for label in judge_tails.SIDES:
        true, half = (verdict.families[name].sides[label].levels[2] for name in said)
        assert true.p == 0.01
        assert true.kupiec_p > 0.05 > half.kupiec_p
        assert abs(true.z2) < 0.25
        assert half.z2 > 5
        assert true.fz0 < half.fz0
        assert true.pinball_bp < half.pinball_bp
        assert true.passing > half.passing == 0
        assert len(true.cells) == 3
    assert verdict.families["true"].pit_p > 0.01 > verdict.families["half"].pit_p
    assert sum(found for _, found in verdict.families["true"].pit) == pytest.approx(1)
    assert all(row.t < -3 for row in verdict.against)


def test_crossing_quantiles_and_shallow_shortfalls_are_counted() -> None:
    p = panel()
    crossed = normal(p, 1)
    crossed.said[:7, 0, 1, 3] = 1e-4
    crossed.said[:5, 1, 0, 0] = 1e-5
    verdict = judge_tails.judge(p, {"crossed": crossed}, 4, [])
    assert verdict is not None
    assert verdict.families["crossed"].crossings == 7
    assert verdict.families["crossed"].es_below_var == 5


def test_all_are_judged_on_what_all_answered_and_silence_is_counted() -> None:
    p = panel()
    whole, patchy = variances(p, 1), variances(p, 1)
    patchy.said[:10] = np.nan
    late = Answers(whole.rows[30:], whole.assets[30:], whole.said[30:])
    agreed = agree({"whole": whole, "patchy": patchy, "late": late}, 3, np.isfinite)
    assert len(agreed) == len(whole.rows) - 30
    assert agreed.unanswered == {"whole": 0, "patchy": 10, "late": 30}


def test_one_that_is_mostly_silent_does_not_take_the_sample_with_it() -> None:
    p = panel()
    whole = variances(p, 1)
    mute = Answers(whole.rows, whole.assets, np.where(np.arange(len(whole.rows)) % 5, np.nan, 1e-4))
    verdict = judge_volatility.judge(p, {"whole": whole, "mute": mute}, 4, ["mute"])
    assert verdict is not None
    assert verdict.pairs == len(whole.rows)
    assert set(verdict.families) == {"whole"}
    assert verdict.not_heard == {"mute": len(whole.rows) - -(-len(whole.rows) // 5)}


OURS, OTHER, THIRD = Ewma(0.1), Ewma(0.2), Ewma(0.3)
"""Called by their names alone."""


def called_as(*roles: Role) -> list[Listed]:
    return [Listed(family, role, Kind.VOLATILITY) for family, role in zip((OURS, OTHER, THIRD), roles, strict=True)]


def test_a_candidate_that_speaks_of_a_part_is_judged_apart_and_takes_nothing_from_the_whole() -> None:
    p = panel()
    whole, trained = variances(p, 1), variances(p, 2)
    trained.said[trained.rows < 5_000] = np.nan
    called = called_as(Role.OURS, Role.BASELINE, Role.CANDIDATE)
    answers = {OURS.name: whole, OTHER.name: variances(p, 3), THIRD.name: trained}
    heard, part, silent = parted(called, answers, 3, judge_volatility.sound)
    assert set(heard) == {OURS.name, OTHER.name}
    assert len(heard[OURS.name].rows) == len(whole.rows)
    assert set(part) == {OURS.name, OTHER.name, THIRD.name}
    assert {int(answer.rows.min()) for answer in part.values()} == {5_003}
    assert silent == {}
    verdict = judge_volatility.judge(p, part, 4, [OTHER.name])
    assert verdict is not None
    ours, trained_once, other = (verdict.families[family.name].qlike for family in (OURS, THIRD, OTHER))
    assert ours < trained_once < other


def test_a_candidate_that_hardly_speaks_is_said_and_one_that_speaks_throughout_is_heard_with_the_others() -> None:
    p = panel()
    brief, full = variances(p, 2), variances(p, 2)
    brief.said[brief.rows < 8_900] = np.nan
    full.said[:3] = np.nan
    called = called_as(Role.OURS, Role.CANDIDATE, Role.CANDIDATE)
    answers = {OURS.name: variances(p, 1), OTHER.name: brief, THIRD.name: full}
    heard, part, silent = parted(called, answers, 3, judge_volatility.sound)
    assert set(heard) == {OURS.name, THIRD.name}
    assert part == {}
    assert silent == {OTHER.name: "spoke at 23 times only"}


# --- from a folder to a page ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    for seed, name in enumerate(("AAAUSDT", "BBBUSDT")):
        put(folder, f"ohlcv_any_1h/{name}", bars(6_000, seed=seed))
    put(folder, "ohlcv_any_1h/SHORTUSDT", bars(100))
    return folder


@pytest.fixture(scope="module")
def judged(history: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("out")
    return court.backtest(Wish(data=history, out=out, workers=1), print, CALLED, ()), out


def test_a_folder_becomes_a_report_with_every_target(judged: tuple[Any, Path]) -> None:
    found, out = judged
    told = msgspec.json.decode((out / "report.json").read_bytes())
    assert [t["name"] for t in told["targets"]] == [t.name for t in found.targets]
    assert {v["horizon_h"] for v in told["volatility"]} == {1, 4, 24, 168}
    assert {v["horizon_h"] for v in told["tails"]} == {1, 4, 24}
    assert told["facts"]["assets"] == ["AAA", "BBB"]
    assert any("SHORT" in line for line in told["facts"]["left_out"])
    assert len(told["facts"]["panel_sha256"]) == 64
    for target in found.targets:
        if target.holds is None:
            assert target.value is None
            assert target.note
        else:
            assert target.missed_by is not None
            assert target.holds is (target.missed_by == 0)
    assert sum(target.holds is not None for target in found.targets) >= 16


def test_adjusted_p_values_are_never_smaller(judged: tuple[Any, Path]) -> None:
    rows = [row for verdict in (*judged[0].volatility, *judged[0].tails) for row in verdict.against]
    assert rows
    assert all(row.holm_p >= row.p for row in rows)
    # three horizons and both tails of our one family against one baseline
    mine = sorted((row.p, row.holm_p) for row in rows if row.family == "historical")
    assert mine[0][1] == pytest.approx(min(6 * mine[0][0], 1))


def test_the_page_asks_nobody_and_shows_every_drawing(judged: tuple[Any, Path]) -> None:
    html = page.render(judged[0])
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]+"', re.sub(r'xlink:href="#[^"]*"', "", html))
    assert html.count("<svg") == 8
    assert "#1c1d1f" not in html.split("</style>", 1)[1], "drawings take their colours from the page"
    for target in judged[0].targets:
        assert target.name.split(",")[0].split("'")[0] in html


def test_a_family_without_baselines_is_judged_alone(history: Path, tmp_path: Path) -> None:
    found = court.backtest(Wish(data=history, out=tmp_path, workers=1), print, CALLED[2:3], ())
    assert not found.volatility
    assert found.tails[0].against == ()
    assert page.render(found).count("<svg") == 3


def test_the_verb_prints_one_object_and_refuses_what_it_cannot_do(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from margrave.cli import app

    monkeypatch.setattr(court, "everyone", lambda: CALLED)
    asked = ["backtest", "--data", str(history), "--out", str(tmp_path), "--quick", "--workers", "1"]
    done = CliRunner().invoke(app, [*asked, "--family", "EWMA 0.97", "--json"])
    assert done.exit_code == 0
    told = msgspec.json.decode(done.stdout.encode())
    assert told["facts"]["study"]["quick"] is True
    assert set(told["facts"]["families"]) == {"EWMA 0.97", "EWMA 0.5"}
    assert (tmp_path / "index.html").exists()
    again = CliRunner().invoke(app, [*asked, "--family", "EWMA 0.97"])
    assert "held before" in again.stderr
    assert "not measured" in again.stdout
    for wrong in (["--assets", "ZZZ"], ["--family", "nobody"]):
        refused = CliRunner().invoke(app, [*asked, *wrong])
        assert isinstance(refused.exception, Fatal)


def test_a_folder_with_too_little_is_refused_with_advice(tmp_path: Path) -> None:
    put(tmp_path / "data", "ohlcv_1h/AAAUSDT", bars(1_000, start=pd.Timestamp("2023-01-01", tz="UTC")))
    with pytest.raises(Fatal, match="too few"):
        court.backtest(Wish(data=tmp_path / "data", out=tmp_path, workers=1), print, CALLED, ())
