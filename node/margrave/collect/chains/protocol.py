"""The options protocol's own book: how well its accounts are covered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from web3 import Web3
from web3.exceptions import BadFunctionCallOutput, ContractLogicError, Web3RPCError

from margrave.chain import artifacts
from margrave.chain.rpc import Rpc
from margrave.chain.rpc import Web3 as Endpoint
from margrave.collect.board import Board
from margrave.collect.source import Clock
from margrave.errors import Transient
from margrave.messages import Kind, Refusal, ScalarReading
from margrave.ops import log
from margrave.verdicts import Rejection

RATIO_CAP: Final = 1_000.0
"""A book without positions is covered without limit; beyond this the ratio says nothing more."""
PAGE: Final = 32
"""Accounts a call: what a node's limit on a call's gas has room for when all of them hold all they may."""
MOST_ACCOUNTS: Final = 16_384
"""Beyond it the book is not read: its pages would take longer than a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolWatcher:
    """Adds up the clearinghouse's accounts, page by page and all at one block."""

    rpc: Rpc
    chain_id: int
    clearinghouse: str
    markets: Sequence[str]
    board: Board
    clock: Clock

    @property
    def source(self) -> str:
        return f"chain:{self.chain_id}"

    async def watch(self, every_s: float) -> None:
        """Poll until cancelled; a chain that does not answer is counted and asked again."""
        while True:
            await self.poll()
            await asyncio.sleep(every_s)

    async def poll(self) -> None:
        try:
            await self.rpc.use(self._read)
        except Transient as error:
            self.board.fail(self.source, error.problem, None)
            log.get().warning("chain", problem=error.problem, advice=error.advice)
        except (BadFunctionCallOutput, ContractLogicError, Web3RPCError) as error:
            self._refuse("totals", f"{self.clearinghouse} does not answer as a clearinghouse: {error}")

    async def _read(self, web3: Endpoint) -> None:
        block = await web3.eth.get_block("latest")
        contract = web3.eth.contract(
            address=Web3.to_checksum_address(self.clearinghouse), abi=artifacts.load("OptionsClearinghouse").abi
        )
        count = await contract.functions.accountCount().call(block_identifier=block["number"])
        if count > MOST_ACCOUNTS:
            self._refuse("totals", f"{count} accounts are more than the {MOST_ACCOUNTS} that are read")
            return
        equity = required = 0
        for start in range(0, count, PAGE):
            page = contract.functions.totals(start, PAGE)
            assets, value, maintenance = await page.call(block_identifier=block["number"])
            equity += assets + value
            required += maintenance
        time_ms = block["timestamp"] * 1000
        ratio = min(equity / required, RATIO_CAP) if required else RATIO_CAP
        for market in self.markets:
            self._put(market, Kind.COLLATERAL_RATIO, ratio, time_ms)

    def _put(self, market: str, kind: Kind, value: float, time_ms: int) -> None:
        self.board.put(
            ScalarReading(
                source=self.source,
                market=market,
                instrument=self.clearinghouse,
                venue_time_ms=time_ms,
                seen_time_ms=self.clock.now_ms(),
                kind=kind,
                value=value,
            )
        )

    def _refuse(self, what: str, detail: str) -> None:
        self.board.put(Refusal(source=self.source, market="*", what=what, reason=Rejection.MALFORMED, detail=detail))
