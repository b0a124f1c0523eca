"""One whole node in this process: venues on real sockets, a chain on the tape's time, every route and verb."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from margrave import lanes
from margrave.attest import quorum, wire
from margrave.attest.quorum import Domain
from margrave.chain.deploy import deploy
from margrave.chain.oracle import Oracle
from margrave.chain.rpc import Rpc
from margrave.chain.signer import KeystoreSigner
from margrave.collect.chains.checkpoint import CheckpointFile
from margrave.daemon import Node
from margrave.lab.bench.chain import FUNDED_KEYS, local_chain
from margrave.lab.demo.blocks import Anvil
from margrave.lab.demo.processes import free_ports
from margrave.lab.feed.faults import Fault
from margrave.lab.feed.scenario import load_scenario
from margrave.lab.feed.server import Feed
from margrave.lab.feed.serving import serving
from margrave.operate.check import Check
from margrave.operate.init import Plan, configure, init
from margrave.operate.replay import Explanation, replay, scorer_of
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import (
    MARKETS_FILE,
    POLICY_FILE,
    PROJECT_ROOT,
    ClockSettings,
    Settings,
    load,
    load_markets,
    load_policy,
)
from margrave.verdicts import MarketStatus, Outcome, Verdict
from tests.devnet.rpc_bench import RpcServer
from tests.devnet.test_chain_reader import chain_settings
from tests.unit.collect.chains.fake import FakeNode
from tests.unit.collect.chains.test_lenders import aave_chain

pytestmark = [pytest.mark.devnet, pytest.mark.xdist_group("devnet")]
POLICY = load_policy(POLICY_FILE)
MARKETS = load_markets(MARKETS_FILE)
PERIOD_MS = POLICY.round.period_s * 1000
LEAD_MS = 15_000
"""Market time between the start of the chain and the round: time enough to deploy and for the first polls."""
CHAIN_ID = 31337


@dataclass
class Stage:
    config: Path
    settings: Settings
    feed: Feed
    round: int
    url: str

    async def get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=10, trust_env=False) as client:
            return await client.get(self.url + path)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """A committee of one, in the middle of the drill's first evening."""
    tape = load_scenario(PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml")
    round_ = tape.opens_ms // PERIOD_MS + 1
    init(folder / "ada", Plan(name="ada"))
    config = folder / "ada" / "node.toml"
    member = KeystoreSigner.unlock(load(config).node.keys).address
    model_set = scorer_of(load(config)).model_set
    # From here on the market's clock runs towards the round: what is slow has been done.
    clock_settings = ClockSettings(origin_ms=round_ * PERIOD_MS - LEAD_MS, wall_origin_ms=wall_ms(), speed=1.0)
    clock = Clock.of(clock_settings)
    feed = Feed(tape, MARKETS, now_ms=clock.now_ms)
    (port,) = free_ports(1)
    with local_chain(starts_at_s=clock.now_ms() // 1000 - 1) as chain:
        async with serving(feed) as venues, httpx2.AsyncClient(trust_env=False) as client:
            await Anvil(chain, client).fund(member, 1)
            deployed = await asyncio.to_thread(
                deploy,
                chain,
                FUNDED_KEYS[0],
                POLICY,
                markets=len(MARKETS),
                members=[member],
                quorum=1,
                model_set=model_set,
            )
            plan = Plan(
                name="ada",
                rpc=(chain,),
                chain_id=CHAIN_ID,
                oracle=deployed.oracle,
                clearinghouse=deployed.clearinghouse,
                port=port,
                venues={
                    name: {"base_url": f"{venues}/{name}", "requests_per_minute": 60_000}
                    for name in ("deribit", "binance", "okx", "bybit", "kraken")
                },
                clock=clock_settings,
            )
            configure(folder / "ada", plan)
            stop = asyncio.Event()
            blocks = asyncio.create_task(Anvil(chain, client).mine_at_market_time(clock, stop))
            try:
                yield Stage(config, load(config), feed, round_, f"http://127.0.0.1:{port}")
            finally:
                stop.set()
                await blocks


async def when_it_is_time(stage: Stage, round_: int) -> None:
    await Clock.of(stage.settings.node.clock).sleep_until_ms(round_ * PERIOD_MS)


async def test_a_round_from_the_venues_to_the_chain_and_everything_one_can_ask_about_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        async with Node.assemble(on.settings) as node:
            assert (await on.get("/live")).text == "alive\n"
            assert (await on.get("/ready")).status_code == 503
            assert (await on.get(f"/v1/rounds/{on.round}")).status_code == 404
            await node.recover()
            await when_it_is_time(on, on.round)
            receipt = await node.once(on.round)
            assert receipt.outcome is Outcome.PUBLISHED, receipt.detail
            assert receipt.gas_used

            (attestation,) = wire.decode((await on.get(f"/v1/rounds/{on.round}")).content).attestations
            assert (await on.get("/ready")).json() == {"ready": True, "why": "quorum of 1"}
            status: dict[str, Any] = (await on.get("/v1/status")).json()
            assert status["last_outcome"] == "published"
            assert set(status["markets"]) == {"BTC", "ETH"}
            assert all(m["reasons"] for m in status["markets"].values())
            metrics = (await on.get("/metrics")).text
            assert 'margrave_round_total{outcome="published"} 1.0' in metrics
            assert 'margrave_source_up{source="kraken"} 1.0' in metrics
            assert "margrave_polls_skipped 0.0" in metrics
            assert 'margrave_rpc_disagreements{chain="chain"' in metrics
            assert "margrave_refusals_dropped 0.0" in metrics

            findings = await Check(on.config).run()
            assert [f for f in findings if f.verdict is not Verdict.OK] == []

            again = await node.once(on.round)
            assert again.outcome is Outcome.HELD
            assert again.detail.startswith("already_published")

        assert attestation.explained is not None
        domain = Domain(CHAIN_ID, str(on.settings.node.chain.oracle))
        by = quorum.explanation_digest_of(attestation, attestation.explanation_hash, domain)
        assert quorum.recover(attestation.explained.signature, by) == attestation.member

        rpc = Rpc(on.settings.node.chain)
        state = await Oracle(rpc, on.settings.node.chain.oracle).state()
        await rpc.aclose()
        for i, market in enumerate(state.markets):
            assert market.status is MarketStatus.FRESH
            assert market.observed_at_s == on.round * POLICY.round.period_s
            assert market.words.risk == attestation.words[2 * i]
        assert 40_000 < lanes.price_usd(state.markets[0].words) < 46_000
        for name, market in zip(MARKETS, state.markets, strict=True):
            told = status["markets"][name]
            assert lanes.decode(market.words, "cascade_probability") == pytest.approx(
                told["cascade"]["within_24h"], abs=1e-4
            )
            assert lanes.decode(market.words, "contagion") == pytest.approx(told["contagion"]["addon"], abs=1e-4)
            assert told["regime"] == "normal"

        (replayed,) = replay(on.settings, [on.round])
        assert replayed.differences == ()
        assert replayed.outcome == "published"
        assert replayed.explanation is Explanation.SAME


async def test_a_node_that_cannot_see_says_so_and_signs_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        for venue in ("binance", "okx", "bybit"):
            on.feed.faults.set(venue, Fault.DOWN, 0)
        async with Node.assemble(on.settings) as node:
            await when_it_is_time(on, on.round)
            receipt = await node.once(on.round)
            assert receipt.outcome is Outcome.HELD
            assert receipt.detail.startswith("too_few_sources")
            assert (await on.get(f"/v1/rounds/{on.round}")).status_code == 404
            ready = await on.get("/ready")
            assert ready.status_code == 503
            assert "too_few_sources" in ready.json()["why"]


async def test_a_node_told_to_stop_drops_its_round_at_once_and_comes_back(tmp_path: Path) -> None:
    async with stage(tmp_path) as on:
        stop = asyncio.Event()
        async with Node.assemble(on.settings) as node:
            turning = asyncio.create_task(node.turn(stop, None))
            await asyncio.sleep(0.5)
            stop.set()
            assert await asyncio.wait_for(turning, 10) == []
        async with Node.assemble(on.settings) as node:
            await node.recover()
            await when_it_is_time(on, on.round)
            assert (await node.once(on.round)).outcome is Outcome.PUBLISHED


async def test_a_node_watches_the_chains_that_it_is_told_to_and_remembers_where_it_was(tmp_path: Path) -> None:
    lending = aave_chain()
    lending.mine_many(30)
    async with stage(tmp_path) as on, RpcServer(FakeNode(lending)).serving() as rpc:
        table = chain_settings([rpc], every_s=0.5)
        node_settings = on.settings.node.model_copy(update={"chains": {"ethereum": table}})
        settings = on.settings.model_copy(update={"node": node_settings})
        async with Node.assemble(settings) as node:
            await when_it_is_time(on, on.round)
            await node.once(on.round)
            status: dict[str, Any] = (await on.get("/v1/status")).json()
            assert status["sources"]["aave_v3:1"]["up"]
            metrics = (await on.get("/metrics")).text
            assert 'margrave_chain_block{chain="ethereum"} 22.0' in metrics
            assert 'margrave_rpc_lag_blocks{chain="ethereum",endpoint="127.0.0.1' in metrics
        kept = CheckpointFile(on.settings.node.state_dir / "chains" / "1.checkpoint", 1).load()
        assert kept is not None
        assert (kept.number, list(kept.states)) == (22, ["aave_v3:1"])
