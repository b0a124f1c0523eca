"""The integer functions against the real ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from margrave.mirror import black76
from margrave.mirror.fixed_point import EXP_OVERFLOW, EXP_UNDERFLOW, WAD, exp_wad, ln_wad, quotient


def exact_call(forward: float, strike: float, total_vol: float) -> float:
    d1 = math.log(forward / strike) / total_vol + total_vol / 2
    return forward * float(ndtr(d1)) - strike * float(ndtr(d1 - total_vol))


@given(st.integers(min_value=1, max_value=10**45))
def test_the_logarithm_is_right_to_its_last_digits(x: int) -> None:
    assert ln_wad(x) / WAD == pytest.approx(math.log(x) - math.log(WAD), rel=1e-14, abs=1e-14)


@given(st.floats(min_value=-40, max_value=130))
def test_the_exponential_is_right_to_its_last_digits(x: float) -> None:
    at = int(x * WAD)
    assert exp_wad(at) / WAD == pytest.approx(math.exp(at / WAD), rel=1e-13, abs=1e-18)


def test_the_exponential_ends_where_the_contract_s_does() -> None:
    assert exp_wad(EXP_UNDERFLOW) == 0
    with pytest.raises(OverflowError):
        exp_wad(EXP_OVERFLOW)
    with pytest.raises(ValueError, match="ln of 0"):
        ln_wad(0)


@given(st.integers(-(10**60), 10**60), st.integers(-(10**30), 10**30).filter(bool))
def test_a_signed_quotient_rounds_towards_zero(numerator: int, denominator: int) -> None:
    whole = quotient(numerator, denominator)
    assert abs(whole * denominator) <= abs(numerator) < abs(whole * denominator) + abs(denominator)
    assert whole == 0 or (whole < 0) == ((numerator < 0) != (denominator < 0))


@given(st.floats(min_value=-10, max_value=10))
def test_the_normal_distribution_is_within_a_ten_millionth(x: float) -> None:
    at = int(x * WAD)
    assert abs(black76.cdf(at, black76.density(at)) / WAD - float(ndtr(x))) < 1e-7


def test_a_call_is_within_five_millionths_of_the_forward_of_the_exact_price() -> None:
    worst = 0.0
    for moneyness in (0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0, 1.01, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0):
        for sigma in (0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 2.0, 3.0):
            for days in (1 / 24, 0.25, 1, 3, 7, 14, 30, 60, 90, 180, 365):
                forward = 60_000 * WAD
                strike = int(60_000 * moneyness) * WAD
                total_vol = sigma * (days / 365) ** 0.5
                got = black76.call(forward, strike, ln_wad(forward) - ln_wad(strike), int(total_vol * WAD))
                worst = max(worst, abs(got / forward - exact_call(1.0, strike / forward, total_vol)))
    assert worst < 5e-6


@given(st.floats(0.2, 4), st.floats(1e-4, 5))
def test_a_call_lies_between_its_intrinsic_value_and_the_forward(moneyness: float, total_vol: float) -> None:
    forward = 3_000 * WAD
    strike = int(forward * moneyness)
    price = black76.call(forward, strike, ln_wad(forward) - ln_wad(strike), int(total_vol * WAD))
    assert max(forward - strike, 0) <= price <= forward


def test_without_time_a_call_is_its_intrinsic_value() -> None:
    assert black76.call(5 * WAD, 3 * WAD, ln_wad(5 * WAD) - ln_wad(3 * WAD), 0) == 2 * WAD
    assert black76.call(3 * WAD, 5 * WAD, ln_wad(3 * WAD) - ln_wad(5 * WAD), 0) == 0
