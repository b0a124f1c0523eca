"""The normal distribution as a table: 1,024 cells over ±4.923, each a straight line.

Between nodes a chord lies above a convex curve and below a concave one. The nodes are therefore moved by half of the
chord's largest error, towards the curve's other side, which halves what is left: 1.4e-6. Beyond the table the
distribution is 0 or 1; the outermost nodes are exactly that, so that a price far from the money is exactly intrinsic.

`nodes` is what contracts/src/margin/Normal.sol is generated from. It is computed in decimal arithmetic, so every
machine gets the same integers.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Final

CELLS: Final = 1024
CELLS_PER_UNIT: Final = 104
ONE: Final = (1 << 32) - 1
"""A node of 1, the largest that four bytes hold."""

_DIGITS: Final = 50
_PI: Final = Decimal("3.14159265358979323846264338327950288419716939937510582")


@lru_cache(maxsize=1)
def nodes() -> tuple[int, ...]:
    """The distribution at (i - 512) / 104 for i = 0 ... 1,024 in units of 1 / ONE, and the last node once more."""
    inner = tuple(_node(i) for i in range(1, CELLS))
    return (0, *inner, ONE, ONE)


def packed() -> bytes:
    """The nodes as they lie in the contract, four bytes each."""
    return b"".join(node.to_bytes(4, "big") for node in nodes())


def _node(i: int) -> int:
    with localcontext(prec=_DIGITS):
        x = Decimal(i - CELLS // 2) / CELLS_PER_UNIT
        density = (-x * x / 2).exp() / (2 * _PI).sqrt()
        # The second derivative is -x·density; a chord of width h errs by h²/8 of it, half of that is h²/16.
        half_chord = -x * density / (16 * CELLS_PER_UNIT**2)
        return int(((_distribution(x, density) - half_chord) * ONE).to_integral_value())


def _distribution(x: Decimal, density: Decimal) -> Decimal:
    """1/2 + density·(x + x³/3 + x⁵/(3·5) + …): all terms of one sign, so nothing cancels."""
    term = total = x
    n = 1
    while abs(term) > Decimal(10) ** -40:
        n += 2
        term = term * x * x / n
        total += term
    return Decimal("0.5") + density * total
