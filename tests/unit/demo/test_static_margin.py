"""The fixed grid: cases worked by hand, and the laws that any scenario margin obeys."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.errors import Rejected
from margrave.lab.demo.record import Position
from margrave.lab.demo.static_margin import PUBLISHED, black76, requirement
from margrave.spans import DAY_MS

NOW_MS = 1_770_206_400_000


def option(strike: float, quantity: float, *, call: bool = True, days: float = 30.0, market: str = "BTC") -> Position:
    return Position(
        market=market, expiry_ms=NOW_MS + int(days * DAY_MS), strike=strike, is_call=call, quantity=quantity
    )


legs = st.builds(
    option,
    strike=st.floats(40_000, 160_000),
    quantity=st.floats(-20, 20),
    call=st.booleans(),
    days=st.floats(-2, 200),
)
books = st.lists(legs, max_size=6)
vols = st.floats(0.1, 3.0)


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def plain_black(forward: float, strike: float, sigma: float, years: float, call: bool) -> float:
    """The textbook formula with the standard library's erfc, an independent road to the same number."""
    spread = sigma * math.sqrt(years)
    d1 = math.log(forward / strike) / spread + spread / 2
    sign = 1 if call else -1
    return sign * (forward * normal_cdf(sign * d1) - strike * normal_cdf(sign * (d1 - spread)))


def test_the_spot_axis_has_nine_even_steps_from_minus_to_plus_sixteen_percent() -> None:
    expected = [0.84, 0.88, 0.92, 0.96, 1.00, 1.04, 1.08, 1.12, 1.16]
    assert PUBLISHED.spot_factors() == pytest.approx(expected, abs=1e-12)


def test_at_thirty_days_the_volatility_shocks_are_the_published_percentages() -> None:
    assert PUBLISHED.shocked_vols(0.60, 30.0) == pytest.approx([0.90, 0.60, 0.45])


def test_a_week_from_expiry_the_shock_grows_with_the_short_power() -> None:
    scale = (30 / 7) ** 0.30
    assert PUBLISHED.shocked_vols(0.60, 7.0) == pytest.approx([0.6 * (1 + 0.5 * scale), 0.6, 0.6 * (1 - 0.25 * scale)])


def test_half_a_year_from_expiry_the_shock_shrinks_with_the_long_power() -> None:
    scale = (30 / 180) ** 0.13
    assert PUBLISHED.shocked_vols(0.60, 180.0) == pytest.approx(
        [0.6 * (1 + 0.5 * scale), 0.6, 0.6 * (1 - 0.25 * scale)]
    )


def test_raised_volatility_is_never_below_the_published_minimum() -> None:
    assert PUBLISHED.shocked_vols(0.20, 30.0)[0] == pytest.approx(0.50)


def test_lowered_volatility_stops_at_zero_just_before_expiry() -> None:
    assert PUBLISHED.shocked_vols(0.60, 0.001)[2] == 0.0


def test_one_short_call_is_asked_for_its_loss_at_the_highest_spot_and_raised_volatility() -> None:
    years = 30 / 365
    loss = plain_black(116.0, 110.0, 0.90, years, True) - plain_black(100.0, 110.0, 0.60, years, True)
    assert requirement([option(110.0, -3)], 100.0, 0.60, NOW_MS) == pytest.approx(3 * loss, rel=1e-12)


def test_one_short_put_is_asked_for_its_loss_at_the_lowest_spot_and_raised_volatility() -> None:
    years = 30 / 365
    loss = plain_black(84.0, 90.0, 0.90, years, False) - plain_black(100.0, 90.0, 0.60, years, False)
    assert requirement([option(90.0, -1, call=False)], 100.0, 0.60, NOW_MS) == pytest.approx(loss, rel=1e-12)


def test_an_expired_short_call_in_the_money_loses_the_whole_spot_move() -> None:
    assert requirement([option(50.0, -1, days=-1)], 100.0, 0.60, NOW_MS) == pytest.approx(16.0)


def test_volatility_may_depend_on_strike_and_expiry() -> None:
    def smile(strike: float, expiry_ms: int) -> float:
        return 0.5 + abs(strike - 100.0) / 100.0

    book = [option(90.0, -1, call=False), option(115.0, -2)]
    by_leg = {leg.strike: smile(leg.strike, leg.expiry_ms) for leg in book}
    expected = max(
        sum(
            -leg.quantity
            * (
                plain_black(100 * factor, leg.strike, vol, 30 / 365, leg.is_call)
                - plain_black(100, leg.strike, by_leg[leg.strike], 30 / 365, leg.is_call)
            )
            for leg, vol in ((leg, PUBLISHED.shocked_vols(by_leg[leg.strike], 30.0)[side]) for leg in book)
        )
        for factor in PUBLISHED.spot_factors()
        for side in range(3)
    )
    assert requirement(book, 100.0, smile, NOW_MS) == pytest.approx(expected, rel=1e-12)


def test_no_position_needs_no_margin() -> None:
    assert requirement([], 100.0, 0.6, NOW_MS) == 0.0


def test_a_wider_grid_never_asks_less() -> None:
    book = [option(110.0, -3), option(90.0, -1, call=False)]
    wider = replace(PUBLISHED, spot_range=0.32, steps_each_side=8)  # contains every step of the published grid
    assert requirement(book, 100.0, 0.6, NOW_MS, grid=wider) >= requirement(book, 100.0, 0.6, NOW_MS)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(price: float) -> None:
    with pytest.raises(Rejected, match="price is"):
        requirement([option(100.0, -1)], price, 0.6, NOW_MS)


def test_a_volatility_that_is_not_positive_is_refused_with_its_strike() -> None:
    with pytest.raises(Rejected, match="strike 110"):
        requirement([option(110.0, -1)], 100.0, float("nan"), NOW_MS)


def test_positions_in_two_markets_are_refused_because_one_price_cannot_value_both() -> None:
    with pytest.raises(Rejected, match="BTC, ETH"):
        requirement([option(110.0, -1), option(110.0, -1, market="ETH")], 100.0, 0.6, NOW_MS)


@given(book=books, sigma=vols)
def test_the_requirement_is_finite_and_never_negative(book: list[Position], sigma: float) -> None:
    asked = requirement(book, 80_000.0, sigma, NOW_MS)
    assert math.isfinite(asked)
    assert asked >= 0.0


@given(book=books, sigma=vols, seed=st.integers(0, 1000))
def test_the_order_of_legs_changes_nothing(book: list[Position], sigma: float, seed: int) -> None:
    shuffled = [book[i] for i in np.random.default_rng(seed).permutation(len(book))]
    asked = requirement(book, 80_000.0, sigma, NOW_MS)
    assert requirement(shuffled, 80_000.0, sigma, NOW_MS) == pytest.approx(asked, rel=1e-9, abs=1e-6)


@given(book=books, sigma=vols)
def test_splitting_every_leg_in_two_changes_nothing(book: list[Position], sigma: float) -> None:
    halves = [
        Position(market=x.market, expiry_ms=x.expiry_ms, strike=x.strike, is_call=x.is_call, quantity=x.quantity / 2)
        for x in book
        for _ in range(2)
    ]
    asked = requirement(book, 80_000.0, sigma, NOW_MS)
    assert requirement(halves, 80_000.0, sigma, NOW_MS) == pytest.approx(asked, rel=1e-9, abs=1e-6)


@given(first=books, second=books, sigma=vols)
def test_a_portfolio_never_needs_more_than_its_parts(
    first: list[Position], second: list[Position], sigma: float
) -> None:
    parts = sum(requirement(book, 80_000.0, sigma, NOW_MS) for book in (first, second))
    assert requirement(first + second, 80_000.0, sigma, NOW_MS) <= parts + 1e-6


@given(strike=st.floats(40_000, 160_000), call=st.booleans(), days=st.floats(0.5, 200), sigma=vols)
def test_a_long_option_needs_no_more_than_its_value(strike: float, call: bool, days: float, sigma: float) -> None:
    value = plain_black(80_000.0, strike, sigma, int(days * DAY_MS) / DAY_MS / 365, call)
    assert requirement([option(strike, 1, call=call, days=days)], 80_000.0, sigma, NOW_MS) <= value + 1e-6


@given(forward=st.floats(1, 1e6), moneyness=st.floats(0.2, 5), sigma=vols, years=st.floats(0.001, 2))
def test_black_obeys_put_call_parity(forward: float, moneyness: float, sigma: float, years: float) -> None:
    strike = forward * moneyness
    call, put = (
        black76(np.array([forward]), strike, np.array([sigma]), years, is_call)[0] for is_call in (True, False)
    )
    assert call - put == pytest.approx(forward - strike, abs=1e-8 * forward)
