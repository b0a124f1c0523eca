"""Integer arithmetic as the EVM does it: 18 decimals, quotients towards zero, and ports of the two series the
contracts use from solady's FixedPointMathLib (v0.1.26). Its `sqrt` is exact, so `math.isqrt` is its port."""

from __future__ import annotations

from math import isqrt
from typing import Final

WAD: Final = 10**18

EXP_UNDERFLOW: Final = -41446531673892822313
EXP_OVERFLOW: Final = 135305999368893231589
LN2_96: Final = 54916777467707473351141471128


def quotient(numerator: int, denominator: int) -> int:
    """Signed division towards zero (SDIV); Python's rounds down."""
    whole = abs(numerator) // abs(denominator)
    return whole if (numerator < 0) == (denominator < 0) else -whole


def floor_quotient(numerator: int, denominator: int) -> int:
    return numerator // denominator


def ceiling_quotient(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def sqrt(x: int) -> int:
    return isqrt(x)


def exp_wad(x: int) -> int:
    """e^x, both with 18 decimals.

    Raises:
        OverflowError: the contract would revert.
    """
    if x <= EXP_UNDERFLOW:
        return 0
    if x >= EXP_OVERFLOW:
        raise OverflowError(f"exp of {x / WAD:.1f}")
    x = quotient(x << 78, 5**18)
    k = (quotient(x << 96, LN2_96) + 2**95) >> 96
    x -= k * LN2_96
    y = x + 1346386616545796478920950773328
    y = ((y * x) >> 96) + 57155421227552351082224309758442
    p = y + x - 94201549194550492254356042504812
    p = ((p * y) >> 96) + 28719021644029726153956944680412240
    p = p * x + (4385272521454847904659076985693276 << 96)
    q = x - 2855989394907223263936484059900
    q = ((q * x) >> 96) + 50020603652535783019961831881945
    q = ((q * x) >> 96) - 533845033583426703283633433725380
    q = ((q * x) >> 96) + 3604857256930695427073651918091429
    q = ((q * x) >> 96) - 14423608567350463180887372962807573
    q = ((q * x) >> 96) + 26449188498355588339934803723976023
    return quotient(p, q) * 3822833074963236453042738258902158003155416615667 >> 195 - k


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
