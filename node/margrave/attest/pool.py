"""The verified own words of the last rounds, own and peers', as they are served to whoever asks."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from margrave.errors import Rejected
from margrave.messages import Attestation, Stated
from margrave.mirror.typed_data import words_hash
from margrave.verdicts import Rejection

ROUNDS_KEPT: Final = 64
VERSIONS_KEPT: Final = 3
"""Of one member's words for one round: the first counts, the others are evidence against it."""


class Pool:
    """Bounded in memory; holds only what was verified. A member's first attestation of a round is the one that counts.

    Other ones of the same member are kept aside: they prove that it signed twice, and a peer that saw another one first
    may have built on it.
    """

    def __init__(self) -> None:
        self._rounds: OrderedDict[int, dict[str, dict[bytes, Attestation]]] = OrderedDict()

    def add(self, attestation: Attestation) -> bool:
        """Keep it; returns whether it is new.

        Raises:
            Rejected: EQUIVOCATION, when the member has signed other words for this round: the first one counts.
        """
        of_round = self._rounds.setdefault(attestation.round, {})
        versions = of_round.setdefault(attestation.member, {})
        while len(self._rounds) > ROUNDS_KEPT:
            self._rounds.popitem(last=False)
        name = _name(attestation)
        if name in versions:
            return False
        if len(versions) < VERSIONS_KEPT:
            versions[name] = attestation
        if len(versions) == 1:
            return True
        raise Rejected(
            Rejection.EQUIVOCATION,
            f"{attestation.member} signed two different reports for round {attestation.round}",
            advice="both are in /v1/rounds: keep them as evidence and tell governance",
        )

    def knows(self, attestation: Attestation) -> bool:
        """Whether these very words of the member are here: a signature over the same words says nothing new."""
        return _name(attestation) in self._rounds.get(attestation.round, {}).get(attestation.member, {})

    def of(self, round_: int) -> list[Attestation]:
        """What counts: one attestation a member."""
        return [next(iter(versions.values())) for versions in self._rounds.get(round_, {}).values()]

    def everything(self, round_: int) -> list[Attestation]:
        """What counts, and what proves that a member signed twice."""
        return [each for versions in self._rounds.get(round_, {}).values() for each in versions.values()]

    def stated(self, round_: int, first_market: int, stated: Stated) -> Attestation | None:
        """The very words that a proposal states, if they are here."""
        versions = self._rounds.get(round_, {}).get(stated.member, {})
        return versions.get(first_market.to_bytes(2, "big") + stated.words_hash)

    def two_faced(self, round_: int) -> frozenset[str]:
        """Members that signed two different reports for the round."""
        return frozenset(m for m, versions in self._rounds.get(round_, {}).items() if len(versions) > 1)


def _name(attestation: Attestation) -> bytes:
    return attestation.first_market.to_bytes(2, "big") + words_hash(attestation.words)
