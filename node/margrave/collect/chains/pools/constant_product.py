"""Pools of two reserves whose product holds: Uniswap v2 and what copied it, and the volatile pools of Aerodrome.

Reserves and amounts are in the tokens' smallest units. What a swap gives is the pair's own check turned around
(Uniswap v2 core whitepaper, 3.2.1); where the fee is taken differs between the families, and so does the last unit.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from margrave.collect.chains.pools.concentrated import DEPTH_SHARE, Depth
from margrave.errors import Rejected
from margrave.verdicts import Rejection

PER_MYRIAD: Final = 10_000
MAX_RESERVE: Final = 1 << 256
_UQ112: Final = 112
_WORD: Final = 1 << 256
_UINT32: Final = 1 << 32


class FeeRule(StrEnum):
    """Where the fee leaves the amount paid in."""

    WITHIN = "within"  # Uniswap v2, SushiSwap, PancakeSwap v2: inside the one division
    BEFORE = "before"  # Aerodrome, Velodrome: a truncated division of its own


@dataclass(frozen=True, slots=True)
class ConstantProduct:
    """State of one pair at one block."""

    reserve0: int
    reserve1: int
    fee_per_myriad: int = 30
    rule: FeeRule = FeeRule.WITHIN

    def amount_out(self, amount_in: int, *, zero_for_one: bool) -> int:
        """What a swap of an exact input gives."""
        held, other = self._sides(zero_for_one=zero_for_one)
        if amount_in <= 0:
            return 0
        if self.rule is FeeRule.BEFORE:
            net = amount_in - amount_in * self.fee_per_myriad // PER_MYRIAD
            return net * other // (held + net)
        net = amount_in * (PER_MYRIAD - self.fee_per_myriad)
        return net * other // (held * PER_MYRIAD + net)

    def amount_in(self, amount_out: int, *, zero_for_one: bool) -> int:
        """What an exact output costs, as the routers of Uniswap v2 ask it.

        Raises:
            Rejected: `OUT_OF_RANGE`, the pair does not hold so much; `NOT_SIMULATED`, the family has no such question.
        """
        held, other = self._sides(zero_for_one=zero_for_one)
        if self.rule is not FeeRule.WITHIN:
            raise Rejected(Rejection.NOT_SIMULATED, "pairs of this family quote exact inputs only")
        if not 0 < amount_out < other:
            raise Rejected(Rejection.OUT_OF_RANGE, f"{amount_out} of a reserve of {other}")
        net = PER_MYRIAD - self.fee_per_myriad
        return held * amount_out * PER_MYRIAD // ((other - amount_out) * net) + 1

    def allows(self, in0: int, in1: int, out0: int, out1: int) -> bool:
        """The pair's own check of a finished swap: the product of what it holds, less fees, has not fallen."""
        fee = self.fee_per_myriad
        after0 = (self.reserve0 + in0 - out0) * PER_MYRIAD - in0 * fee
        after1 = (self.reserve1 + in1 - out1) * PER_MYRIAD - in1 * fee
        return after0 * after1 >= self.reserve0 * self.reserve1 * PER_MYRIAD**2

    def price(self, decimals0: int, decimals1: int) -> float:
        """Whole units of token 1 for one whole unit of token 0."""
        return self.reserve1 / self.reserve0 * 10.0 ** (decimals0 - decimals1)

    def depth_to(self, factor: float) -> Depth:
        """What moves the price of token 0 to `factor` times what it is, without fees."""
        root = math.sqrt(factor)
        if factor < 1:  # token 0 is paid in
            return Depth(int(self.reserve0 * (1 / root - 1)), int(self.reserve1 * (1 - root)))
        return Depth(int(self.reserve1 * (root - 1)), int(self.reserve0 * (1 - 1 / root)))

    def depth_within(self, share: float = DEPTH_SHARE) -> tuple[Depth, Depth]:
        """Depth until the price of token 0 is lower, then until it is higher, by a share."""
        return self.depth_to(1 - share), self.depth_to(1 + share)

    def _sides(self, *, zero_for_one: bool) -> tuple[int, int]:
        return (self.reserve0, self.reserve1) if zero_for_one else (self.reserve1, self.reserve0)


def constant_product(
    reserve0: int, reserve1: int, *, fee_per_myriad: int = 30, rule: FeeRule = FeeRule.WITHIN
) -> ConstantProduct:
    """A checked state.

    Raises:
        Rejected: `EMPTY` for a pair without reserves, `OUT_OF_RANGE` for figures that none has.
    """
    if reserve0 <= 0 or reserve1 <= 0:
        raise Rejected(Rejection.EMPTY, f"reserves are {reserve0} and {reserve1}")
    if max(reserve0, reserve1) >= MAX_RESERVE:
        raise Rejected(Rejection.OUT_OF_RANGE, "a reserve of more than 256 bits")
    if not 0 <= fee_per_myriad < PER_MYRIAD:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a fee of {fee_per_myriad} of {PER_MYRIAD}")
    return ConstantProduct(reserve0, reserve1, fee_per_myriad, rule)


# --- the pair's own time-weighted price -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cumulative:
    """`price0CumulativeLast` brought up to a block's time: seconds times price of token 0, UQ112.112, wrapping."""

    time_s: int
    price0: int


def cumulative(pool: ConstantProduct, price0_last: int, updated_s: int, block_time_s: int) -> Cumulative:
    """What the pair would have added had it been touched in this block (UniswapV2OracleLibrary)."""
    passed = (block_time_s - updated_s) % _UINT32  # the pair keeps 32 bits of the time
    return Cumulative(block_time_s, (price0_last + (pool.reserve1 << _UQ112) // pool.reserve0 * passed) % _WORD)


def mean_price(first: Cumulative, last: Cumulative, decimals0: int, decimals1: int) -> float:
    """The arithmetic mean price of token 0 between two blocks.

    Raises:
        Rejected: `OUT_OF_RANGE`, the second is not later.
    """
    seconds = last.time_s - first.time_s
    if seconds <= 0:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a mean over {seconds} s")
    moved = (last.price0 - first.price0) % _WORD
    return moved / (seconds << _UQ112) * 10.0 ** (decimals0 - decimals1)


@dataclass
class CumulativeMemory:
    """What was seen of one pair, long enough to look back over a window. A pair answers for the present only."""

    window_s: int
    most: int = 1_024
    _seen: deque[Cumulative] = field(default_factory=deque)

    def mean(self, now: Cumulative, decimals0: int, decimals1: int) -> float | None:
        """The mean from the newest sighting at least a window ago until now; `None` while there is none so old.

        An earlier block than the last one is a reorganisation: what was seen after it is forgotten.
        """
        while self._seen and self._seen[-1].time_s >= now.time_s:
            self._seen.pop()
        self._seen.append(now)
        while len(self._seen) > 1 and (len(self._seen) > self.most or self._age_s(1, now) >= self.window_s):
            self._seen.popleft()
        first = self._seen[0]
        return mean_price(first, now, decimals0, decimals1) if self._age_s(0, now) >= self.window_s else None

    def _age_s(self, at: int, now: Cumulative) -> int:
        return now.time_s - self._seen[at].time_s
