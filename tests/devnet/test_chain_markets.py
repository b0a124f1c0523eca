"""Everything that is watched of markets on one chain, over real sockets: two endpoints, ill in turn, and a day of
logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from margrave.collect.board import Board
from margrave.collect.chains.abi import Call, one
from margrave.collect.chains.answers import GET_PRICE_UNSAFE
from margrave.collect.chains.build import watches
from margrave.collect.chains.governance import PROPOSAL_CREATED
from margrave.collect.chains.pools.concentrated import Concentrated
from margrave.collect.chains.pools.states import pool_of
from margrave.collect.chains.pools.ticks import price_of
from margrave.collect.chains.stablecoins import TOTAL_SUPPLY, TRANSFER
from margrave.collect.chains.watch import ChainWatch
from margrave.errors import Fatal
from margrave.messages import EVERY_MARKET, Kind, NoticeReading, PoolReading, ScalarReading
from margrave.settings import WatchedChainSettings
from tests.devnet.rpc_bench import Fault, RpcServer
from tests.history import needs_data
from tests.unit.collect.chains.fake import BLOCK_S, CHAIN_ID, FakeChain, FakeNode, Now
from tests.unit.collect.chains.made import RECEIVER, SENDER, ZERO, encoded, words
from tests.unit.collect.chains.pools_made import (
    FEED,
    POOL,
    USDC,
    FeedBook,
    PairBook,
    put_feed,
    put_pair,
    put_token,
    put_v3,
)
from tests.unit.collect.chains.recordings import opened
from tests.unit.collect.chains.test_fees import FeeNode
from tests.unit.collect.chains.test_governance import CREATED_TYPES
from tests.unit.collect.chains.test_pools_watcher import MEAN, state

pytestmark = pytest.mark.devnet

PAIR, WETH, RETH, PYTH, GOVERNOR = (
    "0x" + "52" * 20,
    "0x" + "c0" * 20,
    "0x" + "e2" * 20,
    "0x" + "d1" * 20,
    "0x" + "60" * 20,
)
PYTH_ID = "0x" + "12" * 32
DAY_BLOCKS = 7_200
SUPPLY = 10**15


def body(address: str, topic: bytes, data: str, *indexed: str) -> dict[str, Any]:
    topics = ["0x" + topic.hex(), *("0x" + each.removeprefix("0x").rjust(64, "0") for each in indexed)]
    return {"address": address, "topics": topics, "data": data}


def transfer(amount: int, sender: str = SENDER) -> dict[str, Any]:
    return body(USDC, TRANSFER.topic, words(amount), sender, RECEIVER)


def lively_chain() -> FakeChain:
    """A day of transfers, then a head at which all is there to be read."""
    chain = FakeChain()
    for at in range(DAY_BLOCKS + 400):
        chain.mine(*([transfer(10**11)] if at % 40 == 0 else []))
    chain.mine(transfer(5 * 10**12, ZERO))
    put_token(chain, USDC, 6)
    put_token(chain, WETH, 18)
    put_v3(chain, state(), mean_tick=MEAN)
    put_pair(chain, PairBook(4_000_000 * 10**6, 2_000 * 10**18, updated_s=chain.head.time_s - 60), PAIR)
    put_feed(chain, FeedBook(answer=1_840 * 10**8, updated_s=chain.head.time_s - 300))
    chain.returns(RETH, Call("getExchangeRate()", "(uint256)", one), 1_130_000_000_000_000_000)
    chain.returns(PYTH, GET_PRICE_UNSAFE, 184_000_000_000, 10**8, -8, chain.head.time_s - 5)
    chain.returns(USDC, TOTAL_SUPPLY, SUPPLY)
    return chain


def tables() -> dict[str, Any]:
    """As node.toml has them."""
    return {
        "pools": [
            {"layout": "uniswap_v3", "market": "ETH", "address": POOL, "base_token": 1},
            {"layout": "uniswap_v2", "market": "ETH", "address": PAIR, "base_token": 1},
        ],
        "chainlink": [{"market": "ETH", "address": FEED}],
        "pyth": [{"market": "ETH", "address": PYTH, "id": PYTH_ID}],
        "stablecoins": [{"address": USDC, "markets": ["BTC", "ETH"]}],
        "redemptions": [{"market": "ETH", "address": RETH, "rate": "getExchangeRate", "dollar_feed": FEED}],
        "governance": [{"address": GOVERNOR}],
        "fees": True,
    }


@asynccontextmanager
async def watched(
    chain: FakeChain, *, nodes: list[FakeNode] | None = None, state_dir: Path | None = None, **more: Any
) -> AsyncIterator[tuple[ChainWatch, Board, list[RpcServer], Now]]:
    """A watch as the daemon builds it of its settings, over a server for each node."""
    async with AsyncExitStack() as held:
        servers = [RpcServer(node) for node in nodes or [FeeNode(chain), FeeNode(chain)]]
        urls = [await held.enter_async_context(server.serving()) for server in servers]
        settings = WatchedChainSettings.model_validate(
            {"rpc": urls, "chain_id": CHAIN_ID, "finality_blocks": 8, "timeout_s": 2.0, "requests_per_minute": 1e6}
            | (more or tables())
        )
        board, clock = Board(), Now(chain.head.time_s * 1000)
        [watch] = watches({"ethereum": settings}, ("BTC", "ETH"), board=board, clock=clock, state_dir=state_dir)
        held.push_async_callback(watch.aclose)
        yield watch, board, servers, clock


def scalars(board: Board) -> dict[tuple[str, Kind, str], float]:
    return {(r.source, r.kind, r.market): r.value for r in board.readings() if isinstance(r, ScalarReading)}


async def test_all_that_is_named_is_heard_over_http() -> None:
    chain = lively_chain()
    async with watched(chain) as (watch, board, _, clock):
        await watch.poll()
        clock.ms += 301_000  # by now the day's logs are in, and the stablecoins are due again
        chain.mine_many(3)
        await watch.poll()
        said = scalars(board)
        assert said["chainlink:1", Kind.ORACLE_PRICE, "ETH"] == 1_840.0
        assert said["pyth:1", Kind.ORACLE_PRICE, "ETH"] == pytest.approx(1_840.0)
        assert said["redemption:1", Kind.REDEMPTION_VALUE, "ETH"] == pytest.approx(1.13 * 1_840)
        assert said["fees:1", Kind.BASE_FEE, EVERY_MARKET] == 2e9
        assert said["pools:1", Kind.SPOT_TWAP, "ETH"] == pytest.approx(1_848, rel=1e-2)
        for market in ("BTC", "ETH"):
            assert said["stablecoins:1", Kind.TRANSFER_VELOCITY, market] == pytest.approx(
                180 * 10**11 / SUPPLY, rel=0.02
            )
            assert said["stablecoins:1", Kind.SUPPLY_CHANGE_24H, market] == pytest.approx(5 / 995)
        pools = {r.instrument: r for r in board.readings() if isinstance(r, PoolReading)}
        assert pools[POOL].price == pytest.approx(1_839, rel=1e-3)
        assert pools[PAIR].price == pytest.approx(2_000)
        # While the day was not in yet, the stablecoin said so instead of a figure.
        early = [refusal for refusal in board.refusals() if refusal.source == "stablecoins:1"]
        assert {refusal.detail for refusal in early} == {"0.0 hours of transfers have been heard, 24 are needed"}


async def test_a_proposal_is_a_notice_once_and_what_an_orphan_moved_is_taken_back() -> None:
    chain = lively_chain()
    async with watched(chain) as (watch, board, _, clock):
        await watch.poll()
        data = encoded(CREATED_TYPES, 42, SENDER, [], [], [], [], 1, 2, "Raise the cap")
        chain.mine(body(GOVERNOR, PROPOSAL_CREATED.topic, data), transfer(9 * 10**14, ZERO))
        clock.ms += 301_000
        await watch.poll()
        notices = [r for r in board.readings() if isinstance(r, NoticeReading) and r.source == "governance:1"]
        assert [(n.market, n.instrument, n.venue_time_ms) for n in notices] == [
            (EVERY_MARKET, GOVERNOR, chain.head.time_s * 1000)
        ]
        assert scalars(board)["stablecoins:1", Kind.SUPPLY_CHANGE_24H, "ETH"] > 1
        chain.fork(1)
        chain.mine_many(2)
        clock.ms += 301_000
        await watch.poll()
        assert watch.logs_withdrawn == 2
        assert scalars(board)["stablecoins:1", Kind.SUPPLY_CHANGE_24H, "ETH"] == pytest.approx(5 / 995)


async def test_a_restart_does_not_read_the_day_again(tmp_path: Path) -> None:
    chain = lively_chain()
    figures = []
    oldest = []
    for _ in range(2):
        node = FeeNode(chain)
        async with watched(chain, nodes=[node], state_dir=tmp_path) as (watch, board, _, clock):
            await watch.poll()
            clock.ms += 301_000
            await watch.poll()
            figures.append(scalars(board)["stablecoins:1", Kind.TRANSFER_VELOCITY, "ETH"])
            asked = [params[0] for method, params in node.asked if method == "eth_getLogs"]
            oldest.append(min((int(each["fromBlock"], 16) for each in asked if "fromBlock" in each), default=None))
        chain.mine_many(2)
    assert figures[0] == figures[1] > 0
    assert oldest[0] is not None
    assert oldest[0] < DAY_BLOCKS
    assert oldest[1] is None or oldest[1] > DAY_BLOCKS


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.DOWN, Fault.HTML, Fault.CUT, Fault.GARBLED_GZIP, Fault.NESTED])
async def test_an_endpoint_that_is_ill_costs_no_reading(fault: Fault) -> None:
    chain = lively_chain()
    async with watched(chain) as (watch, board, servers, _):
        servers[0].fault = fault
        await watch.poll()
        said = Counter(reading.source for reading in board.readings())
        assert said["pools:1"] == 3
        assert said["chainlink:1"] == said["pyth:1"] == said["redemption:1"] == 1
        assert said["fees:1"] == 2


async def test_a_chain_on_which_nothing_answers_is_refused_by_each_name_and_stops_nobody() -> None:
    chain = FakeChain()
    chain.mine_many(40)
    async with watched(chain, nodes=[FakeNode(chain)]) as (watch, board, _, _):
        await watch.poll()
        assert not board.readings()
        refused = Counter(refusal.source for refusal in board.refusals())
        assert refused == {"pools:1": 2, "chainlink:1": 1, "pyth:1": 1, "stablecoins:1": 2, "redemption:1": 1}
        assert board.health_of("fees:1").failures == 1  # this node has no eth_feeHistory


@needs_data
@pytest.mark.data
async def test_a_recorded_mainnet_pool_is_read_over_http_as_it_stood() -> None:
    """WBTC/WETH at block 24,407,242 with its 458 ticks, its ether valued by a feed."""
    told = opened("defi_state_degenbot/fixtures/chain_data/1/uniswap_v3_wbtc_weth_block_24407242.json")
    pool = pool_of(told)
    assert isinstance(pool, Concentrated)
    chain = FakeChain()
    chain.mine_many(20)
    wbtc = "0x" + "bc" * 20
    put_token(chain, wbtc, 8)
    put_token(chain, WETH, 18)
    put_v3(chain, pool, tokens=(wbtc, WETH), mean_tick=265_260)
    put_feed(chain, FeedBook(answer=2_085 * 10**8, updated_s=chain.head.time_s))
    table = {"layout": "uniswap_v3", "market": "BTC", "address": POOL, "base_token": 0, "dollar_feed": FEED}
    async with watched(chain, pools=[table]) as (watch, board, _, _):
        await watch.poll()
        [reading] = [r for r in board.readings() if isinstance(r, PoolReading)]
        ether = price_of(told["scalars"]["sqrt_price_x96"], 8, 18)
        assert reading.price == pytest.approx(ether * 2_085) == pytest.approx(69_030, rel=1e-3)
        below, above = pool.depth_within()
        assert reading.bid_depth_usd == pytest.approx(below.amount_out / 10**18 * 2_085)
        assert reading.ask_depth_usd == pytest.approx(above.amount_in / 10**18 * 2_085)
        assert 400_000 < reading.bid_depth_usd < 600_000


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"pools": [{"layout": "uniswap_v3", "market": "SOL", "address": POOL, "base_token": 1}]}, "SOL is not in"),
        (
            {"pools": [{"layout": "uniswap_v3", "market": "ETH", "address": POOL, "base_token": 1}] * 2},
            "is there twice",
        ),
        ({"stablecoins": [{"address": USDC, "markets": ["DOGE"]}]}, "DOGE is not in"),
        ({"chainlink": [{"market": EVERY_MARKET, "address": FEED}]}, "is not in markets.toml"),
    ],
)
async def test_a_table_that_cannot_be_meant_is_one_clear_line(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(Fatal, match=problem):
        async with watched(FakeChain(), **more):
            pass


@pytest.mark.parametrize(
    "table",
    [
        {"layout": "uniswap_v4", "market": "ETH", "address": POOL, "base_token": 1},
        {"layout": "uniswap_v5", "market": "ETH", "address": POOL, "base_token": 1},
        {"layout": "uniswap_v3", "market": "ETH", "address": "0x12", "base_token": 1},
        {"layout": "uniswap_v3", "market": "ETH", "address": POOL, "base_token": 2},
    ],
)
def test_a_pool_that_no_chain_has_is_refused_by_the_settings(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WatchedChainSettings.model_validate({"rpc": ["http://x"], "chain_id": 1, "pools": [table]})


def test_a_day_of_the_tests_is_a_day() -> None:
    assert DAY_BLOCKS * BLOCK_S == 86_400
