"""What peers say to each other over HTTP: JSON whose big numbers are hex strings, as every language reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from margrave.errors import Rejected
from margrave.messages import Attestation
from margrave.ops import strict_json
from margrave.verdicts import Rejection

MAX_ANSWER_BYTES: Final = 4 << 20
"""An answer of 31 members with 500 markets is about 2.2 MB; a larger one is an attempt to fill our memory."""


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    member: str
    epoch: int
    first_market: int
    words: tuple[str, ...]
    signature: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    round: int
    attestations: tuple[_Row, ...]


def encode(round_: int, attestations: Sequence[Attestation]) -> bytes:
    rows = tuple(
        _Row(
            member=a.member,
            epoch=a.epoch,
            first_market=a.first_market,
            words=tuple(f"{word:#066x}" for word in a.words),
            signature="0x" + a.signature.hex(),
        )
        for a in attestations
    )
    return msgspec.json.encode(_Answer(round=round_, attestations=rows))


def decode(body: bytes) -> list[Attestation]:
    """Attestations as claimed: nothing of them is verified yet.

    Raises:
        Rejected: MALFORMED.
    """
    if len(body) > MAX_ANSWER_BYTES:
        raise Rejected(Rejection.MALFORMED, f"{len(body)} bytes where {MAX_ANSWER_BYTES} are the most")
    try:
        answer = strict_json.decode(body, _Answer)
        return [
            Attestation(
                member=row.member,
                round=answer.round,
                epoch=row.epoch,
                first_market=row.first_market,
                words=tuple(int(word, 16) for word in row.words),
                signature=bytes.fromhex(row.signature.removeprefix("0x")),
            )
            for row in answer.attestations
        ]
    except (msgspec.DecodeError, ValueError) as error:
        raise Rejected(Rejection.MALFORMED, f"not an answer of /v1/rounds: {error}") from error
