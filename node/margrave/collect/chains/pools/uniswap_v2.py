"""Uniswap v2 and what copied it: the calls and events of a pair (docs.uniswap.org/contracts/v2).

SushiSwap and PancakeSwap v2 share everything but the fee. Aerodrome's and Velodrome's pools answer the same calls, call
their events differently, and are `stable` or not: the stable ones keep another curve, which is not simulated.
"""

from __future__ import annotations

from dataclasses import dataclass

from margrave.collect.chains.abi import Call, Event, one


@dataclass(frozen=True, slots=True)
class Reserves:
    reserve0: int
    reserve1: int
    updated_s: int
    """Of the pair's last touch, 32 bits."""


@dataclass(frozen=True, slots=True)
class PairSwap:
    """A finished swap; of each token usually one of in and out is zero, but flash swaps have both."""

    sender: str
    in0: int
    in1: int
    out0: int
    out1: int
    to: str


@dataclass(frozen=True, slots=True)
class Synced:
    reserve0: int
    reserve1: int


GET_RESERVES = Call("getReserves()", "(uint256,uint256,uint256)", Reserves)  # uint112, uint112, uint32 are words too
PRICE0_CUMULATIVE = Call("price0CumulativeLast()", "(uint256)", one)
TOKEN0 = Call("token0()", "(address)", one)
TOKEN1 = Call("token1()", "(address)", one)
STABLE = Call("stable()", "(bool)", one)
SWAP_CALL = Call("swap(uint256,uint256,address,bytes)", "()", lambda: None)

SWAP = Event(
    "Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out, uint256 amount1Out,"
    " address indexed to)",
    PairSwap,
)
SYNC = Event("Sync(uint112 reserve0, uint112 reserve1)", Synced)
AERODROME_SWAP = Event(
    "Swap(address indexed sender, address indexed to, uint256 amount0In, uint256 amount1In, uint256 amount0Out,"
    " uint256 amount1Out)",
    lambda sender, to, in0, in1, out0, out1: PairSwap(sender, in0, in1, out0, out1, to),
)
AERODROME_SYNC = Event("Sync(uint256 reserve0, uint256 reserve1)", Synced)
