"""Which signatures count, and when they are enough. Pure: bytes in, verdicts out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from margrave.attest import proposals
from margrave.chain.signer import HALF_ORDER
from margrave.errors import Rejected
from margrave.lanes import Words
from margrave.messages import Attestation, Bundle, CoSignature, Epoch, Explained, Proposal
from margrave.mirror.typed_data import UNEXPLAINED, explanation_digest, own_words_digest, words_hash
from margrave.mirror.words import on_wire
from margrave.verdicts import Rejection


@dataclass(frozen=True, slots=True)
class Domain:
    """Where signatures are worth something: one oracle on one chain."""

    chain_id: int
    oracle: str


def digest_of(attestation: Attestation, epoch: Epoch, domain: Domain) -> bytes:
    """What the member signed if it agrees with the chain on epoch, models and policy."""
    return own_words_digest(
        chain_id=domain.chain_id,
        oracle=domain.oracle,
        epoch=epoch.number,
        round=attestation.round,
        first_market=attestation.first_market,
        model_set=epoch.model_set,
        policy_digest=epoch.policy_digest,
        words=attestation.words,
    )


def verify(attestation: Attestation, epoch: Epoch, domain: Domain, *, round_: int) -> Attestation:
    """The attestation, if a member signed it for this round, chain, contract, epoch, model set and policy. Whether the
    member also signed its explanation is another question (`verify_explained`).

    Raises:
        Rejected: WRONG_ROUND, MALFORMED, or WRONG_SIGNER with both addresses.
    """
    if attestation.round != round_ or attestation.epoch != epoch.number:
        raise Rejected(
            Rejection.WRONG_ROUND,
            f"round {attestation.round} epoch {attestation.epoch} where {round_} epoch {epoch.number} was asked",
        )
    if len(attestation.signature) != 64 or not attestation.words or len(attestation.words) % 2:
        raise Rejected(Rejection.MALFORMED, "signature is not 64 bytes, or words are not in pairs")
    if any(not 0 <= word < 1 << 256 for word in attestation.words):
        raise Rejected(Rejection.MALFORMED, "a word does not fit 256 bits")
    if not 0 <= attestation.first_market < 1 << 16:
        raise Rejected(Rejection.MALFORMED, f"market {attestation.first_market} does not exist")
    pairs = list(zip(attestation.words[::2], attestation.words[1::2], strict=True))
    if not all(on_wire(Words(risk, market)) for risk, market in pairs):
        # The contract refuses a whole publication for one such bit: a member could stop every round it is chosen for.
        raise Rejected(Rejection.MALFORMED, "a word has bits that a member may not set")
    if any(bool(risk) != bool(market) for risk, market in pairs):
        raise Rejected(Rejection.MALFORMED, "half an abstention: one word of a market is zero and the other is not")
    _insist(attestation.member, attestation.signature, digest_of(attestation, epoch, domain), epoch)
    return attestation


def explanation_digest_of(attestation: Attestation, attributions_hash: bytes, domain: Domain) -> bytes:
    """What the member signs by its explanation of these words."""
    return explanation_digest(
        chain_id=domain.chain_id,
        oracle=domain.oracle,
        epoch=attestation.epoch,
        round=attestation.round,
        first_market=attestation.first_market,
        own_words_hash=words_hash(attestation.words),
        attributions_hash=attributions_hash,
    )


def verify_explained(explained: Explained, attestation: Attestation, epoch: Epoch, domain: Domain) -> Explained:
    """The explanation, if the member of these verified words gave it of them.

    Raises:
        Rejected: MALFORMED, or WRONG_SIGNER with both addresses.
    """
    if len(explained.attributions_hash) != len(UNEXPLAINED) or explained.attributions_hash == UNEXPLAINED:
        raise Rejected(Rejection.MALFORMED, "its hash is not of an explanation")
    if len(explained.signature) != 64:
        raise Rejected(Rejection.MALFORMED, "signature is not 64 bytes")
    digest = explanation_digest_of(attestation, explained.attributions_hash, domain)
    _insist(attestation.member, explained.signature, digest, epoch)
    return explained


def verify_vote(vote: CoSignature, proposal: Proposal, epoch: Epoch, domain: Domain) -> CoSignature:
    """The co-signature, if a member gave it to this proposal. Whether the proposal is true is another question.

    Raises:
        Rejected: MALFORMED, or WRONG_SIGNER with both addresses.
    """
    if len(vote.signature) != 64:
        raise Rejected(Rejection.MALFORMED, "signature is not 64 bytes")
    digest = proposals.digest_of(proposal, epoch, chain_id=domain.chain_id, oracle=domain.oracle)
    _insist(vote.member, vote.signature, digest, epoch)
    return vote


def _insist(member: str, signature: bytes, digest: bytes, epoch: Epoch) -> None:
    if member not in epoch.members:  # before the recovery, which is what costs
        raise Rejected(Rejection.WRONG_SIGNER, f"{member} is no member of epoch {epoch.number}")
    signer = recover(signature, digest)
    if signer != member:
        raise Rejected(Rejection.WRONG_SIGNER, f"signed by {signer}, claims {member}")


def recover(signature: bytes, digest: bytes) -> str:
    """Checksummed address behind a 64-byte signature.

    Raises:
        Rejected: WRONG_SIGNER, when no key could have made it.
    """
    r = int.from_bytes(signature[:32], "big")
    vs = int.from_bytes(signature[32:], "big")
    s = vs & (1 << 255) - 1
    if s > HALF_ORDER:
        # The contract refuses a whole publication for one of these, too.
        raise Rejected(Rejection.WRONG_SIGNER, "s is in the upper half")
    try:
        key = Signature(vrs=(vs >> 255, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError) as error:
        raise Rejected(Rejection.WRONG_SIGNER, f"no key signs this: {error}") from error
    return key.to_checksum_address()


def gather(attestations: Iterable[Attestation], epoch: Epoch, two_faced: Collection[str] = ()) -> Bundle | None:
    """A quorum of verified attestations over the same markets in member order, or `None` while there are too few.

    Members that signed only one report, and of them those that abstain from fewer markets, come first; among equals the
    round chooses, so that over time every member's words are used and none can count on being left out.
    """
    by_member = {a.member: a for a in attestations if a.member in epoch.members}
    groups: dict[tuple[int, int, int], list[Attestation]] = {}
    for a in by_member.values():
        groups.setdefault((a.round, a.first_market, len(a.words)), []).append(a)
    largest = max(groups.values(), key=len, default=[])
    if len(largest) < epoch.quorum:
        return None
    place = {member: i for i, member in enumerate(epoch.members)}
    turn = largest[0].round

    def worth(a: Attestation) -> tuple[bool, int, int]:
        return a.member in two_faced, _abstained(a.words), (place[a.member] + turn) % len(place)

    chosen = sorted(largest, key=worth)[: epoch.quorum]
    return Bundle(
        round=turn,
        epoch=epoch.number,
        attestations=tuple(sorted(chosen, key=lambda a: place[a.member])),
    )


def _abstained(words: Sequence[int]) -> int:
    return sum(words[i] == 0 for i in range(1, len(words), 2))
