"""A pool of concentrated liquidity: what a swap gives, to the last unit, and how deep it is.

The walk is the contracts' own: from one initialised tick, or end of a word of 256 tick spacings, to the next. A step
that ends at a word without a position there is not skipped, because each step rounds (Uniswap v3 whitepaper, 6.2.3;
the same in v4, PancakeSwap v3 and Slipstream).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from margrave.collect.chains.pools.swap_steps import PIPS, step
from margrave.collect.chains.pools.ticks import (
    MAX_SQRT_PRICE,
    MAX_TICK,
    MIN_SQRT_PRICE,
    MIN_TICK,
    sqrt_price_at,
    sqrt_price_times,
    tick_at,
)
from margrave.errors import Rejected
from margrave.verdicts import Rejection

DEPTH_SHARE: Final = 0.01
"""As for order books: depth is what moves the price by 1 %."""
MOST_TICKS: Final = 200_000
"""Initialised ticks of one pool; the largest known has a few thousand."""
_WITHOUT_END: Final = (1 << 255) - 1
_WORD_BITS: Final = 8


class Swapped(NamedTuple):
    amount_in: int
    """Paid in, fee included."""
    amount_out: int
    fee_amount: int
    sqrt_price_x96: int
    tick: int
    liquidity: int


class Depth(NamedTuple):
    """What moves the price to one level: paid in without fees, got out; smallest units."""

    amount_in: int
    amount_out: int


@dataclass(frozen=True, slots=True)
class Concentrated:
    """State of one pool at one block."""

    sqrt_price_x96: int
    tick: int
    """As the contract keeps it: a swap that stops exactly on a tick going down leaves the one below."""
    liquidity: int
    fee_pips: int
    tick_spacing: int
    ticks: tuple[int, ...]
    """Initialised ticks, ascending."""
    nets: tuple[int, ...]
    """Liquidity that joins where the price rises through each."""
    known: tuple[int, int] = (MIN_TICK, MAX_TICK)
    """Between which ticks the map is complete: nothing is said of what lies beyond."""

    @property
    def complete(self) -> bool:
        return self.known == (MIN_TICK, MAX_TICK)

    def net_at(self, tick: int) -> int | None:
        """What joins at a tick, `None` where it is not initialised."""
        index = bisect_left(self.ticks, tick)
        return self.nets[index] if index < len(self.ticks) and self.ticks[index] == tick else None

    def liquidity_agrees(self) -> bool | None:
        """Whether the positions below the price add up to the liquidity in force; `None` where the map is partial."""
        if not self.complete:
            return None
        return sum(self.nets[: bisect_right(self.ticks, self.tick)]) == self.liquidity

    def swap(self, amount: int, *, zero_for_one: bool, limit_x96: int | None = None) -> Swapped:
        """What the contract's `swap` would do.

        Args:
            amount: above zero, paid in, fee included; below zero, wanted out.
            limit_x96: where the price stops; by default at the end of the range, as quoters ask.

        Returns:
            What was swapped before the amount was used up or the limit was reached.

        Raises:
            Rejected: `OUT_OF_RANGE` for a limit on the wrong side; `NOT_SIMULATED` where the swap leaves the part of
            the
                map that was read.
        """
        limit = limit_x96 or (MIN_SQRT_PRICE + 1 if zero_for_one else MAX_SQRT_PRICE - 1)
        bounded = (
            MIN_SQRT_PRICE < limit < self.sqrt_price_x96
            if zero_for_one
            else self.sqrt_price_x96 < limit < MAX_SQRT_PRICE
        )
        if not bounded:
            raise Rejected(Rejection.OUT_OF_RANGE, f"a swap cannot go from {self.sqrt_price_x96} to {limit}")
        price, tick, liquidity, left = self.sqrt_price_x96, self.tick, self.liquidity, amount
        paid = got = fees = 0
        while left != 0 and price != limit:
            ahead, net = self._next(tick, zero_for_one=zero_for_one)
            if not self.known[0] <= ahead <= self.known[1]:
                # The end of the known part may lie within a word: nothing crosses it.
                ahead, net = (self.known[0] if zero_for_one else self.known[1]), None
                if (tick <= ahead) if zero_for_one else (tick >= ahead):
                    raise Rejected(Rejection.NOT_SIMULATED, f"liquidity beyond tick {ahead} was not read")
            level = sqrt_price_at(ahead)
            target = max(level, limit) if zero_for_one else min(level, limit)
            done = step(price, target, liquidity, left, self.fee_pips)
            left = left - done.amount_in - done.fee_amount if amount > 0 else left + done.amount_out
            paid += done.amount_in + done.fee_amount
            got += done.amount_out
            fees += done.fee_amount
            if done.sqrt_price_x96 == level:
                if net is not None:
                    liquidity += -net if zero_for_one else net
                    if liquidity < 0:
                        raise Rejected(Rejection.MALFORMED, f"liquidity falls below zero at tick {ahead}")
                tick = ahead - 1 if zero_for_one else ahead
            elif done.sqrt_price_x96 != price:
                tick = tick_at(done.sqrt_price_x96)
            price = done.sqrt_price_x96
        return Swapped(paid, got, fees, price, tick, liquidity)

    def depth_to(self, target_x96: int) -> Depth:
        """What moves the price to a level, on either side.

        Raises:
            Rejected: `NOT_SIMULATED`, the map was not read so far.
        """
        if target_x96 == self.sqrt_price_x96:
            return Depth(0, 0)
        down = target_x96 < self.sqrt_price_x96
        moved = self.swap(_WITHOUT_END, zero_for_one=down, limit_x96=target_x96)
        return Depth(moved.amount_in - moved.fee_amount, moved.amount_out)

    def depth_within(self, share: float = DEPTH_SHARE) -> tuple[Depth, Depth]:
        """Depth until the price of token 0 is lower, then until it is higher, by a share."""
        down = self.depth_to(sqrt_price_times(self.sqrt_price_x96, 1 - share))
        return down, self.depth_to(sqrt_price_times(self.sqrt_price_x96, 1 + share))

    def _next(self, tick: int, *, zero_for_one: bool) -> tuple[int, int | None]:
        """The next initialised tick in the walk's direction or the end of its word, within the contracts' range."""
        spacing = self.tick_spacing
        compressed = tick // spacing
        if zero_for_one:
            edge = (compressed >> _WORD_BITS << _WORD_BITS) * spacing
            index = bisect_right(self.ticks, compressed * spacing) - 1
            if index >= 0 and self.ticks[index] >= edge:
                return self.ticks[index], self.nets[index]
            return max(edge, MIN_TICK), None
        word = (compressed + 1) >> _WORD_BITS
        edge = ((word + 1 << _WORD_BITS) - 1) * spacing
        index = bisect_left(self.ticks, (compressed + 1) * spacing)
        if index < len(self.ticks) and self.ticks[index] <= edge:
            return self.ticks[index], self.nets[index]
        return min(edge, MAX_TICK), None


def concentrated(
    *,
    sqrt_price_x96: int,
    tick: int,
    liquidity: int,
    fee_pips: int,
    tick_spacing: int,
    nets: Mapping[int, int] | Iterable[tuple[int, int]],
    known: tuple[int, int] = (MIN_TICK, MAX_TICK),
) -> Concentrated:
    """A checked pool state.

    Raises:
        Rejected: `EMPTY` for a pool that was never initialised; `OUT_OF_RANGE` or `MALFORMED` for figures that no
            pool has, among them a tick that does not belong to the price: two blocks were mixed, or someone lies.
    """
    if sqrt_price_x96 == 0:
        raise Rejected(Rejection.EMPTY, "the pool is not initialised")
    if not 1 <= tick_spacing <= 32_767:
        raise Rejected(Rejection.OUT_OF_RANGE, f"tick spacing {tick_spacing}")
    if not 0 <= fee_pips <= PIPS:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a fee of {fee_pips} pips")
    if not 0 <= liquidity < 1 << 128:
        raise Rejected(Rejection.OUT_OF_RANGE, f"liquidity {liquidity}")
    found = tick_at(sqrt_price_x96)
    if tick != found and not (tick == found - 1 and sqrt_price_at(found) == sqrt_price_x96):
        raise Rejected(Rejection.MALFORMED, f"tick {tick} does not belong to a price at tick {found}")
    pairs = sorted(dict(nets).items())
    if len(pairs) > MOST_TICKS:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{len(pairs)} ticks are more than the {MOST_TICKS} that are read")
    if astray := next((at for at, _ in pairs if at % tick_spacing or abs(at) > MAX_TICK), None):
        raise Rejected(Rejection.MALFORMED, f"tick {astray} is not one of spacing {tick_spacing}")
    return Concentrated(
        sqrt_price_x96=sqrt_price_x96,
        tick=tick,
        liquidity=liquidity,
        fee_pips=fee_pips,
        tick_spacing=tick_spacing,
        ticks=tuple(at for at, _ in pairs),
        nets=tuple(net for _, net in pairs),
        known=known,
    )
