"""The verified own words of the last rounds, own and peers', as they are served to whoever asks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from margrave.errors import Rejected
from margrave.messages import Attestation, Stated
from margrave.mirror.typed_data import UNEXPLAINED, words_hash
from margrave.verdicts import Rejection

ROUNDS_KEPT: Final = 64
VERSIONS_KEPT: Final = 3
"""Of one member's words for one round: the first counts, the others are evidence against it."""


class Pool:
    """Bounded in memory; holds only what was verified. A member's first attestation of a round is the one that counts.

    Other ones of the same member are kept aside: they prove that it signed twice, and a peer that saw another one first
    may have built on it. An explanation that comes after the words it explains joins them. The attack here is a peer
    that passes words on without it: it must not get them in as another report, nor keep the explanation out.
    """

    def __init__(self) -> None:
        self._rounds: OrderedDict[int, dict[str, dict[bytes, Attestation]]] = OrderedDict()

    def add(self, attestation: Attestation) -> bool:
        """Keep it; returns whether it is new.

        Raises:
            Rejected: EQUIVOCATION, when the member has signed other words for this round, or another explanation of the
                same: the first one counts.
        """
        of_round = self._rounds.setdefault(attestation.round, {})
        versions = of_round.setdefault(attestation.member, {})
        while len(self._rounds) > ROUNDS_KEPT:
            self._rounds.popitem(last=False)
        name = _name(attestation)
        if self.knows(attestation):
            return False
        bare = _words_of(attestation) + UNEXPLAINED
        if bare in versions:  # and the explanation of these words comes now
            explained = {name if each == bare else each: known for each, known in versions.items()}
            versions.clear()
            versions.update(explained | {name: attestation})
            return True
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
        """Whether these very words of the member are here, and the explanation if there is one: a signature over the
        same says nothing new."""
        versions = self._rounds.get(attestation.round, {}).get(attestation.member, {})
        return _found(versions, _words_of(attestation), attestation.explanation_hash) is not None

    def of(self, round_: int) -> list[Attestation]:
        """What counts: one attestation a member."""
        return [next(iter(versions.values())) for versions in self._rounds.get(round_, {}).values()]

    def everything(self, round_: int) -> list[Attestation]:
        """What counts, and what proves that a member signed twice."""
        return [each for versions in self._rounds.get(round_, {}).values() for each in versions.values()]

    def stated(self, round_: int, first_market: int, stated: Stated) -> Attestation | None:
        """The very words that a proposal states, if they are here, and their explanation if it states one."""
        versions = self._rounds.get(round_, {}).get(stated.member, {})
        return _found(versions, first_market.to_bytes(2, "big") + stated.words_hash, stated.explanation_hash)

    def two_faced(self, round_: int) -> frozenset[str]:
        """Members that signed two different reports for the round."""
        return frozenset(m for m, versions in self._rounds.get(round_, {}).items() if len(versions) > 1)


def _found(versions: Mapping[bytes, Attestation], words: bytes, explanation_hash: bytes) -> Attestation | None:
    """Words without an explanation are found with any."""
    if explanation_hash != UNEXPLAINED:
        return versions.get(words + explanation_hash)
    return next((each for name, each in versions.items() if name.startswith(words)), None)


def _name(attestation: Attestation) -> bytes:
    return _words_of(attestation) + attestation.explanation_hash


def _words_of(attestation: Attestation) -> bytes:
    return attestation.first_market.to_bytes(2, "big") + words_hash(attestation.words)
