from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.venues.deribit import option_terms
from margrave.lab.feed.options import SurfaceShape, atm_volatility, chain, expiries
from margrave.spans import YEAR_MS

CRASH_MS = 1_621_429_500_000  # Wednesday 2021-05-19 13:05 UTC
SHAPE = SurfaceShape()


def test_the_days_that_deribit_would_list_are_listed() -> None:
    days = [f"{datetime.fromtimestamp(t / 1000, UTC):%a %Y-%m-%d %H:%M}" for t in expiries(CRASH_MS)]
    assert days == [
        "Thu 2021-05-20 08:00",
        "Fri 2021-05-21 08:00",
        "Fri 2021-05-28 08:00",
        "Fri 2021-06-04 08:00",
        "Fri 2021-06-11 08:00",
        "Fri 2021-06-25 08:00",
        "Fri 2021-07-30 08:00",
        "Fri 2021-09-24 08:00",
        "Fri 2021-12-31 08:00",
        "Fri 2022-03-25 08:00",
    ]


@given(at_ms=st.integers(1_580_000_000_000, 1_800_000_000_000))
def test_every_listed_expiry_lies_ahead_at_eight(at_ms: int) -> None:
    for expiry_ms in expiries(at_ms):
        assert expiry_ms > at_ms
        assert expiry_ms % 86_400_000 == 8 * 3_600_000


@given(index=st.floats(50, 200_000), iv=st.floats(0.2, 2.5), at_ms=st.integers(1_580_000_000_000, 1_800_000_000_000))
def test_a_generated_chain_is_quoted_around_its_mark_and_named_as_its_row_says(
    index: float, iv: float, at_ms: int
) -> None:
    step = 10 ** math.floor(math.log10(index) - 1.5)
    options = chain("BTC", index, iv, at_ms, SHAPE, step).options
    assert len(options) > 100
    for option in options:
        expiry_ms, strike, is_call = option_terms(option.name)
        assert expiry_ms > at_ms
        intrinsic = max(1 - strike / option.forward, 0.0) if is_call else max(strike / option.forward - 1, 0.0)
        assert option.mark >= intrinsic - 2e-6
        assert option.bid is None or 0 < option.bid <= option.mark + 1e-6
        assert option.ask is None or option.ask >= option.mark - 1e-6


def test_puts_and_calls_of_one_strike_are_at_parity() -> None:
    options = {option.name: option for option in chain("BTC", 40_000, 1.2, CRASH_MS, SHAPE, 1000).options}
    pairs = [(call, options[name[:-1] + "P"]) for name, call in options.items() if name.endswith("-C")]
    assert len(pairs) > 100
    for call, put in pairs:
        _, strike, _ = option_terms(call.name)
        assert call.mark - put.mark == pytest.approx(1 - strike / call.forward, abs=3e-6)


def test_calls_cheapen_with_the_strike_and_are_convex() -> None:
    options = [o for o in chain("BTC", 40_000, 1.2, CRASH_MS, SHAPE, 1000).options if o.name.endswith("-C")]
    for future in {o.underlying_name for o in options}:
        marks = np.array([o.mark for o in options if o.underlying_name == future])
        assert (np.diff(marks) < 0).all()
        assert (np.diff(marks, 2) > -4e-6).all(), "no butterfly costs less than nothing"


@given(iv=st.floats(0.2, 3.0))
def test_total_variance_never_falls_with_time(iv: float) -> None:
    years = np.array([1, 2, 7, 30, 90, 365]) / 365
    total = [atm_volatility(iv, float(t), SHAPE) ** 2 * t for t in years]
    assert total == sorted(total)


def test_the_term_structure_passes_through_the_volatility_index() -> None:
    assert atm_volatility(1.3, 30 / 365, SHAPE) == pytest.approx(1.3)
    assert atm_volatility(1.3, 7 / 365, SHAPE) > 1.3, "inverted when volatility is high"
    assert YEAR_MS == 365 * 86_400_000
