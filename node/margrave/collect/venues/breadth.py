"""Breadth: books, funding and open interest of a hundred more venues, by way of ccxt (docs.ccxt.com, "Unified API").

An extra, off unless `[breadth] exchanges` names some: `margrave[breadth]`; without ccxt the node runs as before. What
has an adapter of its own here is not asked twice. ccxt says everything in its own unified words, so that one parser
reads them all, and less of each: no venue's sequence numbers, no checksums, no websockets.

ccxt's adapters index thousands of markets in Python and decode on the loop that they run on. They therefore run on a
loop in a thread of their own, a turn at a time, each turn and question within a stated time, and hand over readings.
"""

from __future__ import annotations

import asyncio
import random
import types
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Protocol

import structlog

from margrave.collect import checks, readings
from margrave.collect.board import Board
from margrave.collect.host import GEO_BLOCK_PAUSE_S
from margrave.collect.source import ADVICE, Asked, Clock, Item, Trouble
from margrave.errors import Fatal, Rejected
from margrave.messages import Contract, ContractKind, Kind
from margrave.ops import strict_json
from margrave.settings import BREADTH, BreadthSettings, Instruments, MarketSettings
from margrave.verdicts import Rejection

OWN_ADAPTER: Final = ("deribit", "binance", "okx", "myokx", "bybit", "kraken", "coinbase", "hyperliquid")
"""And what ccxt calls after them: binanceusdm, krakenfutures, coinbaseexchange, …"""
MAX_ANSWER_CHARS: Final = 32 * 1024 * 1024
FIRST_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 3_600.0
USUAL_FUNDING_HOURS: Final = 8.0
LOOK_S: Final = 0.5
"""Between two looks whether the node is stopping; what is cancelled has as long to close its connections."""

log = structlog.get_logger(__name__)


class Exchange(Protocol):
    """As much of a ccxt exchange as is used here."""

    has: Mapping[str, object]
    markets: Mapping[str, Any] | None

    def load_markets(self) -> Awaitable[Mapping[str, Any]]: ...
    def set_markets(self, markets: object) -> object: ...
    def fetch_order_book(self, symbol: str, limit: int | None = None) -> Awaitable[object]: ...
    def fetch_ticker(self, symbol: str) -> Awaitable[object]: ...
    def fetch_funding_rate(self, symbol: str) -> Awaitable[object]: ...
    def fetch_open_interest(self, symbol: str) -> Awaitable[object]: ...
    def close(self) -> Awaitable[None]: ...


Make = Callable[[str, BreadthSettings], Exchange]


# --- what ccxt's unified answers say (pure) -------------------------------------------------------------------------


def parse_market(source: str, seen_ms: int, body: object) -> Contract:
    """A market: {"symbol", "type", "contractSize"?, "linear"?, "inverse"?, "active"}; sizes of swaps are contracts."""
    entry = checks.mapping(body, "market")
    size, inverse = entry.get("contractSize"), entry.get("inverse") is True
    unit = 1.0 if checks.absent(size) else checks.within(size, "contractSize", 1e-12, 1e12)
    kinds = {"spot": ContractKind.SPOT, "swap": ContractKind.PERPETUAL, "future": ContractKind.FUTURE}
    return Contract(
        source=source,
        instrument=checks.text(entry.get("symbol"), "symbol"),
        seen_time_ms=seen_ms,
        kind=kinds.get(str(entry.get("type")), ContractKind.OTHER),
        unit_coins=None if inverse else unit,
        unit_usd=unit if inverse else None,
        trading=entry.get("active") is not False,
    )


def parse_order_book(asked: Asked, body: object) -> Iterator[Item]:
    """fetch_order_book: {"bids": [[price, amount]], "asks", "timestamp"?}, amounts in units of the contract."""
    entry = checks.mapping(body, "order book")
    checks.same_instrument(entry.get("symbol"), asked.instrument, "symbol")
    yield _book(asked, _time_ms(asked, entry), entry.get("bids"), entry.get("asks"))


def parse_ticker(asked: Asked, body: object) -> Iterator[Item]:
    """fetch_ticker: {"bid", "bidVolume", "ask", "askVolume", "timestamp"?}: a book of one level."""
    entry = checks.mapping(body, "ticker")
    checks.same_instrument(entry.get("symbol"), asked.instrument, "symbol")
    bids, asks = [[entry.get("bid"), entry.get("bidVolume")]], [[entry.get("ask"), entry.get("askVolume")]]
    yield _book(asked, _time_ms(asked, entry), bids, asks)


def _book(asked: Asked, venue_ms: int, bids: object, asks: object) -> Item:
    contract = asked.contract
    if contract is None or contract.unit_usd is None:
        unit = 1.0 if contract is None or contract.unit_coins is None else contract.unit_coins
        return readings.book(asked, venue_ms, bids, asks, unit_coins=unit)
    return readings.book(asked, venue_ms, bids, asks, unit_coins=contract.unit_usd, sizes_in_usd=True)


def parse_funding_rate(asked: Asked, body: object) -> Iterator[Item]:
    """fetch_funding_rate: {"fundingRate", "interval"? ("8h"), "markPrice"?, "indexPrice"?, "timestamp"?}."""
    entry = checks.mapping(body, "funding rate")
    checks.same_instrument(entry.get("symbol"), asked.instrument, "symbol")
    values: dict[Kind, object] = {
        Kind.MARK_PRICE: entry.get("markPrice"),
        Kind.INDEX_PRICE: entry.get("indexPrice"),
    }
    try:
        scale = 8.0 / _hours(entry.get("interval"))
        values[Kind.FUNDING_8H] = readings.scaled(entry.get("fundingRate"), scale, "fundingRate")
    except Rejected as rejected:
        yield asked.refusal(Kind.FUNDING_8H.value, rejected)
    yield from readings.scalars(asked, _time_ms(asked, entry), values)


def _hours(interval: object) -> float:
    if checks.absent(interval):
        return USUAL_FUNDING_HOURS
    return checks.within(checks.text(interval, "interval").removesuffix("h"), "hours of a funding period", 0.1, 24.0)


def parse_open_interest(asked: Asked, body: object) -> Iterator[Item]:
    """fetch_open_interest: {"openInterestValue"? (quote), "openInterestAmount"? (coins), "timestamp"?}."""
    entry = checks.mapping(body, "open interest")
    checks.same_instrument(entry.get("symbol"), asked.instrument, "symbol")
    value = entry.get("openInterestValue")
    if checks.absent(value):
        coins = checks.size(entry.get("openInterestAmount"), "openInterestAmount")
        if asked.mark_price is None:
            raise Rejected(Rejection.EMPTY, f"open interest of {coins:g} coins, and no mark price to value it")
        value = coins * asked.mark_price
    yield from readings.scalars(asked, _time_ms(asked, entry), {Kind.OPEN_INTEREST: value})


def _time_ms(asked: Asked, entry: Mapping[str, object]) -> int:
    stamp = entry.get("timestamp")
    return asked.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "timestamp")


def trouble_of(error: BaseException) -> Trouble | None:
    """What a ccxt error means by its kind; `None` for one that is about the question and not about the venue."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    said = str(error).lower()
    if kinds & {"RateLimitExceeded", "DDoSProtection"}:
        return Trouble.RATE_LIMITED
    if kinds & {"ExchangeNotAvailable", "PermissionDenied"} and any(
        word in said for word in (" 451", " 403", "restricted", "forbidden")
    ):
        return Trouble.GEO_BLOCKED
    if kinds & {"OnMaintenance", "ExchangeNotAvailable"}:
        return Trouble.MAINTENANCE
    if kinds & {"RequestTimeout", "TimeoutError"}:
        return Trouble.TIMEOUT
    if "NetworkError" in kinds:
        return Trouble.UNREACHABLE
    return None if kinds & {"BadSymbol", "NotSupported"} else Trouble.BAD_STATUS


# --- asking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unheard:
    """An exchange that did not answer this turn."""

    exchange: str
    problem: str
    trouble: Trouble


@dataclass(slots=True)
class _Known:
    """What is remembered of one exchange between turns."""

    markets: Mapping[str, Any] | None = None
    rests_until_ms: int = 0
    failures_in_a_row: int = 0


@dataclass(slots=True)
class Breadth:
    """Asks the named exchanges each `every_s`. `make` takes the place of ccxt in tests.

    Raises:
        Fatal: ccxt is not installed or has no such exchange, or it has an adapter of its own here.
    """

    settings: BreadthSettings
    markets: Mapping[str, MarketSettings]
    board: Board
    clock: Clock
    make: Make = field(default_factory=lambda: by_ccxt)
    turns_cut: int = 0
    """Turns that did not end in time: some exchanges were then not asked."""
    _stopping: bool = False
    _known: dict[str, _Known] = field(default_factory=dict)
    _jitter: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        for name in self.settings.exchanges:
            if name.startswith(OWN_ADAPTER):
                raise Fatal(f"[breadth] {name} has an adapter of its own", advice="put it under [venues] instead")
            self._known[name] = _Known()
        if self.settings.exchanges and self.make is by_ccxt:
            known = _library().exchanges
            if unknown := sorted(set(self.settings.exchanges) - set(known)):
                raise Fatal(f"[breadth] ccxt has no exchange {unknown[0]}", advice=f"use some of {', '.join(known)}")

    async def watch(self) -> None:
        """Until cancelled; the turn under way then ends within half a second."""
        try:
            while self.settings.exchanges:
                await self.poll()
                await asyncio.sleep(self.clock.wall_s(self.settings.every_s))
        finally:
            self._stopping = True

    async def poll(self) -> None:
        """One turn, in a thread; what it brought is put on the board here."""
        for told in await asyncio.to_thread(lambda: asyncio.run(self._turn())):
            if isinstance(told, Unheard):
                self._rest(told)
            else:
                self.board.put(told)

    def _rest(self, unheard: Unheard) -> None:
        """Leave an exchange alone, twice as long each time."""
        known, source = self._known[unheard.exchange], f"{BREADTH}:{unheard.exchange}"
        known.failures_in_a_row += 1
        doubled_s = FIRST_PAUSE_S * 2.0 ** min(known.failures_in_a_row - 1, 16)
        pause_s = min(doubled_s, LONGEST_PAUSE_S) * self._jitter.uniform(0.5, 1.0)
        if unheard.trouble is Trouble.GEO_BLOCKED:
            pause_s = max(pause_s, GEO_BLOCK_PAUSE_S)
        known.rests_until_ms = self.clock.now_ms() + int(pause_s * 1000)
        self.board.fail(source, unheard.problem, unheard.trouble)
        log.warning(
            "venue not heard",
            source=source,
            trouble=unheard.trouble.value,
            problem=unheard.problem,
            pause_s=round(pause_s, 1),
            advice=ADVICE[unheard.trouble],
        )

    async def _turn(self) -> list[Item | Unheard]:
        """All exchanges that do not rest, a few at a time, until the turn's time is over."""
        now_ms = self.clock.now_ms()
        told: list[Item | Unheard] = []
        room = asyncio.Semaphore(self.settings.at_once)
        due = [name for name, known in self._known.items() if known.rests_until_ms <= now_ms]
        asking = {asyncio.create_task(self._ask(name, room, told)): name for name in due}
        late: set[asyncio.Task[None]] = set(asking)
        ends_s = asyncio.get_running_loop().time() + self.settings.turn_s
        while late and not self._stopping and (left_s := ends_s - asyncio.get_running_loop().time()) > 0:
            _, late = await asyncio.wait(late, timeout=min(left_s, LOOK_S))
        for task in late:
            task.cancel()
            problem = f"{asking[task]}: not asked to the end within the turn's {self.settings.turn_s:g} s"
            told.append(Unheard(asking[task], problem, Trouble.TIMEOUT))
        self.turns_cut += bool(late)
        if late:
            await asyncio.wait(late, timeout=LOOK_S)
        return told

    async def _ask(self, name: str, room: asyncio.Semaphore, told: list[Item | Unheard]) -> None:
        """One exchange's markets, one after the other. Its own faults are its own."""
        known = self._known[name]
        async with room:
            exchange = self.make(name, self.settings)
            try:
                if known.markets is None:
                    known.markets = await exchange.load_markets()
                else:
                    exchange.set_markets(list(known.markets.values()))
                for market, settings in self.markets.items():
                    if names := settings.names_at(f"{BREADTH}:{name}"):
                        await self._ask_market(name, exchange, market, names, told)
                known.failures_in_a_row = 0
            except Exception as error:
                problem = f"{name}: {type(error).__name__} {str(error)[:120]}"
                told.append(Unheard(name, problem, trouble_of(error) or Trouble.BAD_STATUS))
            finally:
                await exchange.close()

    async def _ask_market(
        self, name: str, exchange: Exchange, market: str, names: Instruments, told: list[Item | Unheard]
    ) -> None:
        for symbol, perpetual in ((names.spot, False), (names.perpetual, True)):
            listed = (self._known[name].markets or {}).get(symbol or "")
            if not symbol or listed is None:
                continue  # names stand for all exchanges: most list some of them
            contract = parse_market(f"{BREADTH}:{name}", self.clock.now_ms(), listed)
            told.append(contract)
            one = _One(exchange, contract, market, symbol, perpetual, self.clock, told)
            if exchange.has.get("fetchOrderBook"):
                await one.ask(exchange.fetch_order_book(symbol, self.settings.levels), parse_order_book, "order book")
            else:
                await one.ask(exchange.fetch_ticker(symbol), parse_ticker, "ticker")
            if perpetual and exchange.has.get("fetchFundingRate") is True:
                await one.ask(exchange.fetch_funding_rate(symbol), parse_funding_rate, "funding rate")
            if perpetual and exchange.has.get("fetchOpenInterest") is True:
                await one.ask(exchange.fetch_open_interest(symbol), parse_open_interest, "open interest")


@dataclass(slots=True)
class _One:
    """One instrument of one exchange in one turn."""

    exchange: Exchange
    contract: Contract
    market: str
    symbol: str
    perpetual: bool
    clock: Clock
    told: list[Item | Unheard]
    mark_price: float | None = None

    async def ask(
        self, question: Awaitable[object], parse: Callable[[Asked, object], Iterator[Item]], what: str
    ) -> None:
        """Raises what ccxt raises about the venue; what is about the question becomes a refusal."""
        asked = Asked(self.contract.source, self.market, self.symbol, 0)
        try:
            body = await question
        except Exception as error:
            if trouble_of(error) is not None:
                raise
            problem = f"{self.symbol}: {type(error).__name__} {str(error)[:80]}"
            self.told.append(asked.refusal(what, Rejected(Rejection.VENUE_ERROR, problem)))
            return
        asked = Asked(
            source=self.contract.source,
            market=self.market,
            instrument=self.symbol,
            seen_ms=self.clock.now_ms(),
            perpetual=self.perpetual,
            mark_price=self.mark_price,
            contract=self.contract,
        )
        try:
            for item in parse(asked, body):
                self.told.append(item)
                if getattr(item, "kind", None) is Kind.MARK_PRICE:
                    self.mark_price = getattr(item, "value", None)
        except Rejected as rejected:
            self.told.append(asked.refusal(what, rejected))


def by_ccxt(name: str, settings: BreadthSettings) -> Exchange:
    """A ccxt exchange whose answers are bounded in size and nesting before they are decoded."""
    exchange = getattr(_library(), name)({"enableRateLimit": True, "timeout": int(settings.timeout_s * 1000)})
    decode = exchange.on_json_response

    def bounded(text: str) -> object:
        if len(text) > MAX_ANSWER_CHARS or strict_json.nesting(text.encode()) > strict_json.MAX_NESTING:
            raise ValueError(f"an answer of {len(text)} characters is too long, or nests too deep")
        return decode(text)

    exchange.on_json_response = bounded
    made: Exchange = exchange
    return made


def _library() -> types.ModuleType:
    """ccxt, which takes seconds to import: nobody else pays for it."""
    try:
        return import_module("ccxt.async_support")
    except ImportError as error:
        raise Fatal(
            "[breadth] names exchanges, and ccxt is not installed",
            advice="install the extra `margrave[breadth]`, or leave [breadth] exchanges empty",
        ) from error
