"""Which attestations count, and when they are enough. Pure: bytes in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from margrave.errors import Rejected
from margrave.lanes import Words
from margrave.messages import Attestation, Bundle, ChainState
from margrave.mirror.typed_data import own_words_digest
from margrave.mirror.words import on_wire
from margrave.verdicts import Rejection


def digest_of(attestation: Attestation, state: ChainState, *, chain_id: int, oracle: str) -> bytes:
    """What the member signed if it agrees with the chain on epoch, models and policy."""
    return own_words_digest(
        chain_id=chain_id,
        oracle=oracle,
        epoch=state.epoch,
        round=attestation.round,
        first_market=attestation.first_market,
        model_set=state.model_set,
        policy_digest=state.policy_digest,
        words=attestation.words,
    )


def verify(attestation: Attestation, state: ChainState, *, round_: int, chain_id: int, oracle: str) -> Attestation:
    """The attestation, if a current member signed it for this round, chain, contract, epoch, model set and policy.

    Raises:
        Rejected: WRONG_ROUND, MALFORMED, or WRONG_SIGNER with both addresses.
    """
    if attestation.round != round_ or attestation.epoch != state.epoch:
        raise Rejected(
            Rejection.WRONG_ROUND,
            f"round {attestation.round} epoch {attestation.epoch} where {round_} epoch {state.epoch} was asked",
        )
    if len(attestation.signature) != 64 or not attestation.words or len(attestation.words) % 2:
        raise Rejected(Rejection.MALFORMED, "signature is not 64 bytes, or words are not in pairs")
    if any(not 0 <= word < 1 << 256 for word in attestation.words):
        raise Rejected(Rejection.MALFORMED, "a word does not fit 256 bits")
    pairs = zip(attestation.words[::2], attestation.words[1::2], strict=True)
    if not all(on_wire(Words(risk, market)) for risk, market in pairs):
        # The contract refuses a whole publication for one such bit: a member could stop every round it is chosen for.
        raise Rejected(Rejection.MALFORMED, "a word has bits that a member may not set")
    signer = recover(attestation.signature, digest_of(attestation, state, chain_id=chain_id, oracle=oracle))
    if signer != attestation.member or signer not in state.members:
        raise Rejected(Rejection.WRONG_SIGNER, f"signed by {signer}, claims {attestation.member}")
    return attestation


def recover(signature: bytes, digest: bytes) -> str:
    """Checksummed address behind a 64-byte signature."""
    r = int.from_bytes(signature[:32], "big")
    vs = int.from_bytes(signature[32:], "big")
    try:
        key = Signature(vrs=(vs >> 255, r, vs & (1 << 255) - 1)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError) as error:
        raise Rejected(Rejection.WRONG_SIGNER, f"no key signs this: {error}") from error
    return key.to_checksum_address()


def gather(attestations: Iterable[Attestation], state: ChainState) -> Bundle | None:
    """A quorum of verified attestations over the same markets in member order, or `None` while there are too few.

    Members that abstain from fewer markets come first; among equals the round chooses, so that over time every member's
    words are used and none can count on being left out.
    """
    by_member = {a.member: a for a in attestations if a.member in state.members}
    groups: dict[tuple[int, int, int], list[Attestation]] = {}
    for a in by_member.values():
        groups.setdefault((a.round, a.first_market, len(a.words)), []).append(a)
    largest = max(groups.values(), key=len, default=[])
    if len(largest) < state.quorum:
        return None
    place = {member: i for i, member in enumerate(state.members)}
    turn = largest[0].round
    chosen = sorted(largest, key=lambda a: (_abstained(a.words), (place[a.member] + turn) % len(place)))[: state.quorum]
    return Bundle(
        round=turn,
        epoch=state.epoch,
        attestations=tuple(sorted(chosen, key=lambda a: place[a.member])),
    )


def _abstained(words: Sequence[int]) -> int:
    return sum(words[i] == 0 for i in range(1, len(words), 2))
