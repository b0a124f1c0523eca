"""Follow one chain's head: every log once, in order, and taken back when its block is orphaned.

Blocks deeper than `finality_blocks` are read by range. Above them the headers are kept, parent by parent: a new head is
walked back until it meets a kept one, what stood above that is withdrawn with its logs, and the logs of each new block
are asked for by its hash. So an answer of another fork, or of an endpoint that does not have the block yet, can never
pass for «no logs». What is kept is bounded by the finality depth.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from margrave.collect.chains.blocks import Block
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.reader import Reader, Sweep


@dataclass(frozen=True, slots=True)
class Told:
    """A log, and when its block was made; between two blocks of a final range that is interpolated."""

    log: Log
    time_ms: int


@dataclass(frozen=True, slots=True)
class Advance:
    """One step towards the sweep's block."""

    heard: tuple[Told, ...] = ()
    withdrawn: tuple[Log, ...] = ()
    """Logs that were told before and whose blocks are orphans now, newest first; they come before `heard`."""
    complete: bool = True
    """Whether the step reached the sweep's block."""
    restarted: bool = False
    """The chain was reorganised deeper than finality: what was told so far cannot be taken back one by one."""


@dataclass(frozen=True, slots=True)
class _Link:
    block: Block
    logs: tuple[Log, ...]


class Follower:
    """Where we are on one chain. A step that fails changes nothing and can be taken again."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._base: Block | None = None
        """The newest block that is covered and final; `_tail` continues from it without a gap."""
        self._tail: deque[_Link] = deque()

    @property
    def started(self) -> bool:
        return self._base is not None

    @property
    def final(self) -> Block | None:
        """Up to here nothing will be withdrawn: where a restart goes on."""
        return self._base

    @property
    def kept(self) -> int:
        """Headers held."""
        return len(self._tail)

    @property
    def reached(self) -> int:
        """The newest block whose logs were told; 0 before the start."""
        return self._top.number if self._base is not None else 0

    def start_after(self, base: Block) -> None:
        """The first logs will be those of the block after `base`, which must be final."""
        self._base = base
        self._tail.clear()

    async def step(self, sweep: Sweep, wanted: LogFilter, *, until: int | None = None) -> Advance:
        """Towards `sweep.block`: a range of final blocks, or the blocks above them.

        Args:
            until: a range ends there at the latest, because from then on something else is wanted.

        Raises:
            Transient: an endpoint did not answer, or the head was orphaned meanwhile.
        """
        assert self._base is not None, "start_after comes first"
        if not wanted.addresses or self._holds(sweep.block):
            return Advance()
        final_number = sweep.block.number - self._reader.finality_blocks
        if self._top.number < final_number:
            return await self._catch_up(sweep, wanted, min(final_number, until or final_number))
        return await self._walk(sweep, wanted, final_number)

    async def _catch_up(self, sweep: Sweep, wanted: LogFilter, last_number: int) -> Advance:
        """All that is kept is final by now: settle it, then one range of logs."""
        assert self._base is not None
        if self._tail:
            return await self._settle(sweep)
        base = self._base
        found, until = await self._reader.logs_of_range(wanted, base.number + 1, last_number, sweep.endpoints)
        last = await self._reader.block_by_number(until, sweep.endpoints)
        self._base = last
        return Advance(tuple(Told(log, _between(base, last, log)) for log in found), complete=False)

    async def _settle(self, sweep: Sweep) -> Advance:
        """Drop kept blocks that turned final; those that were orphaned while we were away are withdrawn."""
        assert self._base is not None
        survivors = list(self._tail)
        orphans: list[_Link] = []
        while survivors:
            now = await self._reader.block_by_number(survivors[-1].block.number, sweep.endpoints)
            if now.hash == survivors[-1].block.hash:
                break
            orphans.append(survivors.pop())
        if survivors:
            self._base = survivors[-1].block
        elif (await self._reader.block_by_number(self._base.number, sweep.endpoints)).hash != self._base.hash:
            return self._restart()
        self._tail.clear()
        return Advance(withdrawn=_logs_of(orphans), complete=False)

    async def _walk(self, sweep: Sweep, wanted: LogFilter, final_number: int) -> Advance:
        assert self._base is not None
        kept = {link.block.number: link.block.hash for link in self._tail} | {self._base.number: self._base.hash}
        fresh = [sweep.block]
        while kept.get(fresh[-1].number - 1) != fresh[-1].parent:
            if fresh[-1].number - 1 <= self._base.number:
                return self._restart()
            fresh.append(await self._reader.block_by_hash(fresh[-1].parent, sweep.endpoints))
        joined = fresh[-1].number - 1
        links = [
            _Link(block, tuple(await self._reader.logs_of_block(wanted, block, sweep.endpoints)))
            for block in reversed(fresh)
        ]
        orphans: list[_Link] = []
        while self._tail and self._tail[-1].block.number > joined:
            orphans.append(self._tail.pop())
        self._tail.extend(links)
        while self._tail and self._tail[0].block.number <= final_number:
            self._base = self._tail.popleft().block
        heard = tuple(Told(log, link.block.time_ms) for link in links for log in link.logs)
        return Advance(heard, _logs_of(orphans))

    def _restart(self) -> Advance:
        self._base = None
        self._tail.clear()
        return Advance(complete=False, restarted=True)

    def _holds(self, block: Block) -> bool:
        """A head that we know already: an endpoint that is a little behind is not a reorganisation."""
        assert self._base is not None
        return block.hash == self._base.hash or any(link.block.hash == block.hash for link in self._tail)

    @property
    def _top(self) -> Block:
        assert self._base is not None
        return self._tail[-1].block if self._tail else self._base


def _logs_of(orphans: list[_Link]) -> tuple[Log, ...]:
    return tuple(log for link in orphans for log in reversed(link.logs))


def _between(first: Block, last: Block, log: Log) -> int:
    """A log's time: the node's where it tells it, else in proportion to its block's place between two known ones."""
    if log.time_ms is not None and first.time_ms <= log.time_ms <= last.time_ms:
        return log.time_ms
    share = (log.block - first.number) / max(last.number - first.number, 1)
    return first.time_ms + round(share * (last.time_ms - first.time_ms))
