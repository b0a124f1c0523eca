"""One block's header, as far as the node looks at it, from JSON-RPC or from an indexer's snake case."""

from __future__ import annotations

from dataclasses import dataclass

from margrave.collect import checks
from margrave.collect.chains.logs import amount_of, count_of, data_of, first_of, seconds_ms
from margrave.errors import Rejected
from margrave.verdicts import Rejection


@dataclass(frozen=True, slots=True)
class Block:
    number: int
    hash: bytes
    parent: bytes
    time_ms: int
    base_fee_wei: int | None = None
    """`None` before EIP-1559, and where the chain has none."""
    gas_used: int | None = None
    gas_limit: int | None = None

    def __str__(self) -> str:
        return f"block {self.number} (0x{self.hash.hex()[:12]})"


def block_of(body: object) -> Block:
    """A header, whatever else the answer holds.

    Raises:
        Rejected: `MALFORMED` or `OUT_OF_RANGE` with the field; a block that is still pending has no hash.
    """
    entry = checks.mapping(body, "block")
    block_hash = data_of(first_of(entry, "hash"), "block hash", most=32)
    parent = data_of(first_of(entry, "parentHash", "parent_hash"), "parent hash", most=32)
    if len(block_hash) != 32 or len(parent) != 32:
        raise Rejected(Rejection.MALFORMED, "a block hash is not 32 bytes")
    fee = first_of(entry, "baseFeePerGas", "base_fee_per_gas")
    used, limit = first_of(entry, "gasUsed", "gas_used"), first_of(entry, "gasLimit", "gas_limit")
    number, stamp = count_of(first_of(entry, "number"), "block number"), first_of(entry, "timestamp")
    is_genesis = number == 0 and count_of(stamp, "block time") == 0  # which has no time
    return Block(
        number=number,
        hash=block_hash,
        parent=parent,
        time_ms=0 if is_genesis else seconds_ms(stamp, "block time"),
        base_fee_wei=None if fee is None else amount_of(fee, "base fee"),
        gas_used=None if used is None else amount_of(used, "gas used"),
        gas_limit=None if limit is None else amount_of(limit, "gas limit"),
    )


def looks_like_block(body: object) -> bool:
    return isinstance(body, dict) and "hash" in body and ("parentHash" in body or "parent_hash" in body)
