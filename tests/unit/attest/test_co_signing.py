"""Members that agree on one co-signed report: with a dead one, a lying one, and none of them a leader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from margrave.attest import wire
from margrave.attest.ballots import Ballots
from margrave.attest.co_signer import CoSigner
from margrave.attest.exchange import Exchange
from margrave.attest.pool import Pool
from margrave.attest.wire import Answer
from margrave.chain import turns
from margrave.errors import Rejected, Transient
from margrave.messages import CoSignature, CoSigned, Hold, Proposal
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.store.journal import Journal
from margrave.verdicts import HoldReason, Rejection, ReportKind

from .conftest import DOMAIN, ROUND, WORDS, Committee, committee_of

WINDOW_MS = 4_000
STAGGER_MS = 250


@dataclass
class Network:
    """Members asked directly, through the same bytes that HTTP would carry."""

    serving: dict[str, Callable[[int], bytes]] = field(default_factory=dict)

    async def ask(self, url: str, round_: int) -> Answer | Exception:
        await asyncio.sleep(0)
        if url not in self.serving:
            return Transient(f"peer {url}: ConnectError", advice="none")
        try:
            return wire.decode(self.serving[url](round_))
        except Rejected as rejected:
            return rejected


@dataclass
class AskedDirectly:
    network: Network
    urls: Sequence[str]

    async def ask_all(self, round_: int) -> dict[str, Answer | Exception]:
        return {url: await self.network.ask(url, round_) for url in self.urls}


def joined(committee: Committee, index: int, network: Network, folder: Path) -> CoSigner:
    """A member that serves, and asks all the others."""
    pool, ballots = Pool(), Ballots()
    others = [m for i, m in enumerate(committee.epoch.members) if i != index]
    exchange = Exchange(
        peers=AskedDirectly(network, others),  # type: ignore[arg-type]
        pool=pool,
        ballots=ballots,
        journal=Journal(folder / f"{index}.sqlite"),
        metrics=Metrics(),
        domain=DOMAIN,
    )
    network.serving[committee.epoch.members[index]] = lambda round_: wire.encode(
        round_, pool.everything(round_), ballots.of(round_)
    )
    return CoSigner(signer=committee.signer(index), exchange=exchange, clock=Clock())


def words_of(index: int) -> tuple[int, ...]:
    return tuple(word + index for word in WORDS)


def speak(committee: Committee, member: CoSigner, index: int) -> None:
    member.exchange.pool.add(committee.attest(index, words=words_of(index)))


async def agree(
    committee: Committee, members: Iterable[CoSigner], *, window_ms: int = WINDOW_MS, may_propose: bool = True
) -> list[CoSigned | Hold]:
    now_ms = Clock().now_ms()
    return list(
        await asyncio.gather(
            *(
                m.agree(
                    ROUND,
                    committee.epoch,
                    may_propose=may_propose,
                    all_until_ms=now_ms + 200,
                    stagger_ms=STAGGER_MS,
                    until_ms=now_ms + window_ms,
                )
                for m in members
            )
        )
    )


def the_one_report(ended: Sequence[CoSigned | Hold]) -> CoSigned:
    agreed = [each for each in ended if isinstance(each, CoSigned)]
    assert len(agreed) == len(ended), [each for each in ended if isinstance(each, Hold)]
    assert len({msgspec.json.encode(each.proposal) for each in agreed}) == 1
    return agreed[0]


def in_order(committee: Committee) -> list[int]:
    return [committee.epoch.members.index(m) for m in turns.order(ROUND, committee.epoch.members)]


def speaking(committee: Committee, indices: Iterable[int], network: Network, folder: Path) -> list[CoSigner]:
    members = []
    for index in indices:
        members.append(joined(committee, index, network, folder))
        speak(committee, members[-1], index)
    return members


async def test_all_members_agree_on_the_first_ones_proposal(co_signers: Committee, tmp_path: Path) -> None:
    ended = await agree(co_signers, speaking(co_signers, range(4), Network(), tmp_path))
    report = the_one_report(ended)
    assert len(report.signatures) == co_signers.epoch.quorum
    # Lower median of the stated three, lane by lane: each member's words differ from the next one's by one.
    stated = sorted(co_signers.epoch.members.index(s.member) for s in report.proposal.stated)
    assert report.proposal.words == words_of(stated[1])


@pytest.mark.parametrize("place", range(4))
async def test_a_member_that_is_dead_costs_no_round_whatever_its_turn(
    co_signers: Committee, tmp_path: Path, place: int
) -> None:
    dead = in_order(co_signers)[place]
    alive = [i for i in range(4) if i != dead]
    ended = await agree(co_signers, speaking(co_signers, alive, Network(), tmp_path))
    report = the_one_report(ended)
    assert {v.member for v in report.signatures} == {co_signers.epoch.members[i] for i in alive}


async def test_a_first_proposer_that_dies_after_its_own_words_is_passed_over(
    co_signers: Committee, tmp_path: Path
) -> None:
    first, *others = in_order(co_signers)
    network = Network()
    members = speaking(co_signers, others, network, tmp_path)
    gone = co_signers.attest(first, words=words_of(first))
    members[0].exchange.pool.add(gone)
    report = the_one_report(await agree(co_signers, members))
    assert gone.member not in {v.member for v in report.signatures}


def lying(committee: Committee, index: int, network: Network, *, votes_too: CoSigner | None = None) -> None:
    """The member signs own words and, at once, a proposal whose medians are ten times too small for its neighbours."""
    own = committee.attest(index, words=words_of(index))

    def serve(round_: int) -> bytes:
        held = [committee.attest(i, words=words_of(i)) for i in range(len(committee.accounts))]
        true = committee.proposal(held)
        false = msgspec.structs.replace(true, words=(1,) * len(true.words))
        told = [CoSigned(proposal=false, signatures=(committee.vote(index, false),))]
        if votes_too is not None:
            told = [
                CoSigned(proposal=p.proposal, signatures=(*p.signatures, committee.vote(index, p.proposal)))
                for p in votes_too.exchange.ballots.of(round_)
            ] or told
        return wire.encode(round_, [own], told)

    network.serving[committee.epoch.members[index]] = serve


async def test_a_liars_proposal_is_refused_with_a_reason_and_costs_no_round(
    co_signers: Committee, tmp_path: Path
) -> None:
    first, *others = in_order(co_signers)
    network = Network()
    lying(co_signers, first, network)
    members = speaking(co_signers, others, network, tmp_path)
    report = the_one_report(await agree(co_signers, members))
    liar = co_signers.epoch.members[first]
    assert liar not in {v.member for v in report.signatures}
    assert report.proposal.words != (1,) * 4
    refused = [m.exchange.metrics.refusals.labels(source=liar, reason=Rejection.WRONG_MEDIANS) for m in members]
    assert all(counter._value.get() >= 1 for counter in refused)


async def test_one_dead_and_one_that_lies_when_it_proposes_cost_no_round_while_the_liar_votes(
    co_signers: Committee, tmp_path: Path
) -> None:
    liar, dead, *others = in_order(co_signers)
    network = Network()
    members = speaking(co_signers, others, network, tmp_path)
    lying(co_signers, liar, network, votes_too=members[0])
    report = the_one_report(await agree(co_signers, members))
    assert report.proposal.words in (words_of(i) for i in range(4))
    assert co_signers.epoch.members[dead] not in {v.member for v in report.signatures}


async def test_a_proposal_that_one_honest_member_signed_reaches_all_although_its_proposer_is_gone(
    co_signers: Committee, tmp_path: Path
) -> None:
    """It shows its proposal to one other member only, and dies; the others learn of it from that one."""
    first, second, third, fourth = in_order(co_signers)
    network = Network()
    members = speaking(co_signers, (second, third, fourth), network, tmp_path)
    all_own = [co_signers.attest(i, words=words_of(i)) for i in range(4)]
    proposal = co_signers.proposal(all_own)
    confidant = members[1].exchange
    for own in all_own:
        confidant.pool.add(own)
    confidant.ballots.add(proposal, co_signers.vote(first, proposal))
    report = the_one_report(await agree(co_signers, members))
    assert report.proposal == proposal


async def test_a_member_that_finds_nothing_due_signs_what_others_propose_and_proposes_nothing(
    co_signers: Committee, tmp_path: Path
) -> None:
    members = speaking(co_signers, range(4), Network(), tmp_path)
    ended = await agree(co_signers, members, window_ms=1_200, may_propose=False)
    assert [each.detail for each in ended if isinstance(each, Hold)] == ["nobody proposed"] * 4


async def test_without_a_quorum_of_own_words_the_silent_are_named(co_signers: Committee, tmp_path: Path) -> None:
    members = speaking(co_signers, (0, 2), Network(), tmp_path)
    ended = await agree(co_signers, members, window_ms=600)
    for hold in ended:
        assert isinstance(hold, Hold)
        assert hold.reason is HoldReason.NO_QUORUM
        assert co_signers.epoch.members[1] in hold.detail
        assert co_signers.epoch.members[0] not in hold.detail


async def test_a_node_that_restarts_inside_a_round_signs_nothing_else_than_before(
    co_signers: Committee, tmp_path: Path
) -> None:
    """Bound to a proposal that no longer gets a quorum, it holds rather than vote twice."""
    held = [co_signers.attest(i, words=words_of(i)) for i in range(4)]
    bound = co_signers.proposal(held[:3])
    other = co_signers.proposal(held[1:])
    member = joined(co_signers, 3, Network(), tmp_path)
    member.exchange.journal.pledge_co_signed(bound, b"\x01" * 32)
    for own in held:
        member.exchange.pool.add(own)
    for index in range(3):
        member.exchange.ballots.add(other, co_signers.vote(index, other))
    with pytest.raises(Rejected) as refused:
        member.exchange.journal.pledge_co_signed(other, b"\x02" * 32)
    assert refused.value.reason is Rejection.EQUIVOCATION
    again = joined(co_signers, 3, Network(), tmp_path)
    assert again.exchange.journal.pledged_co_signed(ROUND) == bound


async def test_a_restarted_member_votes_again_for_what_it_is_bound_to(co_signers: Committee, tmp_path: Path) -> None:
    network = Network()
    members = speaking(co_signers, (0, 1, 2), network, tmp_path)
    before = the_one_report(await agree(co_signers, members))
    back = joined(co_signers, 0, network, tmp_path)
    speak(co_signers, back, 0)
    (after,) = await agree(co_signers, [back])
    assert isinstance(after, CoSigned)
    assert after.proposal == before.proposal
    (mine,) = [v for v in back.exchange.ballots.of(ROUND)[0].signatures if v.member == back.signer.address]
    assert isinstance(mine, CoSignature)


async def test_a_committee_of_seven_agrees_with_one_dead_and_one_that_neither_votes_nor_tells_the_truth(
    tmp_path: Path,
) -> None:
    seven = committee_of(7, 5, ReportKind.CO_SIGNED)
    liar, _dead, *others = in_order(seven)
    network = Network()
    lying(seven, liar, network)
    members = speaking(seven, others, network, tmp_path)
    report = the_one_report(await agree(seven, members, window_ms=6_000))
    assert {v.member for v in report.signatures} == {seven.epoch.members[i] for i in others}


def test_no_two_different_reports_of_a_round_can_both_reach_a_quorum() -> None:
    """Honest members vote once. With f liars who vote for everything, two quorums would need more honest members than
    there are."""
    for n in range(1, 32):
        quorum_ = 2 * n // 3 + 1
        liars = n - quorum_
        assert 2 * (quorum_ - liars) > n - liars


def test_proposals_are_equal_only_if_everything_about_them_is(co_signers: Committee) -> None:
    proposal = co_signers.proposal([co_signers.attest(i) for i in range(3)])
    same = msgspec.json.decode(msgspec.json.encode(proposal), type=Proposal)
    assert same == proposal
    assert msgspec.structs.replace(proposal, words=(*proposal.words[:-1], 12)) != proposal
