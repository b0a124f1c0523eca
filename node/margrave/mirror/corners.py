"""Which of the 23 scenarios can be the worst for a book, as contracts/src/margin/Corners.sol has it and says why.

Scenarios are numbered as in a requirement: 3 * row + column (raised, unchanged, lowered), 10 is today, 21 and 22 are
the extremes down and up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

ALL: Final = tuple(range(23))
TODAY: Final = 10

_LOWEST: Final[tuple[int, ...]] = (0, 1, 2)
_HIGHEST: Final[tuple[int, ...]] = (18, 19, 20)
_FALLEN: Final = 21
_RISEN: Final = 22


def scenarios(legs: Iterable[tuple[bool, int]]) -> tuple[int, ...]:
    """Those in which a book may lose most, ascending, with today.

    Args:
        legs: whether it is a call, and the quantity, negative when it is written.
    """
    kinds = {(is_call, quantity > 0) for is_call, quantity in legs if quantity}
    longs = any(is_long for _, is_long in kinds)
    shorts = any(not is_long for _, is_long in kinds)
    by_fall = any(is_call == is_long for is_call, is_long in kinds)
    by_rise = any(is_call != is_long for is_call, is_long in kinds)
    if longs and by_fall and by_rise:
        return ALL
    columns = slice(0, 1) if not longs else slice(2, 3) if not shorts else slice(0, 3)
    if not by_fall:
        return (TODAY, *_HIGHEST[columns], _RISEN)
    if not by_rise:
        return (*_LOWEST[columns], TODAY, _FALLEN)
    return (_LOWEST[0], TODAY, _HIGHEST[0], _FALLEN, _RISEN)
