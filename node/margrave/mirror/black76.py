"""Undiscounted Black (1976) from the table of the normal distribution, as contracts/src/margin/Black76.sol reads it."""

from __future__ import annotations

from typing import Final

from margrave.mirror import normal
from margrave.mirror.fixed_point import BITS

ONE: Final = normal.ONE << 52
"""A price of one: the table's one times the fractional bits of a place in it."""
MOST_VOL: Final = (normal.CELLS << BITS) // normal.CELLS_PER_UNIT
LEAST_VOL: Final = 1 << 10

_CELLS: Final = normal.CELLS_PER_UNIT << 12
_MIDDLE: Final = normal.CELLS // 2 << 52
_TOP: Final = normal.CELLS << 52
_FRACTION: Final = (1 << 52) - 1


def call(forward: int, strike: int, moneyness: int, vol: int) -> int:
    """Value of a call in `ONE` times the unit of `forward` and `strike`.

    Args:
        forward: forward price.
        strike: strike price in the same unit.
        moneyness: ln(forward / strike), 40 fractional bits.
        vol: sigma * sqrt(T), 40 fractional bits, from LEAST_VOL to MOST_VOL.
    """
    step = vol * _CELLS
    slope = (_CELLS << BITS) // vol
    lower = slope * moneyness - (step >> 1) + _MIDDLE
    return forward * distribution(lower + step) - strike * distribution(lower)


def intrinsic(forward: int, strike: int) -> int:
    """The same where no volatility is left."""
    return max(forward - strike, 0) * ONE


def distribution(place: int) -> int:
    """The normal distribution in units of 1 / ONE, at a place in the table with 52 fractional bits."""
    held = min(max(place, 0), _TOP)
    left, right = normal.nodes()[held >> 52 : (held >> 52) + 2]
    return (left << 52) + (right - left) * (held & _FRACTION)


def place_of(d: float) -> int:
    """Where in the table `d` lies."""
    return round(d * _CELLS * (1 << BITS)) + _MIDDLE
