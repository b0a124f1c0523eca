"""Uniswap v3 and what shares its layout: the calls and events of a pool (docs.uniswap.org/contracts/v3).

PancakeSwap v3 keeps protocol fees in 32 bits instead of 8 and tells them with each swap; Slipstream (Aerodrome,
Velodrome) has none in `slot0` and its `fee` may change with every block. Prices, ticks and liquidity lie in the same
places in all of them, so only those are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from margrave.collect.chains.abi import Call, Event, one
from margrave.collect.chains.pools.ticks import MAX_TICK, MIN_TICK, mean_tick
from margrave.errors import Rejected
from margrave.verdicts import Rejection

WORD_TICKS: Final = 256
"""Tick spacings in one word of `tickBitmap`."""
TWAP_S: Final = 1_800


@dataclass(frozen=True, slots=True)
class Slot0:
    sqrt_price_x96: int
    tick: int
    observation_cardinality: int
    """How many observations the pool keeps: with 1, `observe` reaches back to the last swap only."""


@dataclass(frozen=True, slots=True)
class TickInfo:
    gross: int
    net: int


@dataclass(frozen=True, slots=True)
class PoolSwap:
    """A finished swap: amounts are the pool's, above zero what it took in."""

    sender: str
    recipient: str
    amount0: int
    amount1: int
    sqrt_price_x96: int
    liquidity: int
    tick: int
    fee_pips: int | None = None
    """Where the event tells it (v4, whose fees may change with every swap)."""


@dataclass(frozen=True, slots=True)
class Minted:
    lower: int
    upper: int
    amount: int
    """Liquidity; below zero where it was taken away."""


@dataclass(frozen=True, slots=True)
class ProtocolFee:
    """Shares of the fee as the family counts them; none of them changes what a swap gives."""

    old0: int
    old1: int
    new0: int
    new1: int


@dataclass(frozen=True, slots=True)
class Initialized:
    sqrt_price_x96: int
    tick: int


def _slot0(price: int, tick: int, _index: int, cardinality: int) -> Slot0:
    return Slot0(price, tick, cardinality)


SLOT0 = Call("slot0()", "(uint160,int24,uint16,uint16)", _slot0)
LIQUIDITY = Call("liquidity()", "(uint128)", one)
FEE = Call("fee()", "(uint24)", one)
TICK_SPACING = Call("tickSpacing()", "(int24)", one)
TICKS = Call("ticks(int24)", "(uint128,int128)", TickInfo)
TICK_BITMAP = Call("tickBitmap(int16)", "(uint256)", one)
OBSERVE = Call("observe(uint32[])", "(int56[])", one)
SWAP_CALL = Call("swap(address,bool,int256,uint160,bytes)", "(int256,int256)", lambda x, y: (x, y))

_SWAP = (
    "Swap(address indexed sender, address indexed recipient, int256 amount0, int256 amount1, uint160 sqrtPriceX96,"
    " uint128 liquidity, int24 tick"
)
SWAP = Event(_SWAP + ")", PoolSwap)
PANCAKE_SWAP = Event(
    _SWAP + ", uint128 protocolFeesToken0, uint128 protocolFeesToken1)", lambda *told: PoolSwap(*told[:7])
)
MINT = Event(
    "Mint(address sender, address indexed owner, int24 indexed tickLower, int24 indexed tickUpper, uint128 amount,"
    " uint256 amount0, uint256 amount1)",
    lambda _sender, _owner, lower, upper, amount, *_: Minted(lower, upper, amount),
)
BURN = Event(
    "Burn(address indexed owner, int24 indexed tickLower, int24 indexed tickUpper, uint128 amount, uint256 amount0,"
    " uint256 amount1)",
    lambda _owner, lower, upper, amount, *_: Minted(lower, upper, -amount),
)
INITIALIZE = Event("Initialize(uint160 sqrtPriceX96, int24 tick)", Initialized)
_SET_FEE = "SetFeeProtocol({0} feeProtocol0Old, {0} feeProtocol1Old, {0} feeProtocol0New, {0} feeProtocol1New)"
SET_FEE_PROTOCOL = Event(_SET_FEE.format("uint8"), ProtocolFee)
PANCAKE_SET_FEE_PROTOCOL = Event(_SET_FEE.format("uint32"), ProtocolFee)


def twap_tick(cumulatives: Sequence[int], window_s: int = TWAP_S) -> int:
    """The mean tick of an answer to `observe([window, 0])`.

    Raises:
        Rejected: `MALFORMED`, not two figures; `OUT_OF_RANGE`, not of one pool.
    """
    if len(cumulatives) != 2:
        raise Rejected(Rejection.MALFORMED, f"observe answered {len(cumulatives)} of 2 times")
    return mean_tick(cumulatives[0], cumulatives[1], window_s)


# --- the map of liquidity, word by word -----------------------------------------------------------------------------


def words_between(low: int, high: int, tick_spacing: int) -> range:
    """The words of `tickBitmap` that hold the ticks from `low` to `high`."""
    return range((low // tick_spacing) // WORD_TICKS, (high // tick_spacing) // WORD_TICKS + 1)


def ticks_of_word(word: int, bitmap: int, tick_spacing: int) -> list[int]:
    """The initialised ticks of one word, ascending."""
    first = word * WORD_TICKS
    found = []
    while bitmap:
        bit = bitmap & -bitmap
        found.append((first + bit.bit_length() - 1) * tick_spacing)
        bitmap ^= bit
    return found


def known_between(words: range, tick_spacing: int) -> tuple[int, int]:
    """Between which ticks a map of these words is complete."""
    low = words.start * WORD_TICKS * tick_spacing
    high = (words.stop * WORD_TICKS - 1) * tick_spacing
    return max(low, MIN_TICK), min(high, MAX_TICK)
