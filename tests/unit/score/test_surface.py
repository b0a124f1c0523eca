"""SSVI each round: finds the truth, survives junk, has no arbitrage wherever one looks."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from margrave import lanes
from margrave.errors import Rejected
from margrave.lanes import BOXES
from margrave.messages import OptionQuote, Surface
from margrave.mirror import surface as mirror
from margrave.mirror.fixed_point import ONE
from margrave.score import black76, descent, surface
from margrave.spans import DAY_MS
from tests.unit.decide.sample import words
from tests.unit.score.chains import AS_OF_MS, TRUE, made, recorded

GRID_K = np.linspace(-1.5, 1.5, 121)
GRID_DAYS = np.array([1.0, 2, 3, 5, 7, 8, 14, 21, 30, 31, 45, 60, 90, 91, 120, 200, 365])


def arbitrage_of(fit: Surface) -> tuple[float, float]:
    """The worst butterfly (least risk-neutral density) and the worst calendar step on a grid; none if both >= 0.

    Density g(k) = (1 - k w'/(2w))^2 - w'^2/4 (1/w + 1/4) + w''/2 (Gatheral and Jacquier 2014, section 2.2).
    """
    step = 1e-4

    def variance(k: NDArray[np.float64], days: float) -> NDArray[np.float64]:
        years = np.full_like(k, days / 365)
        values: NDArray[np.float64] = surface.vols(fit, k, years) ** 2 * years
        return values

    worst_butterfly, before = math.inf, np.zeros_like(GRID_K)
    worst_calendar = math.inf
    for days in GRID_DAYS:
        w, up, down = (variance(GRID_K + shift, days) for shift in (0.0, step, -step))
        first, second = (up - down) / (2 * step), (up - 2 * w + down) / step**2
        density = (1 - GRID_K * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2
        worst_butterfly = min(worst_butterfly, float(density.min()))
        worst_calendar = min(worst_calendar, float((w - before).min()))
        before = w
    return worst_butterfly, worst_calendar


def assert_sound(fit: Surface) -> None:
    assert 0 < fit.total_vol_7d < fit.total_vol_30d < fit.total_vol_90d
    for name, value in (("ssvi_rho", fit.rho), ("ssvi_wing", fit.wing), ("ssvi_decay", fit.decay)):
        low, high = BOXES[name]
        assert low < value < high
    butterfly, calendar = arbitrage_of(fit)
    assert butterfly > -1e-5
    assert calendar > -1e-12


def test_a_chain_made_from_a_surface_gives_that_surface_back() -> None:
    fit = surface.calibrate(made(), AS_OF_MS)
    assert fit.rmse_vol < 1e-4
    for name in ("total_vol_7d", "total_vol_30d", "total_vol_90d", "rho", "wing", "decay"):
        assert getattr(fit, name) == pytest.approx(getattr(TRUE, name), rel=2e-3), name
    assert fit.basis == pytest.approx(0.05, rel=0.02)


def test_noise_of_a_point_moves_the_surface_by_less() -> None:
    fit = surface.calibrate(made(noise_vol=0.01), AS_OF_MS)
    assert fit.total_vol_30d == pytest.approx(TRUE.total_vol_30d, rel=0.01)
    assert 0.007 < fit.rmse_vol < 0.013


def test_last_rounds_surface_changes_the_way_and_not_the_place() -> None:
    quotes = made(noise_vol=0.01)
    cold = surface.calibrate(quotes, AS_OF_MS)
    elsewhere = msgspec.structs.replace(TRUE, total_vol_7d=0.2, total_vol_30d=0.5, total_vol_90d=0.9, rho=0.5, wing=0.3)
    for previous in (cold, TRUE, elsewhere):
        warm = surface.calibrate(quotes, AS_OF_MS, previous)
        for name in ("total_vol_7d", "total_vol_30d", "total_vol_90d", "rho", "wing", "decay"):
            assert getattr(warm, name) == pytest.approx(getattr(cold, name), abs=1e-3), name


def test_the_same_chain_gives_the_same_bits() -> None:
    quotes = made(noise_vol=0.01)
    assert surface.calibrate(quotes, AS_OF_MS, TRUE) == surface.calibrate(quotes, AS_OF_MS, TRUE)


def test_a_chain_among_many_gives_the_bits_that_it_gives_alone() -> None:
    elsewhere = msgspec.structs.replace(TRUE, total_vol_7d=0.2, total_vol_30d=0.5, total_vol_90d=0.9, rho=0.5, wing=0.3)
    noisy = made(noise_vol=0.01)
    marks = [msgspec.structs.replace(q, bid=None, ask=None) for q in noisy]
    some = [q for place, q in enumerate(noisy) if place % 3]
    crowd = [made(noise_vol=0.001 * k) for k in range(2 * descent.TOGETHER)]
    chains = [
        (quotes, AS_OF_MS + late_ms, previous)
        for quotes in (noisy, marks, some, made(days=(7.0, 28.0), strikes_each=10), *crowd)
        for late_ms, previous in ((0, None), (DAY_MS // 3, TRUE), (DAY_MS, elsewhere))
    ]
    together = surface.calibrated(chains)
    assert together == [surface.calibrate(*chain) for chain in chains]
    assert len(set(map(repr, together))) > len(chains) // 2, "they differ, so that one taken for another would show"
    assert surface.calibrated(chains[::-1]) == together[::-1]


def test_a_chain_that_cannot_be_fitted_is_refused_and_its_neighbours_are_not() -> None:
    first, refused, empty, last = surface.calibrated(
        [(made(), AS_OF_MS, None), (made(days=(28.0,)), AS_OF_MS, TRUE), ((), AS_OF_MS, None), (made(), AS_OF_MS, TRUE)]
    )
    assert first == surface.calibrate(made(), AS_OF_MS)
    assert last == surface.calibrate(made(), AS_OF_MS, TRUE)
    assert isinstance(refused, Rejected)
    assert "one expiry only" in refused.problem
    assert isinstance(empty, Rejected)
    assert surface.calibrated([]) == []


def test_a_search_that_is_going_nowhere_ends_and_leaves_the_others_alone() -> None:
    sample = surface.usable(made(noise_vol=0.01), AS_OF_MS)
    columns = surface.columns_of(sample)
    begins = np.array([surface.start(sample, None), np.full(6, math.nan), np.full(6, 500.0)])
    found, nowhere, far = descent.searched([columns] * 3, begins)
    assert found.point.tolist() == surface.polished(sample, begins[0]).tolist()
    assert found.errors.tolist() == surface.residuals(found.point, sample).tolist()
    assert math.isnan(nowhere.loss)
    assert math.isfinite(far.loss)


def test_twenty_quotes_are_enough() -> None:
    fit = surface.calibrate(made(days=(7.0, 28.0), strikes_each=10), AS_OF_MS)
    assert_sound(fit)
    assert fit.total_vol_30d == pytest.approx(TRUE.total_vol_30d, rel=0.02)


def test_a_tenth_of_junk_quotes_does_not_bend_the_rest() -> None:
    quotes = made()
    junk = [
        msgspec.structs.replace(q, bid=q.bid * 3, ask=q.ask * 3) if i % 10 == 0 and q.bid and q.ask else q
        for i, q in enumerate(quotes)
    ]
    fit = surface.calibrate(junk, AS_OF_MS)
    assert_sound(fit)
    assert fit.total_vol_30d == pytest.approx(TRUE.total_vol_30d, rel=0.03)


def test_marks_stand_in_where_nobody_quotes() -> None:
    marks = [msgspec.structs.replace(q, bid=None, ask=None) for q in made()]
    fit = surface.calibrate(marks, AS_OF_MS)
    assert fit.total_vol_30d == pytest.approx(TRUE.total_vol_30d, rel=0.005)


def test_a_falling_term_structure_is_made_flat_rather_than_arbitrageable() -> None:
    inverted = made(TRUE, days=(7.0,)) + list(
        made(msgspec.structs.replace(TRUE, total_vol_7d=0.02, total_vol_30d=0.04, total_vol_90d=0.07), days=(28.0,))
    )
    assert_sound(surface.calibrate(inverted, AS_OF_MS))


def test_options_that_expire_too_soon_or_too_late_are_not_asked() -> None:
    near = made(days=(1.0, 1.5))
    far = made(days=(300.0, 400.0))
    with pytest.raises(Rejected, match="0 of 84 options are usable, 8 needed"):
        surface.calibrate(near, AS_OF_MS)
    with pytest.raises(Rejected, match="usable"):
        surface.calibrate(far, AS_OF_MS)
    with_both = surface.calibrate([*near, *made(), *far], AS_OF_MS)
    assert with_both.quotes_used == surface.calibrate(made(), AS_OF_MS).quotes_used


def test_one_expiry_is_not_a_surface() -> None:
    with pytest.raises(Rejected, match=r"one expiry only \(28\.0 days\)"):
        surface.calibrate(made(days=(28.0,)), AS_OF_MS)


def test_no_chain_is_not_a_surface() -> None:
    with pytest.raises(Rejected, match="no option is quoted"):
        surface.calibrate([], AS_OF_MS)


def test_theta_is_proportional_below_the_first_tenor_linear_between_and_on_beyond_the_last() -> None:
    v7, v30, v90 = (x**2 for x in (TRUE.total_vol_7d, TRUE.total_vol_30d, TRUE.total_vol_90d))
    days = np.array([3.5, 7, 18.5, 30, 60, 90, 150])
    theta = surface.tenor_weights(days / 365) @ np.array([v7, v30, v90])
    expected = [v7 / 2, v7, (v7 + v30) / 2, v30, (v30 + v90) / 2, v90, v90 + (v90 - v30)]
    assert theta == pytest.approx(expected, rel=1e-12)


def test_the_published_tenors_are_the_at_the_money_volatilities() -> None:
    for days, total in ((7, TRUE.total_vol_7d), (30, TRUE.total_vol_30d), (90, TRUE.total_vol_90d)):
        vol = surface.implied_vol(TRUE, 70_000, 70_000, days / 365)
        assert vol * math.sqrt(days / 365) == pytest.approx(total, rel=1e-12)


def test_the_basis_is_the_median_slope_of_the_forwards() -> None:
    quotes = made(basis=0.08)
    assert surface.basis(quotes, AS_OF_MS, 70_000.0) == pytest.approx(0.08, rel=1e-9)
    assert surface.basis(quotes, AS_OF_MS) == pytest.approx(0.08, rel=0.01)
    wild = [msgspec.structs.replace(q, forward=140_000.0) if q.expiry_ms == quotes[-1].expiry_ms else q for q in quotes]
    assert surface.basis(wild, AS_OF_MS, 70_000.0) == pytest.approx(0.08, rel=1e-9)
    assert surface.basis([], AS_OF_MS) == 0.0
    assert surface.basis(made(days=(28.0,)), AS_OF_MS) == 0.0


def test_the_jacobian_is_the_derivative() -> None:
    sample = surface.usable(made(noise_vol=0.01), AS_OF_MS)
    x = surface.start(sample, None)
    analytic = surface.jacobian(x, sample)
    for i in range(6):
        step = np.zeros(6)
        step[i] = 1e-6
        numeric = (surface.residuals(x + step, sample) - surface.residuals(x - step, sample)) / 2e-6
        assert analytic[:, i] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.floats(-30, 30), min_size=6, max_size=6))
def test_every_point_of_the_search_is_free_of_arbitrage(x: list[float]) -> None:
    tenors, rho, wing, gamma = (part.tolist() for part in descent.parameters(np.array(x)))
    total = np.sqrt(tenors)
    assert_sound(
        Surface(
            total_vol_7d=float(total[0]),
            total_vol_30d=float(total[1]),
            total_vol_90d=float(total[2]),
            rho=rho,
            wing=wing,
            decay=gamma,
            rmse_vol=0.0,
            quotes_used=8,
        )
    )


quote = st.builds(
    OptionQuote,
    st.integers(AS_OF_MS - DAY_MS, AS_OF_MS + 300 * DAY_MS),
    st.floats(1_000, 1_000_000),
    st.booleans(),
    st.floats(35_000, 140_000),
    st.one_of(st.none(), st.floats(0, 2)),
    st.one_of(st.none(), st.floats(0, 2)),
    st.one_of(st.none(), st.floats(0.01, 10)),
    st.just(0.0),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(quote, max_size=40))
def test_any_quotes_give_a_sound_surface_or_a_refusal(quotes: list[OptionQuote]) -> None:
    try:
        fit = surface.calibrate(quotes, AS_OF_MS)
    except Rejected:
        return
    assert_sound(fit)
    assert math.isfinite(fit.rmse_vol)
    assert math.isfinite(fit.basis)


@given(st.floats(-1.5, 1.5), st.floats(0.005, 2), st.floats(0.05, 5), st.booleans())
def test_a_price_gives_its_own_volatility_back(k: float, years: float, vol: float, is_call: bool) -> None:
    at = (np.array([k]), np.array([vol * math.sqrt(years)]), np.array([is_call]))
    price = black76.price(*at)
    time_value = price - max(0.0, (1 - math.exp(k)) if is_call else (math.exp(k) - 1))
    if time_value[0] < 1e-9 or black76.vega(at[0], at[1])[0] < 1e-6:
        return  # nothing left in double precision to invert
    found = black76.implied_vol(price, at[0], np.array([years]), at[2])
    assert found[0] == pytest.approx(vol, rel=1e-5)


@given(st.floats(-1.0, 1.0), st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 1e-3, 19.0, math.nan, math.inf])))
def test_where_the_way_to_a_volatility_begins_does_not_change_where_it_ends(k: float, near: float) -> None:
    at, years, call = np.array([k, k]), np.array([0.1, 0.5]), np.array([k >= 0, k >= 0])
    vol = np.array([0.9, 0.6])
    price = black76.price(at, vol * np.sqrt(years), call)
    found = black76.implied_vol(price, at, years, call, near=np.array([near, 0.6]))
    assert found == pytest.approx(vol, rel=1e-5)


def test_prices_no_volatility_can_give_are_not_a_number() -> None:
    k, years, call = np.zeros(4), np.array([0.1, 0.1, 0.1, 0.0]), np.full(4, True)
    found = black76.implied_vol(np.array([0.0, 1.0, math.nan, 0.05]), k, years, call)
    assert np.isnan(found).all()


def test_puts_and_calls_keep_parity() -> None:
    k = np.linspace(-1, 1, 41)
    total = np.full(41, 0.2)
    call, put = (black76.price(k, total, np.full(41, side)) for side in (True, False))
    assert call - put == pytest.approx(1 - np.exp(k), abs=1e-14)


@pytest.mark.data
@pytest.mark.parametrize("currency", ["BTC", "ETH"])
def test_recorded_chains_fit_within_the_stated_error_by_tenor(currency: str) -> None:
    """RMSE in volatility near the money (one standard deviation) and overall, by days to expiry, over February 2026."""
    near_by_tenor: dict[int, list[float]] = {}
    overall: list[float] = []
    previous: Surface | None = None
    for as_of_ms, _, quotes in recorded("2026-02", currency, every=6):
        previous = surface.calibrate(quotes, as_of_ms, previous)
        assert_sound(previous)
        overall.append(previous.rmse_vol)
        sample = surface.usable(quotes, as_of_ms)
        error = surface.vols(previous, sample.log_moneyness, sample.years) - sample.vol
        near = np.abs(sample.log_moneyness) < sample.vol * np.sqrt(sample.years)
        for first, last in ((5, 12), (12, 45), (45, 120)):
            tenor = near & (sample.years * 365 >= first) & (sample.years * 365 < last)
            if tenor.any():
                near_by_tenor.setdefault(first, []).append(float(np.sqrt(np.mean(error[tenor] ** 2))))
    assert len(overall) >= 15
    medians = {tenor: float(np.median(errors)) for tenor, errors in near_by_tenor.items()}
    print(f"{currency}: overall {np.median(overall):.4f}, worst {max(overall):.4f}, near the money {medians}")
    assert float(np.median(overall)) < 0.06
    assert max(overall) < 0.12
    assert medians[5] < 0.03
    assert medians[12] < 0.02
    assert medians[45] < 0.02


@settings(deadline=None)
@given(
    st.lists(st.floats(0.02, 1.4), min_size=3, max_size=3).map(sorted),
    st.floats(-0.9, 0.9),
    st.floats(0.06, 1.99),
    st.floats(0.02, 0.499),
    st.floats(0.5, 365),
    st.floats(-1, 1),
)
def test_the_contracts_twin_evaluates_the_same_surface(
    vols: list[float], rho: float, wing: float, decay: float, days: float, k: float
) -> None:
    published = words(
        total_vol_7d=vols[0],
        total_vol_30d=vols[1],
        total_vol_90d=vols[2],
        ssvi_rho=rho,
        ssvi_wing=wing,
        ssvi_decay=decay,
    )
    figures = [lanes.decode(published, name) for name in ("total_vol_7d", "total_vol_30d", "total_vol_90d")]
    fit = Surface(
        total_vol_7d=figures[0],
        total_vol_30d=figures[1],
        total_vol_90d=figures[2],
        rho=lanes.decode(published, "ssvi_rho"),
        wing=lanes.decode(published, "ssvi_wing"),
        decay=lanes.decode(published, "ssvi_decay"),
        rmse_vol=0.0,
        quotes_used=8,
    )
    seconds = round(days * 86_400)
    twin = mirror.unpack(published)
    on_chain = mirror.total_vol(mirror.cut(twin, seconds), round(k * ONE)) / ONE
    years = np.array([seconds / 86_400 / 365])
    ours = float(surface.vols(fit, np.array([k]), years)[0] * math.sqrt(years[0]))
    assert on_chain == pytest.approx(ours, rel=1e-7, abs=1e-10)
