"""The served Greeks: exact slopes along their own rule, Black's where the smile is level, refused on a bad surface."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.messages import Surface
from margrave.score import surface as ssvi
from margrave.score.greeks import Options, Served, greeks, plain, smile
from margrave.score.greeks.served import FULL_TO, NOTHING_FROM, RESTING, faded
from tests.unit.score.greeks.sample import FORWARD, SURFACE, chain, lifted

Floats = NDArray[np.float64]
STEP = 1e-4


def near(found: Floats, wanted: Floats, most: float) -> None:
    np.testing.assert_allclose(found, wanted, atol=most * np.abs(wanted).max(), rtol=0)


def slope(of: Callable[[float], Floats], step: float = STEP) -> Floats:
    """By five points: three leave the third derivative, which is large where a short smile is sharp."""
    return (8 * (of(step) - of(-step)) - (of(2 * step) - of(-2 * step))) / (12 * step)


@st.composite
def surfaces(draw: st.DrawFn) -> Surface:
    level, rise, more = draw(st.floats(0.2, 1.5)), draw(st.floats(1.02, 1.5)), draw(st.floats(1.02, 1.5))
    week = level * np.sqrt(7 / 365)
    return msgspec.structs.replace(
        SURFACE,
        total_vol_7d=float(week),
        total_vol_30d=float(week * np.sqrt(30 / 7) * rise),
        total_vol_90d=float(week * np.sqrt(90 / 7) * rise * more),
        rho=draw(st.floats(-0.8, 0.6)),
        wing=draw(st.floats(0.05, 2.0)),
        decay=draw(st.floats(0.05, 0.5)),
    )


@settings(max_examples=60, deadline=None)
@given(surfaces())
def test_the_smiles_slopes_are_the_surfaces(surface: Surface) -> None:
    options = chain()
    k, years = options.log_moneyness, options.years
    found = smile(surface, options)
    near(found.vol, ssvi.vols(surface, k, years), 1e-12)
    near(found.level, ssvi.vols(surface, 0 * k, years), 1e-12)
    near(found.by_k, slope(lambda s: ssvi.vols(surface, k + s, years)), 1e-6)
    at_money = slope(lambda s: ssvi.vols(surface, 0 * k + s, years))
    np.testing.assert_allclose(found.skew, at_money, atol=1e-6 * np.abs(found.by_k).max())
    near(found.by_level, slope(lambda s: smile(lifted(surface, 1 + s), options).vol) / found.level, 1e-6)
    near(found.by_k_level, slope(lambda s: smile(lifted(surface, 1 + s), options).by_k) / found.level, 1e-6)
    near(found.by_years, slope(lambda s: ssvi.vols(surface, k, years + s), 1e-5), 1e-6)


def moved(surface: Surface, options: Options, here: Served, step: float) -> Served:
    """The forward has risen by `step` of its logarithm, and every volatility has moved along its rule."""
    there = Options(options.forward * np.exp(step), options.strike, options.years, options.is_call)
    return greeks(surface, there, here.vol + here.vol_by_log_forward * step)


@settings(max_examples=60, deadline=None)
@given(surfaces())
def test_delta_and_gamma_are_slopes_with_the_volatility_moving_along(surface: Surface) -> None:
    options = chain()
    here = greeks(surface, options)
    near(here.adjusted.delta, slope(lambda s: moved(surface, options, here, s).plain.price) / options.forward, 1e-4)
    near(here.adjusted.gamma, slope(lambda s: moved(surface, options, here, s).adjusted.delta) / options.forward, 2e-3)


@settings(max_examples=60, deadline=None)
@given(surfaces())
def test_vega_vanna_and_volga_are_slopes_in_the_level_of_the_smile(surface: Surface) -> None:
    options = chain()
    here = greeks(surface, options)
    level = smile(surface, options).level

    def by_level(name: str) -> Floats:
        return slope(lambda s: getattr(greeks(lifted(surface, 1 + s), options).adjusted, name)) / level

    near(here.adjusted.vega, by_level("price"), 1e-5)
    near(here.adjusted.vanna, by_level("delta"), 1e-3)
    near(here.adjusted.volga, by_level("vega"), 1e-4)


def test_theta_goes_along_the_surface() -> None:
    options = chain()
    sooner, later = (
        greeks(SURFACE, Options(options.forward, options.strike, options.years - s, options.is_call))
        for s in (1e-6, -1e-6)
    )
    near(greeks(SURFACE, options).adjusted.theta, (sooner.plain.price - later.plain.price) / 2e-6, 1e-6)


def test_a_level_smile_leaves_blacks_greeks() -> None:
    level = msgspec.structs.replace(SURFACE, rho=0.0, wing=1e-9)
    options = chain()
    found = greeks(level, options)
    for name in ("delta", "gamma"):
        near(getattr(found.adjusted, name), getattr(plain(options, found.vol), name), 1e-6)


def test_the_smile_never_moves_what_its_own_fade_leaves_to_black() -> None:
    options = chain()
    found = greeks(SURFACE, options)
    call_delta = np.where(options.is_call, found.plain.delta, found.plain.delta + 1)
    deep = call_delta >= NOTHING_FROM
    assert deep.any()
    np.testing.assert_array_equal(found.adjusted.delta[deep], found.plain.delta[deep])
    fade, slope = faded(np.array([0.0, FULL_TO, (FULL_TO + NOTHING_FROM) / 2, NOTHING_FROM, 1.0]))
    np.testing.assert_allclose(fade, [1, 1, 0.5, 0, 0], atol=1e-12)
    np.testing.assert_allclose(slope[[0, 1, 3, 4]], 0, atol=1e-12)


def test_volatility_falls_as_the_forward_rises_only_where_the_smile_leans_beyond_its_rest() -> None:
    at_money = Options(FORWARD, FORWARD, [5 / 365, 30 / 365, 120 / 365], True)
    for rho, moves in ((-0.4, True), (-RESTING, False), (0.0, False), (0.3, False)):
        b = greeks(msgspec.structs.replace(SURFACE, rho=rho), at_money).vol_by_log_forward
        assert (b < -0.01).all() if moves else (np.abs(b) < 1e-12).all(), rho


def test_an_options_own_volatility_is_kept_and_the_slopes_stay_the_surfaces() -> None:
    options = chain()
    own = greeks(SURFACE, options).vol * 1.1
    found = greeks(SURFACE, options, own)
    np.testing.assert_array_equal(found.vol, own)
    np.testing.assert_array_equal(found.plain.delta, plain(options, own).delta)


def test_relabelling_options_changes_nothing() -> None:
    options = chain()
    order = np.random.default_rng(3).permutation(len(options))
    there = Options(options.forward[order], options.strike[order], options.years[order], options.is_call[order])
    np.testing.assert_array_equal(greeks(SURFACE, there).adjusted.gamma, greeks(SURFACE, options).adjusted.gamma[order])


@pytest.mark.parametrize(
    "wrong",
    [
        {"total_vol_7d": float("nan")},
        {"total_vol_7d": 0.0},
        {"total_vol_30d": 0.01},
        {"rho": -1.0},
        {"wing": 2.1},
        {"decay": -0.1},
    ],
)
def test_what_is_no_surface_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Rejected, match="the surface"):
        greeks(msgspec.structs.replace(SURFACE, **wrong), chain())


@pytest.mark.parametrize("vol", [0.0, float("nan")])
def test_a_mark_that_is_none_is_refused_with_its_row(vol: float) -> None:
    options = chain()
    marks = np.full(len(options), 0.5)
    marks[7] = vol
    with pytest.raises(Rejected, match="row 7: volatility"):
        greeks(SURFACE, options, marks)
