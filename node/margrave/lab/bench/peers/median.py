"""A median oracle of our own writing on OpenZeppelin's ECDSA: what one builds without tricks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from margrave.lab.bench.peers.compiler import Compiler
from margrave.lab.bench.peers.wire import Chain, Price, call_data, signed_65

NAME: Final = "median oracle on OpenZeppelin ECDSA 5.7.0 (written for this benchmark)"
WHAT: Final = "one uint128 a feed, median of the signers' on chain; no bounds and no governance"
COMPILER: Final = Compiler(package="solc", runs=200, evm_version="prague")
SOURCE: Final = Path(__file__).parent / "MedianOracle.sol"


class Median:
    """One deployment for a committee; `publish` is one round."""

    def __init__(self, chain: Chain, keys: Sequence[PrivateKey], quorum: int) -> None:
        self._chain, self._signers = chain, keys[:quorum]
        self._chain_id = int(chain.ask("eth_chainId"), 16)
        _, code = COMPILER.compile("MedianOracle", SOURCE.read_text(encoding="utf-8"))
        members = [key.public_key.to_checksum_address() for key in keys]
        self.address = chain.create(code, ["address[]", "uint256"], [members, quorum])

    def publish(self, feeds: int, round_: int, time_s: int, price: Price) -> int:
        """Gas of a whole update; the block's time is `time_s`."""
        ids = list(range(feeds))
        values: list[int] = []
        signatures = []
        for m, key in enumerate(self._signers):
            own = [price(i, m, round_) for i in ids]
            types = ["uint256", "address", "uint64", "uint256[]", "uint128[]"]
            hashed = keccak(encode(types, [self._chain_id, self.address, time_s, ids, own]))
            signatures.append(signed_65(key, keccak(b"\x19Ethereum Signed Message:\n32" + hashed)))
            values += own
        self._chain.at(time_s)
        data = call_data("update(uint64,uint256[],uint128[],bytes[])", [time_s, ids, values, signatures])
        return self._chain.send(self.address, data)

    def read(self, feed: int) -> tuple[Any, ...]:
        """Value and time."""
        return self._chain.call(self.address, call_data("read(uint256)", [feed]), ["uint128", "uint64"])

    def read_gas(self) -> int:
        return self._chain.execution(self.address, call_data("read(uint256)", [0]))
