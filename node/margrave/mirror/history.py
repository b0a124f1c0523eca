"""The rolling hash over everything that was ever published, as contracts/src/oracle/RiskOracle.sol folds it.

`hash' = bytes20(keccak256(abi.encode(hash, keccak256(digests))))`, where the digests are the 32 bytes that were signed,
packed: of own words one a signer in the order of the bitmap, of a co-signed report the one that all signed. It begins
at zero. Whoever has the calldata of the publications, which is public, can so prove that none is missing or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eth_utils.crypto import keccak

BEGINNING: Final = bytes(20)


def fold(history_hash: bytes, digests: Sequence[bytes]) -> bytes:
    """The 20 bytes after one more publication."""
    return keccak(history_hash.ljust(32, b"\0") + keccak(b"".join(digests)))[:20]
