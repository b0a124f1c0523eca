"""Governance's settings of one epoch out of their code blob, in the layout of contracts/src/oracle/Config.sol.

The blob is code that is never run: a byte 00, then in 32-byte words a packed header, the model set, the policy digest,
the members and the classes of eleven words, and at the end three bytes a market (class, group, ring).
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from web3 import Web3

from margrave.errors import Rejected
from margrave.messages import Epoch
from margrave.mirror.limits import KINDS, PolicyWords, Timing
from margrave.verdicts import Rejection

WORD: Final = 32
HEADER_WORDS: Final = 3
CLASS_WORDS: Final = len(fields(PolicyWords))
MARKET_BYTES: Final = 3


def decode(number: int, code: bytes) -> Epoch:
    """The settings of epoch `number`.

    Raises:
        Rejected: MALFORMED, where the code is no such blob.
    """
    blob = code[1:]
    if len(blob) < HEADER_WORDS * WORD or code[0] != 0:
        raise Rejected(Rejection.MALFORMED, f"no settings of epoch {number} on chain")
    header = _word(blob, 0)
    members, classes, markets = header >> 8 & 0xFF, header >> 16 & 0xFF, header >> 24 & 0xFFFF
    first_class = HEADER_WORDS + members
    keys_at = (first_class + classes * CLASS_WORDS) * WORD
    if len(blob) != keys_at + markets * MARKET_BYTES:
        raise Rejected(Rejection.MALFORMED, f"the settings of epoch {number} have {len(blob)} bytes")
    keys = blob[keys_at:]
    return Epoch(
        number=number,
        kind=KINDS[header >> 56 & 1],
        paused=bool(header >> 57 & 1),
        quorum=header & 0xFF,
        members=tuple(_address(_word(blob, HEADER_WORDS + i)) for i in range(members)),
        model_set=blob[WORD : 2 * WORD],
        policy_digest=blob[2 * WORD : 3 * WORD],
        timing=Timing(*(header >> shift & 0xFFFFFFFF for shift in (64, 96, 128))),
        classes=tuple(_class(blob, first_class + i * CLASS_WORDS) for i in range(classes)),
        class_of=keys[0::MARKET_BYTES],
        group_of=keys[1::MARKET_BYTES],
        ring_of=keys[2::MARKET_BYTES],
    )


def _class(blob: bytes, first: int) -> PolicyWords:
    return PolicyWords(*(_word(blob, first + i) for i in range(CLASS_WORDS)))


def _word(blob: bytes, index: int) -> int:
    return int.from_bytes(blob[index * WORD : (index + 1) * WORD], "big")


def _address(word: int) -> str:
    return str(Web3.to_checksum_address(word.to_bytes(WORD, "big")[-20:]))
