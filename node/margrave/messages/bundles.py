"""attest -> publish: signed words of the members, and what became of them on the chain."""

from __future__ import annotations

import msgspec

from margrave.messages.message import Message
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.verdicts import Outcome


class Explained(msgspec.Struct, frozen=True, array_like=True):
    """A member's word for why its own words are what they are: a hash over its attributions, signed with the words'."""

    attributions_hash: bytes
    """32 bytes."""
    signature: bytes
    """64 bytes, r and vs (EIP-2098)."""


class Attestation(Message, frozen=True, kw_only=True):
    """One member's signed own words for one round."""

    member: str
    round: int
    epoch: int
    first_market: int
    words: tuple[int, ...]
    """risk, market, risk, market, … as signed."""
    signature: bytes
    """64 bytes, r and vs (EIP-2098)."""
    explained: Explained | None = None
    """Words count without it: who withholds it has its place in the evidence, and zeros there."""

    @property
    def explanation_hash(self) -> bytes:
        return UNEXPLAINED if self.explained is None else self.explained.attributions_hash


class Bundle(Message, frozen=True, kw_only=True):
    """A quorum of own words for one round, in the order of the member list."""

    round: int
    epoch: int
    attestations: tuple[Attestation, ...]

    @property
    def first_market(self) -> int:
        return self.attestations[0].first_market

    @property
    def markets(self) -> int:
        return len(self.attestations[0].words) // 2


class Stated(msgspec.Struct, frozen=True, array_like=True):
    """One member's own words in a proposal, by their hash (keccak over the packed words), and why, by that one's."""

    member: str
    words_hash: bytes
    explanation_hash: bytes = UNEXPLAINED
    """Of the explanation that the proposer holds of it."""


class Proposal(Message, frozen=True, kw_only=True):
    """The medians of a stated set of own words: what members co-sign, and can recompute."""

    round: int
    epoch: int
    first_market: int
    stated: tuple[Stated, ...]
    """A quorum, in the order of the member list."""
    words: tuple[int, ...]
    """risk, market, risk, market, …; zeros where a member of the set abstained."""


class CoSignature(Message, frozen=True, kw_only=True):
    member: str
    signature: bytes
    """64 bytes, r and vs (EIP-2098)."""


class CoSigned(Message, frozen=True, kw_only=True):
    """A proposal and who has signed it, in the order of the member list where it is to be published."""

    proposal: Proposal
    signatures: tuple[CoSignature, ...]

    @property
    def round(self) -> int:
        return self.proposal.round

    @property
    def epoch(self) -> int:
        return self.proposal.epoch

    @property
    def first_market(self) -> int:
        return self.proposal.first_market

    @property
    def markets(self) -> int:
        return len(self.proposal.words) // 2


AnyBundle = Bundle | CoSigned


class Receipt(Message, frozen=True, kw_only=True):
    round: int
    outcome: Outcome
    transaction: str | None
    block: int | None
    gas_used: int | None
    publisher: str | None
    detail: str
