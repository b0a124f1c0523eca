"""The stage: bind to a digest, sign it, and gather a quorum of the same round from peers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec

from margrave.attest import quorum
from margrave.attest.exchange import Exchange
from margrave.attest.quorum import Domain
from margrave.chain.signer import Signer
from margrave.messages import Attestation, Bundle, Epoch, Explained, Hold, Report
from margrave.mirror.typed_data import UNEXPLAINED, own_words_digest
from margrave.ops.clock import Clock
from margrave.verdicts import HoldReason

POLLS_A_WINDOW: Final = 25
SHORTEST_POLL_S: Final = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Attester:
    signer: Signer
    exchange: Exchange
    clock: Clock

    def sign(self, report: Report) -> Attestation:
        """Own words under EIP-712; the journal is bound to their digest before the key touches it.

        A node that died after it had bound itself stands by that report, whatever it would say of the round now.
        """
        journal, domain = self.exchange.journal, self.exchange.domain
        report = journal.pledged(report.round) or report
        words = tuple(word for row in report.rows for word in (row.words.risk, row.words.market))
        digest = _digest(report, words, domain)
        journal.pledge(report, digest)
        own = Attestation(
            member=self.signer.address,
            round=report.round,
            epoch=report.epoch,
            first_market=report.first_market,
            words=words,
            signature=self.signer.sign_digest(digest),
        )
        own = self._explained(own, report.attributions_hash)
        journal.signed(own)
        self.exchange.pool.add(own)
        return own

    def _explained(self, own: Attestation, attributions_hash: bytes) -> Attestation:
        """With the explanation that the pledged report names: after a restart the same one."""
        if attributions_hash == UNEXPLAINED:
            return own
        digest = quorum.explanation_digest_of(own, attributions_hash, self.exchange.domain)
        return msgspec.structs.replace(own, explained=Explained(attributions_hash, self.signer.sign_digest(digest)))

    async def gather(self, round_: int, epoch: Epoch, *, all_until_ms: int, until_ms: int) -> Bundle | Hold:
        """Pull from peers until every member has spoken; after `all_until_ms` a quorum is enough."""
        pool, pause_s = self.exchange.pool, poll_pause_s(self.clock, until_ms)
        while (now_ms := self.clock.now_ms()) < until_ms:
            enough = epoch.quorum if now_ms >= all_until_ms else len(epoch.members)
            if len(pool.of(round_)) >= enough:
                break
            await self.exchange.pull(round_, epoch)
            await asyncio.sleep(pause_s if len(pool.of(round_)) < enough else 0)
        held = pool.of(round_)
        self.exchange.metrics.quorum_size.set(len(held))
        bundle = quorum.gather(held, epoch, pool.two_faced(round_))
        if bundle is None:
            missing = [member for member in epoch.members if member not in {a.member for a in held}]
            return Hold(
                round=round_,
                reason=HoldReason.NO_QUORUM,
                detail=f"{len(held)} of {epoch.quorum} attestations; silent: {', '.join(missing)}",
            )
        return bundle


def poll_pause_s(clock: Clock, until_ms: int) -> float:
    """Wall seconds between two pulls of a window that ends at `until_ms`."""
    return max(clock.wall_s((until_ms - clock.now_ms()) / 1000) / POLLS_A_WINDOW, SHORTEST_POLL_S)


def _digest(report: Report, words: tuple[int, ...], domain: Domain) -> bytes:
    return own_words_digest(
        chain_id=domain.chain_id,
        oracle=domain.oracle,
        epoch=report.epoch,
        round=report.round,
        first_market=report.first_market,
        model_set=report.model_set,
        policy_digest=report.policy_digest,
        words=words,
    )
