"""Account multipliers as contracts/src/oracle/AccountRisk.sol takes them: what members sign, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from margrave.mirror.typed_data import domain_separator, hash_typed_data

NAME: Final = "Margrave Account Risk"
ENTRY_TYPE: Final = "Entry(address account,uint16 multiplierBp,uint40 expiresAt)"
REPORT_TYPE: Final = (
    f"AccountReport(uint32 epoch,uint32 round,bytes32 modelSet,bytes32 bounds,Entry[] entries){ENTRY_TYPE}"
)
ONE_BP: Final = 10_000
"""A multiplier of one; none is ever lower."""


class Skip(StrEnum):
    """Why an entry was not taken, in the order of `AccountRisk.SkipReason`."""

    NOT_NEWER = "not_newer"
    OUT_OF_BOUNDS = "out_of_bounds"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Bounds:
    """`AccountRisk.Bounds`, in its order: basis points, and seconds from the observation."""

    max_multiplier_bp: int
    max_rise_bp: int
    max_fall_bp: int
    max_lifetime_s: int


@dataclass(frozen=True, slots=True)
class Entry:
    """`AccountRisk.Entry`: one account's part of a report; Unix seconds."""

    account: str
    multiplier_bp: int
    expires_at_s: int


@dataclass(frozen=True, slots=True)
class Held:
    """An account's slot; Unix seconds."""

    multiplier_bp: int
    expires_at_s: int
    observed_at_s: int


NOTHING: Final = Held(0, 0, 0)


def bounds_digest(bounds: Bounds) -> bytes:
    """The 32 bytes that every signature names the bounds by: `AccountRisk.boundsDigest`."""
    return keccak(encode(["uint16", "uint16", "uint16", "uint32"], astuple(bounds)))


def report_digest(
    chain_id: int,
    contract: str,
    epoch: int,
    round: int,  # noqa: A002 - the field's name in the signed type
    model_set: bytes,
    bounds: Bounds,
    entries: Sequence[Entry],
) -> bytes:
    """The 32 bytes to sign for one report.

    Args:
        chain_id: of the chain that the contract is on.
        contract: address of the AccountRisk.
        epoch: the oracle's epoch that binds the round.
        round: observed at `round * period` of the oracle.
        model_set: 32 bytes, the epoch's approved set.
        bounds: what governance allows.
        entries: in the order in which they are published.
    """
    types = ["bytes32", "address", "uint16", "uint40"]
    hashes = [keccak(encode(types, [keccak(text=ENTRY_TYPE), *astuple(entry)])) for entry in entries]
    struct = keccak(
        encode(
            ["bytes32", "uint32", "uint32", "bytes32", "bytes32", "bytes32"],
            [
                keccak(text=REPORT_TYPE),
                epoch,
                round,
                model_set,
                bounds_digest(bounds),
                keccak(b"".join(hashes)),
            ],
        )
    )
    return hash_typed_data(domain_separator(chain_id, contract, NAME), struct)


def multiplier(held: Held, now_s: int) -> int:
    """The multiplier that holds now, in basis points."""
    return held.multiplier_bp if held.expires_at_s > now_s else ONE_BP


def settle(held: Held, entry: Entry, observed_at_s: int, now_s: int, bounds: Bounds, *, paused: bool) -> Held | Skip:
    """What becomes of one entry: the account's new slot, or why it is skipped.

    Args:
        held: the account's slot.
        entry: what a quorum signed.
        observed_at_s: of the report's round.
        now_s: the block's time.
        bounds: what governance allows.
        paused: whether the oracle is paused; nothing falls then.
    """
    if held.observed_at_s >= observed_at_s:
        return Skip.NOT_NEWER
    if not ONE_BP <= entry.multiplier_bp <= bounds.max_multiplier_bp:
        return Skip.OUT_OF_BOUNDS
    expires_at_s = min(entry.expires_at_s, observed_at_s + bounds.max_lifetime_s)
    if expires_at_s <= now_s:
        return Skip.EXPIRED
    old = multiplier(held, now_s)
    fall = 0 if paused else bounds.max_fall_bp
    stepped = max(min(entry.multiplier_bp, old + bounds.max_rise_bp), old - fall)
    return Held(min(stepped, bounds.max_multiplier_bp), expires_at_s, observed_at_s)
