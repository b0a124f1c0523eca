"""Ticks and square-root prices of concentrated liquidity, to the last unit of the contracts.

A tick is a price step of one basis point: at tick t token 0 costs 1.0001^t units of token 1. Contracts keep the square
root of that price times 2^96 (`sqrt_price_x96`, uint160). Uniswap v3 and v4, PancakeSwap v3 and Slipstream share both,
and round in the same places (Uniswap v3 whitepaper, section 6; TickMath of v3-core and v4-core).
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Final

from margrave.errors import Rejected
from margrave.verdicts import Rejection

Q96: Final = 1 << 96
MIN_TICK: Final = -887_272
MAX_TICK: Final = 887_272
MIN_SQRT_PRICE: Final = 4_295_128_739
MAX_SQRT_PRICE: Final = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342
TICK_BASE: Final = 1.0001
_WORD: Final = (1 << 256) - 1


def _step_ratios() -> tuple[int, ...]:
    """round(2^128 / sqrt(1.0001)^(2^i)) for the twenty bits of a tick: the contracts' table, from its definition."""
    with localcontext() as context:
        context.prec = 90
        root = 1 / Decimal("1.0001").sqrt()
        return tuple(int((root ** (1 << bit) * (1 << 128)).to_integral_value()) for bit in range(20))


_STEPS: Final = _step_ratios()


@lru_cache(maxsize=16_384)
def sqrt_price_at(tick: int) -> int:
    """sqrt(1.0001^tick) * 2^96 as the contracts round it: each bit truncated, the last step up.

    Raises:
        Rejected: `OUT_OF_RANGE`, no such tick.
    """
    distance = abs(tick)
    if distance > MAX_TICK:
        raise Rejected(Rejection.OUT_OF_RANGE, f"tick {tick} is beyond {MAX_TICK}")
    ratio = 1 << 128
    for bit, step in enumerate(_STEPS):
        if distance >> bit & 1:
            ratio = ratio * step >> 128
    if tick > 0:
        ratio = _WORD // ratio
    return (ratio >> 32) + (1 if ratio & 0xFFFFFFFF else 0)


def tick_at(sqrt_price_x96: int) -> int:
    """The greatest tick whose square-root price is not above this one.

    Raises:
        Rejected: `OUT_OF_RANGE`, no pool can be there.
    """
    if not MIN_SQRT_PRICE <= sqrt_price_x96 < MAX_SQRT_PRICE:
        raise Rejected(Rejection.OUT_OF_RANGE, f"square-root price {sqrt_price_x96} is outside the contracts' range")
    # Floating point lands within a tick of it; the exact ratios decide.
    guess = math.floor(2 * math.log(sqrt_price_x96 / Q96) / math.log(TICK_BASE))
    tick = min(max(guess, MIN_TICK), MAX_TICK)
    while sqrt_price_at(tick) > sqrt_price_x96:
        tick -= 1
    while tick < MAX_TICK and sqrt_price_at(tick + 1) <= sqrt_price_x96:
        tick += 1
    return tick


def price_of(sqrt_price_x96: int, decimals0: int, decimals1: int) -> float:
    """Whole units of token 1 for one whole unit of token 0."""
    return float(sqrt_price_x96 / Q96) ** 2 * 10.0 ** (decimals0 - decimals1)


def price_at_tick(tick: float, decimals0: int, decimals1: int) -> float:
    """The same at a tick, which may be a mean of ticks and so lie between two."""
    return float(TICK_BASE**tick) * 10.0 ** (decimals0 - decimals1)


def sqrt_price_times(sqrt_price_x96: int, factor: float) -> int:
    """The square-root price at which the price is `factor` times this one, kept within the contracts' range."""
    moved = sqrt_price_x96 * math.isqrt(int(factor * (1 << 120))) >> 60
    return min(max(moved, MIN_SQRT_PRICE + 1), MAX_SQRT_PRICE - 1)


def mean_tick(first_cumulative: int, last_cumulative: int, seconds: int) -> int:
    """The time-weighted mean tick between two answers of `observe`, rounded down as OracleLibrary does.

    Raises:
        Rejected: `OUT_OF_RANGE`, the two answers are not of one pool over that time.
    """
    if seconds <= 0:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a mean over {seconds} s")
    # tickCumulative is an int56 that the contracts let wrap around.
    moved = (last_cumulative - first_cumulative + (1 << 55)) % (1 << 56) - (1 << 55)
    tick = moved // seconds
    if abs(tick) > MAX_TICK:
        raise Rejected(Rejection.OUT_OF_RANGE, f"mean tick {tick} is beyond {MAX_TICK}")
    return tick
