"""Curve's plain pools of stablecoins, read at one block: the peg of one coin in another, or a market's price and
depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from margrave.collect import checks
from margrave.collect.chains.abi import Call, one
from margrave.collect.chains.answers import DECIMALS
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.pools.stable_swap import FEE_DENOMINATOR, StableSwap, stable_swap
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import ReadsOnly, Speaker, given
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind, PoolReading
from margrave.verdicts import Rejection

COINS_ASKED: Final = 4
"""No plain pool of stablecoins has more."""
A: Final[Call[int]] = Call("A()", "(uint256)", one)
FEE: Final[Call[int]] = Call("fee()", "(uint256)", one)
COINS: Final[Call[str]] = Call("coins(uint256)", "(address)", one)
BALANCES: Final[Call[int]] = Call("balances(uint256)", "(uint256)", one)
GAMMA: Final[Call[int]] = Call("gamma()", "(uint256)", one)
BASE_POOL: Final[Call[str]] = Call("base_pool()", "(address)", one)
"""What pools of unlike coins and metapools answer, and plain ones do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """One plain pool, and which of its coins is measured in which."""

    market: str
    address: str
    base_coin: int
    quote_coin: int
    peg: bool = True


@dataclass(slots=True, kw_only=True)
class CurveWatcher(ReadsOnly):
    """Some of Curve's pools; the quote coin is taken for a dollar."""

    chain_id: int
    pools: Sequence[Basket]
    every_s: float = 60.0
    _decimals: dict[str, list[int]] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return f"curve:{self.chain_id}"

    async def read(self, sweep: Sweep, seen_ms: int) -> list[Item]:
        unlike = await self._learn(sweep)
        known = [address for address in dict.fromkeys(pool.address for pool in self.pools) if address in self._decimals]
        states = await self._states(sweep, known)
        items: list[Item] = []
        for pool in self.pools:
            instrument = f"{pool.address}/{pool.base_coin}/{pool.quote_coin}"
            speaker = Speaker(self.source, sweep.block.time_ms, seen_ms, pool.market, instrument)
            try:
                state = given(unlike.get(pool.address) or states[pool.address])
                items += _said(pool, state, speaker, sweep.block.number)
            except Rejected as rejected:
                items.append(speaker.refusal("pool", rejected))
        return items

    async def _learn(self, sweep: Sweep) -> dict[str, Rejected]:
        """Coins and their decimals, once; a pool that is none of ours is refused each time."""
        new = [at for at in dict.fromkeys(pool.address for pool in self.pools) if at not in self._decimals]
        asked: list[Question[Any]] = []
        for address in new:
            asked += [Question(address, GAMMA), Question(address, BASE_POOL)]
            asked += [Question(address, COINS, (at,)) for at in range(COINS_ASKED)]
        told = await sweep.ask(asked) if asked else []
        refused: dict[str, Rejected] = {}
        for at, address in enumerate(new):
            gamma, base_pool, *coins = told[at * (COINS_ASKED + 2) : (at + 1) * (COINS_ASKED + 2)]
            found = [coin for coin in coins if isinstance(coin, str)]
            if isinstance(gamma, int) or isinstance(base_pool, str):
                refused[address] = Rejected(Rejection.NOT_SIMULATED, "a Curve pool of unlike coins, or a metapool")
                continue
            questions: list[Question[Any]] = [Question(coin, DECIMALS) for coin in found]
            decimals: list[Any] = await sweep.ask(questions) if questions else []
            wrong = next((each for each in decimals if isinstance(each, Rejected)), None)
            if wrong is not None or len(found) < 2:
                refused[address] = wrong or Rejected(Rejection.EMPTY, f"a pool of {len(found)} coins")
            else:
                self._decimals[address] = decimals
        return refused

    async def _states(self, sweep: Sweep, addresses: Sequence[str]) -> dict[str, StableSwap | Rejected]:
        asked: list[Question[Any]] = []
        for address in addresses:
            asked += [Question(address, A), Question(address, FEE)]
            asked += [Question(address, BALANCES, (at,)) for at in range(len(self._decimals[address]))]
        told = iter(await sweep.ask(asked) if asked else [])
        states: dict[str, StableSwap | Rejected] = {}
        for address in addresses:
            decimals = self._decimals[address]
            answers = [next(told) for _ in range(2 + len(decimals))]
            try:
                amplification, fee, *balances = (given(answer) for answer in answers)
                states[address] = stable_swap(balances, decimals, amplification, fee)
            except Rejected as rejected:
                states[address] = rejected
        return states


def _said(pool: Basket, state: StableSwap, speaker: Speaker, block: int) -> Iterator[Item]:
    if max(pool.base_coin, pool.quote_coin) >= len(state.balances):
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"the pool has {len(state.balances)} coins")
    price = state.price(pool.base_coin, pool.quote_coin)
    if pool.peg:
        yield speaker.scalar(Kind.PEG, price)
        return
    sold, bought = state.depth_within(pool.base_coin, pool.quote_coin)
    unit = 10.0 ** state.decimals[pool.quote_coin]
    yield PoolReading(
        source=speaker.source,
        market=speaker.market,
        instrument=speaker.instrument,
        venue_time_ms=speaker.venue_ms,
        seen_time_ms=speaker.seen_ms,
        price=checks.price(price, "pool price"),
        bid_depth_usd=checks.size(sold.amount_out / unit, "bid depth"),
        ask_depth_usd=checks.size(bought.amount_in / unit, "ask depth"),
        fee=state.fee / FEE_DENOMINATOR,
        block=block,
    )
