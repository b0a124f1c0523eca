from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from margrave.collect.chains.pools.concentrated import Concentrated, Swapped, concentrated
from margrave.collect.chains.pools.ticks import MAX_TICK, MIN_SQRT_PRICE, Q96, sqrt_price_at, tick_at
from margrave.collect.chains.pools.uniswap_v3 import (
    known_between,
    ticks_of_word,
    twap_tick,
    words_between,
)
from margrave.errors import Rejected
from margrave.verdicts import Rejection

SPACING = 60


@st.composite
def pools(draw: st.DrawFn) -> Concentrated:
    """A pool of a few positions around its price, as minting would have left it."""
    tick = draw(st.integers(-5_000, 5_000))
    price = draw(st.integers(sqrt_price_at(tick), sqrt_price_at(tick + 1) - 1))
    nets: dict[int, int] = {}
    liquidity = 0
    for _ in range(draw(st.integers(1, 6))):
        low = draw(st.integers(-400, 399))
        high = draw(st.integers(low + 1, 400))
        amount = draw(st.integers(10**6, 10**24))
        nets[low * SPACING] = nets.get(low * SPACING, 0) + amount
        nets[high * SPACING] = nets.get(high * SPACING, 0) - amount
        if low * SPACING <= tick < high * SPACING:
            liquidity += amount
    fee = draw(st.sampled_from([0, 100, 500, 3_000, 10_000]))
    return concentrated(
        sqrt_price_x96=price, tick=tick, liquidity=liquidity, fee_pips=fee, tick_spacing=SPACING, nets=nets
    )


amounts = st.integers(1, 10**27)


def after(pool: Concentrated, there: Swapped) -> Concentrated:
    """The pool once a swap has been through it."""
    return concentrated(
        sqrt_price_x96=there.sqrt_price_x96,
        tick=there.tick,
        liquidity=there.liquidity,
        fee_pips=pool.fee_pips,
        tick_spacing=SPACING,
        nets=zip(pool.ticks, pool.nets, strict=True),
    )


@given(pools())
def test_positions_below_the_price_add_up_to_the_liquidity_in_force(pool: Concentrated) -> None:
    assert pool.liquidity_agrees()


@given(pools(), amounts, amounts, st.booleans())
def test_who_pays_more_gets_no_less(pool: Concentrated, first: int, more: int, down: bool) -> None:
    small, large = pool.swap(first, zero_for_one=down), pool.swap(first + more, zero_for_one=down)
    assert small.amount_out <= large.amount_out
    assert small.amount_in <= large.amount_in <= first + more


@given(pools(), amounts, st.booleans())
def test_there_and_back_again_never_gains(pool: Concentrated, amount: int, down: bool) -> None:
    there = pool.swap(amount, zero_for_one=down)
    if there.amount_out == 0 or there.amount_in < amount:
        return
    moved = after(pool, there)
    assert moved.swap(there.amount_out, zero_for_one=not down).amount_out <= amount


@given(pools(), amounts, st.booleans())
def test_what_a_swap_gives_costs_no_more_than_was_paid(pool: Concentrated, amount: int, down: bool) -> None:
    paid = pool.swap(amount, zero_for_one=down)
    if paid.amount_out:
        assert pool.swap(-paid.amount_out, zero_for_one=down).amount_in <= paid.amount_in


@given(pools(), st.integers(1, 3_000), st.integers(1, 3_000), st.booleans())
def test_depth_is_additive_to_the_rounding_of_its_steps(pool: Concentrated, near: int, far: int, down: bool) -> None:
    sign = -1 if down else 1
    middle, end = (sqrt_price_at(pool.tick + sign * (1 + way)) for way in (near, near + far))
    first, whole = pool.depth_to(middle), pool.depth_to(end)
    there = pool.swap((1 << 255) - 1, zero_for_one=down, limit_x96=middle)
    moved = after(pool, there)
    rest = moved.depth_to(end)
    assert 0 <= first.amount_in + rest.amount_in - whole.amount_in <= 2
    assert 0 <= whole.amount_out - first.amount_out - rest.amount_out <= 2


@given(pools())
def test_depth_is_the_same_pool_seen_from_the_other_token(pool: Concentrated) -> None:
    """Token 0 for token 1 at the inverse price: what can be sold on one side can be bought on the other."""
    assume(pool.sqrt_price_x96 - sqrt_price_at(pool.tick) > 1 << 40)  # on a tick, which side it is of would differ
    mirrored = concentrated(
        sqrt_price_x96=(mirror := Q96 * Q96 // pool.sqrt_price_x96),
        tick=tick_at(mirror),
        liquidity=pool.liquidity,
        fee_pips=pool.fee_pips,
        tick_spacing=1,
        nets={-tick: -net for tick, net in zip(pool.ticks, pool.nets, strict=True)},
    )
    below, above = pool.depth_within()
    mirrored_below, mirrored_above = mirrored.depth_within(1 - 1 / 1.01)[0], mirrored.depth_within(1 / 0.99 - 1)[1]
    assert above.amount_out == pytest.approx(mirrored_below.amount_out, rel=2e-3, abs=1e7)
    assert below.amount_out == pytest.approx(mirrored_above.amount_out, rel=2e-3, abs=1e7)


def pool(**changed: object) -> Concentrated:
    stated: dict[str, object] = {
        "sqrt_price_x96": Q96,
        "tick": 0,
        "liquidity": 10**18,
        "fee_pips": 3_000,
        "tick_spacing": 60,
        "nets": {-600: 10**18, 600: -(10**18)},
    }
    return concentrated(**(stated | changed))  # type: ignore[arg-type]


def test_a_swap_stops_where_the_liquidity_ends_and_says_how_much_was_left() -> None:
    swapped = pool().swap(10**30, zero_for_one=True)
    assert swapped.amount_in < 10**17
    assert swapped.liquidity == 0
    assert swapped.sqrt_price_x96 == MIN_SQRT_PRICE + 1


def test_a_swap_beyond_what_was_read_of_the_map_is_not_simulated() -> None:
    partial = pool(known=known_between(range(1), 60))
    assert not partial.complete
    assert partial.liquidity_agrees() is None
    assert partial.swap(10**15, zero_for_one=False).amount_out > 0
    with pytest.raises(Rejected, match="liquidity beyond tick 0 was not read") as refused:
        partial.swap(10**15, zero_for_one=True)
    assert refused.value.reason is Rejection.NOT_SIMULATED


def test_a_step_that_ends_at_a_word_rounds_there_as_on_chain() -> None:
    """A trade across many empty words pays a unit for each: walking straight to the next position would be too
    cheap."""
    wide = pool(tick_spacing=1, fee_pips=100, nets={-5_000: 10**18, 5_000: -(10**18)})
    walked = wide.swap(10**17, zero_for_one=True)
    apart = wide.swap(10**17, zero_for_one=True, limit_x96=sqrt_price_at(-4_000))
    assert walked.amount_in == apart.amount_in == 10**17
    assert walked.tick < -256 * 4


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sqrt_price_x96": 0}, Rejection.EMPTY),
        ({"tick": 5}, Rejection.MALFORMED),
        ({"tick_spacing": 0}, Rejection.OUT_OF_RANGE),
        ({"fee_pips": 1_000_001}, Rejection.OUT_OF_RANGE),
        ({"liquidity": -1}, Rejection.OUT_OF_RANGE),
        ({"liquidity": 1 << 128}, Rejection.OUT_OF_RANGE),
        ({"nets": {61: 1}}, Rejection.MALFORMED),
        ({"nets": {(MAX_TICK // 60 + 1) * 60: 1}}, Rejection.MALFORMED),
        ({"nets": dict.fromkeys(range(-400_000, 0, 1), 1), "tick_spacing": 1}, Rejection.OUT_OF_RANGE),
    ],
)
def test_a_state_that_no_pool_can_have_is_refused(changed: dict[str, object], reason: Rejection) -> None:
    with pytest.raises(Rejected) as refused:
        pool(**changed)
    assert refused.value.reason is reason


def test_a_price_that_stopped_on_a_tick_going_down_may_keep_the_tick_below() -> None:
    assert pool(sqrt_price_x96=sqrt_price_at(60), tick=59).tick == 59


@pytest.mark.parametrize(("limit", "down"), [(Q96 + 1, True), (Q96 - 1, False), (MIN_SQRT_PRICE, True)])
def test_a_limit_on_the_wrong_side_is_refused(limit: int, down: bool) -> None:
    with pytest.raises(Rejected, match="a swap cannot go"):
        pool().swap(1, zero_for_one=down, limit_x96=limit)


def test_a_map_that_takes_more_away_than_there_is_is_refused() -> None:
    with pytest.raises(Rejected, match="below zero at tick -600"):
        pool(nets={-600: 2 * 10**18, 600: -(10**18)}).swap(10**30, zero_for_one=True)


@given(st.integers(-887_272 // 60 // 256, 887_272 // 60 // 256), st.integers(0, (1 << 256) - 1))
def test_the_ticks_of_a_word_are_its_bits(word: int, bitmap: int) -> None:
    found = ticks_of_word(word, bitmap, 60)
    assert found == sorted(found)
    assert sum(1 << (tick // 60 - word * 256) for tick in found) == bitmap


def test_the_words_of_a_range_hold_its_ticks() -> None:
    assert list(words_between(-100, 100, 1)) == [-1, 0]
    assert list(words_between(-15_361, -1, 60)) == [-2, -1]
    assert known_between(range(-1, 1), 60) == (-15_360, 15_300)
    assert known_between(range(-(1 << 15), 1 << 15), 1) == (-887_272, 887_272)


def test_a_twap_needs_both_answers() -> None:
    assert twap_tick([0, 1_800 * 42]) == 42
    with pytest.raises(Rejected, match="1 of 2 times"):
        twap_tick([1])
