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


def test_chains_inverted_together_give_the_bits_that_each_gives_alone() -> None:
    """They settle after different numbers of steps: a chain that is moved on by its neighbours ends a bit elsewhere."""
    rng = np.random.default_rng(1)
    of = np.repeat(np.arange(40), rng.integers(0, 60, 40))
    k, years, vol = rng.uniform(-1.0, 1.0, len(of)), rng.uniform(0.005, 0.6, len(of)), rng.uniform(0.1, 3.0, len(of))
    is_call, near = k >= 0, np.where(of % 3 == 0, vol, np.nan)
    prices = black76.price(k, vol * np.sqrt(years), is_call) * rng.uniform(0.9, 1.1, len(of))
    prices[of == 7] = np.nan
    together = black76.implied_vol(prices, k, years, is_call, near, of)
    for chain in range(40):
        one = of == chain
        alone = black76.implied_vol(prices[one], k[one], years[one], is_call[one], near[one])
        assert np.array_equal(together[one], alone, equal_nan=True), chain
