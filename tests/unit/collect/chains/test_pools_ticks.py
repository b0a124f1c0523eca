from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains.pools.ticks import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    Q96,
    mean_tick,
    price_at_tick,
    price_of,
    sqrt_price_at,
    sqrt_price_times,
    tick_at,
)
from margrave.errors import Rejected

ticks = st.integers(MIN_TICK, MAX_TICK)


def definition(tick: int) -> Decimal:
    """sqrt(1.0001^tick) * 2^96 to 80 digits."""
    with localcontext() as context:
        context.prec = 80
        return Decimal("1.0001").sqrt() ** tick * (1 << 96)


def test_the_ends_are_the_contracts_constants() -> None:
    assert sqrt_price_at(MIN_TICK) == MIN_SQRT_PRICE
    assert sqrt_price_at(MAX_TICK) == MAX_SQRT_PRICE
    assert sqrt_price_at(0) == Q96


@given(ticks)
def test_a_tick_is_the_root_of_its_price_to_a_part_in_a_trillion_and_rounded_up(tick: int) -> None:
    exact, ours = definition(tick), sqrt_price_at(tick)
    # At the lowest ticks one unit is 2e-10 of the value; everywhere else the table's 128 bits decide.
    assert abs(ours - exact) <= max(Decimal(2), exact * Decimal("1e-12"))


@given(ticks)
def test_the_tick_of_a_ticks_price_is_that_tick(tick: int) -> None:
    if tick < MAX_TICK:
        assert tick_at(sqrt_price_at(tick)) == tick


@given(st.integers(MIN_SQRT_PRICE, MAX_SQRT_PRICE - 1))
def test_a_price_lies_between_its_tick_and_the_next(price: int) -> None:
    tick = tick_at(price)
    assert sqrt_price_at(tick) <= price < sqrt_price_at(tick + 1)


@given(st.integers(-600_000, 600_000))
def test_the_inverse_tick_is_the_inverse_price(tick: int) -> None:
    product = sqrt_price_at(tick) * sqrt_price_at(-tick)
    assert product == pytest.approx(Q96 * Q96, rel=1e-5)
    assert price_at_tick(tick, 6, 18) * price_at_tick(-tick, 18, 6) == pytest.approx(1.0)


@pytest.mark.parametrize("price", [0, MIN_SQRT_PRICE - 1, MAX_SQRT_PRICE, 1 << 200])
def test_a_price_that_no_pool_can_have_is_refused(price: int) -> None:
    with pytest.raises(Rejected, match="outside the contracts' range"):
        tick_at(price)


def test_a_tick_that_no_pool_can_have_is_refused() -> None:
    with pytest.raises(Rejected, match="887273"):
        sqrt_price_at(MAX_TICK + 1)


def test_decimals_turn_the_price_into_whole_coins() -> None:
    # USDC (6) is token 0 and WETH (18) token 1 of the pool: one dollar is 1/1839 ether.
    assert 1 / price_of(sqrt_price_at(201_149), 6, 18) == pytest.approx(1_839.275, rel=1e-6)


@given(ticks, st.floats(0.5, 2.0))
def test_a_price_moved_by_a_share_is_so_much_away(tick: int, factor: float) -> None:
    moved = sqrt_price_times(sqrt_price_at(tick), factor)
    if MIN_SQRT_PRICE * 1_000_000 < moved < MAX_SQRT_PRICE - 1:
        assert price_of(moved, 0, 0) == pytest.approx(price_of(sqrt_price_at(tick), 0, 0) * factor, rel=1e-5)


def test_a_mean_tick_is_rounded_down_and_survives_the_wrap_of_its_counter() -> None:
    assert mean_tick(-1_064_361_048_580, -1_064_311_933_739, 600) == 81_858
    assert mean_tick(0, -601, 600) == -2
    assert mean_tick((1 << 55) - 100, -(1 << 55) + 500, 600) == 1
    with pytest.raises(Rejected, match="mean over 0 s"):
        mean_tick(1, 2, 0)
    with pytest.raises(Rejected, match="beyond"):
        mean_tick(0, 10**12, 10)
