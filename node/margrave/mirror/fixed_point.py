"""Integer arithmetic as the EVM does it: quotients towards zero, shifts towards minus infinity.

`ln` and `exp` are those of contracts/src/margin/LogExp.sol, with 40 fractional bits; `ln_wad` is the series of solady's
FixedPointMathLib (v0.1.26), 18 decimals, whose `sqrt` is exact, so that `math.isqrt` is its port.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

WAD: Final = 10**18
BITS: Final = 40
ONE: Final = 1 << BITS
"""1 with 40 fractional bits."""

_ONE64: Final = 1 << 64
_LN2_64: Final = 12786308645202655659
_LOG2E_64: Final = 26613026195688644983
_SQRT2_64: Final = 26087635650665564424
_NEAR: Final = range(777472127993, 2 * 777472127993 + 2)
"""From one over root two to root two: arguments that need not be brought close to one."""


def quotient(numerator: int, denominator: int) -> int:
    """Signed division towards zero (SDIV); Python's rounds down."""
    whole = abs(numerator) // abs(denominator)
    return whole if (numerator < 0) == (denominator < 0) else -whole


def ceiling_quotient(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def sqrt(x: int) -> int:
    return isqrt(x)


def ln(x: int) -> int:
    """Natural logarithm, 40 fractional bits, within 3e-8.

    Args:
        x: above zero, below 2^191.
    """
    y, halvings = x << 24, 0
    if x not in _NEAR:
        bits = x.bit_length() - 1
        y = x << 64 - bits if bits < 64 else x >> bits - 64
        upper = int(y > _SQRT2_64)
        y >>= upper
        halvings = bits + upper - BITS
    z = quotient((y - _ONE64) << 64, y + _ONE64)
    square = z * z >> 64
    p = (square * (_ONE64 // 7) >> 64) + _ONE64 // 5
    p = (p * square >> 64) + _ONE64 // 3
    p = (p * square >> 64) + _ONE64
    return (z * p >> 63) + halvings * _LN2_64 >> 24


def exp(x: int) -> int:
    """e^x, 40 fractional bits, within 2e-7 of itself; `x` at most 60, and far below zero the result is zero."""
    doublings = ((x * _LOG2E_64 >> 40) + (1 << 63)) >> 64
    z = (x << 24) - doublings * _LN2_64
    p = _ONE64 + quotient(z, 6)
    p = _ONE64 + quotient(z * p, 5 << 64)
    p = _ONE64 + (z * p >> 66)
    p = _ONE64 + quotient(z * p, 3 << 64)
    p = _ONE64 + (z * p >> 65)
    p = _ONE64 + (z * p >> 64)
    return p << doublings - 24 if doublings > 24 else p >> 24 - doublings


def ln_wad(x: int) -> int:
    """Natural logarithm, both with 18 decimals.

    Raises:
        ValueError: `x` is not above zero; the contract would revert.
    """
    if x <= 0:
        raise ValueError(f"ln of {x}")
    k = x.bit_length() - 1 - 96
    x = x >> k if k >= 0 else x << -k
    p = x + 3273285459638523848632254066296
    p = ((p * x) >> 96) + 24828157081833163892658089445524
    p = ((p * x) >> 96) + 43456485725739037958740375743393
    p = ((p * x) >> 96) - 11111509109440967052023855526967
    p = ((p * x) >> 96) - 45023709667254063763336534515857
    p = ((p * x) >> 96) - 14706773417378608786704636184526
    p = p * x - (795164235651350426258249787498 << 96)
    q = x + 5573035233440673466300451813936
    q = ((q * x) >> 96) + 71694874799317883764090561454958
    q = ((q * x) >> 96) + 283447036172924575727196451306956
    q = ((q * x) >> 96) + 401686690394027663651624208769553
    q = ((q * x) >> 96) + 204048457590392012362485061816622
    q = ((q * x) >> 96) + 31853899698501571402653359427138
    q = ((q * x) >> 96) + 909429971244387300277376558375
    r = quotient(p, q) * 1677202110996718588342820967067443963516166
    r += 16597577552685614221487285958193947469193820559219878177908093499208371 * k
    r += 600920179829731861736702779321621459595472258049074101567377883020018308
    return r >> 174
