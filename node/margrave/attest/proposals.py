"""Co-signed reports: make the medians of a stated set of own words, and examine what another made. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from margrave.errors import Rejected
from margrave.lanes import Words
from margrave.messages import Attestation, Bundle, Epoch, Proposal, Stated
from margrave.mirror.medians import medians
from margrave.mirror.typed_data import co_signed_digest, evidence_root, words_hash
from margrave.verdicts import Rejection

Evidence = Callable[[int, int, Stated], Attestation | None]
"""(round, first market, what is stated) to the verified own words behind it, and their explanation where one is stated,
if they are here."""


def propose(bundle: Bundle) -> Proposal:
    """The medians of a quorum's own words."""
    return Proposal(
        round=bundle.round,
        epoch=bundle.epoch,
        first_market=bundle.first_market,
        stated=tuple(Stated(a.member, words_hash(a.words), a.explanation_hash) for a in bundle.attestations),
        words=_medians(bundle.attestations),
    )


def examine(proposal: Proposal, epoch: Epoch, round_: int, evidence: Evidence) -> None:
    """Whether its words are the medians of the own words that it states: lane by lane, to the last unit.

    Raises:
        Rejected: WRONG_ROUND, MALFORMED, NO_EVIDENCE while stated own words are not here, or WRONG_MEDIANS with the
            first market that differs.
    """
    if proposal.round != round_ or proposal.epoch != epoch.number:
        raise Rejected(
            Rejection.WRONG_ROUND,
            f"round {proposal.round} epoch {proposal.epoch} where {round_} epoch {epoch.number} was asked",
        )
    members = [stated.member for stated in proposal.stated]
    if len(members) != epoch.quorum or members != [m for m in epoch.members if m in set(members)]:
        raise Rejected(
            Rejection.MALFORMED, f"states {len(members)} own words where a quorum of {epoch.quorum} in order is"
        )
    shown = []
    for stated in proposal.stated:
        own = evidence(round_, proposal.first_market, stated)
        if own is None:
            raise Rejected(
                Rejection.NO_EVIDENCE, f"the own words or explanation it states of {stated.member} were not shown"
            )
        shown.append(own)
    if len({len(own.words) for own in shown} | {len(proposal.words)}) > 1:
        raise Rejected(Rejection.MALFORMED, "its words are not of the markets that the stated own words are of")
    wanted = _medians(shown)
    if proposal.words != wanted:
        at = next(i for i, (got, true) in enumerate(zip(proposal.words, wanted, strict=True)) if got != true)
        raise Rejected(
            Rejection.WRONG_MEDIANS,
            f"market {proposal.first_market + at // 2}: {proposal.words[at]:#066x} where the medians are "
            f"{wanted[at]:#066x}",
            advice="its proposer lies or runs other code: tell governance if this lasts",
        )


def root_of(proposal: Proposal, epoch: Epoch) -> bytes:
    """32 bytes that name the own words inside and their explanations, on chain."""
    return evidence_root(
        [(epoch.members.index(each.member), each.words_hash, each.explanation_hash) for each in proposal.stated]
    )


def digest_of(proposal: Proposal, epoch: Epoch, *, chain_id: int, oracle: str) -> bytes:
    """What members co-sign if they agree with the chain on epoch, models and policy."""
    return co_signed_digest(
        chain_id=chain_id,
        oracle=oracle,
        epoch=epoch.number,
        round=proposal.round,
        first_market=proposal.first_market,
        model_set=epoch.model_set,
        policy_digest=epoch.policy_digest,
        evidence_root=root_of(proposal, epoch),
        words=proposal.words,
    )


def _medians(own: Sequence[Attestation]) -> tuple[int, ...]:
    """Market by market; where a member of the set abstains so does the report."""
    words: list[int] = []
    for at in range(0, len(own[0].words), 2):
        median = medians([Words(each.words[at], each.words[at + 1]) for each in own])
        words += (0, 0) if median is None else (median.risk, median.market)
    return tuple(words)
