"""The proposals of the last rounds that this node found true, and who co-signed them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from margrave.errors import Rejected
from margrave.messages import CoSignature, CoSigned, Epoch, Proposal
from margrave.verdicts import Rejection

ROUNDS_KEPT: Final = 64


class Ballots:
    """Bounded in memory: a member has one vote a round, so that a round has no more proposals than members."""

    def __init__(self) -> None:
        self._rounds: OrderedDict[int, dict[str, tuple[Proposal, CoSignature]]] = OrderedDict()

    def add(self, proposal: Proposal, vote: CoSignature) -> bool:
        """Keep a verified co-signature of a true proposal; returns whether it is new.

        Raises:
            Rejected: EQUIVOCATION, when the member has co-signed another proposal of the round: the first is kept.
        """
        votes = self._rounds.setdefault(proposal.round, {})
        known, _ = votes.setdefault(vote.member, (proposal, vote))
        while len(self._rounds) > ROUNDS_KEPT:
            self._rounds.popitem(last=False)
        if known != proposal:
            raise Rejected(
                Rejection.EQUIVOCATION,
                f"{vote.member} co-signed two different reports for round {proposal.round}",
                advice="keep both from the logs as evidence and tell governance",
            )
        return votes[vote.member][1] is vote

    def knows(self, proposal: Proposal) -> bool:
        return any(known == proposal for known, _ in self._rounds.get(proposal.round, {}).values())

    def has(self, proposal: Proposal, member: str) -> bool:
        known = self._rounds.get(proposal.round, {}).get(member)
        return known is not None and known[0] == proposal

    def of(self, round_: int) -> list[CoSigned]:
        """Every true proposal with all its votes."""
        grouped: list[tuple[Proposal, list[CoSignature]]] = []
        for proposal, vote in self._rounds.get(round_, {}).values():
            for known, votes in grouped:
                if known == proposal:
                    votes.append(vote)
                    break
            else:
                grouped.append((proposal, [vote]))
        return [CoSigned(proposal=proposal, signatures=tuple(votes)) for proposal, votes in grouped]

    def agreed(self, round_: int, epoch: Epoch) -> CoSigned | None:
        """The proposal that a quorum has co-signed, with exactly a quorum of votes in member order."""
        for each in self.of(round_):
            by_member = {vote.member: vote for vote in each.signatures}
            votes = [by_member[member] for member in epoch.members if member in by_member]
            if len(votes) >= epoch.quorum:
                return CoSigned(proposal=each.proposal, signatures=tuple(votes[: epoch.quorum]))
        return None
