"""Funding that was settled: what venues give as history, in the unit of all funding here, a fraction per 8 hours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeVar

from margrave.collect import readings
from margrave.collect.source import Asked, Item
from margrave.errors import Rejected
from margrave.messages import Kind
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

RowT = TypeVar("RowT")

USUAL_HOURS: Final = 8.0
"""Between settlements, where one row alone cannot tell and the venue does not."""
LONGEST_HOURS: Final = 24.0
"""A longer time between two rows is a gap in the answer, not a period."""


def settled(
    asked: Asked, rows: Iterable[RowT], parse: Callable[[RowT], tuple[int, float]], *, hours: float | None = None
) -> Iterator[Item]:
    """One reading a settlement, ascending; its time is the settlement's. Bad rows are refused one by one.

    Args:
        rows: in any order.
        parse: a row as (when it was settled in ms, the rate of its period as a fraction).
        hours: length of a period; `None` where the times between the settlements tell it.
    """
    found: dict[int, float] = {}
    refused: list[Item] = []
    for row in rows:
        try:
            at_ms, rate = parse(row)
        except Rejected as rejected:
            refused.append(asked.refusal(Kind.FUNDING_8H.value, rejected))
        else:
            found[at_ms] = rate
    if not found and not refused:
        raise Rejected(Rejection.EMPTY, "no rate was settled in that time")
    times = sorted(found)
    for at_ms, period in zip(times, [hours] * len(times) if hours else _periods(times), strict=True):
        yield from readings.scalars(asked, at_ms, {Kind.FUNDING_8H: found[at_ms] * USUAL_HOURS / period})
    yield from refused


def _periods(times: Sequence[int]) -> list[float]:
    """Hours that end at each settlement: since the one before; the first is as long as the second."""
    between = [max((b - a) / HOUR_MS, 1 / 60) for a, b in pairwise(times)]
    usual = min((h for h in between if h <= LONGEST_HOURS), default=USUAL_HOURS)
    periods = [h if h <= LONGEST_HOURS else usual for h in between]
    return [periods[0] if periods else usual, *periods] if times else []
