"""Pools, feeds and tokens as contracts on a chain that lives in memory."""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode

from margrave.collect.chains import answers
from margrave.collect.chains.pools import uniswap_v2, uniswap_v3, uniswap_v4
from margrave.collect.chains.pools.concentrated import Concentrated
from margrave.collect.chains.pools.uniswap_v4 import PoolKey
from tests.unit.collect.chains.fake import FakeChain, Reverts

USDC = "0x" + "a0" * 20
WETH = "0x" + "c0" * 20
POOL = "0x" + "50" * 20
FEED = "0x" + "fe" * 20
AGGREGATOR = "0x" + "fa" * 20
STATE_VIEW = "0x" + "51" * 20


def word_of(pool: Concentrated, word: int) -> int:
    """`tickBitmap`."""
    spaced = (tick // pool.tick_spacing for tick in pool.ticks)
    return sum(1 << tick % 256 for tick in spaced if tick // 256 == word)


def put_token(chain: FakeChain, address: str, decimals: int) -> None:
    chain.returns(address, answers.DECIMALS, decimals)


def put_tokens(chain: FakeChain) -> None:
    put_token(chain, USDC, 6)
    put_token(chain, WETH, 18)


def put_v3(
    chain: FakeChain, pool: Concentrated, *, address: str = POOL, tokens: tuple[str, str] = (USDC, WETH), mean_tick: int
) -> None:
    """A v3 pool in this state; its half-hour mean tick is `mean_tick`."""
    chain.returns(address, uniswap_v2.TOKEN0, tokens[0])
    chain.returns(address, uniswap_v2.TOKEN1, tokens[1])
    chain.returns(address, uniswap_v3.TICK_SPACING, pool.tick_spacing)
    chain.returns(address, uniswap_v3.FEE, pool.fee_pips)
    chain.returns(address, uniswap_v3.LIQUIDITY, pool.liquidity)
    # With the fields that other families keep behind these.
    slot0 = abi_encode(
        ["uint160", "int24", "uint16", "uint16", "uint16", "uint32", "bool"],
        [pool.sqrt_price_x96, pool.tick, 3, 100, 100, 0, True],
    )
    chain.says(address, uniswap_v3.SLOT0, slot0)

    def bitmap(data: bytes, _block: int) -> bytes:
        return word_of(pool, abi_decode(["int16"], data)[0]).to_bytes(32, "big")

    def tick(data: bytes, _block: int) -> bytes:
        net = pool.net_at(abi_decode(["int24"], data)[0]) or 0
        return abi_encode(["uint128", "int128", "uint256"], [abs(net), net, 7])

    def observe(data: bytes, _block: int) -> bytes:
        ((first, last),) = abi_decode(["uint32[]"], data)
        return abi_encode(["int56[]", "uint160[]"], [[5, 5 + mean_tick * (first - last)], [1, 2]])

    chain.says(address, uniswap_v3.TICK_BITMAP, bitmap)
    chain.says(address, uniswap_v3.TICKS, tick)
    chain.says(address, uniswap_v3.OBSERVE, observe)


def put_v4(chain: FakeChain, pool: Concentrated, key: PoolKey, *, protocol_fee: int, lp_fee: int) -> None:
    """The same state in v4, through StateView at its address and out of storage at the manager's, `POOL`."""
    storage: dict[int, int] = {
        uniswap_v4.state_slot(key.id): pool.sqrt_price_x96
        | (pool.tick % (1 << 24)) << 160
        | protocol_fee << 184
        | lp_fee << 208,
        uniswap_v4.liquidity_slot(key.id): pool.liquidity,
    }
    for tick, net in zip(pool.ticks, pool.nets, strict=True):
        storage[uniswap_v4.tick_slot(key.id, tick)] = abs(net) | (net % (1 << 128)) << 128
        word = tick // pool.tick_spacing // 256
        storage[uniswap_v4.bitmap_slot(key.id, word)] = word_of(pool, word)
    chain.says(
        POOL, uniswap_v4.EXTSLOAD, lambda data, _: storage.get(int.from_bytes(data, "big"), 0).to_bytes(32, "big")
    )
    chain.returns(STATE_VIEW, uniswap_v4.GET_SLOT0, pool.sqrt_price_x96, pool.tick, protocol_fee, lp_fee)
    chain.returns(STATE_VIEW, uniswap_v4.GET_LIQUIDITY, pool.liquidity)

    def bitmap(data: bytes, _block: int) -> bytes:
        pool_id, word = abi_decode(["bytes32", "int16"], data)
        assert pool_id == key.id
        return word_of(pool, word).to_bytes(32, "big")

    def tick_liquidity(data: bytes, _block: int) -> bytes:
        net = pool.net_at(abi_decode(["bytes32", "int24"], data)[1]) or 0
        return abi_encode(["uint128", "int128"], [abs(net), net])

    chain.says(STATE_VIEW, uniswap_v4.GET_TICK_BITMAP, bitmap)
    chain.says(STATE_VIEW, uniswap_v4.GET_TICK_LIQUIDITY, tick_liquidity)


@dataclass
class PairBook:
    """A v2 pair whose reserves a test may change from block to block."""

    reserve0: int
    reserve1: int
    cumulative: int = 0
    updated_s: int = 0

    def trade(self, reserve0: int, reserve1: int, now_s: int) -> None:
        """What `_update` does: the old price is booked for the time that it stood."""
        self.cumulative += (self.reserve1 << 112) // self.reserve0 * (now_s - self.updated_s)
        self.reserve0, self.reserve1, self.updated_s = reserve0, reserve1, now_s


def put_pair(chain: FakeChain, pair: PairBook, address: str, tokens: tuple[str, str] = (USDC, WETH)) -> None:
    chain.returns(address, uniswap_v2.TOKEN0, tokens[0])
    chain.returns(address, uniswap_v2.TOKEN1, tokens[1])
    chain.says(
        address,
        uniswap_v2.GET_RESERVES,
        lambda *_: abi_encode(["uint112", "uint112", "uint32"], [pair.reserve0, pair.reserve1, pair.updated_s]),
    )
    chain.says(address, uniswap_v2.PRICE0_CUMULATIVE, lambda *_: pair.cumulative.to_bytes(32, "big"))


@dataclass
class FeedBook:
    """A Chainlink feed whose answer a test may change."""

    answer: int
    updated_s: int
    started_s: int = 0
    round_id: int = 7
    behind: int = 0
    bounds: tuple[int, int] | None = (10**6, 10**14)


def put_feed(chain: FakeChain, feed: FeedBook, address: str = FEED, aggregator: str = AGGREGATOR) -> None:
    chain.returns(address, answers.DECIMALS, 8)
    chain.returns(address, answers.AGGREGATOR, aggregator)
    chain.says(
        address,
        answers.LATEST_ROUND_DATA,
        lambda *_: abi_encode(
            ["uint80", "int256", "uint256", "uint256", "uint80"],
            [feed.round_id, feed.answer, feed.started_s, feed.updated_s, feed.round_id - feed.behind],
        ),
    )

    def bound(at: int) -> bytes:
        if feed.bounds is None:
            raise Reverts("no such function")
        return abi_encode(["int192"], [feed.bounds[at]])

    chain.says(aggregator, answers.MIN_ANSWER, lambda *_: bound(0))
    chain.says(aggregator, answers.MAX_ANSWER, lambda *_: bound(1))
