"""What can be watched on a chain, and the loop that does it: follow the head, hand out logs, read state at its block.

A watcher is an adapter of one protocol (`lending/`, `pools/`, ...). It says which logs it wants, is told each log once
and again if its block is orphaned, and is given a `Sweep` when it is due, to read what it wants at that one block. It
does no I/O but through the sweep, keeps bounded state, and one that fails stops no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.reader import Sweep
from margrave.collect.source import Item


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

    def heard(self, log: Log, time_ms: int) -> Iterable[Item]:
        """One log that it wants, with its block's time. Raises `Rejected` for one that it cannot read."""

    def withdrawn(self, log: Log) -> None:
        """The block of a log that was told is orphaned: take it back."""

    def forget(self) -> None:
        """Logs will be told again from the beginning of `history_s` (start, or a reorganisation beyond finality)."""

    async def read(self, sweep: Sweep, seen_ms: int) -> Iterable[Item]:
        """State at the sweep's block. Raises `Transient` or `Rejected` where there is none to be had."""
