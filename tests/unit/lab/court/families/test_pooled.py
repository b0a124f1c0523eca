"""Ours: what it learns is what its two regressions say, an absent source is masked, an unlisted asset is spoken of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from margrave.lab.court.families.volatility import pooled
from margrave.lab.court.families.volatility.inputs import GROUPS, NAMES, inputs_of
from margrave.lab.court.families.volatility.pooled import POOLED, Pooled

from .test_volatility import market


def test_the_generalised_model_minimises_qlike() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate((np.ones((4_000, 1)), rng.normal(size=(4_000, 2))), axis=1)
    target = np.exp(x @ [0.2, 0.4, -0.3]) * rng.gamma(6.0, 1 / 6.0, 4_000)
    gram = x.T @ x / len(x) + pooled.RIDGE * np.diag([0.0, 1.0, 1.0])
    found = pooled._generalised(x, gram, target, np.zeros(3))

    def qlike(weights: np.ndarray) -> float:
        return float(np.mean(target / np.exp(x @ weights) + x @ weights))

    best = minimize(lambda weights: qlike(weights) + pooled.RIDGE / 2 * float(weights[1:] @ weights[1:]), found).x
    assert found == pytest.approx(best, abs=0.01), "but for the few that count for less"


def test_every_input_is_there_or_its_bit_says_that_it_is_not() -> None:
    columns, _ = inputs_of(market()).at(np.array([3_000]), 24)
    assert columns.shape == (1, 3, len(NAMES))
    assert np.isfinite(columns).all()
    bit, parts = NAMES.index("has_volume"), [NAMES.index(name) for name in GROUPS["volume"][:-1]]
    panel = market()
    silent = replace(panel, volume=np.where(np.arange(3) == 2, np.nan, panel.volume))
    columns, _ = inputs_of(silent).at(np.array([3_000]), 24)
    assert list(columns[0, :, bit]) == [1.0, 1.0, 0.0]
    assert (columns[0, 2, parts] == 0.0).all()
    assert (columns[0, :2, parts] != 0.0).all()


@pytest.mark.parametrize("gone", ["dvol", "volume"])
def test_a_source_that_is_gone_widens_nothing_to_infinity_and_silences_nobody(gone: str) -> None:
    panel = market()
    model = POOLED.fit(panel.upto(3_000))
    blind = replace(panel, **{gone: np.full(panel.close.shape, np.nan)})
    rows = np.arange(3_000, 3_040)
    for horizon_h in (1, 24):
        ratio = model.variance(blind, rows, horizon_h) / model.variance(panel, rows, horizon_h)
        assert np.isfinite(ratio).all()
        assert (np.abs(np.log(ratio)) < 2.0).all()


def test_an_asset_that_was_never_trained_on_is_spoken_of() -> None:
    panel = market()
    model = POOLED.fit(panel.upto(3_000).only(("BUSY", "CALM")))
    said = model.variance(panel.only(("NEW",)), np.arange(3_000, 3_010), 24)
    assert (said > 0).all()


def test_an_input_left_out_does_not_count() -> None:
    panel = market()
    model = Pooled(without=GROUPS["implied"]).fit(panel.upto(3_000))
    louder = replace(panel, dvol=panel.dvol * 3.0)
    rows = np.arange(3_000, 3_010)
    np.testing.assert_array_equal(model.variance(panel, rows, 4), model.variance(louder, rows, 4))


def test_what_is_fitted_twice_is_the_same() -> None:
    panel, rows = market(), np.arange(3_000, 3_010)
    once, again = (POOLED.fit(replace(panel).upto(3_000)).variance(replace(panel), rows, 24) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_too_little_to_learn_from_is_silence() -> None:
    panel = market()
    said = POOLED.fit(panel.upto(700)).variance(panel, np.arange(690, 700), 24)
    assert np.isnan(said).all()


def test_an_hour_without_a_bar_a_series_that_stands_still_and_one_wild_hour_break_nothing() -> None:
    panel = market()
    columns = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for name in columns:
        columns[name][2_900, 0] = np.nan
    for name in ("open", "high", "low", "close"):
        columns[name][:, 1] = 1.0
    columns["high"][2_950, 2] *= 1e6
    broken = replace(panel, **columns)
    model = POOLED.fit(broken.upto(3_000))
    rows = np.arange(3_000, 3_020)
    for horizon_h in (1, 24):
        said = model.variance(broken, rows, horizon_h)
        assert np.isnan(said[:, 0]).all(), "less than four weeks after the gap"
        assert np.isnan(said[:, 1]).all(), "nothing moves"
        usual = model.variance(panel, rows, horizon_h)[:, 2]
        assert (np.abs(np.log(said[:, 2] / usual)) < 9.0).all()


def test_a_coin_pegged_to_money_is_nobodys_peer() -> None:
    panel = market()
    prices = {column: getattr(panel, column).copy() for column in ("open", "high", "low", "close")}
    for column in prices.values():
        column[:, 1] = column[:, 1] ** 0.01
    with_peg = replace(panel, **prices)
    rows = np.arange(3_000, 3_010)
    others = ("BUSY", "NEW")
    alone = POOLED.fit(panel.upto(3_000).only(others)).variance(panel.only(others), rows, 4)
    said = POOLED.fit(with_peg.upto(3_000)).variance(with_peg, rows, 4)
    np.testing.assert_allclose(said[:, [0, 2]], alone, rtol=1e-9)
