"""Explanations beside own words: whose they are, what becomes of one that is false, and that none costs a round."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from margrave.attest import proposals, quorum, wire
from margrave.attest.attester import Attester
from margrave.attest.ballots import Ballots
from margrave.attest.exchange import Exchange
from margrave.attest.pool import Pool
from margrave.attest.quorum import Domain
from margrave.attest.wire import Answer
from margrave.errors import Rejected
from margrave.messages import Attestation, Explained, Snapshot, Stated
from margrave.mirror.typed_data import UNEXPLAINED, evidence_root, words_hash
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.store.journal import Journal
from margrave.verdicts import Rejection

from .conftest import DOMAIN, ORACLE, ROUND, Committee, pool_of, report_of

WHY, OTHER = keccak(text="why"), keccak(text="another why")
PEER = "http://peer"


class Told:
    """A peer that answers with what the test gives it."""

    def __init__(self, *attestations: Attestation) -> None:
        self.answer = wire.decode(wire.encode(ROUND, attestations))

    async def ask_all(self, round_: int) -> dict[str, Answer]:
        assert round_ == ROUND
        return {PEER: self.answer}


def asking(peer: Told, folder: Path, pool: Pool | None = None) -> Exchange:
    journal = Journal(folder / "journal.sqlite")
    return Exchange(
        peers=peer,  # type: ignore[arg-type]
        pool=pool or Pool(),
        ballots=Ballots(),
        journal=journal,
        metrics=Metrics(),
        domain=DOMAIN,
    )


def refused(exchange: Exchange, reason: Rejection) -> float:
    counted: float = exchange.metrics.refusals.labels(source=PEER, reason=reason)._value.get()
    return counted


def test_an_explanation_travels_with_its_words(committee: Committee) -> None:
    own = committee.attest(0, why=WHY)
    assert wire.decode(wire.encode(ROUND, [own])).attestations == (own,)
    assert own.explanation_hash == WHY
    assert committee.attest(0).explanation_hash == UNEXPLAINED


def test_a_peer_of_a_release_without_explanations_is_understood(committee: Committee) -> None:
    body = msgspec.json.decode(wire.encode(ROUND, [committee.attest(0)]))
    del body["attestations"][0]["explained"]
    assert wire.decode(msgspec.json.encode(body)).attestations == (committee.attest(0),)


def test_the_members_own_explanation_of_its_own_words_is_verified(committee: Committee) -> None:
    own = committee.attest(1, why=WHY)
    assert own.explained is not None
    assert quorum.verify_explained(own.explained, own, committee.epoch, DOMAIN) == own.explained


@pytest.mark.parametrize("turned", ["hash", "words", "member", "contract", "zero", "short", "signature"])
def test_an_explanation_of_anything_else_is_refused_with_its_reason(committee: Committee, turned: str) -> None:
    own = committee.attest(1, why=WHY)
    assert own.explained is not None
    domain = DOMAIN
    explained, reason = own.explained, Rejection.WRONG_SIGNER
    if turned == "hash":
        explained = Explained(OTHER, explained.signature)
    elif turned == "words":
        own = committee.attest(1, words=(3, 5, 7, 13))
    elif turned == "member":
        own = committee.attest(2)
    elif turned == "contract":
        domain = Domain(DOMAIN.chain_id, ORACLE.replace("1", "2"))
    elif turned == "zero":
        explained, reason = Explained(UNEXPLAINED, explained.signature), Rejection.MALFORMED
    elif turned == "short":
        explained, reason = Explained(WHY[:31], explained.signature), Rejection.MALFORMED
    else:
        explained, reason = Explained(WHY, b"1"), Rejection.MALFORMED
    with pytest.raises(Rejected) as told:
        quorum.verify_explained(explained, own, committee.epoch, domain)
    assert told.value.reason is reason


@given(junk=st.binary(min_size=64, max_size=64))
def test_no_bytes_are_an_explanations_signature_but_the_members_own(committee: Committee, junk: bytes) -> None:
    with pytest.raises(Rejected):
        quorum.verify_explained(Explained(WHY, junk), committee.attest(1), committee.epoch, DOMAIN)


async def test_words_whose_explanation_was_changed_count_without_it(committee: Committee, tmp_path: Path) -> None:
    own = committee.attest(1, why=WHY)
    assert own.explained is not None
    changed = msgspec.structs.replace(own, explained=Explained(OTHER, own.explained.signature))
    exchange = asking(Told(changed), tmp_path)
    await exchange.pull(ROUND, committee.epoch)
    assert exchange.pool.of(ROUND) == [committee.attest(1)]
    assert refused(exchange, Rejection.WRONG_SIGNER) == 1


async def test_an_explanation_that_a_peer_kept_back_joins_its_words_when_another_brings_it(
    committee: Committee, tmp_path: Path
) -> None:
    bare, whole = committee.attest(1), committee.attest(1, why=WHY)
    exchange = asking(Told(bare, whole), tmp_path)
    await exchange.pull(ROUND, committee.epoch)
    assert exchange.pool.everything(ROUND) == [whole]
    assert exchange.pool.two_faced(ROUND) == frozenset()
    assert exchange.journal.attestations(ROUND) == [whole]
    await asking(Told(bare), tmp_path / "again", exchange.pool).pull(ROUND, committee.epoch)
    assert exchange.pool.everything(ROUND) == [whole]


def test_two_explanations_of_the_same_words_are_two_reports(committee: Committee) -> None:
    pool = Pool()
    pool.add(committee.attest(0, why=WHY))
    with pytest.raises(Rejected) as told:
        pool.add(committee.attest(0, why=OTHER))
    assert told.value.reason is Rejection.EQUIVOCATION
    assert pool.two_faced(ROUND) == {committee.epoch.members[0]}
    assert pool.of(ROUND) == [committee.attest(0, why=WHY)]


# --- in the evidence of a co-signed report ----------------------------------------------------------------------------


def own_words(committee: Committee) -> list[Attestation]:
    """Two members explain, the third does not."""
    whys = (WHY, OTHER, None)
    return [committee.attest(i, words=(3 + i, 5, 7, 11), why=why) for i, why in enumerate(whys)]


def test_the_evidence_names_each_members_explanation_and_zeros_where_there_is_none(co_signers: Committee) -> None:
    held = own_words(co_signers)
    proposal = co_signers.proposal(held)
    assert [each.explanation_hash for each in proposal.stated] == [WHY, OTHER, UNEXPLAINED]
    proposals.examine(proposal, co_signers.epoch, ROUND, pool_of(*held).stated)
    told = [(i, words_hash(own.words), own.explanation_hash) for i, own in enumerate(held)]
    assert proposals.root_of(proposal, co_signers.epoch) == evidence_root(told)


def test_an_explanation_that_its_member_never_gave_cannot_be_stated(co_signers: Committee) -> None:
    held = own_words(co_signers)
    proposal = co_signers.proposal(held)
    first = proposal.stated[0]
    for made_up in (keccak(text="made up"), b"", WHY[:31]):
        forged = msgspec.structs.replace(
            proposal, stated=(Stated(first.member, first.words_hash, made_up), *proposal.stated[1:])
        )
        with pytest.raises(Rejected) as told:
            proposals.examine(forged, co_signers.epoch, ROUND, pool_of(*held).stated)
        assert told.value.reason is Rejection.NO_EVIDENCE


def test_a_proposal_of_words_whose_explanation_its_proposer_has_not_got_is_signed_all_the_same(
    co_signers: Committee,
) -> None:
    held = own_words(co_signers)
    bare = [msgspec.structs.replace(own, explained=None) for own in held]
    proposals.examine(co_signers.proposal(bare), co_signers.epoch, ROUND, pool_of(*held).stated)


def test_an_explanation_is_part_of_what_is_co_signed(co_signers: Committee) -> None:
    held = own_words(co_signers)
    bare = [msgspec.structs.replace(own, explained=None) for own in held]
    digests = {
        proposals.digest_of(co_signers.proposal(told), co_signers.epoch, chain_id=1, oracle=ORACLE)
        for told in (held, bare)
    }
    assert len(digests) == 2


def test_a_node_that_restarts_inside_a_round_explains_it_as_before(committee: Committee, tmp_path: Path) -> None:
    report = msgspec.structs.replace(report_of(committee), attributions_hash=WHY)
    exchange = asking(Told(), tmp_path)
    exchange.journal.saw(Snapshot(round=ROUND, as_of_ms=0, markets=(), holds=(), refusals=()), {})
    first = Attester(signer=committee.signer(0), exchange=exchange, clock=Clock()).sign(report)
    assert first.explanation_hash == WHY
    exchange.journal._db.close()
    restarted = Attester(signer=committee.signer(0), exchange=asking(Told(), tmp_path), clock=Clock())
    assert restarted.sign(msgspec.structs.replace(report, attributions_hash=OTHER)) == first
