"""The integer functions against the real ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from margrave.mirror import black76, normal
from margrave.mirror.fixed_point import ONE, WAD, exp, ln, ln_wad, quotient

PRICE = 60_000 << 24
"""In an arbitrary unit: prices are linear in it."""


def exact_call(forward: float, strike: float, total_vol: float) -> float:
    d1 = math.log(forward / strike) / total_vol + total_vol / 2
    return forward * float(ndtr(d1)) - strike * float(ndtr(d1 - total_vol))


def call(forward: int, strike: int, total_vol: float) -> float:
    """In units of the forward."""
    vol = min(max(round(total_vol * ONE), black76.LEAST_VOL), black76.MOST_VOL)
    return black76.call(forward, strike, ln(forward) - ln(strike), vol) / black76.ONE / forward


@given(st.integers(min_value=1, max_value=10**45))
def test_the_logarithm_of_a_strike_is_right_to_its_last_digits(x: int) -> None:
    assert ln_wad(x) / WAD == pytest.approx(math.log(x) - math.log(WAD), rel=1e-14, abs=1e-14)


@given(st.integers(min_value=1, max_value=2**191 - 1))
def test_the_logarithm_is_within_three_hundred_millionths(x: int) -> None:
    assert ln(x) / ONE == pytest.approx(math.log(x) - 40 * math.log(2), abs=3.1e-8)


@given(st.floats(min_value=-30, max_value=60))
def test_the_exponential_is_within_a_fifth_of_a_millionth(x: float) -> None:
    at = int(x * ONE)
    assert exp(at) / ONE == pytest.approx(math.exp(at / ONE), rel=2e-7, abs=1 / ONE)


def test_the_functions_end_where_the_contract_s_do() -> None:
    assert exp(-(10**6) * ONE) == 0
    assert exp(0) == ONE
    assert ln(ONE) == 0
    with pytest.raises(ValueError, match="ln of 0"):
        ln_wad(0)


@given(st.integers(1, 2**100), st.integers(1, 2**100))
def test_the_logarithm_never_falls_as_its_argument_rises_but_by_its_error(x: int, y: int) -> None:
    low, high = sorted((x, y))
    assert ln(low) <= ln(high) + 6e-8 * ONE


@given(st.integers(-(10**60), 10**60), st.integers(-(10**30), 10**30).filter(bool))
def test_a_signed_quotient_rounds_towards_zero(numerator: int, denominator: int) -> None:
    whole = quotient(numerator, denominator)
    assert abs(whole * denominator) <= abs(numerator) < abs(whole * denominator) + abs(denominator)
    assert whole == 0 or (whole < 0) == ((numerator < 0) != (denominator < 0))


def test_the_table_is_the_normal_distribution() -> None:
    nodes = normal.nodes()
    assert len(nodes) == 1026
    assert list(nodes) == sorted(nodes)
    assert all(a + b == normal.ONE for a, b in zip(nodes[:1025], reversed(nodes[:1025]), strict=True) if a != b)
    places = np.linspace(-5.5, 5.5, 20_001)
    got = [black76.distribution(black76.place_of(d)) / black76.ONE for d in places]
    assert np.abs(got - ndtr(places)).max() < 1.41e-6


def test_a_call_is_within_five_millionths_of_the_forward_of_the_exact_price() -> None:
    """Every strike, volatility and term that margin is promised for: 24,000 of them."""
    worst = 0.0
    for moneyness in np.geomspace(0.2, 4, 40):
        strike = round(PRICE * moneyness)
        for sigma in np.geomspace(0.1, 3, 24):
            for years in np.geomspace(1 / 8760, 1, 25):
                total_vol = sigma * math.sqrt(years)
                worst = max(worst, abs(call(PRICE, strike, total_vol) - exact_call(1.0, strike / PRICE, total_vol)))
    print(f"largest error of 24,000 prices: {worst:.2e} of the forward")
    assert worst < 5e-6


@given(st.integers(1 << 20, 1 << 90), st.floats(-3.5, 3.5), st.floats(0.3, 5.3), st.floats(-8, 0.98), st.booleans())
def test_a_call_lies_between_its_intrinsic_value_and_the_forward_to_the_last_unit(
    forward: int, log_strike: float, d: float, log_vol: float, at_the_table_s_edge: bool
) -> None:
    strike = max(round(forward * math.exp(log_strike)), 1)
    total_vol = abs(log_strike) / d if at_the_table_s_edge else 10**log_vol
    vol = min(max(round(total_vol * ONE), black76.LEAST_VOL), black76.MOST_VOL)
    price = black76.call(forward, strike, ln(forward) - ln(strike), vol)
    assert black76.intrinsic(forward, strike) <= price <= forward * black76.ONE


def test_far_from_the_money_a_call_is_its_intrinsic_value_exactly() -> None:
    assert black76.call(5 << 24, 3 << 24, ln(5 << 24) - ln(3 << 24), ONE // 100) == (2 << 24) * black76.ONE
    assert black76.call(3 << 24, 5 << 24, ln(3 << 24) - ln(5 << 24), ONE // 100) == 0
    assert black76.intrinsic(5, 3) == 2 * black76.ONE
    assert black76.intrinsic(3, 5) == 0
