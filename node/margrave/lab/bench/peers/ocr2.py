"""Chainlink's OCR2Base, whose reports are aggregated off chain and signed by f + 1 of n."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from margrave.lab.bench.peers.compiler import Compiler
from margrave.lab.bench.peers.wire import Chain, Price, call_data

NAME: Final = "Chainlink OCR2Base (@chainlink/contracts 0.8.0) with a storing application of ours"
WHAT: Final = "one int192 a feed, aggregated off chain, f + 1 signatures of n, listed transmitters; no bounds"
COMPILER: Final = Compiler(package="solc-0.8.17", runs=1_000_000, evm_version="london")
SOURCE: Final = Path(__file__).parent / "Ocr2Feeds.sol"
TRANSMITTERS: Final = 0x7000
"""Addresses of transmitters that never send; the first of the list is the account that does."""


class Ocr2:
    """One deployment for n oracles with f faults; `publish` is one report."""

    def __init__(self, chain: Chain, keys: Sequence[PrivateKey], faults: int) -> None:
        self._chain, self._signers = chain, keys[: faults + 1]
        self._reports = 0
        _, code = COMPILER.compile("Ocr2Feeds", SOURCE.read_text(encoding="utf-8"))
        self.address = chain.create(code)
        signers = [key.public_key.to_checksum_address() for key in keys]
        others = [f"0x{TRANSMITTERS + i:040x}" for i in range(1, len(keys))]
        signature = "setConfig(address[],address[],uint8,bytes,uint64,bytes)"
        chain.send(self.address, call_data(signature, [signers, [chain.account, *others], faults, b"", 1, b""]))
        details = chain.call(self.address, call_data("latestConfigDetails()"), ["uint32", "uint32", "bytes32"])
        self._config: bytes = details[2]

    def publish(self, feeds: int, round_: int, time_s: int, price: Price) -> int:
        """Gas of a whole transmission; the block's time is `time_s`."""
        self._reports += 1
        report = encode(["uint64", "int192[]"], [time_s, [price(i, 0, round_) for i in range(feeds)]])
        context = [self._config, (self._reports << 8).to_bytes(32, "big"), bytes(32)]
        digest = keccak(keccak(report) + b"".join(context))
        signatures = [key.sign_msg_hash(digest) for key in self._signers]
        rs = [x.r.to_bytes(32, "big") for x in signatures]
        ss = [x.s.to_bytes(32, "big") for x in signatures]
        vs = bytes(x.v for x in signatures).ljust(32, b"\0")
        self._chain.at(time_s)
        data = call_data("transmit(bytes32[3],bytes,bytes32[],bytes32[],bytes32)", [context, report, rs, ss, vs])
        return self._chain.send(self.address, data)

    def read(self, feed: int) -> tuple[Any, ...]:
        """Answer and time."""
        return self._chain.call(self.address, call_data("read(uint256)", [feed]), ["int192", "uint64"])

    def read_gas(self) -> int:
        return self._chain.execution(self.address, call_data("read(uint256)", [0]))
