"""One round, from readings to a receipt: collect -> guard -> score -> decide -> explain -> attest -> publish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from margrave.attest.attester import Attester
from margrave.attest.co_signer import CoSigner
from margrave.chain.oracle import Oracle
from margrave.collect.board import Board
from margrave.collect.gauges import tell_sources
from margrave.decide.report import decide
from margrave.errors import Rejected
from margrave.guard.snapshot import Memory, take
from margrave.messages import (
    AnyBundle,
    AnyReading,
    ChainState,
    Epoch,
    Hold,
    MarketHold,
    Receipt,
    Refusal,
    Report,
    Scores,
    Snapshot,
    Surface,
)
from margrave.ops import log
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.publish.publisher import Publisher
from margrave.score.attribution import attributions_hash, explained
from margrave.score.carried import Carried
from margrave.score.regime import ORDER
from margrave.score.scores import Scorer
from margrave.score.scores import carried as aged
from margrave.score.systemic import LEARNT_LANES
from margrave.settings import Settings
from margrave.store.journal import Journal
from margrave.verdicts import DriftLevel, HoldReason, Outcome, Regime, ReportKind

ALL_SHARE: Final = 0.3
"""Of the period: until then every member's attestation is awaited; afterwards a quorum is enough."""
EXPLAIN_SHARE: Final = 0.2
"""Of the period: a market whose turn to be explained comes later is signed without; words wait for no reasons."""
GATHER_SHARE: Final = 0.65
"""Of the period: without a quorum by then the round is given up."""
PROPOSE_SHARE: Final = 0.07
"""Of the period: how long each proposer of a co-signed report waits for the one before it."""
STAGGER_SHARE: Final = 0.1
"""Of the period: how long each publisher waits for the one before it."""
PUBLISH_SHARE: Final = 0.92
"""Of the period: then the round ends, published or not, and the next one must find this node ready."""


DRIFT_ADVICE: Final = {
    DriftLevel.STEADY: "no action",
    DriftLevel.FLAGGED: "no action: confidence is lower; see docs/operate.md if it lasts for days",
    DriftLevel.WIDENED: "no action: margins are wider by [widening] of policy.toml until it is over",
    DriftLevel.BASELINE: "tell governance if it lasts for days: the models may have to be trained anew",
}
REGIME_ADVICE: Final = {
    Regime.CALM: "no action",
    Regime.NORMAL: "no action",
    Regime.ELEVATED: "no action: the score says why",
    Regime.STRESSED: "see that this node and its keys stay up: rounds count now",
    Regime.CRISIS: "tell governance; nothing has to be set, margins follow the lanes by themselves",
}
MOST_UNREAD: Final = 200
"""Refusals of adapters that a round journals, one a source, market, thing and reason; all of them are counted."""


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """The stages of one node, and the memories that a round leaves to the next."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    journal: Journal
    board: Board
    scorer: Scorer
    oracle: Oracle
    attester: Attester
    co_signer: CoSigner
    publisher: Publisher
    memory: Memory = field(default_factory=Memory)
    surfaces: Mapping[str, Surface] = field(default_factory=dict)
    carried: Mapping[str, Carried] = field(default_factory=dict)
    last_scores: Scores | None = None
    last_refused: int = 0

    def recall(self, now_ms: int) -> None:
        """Go on from the newest round of the journal: it is made again, which gives what it would have left behind.

        So a node that was killed carries on as if it had not been, and a forecast whose outcome came meanwhile is
        judged by the first round's bars. What another release or other models carried is left where it lies.
        """
        rounds = self.journal.rounds()
        if not rounds or self._starts_ms(rounds[-1]) > now_ms:
            return
        last = rounds[-1]
        try:
            carried = self.journal.carried(last, Carried)
        except Rejected as refused:
            log.get().warning(
                "what was learnt is begun anew", reason=refused.reason, detail=refused.problem, advice="no action"
            )
            carried = {}
        surfaces = self.journal.surfaces(last)
        scores, self.carried = self.scorer.score(self.journal.snapshot(last), surfaces, carried)
        since_s = max((now_ms - self._starts_ms(last)) // 1000, 0)
        surfaces |= {m.market: m.surface for m in scores.markets}
        self.surfaces = {market: aged(surface, since_s) for market, surface in surfaces.items()}

    async def run(self, round_: int) -> Receipt:
        """The round. A stage that has nothing to pass on says why in a `Hold`, and the round ends there.

        Raises:
            Transient: the chain cannot be reached.
            Fatal: the chain disagrees with this node on models, policy or period.
        """
        unread = self._tell_sources()
        snapshot = await asyncio.to_thread(self._guard, round_, self.board.readings(), unread)
        scores = await asyncio.to_thread(self._score, snapshot)
        state = await self.oracle.state()
        epoch = state.binding(round_)
        report = self._decide(scores, state)
        if isinstance(report, Hold):
            return self._held(report)
        if self.member not in epoch.members:
            return self._held(self._no_member(round_, epoch))
        report = await asyncio.to_thread(self._explain, snapshot, scores, report)
        self.attester.sign(report)
        bundle = await self._attest(report, epoch)
        if isinstance(bundle, Hold):
            return self._held(bundle)
        return await self._publish(bundle, epoch)

    def _guard(self, round_: int, readings: Sequence[AnyReading], unread: Sequence[Refusal]) -> Snapshot:
        """The guard's snapshot; what the adapters had refused already is journalled with what it refuses."""
        with self._timed("guard"):
            snapshot, self.memory = take(
                round_,
                self._starts_ms(round_),
                readings,
                self.settings.markets,
                self.settings.policy.guard,
                self.memory,
            )
        self.last_refused = len(snapshot.refusals)
        self._tell_refusals(snapshot.refusals)
        newest = {(r.source, r.market, r.what, r.reason): r for r in unread}
        kept = tuple(newest.values())[-MOST_UNREAD:]
        snapshot = msgspec.structs.replace(snapshot, refusals=(*kept, *snapshot.refusals))
        self._tell_doubts(snapshot)
        self._tell_holds(snapshot.holds)
        self.journal.saw(snapshot, self.surfaces, self.carried)
        return snapshot

    def _score(self, snapshot: Snapshot) -> Scores:
        with self._timed("score"):
            scores, self.carried = self.scorer.score(snapshot, self.surfaces, self.carried)
        self.surfaces = {**self.surfaces, **{m.market: m.surface for m in scores.markets}}
        self._tell_drift(scores)
        self._tell_regimes(scores)
        self.last_scores = scores
        for market in scores.markets:
            self.metrics.price.labels(market=market.market).set(market.price)
            self.metrics.score.labels(market=market.market).set(market.score)
            self.metrics.confidence.labels(market=market.market).set(market.confidence)
            self.metrics.drift_level.labels(market=market.market).set(market.drift)
            self.metrics.cascade.labels(market=market.market).set(market.cascade_probability)
            self.metrics.contagion.labels(market=market.market).set(market.contagion)
            for lane in LEARNT_LANES:
                self.metrics.formula_speaks.labels(market=market.market, lane=lane).set(lane in market.fallbacks)
            if market.regime is not None:
                self.metrics.regime.labels(market=market.market).set(ORDER.index(market.regime))
            for side, factor in (("down", market.widening_down), ("up", market.widening_up)):
                self.metrics.widening_factor.labels(market=market.market, side=side).set(factor)
        self._tell_holds(tuple(hold for hold in scores.holds if hold not in snapshot.holds))
        self.journal.scored(scores)
        return scores

    def _decide(self, scores: Scores, state: ChainState) -> Report | Hold:
        with self._timed("decide"):
            now_ms = self.clock.now_ms()
            for name, market in zip(self.settings.markets, state.markets, strict=False):
                if market.observed_at_s:
                    self.metrics.onchain_age.labels(market=name).set(now_ms / 1000 - market.observed_at_s)
            report = decide(scores, state, self.settings, now_ms)
        if isinstance(report, Report):
            for halt in report.halts:
                log.get().warning(
                    "the contract will halt this market",
                    market=halt.market,
                    reason=halt.reason,
                    detail=halt.detail,
                    advice="look at the market; governance resumes it when the figures are honest again",
                )
        return report

    def _explain(self, snapshot: Snapshot, scores: Scores, report: Report) -> Report:
        """Why the figures of the report are what they are: its hash is signed beside them, so it comes before."""
        with self._timed("explain"):
            ids = {row.market: row.market_id for row in report.rows if row.trigger is not None}
            until_ms = self._at_ms(report.round, EXPLAIN_SHARE)
            told = explained(
                self.scorer, snapshot, scores, self.carried, ids, in_time=lambda: self.clock.now_ms() < until_ms
            )
            if told != scores:  # journalled already, unexplained
                self.last_scores = told
                self.journal.scored(told)
            rows = [(ids[row.market], row) for row in told.markets if row.market in ids]
            if without := [row.market for _, row in rows if not row.attribution]:
                log.get().info(
                    "signed without an explanation",
                    round=report.round,
                    markets=", ".join(without),
                    advice="no action: the words count; `margrave explain` tells why all the same",
                )
            return msgspec.structs.replace(report, attributions_hash=attributions_hash(rows))

    async def _attest(self, report: Report, epoch: Epoch) -> AnyBundle | Hold:
        """What to publish. A report that is not due here is signed for those who find it so, and left to them."""
        not_due = Hold(round=report.round, reason=HoldReason.WITHIN_BAND, detail="signed for peers, not due here")
        all_until_ms, until_ms = self._at_ms(report.round, ALL_SHARE), self._at_ms(report.round, GATHER_SHARE)
        with self._timed("attest"):
            if epoch.kind is ReportKind.CO_SIGNED:
                agreed = await self.co_signer.agree(
                    report.round,
                    epoch,
                    may_propose=report.due,
                    all_until_ms=all_until_ms,
                    stagger_ms=round(self._period_ms * PROPOSE_SHARE),
                    until_ms=until_ms,
                )
                return agreed if report.due else not_due
            if not report.due:
                return not_due
            return await self.attester.gather(report.round, epoch, all_until_ms=all_until_ms, until_ms=until_ms)

    async def _publish(self, bundle: AnyBundle, epoch: Epoch) -> Receipt:
        with self._timed("publish"):
            return await self.publisher.publish(
                bundle,
                epoch,
                stagger_ms=round(self._period_ms * STAGGER_SHARE),
                until_ms=self._at_ms(bundle.round, PUBLISH_SHARE),
            )

    @property
    def member(self) -> str:
        return self.attester.signer.address

    def _no_member(self, round_: int, epoch: Epoch) -> Hold:
        detail = f"{self.member} is no member of epoch {epoch.number}: ask governance to add it"
        return Hold(round=round_, reason=HoldReason.NO_MEMBER, detail=detail)

    @property
    def _period_ms(self) -> int:
        return self.settings.policy.round.period_s * 1000

    def _starts_ms(self, round_: int) -> int:
        return round_ * self._period_ms

    def _at_ms(self, round_: int, share: float) -> int:
        return self._starts_ms(round_) + round(self._period_ms * share)

    def _held(self, hold: Hold) -> Receipt:
        self.metrics.holds.labels(market="*", reason=hold.reason).inc()
        return Receipt(
            round=hold.round,
            outcome=Outcome.HELD,
            transaction=None,
            block=None,
            gas_used=None,
            publisher=None,
            detail=f"{hold.reason}: {hold.detail}",
        )

    def _tell_sources(self) -> tuple[Refusal, ...]:
        """Gauges of the sources; returns what their adapters refused since the last round, which is counted here."""
        tell_sources(self.board, self.metrics, self.clock.now_ms())
        unread = self.board.refusals()
        self._tell_refusals(unread)
        return unread

    def _tell_refusals(self, refusals: Sequence[Refusal]) -> None:
        for refusal in refusals:
            self.metrics.refusals.labels(source=refusal.source, reason=refusal.reason).inc()
            log.get().debug("reading refused", source=refusal.source, reason=refusal.reason, detail=refusal.detail)

    def _tell_doubts(self, snapshot: Snapshot) -> None:
        for market in snapshot.markets:
            for doubt in market.doubts:
                self.metrics.doubts.labels(market=market.market, reason=doubt.reason).inc()
                log.get().warning(
                    "price in doubt",
                    market=market.market,
                    reason=doubt.reason,
                    detail=doubt.detail,
                    advice=f"`margrave explain {snapshot.round} {market.market}` shows what was kept and refused",
                )

    def _tell_drift(self, scores: Scores) -> None:
        """A line for each market whose level is not the one of the last round."""
        before = {m.market: m.drift for m in self.last_scores.markets} if self.last_scores else {}
        for market in scores.markets:
            if market.drift == before.get(market.market, DriftLevel.STEADY):
                continue
            log.get().warning(
                "models drift" if market.drift else "models hold again",
                market=market.market,
                level=market.drift.name.lower(),
                reasons=", ".join(market.drift_reasons),
                advice=DRIFT_ADVICE[market.drift],
            )

    def _tell_regimes(self, scores: Scores) -> None:
        """A line for each market whose regime is not the one of the last round."""
        before = {m.market: m.regime for m in self.last_scores.markets} if self.last_scores else {}
        for market in scores.markets:
            if market.regime is None or market.regime is before.get(market.market, Regime.NORMAL):
                continue
            log.get().warning(
                "regime",
                market=market.market,
                regime=market.regime,
                score=round(market.score),
                advice=REGIME_ADVICE[market.regime],
            )

    def _tell_holds(self, holds: Sequence[MarketHold]) -> None:
        for hold in holds:
            self.metrics.holds.labels(market=hold.market, reason=hold.reason).inc()
            log.get().warning(
                "market held",
                market=hold.market,
                reason=hold.reason,
                detail=hold.detail,
                advice="ignore in the first rounds; otherwise look at `margrave check`",
            )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.metrics.stage_seconds.labels(stage=stage).observe(time.perf_counter() - begun)
