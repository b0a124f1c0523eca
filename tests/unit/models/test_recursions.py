"""The classical recursions: graphs against the court's filters, `arch` and loops; tails in order; refits; bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from arch.univariate.volatility import EGARCH, GARCH

from margrave.lab.court.families.volatility.egarch import Exponential
from margrave.lab.court.family import HORIZONS_H, TAIL_HORIZONS_H
from margrave.score.features import LONG_H, MIN_BARS
from margrave.score.registry import open_model
from tests.unit.lab.court.families.test_volatility import garch_returns, market
from train import export, gjr_garch_t, pool, recursions
from train.gjr_graph import Tail
from train.recursion_graph import ALL_LEVELS, Shape
from train.recursions import reference

SHAPES = {
    "ewma": Shape(0.03, 0.0, 0.97),
    "ewma_asymmetric": Shape(0.06, 0.3, 0.94),
    "garch_t": Shape(0.08, 0.0, 0.9),
    "gjr_garch_t": Shape(0.08, 0.25, 0.9),
    "egarch_t": Exponential(-0.02, 0.16, -0.03, 0.98, 5.0, 1.0, 0.02),
}
TAILS = (Tail(3.3, 0.7, 0.05, 0.008), Tail(3.6, 0.8, 0.07, 0.016), Tail(3.7, 0.8, 0.15, 0.04))
NAMES = [spec.name for spec in recursions.SPECS]


def asked(fitted: Shape | Exponential, returns: np.ndarray, bars: np.ndarray) -> dict[str, np.ndarray]:
    inputs = {"returns_1h": returns, "bars": bars.astype(np.int64)}
    return export.run(recursions.graph("test", fitted, TAILS).SerializeToString(), inputs)


@pytest.mark.parametrize("family", SHAPES)
def test_the_graph_is_the_courts_filter_for_any_length(family: str) -> None:
    returns = np.stack([garch_returns(LONG_H, seed) for seed in range(4)])
    bars = np.array([LONG_H, LONG_H, 400, MIN_BARS - 1])
    found = asked(SHAPES[family], returns, bars)["log_variance"]
    wanted = np.stack([reference(SHAPES[family], one[-n:]) for one, n in zip(returns, bars, strict=True)])
    assert np.abs(np.expm1(found - wanted)).max() < 1e-12


@pytest.mark.parametrize("family", ["garch_t", "gjr_garch_t", "egarch_t"])
def test_the_next_hours_variance_is_archs_own(family: str) -> None:
    one, shape = garch_returns(LONG_H, 9), SHAPES[family]
    level = float(np.mean(one**2))
    unit = np.append(one / level**0.5, 0.0)  # arch gives the variance of each of its returns, the last one's included
    bounds = np.tile([1e-12, 1e12], (len(unit), 1))
    if isinstance(shape, Exponential):
        process, start = EGARCH(1, 1, 1), 0.0
        parameters = [shape.omega, shape.alpha, shape.gamma, shape.beta]
    else:
        process, start = GARCH(1, 1, 1), 1.0
        alpha = shape.shock * (1 - shape.skew)
        parameters = [1 - shape.persistence, alpha, 2 * shape.skew * shape.shock, shape.keep]
    wanted = process.compute_variance(np.array(parameters), unit, np.empty(len(unit)), start, bounds)[-1]
    found = np.exp(asked(shape, one[None], np.array([LONG_H]))["log_variance"][0, 0]) / level
    # arch starts a GARCH from its backcast in the first hour's place; 672 hours later nothing of it is left
    assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("family", ["ewma", "gjr_garch_t"])
def test_several_hours_ahead_is_the_sum_of_the_recursions_own_forecasts(family: str) -> None:
    shape, one = SHAPES[family], garch_returns(LONG_H, 2)
    level, found = float(np.mean(one**2)), asked(shape, one[None], np.array([LONG_H]))["log_variance"][0]
    h, total = float(np.exp(found[0])), 0.0
    for hour in range(1, max(HORIZONS_H) + 1):
        total += h
        h = level * (1 - shape.persistence) + shape.persistence * h
        if hour in HORIZONS_H:
            assert found[HORIZONS_H.index(hour)] == pytest.approx(np.log(total), abs=1e-12)


@pytest.mark.parametrize("family", SHAPES)
def test_what_lies_before_the_first_bar_does_not_matter(family: str) -> None:
    one = garch_returns(LONG_H, 3)
    other = one.copy()
    other[:372] = 0.5
    out = asked(SHAPES[family], np.stack([one, other]), np.array([300, 300]))
    for values in out.values():
        assert np.array_equal(values[0], values[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["constant", "exploding", "one hour", "shortest"])
def test_the_published_models_give_an_ordered_answer_to_any_returns(name: str, kind: str) -> None:
    model = open_model(export.REGISTRY, name)
    returns, bars = np.zeros((1, LONG_H)), np.array([LONG_H])
    if kind == "exploding":
        returns = np.linspace(0, 50, LONG_H)[None] * np.where(np.arange(LONG_H) % 2, 1.0, -1.0)
    if kind == "one hour":
        returns[0, -1] = -3.0
    if kind == "shortest":
        returns, bars = garch_returns(LONG_H, 4)[None], np.array([MIN_BARS - 1])
    out = model.run({"returns_1h": returns, "bars": bars})
    assert all(np.isfinite(values).all() for values in out.values())
    assert (np.diff(out["log_variance"], axis=1) > 0).all()
    assert out["var"].shape == (1, len(TAIL_HORIZONS_H), 2, len(ALL_LEVELS))
    assert (np.diff(out["var"], axis=-1) >= 0).all()
    assert (out["es"] >= out["var"]).all()
    if kind == "shortest":
        assert (out["es"] > out["var"]).all()
        assert (np.diff(out["var"], axis=-1) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_card_names_the_parameters_that_the_graph_computes_with(name: str) -> None:
    model, one = open_model(export.REGISTRY, name), garch_returns(LONG_H, 5)
    p = model.card.parameters
    if "shock_variance" in p:
        parts = (p[key] for key in ("omega", "alpha", "gamma", "beta"))
        fitted: Shape | Exponential = Exponential(*parts, float("nan"), 1.0, p["shock_variance"])
    elif "keep" in p:
        fitted = Shape(1 - p["keep"], p["skew"], p["keep"])
    else:
        shock = p["alpha"] + p["gamma"] / 2
        fitted = Shape(shock, p["gamma"] / 2 / shock, p["beta"])
    found = model.run({"returns_1h": one[None], "bars": np.array([LONG_H])})
    assert np.abs(np.expm1(found["log_variance"][0] - reference(fitted, one))).max() < 1e-12
    sigma = np.exp(0.5 * found["log_variance"][0, HORIZONS_H.index(4)])
    tail = Tail(*(p[f"{key}_4h"] for key in ("nu", "scale", "pull", "pivot")))
    scale = tail.pivot * (sigma / tail.pivot) ** (1 - tail.pull)
    assert found["var"][0, 1, 0] == pytest.approx([scale * tail.quantile(q) for q in model.card.levels], rel=1e-9)
    assert found["es"][0, 1, 1] == pytest.approx([scale * tail.shortfall(q) for q in model.card.levels], rel=1e-9)
    assert model.card.parity is not None
    assert model.card.parity <= 1e-12


def test_a_refit_finds_the_recursions_that_were_simulated() -> None:
    found = recursions.garch_of(garch_returns(20_000, 7), skewed=True)
    assert found == pytest.approx((0.08, 0.06, 0.86), abs=0.03)
    plain, said = recursions.fit_ewma(market(), skewed=False)
    assert plain.skew == 0.0
    assert 0.8 < said["keep"] < 0.995
    assert plain.persistence == pytest.approx(1.0)


def test_an_assets_unit_does_not_matter_to_a_fit() -> None:
    one = garch_returns(3_000, 6)
    assert recursions.egarch_of(one) == pytest.approx(recursions.egarch_of(1e-3 * one), rel=1e-3)


def test_two_fits_of_one_panel_are_the_same_bits() -> None:
    first, second = (recursions.build(recursions.SPECS[0], market()) for _ in range(2))
    assert first.graph.SerializeToString(deterministic=True) == second.graph.SerializeToString(deterministic=True)


def test_a_panel_without_a_long_stretch_is_refused_in_a_line() -> None:
    with pytest.raises(Exception, match="no asset has 2000 hours") as caught:
        recursions.fit_ewma(market().upto(1_500), skewed=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("nothing", "MARGRAVE_DATA does not point"),
        ("no bars", "there are no bars"),
    ],
)
def test_a_training_command_without_history_ends_in_one_line(
    folder: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if folder == "no bars":
        (tmp_path / "MANIFEST.sha256").write_text("", encoding="utf-8")
    monkeypatch.setenv("MARGRAVE_DATA", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["recursions"])
    with pytest.raises(SystemExit) as caught:
        pool.command(recursions.main)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_oldest_command_ends_in_one_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "MANIFEST.sha256").write_text("", encoding="utf-8")
    monkeypatch.setenv("MARGRAVE_DATA", str(tmp_path))
    with pytest.raises(SystemExit) as caught:
        pool.command(gjr_garch_t.main)
    assert "ohlcv_binance_spot_1h_2017_2020" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_training_command_refuses_a_name_that_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["recursions", "garch_x/1"])
    with pytest.raises(SystemExit) as caught:
        pool.command(recursions.main)
    assert "garch_x/1" in str(caught.value)
    assert "garch_t/1" in str(caught.value)


def test_a_filter_that_leaves_float64_would_be_seen() -> None:
    """The bound of 1e-12 is one that rounded parameters break."""
    returns, bars = garch_returns(LONG_H, 1)[None], np.array([LONG_H])
    exact = SHAPES["gjr_garch_t"]
    rounded = replace(exact, keep=float(np.float32(exact.keep)))
    off = asked(rounded, returns, bars)["log_variance"][0] - reference(exact, returns[0])
    assert np.abs(np.expm1(off)).max() > 1e-10
