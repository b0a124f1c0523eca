"""How each family of pools is asked for its state: the same four questions, put through different doors.

A v3 pool answers for itself; v4's pools lie in one manager and are read through StateView, or from the manager's
storage where none is deployed. What comes back is the same, so everything behind the doors is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from margrave.collect.chains.abi import Call
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.pools import uniswap_v3, uniswap_v4
from margrave.collect.chains.pools.uniswap_v3 import TickInfo
from margrave.collect.chains.pools.uniswap_v4 import PoolKey
from margrave.collect.chains.said import given


@dataclass(frozen=True, slots=True)
class Scalars:
    """A pool but for its map of liquidity."""

    sqrt_price_x96: int
    tick: int
    liquidity: int
    fee_pips: int
    """What a swap pays in the dearer direction, the protocol's part included."""


class Door(Protocol):
    """One pool of concentrated liquidity."""

    def scalars(self) -> Sequence[Question[Any]]:
        """What `told` makes a state of."""

    def told(self, answers: Sequence[Any]) -> Scalars:
        """Raises `Rejected` where one of the answers is a refusal."""

    def word(self, word: int) -> Question[int]: ...

    def tick(self, tick: int) -> Question[TickInfo]: ...


@dataclass(frozen=True, slots=True)
class V3Door:
    """Uniswap v3, PancakeSwap v3, Slipstream."""

    pool: str

    def scalars(self) -> Sequence[Question[Any]]:
        calls: tuple[Call[Any], ...] = (uniswap_v3.SLOT0, uniswap_v3.LIQUIDITY, uniswap_v3.FEE)
        return [Question(self.pool, call) for call in calls]

    def told(self, answers: Sequence[Any]) -> Scalars:
        slot0, liquidity, fee = map(given, answers)
        return Scalars(slot0.sqrt_price_x96, slot0.tick, liquidity, fee)

    def word(self, word: int) -> Question[int]:
        return Question(self.pool, uniswap_v3.TICK_BITMAP, (word,))

    def tick(self, tick: int) -> Question[TickInfo]:
        return Question(self.pool, uniswap_v3.TICKS, (tick,))


@dataclass(frozen=True, slots=True)
class V4Door:
    """A v4 pool through StateView."""

    state_view: str
    key: PoolKey

    def scalars(self) -> Sequence[Question[Any]]:
        calls: tuple[Call[Any], ...] = (uniswap_v4.GET_SLOT0, uniswap_v4.GET_LIQUIDITY)
        return [Question(self.state_view, call, (self.key.id,)) for call in calls]

    def told(self, answers: Sequence[Any]) -> Scalars:
        slot0, liquidity = map(given, answers)
        return _v4_scalars(slot0, liquidity)

    def word(self, word: int) -> Question[int]:
        return Question(self.state_view, uniswap_v4.GET_TICK_BITMAP, (self.key.id, word))

    def tick(self, tick: int) -> Question[TickInfo]:
        return Question(self.state_view, uniswap_v4.GET_TICK_LIQUIDITY, (self.key.id, tick))


def _stored(make: Callable[[bytes], Any]) -> Call[Any]:
    """`extsload` of one word, read as what lies there."""
    return Call("extsload(bytes32)", "(bytes32)", make)


_SLOT0: Final = _stored(uniswap_v4.slot0_of)
_LIQUIDITY: Final = _stored(lambda word: int.from_bytes(word, "big") & (1 << 128) - 1)
_BITMAP: Final = _stored(lambda word: int.from_bytes(word, "big"))
_TICK: Final = _stored(uniswap_v4.tick_of)


@dataclass(frozen=True, slots=True)
class V4StorageDoor:
    """A v4 pool out of the PoolManager's storage."""

    manager: str
    key: PoolKey

    def scalars(self) -> Sequence[Question[Any]]:
        return [
            self._at(_SLOT0, uniswap_v4.state_slot(self.key.id)),
            self._at(_LIQUIDITY, uniswap_v4.liquidity_slot(self.key.id)),
        ]

    def told(self, answers: Sequence[Any]) -> Scalars:
        slot0, liquidity = map(given, answers)
        return _v4_scalars(slot0, liquidity)

    def word(self, word: int) -> Question[int]:
        return self._at(_BITMAP, uniswap_v4.bitmap_slot(self.key.id, word))

    def tick(self, tick: int) -> Question[TickInfo]:
        return self._at(_TICK, uniswap_v4.tick_slot(self.key.id, tick))

    def _at(self, call: Call[Any], slot: int) -> Question[Any]:
        return Question(self.manager, call, ((slot % (1 << 256)).to_bytes(32, "big"),))


def _v4_scalars(slot0: uniswap_v4.Slot0, liquidity: int) -> Scalars:
    fees = [uniswap_v4.swap_fee(slot0.lp_fee, slot0.protocol_fee, zero_for_one=down) for down in (True, False)]
    return Scalars(slot0.sqrt_price_x96, slot0.tick, liquidity, max(fees))
