"""hedge/1 as published, and the paths that it was trained on; its training in small is in test_hedge_training.py."""

from __future__ import annotations

import numpy as np
import pytest

from margrave.errors import Fatal
from margrave.lab.court import history
from margrave.lab.court.panel import panel_of
from margrave.score.hedge import forecast_vol
from margrave.score.hedge.market import LEAST_HOURS, LIFE_WEIGHTS, LIVES_H
from margrave.score.hedge.served import COLUMNS
from margrave.score.registry import open_model
from margrave.spans import YEAR_H
from tests.unit.lab.court.test_history import bars, put
from train import export, hedge_paths, hedge_vol
from train.hedge_paths import Bars, Bates

USUAL = Bates(kappa=20.0, theta=0.5, xi=2.0, rho=-0.3, jumps_a_year=20.0, jump_mean=-0.01, jump_sd=0.04)


def series(hours: int = 4_000, seed: int = 0) -> Bars:
    return hedge_paths.simulated(USUAL, hours, np.random.default_rng(seed))


def test_the_card_says_what_was_seen_and_which_columns_are_asked() -> None:
    card = open_model(export.REGISTRY, "hedge/1").card
    assert card.columns == COLUMNS
    assert (card.trained_to, card.unseen_from) == ("2021-01-01", "2023-01-01")
    assert set(card.assets) == {"BTC", "ETH"}
    assert card.parity is not None
    assert card.parity <= card.tolerance


def test_simulated_paths_have_the_variance_and_the_jumps_that_were_asked_for() -> None:
    moves = series(40_000).moves[:, 3]
    jump_variance = USUAL.jumps_a_year * (USUAL.jump_sd**2 + USUAL.jump_mean**2)
    assert float(moves.var()) * YEAR_H == pytest.approx(USUAL.theta + jump_variance, rel=0.15)
    again = hedge_paths.fitted([Bars(series(40_000).moves)])
    assert again.theta == pytest.approx(USUAL.theta, rel=0.25)
    assert again.jumps_a_year == pytest.approx(USUAL.jumps_a_year, rel=0.6)


def test_a_bar_holds_its_open_and_its_close() -> None:
    moves = series().moves
    assert (moves[:, 1] >= np.maximum(moves[:, 0], moves[:, 3])).all()
    assert (moves[:, 2] <= np.minimum(moves[:, 0], moves[:, 3])).all()
    opens, _, lows, closes = Bars(moves).prices()
    assert (lows <= np.minimum(opens, closes) * (1 + 1e-12)).all()
    np.testing.assert_allclose(opens[1:], closes[:-1])


def test_what_is_turned_upside_down_twice_is_itself() -> None:
    one = series(500)
    np.testing.assert_array_equal(one.mirrored().mirrored().moves, one.moves)
    assert (one.mirrored().moves[:, 1] >= one.mirrored().moves[:, 2]).all()


def test_a_bootstrapped_series_is_made_of_hours_that_were_and_leans_nowhere() -> None:
    known = [Bars(series(3_000, 1).moves + 0.001)]
    found = hedge_paths.bootstrapped(known, 20_000, np.random.default_rng(0)).moves[:, 3]
    scale = np.abs(found).max() / np.abs(known[0].moves[:, 3]).max()
    assert hedge_paths.SCALES[0] * 0.5 < scale < hedge_paths.SCALES[1] * 1.01
    assert len(np.unique(np.round(np.abs(found) / scale, 9))) <= 3_000
    # the hours rise by 0.001 on average, and half of the blocks are upside down
    assert abs(float(found.mean())) < 0.0006


def test_sales_on_series_are_the_courts() -> None:
    sold = hedge_paths.sales([series(2_000), series(2_000, 2)], 168, 25, "made")
    assert sold.paths == len(sold.sold_ms) > 80
    np.testing.assert_allclose(sold.spot[0], 1.0)
    assert np.isfinite(sold.levels).all()


def test_too_little_history_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("short")
    put(folder, "ohlcv_any_1h/BTCUSDT", bars(900))
    with pytest.raises(Fatal, match="two months"):
        hedge_paths.stretches(panel_of(history.read(folder)), 1 << 53)


def test_the_forecast_is_the_least_loss_of_weights_that_are_shares() -> None:
    known = [series(LEAST_HOURS + 6_000, seed) for seed in range(2)]
    weights = hedge_vol.fitted(known)
    assert weights.shape == LIFE_WEIGHTS.shape
    assert ((weights[:, 1:] >= 0) & (weights[:, 1:] <= 1)).all()
    assert set(hedge_vol.losses(known)) == {f"{life:.0f}" for life in LIVES_H}
    assert (LIFE_WEIGHTS[:, 1:].sum(axis=1) < 1).all()
    assert forecast_vol(np.full((1, 4), np.log(0.25 / YEAR_H)), np.array([336.0]))[0] == pytest.approx(0.5, rel=0.1)
