from __future__ import annotations

import msgspec
import pytest

from margrave.attest import wire
from margrave.attest.pool import ROUNDS_KEPT, VERSIONS_KEPT, Pool
from margrave.errors import Rejected
from margrave.messages import CoSigned, Stated
from margrave.mirror.typed_data import words_hash
from margrave.verdicts import Rejection

from .conftest import ROUND, Committee


def test_what_is_served_is_what_was_signed(committee: Committee) -> None:
    attestations = tuple(committee.attest(i, words=(1 << 255, 7)) for i in range(3))
    assert wire.decode(wire.encode(ROUND, attestations)) == wire.Answer(attestations=attestations)


def test_what_was_co_signed_is_served_with_its_votes(co_signers: Committee) -> None:
    proposal = co_signers.proposal([co_signers.attest(i) for i in range(3)])
    votes = tuple(co_signers.vote(i, proposal) for i in (2, 0))
    told = (CoSigned(proposal=proposal, signatures=votes),)
    assert wire.decode(wire.encode(ROUND, (), told)).co_signed == told


def test_words_travel_as_hex_strings_that_every_language_reads(committee: Committee) -> None:
    body = msgspec.json.decode(wire.encode(ROUND, [committee.attest(0)]))
    assert all(len(word) == 66 and word.startswith("0x") for word in body["attestations"][0]["words"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 200_000,
        b"[]",
        b"{}",
        b'{"round": 1, "attestations": [{}]}',
        b'{"round": 1, "attestations": [], "co_signed": [{"epoch": 1}]}',
        b"\xff\xfe",
        b"<html>",
    ],
)
def test_an_answer_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        wire.decode(body)
    assert refused.value.reason is Rejection.MALFORMED


@pytest.mark.parametrize("word", ["-0x1", "0x1" + "0" * 64, "words"])
def test_a_word_that_is_none_is_malformed(committee: Committee, word: str) -> None:
    body = msgspec.json.decode(wire.encode(ROUND, [committee.attest(0)]))
    body["attestations"][0]["words"][1] = word
    with pytest.raises(Rejected) as refused:
        wire.decode(msgspec.json.encode(body))
    assert refused.value.reason is Rejection.MALFORMED


@pytest.mark.parametrize("market", [-1, 65_536])
def test_a_market_that_cannot_exist_is_malformed(committee: Committee, market: int) -> None:
    body = msgspec.json.decode(wire.encode(ROUND, [committee.attest(0)]))
    body["attestations"][0]["first_market"] = market
    with pytest.raises(Rejected, match=f"no market {market}"):
        wire.decode(msgspec.json.encode(body))


def test_more_than_a_round_can_have_is_not_examined(co_signers: Committee) -> None:
    own = co_signers.attest(0)
    proposal = co_signers.proposal([co_signers.attest(i) for i in range(3)])
    vote = co_signers.vote(0, proposal)
    many = wire.MAX_MEMBERS + 1
    stated_often = msgspec.structs.replace(proposal, stated=proposal.stated * 11)
    answers = {
        "attestations": wire.encode(ROUND, [own] * (wire.MAX_ATTESTATIONS + 1)),
        "proposals": wire.encode(ROUND, (), [CoSigned(proposal=proposal, signatures=())] * many),
        "co-signatures": wire.encode(ROUND, (), [CoSigned(proposal=proposal, signatures=(vote,) * many)]),
        "stated own words": wire.encode(ROUND, (), [CoSigned(proposal=stated_often, signatures=(vote,))]),
    }
    for what, body in answers.items():
        with pytest.raises(Rejected, match=f"{what} where"):
            wire.decode(body)


def test_an_answer_that_would_fill_the_memory_is_refused_unread() -> None:
    with pytest.raises(Rejected, match="are the most"):
        wire.decode(b" " * (wire.MAX_ANSWER_BYTES + 1))


def test_a_member_that_signs_two_reports_for_one_round_is_caught_and_the_first_is_kept(committee: Committee) -> None:
    pool = Pool()
    first = committee.attest(0)
    assert pool.add(first)
    with pytest.raises(Rejected) as refused:
        pool.add(committee.attest(0, words=(3, 5, 7, 13)))
    assert refused.value.reason is Rejection.EQUIVOCATION
    assert pool.of(ROUND) == [first]
    assert pool.two_faced(ROUND) == {first.member}


def test_both_reports_of_a_member_that_signed_twice_are_served_as_evidence(committee: Committee) -> None:
    pool = Pool()
    told = [committee.attest(0, words=(3, 5, 7, last)) for last in (11, 13)]
    pool.add(told[0])
    with pytest.raises(Rejected):
        pool.add(told[1])
    assert pool.everything(ROUND) == told
    for each in told:
        assert pool.knows(each)
        assert pool.stated(ROUND, 0, Stated(each.member, words_hash(each.words))) == each


def test_a_member_that_signs_without_end_does_not_fill_the_memory(committee: Committee) -> None:
    pool = Pool()
    pool.add(committee.attest(0))
    for last in range(12, 30):
        with pytest.raises(Rejected):
            pool.add(committee.attest(0, words=(3, 5, 7, last)))
    assert len(pool.everything(ROUND)) == VERSIONS_KEPT


def test_own_words_are_named_by_their_markets_too(committee: Committee) -> None:
    pool = Pool()
    own = committee.attest(0)
    pool.add(own)
    stated = Stated(own.member, words_hash(own.words))
    assert pool.stated(ROUND, 0, stated) == own
    assert pool.stated(ROUND, 1, stated) is None
    assert pool.stated(ROUND + 1, 0, stated) is None


def test_an_attestation_seen_again_is_not_new(committee: Committee) -> None:
    pool = Pool()
    assert pool.add(committee.attest(0))
    assert not pool.add(committee.attest(0))


def test_the_pool_forgets_old_rounds(committee: Committee) -> None:
    pool = Pool()
    for round_ in range(ROUNDS_KEPT + 5):
        pool.add(committee.attest(0, round_=round_))
    assert pool.of(4) == []
    assert len(pool.of(5)) == 1
