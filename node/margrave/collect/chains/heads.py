"""Who is heard when endpoints differ about the head of a chain: pure rules over what each of them says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_LAG_BLOCKS: Final = 3
"""An endpoint whose head is further behind the others', or ahead of them, is not heard in this sweep."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """Who is heard in a sweep, and who is not and why."""

    number: int
    """The newest block that all who are heard have."""
    heard: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def agree(heads: Sequence[tuple[str, int]], *, max_lag: int = MAX_LAG_BLOCKS) -> Agreed:
    """Pure: from (endpoint, head number) in the operator's order to those that can be heard together.

    The reference is the upper median: with three endpoints neither one that is late nor one that runs ahead moves it.
    With two the higher one counts, because late endpoints are common and liars are not; its hash is compared anyway.
    """
    ordered = sorted(number for _, number in heads)
    reference = ordered[len(ordered) // 2]
    heard = tuple((name, number) for name, number in heads if abs(number - reference) <= max_lag)
    left_out = tuple(
        (name, f"{abs(number - reference)} blocks {'behind' if number < reference else 'ahead of'} the others")
        for name, number in heads
        if abs(number - reference) > max_lag
    )
    return Agreed(min(number for _, number in heard), tuple(name for name, _ in heard), left_out)


def majority(said: Sequence[tuple[str, bytes]]) -> tuple[bytes | None, tuple[str, ...]]:
    """Pure: the hash that more than half say, and who says otherwise; no hash where there is no majority."""
    counted = Counter(block_hash for _, block_hash in said)
    best, times = counted.most_common(1)[0]
    if 2 * times <= len(said):
        return None, tuple(name for name, _ in said)
    return best, tuple(name for name, block_hash in said if block_hash != best)
