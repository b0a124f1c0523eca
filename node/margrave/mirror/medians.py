"""The median of every lane, as contracts/src/oracle/Medians.sol takes it."""

from __future__ import annotations

from collections.abc import Sequence

from margrave.lanes import WordName, Words
from margrave.mirror.words import FIELDS, value


def median(words: Sequence[int], name: WordName) -> int:
    """Lower median of each lane of one kind of word: for an even count, the lower of the two in the middle.

    Args:
        words: one a member, at least one, without guard or stamp bits.
        name: which layout the words have.
    """
    middle = (len(words) - 1) // 2
    return sum(sorted(value(word, field) for word in words)[middle] << field.shift for field in FIELDS[name])


def medians(reports: Sequence[Words]) -> Words | None:
    """One market's medians over a quorum; `None` when a member abstained (a zero word) and the contract skips it."""
    if any(not words.risk or not words.market for words in reports):
        return None
    return Words(
        risk=median([words.risk for words in reports], "risk"),
        market=median([words.market for words in reports], "market"),
    )
