from __future__ import annotations

import msgspec
import pytest

from margrave.attest import wire
from margrave.attest.pool import ROUNDS_KEPT, Pool
from margrave.errors import Rejected
from margrave.verdicts import Rejection

from .conftest import ROUND, Committee


def test_what_is_served_is_what_was_signed(committee: Committee) -> None:
    attestations = [committee.attest(i, words=(1 << 255, 7)) for i in range(3)]
    assert wire.decode(wire.encode(ROUND, attestations)) == attestations


def test_words_travel_as_hex_strings_that_every_language_reads(committee: Committee) -> None:
    body = msgspec.json.decode(wire.encode(ROUND, [committee.attest(0)]))
    assert all(len(word) == 66 and word.startswith("0x") for word in body["attestations"][0]["words"])


@pytest.mark.parametrize(
    "body", [b"", b"[" * 200_000, b"[]", b"{}", b'{"round": 1, "attestations": [{}]}', b"\xff\xfe", b"<html>"]
)
def test_an_answer_that_is_none_is_malformed(body: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        wire.decode(body)
    assert refused.value.reason is Rejection.MALFORMED


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
