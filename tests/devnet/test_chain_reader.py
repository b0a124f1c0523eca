"""Chains over real sockets: endpoints ill in every way, recorded logs served again, a real node's reorganisation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from margrave.collect.board import Board
from margrave.collect.chains.build import watches
from margrave.collect.chains.lending import aave_v3
from margrave.collect.chains.logs import LogFilter, log_of
from margrave.collect.chains.watch import ChainWatch
from margrave.collect.source import Trouble
from margrave.errors import Fatal
from margrave.lab.bench.chain import local_chain
from margrave.messages import HealthReading, LiquidationsReading
from margrave.operate.check import Check
from margrave.ops.clock import Clock
from margrave.settings import POLICY_FILE, Settings, load_policy
from margrave.verdicts import Verdict
from margrave.watching import LendingSettings, WatchedChainSettings
from tests.devnet.rpc_bench import RETRY_AFTER_S, Fault, RpcServer
from tests.devnet.venue_bench import MARKETS as BENCH_MARKETS
from tests.devnet.venue_bench import node_of
from tests.history import needs_data
from tests.unit.collect.chains.fake import CHAIN_ID, FakeChain, FakeNode
from tests.unit.collect.chains.recordings import opened_lines
from tests.unit.collect.chains.test_lenders import ORACLE_AT, POOL_AT, aave_chain, borrow
from tests.unit.collect.chains.test_lending import ALICE, BOB, WBTC, WETH, log_body

pytestmark = pytest.mark.devnet
MARKETS = ("BTC", "ETH")
POLICY = load_policy(POLICY_FILE)
SEIZED = log_body(aave_v3.LIQUIDATION_CALL, WBTC, WETH, ALICE, 10**19, 5 * 10**7, BOB, False, address=POOL_AT)


def chain_settings(urls: list[str], **more: Any) -> WatchedChainSettings:
    lending = LendingSettings(
        protocol="aave_v3", address=POOL_AT, assets={WBTC: "BTC", WETH: "ETH"}, every_s=0.001, history_s=0.0
    )
    return WatchedChainSettings.model_validate(
        {"rpc": urls, "chain_id": CHAIN_ID, "finality_blocks": 8, "timeout_s": 0.5, "lending": [lending]} | more
    )


def watch_of(settings: WatchedChainSettings, board: Board, *, state_dir: Path | None = None) -> ChainWatch:
    [watch] = watches({"ethereum": settings}, MARKETS, board=board, clock=Clock(), state_dir=state_dir)
    return watch


@asynccontextmanager
async def watched(chain: FakeChain, *nodes: FakeNode, **more: Any) -> AsyncIterator[tuple[ChainWatch, list[RpcServer]]]:
    """A watch as the daemon builds it, over a server for each node."""
    async with AsyncExitStack() as held:
        servers = [RpcServer(node) for node in nodes or (FakeNode(chain), FakeNode(chain))]
        urls = [await held.enter_async_context(server.serving()) for server in servers]
        watch = watch_of(chain_settings(urls, **more), Board())
        held.push_async_callback(watch.aclose)
        yield watch, servers


def liquidations(board: Board, market: str = "BTC") -> int:
    return next(r.count for r in board.readings() if isinstance(r, LiquidationsReading) and r.market == market)


async def test_a_protocol_is_watched_over_http() -> None:
    chain = aave_chain()
    async with watched(chain) as (watch, _):
        await watch.poll()
        chain.mine(borrow(ALICE), SEIZED)
        await watch.poll()
        await watch.poll()
        assert liquidations(watch.board) == 1
        health = [r for r in watch.board.readings() if isinstance(r, HealthReading)]
        assert {r.market for r in health} == {"BTC", "ETH"}
        assert sum(sum(r.debt_usd) for r in health) == pytest.approx(60_000)


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Fault.HALF_OPEN, Trouble.TIMEOUT),
        (Fault.CUT, Trouble.UNREACHABLE),
        (Fault.HTML, Trouble.UNREACHABLE),
        (Fault.NESTED, Trouble.UNREACHABLE),
        (Fault.GARBLED_GZIP, Trouble.UNREACHABLE),
        (Fault.ENDLESS, Trouble.UNREACHABLE),
        (Fault.BUSY, Trouble.RATE_LIMITED),
        (Fault.BLOCKED, Trouble.GEO_BLOCKED),
        (Fault.DOWN, Trouble.MAINTENANCE),
    ],
)
async def test_an_ill_endpoint_is_named_and_another_answers(fault: Fault, trouble: Trouble) -> None:
    chain = aave_chain()
    async with watched(chain, timeout_s=5.0 if fault is Fault.ENDLESS else 0.5) as (watch, servers):
        await watch.poll()
        servers[0].fault = fault
        chain.mine(SEIZED)
        await watch.poll()
        await watch.poll()
        ill, well = watch.reader.endpoints
        assert ill.conduct.trouble is trouble
        assert ill.resting()
        assert (well.conduct.trouble, well.conduct.failures) == (None, 0)
        assert liquidations(watch.board) == 1


async def test_a_retry_after_is_kept() -> None:
    chain = aave_chain()
    async with watched(chain, FakeNode(chain)) as (watch, servers):
        servers[0].fault = Fault.BUSY
        await watch.poll()
        [ill] = watch.reader.endpoints
        assert ill._rests_until_ms - Clock().now_ms() > (RETRY_AFTER_S - 5) * 1000
        questions = servers[0].questions
        await watch.poll()
        assert servers[0].questions == questions
        assert watch.board.health()["chain:1"].failures == 2


async def test_a_reason_under_a_status_of_400_is_read() -> None:
    chain = aave_chain()
    chain.mine_many(40)
    async with watched(chain, FakeNode(chain, widest=3)) as (watch, servers):
        servers[0].fault, servers[0].only = Fault.EXPLAINED, "eth_getLogs"
        wanted = LogFilter(frozenset({POOL_AT}), frozenset({aave_v3.BORROW.topic}))
        sweep = await watch.reader.sweep()
        servers[0].fault = Fault.NONE
        logs, until = await watch.reader.logs_of_range(wanted, 1, 30, sweep.endpoints)
        assert (logs, until) == ([], 3)
        servers[0].fault = Fault.EXPLAINED
        with pytest.raises(Exception, match="limited to a 10 block range"):
            await watch.reader.logs_of_range(wanted, 1, 1, sweep.endpoints)


async def test_a_lagging_and_a_lying_endpoint_among_four_are_left_out() -> None:
    chain, false = aave_chain(), FakeChain(salt=3)
    chain.mine_many(30)
    false.mine_many(30)
    nodes = FakeNode(false), FakeNode(chain, behind=12), FakeNode(chain), FakeNode(chain)
    async with watched(chain, *nodes) as (watch, servers):
        chain.mine(SEIZED)
        false.mine()
        await watch.poll()
        chain.mine(SEIZED)
        false.mine()
        await watch.poll()
        await watch.poll()
        assert liquidations(watch.board) == 2
        liar, late, *well = watch.reader.endpoints
        assert liar.conduct.disagreements > 0
        assert late.conduct.lag_blocks == 12
        assert all(e.conduct.disagreements == 0 and e.conduct.lag_blocks == 0 for e in well)
        assert "eth_call" not in {method for method, _ in servers[1].node.asked}


async def test_a_reorganisation_between_two_reads_of_one_sweep_spoils_no_reading() -> None:
    chain = aave_chain()
    chain.mine_many(10)
    async with watched(chain) as (watch, servers):
        await watch.poll()
        calls = 0

        def fork_after_the_second(method: str, _: object, truth: object) -> object:
            nonlocal calls
            calls += method == "eth_call"
            if method == "eth_call" and calls == 2:
                chain.fork(2)
                chain.mine_many(3)
            return truth

        for server in servers:
            server.node.lies = fork_after_the_second
        chain.mine()
        await watch.poll()
        health = watch.board.health()["aave_v3:1"]
        assert health.failures == 1
        assert "not currently canonical" in str(health.last_error)
        await watch.poll()
        assert watch.board.health()["aave_v3:1"].failures_in_a_row == 0


async def test_check_says_which_endpoint_and_which_table_is_wrong() -> None:
    chain = aave_chain()
    chain.mine_many(3)
    well, ill = RpcServer(FakeNode(chain)), RpcServer(FakeNode(chain, chain_id=137))
    async with well.serving() as one, ill.serving() as two:
        table = chain_settings([one, two])
        node = node_of(one).model_copy(update={"chains": {"ethereum": table}})
        checking = Check(Path("node.toml"))
        await checking._chains(Settings(node=node, markets=BENCH_MARKETS, policy=POLICY))
        del chain.contracts[(ORACLE_AT, aave_v3.PRICE.selector)]
        await checking._chains(Settings(node=node, markets=BENCH_MARKETS, policy=POLICY))
    told = [(f.check, f.verdict, f.found) for f in checking.findings]
    good, bad = told[: len(told) // 2], told[len(told) // 2 :]
    name = "chain ethereum"
    assert good[0] == (name, Verdict.OK, f"{sweep_of(chain)}, 1 of 2 endpoints are heard")
    assert good[1][:2] == (f"{name} {two.removeprefix('http://')}", Verdict.WARN)
    assert "is chain 0x89, not 0x1" in good[1][2]
    assert good[2] == ("watcher aave_v3:1", Verdict.OK, "2 readings")
    assert bad[2][:2] == ("watcher aave_v3:1", Verdict.WARN)
    assert "getAssetPrice returned nothing" in bad[2][2]


def sweep_of(chain: FakeChain) -> str:
    return f"block {chain.head.number} (0x{chain.head.hash.hex()[:12]})"


async def test_a_market_that_nobody_scores_stops_the_node() -> None:
    settings = chain_settings(["http://127.0.0.1:9"])
    with pytest.raises(Fatal, match="ETH is not in markets"):
        watches({"ethereum": settings}, ["BTC"], board=Board(), clock=Clock(), state_dir=None)
    with pytest.raises(Fatal, match="have chain_id 1"):
        watches({"a": settings, "b": settings}, MARKETS, board=Board(), clock=Clock(), state_dir=None)


# --- recorded logs over a socket -------------------------------------------------------------------------------------

TRANSFER = keccak(text="Transfer(address,address,uint256)")


@needs_data
@pytest.mark.data
async def test_the_logs_of_a_real_block_are_followed_over_http_as_the_table_has_them() -> None:
    """271 real logs in one block; its token transfers are those of the exported table, one by one."""
    where = ("eth_logs_ethereum_etl", "test_stream", "blocks_17173049_17173050")
    rows = [log_of(row) for row in opened_lines(*where, "expected_logs.json.gz")]
    table = opened_lines(*where, "expected_token_transfers.json.gz")
    chain = FakeChain()
    chain.mine_many(3)
    chain.mine(
        *(
            {
                "address": log.address,
                "topics": ["0x" + topic.hex() for topic in log.topics],
                "data": "0x" + log.data.hex(),
            }
            for log in rows
        )
    )
    wanted = LogFilter(frozenset(log.address for log in rows), frozenset({TRANSFER}))
    async with watched(chain) as (watch, _):
        sweep = await watch.reader.sweep()
        logs = await watch.reader.logs_of_block(wanted, sweep.block, sweep.endpoints)
    read = {
        (
            log.index,
            log.address,
            "0x" + log.topics[1][12:].hex(),
            "0x" + log.topics[2][12:].hex(),
            int.from_bytes(log.topics[3] if len(log.topics) == 4 else log.data, "big"),  # ERC-721 indexes the token
        )
        for log in logs
    }
    told = {(t["log_index"], t["token_address"], t["from_address"], t["to_address"], int(t["value"])) for t in table}
    assert len(told) == len(table) > 100
    assert read == told


# --- a real node -----------------------------------------------------------------------------------------------------


def answering(answers: dict[bytes, bytes]) -> bytes:
    """A contract that answers each of these selectors with a constant, and logs anything else that it is sent.

    What it logs: four words of calldata are the topics, the rest is the data.
    """
    head = bytes.fromhex("5f3560e01c")  # selector on the stack
    emit = bytes.fromhex("60803603806080" + "5f37" + "606035604035602035" + "5f35" + "845fa400")
    size = len(head) + 11 * len(answers) + len(emit)
    jumps, bodies, tail = b"", b"", b""
    body_size, data_at = 15, size + 15 * len(answers)
    for at, (selector, answer) in enumerate(answers.items()):
        label = size + at * body_size
        jumps += b"\x80\x63" + selector + b"\x14\x61" + label.to_bytes(2, "big") + b"\x57"
        offset = (data_at + len(tail)).to_bytes(2, "big")
        length = len(answer).to_bytes(2, "big")
        bodies += b"\x5b\x61" + length + b"\x61" + offset + b"\x5f\x39\x61" + length + b"\x5f\xf3" + b"\x00"
        tail += answer
    assert len(bodies) == body_size * len(answers)
    return head + jumps + emit + bodies + tail


@pytest.fixture
def url() -> Iterator[str]:
    with local_chain() as where:
        yield where


@pytest.fixture
def anvil(url: str) -> Web3:
    return Web3(HTTPProvider(url))


def command(web3: Web3, method: str, *params: object) -> Any:
    answer = web3.provider.make_request(RPCEndpoint(method), list(params))
    assert "error" not in answer, answer
    return answer["result"]


def emit(web3: Web3, body: dict[str, Any]) -> None:
    """Send a transaction that makes the pool log this."""
    data = "0x" + "".join(topic[2:] for topic in body["topics"]) + body["data"][2:]
    sender = command(web3, "eth_accounts")[0]
    sent = command(web3, "eth_sendTransaction", {"from": sender, "to": POOL_AT, "data": data, "gas": hex(200_000)})
    assert web3.eth.wait_for_transaction_receipt(sent)["status"] == 1


async def test_a_real_nodes_reorganisation_takes_back_what_was_liquidated(
    url: str, anvil: Web3, tmp_path: Path
) -> None:
    chain = aave_chain()
    selectors: dict[str, dict[bytes, bytes]] = {}
    for (to, selector), answer in chain.contracts.items():
        for argument in (WBTC, WETH, ALICE, BOB):
            try:
                told = answer(bytes(12) + bytes.fromhex(argument[2:]), 0)
            except KeyError:
                continue
            selectors.setdefault(to, {})[selector] = told
            break
    for to, answers in selectors.items():
        command(anvil, "anvil_setCode", to, "0x" + answering(answers).hex())
    settings = chain_settings([url], chain_id=31_337, timeout_s=10.0)
    watch = watch_of(settings, Board(), state_dir=tmp_path)
    try:
        await watch.poll()
        assert watch.board.refusals() == ()
        emit(anvil, SEIZED)
        emit(anvil, borrow(ALICE))
        emit(anvil, SEIZED)
        await watch.poll()
        await watch.poll()
        assert liquidations(watch.board) == 2
        orphan = anvil.eth.get_block("latest")["hash"]
        command(anvil, "anvil_reorg", 2, [])
        assert anvil.eth.get_block("latest")["hash"] != orphan
        await watch.poll()
        await watch.poll()
        assert watch.logs_withdrawn == 2
        assert liquidations(watch.board) == 1
        emit(anvil, SEIZED)
        await watch.poll()
        await watch.poll()
        assert liquidations(watch.board) == 2
        assert watch.restarts == 0
    finally:
        await watch.aclose()


async def test_a_restarted_node_goes_on_at_the_block_of_its_checkpoint(url: str, anvil: Web3, tmp_path: Path) -> None:
    command(anvil, "anvil_setCode", POOL_AT, "0x" + answering({}).hex())
    settings = chain_settings([url], chain_id=31_337, timeout_s=10.0, finality_blocks=2)
    told = []
    for _ in range(2):
        watch = watch_of(settings, Board(), state_dir=tmp_path)
        try:
            for _ in range(6):
                await watch.poll()  # the pool is none: its reads are refused, its logs are followed all the same
            emit(anvil, SEIZED)
            command(anvil, "anvil_mine", hex(4))
            await watch.poll()
            watch._saved_ms = 0
            await watch.poll()
            told.append(watch.logs_told)
        finally:
            await watch.aclose()
        command(anvil, "anvil_mine", hex(50))
        emit(anvil, SEIZED)  # while nobody listens
        command(anvil, "anvil_mine", hex(50))
    assert told == [1, 3]  # the window's hour is read again, and what happened meanwhile
