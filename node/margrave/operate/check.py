"""`margrave check`: may this node go live? Every answer says what was found and, where it is bad, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from web3 import Web3

from margrave.attest.peers import Peers
from margrave.chain.history import History
from margrave.chain.oracle import Oracle
from margrave.chain.rpc import Rpc
from margrave.chain.signer import KeystoreSigner
from margrave.collect.board import Board, SourceHealth
from margrave.collect.chains.build import watches
from margrave.collect.collector import Collector
from margrave.collect.skew import MAX_AHEAD_MS, MAX_BEHIND_MS
from margrave.collect.source import ADVICE
from margrave.decide.limits import looser, policy_digest
from margrave.errors import MargraveError
from margrave.guard.snapshot import Memory, take
from margrave.messages import ChainState
from margrave.ops.clock import Clock
from margrave.score.model_set import ModelSet
from margrave.settings import Settings, load
from margrave.verdicts import Verdict

GAS_A_REPORT: Final = 400_000
ROUNDS_OF_GAS: Final = 500
CLOCK_TOLERANCE_S: Final = 30.0
HISTORY_BLOCKS: Final = 5_000
"""How far back publications are folded again; public endpoints refuse a wider range."""


CLOCKS: Final = "set this machine's clock (NTP); if it is right, the venue's is wrong and what it says is refused"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    verdict: Verdict
    found: str
    advice: str = ""


@dataclass(slots=True)
class Check:
    """Runs every check it can: one that fails stops only those that need what it would have brought."""

    config: Path
    findings: list[Finding] = field(default_factory=list)

    async def run(self) -> list[Finding]:
        with self._asking("configuration"):
            settings = load(self.config)
            self._say(
                "configuration", Verdict.OK, f"{', '.join(settings.markets)}; {settings.policy.round.period_s} s rounds"
            )
            self._guard(settings)
            await self._all(settings)
        return self.findings

    def _guard(self, settings: Settings) -> None:
        layers = settings.policy.guard.layers.model_dump()
        off = [name for name, on in layers.items() if not on]
        if off:
            advice = "remove them from [guard.layers]: they are switched off for measuring, never on a node that signs"
            self._say("guard", Verdict.FAIL, f"layers are off: {', '.join(off)}", advice)
        else:
            self._say(
                "guard", Verdict.OK, f"all {len(layers)} layers, {settings.policy.guard.min_sources} venues needed"
            )

    async def _all(self, settings: Settings) -> None:
        signer = model_set = state = None
        with self._asking("key"):
            signer = KeystoreSigner.unlock(settings.node.keys)
            self._say("key", Verdict.OK, signer.address)
        with self._asking("models"):
            opened = ModelSet.of(settings.policy, settings.node.registry_dir)
            model_set = opened.hash
            self._say("models", Verdict.OK, f"{', '.join(opened.names)}, set 0x{model_set.hex()[:16]}…")
            self._formulas(settings)
        async with aclosing(Rpc(settings.node.chain)) as rpc:
            with self._asking("chain"):
                await rpc.verify_chain()
                oracle = Oracle(rpc, settings.node.chain.oracle)
                state = await oracle.state()
                self._epochs(state)
                with self._asking("history", Verdict.WARN):
                    await self._history(rpc, oracle, settings, state)
            if state is not None and signer is not None:
                with self._asking("membership"):
                    await self._member(rpc, signer, state)
        if state is not None:
            self._clock(settings, state)
            self._policy(settings, state)
            if model_set is not None:
                self._model_set(model_set, state)
        await self._venues(settings)
        await self._chains(settings)
        await self._peers(settings)

    def _formulas(self, settings: Settings) -> None:
        """Lanes that no model is named for: governance's choice, the same for every member."""
        if alone := settings.policy.models.formulas:
            found = f"formulas speak on {' and '.join(alone)}, at lower confidence: policy.toml names no models"
            self._say("model lanes", Verdict.OK, found)

    def _epochs(self, state: ChainState) -> None:
        epoch, following = state.epoch, state.next_epoch
        kind = epoch.kind.replace("_", " ")
        self._say("chain", Verdict.OK, f"epoch {epoch.number}, {kind}, quorum {epoch.quorum} of {len(epoch.members)}")
        if epoch.paused:
            self._say("pause", Verdict.WARN, "the guardian has paused loosening", "ask governance when it ends")
        if following is not None:
            kind = following.kind.replace("_", " ")
            members = f"{kind}, quorum {following.quorum} of {len(following.members)}"
            self._say("next epoch", Verdict.OK, f"{following.number} from round {state.next_from_round}, {members}")

    async def _history(self, rpc: Rpc, oracle: Oracle, settings: Settings, state: ChainState) -> None:
        """What was published lately, folded again: whether this endpoint shows all of what the oracle has seen."""
        told = await History(rpc, oracle, settings.node.chain.chain_id).refold(state, HISTORY_BLOCKS)
        where = f"in the last {HISTORY_BLOCKS:,} blocks"
        if told.differs is not None:
            found = f"block {told.differs.block}: round {told.differs.round} does not give the hash that it announced"
            self._say("history", Verdict.FAIL, found, "another RPC endpoint: this one changes or leaves out")
        elif not told.ends_at_head:
            self._say("history", Verdict.FAIL, f"the last publication {where} is not the oracle's", "as above")
        elif told.publications == 0:
            self._say("history", Verdict.OK, f"nothing was published {where}")
        else:
            found = f"{told.publications} publications {where} fold to 0x{state.history_hash.hex()[:16]}…"
            unread = f"; {told.unread} went through another contract and were not read" if told.unread else ""
            self._say("history", Verdict.OK, found + unread)

    async def _member(self, rpc: Rpc, signer: KeystoreSigner, state: ChainState) -> None:
        for epoch in (state.epoch, *((state.next_epoch,) if state.next_epoch else ())):
            if signer.address in epoch.members:
                place = epoch.members.index(signer.address)
                self._say("membership", Verdict.OK, f"member {place} of epoch {epoch.number}")
            else:
                found = f"{signer.address} is no member of epoch {epoch.number}"
                self._say("membership", Verdict.FAIL, found, "ask governance to add it")
        balance = await rpc.use(lambda w: w.eth.get_balance(Web3.to_checksum_address(signer.address)))
        block = await rpc.use(lambda w: w.eth.get_block("latest"))
        rounds = balance // max(1, block["baseFeePerGas"] * GAS_A_REPORT)
        enough = rounds >= ROUNDS_OF_GAS
        self._say(
            "gas money",
            Verdict.OK if enough else Verdict.WARN,
            f"{balance / 1e18:.4f} ether, about {min(rounds, 10**6):,} reports at today's base fee",
            "" if enough else f"send ether to {signer.address}",
        )

    def _model_set(self, ours: bytes, state: ChainState) -> None:
        following = state.next_epoch
        if ours == state.epoch.model_set:
            self._say("model set", Verdict.OK, "approved on chain")
        elif following is not None and ours == following.model_set:
            self._say("model set", Verdict.WARN, f"approved from round {state.next_from_round} on", "no action")
        else:
            theirs = f"chain approves 0x{state.epoch.model_set.hex()[:16]}…"
            self._say("model set", Verdict.FAIL, theirs, "install that set")
        if following is not None and ours != following.model_set:
            theirs = f"0x{following.model_set.hex()[:16]}… from round {state.next_from_round} on"
            self._say("next models", Verdict.WARN, theirs, "install that set before, and start the node again with it")

    def _policy(self, settings: Settings, state: ChainState) -> None:
        for epoch in (state.epoch, *((state.next_epoch,) if state.next_epoch else ())):
            name = "policy" if epoch is state.epoch else f"policy of epoch {epoch.number}"
            if policy_digest(epoch) != epoch.policy_digest:
                self._say(name, Verdict.FAIL, "settings and digest do not agree", "another RPC endpoint")
            elif said := list(looser(settings.policy, epoch)):
                more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
                self._say(name, Verdict.FAIL, f"looser than policy.toml: {said[0]}{more}", "take governance's file")
            else:
                self._say(name, Verdict.OK, "the chain enforces policy.toml, or tighter limits")
        period_s = settings.policy.round.period_s
        if period_s != state.period_s:
            self._say("period", Verdict.FAIL, f"{period_s} s here, {state.period_s} s on chain", "correct policy.toml")
        if len(settings.markets) != state.epoch.markets:
            found = f"{len(settings.markets)} in markets.toml, {state.epoch.markets} on chain"
            self._say("markets", Verdict.WARN, found, "take governance's markets.toml: the node abstains from others")

    def _clock(self, settings: Settings, state: ChainState) -> None:
        clock = Clock.of(settings.node.clock)
        apart_s = clock.now_ms() / 1000 - state.block_time_s
        tolerance_s = CLOCK_TOLERANCE_S * clock.speed
        good = -tolerance_s <= apart_s <= tolerance_s
        self._say(
            "clock",
            Verdict.OK if good else Verdict.WARN,
            f"{apart_s:+.1f} s from the newest block",
            "" if good else "check NTP here, and whether the RPC endpoint lags",
        )

    async def _venues(self, settings: Settings) -> None:
        clock = Clock.of(settings.node.clock)
        collector = Collector(settings.node, settings.markets, clock=clock, interval_s=60.0)
        await collector.collect_once()
        for source, health in collector.board.health().items():
            if health.trouble is None:
                self._say(f"venue {source}", *heard(health))
            else:
                self._say(f"venue {source}", Verdict.WARN, health.last_error or health.trouble, ADVICE[health.trouble])
        now_ms = clock.now_ms()
        snapshot, _ = take(0, now_ms, collector.board.readings(), settings.markets, settings.policy.guard, Memory())
        for market in snapshot.markets:
            self._say(
                f"market {market.market}", Verdict.OK, f"{market.price:,.2f} USD from {len(market.sources)} venues"
            )
        for hold in snapshot.holds:
            self._say(f"market {hold.market}", Verdict.FAIL, f"{hold.reason}: {hold.detail}", "see the venues above")

    async def _chains(self, settings: Settings) -> None:
        """Each endpoint of [chains] by itself, then one reading of each watcher, with no checkpoint touched."""
        board, clock = Board(), Clock.of(settings.node.clock)
        for watch in watches(settings.node.chains, settings.markets, board=board, clock=clock, state_dir=None):
            name = f"chain {watch.name}"
            try:
                with self._asking(name, Verdict.WARN):
                    sweep = await watch.reader.sweep()
                    heard = f"{len(sweep.endpoints)} of {len(watch.reader.endpoints)} endpoints are heard"
                    self._say(name, Verdict.OK, f"{sweep.block}, {heard}")
                    await watch.read_once(sweep)
                for endpoint in watch.reader.endpoints:
                    if (said := endpoint.conduct.last_error) is not None:
                        self._say(f"{name} {endpoint.name}", Verdict.WARN, said, "see rpc of this table")
            finally:
                await watch.aclose()
        for source, health in board.health().items():
            bad = health.last_error is not None
            said = health.last_error or f"{health.readings} readings"
            self._say(f"watcher {source}", Verdict.WARN if bad else Verdict.OK, said, "see its table" if bad else "")

    async def _peers(self, settings: Settings) -> None:
        async with Peers(settings.node.peers.urls, timeout_s=settings.node.chain.timeout_s) as peers:
            for url in peers.urls:
                with self._asking(f"peer {url}", Verdict.WARN):
                    status = await peers.status(url)
                    self._say(f"peer {url}", Verdict.OK, f"{status.get('name')}, version {status.get('version')}")

    def _say(self, check: str, verdict: Verdict, found: str, advice: str = "") -> None:
        self.findings.append(Finding(check, verdict, found, advice))

    @contextmanager
    def _asking(self, check: str, verdict: Verdict = Verdict.FAIL) -> Iterator[None]:
        try:
            yield
        except MargraveError as error:
            self._say(check, verdict, error.problem, error.advice)


def heard(health: SourceHealth) -> tuple[Verdict, str, str]:
    """Verdict, what was found, advice. `health.skew_ms` is the least lag of all that the venue said: see `skew`."""
    found = f"{health.readings} readings, {health.refusals} refused"
    if health.skew_ms is None:
        return Verdict.OK, found, ""
    apart_s = abs(health.skew_ms) / 1000
    if health.skew_ms < -MAX_AHEAD_MS:
        return Verdict.WARN, f"{found}; its clock runs {apart_s:.1f} s ahead of ours or more", CLOCKS
    if health.skew_ms > MAX_BEHIND_MS:
        return Verdict.WARN, f"{found}; nothing that it says is younger than {apart_s:.1f} s", CLOCKS
    return Verdict.OK, f"{found}, {max(health.skew_ms, 0) / 1000:.1f} s old at the newest", ""
