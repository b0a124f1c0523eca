"""What peers hold of a round, pulled, verified and kept. What is false is refused with its reason and counted."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from margrave.attest import proposals, quorum
from margrave.attest.ballots import Ballots
from margrave.attest.peers import Peers
from margrave.attest.pool import Pool
from margrave.attest.quorum import Domain
from margrave.errors import MargraveError, Rejected
from margrave.messages import Attestation, CoSigned, Epoch
from margrave.ops import log
from margrave.ops.metrics import Metrics
from margrave.store.journal import Journal
from margrave.verdicts import ReportKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    peers: Peers
    pool: Pool
    ballots: Ballots
    journal: Journal
    metrics: Metrics
    domain: Domain

    async def pull(self, round_: int, epoch: Epoch) -> None:
        """Ask every peer once. A peer that fails or lies costs only what it would have brought."""
        for url, answer in (await self.peers.ask_all(round_)).items():
            self.metrics.peer_up.labels(peer=url).set(0 if isinstance(answer, Exception) else 1)
            if isinstance(answer, MargraveError):
                log.get().debug("peer", peer=url, problem=answer.problem, advice=answer.advice)
            elif isinstance(answer, Exception):
                raise answer
            else:
                for own_words in answer.attestations:  # first: they are what proposals are examined by
                    self._take(url, own_words, round_, epoch)
                if epoch.kind is ReportKind.CO_SIGNED:
                    for co_signed in answer.co_signed:
                        self._take_votes(url, co_signed, round_, epoch)

    def _take(self, url: str, claimed: Attestation, round_: int, epoch: Epoch) -> None:
        if self.pool.knows(claimed):
            return
        try:
            verified = self._explained(url, quorum.verify(claimed, epoch, self.domain, round_=round_), epoch)
            if self.pool.add(verified):
                self.journal.received(verified)
        except Rejected as rejected:
            self._refuse(url, "attestation refused", rejected)

    def _explained(self, url: str, words: Attestation, epoch: Epoch) -> Attestation:
        """The verified words with their explanation if that is the member's own, else without: who explains nothing,
        or whose explanation a peer has changed, costs nobody its words."""
        if words.explained is None:
            return words
        try:
            quorum.verify_explained(words.explained, words, epoch, self.domain)
        except Rejected as rejected:
            self._refuse(url, "explanation refused", rejected)
            return msgspec.structs.replace(words, explained=None)
        return words

    def _take_votes(self, url: str, claimed: CoSigned, round_: int, epoch: Epoch) -> None:
        try:
            if not self.ballots.knows(claimed.proposal):
                proposals.examine(claimed.proposal, epoch, round_, self.pool.stated)
        except Rejected as rejected:
            self._refuse(url, "proposal refused", rejected)
            return
        for vote in claimed.signatures:
            if self.ballots.has(claimed.proposal, vote.member):
                continue
            try:
                self.ballots.add(claimed.proposal, quorum.verify_vote(vote, claimed.proposal, epoch, self.domain))
            except Rejected as rejected:
                self._refuse(url, "co-signature refused", rejected)

    def _refuse(self, url: str, what: str, rejected: Rejected) -> None:
        self.metrics.refusals.labels(source=url, reason=rejected.reason).inc()
        log.get().warning(what, peer=url, reason=rejected.reason, problem=rejected.problem)
