"""A quorum's words on a real chain through the node's own reader, publisher and watcher."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from margrave.attest import quorum
from margrave.attest.quorum import Domain
from margrave.chain.deploy import Deployment, deploy
from margrave.chain.deploy import Sender as Deployer
from margrave.chain.history import History, Refolded
from margrave.chain.oracle import Oracle
from margrave.chain.rpc import Rpc
from margrave.chain.signer import KeystoreSigner
from margrave.collect.board import Board
from margrave.collect.chains.build import protocol_watch
from margrave.collect.chains.protocol import RATIO_CAP
from margrave.collect.chains.watch import ChainWatch
from margrave.decide.limits import looser, policy_digest, policy_words
from margrave.errors import Fatal, Rejected, Transient
from margrave.lab.bench.chain import FUNDED_KEYS, MODEL_SET, local_chain, ordinary
from margrave.messages import Attestation, Bundle, Epoch, Kind, ScalarReading
from margrave.mirror import history, limits
from margrave.mirror.medians import medians
from margrave.mirror.typed_data import own_words_digest
from margrave.mirror.words import unstamped
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.publish.publisher import Publisher
from margrave.publish.sender import Sender
from margrave.settings import POLICY_FILE, ChainSettings, load_policy
from margrave.store.journal import Journal
from margrave.verdicts import MarketStatus, Outcome, ReportKind

pytestmark = pytest.mark.devnet
POLICY = load_policy(POLICY_FILE)
MARKETS, QUORUM, CHAIN_ID = 2, 3, 31337
SIGNERS = [KeystoreSigner(Account.from_key(key)) for key in (*FUNDED_KEYS, b"\x07" * 32)]


@dataclass
class Devnet:
    url: str
    deployment: Deployment
    rpc: Rpc
    oracle: Oracle
    folder: Path
    clock: Clock

    async def round(self) -> int:
        return (await self.oracle.state()).block_time_s // POLICY.round.period_s

    def attest(self, epoch: Epoch, member: int, round_: int) -> Attestation:
        words = [
            word for m in range(MARKETS) for w in (ordinary(m, member, round_ % 16),) for word in (w.risk, w.market)
        ]
        digest = own_words_digest(
            CHAIN_ID, self.oracle.address, epoch.number, round_, 0, epoch.model_set, epoch.policy_digest, words
        )
        return Attestation(
            member=SIGNERS[member].address,
            round=round_,
            epoch=epoch.number,
            first_market=0,
            words=tuple(words),
            signature=SIGNERS[member].sign_digest(digest),
        )

    async def bundle(self, round_: int | None = None) -> Bundle:
        round_ = await self.round() if round_ is None else round_
        epoch = (await self.oracle.state()).binding(round_)
        bundle = quorum.gather([self.attest(epoch, member, round_) for member in range(QUORUM)], epoch)
        assert bundle is not None
        return bundle

    def publisher(self, member: int) -> Publisher:
        sender = Sender(
            rpc=self.rpc,
            signer=SIGNERS[member],
            journal=Journal(self.folder / f"{member}.sqlite"),
            clock=self.clock,
            metrics=Metrics(),
            chain_id=CHAIN_ID,
            max_fee_gwei=100,
            confirmations=0,
        )
        return Publisher(oracle=self.oracle, sender=sender, clock=self.clock, address=SIGNERS[member].address)

    async def publish(self, member: int, bundle: Bundle) -> Outcome:
        epoch = (await self.oracle.state()).binding(bundle.round)
        until_ms = self.clock.now_ms() + 20_000
        receipt = await self.publisher(member).publish(bundle, epoch, stagger_ms=0, until_ms=until_ms)
        return receipt.outcome


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with local_chain() as where:
        yield where


@pytest.fixture
async def devnet(url: str, tmp_path: Path) -> AsyncIterator[Devnet]:
    deployment = deploy(
        url,
        FUNDED_KEYS[0],
        POLICY,
        markets=MARKETS,
        members=[signer.address for signer in SIGNERS],
        quorum=QUORUM,
        model_set=MODEL_SET,
    )
    settings = ChainSettings(rpc=[url], chain_id=CHAIN_ID, oracle=deployment.oracle)
    async with AsyncExitStack() as stack:
        rpc = await stack.enter_async_context(aclosing(Rpc(settings)))
        await rpc.verify_chain()
        yield Devnet(url, deployment, rpc, Oracle(rpc, deployment.oracle), tmp_path, Clock())


async def calldata(devnet: Devnet, bundle: Bundle) -> bytes:
    return devnet.oracle.calldata(bundle, (await devnet.oracle.state()).binding(bundle.round))


async def test_a_fresh_oracle_is_read_with_the_settings_that_bind_it(devnet: Devnet) -> None:
    state = await devnet.oracle.state()
    epoch = state.epoch
    assert epoch.members == tuple(signer.address for signer in SIGNERS)
    assert (epoch.quorum, epoch.model_set, state.period_s) == (QUORUM, MODEL_SET, POLICY.round.period_s)
    assert (epoch.kind, epoch.paused, state.next_epoch) == (ReportKind.OWN_WORDS, False, None)
    assert epoch.timing == limits.timing(POLICY.round)
    assert [epoch.limits_of(market) for market in range(MARKETS)] == [policy_words(POLICY.limits)] * MARKETS
    assert (epoch.group_of, epoch.ring_of) == (bytes(MARKETS), bytes(MARKETS))
    assert policy_digest(epoch) == epoch.policy_digest
    assert list(looser(POLICY, epoch)) == []
    assert state.history_hash == history.BEGINNING
    assert [m.status for m in state.markets] == [MarketStatus.EMPTY] * MARKETS
    assert [m.observed_at_s for m in state.markets] == [0] * MARKETS


async def test_what_is_published_is_the_median_stamped_with_the_rounds_time(devnet: Devnet) -> None:
    bundle = await devnet.bundle()
    assert await devnet.publish(0, bundle) is Outcome.PUBLISHED
    state = await devnet.oracle.state()
    for market in range(MARKETS):
        stored = state.markets[market]
        assert unstamped(stored.words) == medians([ordinary(market, m, bundle.round % 16) for m in range(QUORUM)])
        assert stored.observed_at_s == bundle.round * state.period_s
        assert stored.status is MarketStatus.FRESH


async def test_a_second_publisher_drops_out_without_sending(devnet: Devnet) -> None:
    bundle = await devnet.bundle()
    assert await devnet.publish(0, bundle) is Outcome.PUBLISHED
    address = SIGNERS[1].address
    before = await devnet.rpc.use(lambda w: w.eth.get_transaction_count(address))  # type: ignore[arg-type]
    assert await devnet.publish(1, bundle) is Outcome.PUBLISHED_BY_PEER
    assert await devnet.rpc.use(lambda w: w.eth.get_transaction_count(address)) == before  # type: ignore[arg-type]


async def test_a_market_that_governance_resumes_inside_a_round_is_not_taken_for_a_publication(devnet: Devnet) -> None:
    assert await devnet.publish(0, await devnet.bundle(await devnet.round() - 1)) is Outcome.PUBLISHED
    governance = Deployer(devnet.url, FUNDED_KEYS[0])
    oracle = governance.at("RiskOracle", devnet.oracle.address)
    governance.send(oracle.functions.halt(0))
    governance.send(oracle.functions.resume(0))
    state = await devnet.oracle.state()
    assert state.markets[0].status is MarketStatus.STALE
    assert state.markets[0].observed_at_s >= await devnet.round() * state.period_s
    assert await devnet.publish(1, await devnet.bundle()) is Outcome.PUBLISHED


async def test_a_published_round_replayed_is_refused_by_name(devnet: Devnet) -> None:
    bundle = await devnet.bundle()
    assert await devnet.publish(0, bundle) is Outcome.PUBLISHED
    data = await calldata(devnet, bundle)
    with pytest.raises(Rejected, match=r"NothingNew\(observedAt \d+, lastObservedAt \d+\)"):
        await devnet.oracle.simulate(data, SIGNERS[2].address)


async def test_words_that_their_member_did_not_sign_are_refused_by_name(devnet: Devnet) -> None:
    bundle = await devnet.bundle()
    first, *others = bundle.attestations
    forged = msgspec.structs.replace(first, words=(*first.words[:-1], first.words[-1] + 1))
    bundle = msgspec.structs.replace(bundle, attestations=(forged, *others))
    with pytest.raises(Rejected, match="WrongSigner"):
        await devnet.oracle.simulate(await calldata(devnet, bundle), SIGNERS[0].address)
    assert await devnet.publish(0, bundle) is Outcome.FAILED


@pytest.mark.parametrize(("rounds", "error"), [(2, "Future"), (-5, "TooOld")])
async def test_a_round_of_another_time_is_refused_with_both_times(devnet: Devnet, rounds: int, error: str) -> None:
    bundle = await devnet.bundle(await devnet.round() + rounds)
    with pytest.raises(Rejected, match=rf"{error}\(observedAt \d+, \w+ \d+\)"):
        await devnet.oracle.simulate(await calldata(devnet, bundle), SIGNERS[0].address)


async def test_signatures_for_one_oracle_are_worth_nothing_on_another(devnet: Devnet, url: str, tmp_path: Path) -> None:
    bundle = await devnet.bundle()
    addresses = [signer.address for signer in SIGNERS]
    other = deploy(url, FUNDED_KEYS[0], POLICY, markets=MARKETS, members=addresses, quorum=QUORUM, model_set=MODEL_SET)
    oracle = Oracle(devnet.rpc, other.oracle)
    with pytest.raises(Rejected, match="WrongSigner"):
        await oracle.simulate(oracle.calldata(bundle, (await oracle.state()).epoch), SIGNERS[0].address)


async def test_what_was_published_folds_to_the_hash_that_the_oracle_keeps(devnet: Devnet) -> None:
    told = History(devnet.rpc, devnet.oracle, CHAIN_ID)
    assert await told.refold(await devnet.oracle.state(), 5_000) == Refolded(0, 0, None, ends_at_head=True)
    now = await devnet.round()
    for round_ in (now - 2, now - 1, now):
        assert await devnet.publish(0, await devnet.bundle(round_)) is Outcome.PUBLISHED
    state = await devnet.oracle.state()
    assert await told.refold(state, 5_000) == Refolded(3, 0, None, ends_at_head=True)
    folded = history.BEGINNING
    for round_ in (now - 2, now - 1, now):
        bundle = await devnet.bundle(round_)
        digests = [
            quorum.digest_of(a, state.epoch, Domain(CHAIN_ID, devnet.oracle.address)) for a in bundle.attestations
        ]
        folded = history.fold(folded, digests)
    assert folded == state.history_hash


async def test_an_endpoint_that_keeps_back_the_last_publication_or_tells_of_another_chain_is_found_out(
    devnet: Devnet,
) -> None:
    now = await devnet.round()
    for round_ in (now - 1, now):
        assert await devnet.publish(0, await devnet.bundle(round_)) is Outcome.PUBLISHED
    state = await devnet.oracle.state()
    older = msgspec.structs.replace(state, history_hash=bytes(19) + b"\x01")
    assert not (await History(devnet.rpc, devnet.oracle, CHAIN_ID).refold(older, 5_000)).ends_at_head
    differs = (await History(devnet.rpc, devnet.oracle, 1).refold(state, 5_000)).differs
    assert differs is not None
    assert differs.round == now


FORWARD = "365f5f375f5f365f5f73{}5af16026575f5ffd5b00"
"""EVM: copy the calldata, call the address with it, revert if that did, stop."""


async def test_what_another_contract_published_is_counted_as_not_read(devnet: Devnet) -> None:
    forwarder = "0x" + "f0" * 20
    chain = Web3(HTTPProvider(devnet.url))
    code = FORWARD.format(devnet.oracle.address[2:].lower())
    chain.provider.make_request(RPCEndpoint("anvil_setCode"), [forwarder, "0x" + code])
    now = await devnet.round()
    assert await devnet.publish(0, await devnet.bundle(now - 2)) is Outcome.PUBLISHED
    data = await calldata(devnet, await devnet.bundle(now - 1))
    Deployer(devnet.url, FUNDED_KEYS[0]).send_data("forwarded", forwarder, data)
    assert await devnet.publish(0, await devnet.bundle(now)) is Outcome.PUBLISHED
    told = await History(devnet.rpc, devnet.oracle, CHAIN_ID).refold(await devnet.oracle.state(), 5_000)
    assert told == Refolded(3, 1, None, ends_at_head=True)


async def test_settings_that_a_reorganisation_replaced_are_read_again(devnet: Devnet) -> None:
    state = await devnet.oracle.state()
    number = state.epoch.number
    devnet.oracle._epochs[number] = msgspec.structs.replace(state.epoch, quorum=4)
    assert (await devnet.oracle.state()).epoch == state.epoch


async def test_settings_that_are_not_those_that_the_oracle_tells_of_are_not_believed(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other(_: Oracle, number: int) -> Epoch:
        return msgspec.structs.replace(epoch, quorum=1)

    epoch = (await devnet.oracle.state()).epoch
    monkeypatch.setattr(Oracle, "settings", other)
    with pytest.raises(Transient, match="not those that the oracle tells of"):
        await devnet.oracle.state()


async def test_an_epoch_that_was_never_written_has_no_settings(devnet: Devnet) -> None:
    newest = (await devnet.oracle.state()).epoch.number
    assert await devnet.oracle.settings(newest) is not None
    assert await devnet.oracle.settings(newest + 1) is None


async def test_no_oracle_at_the_address_stops_the_node(devnet: Devnet) -> None:
    with pytest.raises(Fatal, match="no RiskOracle"):
        await Oracle(devnet.rpc, devnet.deployment.collateral).state()


async def test_a_chain_that_is_gone_is_transient(devnet: Devnet) -> None:
    settings = ChainSettings(rpc=["http://127.0.0.1:9"], chain_id=CHAIN_ID, oracle=devnet.deployment.oracle)
    async with aclosing(Rpc(settings)) as rpc:
        with pytest.raises(Transient, match="no RPC endpoint answers"):
            await Oracle(rpc, devnet.deployment.oracle).state()


def watcher(devnet: Devnet, clearinghouse: str, board: Board, rpc: Rpc | None = None) -> ChainWatch:
    settings = ChainSettings(rpc=["unused"], chain_id=CHAIN_ID, oracle=devnet.deployment.oracle)
    return protocol_watch(
        rpc or devnet.rpc,
        settings,
        clearinghouse,
        ("BTC", "ETH"),
        every_s=1.0,
        board=board,
        clock=devnet.clock,
    )


async def test_the_protocols_book_is_a_reading_of_every_market(devnet: Devnet) -> None:
    board = Board()
    await watcher(devnet, devnet.deployment.clearinghouse, board).poll()
    readings = [r for r in board.readings() if isinstance(r, ScalarReading)]
    assert sorted((r.market, r.kind, r.value) for r in readings) == [
        ("BTC", Kind.COLLATERAL_RATIO, RATIO_CAP),
        ("ETH", Kind.COLLATERAL_RATIO, RATIO_CAP),
    ]
    assert {r.source for r in readings} == {"chain:31337"}


async def test_a_contract_that_is_no_clearinghouse_is_refused_and_counted(devnet: Devnet) -> None:
    board = Board()
    await watcher(devnet, devnet.deployment.collateral, board).poll()
    assert board.readings() == ()
    assert [r.what for r in board.refusals()] == ["totals"]


async def test_a_chain_that_does_not_answer_leaves_the_board_and_is_counted(devnet: Devnet) -> None:
    board = Board()
    settings = ChainSettings(rpc=["http://127.0.0.1:9"], chain_id=CHAIN_ID, oracle=devnet.deployment.oracle)
    async with aclosing(Rpc(settings)) as rpc:
        await watcher(devnet, devnet.deployment.clearinghouse, board, rpc).poll()
    assert board.health()["chain:31337"].failures == 1
