"""Raw calls and transactions on a local chain, and signatures as the peers want them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak
from web3 import HTTPProvider

from margrave.errors import Fatal

GAS_LIMIT: Final = 1_000_000_000
TRANSACTION: Final = 21_000
MINING_POLLS: Final = 3_000
POLL_S: Final = 0.01

Price = Callable[[int, int, int], int]
"""Feed, signer and round to a price with 8 decimals."""


class Chain:
    """An anvil whose first account pays: no estimates, no nonces, every transaction in its own block."""

    def __init__(self, url: str) -> None:
        self._provider = HTTPProvider(url)
        self.account: str = self.ask("eth_accounts")[0]

    def ask(self, method: str, *parameters: Any) -> Any:
        """Raises: Fatal: the node answers with an error."""
        answer: Any = self._provider.make_request(method, list(parameters))
        if "error" in answer:
            raise Fatal(f"{method}: {answer['error']['message']}", advice="run the benchmark again")
        return answer["result"]

    def now_s(self) -> int:
        return int(self.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def at(self, time_s: int) -> None:
        """Give the next block a time."""
        self.ask("evm_setNextBlockTimestamp", time_s)

    def create(self, code: str, types: Sequence[str] = (), values: Sequence[Any] = ()) -> str:
        """Address of a new contract."""
        data = code + encode(types, values).hex()
        return str(self._receipt({"data": data})["contractAddress"])

    def send(self, to: str, data: bytes) -> int:
        """Gas that the transaction used. Raises: Fatal: it reverts."""
        return int(self._receipt({"to": to, "data": "0x" + data.hex()})["gasUsed"], 16)

    def execution(self, to: str, data: bytes) -> int:
        """Gas of executing a call, everything but the contract itself cold, without what a transaction costs."""
        return self.send(to, data) - TRANSACTION - sum(16 if byte else 4 for byte in data)

    def call(self, to: str, data: bytes, types: Sequence[str]) -> tuple[Any, ...]:
        answer = self.ask("eth_call", {"to": to, "data": "0x" + data.hex()}, "latest")
        return decode(types, bytes.fromhex(answer[2:]))

    def _receipt(self, transaction: dict[str, str]) -> dict[str, Any]:
        request = {"from": self.account, "gas": hex(GAS_LIMIT), **transaction}
        sent = self.ask("eth_sendTransaction", request)
        receipt: dict[str, Any] | None = None
        for _ in range(MINING_POLLS):
            receipt = self.ask("eth_getTransactionReceipt", sent)
            if receipt is not None:
                break
            time.sleep(POLL_S)
        if receipt is None:
            raise Fatal("a transaction of the benchmark was never mined", advice="run the benchmark again")
        if receipt["status"] != "0x1":
            raise Fatal("a transaction of the benchmark reverted", advice="see what the peer's package has changed")
        return receipt


def call_data(signature: str, values: Sequence[Any] = ()) -> bytes:
    """Selector and arguments of `name(type,type)`; types in it must not be tuples."""
    inner = signature[signature.index("(") + 1 : -1]
    selector: bytes = keccak(text=signature)[:4]
    return selector + encode(inner.split(",") if inner else [], values)


def signed_65(key: PrivateKey, digest: bytes) -> bytes:
    """r, s and v as 27 or 28."""
    signature = key.sign_msg_hash(digest)
    pieces: list[bytes] = [signature.r.to_bytes(32, "big"), signature.s.to_bytes(32, "big"), bytes([27 + signature.v])]
    return b"".join(pieces)
