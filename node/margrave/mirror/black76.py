"""Normal distribution and undiscounted Black (1976), as contracts/src/margin/{Normal,Black76}.sol compute them."""

from __future__ import annotations

from typing import Final

from margrave.mirror.fixed_point import WAD, exp_wad, quotient

FAR: Final = 50 * WAD
INVERSE_SQRT_2PI: Final = 398942280401432678
STEP: Final = 231641900000000000
HORNER: Final = (
    -1821255978000000000,
    1781477937000000000,
    -356563782000000000,
    319381530000000000,
)
LEADING: Final = 1330274429000000000


def density(x: int) -> int:
    """The normal density, 18 decimals."""
    return quotient(exp_wad(quotient(-(x * x), 2 * WAD)) * INVERSE_SQRT_2PI, WAD)


def cdf(x: int, density_at_x: int) -> int:
    """The normal distribution function from the density at the same place.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17: absolute error below 7.5e-8.
    """
    t = WAD * WAD // (WAD + STEP * abs(x) // WAD)
    p = LEADING
    for coefficient in HORNER:
        p = quotient(p * t, WAD) + coefficient
    tail = quotient(quotient(p * t, WAD) * density_at_x, WAD)
    return tail if x < 0 else WAD - tail


def call(forward: int, strike: int, log_moneyness: int, total_vol: int) -> int:
    """Value of a call in the forward's unit, held between its intrinsic value and the forward; all 18 decimals.

    Args:
        forward: forward price.
        strike: strike price.
        log_moneyness: ln(forward / strike).
        total_vol: sigma * sqrt(T); zero gives the intrinsic value.
    """
    intrinsic = max(forward - strike, 0)
    if total_vol == 0:
        return intrinsic
    d1 = quotient(log_moneyness * WAD, total_vol) + total_vol // 2
    if abs(d1) > FAR:
        return intrinsic
    density1 = density(d1)
    n1 = cdf(d1, density1)
    n2 = cdf(d1 - total_vol, density1 * forward // strike)
    return min(max(quotient(forward * n1 - strike * n2, WAD), intrinsic), forward)
