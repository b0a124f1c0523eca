from __future__ import annotations

import pytest
from eth_abi.abi import encode as abi_encode
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.chains.pools.curve import BALANCES, COINS, FEE, GAMMA, A, Basket, CurveWatcher
from margrave.collect.chains.pools.stable_swap import PRECISION, StableSwap, stable_swap
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind, PoolReading, Refusal, ScalarReading
from margrave.verdicts import Rejection
from tests.unit.collect.chains.fake import START_MS, FakeChain, FakeNode, Reverts, reader
from tests.unit.collect.chains.pools_made import put_token

POOL = "0x" + "c3" * 20
COIN = ("0x" + "0d" * 20, "0x" + "0c" * 20, "0x" + "0f" * 20)
DECIMALS = [18, 6, 6]
MILLION = 10**6


def made(*millions: float, amplification: int = 2_000, fee: int = 1_500_000) -> StableSwap:
    balances = [int(held * MILLION) * 10**places for held, places in zip(millions, DECIMALS, strict=False)]
    return stable_swap(balances, DECIMALS[: len(balances)], amplification, fee)


baskets = st.builds(
    made,
    *[st.floats(1.0, 500.0)] * 3,
    amplification=st.integers(10, 5_000),
    fee=st.sampled_from([0, 1_000_000, 4_000_000]),
)
pairs = st.permutations(range(3)).map(lambda order: order[:2])


@given(baskets, pairs, st.integers(1, 10**6), st.integers(1, 10**6))
def test_who_pays_more_gets_no_less_and_never_all(pool: StableSwap, pair: list[int], paid: int, more: int) -> None:
    i, j = pair
    unit = 10 ** DECIMALS[i]
    small, large = (pool.amount_out(i, j, amount * unit) for amount in (paid, paid + more))
    assert small <= large < pool.balances[j]


@given(baskets, pairs, st.integers(1, 10**6))
def test_there_and_back_again_never_gains(pool: StableSwap, pair: list[int], paid: int) -> None:
    i, j = pair
    amount = paid * 10 ** DECIMALS[i]
    got = pool.amount_out(i, j, amount)
    balances = list(pool.balances)
    balances[i] += amount
    balances[j] -= got
    moved = stable_swap(balances, DECIMALS, pool.amplification, pool.fee)
    assert moved.amount_out(j, i, got) <= amount


@given(baskets, pairs)
def test_the_price_of_one_coin_is_the_inverse_of_the_others(pool: StableSwap, pair: list[int]) -> None:
    i, j = pair
    assert pool.price(i, j) * pool.price(j, i) == pytest.approx(1.0, rel=1e-4)


def test_coins_in_balance_are_worth_the_same_and_the_plentiful_one_less() -> None:
    assert made(50, 50, 50).price(0, 1) == pytest.approx(1.0, abs=1e-6)
    assert made(50, 50, 50).invariant() == pytest.approx(150 * MILLION * PRECISION, rel=1e-12)
    assert made(5, 5, 140).price(2, 1) < 0.99  # holders of the third have brought it here to be rid of it


@given(baskets)
def test_depth_moves_the_price_by_what_it_says(pool: StableSwap) -> None:
    sold, bought = pool.depth_within(0, 1)
    price = pool.price(0, 1)
    for i, j, paid, got, factor in ((0, 1, *sold, 0.99), (1, 0, *bought, 1.01)):
        balances = list(pool.balances)
        balances[i] += paid
        balances[j] -= got
        moved = stable_swap(balances, DECIMALS, pool.amplification, 0)
        assert moved.price(0, 1) == pytest.approx(price * factor, rel=1e-3)


@pytest.mark.parametrize(
    ("balances", "amplification", "fee", "reason"),
    [
        ([1], 100, 0, Rejection.MALFORMED),
        ([1, 0], 100, 0, Rejection.EMPTY),
        ([1, 1 << 128], 100, 0, Rejection.OUT_OF_RANGE),
        ([1, 1], 0, 0, Rejection.OUT_OF_RANGE),
        ([1, 1], 100, 10**10, Rejection.OUT_OF_RANGE),
    ],
)
def test_a_basket_that_cannot_be_is_refused(
    balances: list[int], amplification: int, fee: int, reason: Rejection
) -> None:
    with pytest.raises(Rejected) as refused:
        stable_swap(balances, [18] * len(balances), amplification, fee)
    assert refused.value.reason is reason


# --- watching -------------------------------------------------------------------------------------------------------


def put_curve(chain: FakeChain, pool: StableSwap) -> None:
    chain.returns(POOL, A, pool.amplification)
    chain.returns(POOL, FEE, pool.fee)

    def of(values: list[bytes], data: bytes) -> bytes:
        at = int.from_bytes(data, "big")
        if at >= len(values):
            raise Reverts("no such coin")
        return values[at]

    addresses = [abi_encode(["address"], [coin]) for coin in COIN]
    held = [balance.to_bytes(32, "big") for balance in pool.balances]
    chain.says(POOL, COINS, lambda data, _: of(addresses, data))
    chain.says(POOL, BALANCES, lambda data, _: of(held, data))
    for coin, places in zip(COIN, DECIMALS, strict=True):
        put_token(chain, coin, places)


async def read(chain: FakeChain, *pools: Basket) -> list[Item]:
    return await CurveWatcher(chain_id=1, pools=pools).read(await reader(FakeNode(chain)).sweep(), START_MS)


@pytest.fixture
def chain() -> FakeChain:
    made_chain = FakeChain()
    made_chain.mine_many(20)
    return made_chain


async def test_a_pool_says_the_peg_of_each_coin_that_is_named(chain: FakeChain) -> None:
    pool = made(27, 28, 108)
    put_curve(chain, pool)
    baskets_named = [Basket(market="*", address=POOL, base_coin=coin, quote_coin=1) for coin in (2, 0)]
    tether, dai = await read(chain, *baskets_named)
    for item, coin in ((tether, 2), (dai, 0)):
        assert isinstance(item, ScalarReading)
        assert (item.kind, item.source, item.instrument) == (Kind.PEG, "curve:1", f"{POOL}/{coin}/1")
        assert item.value == pytest.approx(pool.price(coin, 1))
    assert tether.value < 0.9995 < dai.value < 1.0005  # type: ignore[union-attr]


async def test_a_pool_of_a_market_says_price_and_depth(chain: FakeChain) -> None:
    pool = made(27, 28, 108)
    put_curve(chain, pool)
    (reading,) = await read(chain, Basket(market="USDT", address=POOL, base_coin=2, quote_coin=1, peg=False))
    assert isinstance(reading, PoolReading)
    sold, bought = pool.depth_within(2, 1)
    assert reading.bid_depth_usd == pytest.approx(sold.amount_out / 10**6)
    assert reading.ask_depth_usd == pytest.approx(bought.amount_in / 10**6)
    assert reading.fee == 0.00015


async def test_pools_of_unlike_coins_and_coins_that_are_not_there_are_refused_by_name(chain: FakeChain) -> None:
    put_curve(chain, made(27, 28, 108))
    (missing,) = await read(chain, Basket(market="*", address=POOL, base_coin=3, quote_coin=1))
    assert isinstance(missing, Refusal)
    assert (missing.reason, missing.detail) == (Rejection.WRONG_INSTRUMENT, "the pool has 3 coins")
    chain.returns(POOL, GAMMA, 10**14)
    (crypto,) = await read(chain, Basket(market="*", address=POOL, base_coin=0, quote_coin=1))
    assert isinstance(crypto, Refusal)
    assert crypto.reason is Rejection.NOT_SIMULATED
    (nothing,) = await read(chain, Basket(market="*", address="0x" + "99" * 20, base_coin=0, quote_coin=1))
    assert isinstance(nothing, Refusal)
    assert nothing.reason is Rejection.EMPTY
