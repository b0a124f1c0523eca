"""What a member examines before it co-signs: the stated own words, their medians, and who has voted."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.attest import proposals, quorum
from margrave.attest.ballots import ROUNDS_KEPT, Ballots
from margrave.attest.proposals import examine, propose
from margrave.errors import Rejected
from margrave.lanes import Words
from margrave.messages import Attestation, CoSigned, Proposal, Stated
from margrave.mirror.medians import medians
from margrave.mirror.typed_data import words_hash
from margrave.mirror.words import signed_bits
from margrave.verdicts import Rejection

from .conftest import DOMAIN, ROUND, Committee, pool_of

OWN = ((3, 5, 7, 11), (4, 6, 8, 12), (9, 1, 2, 3))
MEDIANS = (4, 5, 7, 11)
a_word = st.integers(1, (1 << 256) - 1)
RISK_BITS, MARKET_BITS = signed_bits("risk"), signed_bits("market")
risk, market = a_word.map(lambda w: w & RISK_BITS), a_word.map(lambda w: w & MARKET_BITS)


@pytest.fixture
def held(co_signers: Committee) -> list[Attestation]:
    return [co_signers.attest(i, words=words) for i, words in enumerate(OWN)]


@pytest.fixture
def proposal(co_signers: Committee, held: list[Attestation]) -> Proposal:
    return co_signers.proposal(held)


def refusal(proposal: Proposal, committee: Committee, *held: Attestation) -> Rejected:
    with pytest.raises(Rejected) as refused:
        examine(proposal, committee.epoch, ROUND, pool_of(*held).stated)
    return refused.value


def test_a_proposal_is_the_medians_of_a_quorum_in_member_order(
    co_signers: Committee, held: list[Attestation], proposal: Proposal
) -> None:
    assert proposal.words == MEDIANS
    assert [s.member for s in proposal.stated] == list(co_signers.epoch.members[:3])
    assert [s.words_hash for s in proposal.stated] == [words_hash(words) for words in OWN]
    examine(proposal, co_signers.epoch, ROUND, pool_of(*held).stated)


def test_where_a_member_of_the_set_abstains_so_does_the_report(co_signers: Committee) -> None:
    told = [co_signers.attest(i, words=(0, 0, *words[2:])) for i, words in enumerate(OWN)]
    assert co_signers.proposal(told).words == (0, 0, 7, 11)


@given(
    own=st.lists(st.tuples(st.tuples(risk, market), st.tuples(risk, market)), min_size=3, max_size=3),
    at=st.integers(0, 3),
    bit=st.integers(0, 255),
)
def test_one_bit_beside_the_medians_is_a_lie_that_is_named(
    co_signers: Committee, own: list[tuple[tuple[int, int], tuple[int, int]]], at: int, bit: int
) -> None:
    held = [co_signers.attest(i, words=tuple(w for pair in pairs for w in pair)) for i, pairs in enumerate(own)]
    true = co_signers.proposal(held)
    expected = [medians([Words(*pairs[m]) for pairs in own]) for m in range(2)]
    assert true.words == tuple(w for each in expected for w in ((0, 0) if each is None else (each.risk, each.market)))
    words = list(true.words)
    words[at] ^= 1 << bit
    refused = refusal(msgspec.structs.replace(true, words=tuple(words)), co_signers, *held)
    assert refused.reason is Rejection.WRONG_MEDIANS
    assert f"market {at // 2}" in refused.problem


def test_own_words_that_were_not_shown_are_no_ground_to_sign(
    co_signers: Committee, held: list[Attestation], proposal: Proposal
) -> None:
    refused = refusal(proposal, co_signers, *held[:2])
    assert refused.reason is Rejection.NO_EVIDENCE
    assert held[2].member in refused.problem


def test_own_words_that_a_member_never_signed_cannot_be_stated(
    co_signers: Committee, held: list[Attestation], proposal: Proposal
) -> None:
    made_up = Stated(held[1].member, words_hash((1, 1, 1, 1)))
    forged = msgspec.structs.replace(proposal, stated=(proposal.stated[0], made_up, proposal.stated[2]))
    assert refusal(forged, co_signers, *held).reason is Rejection.NO_EVIDENCE


def test_built_on_the_other_report_of_a_member_that_signed_twice_it_can_still_be_examined(
    co_signers: Committee, held: list[Attestation]
) -> None:
    other = co_signers.attest(0, words=(99, 5, 7, 11))
    elsewhere = co_signers.proposal([other, *held[1:]])
    pool = pool_of(*held)
    with pytest.raises(Rejected):
        pool.add(other)
    examine(elsewhere, co_signers.epoch, ROUND, pool.stated)


@pytest.mark.parametrize("turned", ["too few", "too many", "twice", "out of order", "outsider"])
def test_a_stated_set_that_is_no_quorum_in_member_order_is_malformed(
    co_signers: Committee, held: list[Attestation], proposal: Proposal, turned: str
) -> None:
    a, b, c = proposal.stated
    fourth = co_signers.attest(3)
    d = Stated(fourth.member, words_hash(fourth.words))
    stated = {
        "too few": (a, b),
        "too many": (a, b, c, d),
        "twice": (a, a, b),
        "out of order": (b, a, c),
        "outsider": (a, b, Stated("0x" + "99" * 20, c.words_hash)),
    }[turned]
    wrong = msgspec.structs.replace(proposal, stated=stated)
    assert refusal(wrong, co_signers, *held, fourth).reason is Rejection.MALFORMED


def test_a_proposal_of_other_markets_than_its_own_words_is_malformed(
    co_signers: Committee, held: list[Attestation], proposal: Proposal
) -> None:
    wrong = msgspec.structs.replace(proposal, words=proposal.words[:2])
    assert refusal(wrong, co_signers, *held).reason is Rejection.MALFORMED


@pytest.mark.parametrize("change", [{"round": ROUND - 1}, {"epoch": 1}])
def test_a_proposal_for_another_round_or_epoch_is_refused(
    co_signers: Committee, held: list[Attestation], proposal: Proposal, change: dict[str, int]
) -> None:
    wrong = msgspec.structs.replace(proposal, **change)
    assert refusal(wrong, co_signers, *held).reason is Rejection.WRONG_ROUND


# --- votes ----------------------------------------------------------------------------------------------------------


def test_every_machine_makes_the_same_digest_of_the_same_own_words(co_signers: Committee) -> None:
    held = [co_signers.attest(i, words=words) for i, words in enumerate(OWN)]
    ways = {
        proposals.digest_of(propose(bundle), co_signers.epoch, chain_id=1, oracle=DOMAIN.oracle)
        for order in (held, held[::-1])
        if (bundle := quorum.gather(order, co_signers.epoch)) is not None
    }
    assert len(ways) == 1


def test_the_digest_names_the_evidence_and_not_only_the_medians(co_signers: Committee) -> None:
    same_medians = [(3, 5, 7, 11), (4, 6, 8, 12), (10, 1, 2, 3)]
    digests = {
        proposals.digest_of(
            co_signers.proposal([co_signers.attest(i, words=w) for i, w in enumerate(own)]),
            co_signers.epoch,
            chain_id=1,
            oracle=DOMAIN.oracle,
        )
        for own in (OWN, same_medians)
    }
    assert len(digests) == 2


def test_a_vote_for_another_contract_is_none_here(co_signers: Committee, proposal: Proposal) -> None:
    vote = co_signers.vote(0, proposal, oracle="0x" + "22" * 20)
    with pytest.raises(Rejected) as refused:
        quorum.verify_vote(vote, proposal, co_signers.epoch, DOMAIN)
    assert refused.value.reason is Rejection.WRONG_SIGNER


@given(junk=st.binary(min_size=0, max_size=70))
def test_no_bytes_are_a_vote_but_the_members_own(co_signers: Committee, junk: bytes) -> None:
    proposal = co_signers.proposal([co_signers.attest(i, words=words) for i, words in enumerate(OWN)])
    vote = msgspec.structs.replace(co_signers.vote(0, proposal), signature=junk)
    with pytest.raises(Rejected) as refused:
        quorum.verify_vote(vote, proposal, co_signers.epoch, DOMAIN)
    assert refused.value.reason in (Rejection.WRONG_SIGNER, Rejection.MALFORMED)


def test_a_quorum_of_votes_in_member_order_is_agreement(co_signers: Committee, proposal: Proposal) -> None:
    ballots = Ballots()
    for index in (3, 0):
        assert ballots.add(proposal, co_signers.vote(index, proposal))
        assert ballots.agreed(ROUND, co_signers.epoch) is None
    for index in (2, 1):
        ballots.add(proposal, co_signers.vote(index, proposal))
    agreed = ballots.agreed(ROUND, co_signers.epoch)
    assert isinstance(agreed, CoSigned)
    assert [v.member for v in agreed.signatures] == list(co_signers.epoch.members[:3])


def test_a_vote_seen_again_is_not_new(co_signers: Committee, proposal: Proposal) -> None:
    ballots = Ballots()
    assert ballots.add(proposal, co_signers.vote(0, proposal))
    assert not ballots.add(proposal, co_signers.vote(0, proposal))


def test_a_member_that_votes_for_two_proposals_is_caught_and_the_first_vote_is_kept(
    co_signers: Committee, proposal: Proposal
) -> None:
    ballots = Ballots()
    ballots.add(proposal, co_signers.vote(0, proposal))
    other = co_signers.proposal([co_signers.attest(i) for i in (1, 2, 3)])
    with pytest.raises(Rejected) as refused:
        ballots.add(other, co_signers.vote(0, other))
    assert refused.value.reason is Rejection.EQUIVOCATION
    assert [each.proposal for each in ballots.of(ROUND)] == [proposal]


def test_the_ballots_forget_old_rounds(co_signers: Committee, proposal: Proposal) -> None:
    ballots = Ballots()
    for round_ in range(ROUNDS_KEPT + 5):
        later = msgspec.structs.replace(proposal, round=round_)
        ballots.add(later, co_signers.vote(0, later))
    assert ballots.of(4) == []
    assert len(ballots.of(5)) == 1
