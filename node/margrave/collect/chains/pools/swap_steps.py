"""One step of a swap within one range of constant liquidity, in integers that round as SqrtPriceMath and SwapMath do.

Amounts are in the tokens' smallest units, liquidity as the contracts count it, fees in pips (1e-6). Every division
rounds for the pool: what a trader pays goes up, what he gets goes down. v3-core and v4-core give the same amounts
here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from margrave.collect.chains.pools.ticks import Q96

PIPS: Final = 1_000_000
_UINT256: Final = 1 << 256


class Step(NamedTuple):
    sqrt_price_x96: int
    amount_in: int
    """Without the fee."""
    amount_out: int
    fee_amount: int


def ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def amount0_between(a_x96: int, b_x96: int, liquidity: int, *, up: bool) -> int:
    """Token 0 that lies between two square-root prices: L * 2^96 * (b - a) / (a * b)."""
    low, high = (a_x96, b_x96) if a_x96 <= b_x96 else (b_x96, a_x96)
    numerator = (liquidity << 96) * (high - low)
    # Two divisions in this order, as on chain: one by the product would round differently.
    return ceil_div(ceil_div(numerator, high), low) if up else numerator // high // low


def amount1_between(a_x96: int, b_x96: int, liquidity: int, *, up: bool) -> int:
    """Token 1 that lies between two square-root prices: L * (b - a) / 2^96."""
    product = liquidity * abs(b_x96 - a_x96)
    return ceil_div(product, Q96) if up else product // Q96


def _after_amount0(price_x96: int, liquidity: int, amount: int, *, add: bool) -> int:
    """Where an amount of token 0 moves the price to, rounded up."""
    if amount == 0:
        return price_x96
    numerator = liquidity << 96
    product = amount * price_x96
    if add:
        if product < _UINT256 and numerator + product < _UINT256:
            return ceil_div(numerator * price_x96, numerator + product)
        # The contract's way out of an overflow rounds elsewhere, and is reached only by absurd amounts.
        return ceil_div(numerator, numerator // price_x96 + amount)
    if product >= _UINT256 or product >= numerator:
        return 0  # more than the range holds: the caller's target is nearer
    return ceil_div(numerator * price_x96, numerator - product)


def _after_amount1(price_x96: int, liquidity: int, amount: int, *, add: bool) -> int:
    """Where an amount of token 1 moves the price to, rounded down."""
    if add:
        return price_x96 + (amount << 96) // liquidity
    return max(price_x96 - ceil_div(amount << 96, liquidity), 0)


def step(price_x96: int, target_x96: int, liquidity: int, remaining: int, fee_pips: int) -> Step:
    """Swap towards a target price until it is reached or nothing remains.

    Args:
        remaining: above zero, what is still to be paid in, fee included; below zero, what is still to be got out.
    """
    down = price_x96 >= target_x96  # token 0 is paid in
    exact_in = remaining >= 0
    between_in = amount0_between if down else amount1_between
    between_out = amount1_between if down else amount0_between
    if exact_in:
        spendable = remaining * (PIPS - fee_pips) // PIPS
        amount_in = between_in(target_x96, price_x96, liquidity, up=True)
        if spendable >= amount_in:
            after = target_x96
        else:
            move = _after_amount0 if down else _after_amount1
            after = move(price_x96, liquidity, spendable, add=True)
    else:
        amount_out = between_out(target_x96, price_x96, liquidity, up=False)
        if -remaining >= amount_out:
            after = target_x96
        else:
            move = _after_amount1 if down else _after_amount0
            after = move(price_x96, liquidity, -remaining, add=False)
    amount_in = between_in(after, price_x96, liquidity, up=True)
    amount_out = between_out(after, price_x96, liquidity, up=False)
    if not exact_in:
        amount_out = min(amount_out, -remaining)
    if exact_in and after != target_x96:
        fee_amount = remaining - amount_in  # what is left over stays in the pool as fee
    elif fee_pips >= PIPS:
        fee_amount = amount_in  # v4: a swap fee of the whole; nothing goes on from here
    else:
        fee_amount = ceil_div(amount_in * fee_pips, PIPS - fee_pips)
    return Step(after, amount_in, amount_out, fee_amount)
