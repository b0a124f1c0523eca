"""Uniswap v4: one PoolManager that holds all pools, read through StateView or straight from storage.

A pool is a key (currencies, fee, tick spacing, hooks) and its hash. A protocol fee is taken before the pool's own,
each way its own (ProtocolFeeLibrary). What a hook may do to a swap is written in its address: where it may change the
amounts or the fee, no simulation of ours is worth the name, and the pool is refused as `not_simulated` with the
reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from eth_abi.abi import encode as abi_encode
from eth_utils.crypto import keccak

from margrave.addresses import NOBODY
from margrave.collect.chains.abi import Call, Event, one
from margrave.collect.chains.pools.swap_steps import PIPS
from margrave.collect.chains.pools.uniswap_v3 import PoolSwap, TickInfo
from margrave.errors import Rejected
from margrave.verdicts import Rejection

DYNAMIC_FEE: Final = 0x800000
"""In a key's fee: hooks set it, `lp_fee` of `slot0` tells what it is now."""
POOLS_SLOT: Final = 6
"""Of PoolManager's storage: mapping(PoolId => Pool.State), as StateLibrary reads it."""
_LIQUIDITY, _TICKS, _BITMAP = 3, 4, 5


class Hook(IntFlag):
    """What a hook contract is called for: the low 14 bits of its address (Hooks of v4-core)."""

    AFTER_REMOVE_RETURNS_DELTA = 1 << 0
    AFTER_ADD_RETURNS_DELTA = 1 << 1
    AFTER_SWAP_RETURNS_DELTA = 1 << 2
    BEFORE_SWAP_RETURNS_DELTA = 1 << 3
    AFTER_DONATE = 1 << 4
    BEFORE_DONATE = 1 << 5
    AFTER_SWAP = 1 << 6
    BEFORE_SWAP = 1 << 7
    AFTER_REMOVE_LIQUIDITY = 1 << 8
    BEFORE_REMOVE_LIQUIDITY = 1 << 9
    AFTER_ADD_LIQUIDITY = 1 << 10
    BEFORE_ADD_LIQUIDITY = 1 << 11
    AFTER_INITIALIZE = 1 << 12
    BEFORE_INITIALIZE = 1 << 13


MEDDLES: Final = Hook.BEFORE_SWAP | Hook.BEFORE_SWAP_RETURNS_DELTA | Hook.AFTER_SWAP_RETURNS_DELTA
"""A hook before a swap may move the pool or override its fee; one that returns deltas changes the amounts."""


@dataclass(frozen=True, slots=True)
class PoolKey:
    currency0: str
    currency1: str
    fee: int
    tick_spacing: int
    hooks: str = NOBODY

    @property
    def id(self) -> bytes:
        """keccak256(abi.encode(key))."""
        kinds = ["address", "address", "uint24", "int24", "address"]
        return keccak(abi_encode(kinds, [self.currency0, self.currency1, self.fee, self.tick_spacing, self.hooks]))


def hooks_of(address: str) -> Hook:
    return Hook(int(address, 16) & (1 << 14) - 1)


def check_simulated(*, fee: int, hooks: str) -> None:
    """Raise `Rejected(NOT_SIMULATED)` where a hook may change what a swap gives."""
    flags = hooks_of(hooks)
    if meddling := flags & MEDDLES:
        names = ", ".join(str(flag.name).lower() for flag in meddling)
        raise Rejected(Rejection.NOT_SIMULATED, f"hook {hooks} takes part in swaps: {names}")
    if fee == DYNAMIC_FEE and int(hooks, 16) == 0:
        raise Rejected(Rejection.MALFORMED, "a dynamic fee without a hook to set it")


def swap_fee(lp_fee: int, protocol_fee: int, *, zero_for_one: bool) -> int:
    """Pips that a swap pays in all: of the two 12-bit protocol fees the one of its direction, then the pool's."""
    protocol = protocol_fee & 0xFFF if zero_for_one else protocol_fee >> 12 & 0xFFF
    return protocol + lp_fee - protocol * lp_fee // PIPS


@dataclass(frozen=True, slots=True)
class Slot0:
    sqrt_price_x96: int
    tick: int
    protocol_fee: int
    lp_fee: int


@dataclass(frozen=True, slots=True)
class Created:
    pool_id: bytes
    key: PoolKey
    sqrt_price_x96: int
    tick: int


@dataclass(frozen=True, slots=True)
class Modified:
    """Liquidity added (or, below zero, removed) between two ticks."""

    pool_id: bytes
    lower: int
    upper: int
    amount: int


@dataclass(frozen=True, slots=True)
class ManagedSwap:
    pool_id: bytes
    swap: PoolSwap


GET_SLOT0 = Call("getSlot0(bytes32)", "(uint160,int24,uint24,uint24)", Slot0)
GET_LIQUIDITY = Call("getLiquidity(bytes32)", "(uint128)", one)
GET_TICK_BITMAP = Call("getTickBitmap(bytes32,int16)", "(uint256)", one)
GET_TICK_LIQUIDITY = Call("getTickLiquidity(bytes32,int24)", "(uint128,int128)", TickInfo)
EXTSLOAD = Call("extsload(bytes32)", "(bytes32)", one)


def _swap(
    pool_id: bytes, sender: str, amount0: int, amount1: int, price: int, held: int, tick: int, fee: int
) -> ManagedSwap:
    # v4 counts from the swapper's side: what he pays is below zero. Ours is the pool's side, as in v3.
    return ManagedSwap(pool_id, PoolSwap(sender, sender, -amount0, -amount1, price, held, tick, fee))


SWAP = Event(
    "Swap(bytes32 indexed id, address indexed sender, int128 amount0, int128 amount1, uint160 sqrtPriceX96,"
    " uint128 liquidity, int24 tick, uint24 fee)",
    _swap,
)
INITIALIZE = Event(
    "Initialize(bytes32 indexed id, address indexed currency0, address indexed currency1, uint24 fee,"
    " int24 tickSpacing, address hooks, uint160 sqrtPriceX96, int24 tick)",
    lambda pool_id, currency0, currency1, fee, spacing, hooks, price, tick: Created(
        pool_id, PoolKey(currency0, currency1, fee, spacing, hooks), price, tick
    ),
)
MODIFY_LIQUIDITY = Event(
    "ModifyLiquidity(bytes32 indexed id, address indexed sender, int24 tickLower, int24 tickUpper,"
    " int256 liquidityDelta, bytes32 salt)",
    lambda pool_id, _sender, lower, upper, delta, _salt: Modified(pool_id, lower, upper, delta),
)


# --- storage, where no StateView is deployed ------------------------------------------------------------------------


def state_slot(pool_id: bytes) -> int:
    """Where a pool's state begins: its `slot0` lies there."""
    return int.from_bytes(keccak(pool_id + POOLS_SLOT.to_bytes(32, "big")), "big")


def liquidity_slot(pool_id: bytes) -> int:
    return state_slot(pool_id) + _LIQUIDITY


def tick_slot(pool_id: bytes, tick: int) -> int:
    return _entry(tick, state_slot(pool_id) + _TICKS)


def bitmap_slot(pool_id: bytes, word: int) -> int:
    return _entry(word, state_slot(pool_id) + _BITMAP)


def slot0_of(word: bytes) -> Slot0:
    """24 bits each of LP fee, protocol fee and tick above 160 bits of price."""
    packed = int.from_bytes(word, "big")
    return Slot0(
        packed & (1 << 160) - 1, _signed(packed >> 160, 24), packed >> 184 & 0xFFFFFF, packed >> 208 & 0xFFFFFF
    )


def tick_of(word: bytes) -> TickInfo:
    """128 bits of net above 128 bits of gross liquidity."""
    packed = int.from_bytes(word, "big")
    return TickInfo(packed & (1 << 128) - 1, _signed(packed >> 128, 128))


def _entry(key: int, slot: int) -> int:
    """mapping(int => ...): keccak of the sign-extended key and the mapping's slot."""
    return int.from_bytes(keccak(key.to_bytes(32, "big", signed=True) + (slot % (1 << 256)).to_bytes(32, "big")), "big")


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value
