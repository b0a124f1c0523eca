"""The main job on one machine: set the stage, let four nodes play, write down what was seen, strike it again."""

from __future__ import annotations

import asyncio
import platform
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import httpx2
import msgspec
import tomli_w
from eth_account import Account as Key

from margrave.chain.deploy import deploy
from margrave.chain.oracle import Oracle
from margrave.chain.rpc import Rpc
from margrave.errors import Fatal
from margrave.lab.demo import page, plots
from margrave.lab.demo.account import DemoAccount
from margrave.lab.demo.blocks import Anvil
from margrave.lab.demo.falls import feared
from margrave.lab.demo.inputs import Input, Wish, choose, policy_for
from margrave.lab.demo.observer import Observer
from margrave.lab.demo.processes import Processes, free_ports
from margrave.lab.demo.record import RoundRow, Summary
from margrave.lab.demo.summary import summarise
from margrave.lab.demo.watch import Watch
from margrave.messages import ChainState
from margrave.operate.init import Plan, configure, init
from margrave.ops.clock import Clock, wall_ms
from margrave.score.registry import model_set_hash, open_model
from margrave.settings import (
    MARKETS_FILE,
    POLICY_FILE,
    PROJECT_ROOT,
    REGISTRY,
    ChainSettings,
    ClockSettings,
    MarketSettings,
    load_markets,
    load_policy,
)
from margrave.spans import DAY_S
from margrave.store.journal import Journal

NODES: Final = ("ada", "bell", "curie", "dirac")
QUORUM: Final = 3
CHAIN_ID: Final = 31337
BOOT_S: Final = 9.0
OPENING_ROUNDS: Final = 8
"""Wall seconds that the nodes are given to start before the first round; a late one joins a round later."""
GAS_MONEY_ETHER: Final = 10
DEPLOYER_KEY: Final = "0x" + "d0" * 32
ANVIL: Final = PROJECT_ROOT / "node_modules" / ".bin" / "anvil"


async def perform(wish: Wish) -> int:
    """Run the whole thing; returns the exit code: 0 when rounds were published.

    Raises:
        Fatal: something needed is not there or does not start; nothing is left running.
    """
    source = choose(wish)
    wish.out.mkdir(parents=True, exist_ok=True)
    markets = load_markets(MARKETS_FILE)
    with Watch(source.title, tuple(markets), source.rounds) as watch:
        async with Stage(wish, source, markets, watch).set() as stage:
            summary = stage.summary(await stage.play())
            for path in write(summary, wish.out):
                watch.say(f"wrote {path}")
            if wish.wait:
                await asyncio.to_thread(input, "Enter stops the chain and the nodes … ")
    return 0 if summary.rounds_published else 1


def write(summary: Summary, out: Path) -> list[Path]:
    """summary.json, index.html and the pictures."""
    record = out / "summary.json"
    record.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    return [record, page.write(summary, out), *plots.write(summary, out)]


class Stage:
    """Everything that runs: chain, contracts, venue server, nodes. `play` watches the rounds go by."""

    def __init__(self, wish: Wish, source: Input, markets: Mapping[str, MarketSettings], watch: Watch) -> None:
        self._source, self._markets, self._watch = source, markets, watch
        self._run = _fresh(wish.out / "run")
        self._policy = policy_for(load_policy(POLICY_FILE), source)
        (self._run / "policy.toml").write_text(
            tomli_w.dumps(self._policy.model_dump(mode="json", exclude_none=True)), encoding="utf-8"
        )
        self._processes = Processes(self._run / "logs")
        self._client = httpx2.AsyncClient(timeout=5.0, trust_env=False)
        chain, feed, *nodes = free_ports(2 + len(NODES))
        self._anvil = Anvil(f"http://127.0.0.1:{chain}", self._client)
        self._feed_url = f"http://127.0.0.1:{feed}"
        self._urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(NODES, nodes, strict=True)}
        self._members: dict[str, str] = {}
        self._enough = asyncio.Event()

    @asynccontextmanager
    async def set(self) -> AsyncIterator[Stage]:
        """Everything up and running; everything gone afterwards, however it ends."""
        async with self._client, self._processes:
            await self._network()
            await self._chain()
            await self._keys()
            await self._contracts()
            self._clock = _clock(self._source)
            await self._venues()
            await self._nodes()
            async with self._blocks(), self._eyes():
                yield self

    async def play(self) -> list[RoundRow]:
        """The opening round puts figures on chain, the account trades on them, and the counted rounds follow."""
        self._watch.say("opening round: first figures on chain, then the demonstration account takes its positions")
        await self._account.open(await self._opened(), self._clock.now_ms())
        first = self._next_round()
        rows: list[RoundRow] = []
        with self._ending_early():
            for round_ in range(first, first + self._source.rounds):
                await self._after(round_)
                rows.append(await self._observer.look(round_))
                self._watch.round(rows[-1])
                ended = self._processes.ended()
                self._watch.state({name: "stopped" if name in ended else "running" for name in NODES})
                if self._enough.is_set():
                    break
        return rows

    async def _opened(self) -> ChainState:
        """The oracle once every market has figures: a member that boots slowly misses a round, and that is no fault."""
        for _ in range(OPENING_ROUNDS):
            await self._after(self._next_round())
            state = await self._oracle.state()
            if all(market.observed_at_s for market in state.markets):
                return state
        raise Fatal(
            f"some market has no figures on chain after {OPENING_ROUNDS} rounds", advice=f"read {self._run}/logs"
        )

    @contextmanager
    def _ending_early(self) -> Iterator[None]:
        """The first Ctrl-C ends with the round and writes what was seen; the second ends at once."""
        loop = asyncio.get_running_loop()

        def enough() -> None:
            self._watch.say("ending with this round; Ctrl-C again ends at once")
            self._enough.set()
            loop.remove_signal_handler(signal.SIGINT)

        loop.add_signal_handler(signal.SIGINT, enough)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def summary(self, rows: Sequence[RoundRow]) -> Summary:
        with closing(Journal(self._run / NODES[0] / "state" / "journal.sqlite")) as journal:
            falls = feared(journal, rows, tuple(self._markets))
        told = summarise(
            rows,
            source=self._source,
            policy=self._policy,
            markets=tuple(self._markets),
            members=tuple(self._members.values()),
            quorum=QUORUM,
            chain_id=CHAIN_ID,
            deployment=self._deployment,
            model_set=self._model_set,
            portfolio=self._account.positions,
            versions={name: version(name) for name in ("margrave", "onnxruntime", "numpy", "web3")}
            | {"python": platform.python_version()},
        )
        return msgspec.structs.replace(told, falls=falls)

    # setting it, in order

    async def _network(self) -> None:
        """Say at once that there is no network, not after a minute of rounds without readings."""
        if self._source.feed:
            return
        hosts = {str(venue["base_url"]) for venue in self._source.venues("").values()}
        self._watch.say(f"network: asking {len(hosts)} public venues")
        if not any(await asyncio.gather(*(self._reached(host) for host in hosts))):
            raise Fatal(
                f"no venue answers: {', '.join(sorted(hosts))}",
                advice="check the network; `scripts/demo` without --live needs none",
            )

    async def _chain(self) -> None:
        self._watch.say("chain: anvil")
        if not ANVIL.exists():
            raise Fatal(f"{ANVIL} is missing", advice="run scripts/setup")
        began_s = (self._source.start_ms or wall_ms()) // 1000 - DAY_S
        port = self._anvil.url.rsplit(":", 1)[1]
        options = ("--port", port, "--chain-id", str(CHAIN_ID), "--timestamp", str(began_s), "--accounts", "0")
        await self._processes.start("anvil", [str(ANVIL), *options])
        await self._processes.until("anvil", self._anvil.is_up, patience_s=30)

    async def _keys(self) -> None:
        self._watch.say(f"members: {', '.join(NODES)}, each with an encrypted keystore of its own")
        made = await asyncio.gather(*(asyncio.to_thread(init, self._run / name, Plan(name=name)) for name in NODES))
        self._members = dict(zip(made, NODES, strict=True))
        await self._anvil.fund(Key.from_key(DEPLOYER_KEY).address, 1_000)
        for address in self._members:
            await self._anvil.fund(address, GAS_MONEY_ETHER)

    async def _contracts(self) -> None:
        kind = self._policy.round.report.replace("_", " ")
        self._watch.say(f"contracts: oracle ({kind}, quorum {QUORUM} of {len(NODES)}), options clearinghouse")
        self._model_set = model_set_hash([open_model(REGISTRY, name) for name in self._policy.models.names])
        self._deployment = await asyncio.to_thread(
            deploy,
            self._anvil.url,
            DEPLOYER_KEY,
            self._policy,
            markets=len(self._markets),
            members=list(self._members),
            quorum=QUORUM,
            model_set=self._model_set,
        )

    async def _venues(self) -> None:
        if not self._source.feed:
            self._watch.say("venues: the public ones")
            return
        self._watch.say(f"venues: a local server that speaks for five of them — {self._source.real}")
        clock = (self._clock.origin_ms, self._clock.wall_origin_ms, self._clock.speed)
        options = zip(("--origin-ms", "--origin-wall-ms", "--speed"), map(str, clock), strict=True)
        port = self._feed_url.rsplit(":", 1)[1]
        command = [*self._source.feed, "--port", port, *(word for option in options for word in option)]
        await self._processes.start("venues", command)
        await self._processes.until("venues", self._answering(f"{self._feed_url}/_lab/status"), patience_s=60)

    async def _nodes(self) -> None:
        self._watch.say("nodes: starting four")
        for name in NODES:
            configure(self._run / name, self._plan(name))
            config = str(self._run / name / "node.toml")
            await self._processes.start(name, [sys.executable, "-m", "margrave", "run", "--config", config])
        for name, url in self._urls.items():
            await self._processes.until(name, self._answering(f"{url}/live"), patience_s=60)

    def _plan(self, name: str) -> Plan:
        clock = None
        if self._source.start_ms is not None:
            clock = ClockSettings(
                origin_ms=self._clock.origin_ms, wall_origin_ms=self._clock.wall_origin_ms, speed=self._clock.speed
            )
        return Plan(
            name=name,
            rpc=(self._anvil.url,),
            chain_id=CHAIN_ID,
            oracle=self._deployment.oracle,
            clearinghouse=self._deployment.clearinghouse,
            confirmations=0,
            peers=tuple(url for other, url in self._urls.items() if other != name),
            port=int(self._urls[name].rsplit(":", 1)[1]),
            venues=self._source.venues(self._feed_url),
            chains=self._source.chains(self._feed_url),
            clock=clock,
            policy_file=(self._run / "policy.toml").resolve(),
        )

    @asynccontextmanager
    async def _blocks(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        miner = asyncio.create_task(self._anvil.mine_at_market_time(self._clock, stop))
        try:
            yield
        finally:
            stop.set()
            await miner

    @asynccontextmanager
    async def _eyes(self) -> AsyncIterator[None]:
        """What looks at the chain for us: as a contract reader would, with no node in between."""
        settings = ChainSettings(rpc=[self._anvil.url], chain_id=CHAIN_ID, oracle=self._deployment.oracle)
        async with aclosing(Rpc(settings)) as rpc:
            self._oracle = Oracle(rpc, self._deployment.oracle)
            self._account = DemoAccount(self._anvil, self._deployment, self._markets)
            self._observer = Observer(
                anvil=self._anvil,
                oracle=self._oracle,
                clock=self._clock,
                account=self._account,
                markets=tuple(self._markets),
                members=self._members,
                urls=self._urls,
                period_s=self._source.period_s,
                client=self._client,
            )
            yield

    # playing

    def _next_round(self) -> int:
        return self._clock.now_ms() // (self._source.period_s * 1000) + 1

    async def _after(self, round_: int) -> None:
        """Just before the next round begins: what was going to happen in this one has happened."""
        period_ms = self._source.period_s * 1000
        await self._clock.sleep_until_ms(round(period_ms * (round_ + 0.95)))
        ended = self._processes.ended()
        if len(ended) > len(NODES) - QUORUM:
            raise Fatal(f"{ended[0]} stopped: {self._processes.last_line(ended[0])}", advice=f"read {self._run}/logs")

    async def _reached(self, host: str) -> bool:
        try:
            await self._client.get(host)
        except httpx2.HTTPError:
            return False
        return True  # whatever it says: a refusal of our address is the adapter's to name

    def _answering(self, url: str) -> Callable[[], Awaitable[bool]]:
        async def answers() -> bool:
            try:
                return (await self._client.get(url)).is_success
            except httpx2.HTTPError:
                return False

        return answers


def _fresh(folder: Path) -> Path:
    """The last run's keys and journals are of no use to this one, whose chain is new."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _clock(source: Input) -> Clock:
    """Market time such that the first round comes when the nodes have started."""
    if source.start_ms is None:
        return Clock()
    return Clock(
        origin_ms=source.start_ms - source.period_s * 1000 - round(BOOT_S * 1000 * source.speed),
        wall_origin_ms=wall_ms(),
        speed=source.speed,
    )
