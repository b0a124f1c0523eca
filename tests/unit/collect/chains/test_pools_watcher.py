from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from margrave.collect.chains.pools import uniswap_v2, uniswap_v3
from margrave.collect.chains.pools.concentrated import Concentrated, concentrated
from margrave.collect.chains.pools.ticks import price_at_tick, price_of, sqrt_price_at, sqrt_price_times
from margrave.collect.chains.pools.uniswap_v4 import Hook, PoolKey
from margrave.collect.chains.pools.watcher import Layout, PoolWatcher, Watched
from margrave.collect.source import Item
from margrave.messages import Kind, PoolReading, Refusal
from margrave.verdicts import Rejection
from tests.unit.collect.ask import values
from tests.unit.collect.chains.fake import START_MS, FakeChain, FakeNode, reader
from tests.unit.collect.chains.pools_made import (
    FEED,
    POOL,
    STATE_VIEW,
    USDC,
    WETH,
    FeedBook,
    PairBook,
    put_feed,
    put_pair,
    put_token,
    put_tokens,
    put_v3,
    put_v4,
)

TICK = 201_149  # 1 USDC = 1.0001^201149 wei-per-unit of WETH: ether at 1,839 dollars
MEAN = 201_100
PAIR = "0x" + "52" * 20


def state(fee: int = 500, spacing: int = 10, tick: int = TICK) -> Concentrated:
    """Three positions, one of them narrow, so that depth crosses ticks."""
    near = tick // spacing * spacing
    nets: dict[int, int] = {}
    for below, above, amount in ((20, 20, 3 * 10**17), (5, 4, 2 * 10**17), (3_000, 3_000, 10**17)):
        low, high = near - below * spacing, near + above * spacing
        nets[low] = nets.get(low, 0) + amount
        nets[high] = nets.get(high, 0) - amount
    return concentrated(
        sqrt_price_x96=sqrt_price_at(tick) + 12_345,
        tick=tick,
        liquidity=6 * 10**17,
        fee_pips=fee,
        tick_spacing=spacing,
        nets=nets,
    )


def watched(**changed: object) -> Watched:
    stated: dict[str, object] = {
        "market": "ETH",
        "layout": Layout.UNISWAP_V3,
        "address": POOL,
        "base_token": 1,
    }
    return Watched(**(stated | changed))  # type: ignore[arg-type]


async def said(chain: FakeChain, *pools: Watched, node: FakeNode | None = None) -> list[Item]:
    return await PoolWatcher(chain_id=1, pools=pools).read(await reader(node or FakeNode(chain)).sweep(), START_MS)


def pool_of(items: Sequence[Item]) -> PoolReading:
    (found,) = [item for item in items if isinstance(item, PoolReading)]
    return found


def refusal_of(items: Sequence[Item]) -> Refusal:
    (found,) = [item for item in items if isinstance(item, Refusal)]
    return found


@pytest.fixture
def chain() -> FakeChain:
    made = FakeChain()
    put_tokens(made)
    made.mine_many(20)
    return made


async def test_a_v3_pool_says_its_price_its_depth_and_its_half_hour(chain: FakeChain) -> None:
    pool = state()
    put_v3(chain, pool, mean_tick=MEAN)
    items = await said(chain, watched())
    reading = pool_of(items)
    ether = 1 / price_of(pool.sqrt_price_x96, 6, 18)
    assert reading.price == pytest.approx(ether) == pytest.approx(1_839, rel=1e-3)
    # Ether is token 1: it falls by 1 % where the price of token 0 rises by 1/0.99, and dollars leave the pool.
    sold = pool.depth_to(sqrt_price_times(pool.sqrt_price_x96, 1 / 0.99))
    bought = pool.depth_to(sqrt_price_times(pool.sqrt_price_x96, 1 / 1.01))
    assert reading.bid_depth_usd == pytest.approx(sold.amount_out / 10**6)
    assert reading.ask_depth_usd == pytest.approx(bought.amount_in / 10**6)
    assert (reading.fee, reading.block, reading.source, reading.instrument) == (0.0005, 20, "pools:1", POOL)
    assert values(items) == {Kind.SPOT_TWAP: pytest.approx(1 / price_at_tick(MEAN, 6, 18))}
    assert all(item.venue_time_ms == chain.head.time_s * 1000 for item in items if not isinstance(item, Refusal))  # type: ignore[union-attr]


async def test_depth_read_of_a_neighbourhood_is_the_whole_pools(chain: FakeChain) -> None:
    """Also with the finest spacing, where 1 % reaches over words."""
    pool = state(fee=100, spacing=1, tick=256 * 785 + 3)
    put_v3(chain, pool, mean_tick=MEAN)
    reading = pool_of(await said(chain, watched()))
    sold = pool.depth_to(sqrt_price_times(pool.sqrt_price_x96, 1 / 0.99))
    assert reading.bid_depth_usd == pytest.approx(sold.amount_out / 10**6)


async def test_a_pool_in_another_coin_is_valued_by_that_coins_feed_at_the_same_block(chain: FakeChain) -> None:
    pool = state()
    put_v3(chain, pool, mean_tick=MEAN)
    put_feed(chain, FeedBook(answer=1_500 * 10**8, updated_s=chain.head.time_s))
    items = await said(chain, watched(base_token=0, dollar_feed=FEED))
    reading = pool_of(items)
    assert reading.price == pytest.approx(price_of(pool.sqrt_price_x96, 6, 18) * 1_500)
    below, above = pool.depth_within()
    assert reading.bid_depth_usd == pytest.approx(below.amount_out / 10**18 * 1_500)
    assert reading.ask_depth_usd == pytest.approx(above.amount_in / 10**18 * 1_500)
    assert values(items)[Kind.SPOT_TWAP] == pytest.approx(price_at_tick(MEAN, 6, 18) * 1_500)


async def test_a_pool_whose_feed_is_clamped_is_refused_with_the_feeds_reason(chain: FakeChain) -> None:
    put_v3(chain, state(), mean_tick=MEAN)
    put_feed(chain, FeedBook(answer=10**6, updated_s=chain.head.time_s))
    refused = refusal_of(await said(chain, watched(dollar_feed=FEED)))
    assert refused.reason is Rejection.AT_BOUND


async def test_a_pool_that_keeps_too_few_observations_still_says_its_price(chain: FakeChain) -> None:
    put_v3(chain, state(), mean_tick=MEAN)
    chain.contracts.pop((POOL, uniswap_v3.OBSERVE.selector))
    items = await said(chain, watched())
    assert pool_of(items).price > 0
    refused = refusal_of(items)
    assert (refused.what, refused.reason) == (f"spot_twap {POOL}", Rejection.EMPTY)


@pytest.mark.parametrize("from_storage", [False, True])
async def test_a_v4_pool_says_the_same_through_its_view_and_out_of_storage(
    chain: FakeChain, from_storage: bool
) -> None:
    pool = state()
    key = PoolKey(USDC, WETH, 500, 10)
    put_v4(chain, pool, key, protocol_fee=125 << 12 | 100, lp_fee=500)
    address = POOL if from_storage else STATE_VIEW
    items = await said(chain, watched(layout=Layout.UNISWAP_V4, address=address, key=key, from_storage=from_storage))
    reading = pool_of(items)
    assert reading.instrument == "0x" + key.id.hex()
    assert reading.fee == pytest.approx(0.000625, rel=1e-3)  # 500 pips and the dearer way's 125
    sold = pool.depth_to(sqrt_price_times(pool.sqrt_price_x96, 1 / 0.99))
    assert reading.bid_depth_usd == pytest.approx(sold.amount_out / 10**6)
    assert values(items) == {}  # v4 keeps no averages


async def test_the_chains_own_coin_has_18_decimals_without_being_asked(chain: FakeChain) -> None:
    pool = state(tick=-TICK)
    native = PoolKey("0x" + "00" * 20, USDC, 500, 10)
    put_v4(chain, pool, native, protocol_fee=0, lp_fee=500)
    reading = pool_of(
        await said(chain, watched(layout=Layout.UNISWAP_V4, address=STATE_VIEW, key=native, base_token=0))
    )
    assert reading.price == pytest.approx(1_839, rel=1e-3)


async def test_a_hook_that_takes_part_in_swaps_is_not_simulated_and_says_so(chain: FakeChain) -> None:
    hooks = f"0x{'12' * 18}{int(Hook.BEFORE_SWAP | Hook.AFTER_SWAP_RETURNS_DELTA):04x}"
    key = PoolKey(USDC, WETH, 0x800000, 10, hooks)
    put_v4(chain, state(), key, protocol_fee=0, lp_fee=500)
    refused = refusal_of(await said(chain, watched(layout=Layout.UNISWAP_V4, address=STATE_VIEW, key=key)))
    assert refused.reason is Rejection.NOT_SIMULATED
    assert "after_swap_returns_delta, before_swap" in refused.detail


async def test_a_hook_that_only_watches_is_simulated(chain: FakeChain) -> None:
    key = PoolKey(USDC, WETH, 500, 10, f"0x{'12' * 18}{int(Hook.AFTER_SWAP | Hook.AFTER_ADD_LIQUIDITY):04x}")
    put_v4(chain, state(), key, protocol_fee=0, lp_fee=500)
    assert pool_of(await said(chain, watched(layout=Layout.UNISWAP_V4, address=STATE_VIEW, key=key))).price > 0


async def test_a_pair_says_its_price_and_depth_at_once_and_its_average_once_it_was_seen_long_enough(
    chain: FakeChain,
) -> None:
    pair = PairBook(4_000_000 * 10**6, 2_000 * 10**18, updated_s=chain.head.time_s - 7_200)
    put_pair(chain, pair, PAIR)
    watcher = PoolWatcher(chain_id=1, pools=[watched(layout=Layout.UNISWAP_V2, address=PAIR)])
    sweeps = reader(FakeNode(chain))
    first = await watcher.read(await sweeps.sweep(), START_MS)
    reading = pool_of(first)
    assert reading.price == pytest.approx(2_000.0)
    assert reading.fee == 0.003
    # x * y = k: half a per cent of the dollars either way.
    assert reading.bid_depth_usd == pytest.approx(4_000_000 * 0.005013, rel=1e-3)
    assert reading.ask_depth_usd == pytest.approx(4_000_000 * 0.004988, rel=1e-3)
    assert values(first) == {}
    chain.mine_many(75)  # 15 minutes
    pair.trade(5_000_000 * 10**6, 1_600 * 10**18, chain.head.time_s)
    assert values(await watcher.read(await sweeps.sweep(), START_MS)) == {}
    chain.mine_many(75)
    last = await watcher.read(await sweeps.sweep(), START_MS)
    assert pool_of(last).price == pytest.approx(3_125.0)
    # The pair averages the price of token 0: half an hour of 1/2000 and 1/3125.
    assert values(last)[Kind.SPOT_TWAP] == pytest.approx(1 / ((1 / 2_000 + 1 / 3_125) / 2))


async def test_a_stable_pool_of_aerodrome_is_refused_and_a_volatile_one_read(chain: FakeChain) -> None:
    for stable in (False, True):
        put_pair(chain, PairBook(4_000_000 * 10**6, 2_000 * 10**18), PAIR)
        chain.returns(PAIR, uniswap_v2.STABLE, stable)
        items = await said(chain, watched(layout=Layout.AERODROME_V2, address=PAIR, fee_per_myriad=5))
        if stable:
            assert refusal_of(items).reason is Rejection.NOT_SIMULATED
        else:
            assert pool_of(items).fee == 0.0005


async def test_a_stablecoins_pool_says_its_peg_and_no_market_price(chain: FakeChain) -> None:
    pool = state(fee=100, spacing=1, tick=-30)
    put_v3(chain, pool, tokens=(USDC, WETH), mean_tick=0)
    put_token(chain, WETH, 6)
    items = await said(chain, watched(base_token=0, peg=True))
    assert values(items) == {Kind.PEG: pytest.approx(0.997, abs=1e-4)}
    assert not [item for item in items if isinstance(item, PoolReading)]


async def test_one_pool_that_is_none_holds_up_no_other(chain: FakeChain) -> None:
    put_v3(chain, state(), mean_tick=MEAN)
    nowhere = watched(address="0x" + "99" * 20)
    items = await said(chain, nowhere, watched())
    assert pool_of(items).instrument == POOL
    refused = refusal_of(items)
    assert (refused.what, refused.reason) == (f"pool {nowhere.address}", Rejection.EMPTY)


async def test_a_pool_without_liquidity_around_its_price_is_too_thin_to_say_anything(chain: FakeChain) -> None:
    dry = replace(state(), liquidity=0, ticks=(), nets=())
    put_v3(chain, dry, mean_tick=MEAN)
    assert refusal_of(await said(chain, watched())).reason is Rejection.THIN_BOOK


async def test_state_of_two_blocks_mixed_is_noticed(chain: FakeChain) -> None:
    """A tick that is not the price's: what a proxy that caches by call, not by block, would answer."""
    put_v3(chain, replace(state(), tick=TICK + 40), mean_tick=MEAN)
    refused = refusal_of(await said(chain, watched()))
    assert refused.reason is Rejection.MALFORMED
    assert "does not belong to a price" in refused.detail


async def test_all_pools_together_cost_a_few_calls_and_fewer_once_they_are_known(chain: FakeChain) -> None:
    put_v3(chain, state(), mean_tick=MEAN)
    put_pair(chain, PairBook(4_000_000 * 10**6, 2_000 * 10**18), PAIR)
    others = [f"0x{at:040x}" for at in range(1, 20)]
    for address in others:
        put_v3(chain, state(), address=address, mean_tick=MEAN)
    pools = [watched(), watched(layout=Layout.UNISWAP_V2, address=PAIR), *(watched(address=each) for each in others)]
    node = FakeNode(chain)
    watcher, sweeps = PoolWatcher(chain_id=1, pools=pools), reader(node)
    counts = []
    for _ in range(2):
        sweep = await sweeps.sweep()
        node.asked.clear()
        assert len([i for i in await watcher.read(sweep, START_MS) if isinstance(i, PoolReading)]) == 21
        counts.append(len(node.asked))
    assert counts == [6, 4]
