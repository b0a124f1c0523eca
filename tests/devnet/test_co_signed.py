"""Four members that co-sign on a real chain, over real sockets: with one dead, with one lying, with both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import uvicorn
from eth_account import Account
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from margrave.attest import proposals, quorum, wire
from margrave.attest.attester import Attester
from margrave.attest.ballots import Ballots
from margrave.attest.co_signer import CoSigner
from margrave.attest.exchange import Exchange
from margrave.attest.peers import Peers
from margrave.attest.pool import Pool
from margrave.attest.quorum import Domain
from margrave.attest.service import service
from margrave.chain import turns
from margrave.chain.deploy import Sender as Deployer
from margrave.chain.deploy import deploy
from margrave.chain.history import History, Refolded
from margrave.chain.oracle import Oracle
from margrave.chain.rpc import Rpc
from margrave.chain.signer import KeystoreSigner
from margrave.errors import Rejected
from margrave.lab.bench.chain import FUNDED_KEYS, MODEL_SET, local_chain, ordinary
from margrave.lanes import Words
from margrave.messages import (
    AnyBundle,
    Attestation,
    CoSignature,
    CoSigned,
    Epoch,
    Hold,
    Receipt,
    Report,
    ReportRow,
    Snapshot,
)
from margrave.mirror.medians import medians
from margrave.mirror.words import unstamped
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.publish.publisher import Publisher
from margrave.publish.sender import Sender
from margrave.settings import POLICY_FILE, ChainSettings, load_policy
from margrave.store.journal import Journal
from margrave.verdicts import Outcome, Rejection, ReportKind, Trigger

pytestmark = pytest.mark.devnet
OWN_WORDS = load_policy(POLICY_FILE)
POLICY = OWN_WORDS.model_copy(update={"round": OWN_WORDS.round.model_copy(update={"report": ReportKind.CO_SIGNED})})
PERIOD_S = POLICY.round.period_s
MARKETS, QUORUM, CHAIN_ID = 2, 3, 31337
SIGNERS = [KeystoreSigner(Account.from_key(key)) for key in (*FUNDED_KEYS, b"\x07" * 32)]
WINDOW_MS = 8_000
STAGGER_MS = 400


@dataclass
class Committee:
    """Where the members are: addresses of their services, one chain and one oracle."""

    chain: str
    rpc: Rpc
    oracle: Oracle
    registry: str
    folder: Path
    urls: dict[int, str]

    @property
    def domain(self) -> Domain:
        return Domain(CHAIN_ID, self.oracle.address)

    def decide(self, function: str, *arguments: object) -> None:
        """A decision of governance, which is the deployer here."""
        governance = Deployer(self.chain, FUNDED_KEYS[0])
        governance.send(getattr(governance.at("Registry", self.registry).functions, function)(*arguments))

    async def next_round(self) -> tuple[int, Epoch]:
        """Move the chain to it."""
        sender = Deployer(self.chain, FUNDED_KEYS[0])
        round_ = sender.now_s() // PERIOD_S + 1
        sender.mine_at(round_ * PERIOD_S)
        return round_, (await self.oracle.state()).binding(round_)


@dataclass
class Member:
    index: int
    attester: Attester
    co_signer: CoSigner
    publisher: Publisher

    async def play(self, round_: int, epoch: Epoch) -> Receipt | Hold:
        """Sign own words, agree, and publish in turn: as a node does, without venues and models."""
        clock = self.co_signer.clock
        self.attester.exchange.journal.saw(Snapshot(round=round_, as_of_ms=0, markets=(), holds=(), refusals=()), {})
        self.attester.sign(report(self.index, round_, epoch))
        now_ms = clock.now_ms()
        windows = {"all_until_ms": now_ms + 500, "until_ms": now_ms + WINDOW_MS}
        agreed: AnyBundle | Hold
        if epoch.kind is ReportKind.CO_SIGNED:
            agreed = await self.co_signer.agree(round_, epoch, may_propose=True, stagger_ms=STAGGER_MS, **windows)
        else:
            agreed = await self.attester.gather(round_, epoch, **windows)
        if isinstance(agreed, Hold):
            return agreed
        return await self.publisher.publish(agreed, epoch, stagger_ms=1_000, until_ms=clock.now_ms() + WINDOW_MS)


def own_words(member: int, round_: int) -> list[Words]:
    return [ordinary(market, member, round_ % 16) for market in range(MARKETS)]


def report(member: int, round_: int, epoch: Epoch) -> Report:
    return Report(
        round=round_,
        epoch=epoch.number,
        first_market=0,
        model_set=epoch.model_set,
        policy_digest=epoch.policy_digest,
        rows=tuple(
            ReportRow(market=str(market), market_id=market, trigger=Trigger.HEARTBEAT, words=words)
            for market, words in enumerate(own_words(member, round_))
        ),
        halts=(),
        due=True,
    )


def attested(member: int, round_: int, epoch: Epoch, domain: Domain) -> Attestation:
    words = tuple(word for w in own_words(member, round_) for word in (w.risk, w.market))
    draft = Attestation(
        member=SIGNERS[member].address,
        round=round_,
        epoch=epoch.number,
        first_market=0,
        words=words,
        signature=b"",
    )
    signature = SIGNERS[member].sign_digest(quorum.digest_of(draft, epoch, domain))
    return msgspec.structs.replace(draft, signature=signature)


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture(scope="module")
def chain() -> Iterator[str]:
    with local_chain() as where:
        yield where


@pytest.fixture
async def committee(chain: str, tmp_path: Path) -> AsyncIterator[Committee]:
    deployment = deploy(
        chain,
        FUNDED_KEYS[0],
        POLICY,
        markets=MARKETS,
        members=[signer.address for signer in SIGNERS],
        quorum=QUORUM,
        model_set=MODEL_SET,
    )
    settings = ChainSettings(rpc=[chain], chain_id=CHAIN_ID, oracle=deployment.oracle)
    async with aclosing(Rpc(settings)) as rpc:
        oracle = Oracle(rpc, deployment.oracle)
        await asyncio.to_thread(fund, chain)
        yield Committee(chain, rpc, oracle, deployment.registry, tmp_path, {})


def fund(chain: str) -> None:
    """The fourth member pays for gas, too."""
    from web3 import HTTPProvider, Web3
    from web3.types import RPCEndpoint

    Web3(HTTPProvider(chain)).provider.make_request(RPCEndpoint("anvil_setBalance"), [SIGNERS[3].address, hex(10**19)])


@asynccontextmanager
async def playing(committee: Committee, indices: Sequence[int]) -> AsyncIterator[list[Member]]:
    """Honest members, each with its service, asking all others that there are or ought to be."""
    async with AsyncExitStack() as stack:
        parts = {i: (Pool(), Ballots(), Metrics()) for i in indices}
        for i, (pool, ballots, metrics) in parts.items():
            app = service(pool, ballots, metrics, lambda: {"ready": True, "why": ""})
            committee.urls[i] = await stack.enter_async_context(served(app))
        members = []
        for i, (pool, ballots, metrics) in parts.items():
            others = [url for j, url in committee.urls.items() if j != i]
            journal = Journal(committee.folder / f"{i}-{len(committee.urls)}.sqlite")
            exchange = Exchange(
                peers=await stack.enter_async_context(Peers(others, timeout_s=2)),
                pool=pool,
                ballots=ballots,
                journal=journal,
                metrics=metrics,
                domain=committee.domain,
            )
            sender = Sender(
                rpc=committee.rpc,
                signer=SIGNERS[i],
                journal=journal,
                clock=Clock(),
                metrics=metrics,
                chain_id=CHAIN_ID,
                max_fee_gwei=100,
                confirmations=0,
            )
            members.append(
                Member(
                    index=i,
                    attester=Attester(signer=SIGNERS[i], exchange=exchange, clock=Clock()),
                    co_signer=CoSigner(signer=SIGNERS[i], exchange=exchange, clock=Clock()),
                    publisher=Publisher(
                        oracle=committee.oracle, sender=sender, clock=Clock(), address=SIGNERS[i].address
                    ),
                )
            )
        yield members


async def play(members: Sequence[Member], round_: int, epoch: Epoch) -> list[Receipt]:
    ended = await asyncio.gather(*(member.play(round_, epoch) for member in members))
    receipts = [each for each in ended if isinstance(each, Receipt)]
    assert len(receipts) == len(ended), ended
    return receipts


async def published_as_medians(committee: Committee, round_: int, members: Sequence[Member]) -> None:
    """One transaction of the round is on chain, and it stored the medians of the agreed stated set."""
    agreed = members[0].co_signer.exchange.ballots.agreed(round_, (await committee.oracle.state()).binding(round_))
    assert agreed is not None
    addresses = [signer.address for signer in SIGNERS]
    stated = [addresses.index(each.member) for each in agreed.proposal.stated]
    state = await committee.oracle.state()
    for market in range(MARKETS):
        stored = state.markets[market]
        assert stored.observed_at_s == round_ * PERIOD_S
        assert unstamped(stored.words) == medians([own_words(member, round_)[market] for member in stated])


def order_of(round_: int) -> list[int]:
    addresses = [signer.address for signer in SIGNERS]
    return [addresses.index(member) for member in turns.order(round_, addresses)]


async def test_a_round_is_agreed_and_published_once_and_its_history_folds(committee: Committee) -> None:
    async with playing(committee, range(4)) as members:
        for _ in range(2):
            round_, epoch = await committee.next_round()
            assert epoch.kind is ReportKind.CO_SIGNED
            receipts = await play(members, round_, epoch)
            assert sorted(r.outcome for r in receipts) == [Outcome.PUBLISHED] + [Outcome.PUBLISHED_BY_PEER] * 3
            await published_as_medians(committee, round_, members)
    state = await committee.oracle.state()
    refolded = await History(committee.rpc, committee.oracle, CHAIN_ID).refold(state, 5_000)
    assert refolded == Refolded(2, 0, None, ends_at_head=True)


async def test_a_dead_member_costs_no_round_even_where_it_would_have_proposed(committee: Committee) -> None:
    round_, epoch = await committee.next_round()
    dead, *alive = order_of(round_)
    committee.urls[dead] = "http://127.0.0.1:9"
    async with playing(committee, alive) as members:
        receipts = await play(members, round_, epoch)
        assert [r.outcome for r in receipts].count(Outcome.PUBLISHED) == 1
        await published_as_medians(committee, round_, members)


async def test_a_change_of_members_and_of_the_kind_of_report_costs_no_round(committee: Committee) -> None:
    """Decided two rounds ahead, read by everyone before, bound from its round on: round after round is published."""
    async with playing(committee, range(4)) as members:
        now, epoch = await committee.next_round()
        committee.decide("setKind", 0, now + 2)
        committee.decide("setEpoch", [SIGNERS[i].address for i in (3, 1, 0)], 3, MODEL_SET, now + 2)
        state = await committee.oracle.state()
        assert (state.epoch.number, state.next_from_round) == (epoch.number, now + 2)
        kinds = []
        for round_ in range(now, now + 4):
            if round_ > now:
                assert (await committee.next_round())[0] == round_
            bound = (await committee.oracle.state()).binding(round_)
            kinds.append(bound.kind)
            signing = [m for m in members if SIGNERS[m.index].address in bound.members]
            receipts = await play(signing, round_, bound)
            assert [r.outcome for r in receipts].count(Outcome.PUBLISHED) == 1
    assert kinds == [ReportKind.CO_SIGNED] * 2 + [ReportKind.OWN_WORDS] * 2
    state = await committee.oracle.state()
    refolded = await History(committee.rpc, committee.oracle, CHAIN_ID).refold(state, 5_000)
    assert refolded == Refolded(4, 0, None, ends_at_head=True)


async def test_what_the_guardian_does_at_once_voids_what_was_signed_before_and_the_next_round_goes_on(
    committee: Committee,
) -> None:
    async with playing(committee, range(4)) as members:
        round_, epoch = await committee.next_round()
        committee.decide("removeMember", SIGNERS[2].address)
        receipts = await play(members, round_, epoch)
        assert {r.outcome for r in receipts} == {Outcome.FAILED}
        round_, epoch = await committee.next_round()
        assert SIGNERS[2].address not in epoch.members
        receipts = await play([m for m in members if m.index != 2], round_, epoch)
        assert [r.outcome for r in receipts].count(Outcome.PUBLISHED) == 1


def lying(committee: Committee, liar: int, epoch: Epoch, *, votes_with: Callable[[], Ballots | None]) -> Starlette:
    """Signs own words like everybody, and at once a proposal that makes every market look calmer than anybody said."""

    async def rounds(request: Request) -> Response:
        round_ = int(request.path_params["round"])
        held = [attested(i, round_, epoch, committee.domain) for i in range(4)]
        bundle = quorum.gather(held, epoch)
        assert bundle is not None
        true = proposals.propose(bundle)
        calmer = tuple(word - 1 if at % 2 == 0 else word for at, word in enumerate(true.words))
        ballots = votes_with()
        offered = [each.proposal for each in ballots.of(round_)] if ballots is not None else []
        told = [
            CoSigned(proposal=each, signatures=(vote(liar, each, epoch, committee.domain),))
            for each in (offered or [msgspec.structs.replace(true, words=calmer)])
        ]
        return Response(wire.encode(round_, [held[liar]], told))

    return Starlette(routes=[Route("/v1/rounds/{round:int}", rounds)])


def vote(member: int, proposal: object, epoch: Epoch, domain: Domain) -> CoSignature:
    digest = proposals.digest_of(proposal, epoch, chain_id=domain.chain_id, oracle=domain.oracle)  # type: ignore[arg-type]
    return CoSignature(member=SIGNERS[member].address, signature=SIGNERS[member].sign_digest(digest))


async def test_a_lying_proposer_is_refused_with_a_reason_and_the_round_is_published_without_it(
    committee: Committee,
) -> None:
    round_, epoch = await committee.next_round()
    liar, *honest = order_of(round_)
    async with served(lying(committee, liar, epoch, votes_with=lambda: None)) as url:
        committee.urls[liar] = url
        async with playing(committee, honest) as members:
            receipts = await play(members, round_, epoch)
            assert [r.outcome for r in receipts].count(Outcome.PUBLISHED) == 1
            await published_as_medians(committee, round_, members)
            for member in members:
                refusals = member.co_signer.exchange.metrics.refusals
                assert refusals.labels(source=url, reason=Rejection.WRONG_MEDIANS)._value.get() >= 1


async def test_one_dead_and_one_lying_of_four_cost_no_round_while_the_liar_signs_the_truth_in_the_end(
    committee: Committee,
) -> None:
    round_, epoch = await committee.next_round()
    liar, dead, *honest = order_of(round_)
    committee.urls[dead] = "http://127.0.0.1:9"
    seen: list[Ballots] = []
    app = lying(committee, liar, epoch, votes_with=lambda: next((b for b in seen if b.of(round_)), None))
    async with served(app) as url:
        committee.urls[liar] = url
        async with playing(committee, honest) as members:
            seen += [member.co_signer.exchange.ballots for member in members]
            receipts = await play(members, round_, epoch)
            assert [r.outcome for r in receipts].count(Outcome.PUBLISHED) == 1
            await published_as_medians(committee, round_, members)


async def test_the_contract_refuses_medians_that_no_quorum_signed_and_own_words_in_this_mode(
    committee: Committee,
) -> None:
    round_, epoch = await committee.next_round()
    held = [attested(i, round_, epoch, committee.domain) for i in range(3)]
    bundle = quorum.gather(held, epoch)
    assert bundle is not None
    with pytest.raises(Rejected, match="WrongKind"):
        await committee.oracle.simulate(committee.oracle.calldata(bundle, epoch), SIGNERS[0].address)
    true = proposals.propose(bundle)
    votes = tuple(vote(i, true, epoch, committee.domain) for i in range(3))
    forged = CoSigned(proposal=msgspec.structs.replace(true, words=(1, *true.words[1:])), signatures=votes)
    with pytest.raises(Rejected, match="WrongSigner"):
        await committee.oracle.simulate(committee.oracle.calldata(forged, epoch), SIGNERS[0].address)
    other_evidence = msgspec.structs.replace(true, stated=true.stated[::-1])
    forged = CoSigned(proposal=other_evidence, signatures=votes)
    with pytest.raises(Rejected, match="WrongSigner"):
        await committee.oracle.simulate(committee.oracle.calldata(forged, epoch), SIGNERS[0].address)
    await committee.oracle.simulate(
        committee.oracle.calldata(CoSigned(proposal=true, signatures=votes), epoch), SIGNERS[0].address
    )
