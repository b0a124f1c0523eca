"""Implied volatilities give back the price that they were asked for, at every corner where options are quoted."""

from __future__ import annotations

import numpy as np
import pytest

from margrave.score import black76


def test_an_implied_volatility_gives_its_price_back_to_rounding() -> None:
    """Thousands at once: a solver that leaves a root it has already hit is off by a price somewhere among them."""
    rng = np.random.default_rng(0)
    k, years, vol = rng.uniform(-1.2, 1.2, 4_000), rng.uniform(0.005, 0.6, 4_000), rng.uniform(0.1, 3.0, 4_000)
    is_call = k >= 0
    prices = black76.price(k, vol * np.sqrt(years), is_call)
    quoted = prices > 1e-6
    found = black76.implied_vol(prices[quoted], k[quoted], years[quoted], is_call[quoted])
    again = black76.price(k[quoted], found * np.sqrt(years[quoted]), is_call[quoted])
    assert np.abs(again - prices[quoted]).max() < 1e-15
    assert found == pytest.approx(vol[quoted], rel=1e-8)


def test_it_arrives_in_a_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    k = np.linspace(-1.0, 1.0, 400)
    is_call, years = k >= 0, np.full(400, 0.1)
    prices = black76.price(k, 0.8 * np.sqrt(years), is_call)
    monkeypatch.setattr(black76, "_STEPS", 15)
    assert black76.implied_vol(prices, k, years, is_call) == pytest.approx(np.full(400, 0.8), rel=1e-8)


def test_a_price_that_no_volatility_gives_is_nan() -> None:
    k, years, is_call = np.array([0.0, 0.0, -0.5]), np.full(3, 0.1), np.array([True, True, True])
    assert np.isnan(black76.implied_vol(np.array([0.0, 1.0, 0.3]), k, years, is_call)).all()
