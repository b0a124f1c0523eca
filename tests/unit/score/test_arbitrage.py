"""Static arbitrage: found where it is planted, absent from SSVI, and taken out by the least change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.score import arbitrage, surface
from margrave.score.arbitrage import Violations
from tests.unit.score.chains import TRUE

DAYS = (3.0, 10.0, 30.0, 90.0)


def points(each: int = 41) -> tuple[np.ndarray, np.ndarray]:
    years = np.repeat(np.array(DAYS) / 365, each)
    reach = 3 * np.sqrt(years) * 0.7
    return np.tile(np.linspace(-1, 1, each), len(DAYS)) * reach, years


def test_a_surface_of_ours_holds_none() -> None:
    k, years = points()
    assert arbitrage.violations(k, years, surface.vols(TRUE, k, years)) == Violations(0, 0)


def test_a_price_above_its_neighbours_is_a_butterfly() -> None:
    k, years = points()
    vol = surface.vols(TRUE, k, years)
    vol[20] *= 1.1
    found = arbitrage.violations(k, years, vol)
    assert found.butterfly > 0


def test_a_short_option_dearer_than_a_long_one_is_a_calendar() -> None:
    k = np.array([-0.05, 0.0, 0.05, -0.05, 0.0, 0.05])
    years = np.repeat([0.02, 0.04], 3)
    vol = np.repeat([1.0, 0.5], 3)
    assert arbitrage.violations(k, years, vol).calendar == 3


def test_calls_dearer_at_higher_strikes_are_a_vertical_spread() -> None:
    k, years = np.array([0.0, 0.05, 0.1]), np.full(3, 0.02)
    assert arbitrage.violations(k, years, np.array([0.3, 0.9, 1.6])).butterfly > 0


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.1])
def test_a_repair_leaves_none_and_moves_little(noise: float) -> None:
    k, years = points()
    random = np.random.default_rng(1)
    true = surface.vols(TRUE, k, years)
    vol = true * np.exp(noise * random.standard_normal(len(k)))
    assert arbitrage.violations(k, years, vol).any
    found = arbitrage.repaired(k, years, vol)
    assert not arbitrage.violations(k, years, found).any
    near = np.abs(k) < np.sqrt(years)
    # noise is no reason to move further than the noise itself
    assert np.sqrt(np.mean((found - vol)[near] ** 2)) < 1.5 * noise * true[near].mean()


def test_what_is_sound_is_left_alone() -> None:
    k, years = points()
    vol = surface.vols(TRUE, k, years)
    assert arbitrage.repaired(k, years, vol) is vol


def test_one_wrong_price_moves_and_the_others_do_not() -> None:
    k, years = points()
    true = surface.vols(TRUE, k, years)
    vol = true.copy()
    vol[60] *= 1.2
    found = arbitrage.repaired(k, years, vol)
    moved = np.abs(found - vol) > 1e-6
    assert moved[60]
    assert moved.sum() <= 3
    assert abs(found[60] - true[60]) < abs(vol[60] - true[60])


def test_an_option_asked_beside_its_listed_twin_gets_the_same_price() -> None:
    k, years = points()
    k, years = np.append(k, k[20]), np.append(years, years[20])
    vol = surface.vols(TRUE, k, years)
    vol[-1] *= 1.1
    found = arbitrage.repaired(k, years, vol)
    assert found[-1] == pytest.approx(found[20], abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 0.3))
def test_whatever_the_noise_a_repair_is_finite_and_positive(seed: int, noise: float) -> None:
    k, years = points(15)
    vol = surface.vols(TRUE, k, years) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(k)))
    found = arbitrage.repaired(k, years, vol)
    assert np.isfinite(found).all()
    assert (found > 0).all()
