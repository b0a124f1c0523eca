"""The combination: the better member weighs more, by what was known at the fit only, and the silent one nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from margrave.lab.court.comparison import diebold_mariano
from margrave.lab.court.families.volatility.combination import FIRST_PRIOR, QUARTER_H, Combination, Combined, weights_of
from margrave.lab.court.panel import Panel

from .test_volatility import market


@dataclass(frozen=True)
class Times:
    """The mean of squared returns before each row, times something."""

    name: str
    factor: float
    least_hours: int = 1

    def fit(self, past: Panel) -> Times:
        return self

    def variance(self, panel: Panel, rows: np.ndarray, horizon_h: int) -> np.ndarray:
        squares = np.nan_to_num(panel.log_return**2)
        counts = np.maximum(np.cumsum(np.isfinite(panel.log_return), axis=0), 1)
        found = self.factor * horizon_h * np.cumsum(squares, axis=0) / counts
        return np.where(panel.present, found, np.nan)[rows]


RIGHT, WRONG, SILENT = Times("right", 1.0), Times("wrong", 3.0), Times("silent", float("nan"))
ROWS = np.arange(3_300, 3_350)


def test_a_member_keeps_what_the_evidence_against_it_leaves_of_its_prior() -> None:
    rng = np.random.default_rng(0)
    best = rng.gamma(2.0, size=400)
    losses = np.stack([best + rng.normal(0.05, 0.5, 400), best, best + 1.0 + rng.normal(0.0, 0.5, 400)])
    t = [diebold_mariano(losses[place], best, lags=3).t for place in (0, 2)]
    assert 0.5 < t[0] < 4.0 < 8.0 < t[1]
    expected = np.array([0.5 * np.exp(-(t[0] ** 2) / 2), 0.25, 0.25 * np.exp(-32.0)])
    assert weights_of(np.array([0.5, 0.25, 0.25]), losses, 3) == pytest.approx(expected / expected.sum(), rel=1e-9)


@pytest.mark.parametrize("horizon_h", [1, 4, 24])
def test_nearly_all_goes_to_the_member_that_was_right(horizon_h: int) -> None:
    model = Combination("both", (RIGHT, WRONG)).fit(market().upto(3_300))
    assert model.weights[horizon_h][0] > 0.95


def test_what_comes_after_the_fit_does_not_change_the_weights() -> None:
    panel, family = market(), Combination("both", (RIGHT, WRONG))
    close = panel.close.copy()
    close[3_300:] *= np.exp(np.random.default_rng(0).normal(0, 0.2, close[3_300:].shape))
    changed = replace(panel, close=close)
    for horizon_h, weights in family.fit(panel.upto(3_300)).weights.items():
        np.testing.assert_array_equal(weights, family.fit(changed.upto(3_300)).weights[horizon_h])


def test_members_that_say_nothing_weigh_nothing() -> None:
    weights = {4: np.array([0.5, 0.5])}
    said = Combined((RIGHT, SILENT), weights).variance(market(), ROWS, 4)
    np.testing.assert_allclose(said, RIGHT.variance(market(), ROWS, 4), rtol=1e-12)


def test_the_prior_makes_the_geometric_mean_where_a_quarter_is_not_known() -> None:
    model = Combination("both", (RIGHT, WRONG)).fit(market().upto(QUARTER_H))
    said = model.variance(market(), ROWS, 4)
    np.testing.assert_allclose(said, 3 ** (1.0 - FIRST_PRIOR) * RIGHT.variance(market(), ROWS, 4), rtol=1e-12)
