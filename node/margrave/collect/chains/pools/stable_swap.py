"""Curve's plain pools of stablecoins: the StableSwap invariant in integers that round as the contracts do.

A n^n sum(x) + D = A D n^n + D^(n+1) / (n^n prod(x)) (StableSwap whitepaper, 2019). Balances are scaled to 18 decimals;
both unknowns are found by Newton's steps of the contracts, each of which truncates. Pools that lend their coins,
metapools and pools of unlike coins (with `gamma`) are other contracts, and are refused where they are recognised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from margrave.collect.chains.pools.concentrated import DEPTH_SHARE, Depth
from margrave.errors import Rejected
from margrave.verdicts import Rejection

FEE_DENOMINATOR: Final = 10**10
PRECISION: Final = 10**18
MOST_COINS: Final = 8
MAX_AMPLIFICATION: Final = 10**6
MAX_BALANCE: Final = 1 << 128
ROUNDS: Final = 255
"""Of Newton's method, after which the contracts go on with what they have; some ten are needed."""
HALVINGS: Final = 64
PROBE_SHARE: Final = 1_000_000
"""A marginal price is that of a millionth of the balance."""


@dataclass(frozen=True, slots=True)
class StableSwap:
    """State of one plain pool at one block."""

    balances: tuple[int, ...]
    decimals: tuple[int, ...]
    amplification: int
    """As `A()` answers."""
    fee: int
    """Of 10^10."""

    @property
    def scaled(self) -> list[int]:
        """Balances with 18 decimals each."""
        return [
            held * 10 ** (36 - places) // PRECISION for held, places in zip(self.balances, self.decimals, strict=True)
        ]

    def amount_out(self, i: int, j: int, amount_in: int) -> int:
        """`get_dy`: what coin j an exact amount of coin i gives, fee taken."""
        given = self._given(i, j, amount_in)
        return max(given - given * self.fee // FEE_DENOMINATOR, 0)

    def price(self, base: int, quote: int) -> float:
        """Whole units of the quote coin for one whole unit of the base coin, at the margin, without fee."""
        return self._marginal(self.scaled, base, quote)

    def depth_within(self, base: int, quote: int, share: float = DEPTH_SHARE) -> tuple[Depth, Depth]:
        """What can be sold until the base coin's price is lower by a share, then bought until it is higher."""
        price = self.price(base, quote)
        sold = self._until(base, quote, lambda now: now <= price * (1 - share))
        bought = self._until(quote, base, lambda now: now <= 1 / (price * (1 + share)))
        return sold, bought

    def _until(self, i: int, j: int, reached: Callable[[float], bool]) -> Depth:
        """The least input of coin i after which the marginal price of i in j is as wanted, and its output; no fee."""
        low, high = 0, sum(self.scaled)  # who pays in as much as all coins together has moved any price by far
        for _ in range(HALVINGS):
            middle = (low + high) // 2
            after = self.scaled
            after[i] += middle
            after[j] = self._y(i, j, after[i])
            low, high = (low, middle) if reached(self._marginal(after, i, j)) else (middle, high)
        paid = high * 10 ** self.decimals[i] // PRECISION
        return Depth(paid, self._given(i, j, paid))

    def _marginal(self, scaled: list[int], i: int, j: int) -> float:
        probe = max(scaled[i] // PROBE_SHARE, 1)
        moved = StableSwap(tuple(scaled), (18,) * len(scaled), self.amplification, 0)
        return (scaled[j] - moved._y(i, j, scaled[i] + probe)) / probe

    def _given(self, i: int, j: int, amount_in: int) -> int:
        scaled = self.scaled
        y = self._y(i, j, scaled[i] + amount_in * 10 ** (36 - self.decimals[i]) // PRECISION)
        # One unit less, for the pool, before it is scaled back.
        return int((scaled[j] - y - 1) * PRECISION // 10 ** (36 - self.decimals[j]))

    def _y(self, i: int, j: int, x: int) -> int:
        """What coin j's scaled balance is when coin i's is x and the invariant holds (`get_y`)."""
        scaled, count = self.scaled, len(self.balances)
        whole = self.invariant()
        ann = self.amplification * count
        c, others = whole, 0
        for at in range(count):
            if at != j:
                held = x if at == i else scaled[at]
                others += held
                c = c * whole // (held * count)
        c = c * whole // (ann * count)
        b = others + whole // ann
        y = whole
        for _ in range(ROUNDS):
            before, y = y, (y * y + c) // (2 * y + b - whole)
            if abs(y - before) <= 1:
                break
        return y

    def invariant(self) -> int:
        """D: what the pool would hold in all, were its coins in balance (`get_D`)."""
        scaled, count = self.scaled, len(self.balances)
        total = sum(scaled)
        ann, whole = self.amplification * count, total
        for _ in range(ROUNDS):
            product = whole
            for held in scaled:
                product = product * whole // (held * count)
            before = whole
            whole = (ann * total + product * count) * whole // ((ann - 1) * whole + (count + 1) * product)
            if abs(whole - before) <= 1:
                break
        return whole


def stable_swap(balances: list[int], decimals: list[int], amplification: int, fee: int) -> StableSwap:
    """A checked state.

    Raises:
        Rejected: `EMPTY` for a coin that is used up, `OUT_OF_RANGE` or `MALFORMED` for figures that no pool has.
    """
    if not 2 <= len(balances) <= MOST_COINS or len(decimals) != len(balances):
        raise Rejected(Rejection.MALFORMED, f"{len(balances)} balances of {len(decimals)} coins")
    if min(balances) <= 0:
        raise Rejected(Rejection.EMPTY, f"balances are {balances}")
    if max(balances) >= MAX_BALANCE or not all(0 <= places <= 18 for places in decimals):
        raise Rejected(Rejection.OUT_OF_RANGE, f"balances {balances} of {decimals} decimals")
    if not 1 <= amplification <= MAX_AMPLIFICATION or not 0 <= fee < FEE_DENOMINATOR:
        raise Rejected(Rejection.OUT_OF_RANGE, f"amplification {amplification}, fee {fee}")
    return StableSwap(tuple(balances), tuple(decimals), amplification, fee)
