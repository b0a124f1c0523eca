"""The local chain's blocks: anvil, mined by us so that block time is market time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from margrave.errors import Transient
from margrave.ops.clock import Clock

BLOCK_EVERY_S: Final = 0.25
"""Wall seconds: many blocks a round, so that waiting for one is a small part of it."""


@dataclass(frozen=True, slots=True)
class Anvil:
    """JSON-RPC to anvil, with the calls that only a development chain has."""

    url: str
    client: httpx2.AsyncClient

    async def call(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            answer = (await self.client.post(self.url, json=body)).json()
        except (httpx2.HTTPError, ValueError) as error:
            raise Transient(f"anvil: {error!r}", advice="read anvil.log") from error
        if "error" in answer:
            raise Transient(f"anvil: {method}: {answer['error']['message']}", advice="read anvil.log")
        return answer["result"]

    async def is_up(self) -> bool:
        try:
            await self.call("eth_chainId")
        except Transient:
            return False
        return True

    async def fund(self, address: str, ether: int) -> None:
        await self.call("anvil_setBalance", address, hex(ether * 10**18))

    async def mine_at_market_time(self, clock: Clock, stop: asyncio.Event) -> None:
        """A block every `BLOCK_EVERY_S` with the market's time on it, one a market second at most, until told."""
        await self.call("evm_setAutomine", False)
        newest = int((await self.call("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
        while not stop.is_set():
            now_s = clock.now_ms() // 1000
            if now_s > newest:
                newest = now_s
                await self.call("evm_setNextBlockTimestamp", newest)
                await self.call("evm_mine")
            await asyncio.sleep(BLOCK_EVERY_S)
