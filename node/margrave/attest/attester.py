"""The stage: bind to a digest, sign it, and gather a quorum of the same round from peers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from margrave.attest import quorum
from margrave.attest.peers import Peers
from margrave.attest.pool import Pool
from margrave.chain.signer import Signer
from margrave.errors import MargraveError, Rejected
from margrave.messages import Attestation, Bundle, ChainState, Hold, Report
from margrave.mirror.typed_data import own_words_digest
from margrave.ops import log
from margrave.ops.clock import Clock
from margrave.ops.metrics import Metrics
from margrave.store.journal import Journal
from margrave.verdicts import HoldReason

POLLS_A_WINDOW: Final = 25
SHORTEST_POLL_S: Final = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Attester:
    signer: Signer
    peers: Peers
    pool: Pool
    journal: Journal
    clock: Clock
    metrics: Metrics
    chain_id: int
    oracle: str

    def sign(self, report: Report) -> Attestation:
        """Own words under EIP-712; the journal is bound to their digest before the key touches it.

        A node that died after it had bound itself stands by that report, whatever it would say of the round now.
        """
        report = self.journal.pledged(report.round) or report
        words = tuple(word for row in report.rows for word in (row.words.risk, row.words.market))
        digest = own_words_digest(
            chain_id=self.chain_id,
            oracle=self.oracle,
            epoch=report.epoch,
            round=report.round,
            first_market=report.first_market,
            model_set=report.model_set,
            policy_digest=report.policy_digest,
            words=words,
        )
        self.journal.pledge(report, digest)
        own = Attestation(
            member=self.signer.address,
            round=report.round,
            epoch=report.epoch,
            first_market=report.first_market,
            words=words,
            signature=self.signer.sign_digest(digest),
        )
        self.journal.signed(own)
        self.pool.add(own)
        return own

    async def gather(self, round_: int, state: ChainState, *, all_until_ms: int, until_ms: int) -> Bundle | Hold:
        """Pull from peers until every member has spoken; after `all_until_ms` a quorum is enough."""
        window_s = self.clock.wall_s((until_ms - self.clock.now_ms()) / 1000)
        pause_s = max(window_s / POLLS_A_WINDOW, SHORTEST_POLL_S)
        while (now_ms := self.clock.now_ms()) < until_ms:
            enough = state.quorum if now_ms >= all_until_ms else len(state.members)
            if len(self.pool.of(round_)) >= enough:
                break
            await self._pull(round_, state)
            await asyncio.sleep(pause_s if len(self.pool.of(round_)) < enough else 0)
        held = self.pool.of(round_)
        self.metrics.quorum_size.set(len(held))
        bundle = quorum.gather(held, state)
        if bundle is None:
            missing = [member for member in state.members if member not in {a.member for a in held}]
            return Hold(
                round=round_,
                reason=HoldReason.NO_QUORUM,
                detail=f"{len(held)} of {state.quorum} attestations; silent: {', '.join(missing)}",
            )
        return bundle

    async def _pull(self, round_: int, state: ChainState) -> None:
        for url, answer in (await self.peers.ask_all(round_)).items():
            self.metrics.peer_up.labels(peer=url).set(0 if isinstance(answer, Exception) else 1)
            if isinstance(answer, MargraveError):
                log.get().debug("peer", peer=url, problem=answer.problem, advice=answer.advice)
            elif isinstance(answer, Exception):
                raise answer
            else:
                for claimed in answer:
                    self._take(url, claimed, round_, state)

    def _take(self, url: str, claimed: Attestation, round_: int, state: ChainState) -> None:
        if any(known == claimed for known in self.pool.of(round_)):
            return
        try:
            verified = quorum.verify(claimed, state, round_=round_, chain_id=self.chain_id, oracle=self.oracle)
            if self.pool.add(verified):
                self.journal.received(verified)
        except Rejected as rejected:
            self.metrics.refusals.labels(source=url, reason=rejected.reason).inc()
            log.get().warning("attestation refused", peer=url, reason=rejected.reason, problem=rejected.problem)
