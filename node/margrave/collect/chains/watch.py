"""What can be watched on a chain, and the loop that does it: follow the head, hand out logs, read state at its block.

A watcher is an adapter of one protocol (`lending/`, `pools/`, ...). It says which logs it wants, is told each log once
and again if its block is orphaned, and is given a `Sweep` when it is due, to read what it wants at that one block. It
does no I/O but through the sweep, keeps bounded state, and one that fails stops no other.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final, Protocol, runtime_checkable

from margrave.collect.board import Board
from margrave.collect.chains.checkpoint import Checkpoint, CheckpointFile
from margrave.collect.chains.follow import Advance, Follower
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.reader import Reader, Sweep
from margrave.collect.source import Clock, Item, Trouble, VenueTrouble
from margrave.errors import MargraveError, Rejected, Transient
from margrave.messages import Refusal
from margrave.ops import log as our_log

MOST_CATCH_UP_BLOCKS: Final = 200_000
"""A month of Ethereum; who was away longer begins there, and says so."""
STEPS_A_POLL: Final = 200
FOLLOW_WALL_S: Final = 20.0
"""Ranges of one poll, and how long it may take for them: state is read in between, and the next poll goes on."""
SHORTEST_POLL_S: Final = 0.2
"""Of the wall's clock, however fast the market's runs."""
POLLS_TO_START: Final = 5
"""So often the logs wait for a watcher that cannot read; then they are followed without it."""
SAVE_EVERY_S: Final = 60.0
READ_WALL_S: Final = 120.0
"""The wall's seconds that one watcher's reads may take."""
SHORTEST_BLOCK_S: Final = 0.05
PACE_BLOCKS: Final = 1_000
"""Over so many blocks the chain's pace is measured, to turn seconds of history into blocks."""


class Watcher(Protocol):
    """One protocol on one chain."""

    @property
    def source(self) -> str:
        """Who speaks, for readings, gauges and refusals: "aave_v3:1" is Aave v3 on chain 1."""

    @property
    def every_s(self) -> float:
        """Seconds between two `read`s; logs are handed out at each poll all the same."""

    @property
    def history_s(self) -> float:
        """How far back logs are wanted when the node starts; 0: from now on."""

    def wanted(self) -> LogFilter:
        """Logs to be told; may grow while it runs (a new pool, a new market)."""

    def heard(self, log: Log, time_ms: int, /) -> Iterable[Item]:
        """One log that it wants, with its block's time. Raises `Rejected` for one that it cannot read."""

    def withdrawn(self, log: Log) -> None:
        """The block of a log that was told is orphaned: take it back."""

    def forget(self) -> None:
        """Logs will be told again from the beginning of `history_s` (start, or a reorganisation beyond finality)."""

    async def read(self, sweep: Sweep, seen_ms: int) -> Iterable[Item]:
        """State at the sweep's block. Raises `Transient` or `Rejected` where there is none to be had."""


@runtime_checkable
class Keeps(Protocol):
    """A watcher that wants something remembered over a restart, as plain JSON."""

    def state(self) -> Any: ...

    def restore(self, state: Any) -> None:
        """Raises `Rejected` where the state is not one of this version: then it starts empty."""


@dataclass(slots=True, kw_only=True)
class ChainWatch:
    """Runs the watchers of one chain. A chain that does not answer is counted, and asked again at the next poll."""

    name: str
    """As in [chains.<name>]."""
    chain_id: int
    reader: Reader
    watchers: Sequence[Watcher]
    board: Board
    clock: Clock
    every_s: float = 12.0
    """Between two polls, in the clock's seconds."""
    checkpoint: CheckpointFile | None = None
    close: Callable[[], Awaitable[None]] | None = None
    """Ends the connections."""
    logs_told: int = 0
    logs_withdrawn: int = 0
    restarts: int = 0
    """Reorganisations deeper than finality: raise `finality_blocks` where this is not zero."""
    _follower: Follower = field(init=False)
    _begin: dict[str, int] = field(init=False, default_factory=dict)
    """By source: logs of the blocks after it are wanted."""
    _due_ms: dict[str, int] = field(init=False, default_factory=dict)
    _saved_ms: int = field(init=False, default=0)
    _polls_to_start: int = field(init=False, default=POLLS_TO_START)

    def __post_init__(self) -> None:
        self._follower = Follower(self.reader)

    @property
    def source(self) -> str:
        return f"chain:{self.chain_id}"

    @property
    def final_block(self) -> int:
        """Up to here logs are read and will not be withdrawn; 0 before the start."""
        return self._follower.final.number if self._follower.final else 0

    async def watch(self) -> None:
        """Poll until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(max(self.clock.wall_s(self.every_s), SHORTEST_POLL_S))

    async def poll(self) -> None:
        """One sweep: follow the logs to its block, then let each watcher that is due read there. Never raises."""
        try:
            await self._poll()
        except Transient as trouble:
            self._fail(self.source, trouble)
        except Exception as error:
            # A fault of ours must not end the watching of a chain for good, let alone the round.
            self.board.fail(self.source, f"{self.source}: {type(error).__name__}: {error}", None)
            our_log.get().exception("a chain's watch failed: report it with the log", source=self.source)

    async def _poll(self) -> None:
        """At the start watchers read first, because some learn only then which contracts tell their logs."""
        sweep = await self.reader.sweep()
        read_first: frozenset[str] = frozenset()
        if not self._follower.started:
            read_first = await self._reads(sweep)
            self._polls_to_start -= 1
        if self._follower.started or self._polls_to_start <= 0 or all(w.source in self._due_ms for w in self.watchers):
            try:
                await self._follow(sweep)
            except Transient as trouble:
                self._fail(self.source, trouble)
        await self._reads(sweep, but=read_first)
        self._save()

    async def _reads(self, sweep: Sweep, *, but: frozenset[str] = frozenset()) -> frozenset[str]:
        """Those that are due, at once; their sources."""
        now_ms = self.clock.now_ms()
        due = [w for w in self.watchers if w.source not in but and now_ms >= self._due_ms.get(w.source, 0)]
        await asyncio.gather(*(self._read(watcher, sweep) for watcher in due))
        return frozenset(watcher.source for watcher in due)

    async def read_once(self, sweep: Sweep) -> None:
        """Every watcher's state at the sweep's block, logs aside: for a check."""
        await self._reads(sweep)

    async def aclose(self) -> None:
        if self.close is not None:
            await self.close()

    async def _follow(self, sweep: Sweep) -> None:
        ends_at = asyncio.get_running_loop().time() + FOLLOW_WALL_S
        for _ in range(STEPS_A_POLL):
            if asyncio.get_running_loop().time() > ends_at:
                break
            filters = {w.source: wanted for w in self.watchers if (wanted := w.wanted()).addresses}
            if not filters:
                return
            if not self._follower.started:
                await self._start(sweep)
            # Far back only those are asked for whose history reaches so far: a day of transfers is no three days.
            at = self._follower.reached
            wanted = reduce(LogFilter.__or__, (f for source, f in filters.items() if self._begin.get(source, 0) <= at))
            until = min((begin for source in filters if (begin := self._begin.get(source, 0)) > at), default=None)
            advance = await self._follower.step(sweep, wanted, until=until)
            self._tell(advance)
            if advance.complete:
                return
        final = self._follower.final
        our_log.get().info(
            "chain_catching_up", chain=self.name, block=final.number if final else None, head=sweep.block.number
        )

    def _tell(self, advance: Advance) -> None:
        if advance.restarted:
            self.restarts += 1
            our_log.get().error(
                "chain_reorganised",
                chain=self.name,
                problem=f"deeper than {self.reader.finality_blocks} blocks",
                advice=f"raise finality_blocks of [chains.{self.name}]; logs are read again",
            )
        filters = [(watcher, watcher.wanted()) for watcher in self.watchers]
        begin = self._begin
        for orphan in advance.withdrawn:
            self.logs_withdrawn += 1
            for watcher, wanted in filters:
                if wanted.wants(orphan):
                    watcher.withdrawn(orphan)
        for told in advance.heard:
            self.logs_told += 1
            for watcher, wanted in filters:
                if told.log.block > begin.get(watcher.source, 0) and wanted.wants(told.log):
                    self._hand(watcher, told.log, told.time_ms)

    def _hand(self, watcher: Watcher, log: Log, time_ms: int) -> None:
        try:
            for item in watcher.heard(log, time_ms):
                self.board.put(item)
        except Rejected as rejected:
            what = f"log {log.transaction}:{log.index}"
            self.board.put(
                Refusal(source=watcher.source, market="*", what=what, reason=rejected.reason, detail=rejected.problem)
            )
        except Exception as error:
            # A fault of ours in one adapter must not stop the others, let alone the round.
            self._broken(watcher, error)

    async def _read(self, watcher: Watcher, sweep: Sweep) -> None:
        try:
            async with asyncio.timeout(READ_WALL_S):
                items = await watcher.read(sweep, self.clock.now_ms())
            for item in items:
                self.board.put(item)
        except Rejected as rejected:
            self.board.put(
                Refusal(
                    source=watcher.source, market="*", what="state", reason=rejected.reason, detail=rejected.problem
                )
            )
        except Transient as trouble:
            self._fail(watcher.source, trouble)
            return  # due again at the next poll
        except TimeoutError:
            problem = f"{watcher.source}: its reads take longer than {READ_WALL_S:g} s"
            self._fail(watcher.source, VenueTrouble(Trouble.TIMEOUT, problem))
        except Exception as error:
            self._broken(watcher, error)
        self._due_ms[watcher.source] = self.clock.now_ms() + round(watcher.every_s * 1000)

    async def _start(self, sweep: Sweep) -> None:
        """Where each watcher begins: as far back as it wants, or where the last run stopped if it remembers that."""
        for watcher in self.watchers:
            watcher.forget()
        final_number = max(sweep.block.number - self.reader.finality_blocks, 0)
        left = await self._left_off(sweep, final_number)
        restored = self._restore(left) if left is not None else frozenset()
        pace_s = await self._pace_s(sweep)
        self._begin = {}
        for watcher in self.watchers:
            begin = final_number - math.ceil(watcher.history_s / pace_s)
            if left is not None and watcher.source in restored:
                begin = min(begin, left.number)
            if (missed := final_number - MOST_CATCH_UP_BLOCKS - begin) > 0 and begin > 0:
                begin += missed
                our_log.get().warning(
                    "chain_gap", source=watcher.source, problem=f"{missed} blocks are not read", advice="no action"
                )
            self._begin[watcher.source] = max(begin, 0)
        first = min(self._begin[w.source] for w in self.watchers if w.wanted().addresses)
        self._follower.start_after(await self.reader.block_by_number(first, sweep.endpoints))

    async def _left_off(self, sweep: Sweep, final_number: int) -> Checkpoint | None:
        """The last run's checkpoint, if its block is still on the chain."""
        left = None if self.checkpoint is None else self.checkpoint.load()
        if left is None:
            return None
        if left.number <= final_number and left.of(await self.reader.block_by_number(left.number, sweep.endpoints)):
            return left
        our_log.get().warning(
            "checkpoint",
            problem=f"block {left.number} of {self.name} is another now",
            advice="no action: the chain is read again from its history",
        )
        return None

    def _restore(self, left: Checkpoint) -> frozenset[str]:
        """Those that took their state back."""
        restored = set()
        for watcher in self.watchers:
            if isinstance(watcher, Keeps) and watcher.source in left.states:
                try:
                    watcher.restore(left.states[watcher.source])
                    restored.add(watcher.source)
                except Rejected as rejected:
                    our_log.get().warning(
                        "checkpoint", source=watcher.source, problem=rejected.problem, advice="no action"
                    )
        return frozenset(restored)

    async def _pace_s(self, sweep: Sweep) -> float:
        """Seconds a block, over the last thousand."""
        head = sweep.block
        if head.number == 0 or not any(watcher.history_s for watcher in self.watchers):
            return SHORTEST_BLOCK_S
        then = await self.reader.block_by_number(max(head.number - PACE_BLOCKS, 1), sweep.endpoints)
        return max((head.time_ms - then.time_ms) / 1000 / max(head.number - then.number, 1), SHORTEST_BLOCK_S)

    def _save(self) -> None:
        now_ms, final = self.clock.now_ms(), self._follower.final
        if self.checkpoint is None or final is None or now_ms - self._saved_ms < SAVE_EVERY_S * 1000:
            return
        states = {watcher.source: watcher.state() for watcher in self.watchers if isinstance(watcher, Keeps)}
        try:
            self.checkpoint.save(final, states)
        except OSError as error:
            our_log.get().warning("checkpoint", problem=str(error), advice="make room on state_dir's disk")
        self._saved_ms = now_ms

    def _fail(self, source: str, trouble: MargraveError) -> None:
        named = trouble.trouble if isinstance(trouble, VenueTrouble) else None
        self.board.fail(source, trouble.problem, named)
        our_log.get().warning("chain", source=source, problem=trouble.problem, advice=trouble.advice)

    def _broken(self, watcher: Watcher, error: Exception) -> None:
        self.board.fail(watcher.source, f"{watcher.source}: {type(error).__name__}: {error}", None)
        our_log.get().exception("a watcher failed: report it with the log", source=watcher.source)
