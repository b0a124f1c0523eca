from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains.pools.constant_product import (
    ConstantProduct,
    Cumulative,
    CumulativeMemory,
    FeeRule,
    constant_product,
    cumulative,
    mean_price,
)
from margrave.errors import Rejected
from margrave.verdicts import Rejection

reserves = st.integers(10**3, 10**30)
pairs = st.builds(
    constant_product,
    reserves,
    reserves,
    fee_per_myriad=st.sampled_from([0, 5, 25, 30, 100]),
    rule=st.sampled_from(FeeRule),
)
amounts = st.integers(1, 10**30)


@given(pairs, amounts, st.booleans())
def test_a_swap_passes_the_pairs_own_check_and_one_unit_more_would_not(
    pair: ConstantProduct, paid: int, down: bool
) -> None:
    given_out = pair.amount_out(paid, zero_for_one=down)
    if pair.rule is not FeeRule.WITHIN:
        return
    in0, in1 = (paid, 0) if down else (0, paid)
    out0, out1 = (0, given_out) if down else (given_out, 0)
    assert pair.allows(in0, in1, out0, out1)
    assert not pair.allows(in0, in1, out0 + (not down), out1 + down)


@given(pairs, amounts, amounts, st.booleans())
def test_who_pays_more_gets_no_less_and_never_all(pair: ConstantProduct, paid: int, more: int, down: bool) -> None:
    small, large = pair.amount_out(paid, zero_for_one=down), pair.amount_out(paid + more, zero_for_one=down)
    assert small <= large < (pair.reserve1 if down else pair.reserve0)


@given(pairs, amounts, st.booleans())
def test_an_exact_output_costs_what_gives_it(pair: ConstantProduct, wanted: int, down: bool) -> None:
    held = pair.reserve1 if down else pair.reserve0
    if pair.rule is not FeeRule.WITHIN:
        with pytest.raises(Rejected, match="exact inputs only"):
            pair.amount_in(wanted, zero_for_one=down)
    elif wanted >= held:
        with pytest.raises(Rejected, match="of a reserve of"):
            pair.amount_in(wanted, zero_for_one=down)
    else:
        assert pair.amount_out(pair.amount_in(wanted, zero_for_one=down), zero_for_one=down) >= wanted


@given(pairs)
def test_the_price_of_one_token_is_the_inverse_of_the_others(pair: ConstantProduct) -> None:
    mirrored = constant_product(pair.reserve1, pair.reserve0)
    assert pair.price(6, 18) * mirrored.price(18, 6) == pytest.approx(1.0)


@given(st.builds(constant_product, st.integers(10**12, 10**24), st.integers(10**12, 10**24), fee_per_myriad=st.just(0)))
def test_depth_moves_the_price_by_what_it_says_and_parts_add_up(pair: ConstantProduct) -> None:
    below, above = pair.depth_within(0.01)
    after_sale = constant_product(pair.reserve0 + below.amount_in, pair.reserve1 - below.amount_out)
    after_buy = constant_product(pair.reserve0 - above.amount_out, pair.reserve1 + above.amount_in)
    assert after_sale.price(0, 0) == pytest.approx(0.99 * pair.price(0, 0), rel=1e-6)
    assert after_buy.price(0, 0) == pytest.approx(1.01 * pair.price(0, 0), rel=1e-6)
    assert pair.amount_out(below.amount_in, zero_for_one=True) == pytest.approx(below.amount_out, rel=1e-6, abs=2)
    rest = after_sale.depth_to(0.98 / 0.99)
    assert below.amount_in + rest.amount_in == pytest.approx(pair.depth_to(0.98).amount_in, rel=1e-6, abs=2)


@pytest.mark.parametrize(
    ("reserve0", "reserve1", "fee", "reason"),
    [
        (0, 1, 30, Rejection.EMPTY),
        (1, -1, 30, Rejection.EMPTY),
        (1, 1 << 256, 30, Rejection.OUT_OF_RANGE),
        (1, 1, 10_000, Rejection.OUT_OF_RANGE),
        (1, 1, -1, Rejection.OUT_OF_RANGE),
    ],
)
def test_a_pair_that_cannot_be_is_refused(reserve0: int, reserve1: int, fee: int, reason: Rejection) -> None:
    with pytest.raises(Rejected) as refused:
        constant_product(reserve0, reserve1, fee_per_myriad=fee)
    assert refused.value.reason is reason


# --- the time-weighted price ----------------------------------------------------------------------------------------


def test_a_mean_price_weighs_each_price_by_how_long_it_stood() -> None:
    cheap, dear = constant_product(10**18, 1_000 * 10**6), constant_product(10**18, 3_000 * 10**6)
    start = cumulative(cheap, 0, 1_000, 1_000)
    # 600 s at 1,000, then a swap to 3,000 that the pair books at 1,600; nobody touches it again until 2,800.
    booked = cumulative(cheap, start.price0, 1_000, 1_600)
    end = cumulative(dear, booked.price0, 1_600, 2_800)
    assert mean_price(start, end, 18, 6) == pytest.approx((600 * 1_000 + 1_200 * 3_000) / 1_800)


def test_the_pairs_clock_and_counter_may_wrap() -> None:
    pair = constant_product(10**18, 10**18)
    late = cumulative(pair, (1 << 256) - 1, (1 << 32) - 10, (1 << 32) + 20)
    assert late.price0 == (30 << 112) - 1
    assert mean_price(Cumulative(0, (1 << 256) - 5), Cumulative(10, (10 << 112) - 5), 18, 18) == 1.0


def test_a_mean_over_no_time_is_refused() -> None:
    with pytest.raises(Rejected, match="mean over 0 s"):
        mean_price(Cumulative(5, 1), Cumulative(5, 2), 18, 18)


def seen_at(time_s: int, price: float) -> Cumulative:
    return Cumulative(time_s, int(price * time_s) << 112)


def test_a_memory_says_nothing_until_its_window_is_full_and_then_looks_back_just_so_far() -> None:
    memory = CumulativeMemory(window_s=600)
    assert memory.mean(seen_at(0, 2), 18, 18) is None
    assert memory.mean(seen_at(300, 2), 18, 18) is None
    assert memory.mean(seen_at(600, 2), 18, 18) == 2.0
    assert memory.mean(Cumulative(1_200, (1_200 + 600 * 4) << 112), 18, 18) == 4.0
    assert len(memory._seen) == 2


def test_a_memory_forgets_what_a_reorganisation_undid() -> None:
    memory = CumulativeMemory(window_s=600)
    for time_s in (0, 300, 590, 610):
        memory.mean(seen_at(time_s, 2), 18, 18)
    assert memory.mean(seen_at(600, 2), 18, 18) == 2.0
    assert [seen.time_s for seen in memory._seen] == [0, 300, 590, 600]


def test_a_memory_is_bounded() -> None:
    memory = CumulativeMemory(window_s=10**6, most=16)
    for time_s in range(100):
        memory.mean(seen_at(time_s, 2), 18, 18)
    assert len(memory._seen) == 16
