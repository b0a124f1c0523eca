"""The options protocol's own book: how well its accounts are covered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from margrave.collect.chains.abi import Call, one
from margrave.collect.chains.logs import Log, LogFilter
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.reader import Sweep
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind, Refusal, ScalarReading
from margrave.verdicts import Rejection

RATIO_CAP: Final = 1_000.0
"""A book without positions is covered without limit; beyond this the ratio says nothing more."""
PAGE: Final = 32
"""Accounts a call: what a node's limit on a call's gas has room for when all of them hold all they may."""
MOST_ACCOUNTS: Final = 16_384
"""Beyond it the book is not read: its pages would take longer than a round."""


@dataclass(frozen=True, slots=True)
class Totals:
    """`totals`: sums over a page of accounts, micro-dollars. `value` may be negative."""

    assets: int
    value: int
    maintenance: int


ACCOUNTS: Final[Call[int]] = Call("accountCount()", "(uint256)", one)
TOTALS: Final = Call("totals(uint256,uint256)", "(uint256,int256,uint256)", Totals)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolWatcher:
    """Adds up the clearinghouse's accounts, page by page and all at one block."""

    chain_id: int
    clearinghouse: str
    markets: Sequence[str]

    @property
    def source(self) -> str:
        return f"chain:{self.chain_id}"

    @property
    def every_s(self) -> float:
        return 0.0

    @property
    def history_s(self) -> float:
        return 0.0

    def wanted(self) -> LogFilter:
        """None: its sums are read whole each time."""
        return LogFilter()

    def heard(self, log: Log, time_ms: int) -> Iterable[Item]:
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"a log that nobody asked for, of {log.address} at {time_ms} ms")

    def withdrawn(self, log: Log) -> None: ...

    def forget(self) -> None: ...

    async def read(self, sweep: Sweep, seen_ms: int) -> Iterable[Item]:
        count = await sweep.one(Question(self.clearinghouse, ACCOUNTS))
        if isinstance(count, Rejected):
            return [self._no_clearinghouse(count)]
        if count > MOST_ACCOUNTS:
            return [self._refusal(f"{count} accounts are more than the {MOST_ACCOUNTS} that are read")]
        equity = required = 0
        for start in range(0, count, PAGE):
            page = await sweep.one(Question(self.clearinghouse, TOTALS, (start, PAGE)))
            if isinstance(page, Rejected):
                return [self._no_clearinghouse(page)]
            equity += page.assets + page.value
            required += page.maintenance
        ratio = min(equity / required, RATIO_CAP) if required else RATIO_CAP
        return [
            ScalarReading(
                source=self.source,
                market=market,
                instrument=self.clearinghouse,
                venue_time_ms=sweep.block.time_ms,
                seen_time_ms=seen_ms,
                kind=Kind.COLLATERAL_RATIO,
                value=ratio,
            )
            for market in self.markets
        ]

    def _no_clearinghouse(self, rejected: Rejected) -> Refusal:
        return self._refusal(f"{self.clearinghouse} does not answer as a clearinghouse: {rejected.problem}")

    def _refusal(self, detail: str) -> Refusal:
        return Refusal(source=self.source, market="*", what="totals", reason=Rejection.MALFORMED, detail=detail)
