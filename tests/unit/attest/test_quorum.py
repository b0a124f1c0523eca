from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.attest import quorum
from margrave.chain.signer import HALF_ORDER
from margrave.errors import Rejected
from margrave.messages import Attestation
from margrave.verdicts import Rejection

from .conftest import DOMAIN, ROUND, WORDS, Committee


def verify(attestation: Attestation, committee: Committee) -> Attestation:
    return quorum.verify(attestation, committee.epoch, DOMAIN, round_=ROUND)


def reason(attestation: Attestation, committee: Committee) -> Rejection:
    with pytest.raises(Rejected) as refused:
        verify(attestation, committee)
    return refused.value.reason


def test_a_member_that_signed_these_words_for_this_round_is_believed(committee: Committee) -> None:
    attestation = committee.attest(0)
    assert verify(attestation, committee) is attestation


def test_words_changed_after_signing_are_refused(committee: Committee) -> None:
    changed = msgspec.structs.replace(committee.attest(0), words=(3, 5, 7, 12))
    assert reason(changed, committee) is Rejection.WRONG_SIGNER


def test_a_signature_of_another_chain_is_refused(committee: Committee) -> None:
    assert reason(committee.attest(0, chain_id=1), committee) is Rejection.WRONG_SIGNER


def test_an_outsider_with_a_good_signature_is_refused(committee: Committee) -> None:
    outsider = committee.attest(3)
    without = Committee(
        committee.accounts, msgspec.structs.replace(committee.epoch, members=committee.epoch.members[:3])
    )
    assert reason(outsider, without) is Rejection.WRONG_SIGNER


def test_a_member_that_claims_to_be_another_is_refused(committee: Committee) -> None:
    stolen = msgspec.structs.replace(committee.attest(0), member=committee.epoch.members[1])
    assert reason(stolen, committee) is Rejection.WRONG_SIGNER


def test_an_old_round_replayed_is_refused(committee: Committee) -> None:
    assert reason(committee.attest(0, round_=ROUND - 1), committee) is Rejection.WRONG_ROUND


@pytest.mark.parametrize(
    "change",
    [{"signature": b"\x00" * 63}, {"words": ()}, {"words": (1, 2, 3)}, {"words": (1 << 256, 1)}, {"words": (-1, 1)}],
)
def test_what_cannot_be_an_attestation_is_malformed(committee: Committee, change: dict[str, object]) -> None:
    assert reason(msgspec.structs.replace(committee.attest(0), **change), committee) is Rejection.MALFORMED


@pytest.mark.parametrize("stray", [1 << 15, 1 << 255, 1 << 160])
def test_signed_words_with_bits_that_would_stop_the_whole_publication_are_refused(
    committee: Committee, stray: int
) -> None:
    assert reason(committee.attest(0, words=(3, 5 | stray, 7, 11)), committee) is Rejection.MALFORMED


@pytest.mark.parametrize("words", [(0, 5, 7, 11), (3, 0, 7, 11), (3, 5, 7, 0)])
def test_half_an_abstention_is_malformed(committee: Committee, words: tuple[int, ...]) -> None:
    assert reason(committee.attest(0, words=words), committee) is Rejection.MALFORMED


@given(junk=st.binary(min_size=64, max_size=64))
def test_no_64_bytes_make_a_member_but_its_own_signature(committee: Committee, junk: bytes) -> None:
    forged = msgspec.structs.replace(committee.attest(0), signature=junk)
    assert reason(forged, committee) is Rejection.WRONG_SIGNER


def test_signatures_leave_this_node_with_a_low_s(committee: Committee) -> None:
    for index in range(4):
        s = int.from_bytes(committee.attest(index).signature[32:], "big") & (1 << 255) - 1
        assert s <= HALF_ORDER


def test_a_signature_whose_s_would_stop_the_whole_publication_is_refused(committee: Committee) -> None:
    """Between half the order and 2^255 a recovered signer may be right, and the contract still says HighS."""
    signature = committee.attest(0).signature
    high = (HALF_ORDER + 1).to_bytes(32, "big")
    assert reason(msgspec.structs.replace(committee.attest(0), signature=signature[:32] + high), committee) is (
        Rejection.WRONG_SIGNER
    )
    with pytest.raises(Rejected, match="upper half"):
        quorum.recover(signature[:32] + high, bytes(32))


def test_an_attestation_of_another_epoch_is_refused(committee: Committee) -> None:
    later = msgspec.structs.replace(committee.epoch, number=3)
    assert reason(Committee(committee.accounts, later).attest(0), committee) is Rejection.WRONG_ROUND


def test_a_member_that_signed_twice_is_left_out_while_others_can_do_without_it(committee: Committee) -> None:
    held = [committee.attest(i) for i in range(4)]
    for doubtful in committee.epoch.members:
        bundle = quorum.gather(held, committee.epoch, two_faced={doubtful})
        assert bundle is not None
        assert doubtful not in {a.member for a in bundle.attestations}
    assert quorum.gather(held[:3], committee.epoch, two_faced={held[0].member}) is not None


def test_too_few_attestations_are_no_quorum(committee: Committee) -> None:
    assert quorum.gather([committee.attest(0), committee.attest(1)], committee.epoch) is None


def test_the_same_member_twice_counts_once(committee: Committee) -> None:
    twice = [committee.attest(0), committee.attest(0), committee.attest(1)]
    assert quorum.gather(twice, committee.epoch) is None


def test_a_quorum_is_in_the_order_of_the_member_list(committee: Committee) -> None:
    bundle = quorum.gather([committee.attest(i) for i in (3, 1, 0, 2)], committee.epoch)
    assert bundle is not None
    members = [a.member for a in bundle.attestations]
    assert len(members) == committee.epoch.quorum
    assert members == sorted(members, key=committee.epoch.members.index)


def test_over_the_rounds_every_member_is_used(committee: Committee) -> None:
    used = set()
    for round_ in range(ROUND, ROUND + 4):
        bundle = quorum.gather([committee.attest(i, round_=round_) for i in range(4)], committee.epoch)
        assert bundle is not None
        used |= {a.member for a in bundle.attestations}
    assert used == set(committee.epoch.members)


def test_a_member_that_abstains_is_left_out_while_others_can_do_without_it(committee: Committee) -> None:
    abstaining = committee.attest(1, words=(0, 0, 7, 11))
    bundle = quorum.gather([abstaining, *(committee.attest(i) for i in (0, 2, 3))], committee.epoch)
    assert bundle is not None
    assert abstaining not in bundle.attestations


def test_members_that_report_other_markets_are_not_mixed(committee: Committee) -> None:
    shorter = committee.attest(2, words=WORDS[:2])
    assert quorum.gather([committee.attest(0), committee.attest(1), shorter], committee.epoch) is None
