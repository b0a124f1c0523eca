"""What peers say to each other over HTTP: JSON whose big numbers are hex strings, as every language reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from margrave.errors import Rejected
from margrave.messages import Attestation, CoSignature, CoSigned, Explained, Proposal, Stated
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.ops import strict_json
from margrave.verdicts import Rejection

MAX_ANSWER_BYTES: Final = 4 << 20
"""An answer of 31 members with 500 markets is about 2.2 MB; a larger one is an attempt to fill our memory."""
MAX_MEMBERS: Final = 31
"""As the contract has it. A member co-signs once a round, so that there are no more proposals either."""
MAX_ATTESTATIONS: Final = 3 * MAX_MEMBERS
"""One that counts of each member, and what proves that it signed others. Recovering signers takes time: a longer
answer is an attempt to take ours."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer holds for a round, as it claims: nothing of it is verified yet."""

    attestations: tuple[Attestation, ...] = ()
    co_signed: tuple[CoSigned, ...] = ()


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


class _Explained(msgspec.Struct, frozen=True, kw_only=True):
    attributions_hash: str
    signature: str


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    member: str
    epoch: int
    first_market: int
    words: tuple[str, ...]
    signature: str
    explained: _Explained | None = None


class _Stated(msgspec.Struct, frozen=True, kw_only=True):
    member: str
    words_hash: str
    explanation_hash: str = _hex(UNEXPLAINED)


class _Vote(msgspec.Struct, frozen=True, kw_only=True):
    member: str
    signature: str


class _CoSigned(msgspec.Struct, frozen=True, kw_only=True):
    epoch: int
    first_market: int
    stated: tuple[_Stated, ...]
    words: tuple[str, ...]
    signatures: tuple[_Vote, ...]


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    round: int
    attestations: tuple[_Row, ...]
    co_signed: tuple[_CoSigned, ...] = ()


def encode(round_: int, attestations: Sequence[Attestation], co_signed: Sequence[CoSigned] = ()) -> bytes:
    rows = tuple(
        _Row(
            member=a.member,
            epoch=a.epoch,
            first_market=a.first_market,
            words=_hex_words(a.words),
            signature=_hex(a.signature),
            explained=_told(a.explained),
        )
        for a in attestations
    )
    proposals = tuple(
        _CoSigned(
            epoch=each.epoch,
            first_market=each.first_market,
            stated=tuple(
                _Stated(member=s.member, words_hash=_hex(s.words_hash), explanation_hash=_hex(s.explanation_hash))
                for s in each.proposal.stated
            ),
            words=_hex_words(each.proposal.words),
            signatures=tuple(_Vote(member=v.member, signature=_hex(v.signature)) for v in each.signatures),
        )
        for each in co_signed
    )
    return msgspec.json.encode(_Answer(round=round_, attestations=rows, co_signed=proposals))


def decode(body: bytes) -> Answer:
    """Raises `Rejected`: MALFORMED."""
    if len(body) > MAX_ANSWER_BYTES:
        raise Rejected(Rejection.MALFORMED, f"{len(body)} bytes where {MAX_ANSWER_BYTES} are the most")
    try:
        answer = strict_json.decode(body, _Answer)
        _at_most(MAX_ATTESTATIONS, answer.attestations, "attestations")
        _at_most(MAX_MEMBERS, answer.co_signed, "proposals")
        for each in answer.co_signed:
            _at_most(MAX_MEMBERS, each.signatures, "co-signatures")
            _at_most(MAX_MEMBERS, each.stated, "stated own words")
        return Answer(
            attestations=tuple(_attestation(answer.round, row) for row in answer.attestations),
            co_signed=tuple(_co_signed(answer.round, row) for row in answer.co_signed),
        )
    except (msgspec.DecodeError, ValueError) as error:
        raise Rejected(Rejection.MALFORMED, f"not an answer of /v1/rounds: {error}") from error


def _attestation(round_: int, row: _Row) -> Attestation:
    return Attestation(
        member=row.member,
        round=round_,
        epoch=row.epoch,
        first_market=_id(row.first_market),
        words=_words(row.words),
        signature=_bytes(row.signature),
        explained=None
        if row.explained is None
        else Explained(_bytes(row.explained.attributions_hash), _bytes(row.explained.signature)),
    )


def _told(explained: Explained | None) -> _Explained | None:
    if explained is None:
        return None
    return _Explained(attributions_hash=_hex(explained.attributions_hash), signature=_hex(explained.signature))


def _co_signed(round_: int, row: _CoSigned) -> CoSigned:
    proposal = Proposal(
        round=round_,
        epoch=row.epoch,
        first_market=_id(row.first_market),
        stated=tuple(
            Stated(each.member, _bytes(each.words_hash), _bytes(each.explanation_hash)) for each in row.stated
        ),
        words=_words(row.words),
    )
    votes = tuple(CoSignature(member=each.member, signature=_bytes(each.signature)) for each in row.signatures)
    return CoSigned(proposal=proposal, signatures=votes)


def _at_most(most: int, told: Sequence[object], what: str) -> None:
    if len(told) > most:
        raise ValueError(f"{len(told)} {what} where {most} are the most")


def _words(told: Sequence[str]) -> tuple[int, ...]:
    words = tuple(int(word, 16) for word in told)
    if any(not 0 <= word < 1 << 256 for word in words):
        raise ValueError("a word does not fit 256 bits")
    return words


def _id(market: int) -> int:
    if not 0 <= market < 1 << 16:
        raise ValueError(f"there is no market {market}")
    return market


def _hex_words(words: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{word:#066x}" for word in words)


def _bytes(told: str) -> bytes:
    return bytes.fromhex(told.removeprefix("0x"))
