"""The stage for co-signed reports: agree with the other members on the medians of one stated set of own words.

There is no leader and no vote is ever changed. Members propose in the round's order; who has signed no own words is
passed over at once, and one that stays silent, or whose proposal is false, after a pause. A node signs one proposal a
round, the journal bound to it first, and serves it with all its votes: a proposal that one honest node has signed
reaches all, whatever becomes of its proposer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from margrave.attest import proposals, quorum
from margrave.attest.attester import poll_pause_s
from margrave.attest.exchange import Exchange
from margrave.chain import turns
from margrave.chain.signer import Signer
from margrave.messages import CoSignature, CoSigned, Epoch, Hold, Proposal
from margrave.ops import log
from margrave.ops.clock import Clock
from margrave.verdicts import HoldReason


@dataclass(frozen=True, slots=True, kw_only=True)
class CoSigner:
    signer: Signer
    exchange: Exchange
    clock: Clock

    async def agree(
        self, round_: int, epoch: Epoch, *, may_propose: bool, all_until_ms: int, stagger_ms: int, until_ms: int
    ) -> CoSigned | Hold:
        """Exchange own words, then proposals and votes, until a quorum has signed one.

        Args:
            round_: what to agree on; this node has signed its own words for it.
            epoch: what binds the round.
            may_propose: whether this node finds a report due; it signs what others propose either way.
            all_until_ms: until then every member's own words are awaited, afterwards a quorum's are enough.
            stagger_ms: how long the next member in the order waits for a proposal of the one before it.
            until_ms: then the round is given up.
        """
        pause_s = poll_pause_s(self.clock, until_ms)
        opened_ms: int | None = None
        while (now_ms := self.clock.now_ms()) < until_ms:
            await self.exchange.pull(round_, epoch)
            spoken = len(self.exchange.pool.of(round_))
            self.exchange.metrics.quorum_size.set(spoken)
            if opened_ms is None and spoken >= (epoch.quorum if now_ms >= all_until_ms else len(epoch.members)):
                opened_ms = now_ms
            patience = 0 if opened_ms is None else (now_ms - opened_ms) // stagger_ms
            self._vote(round_, epoch, patience, may_propose=may_propose and opened_ms is not None)
            if (agreed := self.exchange.ballots.agreed(round_, epoch)) is not None:
                return agreed
            await asyncio.sleep(pause_s)
        return self._apart(round_, epoch)

    def _vote(self, round_: int, epoch: Epoch, patience: int, *, may_propose: bool) -> None:
        """Sign the best true proposal whose proposer's turn has come, or make one when it is this node's turn."""
        ballots, me = self.exchange.ballots, self.signer.address
        if (pledged := self.exchange.journal.pledged_co_signed(round_)) is not None:
            if not ballots.has(pledged, me):
                self._sign(pledged, epoch)
            return
        spoken = {a.member for a in self.exchange.pool.of(round_)}
        order = [member for member in turns.order(round_, epoch.members) if member in spoken]
        offered = []
        for each in ballots.of(round_):
            turn = min((order.index(v.member) for v in each.signatures if v.member in spoken), default=len(order))
            if turn <= patience:
                offered.append((-len(each.signatures), turn, each.proposal))
        if offered:
            *_, chosen = min(offered, key=lambda each: each[:2])
            self._sign(chosen, epoch)
        elif may_propose and me in order and order.index(me) <= patience:
            bundle = quorum.gather(self.exchange.pool.of(round_), epoch, two_faced=self.exchange.pool.two_faced(round_))
            if bundle is not None:
                self._sign(proposals.propose(bundle), epoch)

    def _sign(self, proposal: Proposal, epoch: Epoch) -> None:
        domain = self.exchange.domain
        digest = proposals.digest_of(proposal, epoch, chain_id=domain.chain_id, oracle=domain.oracle)
        self.exchange.journal.pledge_co_signed(proposal, digest)
        vote = CoSignature(member=self.signer.address, signature=self.signer.sign_digest(digest))
        self.exchange.ballots.add(proposal, vote)
        log.get().debug("co-signed", round=proposal.round, stated=[each.member for each in proposal.stated])

    def _apart(self, round_: int, epoch: Epoch) -> Hold:
        held = {a.member for a in self.exchange.pool.of(round_)}
        offered = self.exchange.ballots.of(round_)
        if len(held) < epoch.quorum:
            silent = ", ".join(member for member in epoch.members if member not in held)
            detail = f"{len(held)} of {epoch.quorum} attestations; silent: {silent}"
        elif not offered:
            detail = "nobody proposed"
        else:
            votes = ", ".join(str(len(each.signatures)) for each in offered)
            detail = f"{votes} of {epoch.quorum} co-signatures"
        return Hold(round=round_, reason=HoldReason.NO_QUORUM, detail=detail)
