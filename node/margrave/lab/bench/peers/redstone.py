"""RedStone's push model: their multi-feed adapter, several signers, one package of all feeds a signer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from margrave.lab.bench.peers.compiler import Compiler
from margrave.lab.bench.peers.wire import Chain, Price, call_data, signed_65

NAME: Final = "RedStone MultiFeedAdapterWithoutRounds 0.6.1"
WHAT: Final = "one price a feed, median of the signers' on chain; only `value > 0` is checked"
COMPILER: Final = Compiler(package="solc-0.8.17", runs=200, evm_version="london")
TEMPLATE: Final = Path(__file__).parent / "RedStoneFeeds.sol.template"
MARKER: Final = bytes.fromhex("000002ed57011e0000")
METADATA: Final = b"0.6.1#margrave-bench"
"""Unsigned: their connector puts its version and the data service there, of about this length."""


class RedStone:
    """One deployment for a committee; `publish` is one round."""

    def __init__(self, chain: Chain, keys: Sequence[PrivateKey], quorum: int) -> None:
        self._chain, self._signers = chain, keys[:quorum]
        members = [key.public_key.to_checksum_address() for key in keys]
        _, code = COMPILER.compile("RedStoneFeeds", source(members, quorum))
        self.address = chain.create(code)

    def publish(self, feeds: int, round_: int, time_s: int, price: Price) -> int:
        """Gas of a whole update; the block's time is `time_s`."""
        ids = [feed_id(i) for i in range(feeds)]
        packages = []
        for m, key in enumerate(self._signers):
            points = b"".join(ids[i] + price(i, m, round_).to_bytes(32, "big") for i in range(feeds))
            said = points + (time_s * 1000).to_bytes(6, "big") + (32).to_bytes(4, "big") + feeds.to_bytes(3, "big")
            packages.append(said + signed_65(key, keccak(said)))
        end = len(packages).to_bytes(2, "big") + METADATA + len(METADATA).to_bytes(3, "big") + MARKER
        self._chain.at(time_s)
        return self._chain.send(self.address, self._update(ids) + b"".join(packages) + end)

    def read(self, feed: int) -> tuple[Any, ...]:
        """Time of the data in milliseconds, of the block in seconds, and the value."""
        data = call_data("getLastUpdateDetails(bytes32)", [feed_id(feed)])
        return self._chain.call(self.address, data, ["uint256", "uint256", "uint256"])

    def read_gas(self) -> int:
        return self._chain.execution(self.address, call_data("getLastUpdateDetails(bytes32)", [feed_id(0)]))

    @staticmethod
    def _update(ids: Sequence[bytes]) -> bytes:
        return call_data("updateDataFeedsValuesPartial(bytes32[])", [ids])


def source(members: Sequence[str], quorum: int) -> str:
    """The adapter with its signers written in."""
    comparisons = "\n".join(f"        if (signer == {member}) return {i};" for i, member in enumerate(members))
    text = TEMPLATE.read_text(encoding="utf-8")
    return text.replace("{threshold}", str(quorum)).replace("{comparisons}", comparisons)


def feed_id(index: int) -> bytes:
    return f"FEED{index}".encode().ljust(32, b"\0")
