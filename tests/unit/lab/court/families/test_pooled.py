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

    best = minimize(qlike, np.zeros(3)).x
    assert found == pytest.approx(best, abs=0.02), "but for the ridge"
    assert qlike(found) <= qlike(np.array([0.2, 0.4, -0.3])) + 1e-3


def test_every_input_is_there_or_its_bit_says_that_it_is_not() -> None:
    columns, _ = inputs_of(market()).at(np.array([3_000]), 24)
    assert columns.shape == (1, 3, len(NAMES))
    assert np.isfinite(columns).all()
    bit, parts = NAMES.index("has_funding"), [NAMES.index(name) for name in GROUPS["funding"][:-1]]
    assert list(columns[0, :, bit]) == [1.0, 1.0, 0.0]
    assert (columns[0, 2, parts] == 0.0).all()
    assert (columns[0, :2, parts] != 0.0).all()


@pytest.mark.parametrize("gone", ["dvol", "funding_8h", "volume"])
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
    model = Pooled(without=GROUPS["implied"], own_share=False).fit(panel.upto(3_000))
    louder = replace(panel, dvol=panel.dvol * 3.0)
    rows = np.arange(3_000, 3_010)
    np.testing.assert_array_equal(model.variance(panel, rows, 4), model.variance(louder, rows, 4))


def test_a_coin_pegged_to_money_is_nobodys_peer() -> None:
    panel = market()
    prices = {column: getattr(panel, column).copy() for column in ("open", "high", "low", "close")}
    for column in prices.values():
        column[:, 1] = column[:, 1] ** 0.01
    with_peg = replace(panel, **prices)
    rows = np.arange(3_000, 3_010)
    others = ("BUSY", "NEW")
    alone = Pooled(own_share=False).fit(panel.upto(3_000).only(others)).variance(panel.only(others), rows, 4)
    said = Pooled(own_share=False).fit(with_peg.upto(3_000)).variance(with_peg, rows, 4)
    np.testing.assert_allclose(said[:, [0, 2]], alone, rtol=1e-9)
