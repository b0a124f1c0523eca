"""The pools that an operator names, read at one block: price and depth, the mean price of half an hour, a peg.

Prices are in dollars: the pool's own where its other token is a dollar, else times what a Chainlink feed says of that
token at the same block. Depth is what moves the price by 1 %, without fees, in dollars of the other token, as order
books count.

What a sweep costs: four multicalls over all pools together, whatever their number up to a batch: states, words of the
tick map around each price, the ticks in them, and what is not known yet of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from margrave.addresses import NOBODY
from margrave.collect import checks
from margrave.collect.chains.abi import Call
from margrave.collect.chains.answers import DECIMALS, Feed, chainlink_answers
from margrave.collect.chains.multicall import Question
from margrave.collect.chains.pools import uniswap_v2, uniswap_v3, uniswap_v4
from margrave.collect.chains.pools.concentrated import DEPTH_SHARE, Concentrated, Depth, concentrated
from margrave.collect.chains.pools.constant_product import (
    PER_MYRIAD,
    ConstantProduct,
    CumulativeMemory,
    FeeRule,
    constant_product,
    cumulative,
)
from margrave.collect.chains.pools.doors import Door, V3Door, V4Door, V4StorageDoor
from margrave.collect.chains.pools.swap_steps import PIPS
from margrave.collect.chains.pools.ticks import MAX_TICK, MIN_TICK, price_at_tick, price_of, sqrt_price_times
from margrave.collect.chains.pools.uniswap_v3 import TWAP_S
from margrave.collect.chains.pools.uniswap_v4 import PoolKey
from margrave.collect.chains.reader import Sweep
from margrave.collect.chains.said import ReadsOnly, Speaker, given
from margrave.collect.source import Item
from margrave.errors import Rejected
from margrave.messages import Kind, PoolReading
from margrave.verdicts import Rejection

NATIVE: Final = NOBODY
NATIVE_DECIMALS: Final = 18
REACH_TICKS: Final = 102
"""A move of 1 % is 100 ticks; the map is read a little further."""
MAX_DECIMALS: Final = 36


class Layout(StrEnum):
    """Whose calls a pool answers."""

    UNISWAP_V2 = "uniswap_v2"  # also SushiSwap, PancakeSwap v2
    AERODROME_V2 = "aerodrome_v2"  # also Velodrome
    UNISWAP_V3 = "uniswap_v3"  # also PancakeSwap v3, Slipstream
    UNISWAP_V4 = "uniswap_v4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One pool, as the operator names it."""

    market: str
    layout: Layout
    address: str
    """The pool's; of v4 that of StateView, or of the PoolManager where `from_storage`."""
    base_token: int
    """Which of its two tokens is the market's: 0 or 1."""
    key: PoolKey | None = None
    """Of v4, which has no address a pool."""
    from_storage: bool = False
    fee_per_myriad: int = 30
    """Of pairs, which do not tell it."""
    dollar_feed: str | None = None
    """Chainlink's feed of the other token; `None` where that is a dollar."""
    feed_max_age_s: float = 4_500.0
    peg: bool = False
    """The base token is a stablecoin: what is said is its peg, not a market's price."""

    @property
    def instrument(self) -> str:
        return self.address if self.key is None else "0x" + self.key.id.hex()

    @property
    def door(self) -> Door:
        if self.key is None:
            return V3Door(self.address)
        return (V4StorageDoor if self.from_storage else V4Door)(self.address, self.key)


@dataclass(frozen=True, slots=True)
class Facts:
    """What never changes of a pool."""

    decimals: tuple[int, int]
    tick_spacing: int = 0
    stable: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A pool at the sweep's block; `twap` is in token 1 for token 0, or why there is none."""

    pool: Concentrated | ConstantProduct
    fee: float
    price: float
    twap: float | Rejected | None


def depth_usd(state: State, facts: Facts, base_token: int, quote_usd: float) -> tuple[float, float]:
    """Dollars that can be sold into the pool until the base token's price is 1 % lower, and bought until 1 % higher."""
    lower, higher = 1 - DEPTH_SHARE, 1 + DEPTH_SHARE
    quote_unit = quote_usd / 10.0 ** facts.decimals[1 - base_token]
    sold = _depth(state.pool, lower if base_token == 0 else 1 / lower)
    bought = _depth(state.pool, higher if base_token == 0 else 1 / higher)
    return sold.amount_out * quote_unit, bought.amount_in * quote_unit


def _depth(pool: Concentrated | ConstantProduct, factor: float) -> Depth:
    """What moves the price of token 0 to `factor` times what it is."""
    if isinstance(pool, ConstantProduct):
        return pool.depth_to(factor)
    return pool.depth_to(sqrt_price_times(pool.sqrt_price_x96, factor))


@dataclass(slots=True, kw_only=True)
class PoolWatcher(ReadsOnly):
    """Some pools of one chain, each with its own verdict: one that is refused holds up no other."""

    chain_id: int
    pools: Sequence[Watched]
    every_s: float = 60.0
    _facts: dict[str, Facts] = field(default_factory=dict)
    _seen: dict[str, CumulativeMemory] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return f"pools:{self.chain_id}"

    async def read(self, sweep: Sweep, seen_ms: int) -> list[Item]:
        unknown = await self._learn(sweep)
        states = await self._concentrated(sweep) | await self._pairs(sweep)
        addresses = list(dict.fromkeys(pool.dollar_feed for pool in self.pools if pool.dollar_feed is not None))
        ages = {pool.dollar_feed: pool.feed_max_age_s for pool in self.pools}
        feeds = [Feed(market="", address=address, max_age_s=ages[address]) for address in addresses]
        answers = await chainlink_answers(sweep, feeds) if feeds else []
        dollars = dict(zip(addresses, answers, strict=True))
        items: list[Item] = []
        for pool in self.pools:
            speaker = Speaker(self.source, sweep.block.time_ms, seen_ms, pool.market, pool.instrument)
            try:
                state = given(unknown.get(pool.instrument) or states[pool.instrument])
                quote_usd = 1.0 if pool.dollar_feed is None else given(dollars[pool.dollar_feed])[0]
                items += self._said(pool, state, quote_usd, speaker, sweep.block.number)
            except Rejected as rejected:
                items.append(speaker.refusal("pool", rejected))
        return items

    def _said(self, pool: Watched, state: State, quote_usd: float, speaker: Speaker, block: int) -> Iterator[Item]:
        facts = self._facts[pool.instrument]
        price = (state.price if pool.base_token == 0 else 1 / state.price) * quote_usd
        bid_usd, ask_usd = depth_usd(state, facts, pool.base_token, quote_usd)
        if bid_usd <= 0 or ask_usd <= 0:
            raise Rejected(Rejection.THIN_BOOK, f"depth within 1 % is {bid_usd:.0f} and {ask_usd:.0f} USD")
        if pool.peg:
            yield speaker.scalar(Kind.PEG, price)
            return
        yield PoolReading(
            source=speaker.source,
            market=pool.market,
            instrument=pool.instrument,
            venue_time_ms=speaker.venue_ms,
            seen_time_ms=speaker.seen_ms,
            price=checks.price(price, "pool price"),
            bid_depth_usd=checks.size(bid_usd, "bid depth"),
            ask_depth_usd=checks.size(ask_usd, "ask depth"),
            fee=state.fee,
            block=block,
        )
        if isinstance(state.twap, Rejected):
            yield speaker.refusal(Kind.SPOT_TWAP.value, state.twap)
        elif state.twap is not None:
            mean = state.twap if pool.base_token == 0 else 1 / state.twap
            yield speaker.scalar(Kind.SPOT_TWAP, mean * quote_usd)

    # --- what never changes ---------------------------------------------------------------------------------------

    async def _learn(self, sweep: Sweep) -> dict[str, Rejected]:
        """Read what is not known yet of tokens and spacing; what cannot be read now is asked again next time."""
        new = [pool for pool in self.pools if pool.instrument not in self._facts]
        if not new:
            return {}
        first: list[Question[Any]] = []
        for pool in new:
            first += [Question(pool.address, call) for call in _first_calls(pool)]
        told = iter(await sweep.ask(first))
        tokens: dict[str, tuple[Any, Any]] = {}
        more: dict[str, Any] = {}
        for pool in new:
            if pool.key is not None:
                tokens[pool.instrument] = (pool.key.currency0, pool.key.currency1)
                continue
            tokens[pool.instrument] = (next(told), next(told))
            more[pool.instrument] = next(told) if len(_first_calls(pool)) == 3 else None
        addresses = sorted({a for pair in tokens.values() for a in pair if isinstance(a, str) and a != NATIVE})
        asked: list[Question[Any]] = [Question(address, DECIMALS) for address in addresses]
        decimals: dict[Any, Any] = dict(zip(addresses, await sweep.ask(asked) if asked else [], strict=True))
        decimals[NATIVE] = NATIVE_DECIMALS
        refused: dict[str, Rejected] = {}
        for pool in new:
            try:
                pair = [given(decimals[given(token)]) for token in tokens[pool.instrument]]
                self._facts[pool.instrument] = _facts(pool, pair, more.get(pool.instrument))
            except Rejected as rejected:
                refused[pool.instrument] = rejected
        return refused

    # --- states ---------------------------------------------------------------------------------------------------

    def _known(self, *layouts: Layout) -> list[Watched]:
        return [pool for pool in self.pools if pool.layout in layouts and pool.instrument in self._facts]

    async def _concentrated(self, sweep: Sweep) -> dict[str, State | Rejected]:
        pools = self._known(Layout.UNISWAP_V3, Layout.UNISWAP_V4)
        if not pools:
            return {}
        asked: list[Question[Any]] = [question for pool in pools for question in _state_questions(pool)]
        answers = iter(await sweep.ask(asked))
        scalars: dict[str, Any] = {}
        twaps: dict[str, Any] = {}
        words: list[tuple[Watched, int]] = []
        for pool in pools:
            told = [next(answers) for _ in pool.door.scalars()]
            twaps[pool.instrument] = next(answers) if pool.key is None else None
            try:
                if pool.key is not None:
                    uniswap_v4.check_simulated(fee=pool.key.fee, hooks=pool.key.hooks)
                scalars[pool.instrument] = state = pool.door.told(told)
                words += [(pool, word) for word in self._words(pool, state.tick)]
            except Rejected as rejected:
                scalars[pool.instrument] = rejected
        bitmaps = await sweep.ask([pool.door.word(word) for pool, word in words]) if words else []
        maps = await self._maps(sweep, words, bitmaps)
        return {pool.instrument: self._state(pool, scalars, twaps, maps) for pool in pools}

    def _words(self, pool: Watched, tick: int) -> range:
        low, high = max(tick - REACH_TICKS, MIN_TICK), min(tick + REACH_TICKS, MAX_TICK)
        return uniswap_v3.words_between(low, high, self._facts[pool.instrument].tick_spacing)

    async def _maps(
        self, sweep: Sweep, words: Sequence[tuple[Watched, int]], bitmaps: Sequence[int | Rejected]
    ) -> dict[str, dict[int, int] | Rejected]:
        """Liquidity that joins at each tick of the words, by pool."""
        maps: dict[str, dict[int, int] | Rejected] = {}
        wanted: list[tuple[Watched, int]] = []
        for (pool, word), bitmap in zip(words, bitmaps, strict=True):
            if isinstance(bitmap, Rejected):
                maps[pool.instrument] = bitmap
                continue
            maps.setdefault(pool.instrument, {})
            spacing = self._facts[pool.instrument].tick_spacing
            wanted += [(pool, tick) for tick in uniswap_v3.ticks_of_word(word, bitmap, spacing)]
        ticks = await sweep.ask([pool.door.tick(tick) for pool, tick in wanted]) if wanted else []
        for (pool, tick), info in zip(wanted, ticks, strict=True):
            held = maps[pool.instrument]
            if isinstance(held, Rejected):
                continue
            if isinstance(info, Rejected):
                maps[pool.instrument] = info
            else:
                held[tick] = info.net
        return maps

    def _state(
        self, pool: Watched, scalars: dict[str, Any], twaps: dict[str, Any], maps: dict[str, Any]
    ) -> State | Rejected:
        facts = self._facts[pool.instrument]
        try:
            told = given(scalars[pool.instrument])
            state = concentrated(
                sqrt_price_x96=told.sqrt_price_x96,
                tick=told.tick,
                liquidity=told.liquidity,
                fee_pips=told.fee_pips,
                tick_spacing=facts.tick_spacing,
                nets=given(maps[pool.instrument]),
                known=uniswap_v3.known_between(self._words(pool, told.tick), facts.tick_spacing),
            )
        except Rejected as rejected:
            return rejected
        price = price_of(state.sqrt_price_x96, *facts.decimals)
        return State(state, told.fee_pips / PIPS, price, _twap(twaps[pool.instrument], facts))

    async def _pairs(self, sweep: Sweep) -> dict[str, State | Rejected]:
        pools = self._known(Layout.UNISWAP_V2, Layout.AERODROME_V2)
        if not pools:
            return {}
        calls: tuple[Call[Any], ...] = (uniswap_v2.GET_RESERVES, uniswap_v2.PRICE0_CUMULATIVE)
        answers = await sweep.ask([Question(pool.address, call) for pool in pools for call in calls])
        told = zip(pools, answers[::2], answers[1::2], strict=True)
        block_s = sweep.block.time_ms // 1000
        return {pool.instrument: self._pair(pool, held, last, block_s) for pool, held, last in told}

    def _pair(self, pool: Watched, reserves: Any, last: Any, block_s: int) -> State | Rejected:
        facts = self._facts[pool.instrument]
        try:
            if facts.stable:
                raise Rejected(Rejection.NOT_SIMULATED, "a stable pool of Aerodrome: its curve is not computed")
            held = given(reserves)
            rule = FeeRule.BEFORE if pool.layout is Layout.AERODROME_V2 else FeeRule.WITHIN
            state = constant_product(held.reserve0, held.reserve1, fee_per_myriad=pool.fee_per_myriad, rule=rule)
        except Rejected as rejected:
            return rejected
        mean: float | None = None
        if isinstance(last, int) and pool.layout is Layout.UNISWAP_V2:
            memory = self._seen.setdefault(pool.instrument, CumulativeMemory(TWAP_S))
            mean = memory.mean(cumulative(state, last, held.updated_s, block_s), *facts.decimals)
        return State(state, pool.fee_per_myriad / PER_MYRIAD, state.price(*facts.decimals), mean)


def _first_calls(pool: Watched) -> tuple[Call[Any], ...]:
    match pool.layout:
        case Layout.UNISWAP_V4:
            return ()
        case Layout.UNISWAP_V3:
            return (uniswap_v2.TOKEN0, uniswap_v2.TOKEN1, uniswap_v3.TICK_SPACING)
        case Layout.AERODROME_V2:
            return (uniswap_v2.TOKEN0, uniswap_v2.TOKEN1, uniswap_v2.STABLE)
        case Layout.UNISWAP_V2:
            return (uniswap_v2.TOKEN0, uniswap_v2.TOKEN1)


def _facts(pool: Watched, decimals: Sequence[int], more: Any) -> Facts:
    if max(decimals) > MAX_DECIMALS:
        raise Rejected(Rejection.OUT_OF_RANGE, f"tokens of {decimals[0]} and {decimals[1]} decimals")
    spacing = pool.key.tick_spacing if pool.key else given(more) if pool.layout is Layout.UNISWAP_V3 else 1
    if spacing < 1:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a tick spacing of {spacing}")
    stable = bool(given(more)) if pool.layout is Layout.AERODROME_V2 else False
    return Facts((decimals[0], decimals[1]), spacing, stable)


def _state_questions(pool: Watched) -> list[Question[Any]]:
    """Scalars, and of a v3 pool its own average; v4 keeps none."""
    observe: list[Question[Any]] = [Question(pool.address, uniswap_v3.OBSERVE, ([TWAP_S, 0],))]
    return [*pool.door.scalars(), *(observe if pool.key is None else [])]


def _twap(answer: Any, facts: Facts) -> float | Rejected | None:
    if answer is None:
        return None
    try:
        return price_at_tick(uniswap_v3.twap_tick(given(answer)), *facts.decimals)
    except Rejected as rejected:
        return rejected
