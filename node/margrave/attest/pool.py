"""The verified attestations of the last rounds, own and peers', as they are served to whoever asks."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from margrave.errors import Rejected
from margrave.messages import Attestation
from margrave.verdicts import Rejection

ROUNDS_KEPT: Final = 64


class Pool:
    """Bounded in memory; holds only what was verified, one attestation a member and round."""

    def __init__(self) -> None:
        self._rounds: OrderedDict[int, dict[str, Attestation]] = OrderedDict()

    def add(self, attestation: Attestation) -> bool:
        """Keep it; returns whether it is new.

        Raises:
            Rejected: EQUIVOCATION, when the member has signed other words for this round: the first is kept.
        """
        of_round = self._rounds.setdefault(attestation.round, {})
        known = of_round.setdefault(attestation.member, attestation)
        while len(self._rounds) > ROUNDS_KEPT:
            self._rounds.popitem(last=False)
        if known.words != attestation.words or known.first_market != attestation.first_market:
            raise Rejected(
                Rejection.EQUIVOCATION,
                f"{attestation.member} signed two different reports for round {attestation.round}",
                advice="keep both from the logs as evidence and tell governance",
            )
        return known is attestation

    def of(self, round_: int) -> list[Attestation]:
        return list(self._rounds.get(round_, {}).values())
