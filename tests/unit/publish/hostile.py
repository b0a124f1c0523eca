"""A chain behind real JSON-RPC that behaves as badly as real ones: it sits on transactions, drops them, dies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import rlp
from aiohttp import web
from aiohttp.test_utils import TestServer
from eth_utils.crypto import keccak

CHAIN_ID = 31337
REFUSED = -32000


@dataclass
class HostileChain:
    """Mines a transaction once `wants_max_fee` is met; replaces by Geth's rule (a tenth more in both fee fields)."""

    wants_max_fee: int = 0
    base_fee: int = 10
    chain_id: int = CHAIN_ID
    drops: int = 0
    """So many sends are acknowledged and forgotten."""
    reverts: bool = False
    refuses: str = ""
    """What it says when it is asked how much gas a transaction needs, instead of an answer."""
    reorgs: int = 0
    """So many times a mined transaction goes back among the pending ones."""
    down: bool = False
    overloaded: bool = False
    nonce: int = 0
    height: int = 2
    pending: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    mined: dict[str, dict[str, Any]] = field(default_factory=dict)
    received: list[bytes] = field(default_factory=list)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/", self._answer)
        async with TestServer(app) as server:
            yield str(server.make_url("/"))

    async def _answer(self, request: web.Request) -> web.Response:
        if self.down:
            return web.Response(status=502, text="<html>bad gateway</html>")
        call = await request.json()
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": call["id"]}
        if self.overloaded:
            return web.json_response(body | {"error": {"code": -32005, "message": "Too Many Requests"}})
        try:
            body["result"] = getattr(self, call["method"])(*call["params"])
        except ValueError as error:
            body["error"] = {"code": REFUSED, "message": str(error)}
        return web.json_response(body)

    def eth_chainId(self) -> str:  # noqa: N802
        return hex(self.chain_id)

    def eth_maxPriorityFeePerGas(self) -> str:  # noqa: N802
        return hex(2)

    def eth_estimateGas(self, *_: Any) -> str:  # noqa: N802
        if self.refuses:
            raise ValueError(self.refuses)
        return hex(50_000)

    def eth_getTransactionCount(self, *_: Any) -> str:  # noqa: N802
        return hex(self.nonce)

    def eth_getBlockByNumber(self, *_: Any) -> dict[str, Any]:  # noqa: N802
        self._mine()
        return {"number": "0x1", "baseFeePerGas": hex(self.base_fee), "timestamp": "0x1"}

    def eth_blockNumber(self) -> str:  # noqa: N802
        """A block a call; the transaction is in block 2."""
        self.height += 1
        if self.reorgs and self.mined:
            self.reorgs -= 1
            self.nonce -= 1
            self.mined.popitem()
        return hex(self.height)

    def eth_sendRawTransaction(self, raw: str) -> str:  # noqa: N802
        data = bytes.fromhex(raw[2:])
        self.received.append(data)
        _, nonce, tip, max_fee, *_rest = rlp.decode(data[1:])
        number, offer = int.from_bytes(nonce), (int.from_bytes(max_fee), int.from_bytes(tip))
        transaction = "0x" + keccak(data).hex()
        if number < self.nonce:
            raise ValueError("nonce too low")
        if number in self.pending:
            known, old_fee, old_tip = self.pending[number]
            if known == transaction:
                raise ValueError("already known")
            if offer[0] * 10 < old_fee * 11 or offer[1] * 10 < old_tip * 11:
                raise ValueError("replacement transaction underpriced")
        if self.drops:
            self.drops -= 1
            return transaction
        self.pending[number] = (transaction, *offer)
        return transaction

    def eth_getTransactionReceipt(self, transaction: str) -> dict[str, Any] | None:  # noqa: N802
        self._mine()
        return self.mined.get(transaction)

    def _mine(self) -> None:
        head = self.pending.get(self.nonce)
        if head is None or head[1] < self.wants_max_fee:
            return
        self.mined[head[0]] = {
            "transactionHash": head[0],
            "blockNumber": "0x2",
            "gasUsed": hex(48_000),
            "status": "0x0" if self.reverts else "0x1",
            "logs": [],
        }
        del self.pending[self.nonce]
        self.nonce += 1
