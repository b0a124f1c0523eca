"""The node as a process: one page that wires the stages together and keeps the rounds turning.

Crash-only: start-up is recovery. Journal and chain are read, pending transactions settled, and the node goes on;
there is no other way in.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from web3 import Web3

from margrave.attest.attester import Attester
from margrave.attest.ballots import Ballots
from margrave.attest.co_signer import CoSigner
from margrave.attest.exchange import Exchange
from margrave.attest.peers import Peers
from margrave.attest.pool import Pool
from margrave.attest.quorum import Domain
from margrave.attest.service import service
from margrave.chain.oracle import Oracle
from margrave.chain.rpc import Rpc
from margrave.chain.signer import KeystoreSigner
from margrave.collect.chains.build import protocol_watch, watches
from margrave.collect.chains.watch import ChainWatch
from margrave.collect.collector import Collector
from margrave.collect.recording.line import Tap
from margrave.collect.recording.recorder import recorder_of
from margrave.collect.sentiment.watcher import SentimentWatcher
from margrave.collect.venues.breadth import Breadth
from margrave.errors import Fatal, Rejected, Transient
from margrave.messages import Receipt
from margrave.ops import log
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.pipeline import Pipeline
from margrave.publish.publisher import Publisher
from margrave.publish.sender import Sender
from margrave.score.model_set import ModelSet
from margrave.settings import Settings
from margrave.spans import DAY_S
from margrave.status import status
from margrave.store.journal import Journal
from margrave.verdicts import Outcome

JOURNAL_DAYS: Final = 90
ROUNDS_TO_BE_READY: Final = 3
"""A node is ready when one of so many last rounds reached the chain."""


async def run(settings: Settings, *, rounds: int | None = None) -> list[Receipt]:
    """Run until SIGTERM or SIGINT, or for a number of rounds; returns how the rounds ended.

    Raises:
        Fatal: configuration, key, models or chain are wrong.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Node.assemble(settings) as node:
        await node.recover()
        return await node.turn(stop, rounds)


class Node:
    """One member: its pipeline, its collectors and what it serves."""

    def __init__(self, pipeline: Pipeline, collector: Collector, rpc: Rpc, sender: Sender, exchange: Exchange) -> None:
        self.pipeline = pipeline
        self._collector = collector
        self._rpc = rpc
        self._sender = sender
        self._exchange = exchange
        self._receipts: list[Receipt] = []
        self._chains: list[ChainWatch] = []

    @classmethod
    @asynccontextmanager
    async def assemble(cls, settings: Settings) -> AsyncIterator[Node]:
        """Everything a node is made of, in the order of the pipeline; all of it closed again, however it ends."""
        node, policy = settings.node, settings.policy
        async with AsyncExitStack() as held:
            held.enter_context(_alone(node.state_dir))
            journal = held.enter_context(contextlib.closing(Journal(node.journal_file)))
            clock, metrics = Clock.of(node.clock), Metrics()
            signer = KeystoreSigner.unlock(node.keys)
            scorer = ModelSet.of(policy, node.registry_dir).scorer(settings.markets)
            rpc = await held.enter_async_context(contextlib.aclosing(Rpc(node.chain)))
            await rpc.verify_chain()
            oracle = Oracle(rpc, node.chain.oracle)
            poll_s = policy.round.poll_s
            tap: Tap | None = None
            if node.recording is not None:
                tap = await held.enter_async_context(recorder_of(node, node.recording, clock))
            collector = Collector(node, settings.markets, clock=clock, interval_s=poll_s, tap=tap)
            exchange = Exchange(
                peers=await held.enter_async_context(Peers(node.peers.urls, timeout_s=node.chain.timeout_s)),
                pool=Pool(),
                ballots=Ballots(),
                journal=journal,
                metrics=metrics,
                domain=Domain(node.chain.chain_id, node.chain.oracle),
            )
            sender = Sender(
                rpc=rpc,
                signer=signer,
                journal=journal,
                clock=clock,
                metrics=metrics,
                chain_id=node.chain.chain_id,
                max_fee_gwei=node.chain.max_fee_gwei,
                confirmations=node.chain.confirmations,
            )
            pipeline = Pipeline(
                settings=settings,
                clock=clock,
                metrics=metrics,
                journal=journal,
                board=collector.board,
                scorer=scorer,
                oracle=oracle,
                attester=Attester(signer=signer, exchange=exchange, clock=clock),
                co_signer=CoSigner(signer=signer, exchange=exchange, clock=clock),
                publisher=Publisher(oracle=oracle, sender=sender, clock=clock, address=signer.address),
            )
            assembled = cls(pipeline, collector, rpc, sender, exchange)
            watching = assembled._watching_chains(), assembled._watching_moods(tap)
            async with collector, watching[0], watching[1], assembled._serving(), assembled._slow_jobs():
                yield assembled

    async def recover(self) -> None:
        """Go on from what the last run saw, and settle what it left open."""
        await asyncio.to_thread(self.pipeline.recall, self.pipeline.clock.now_ms())
        with contextlib.suppress(Transient):
            await self._sender.reconcile()

    async def turn(self, stop: asyncio.Event, rounds: int | None) -> list[Receipt]:
        """Round after round at `round * period`, none twice; a round that fails is logged and the next one comes."""
        period_ms = self.pipeline.settings.policy.round.period_s * 1000
        clock, done = self.pipeline.clock, 0
        while not stop.is_set() and (rounds is None or done < rounds):
            round_ = clock.now_ms() // period_ms + 1
            if await _told_to(stop, clock.sleep_until_ms(round_ * period_ms)) or await _told_to(
                stop, self.once(round_)
            ):
                break
            done += 1
        return self._receipts

    async def once(self, round_: int) -> Receipt:
        """One round with a deadline: what is not done by its end is given up, so that rounds never pile up."""
        settings = self.pipeline.settings
        try:
            async with asyncio.timeout(self.pipeline.clock.wall_s(settings.policy.round.period_s)):
                receipt = await self.pipeline.run(round_)
        except (Transient, Rejected, TimeoutError) as error:
            late = "deadline: the round took longer than its period"
            why = late if isinstance(error, TimeoutError) else str(error)
            receipt = Receipt(
                round=round_,
                outcome=Outcome.FAILED,
                transaction=None,
                block=None,
                gas_used=None,
                publisher=None,
                detail=why,
            )
        self._receipts.append(receipt)
        self.pipeline.journal.ended(round_, receipt.outcome, receipt.detail)
        self.pipeline.metrics.rounds.labels(outcome=receipt.outcome).inc()
        self.pipeline.metrics.polls_skipped.set(self._collector.polls_skipped)
        self.pipeline.metrics.last_round_time.set(round_ * settings.policy.round.period_s)
        self._tell_of_chains()
        log.get().info("round", round=round_, outcome=receipt.outcome, detail=receipt.detail, gas=receipt.gas_used)
        return receipt

    def _status(self) -> Mapping[str, Any]:
        return status(self.pipeline, self._receipts[-ROUNDS_TO_BE_READY:], self._collector.board.health())

    @asynccontextmanager
    async def _watching_chains(self) -> AsyncIterator[None]:
        """The protocol's own book at the venues' pace, if it has one, and the chains of [chains] at theirs."""
        self._chains = found = self._watches()
        tasks = [asyncio.create_task(watch.watch()) for watch in found]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for watch in found:
                await watch.aclose()

    def _tell_of_chains(self) -> None:
        metrics = self.pipeline.metrics
        for watch in self._chains:
            metrics.chain_block.labels(chain=watch.name).set(watch.final_block)
            metrics.chain_withdrawn.labels(chain=watch.name).set(watch.logs_withdrawn)
            metrics.chain_restarts.labels(chain=watch.name).set(watch.restarts)
            for endpoint in watch.reader.endpoints:
                of = {"chain": watch.name, "endpoint": endpoint.name}
                metrics.rpc_lag.labels(**of).set(endpoint.conduct.lag_blocks)
                metrics.rpc_asked.labels(**of).set(endpoint.conduct.asked)
                metrics.rpc_failures.labels(**of).set(endpoint.conduct.failures)
                metrics.rpc_disagreements.labels(**of).set(endpoint.conduct.disagreements)

    def _watches(self) -> list[ChainWatch]:
        settings, clock, board = self.pipeline.settings, self.pipeline.clock, self._collector.board
        node, markets = settings.node, tuple(settings.markets)
        found = watches(node.chains, markets, board=board, clock=clock, state_dir=node.state_dir)
        if (house := node.chain.clearinghouse) is not None:
            every_s = settings.policy.round.poll_s
            found.append(
                protocol_watch(self._rpc, node.chain, house, markets, every_s=every_s, board=board, clock=clock)
            )
        return found

    @asynccontextmanager
    async def _watching_moods(self, tap: Tap | None) -> AsyncIterator[None]:
        """Sentiment, and the breadth of venues, each at its own slow pace; what is not configured is not asked."""
        node = self.pipeline.settings.node
        watcher = SentimentWatcher(
            settings=node.sentiment,
            markets=tuple(self.pipeline.settings.markets),
            board=self._collector.board,
            clock=self.pipeline.clock,
            past_file=node.state_dir / "funding.json",
            tap=tap,
        )
        breadth = Breadth(node.breadth, self.pipeline.settings.markets, self._collector.board, self.pipeline.clock)
        tasks = [asyncio.create_task(watcher.watch()), asyncio.create_task(breadth.watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        """The HTTP service in this loop; it leaves the signals to us."""
        peers = self.pipeline.settings.node.peers
        app = service(self._exchange.pool, self._exchange.ballots, self.pipeline.metrics, self._status)
        server = _QuietServer(uvicorn.Config(app, host=peers.host, port=peers.port, log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve())
        try:
            while not server.started and not task.done():  # noqa: ASYNC110  (uvicorn offers no event)
                await asyncio.sleep(0.01)
            if task.done():
                raise Fatal(
                    f"cannot listen on {peers.host}:{peers.port}", advice="choose another peers.port in node.toml"
                )
            yield
        finally:
            server.should_exit = True
            await task

    @asynccontextmanager
    async def _slow_jobs(self) -> AsyncIterator[None]:
        """Calendar jobs, with explicit misfire rules: a missed run is made up once, never several times."""
        scheduler = AsyncIOScheduler(job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600})
        scheduler.add_job(self._prune, "interval", hours=6)
        scheduler.add_job(self._look_at_wallet, "interval", minutes=5)
        scheduler.start()
        try:
            yield
        finally:
            scheduler.shutdown(wait=False)

    def _prune(self) -> None:
        period_s = self.pipeline.settings.policy.round.period_s
        now_round = self.pipeline.clock.now_ms() // (period_s * 1000)
        gone = self.pipeline.journal.prune(now_round - JOURNAL_DAYS * DAY_S // period_s)
        log.get().info("journal pruned", rounds=gone, advice="no action")

    async def _look_at_wallet(self) -> None:
        address = Web3.to_checksum_address(self.pipeline.member)
        with contextlib.suppress(Transient):
            self.pipeline.metrics.wallet.set(await self._rpc.use(lambda w: w.eth.get_balance(address)))


class _QuietServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _told_to(stop: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Do the work, or drop it when told to stop; whether it was dropped. Dropping is safe at any instruction."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    dropped = not working.done()
    for task in (working, stopping):
        task.cancel()
    await asyncio.gather(working, stopping, return_exceptions=True)
    if not dropped:
        working.result()
    return dropped


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Two processes with one key would race for nonces and could sign a round twice: the second one stops here."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Fatal(
                f"another node runs on {state_dir}", advice="stop it first, or give this one its own state_dir and key"
            ) from error
        yield
