"""Registry models before the court: silent about what they have seen, and asked exactly as a node asks them."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from margrave.errors import Fatal
from margrave.lab.court.answers import Sitting, Store
from margrave.lab.court.families import Kind
from margrave.lab.court.families.registered import Registered
from margrave.lab.court.families.registered_ladders import from_ladder
from margrave.lab.court.families.tails.ladder import student
from margrave.lab.court.family import DOWN, LEVELS, UP
from margrave.lab.court.panel import COLUMNS, Panel
from margrave.lab.court.walk import Leg, audit
from margrave.score import features
from margrave.score.registry import open_model
from margrave.settings import REGISTRY
from margrave.spans import HOUR_MS
from tests.unit.lab.court.families import test_volatility as simulated
from tests.unit.score.sample import market

UNSEEN_MS = {"gjr_garch_t/1": 1_704_067_200_000, "tail_net/1": 1_717_977_600_000}
"""The cards' days: 2024-01-01, and 2024-06-10 to which the network was chosen."""
ROWS = np.arange(1_200, 1_500)
GARCH, NET = "gjr_garch_t/1", "tail_net/1"


@cache
def panel(begins_ms: int = max(UNSEEN_MS.values())) -> Panel:
    """The simulated market, moved to a time that no model has seen."""
    found = simulated.market()
    return replace(found, open_ms=found.open_ms - found.open_ms[0] + begins_ms)


def variance(name: str, seen: Panel, rows: np.ndarray = ROWS, horizon_h: int = 4) -> np.ndarray:
    return Registered(name).fit(seen).variance(seen, rows, horizon_h)


@pytest.mark.parametrize("name", [GARCH, NET])
def test_it_is_silent_about_hours_that_it_was_trained_on_or_chosen_by(name: str) -> None:
    seen = panel(UNSEEN_MS[name] - 1_350 * HOUR_MS)
    said = variance(name, seen)[:, 0]
    first = np.searchsorted(seen.known_ms[ROWS], UNSEEN_MS[name])
    assert seen.known_ms[ROWS[first]] == UNSEEN_MS[name]
    assert np.isnan(said[:first]).all()
    assert np.isfinite(said[first:]).all()


@pytest.mark.parametrize("name", [GARCH, NET])
def test_it_says_what_a_node_says_of_the_same_bars(name: str) -> None:
    snapshot = market("ETH")
    bars = snapshot.bars
    start = bars[0].open_time_ms
    moved = max(UNSEEN_MS.values()) // HOUR_MS * HOUR_MS + 168 * 100 * HOUR_MS - start
    moved -= moved % (168 * HOUR_MS)  # the same hour of the week, and summer time as it may be
    columns = {k: np.full((len(bars), 1), np.nan) for k in COLUMNS}
    for k in ("open", "high", "low", "close", "volume"):
        columns[k][:, 0] = [getattr(bar, k) for bar in bars]
    columns["funding_8h"][-1, 0] = np.nan if snapshot.funding_8h is None else snapshot.funding_8h
    columns["dvol"][-1, 0] = np.nan if snapshot.vol_index is None else snapshot.vol_index
    seen = Panel(np.array([bar.open_time_ms for bar in bars]) + moved, ("ETH",), **columns)
    history = features.from_bars(bars, columns["funding_8h"][:, 0], columns["dvol"][:, 0])
    table = features.compute(replace(history, open_time_ms=seen.open_ms))
    returns = table.log_return[1:][-features.LONG_H :]
    given = {
        "features": table.columns[-1:].astype(np.float32),
        "log_level": table.log_level[-1:].astype(np.float32),
        "returns_1h": np.concatenate([np.zeros(features.LONG_H - len(returns)), returns])[None],
        "bars": np.array([len(returns)]),
    }
    out = open_model(REGISTRY, name).run(given)
    last = np.array([len(bars) - 1])
    assert variance(name, seen, last)[0, 0] == pytest.approx(out["sigma"][0] ** 2, rel=1e-14)
    said = Registered(name, Kind.TAILS).fit(seen).tails(seen, last, np.array([0]), 4)
    down = -np.log1p(-out["ladder"][0, :3])
    assert said.var[0, DOWN, LEVELS.index(0.025)] == pytest.approx(down[0], rel=1e-12)
    assert said.var[0, DOWN, LEVELS.index(0.005)] == pytest.approx(down[1], rel=1e-12)
    assert said.es[0, DOWN, LEVELS.index(0.01)] == pytest.approx(down[2], rel=1e-12)
    assert said.es[0, UP, LEVELS.index(0.001)] == pytest.approx(np.log1p(out["ladder"][0, 9]), rel=1e-12)


@pytest.mark.parametrize("name", [GARCH, NET])
@pytest.mark.parametrize("kind", Kind)
def test_it_does_not_look_ahead(name: str, kind: Kind) -> None:
    audit(panel(), Registered(name, kind).fit(panel()), ROWS, 4, name)


@pytest.mark.parametrize("name", [GARCH, NET])
def test_a_feed_that_stands_still_is_not_answered_and_what_was_before_it_is(name: str) -> None:
    still = panel()
    columns = {k: getattr(still, k).copy() for k in COLUMNS}
    for k in ("open", "high", "low", "close"):
        columns[k][1_300:1_400, 0] = columns["close"][1_299, 0]
    frozen = replace(still, **columns)
    said, usual = variance(name, frozen), variance(name, still)
    before = ROWS < 1_300
    assert np.array_equal(said[before], usual[before])
    assert np.array_equal(said[:, 1:], usual[:, 1:])
    if name == NET:
        assert np.isnan(said[(ROWS >= 1_313) & (ROWS < 1_399), 0]).all()
        audit(frozen, Registered(name).fit(frozen), ROWS, 4, name)


@pytest.mark.parametrize("name", [GARCH, NET])
def test_after_a_gap_it_waits_for_enough_bars_and_masks_what_nobody_supplies(name: str) -> None:
    rows = np.arange(400, 700)
    said = variance(name, panel(), rows)
    assert np.isfinite(said[:, 0]).all()
    waits = panel().age_h[rows, 1] < features.MIN_BARS
    assert waits.any()
    assert np.isnan(said[waits, 1]).all()
    assert np.isfinite(said[~waits, 1]).all()
    assert np.isnan(said[:, 2]).all()


@pytest.mark.parametrize("unit", [1e-6, 1e6])
@pytest.mark.parametrize("name", [GARCH, NET])
def test_the_unit_of_the_price_does_not_matter(name: str, unit: float) -> None:
    scaled = {k: getattr(panel(), k) * unit for k in ("open", "high", "low", "close")}
    there = variance(name, panel())
    # a feature at the edge of its clip moves by rounding
    assert np.allclose(variance(name, replace(panel(), **scaled)), there, rtol=1e-4, equal_nan=True)


def test_a_horizon_that_it_was_not_made_for_is_not_answered() -> None:
    assert np.isnan(variance(GARCH, panel(), horizon_h=24)).all()
    said = Registered(GARCH, Kind.TAILS).fit(panel()).tails(panel(), ROWS, np.zeros(len(ROWS), dtype=np.int64), 24)
    assert np.isnan(said.var).all()
    assert np.isnan(said.es).all()


def test_the_hash_of_its_files_is_in_the_answers_key_and_the_place_of_the_registry_is_not(tmp_path: Path) -> None:
    copies = [tmp_path / place / GARCH for place in ("a", "b")]
    for copy in copies:
        shutil.copytree(REGISTRY / GARCH, copy)
    card = copies[1] / "card.toml"
    card.write_text(card.read_text(encoding="utf-8").replace("2024-01-01", "2024-02-01"), encoding="utf-8")
    store = Store(tmp_path, "panel")
    here, same, other = (
        store.path(Sitting(Registered(GARCH, registry=place), Leg(0, 1), (4,), audited=False))
        for place in (REGISTRY, tmp_path / "a", tmp_path / "b")
    )
    assert here == same
    assert other != here


def test_both_kinds_of_one_model_have_names_of_their_own_and_travel_to_workers() -> None:
    names = {Registered(GARCH).name, Registered(GARCH, Kind.TAILS).name}
    assert len(names) == 2
    family = pickle.loads(pickle.dumps(Registered(GARCH)))
    assert family == Registered(GARCH)
    assert repr(family) == repr(Registered(GARCH))


def test_a_model_that_is_not_there_is_refused_in_one_line() -> None:
    with pytest.raises(Fatal) as caught:
        Registered("nobody/1").fit(panel())
    assert "nobody/1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.advice


def test_an_input_that_nobody_makes_is_refused_by_name(tmp_path: Path) -> None:
    shutil.copytree(REGISTRY / NET, tmp_path / NET)
    card = tmp_path / NET / "card.toml"
    card.write_text(card.read_text(encoding="utf-8").replace("hourly-1", "hourly-0"), encoding="utf-8")
    with pytest.raises(Fatal, match="hourly-0"):
        Registered(NET, registry=tmp_path).fit(panel()).variance(panel(), ROWS, 4)


def test_a_pareto_ladder_comes_back_whole() -> None:
    """Simple returns down to a log return; every rung that the wire does not carry follows from those that it does."""
    u, beta, xi = 0.02, 0.012, np.array([1e-12, 0.1, 0.28])

    def quantile(p: float) -> np.ndarray:
        return u + beta * np.expm1(xi * np.log(0.05 / p)) / xi

    def shortfall(p: float) -> np.ndarray:
        return quantile(p) + (beta + xi * (quantile(p) - u)) / (1 - xi)

    side = np.stack([quantile(0.025), quantile(0.005), shortfall(0.01), quantile(0.0005), shortfall(0.001)], axis=1)
    beneath = np.stack([quantile(0.01), quantile(0.001)], axis=1)
    var, es = from_ladder(np.concatenate([side, side], axis=1), np.concatenate([beneath, beneath], axis=1))
    for place, p in enumerate(LEVELS):
        assert var[:, DOWN, place] == pytest.approx(-np.log1p(-quantile(p)), rel=1e-6)
        assert es[:, UP, place] == pytest.approx(np.log1p(shortfall(p)), rel=1e-6)


def test_a_students_ladder_comes_back_within_two_hundredths() -> None:
    freedom, scale = 3.5, 0.01
    want_var, want_es = student(freedom)
    shrink = ((freedom - 2) / freedom) ** 0.5

    def q(p: float) -> float:
        return float(stats.t.isf(p, freedom) * shrink * scale)

    deep = [scale * want_es[LEVELS.index(p)] for p in (0.01, 0.001)]
    side = np.expm1(np.array([q(0.025), q(0.005), deep[0], q(0.0005), deep[1]]))
    down = -np.expm1(-np.array([q(0.025), q(0.005), deep[0], q(0.0005), deep[1]]))
    beneath_up, beneath_down = np.expm1([q(0.01), q(0.001)]), -np.expm1([-q(0.01), -q(0.001)])
    var, es = from_ladder(np.concatenate([down, side])[None], np.concatenate([beneath_down, beneath_up])[None])
    for side_of in (DOWN, UP):
        assert var[0, side_of] == pytest.approx(scale * want_var, rel=0.02)
        assert es[0, side_of] == pytest.approx(scale * want_es, rel=0.03)
