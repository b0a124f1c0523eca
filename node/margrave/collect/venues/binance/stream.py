"""Binance's websockets: combined streams, {"stream": name, "data": event} or the event alone; events are told by "e".

Live, the node hears of each instrument `@depth@100ms` (differences, to be applied to a REST snapshot), `@aggTrade` and,
of perpetuals, `@forceOrder`: the largest liquidation of each second, so their sum is a lower bound. The three rules of
"How to manage a local order book correctly": spot differences name their first and last number (U <= held + 1 <= u);
futures' name the last of the one before (pu), and the first after the snapshot must straddle it; what ends before the
snapshot is dropped. USD-margined futures have had two addresses since 2026-04-23, /public for books and /market for the
rest. All else that a recording may hold is read as well: best bids and asks, candles, marks, whole books of few levels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from margrave.collect import checks, readings
from margrave.collect.books.levels import levels
from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Asked, Endpoint, Pace, Request
from margrave.collect.stream import (
    BOOK,
    LIQUIDATIONS,
    TRADES,
    BookDiff,
    BookSnapshot,
    Channel,
    Event,
    Heard,
    Quiet,
    Stream,
)
from margrave.collect.venues.binance import endpoints, messages, options
from margrave.errors import Rejected
from margrave.messages import Kind
from margrave.settings import Instruments
from margrave.verdicts import Rejection

STREAMS_A_MESSAGE: Final = 100
SNAPSHOT_LEVELS: Final = 1000
SUFFIX: Final = {BOOK: "depth@100ms", TRADES: "aggTrade", LIQUIDATIONS: "forceOrder"}
PARTIAL: Final = re.compile(r"([^@]+)@depth(?:5|10|20)(?:@\d+ms)?")
QUIET: Final = frozenset(
    {"24hrTicker", "24hrMiniTicker", "avgPrice", "1hTicker", "4hTicker", "1dTicker", "contractInfo", "compositeIndex"}
    | {"assetIndexUpdate", "openInterest", "tradingSession", "serverShutdown", "indexPrice", "optionPair"}
)
"""Public, and of no use here."""
PRIVATE: Final = frozenset(
    {
        "executionReport",
        "outboundAccountPosition",
        "balanceUpdate",
        "listStatus",
        "listenKeyExpired",
        "externalLockUpdate",
    }
    | {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL", "ALGO_UPDATE", "TRADE_LITE"}
    | {
        "STRATEGY_UPDATE",
        "GRID_UPDATE",
        "CONDITIONAL_ORDER_TRIGGER_REJECT",
        "BALANCE_POSITION_UPDATE",
        "RISK_LEVEL_CHANGE",
    }
)
Row = Mapping[str, object]

# --- what is asked for ----------------------------------------------------------------------------------------------


def _spot(market: str, names: Instruments) -> Iterator[Channel]:
    if names.spot:
        yield Channel(BOOK, names.spot, market, perpetual=False)
        yield Channel(TRADES, names.spot, market, perpetual=False)


def _perpetual(market: str, names: Instruments, *, coin: bool, what: tuple[str, ...]) -> Iterator[Channel]:
    if names.perpetual and messages.is_coin_margined(names.perpetual) is coin:
        for name in what:
            yield Channel(name, names.perpetual, market, perpetual=True)


def subscribe(wanted: Sequence[Channel]) -> Iterator[bytes]:
    for first in range(0, len(wanted), STREAMS_A_MESSAGE):
        names = [f"{c.instrument.lower()}@{SUFFIX[c.name]}" for c in wanted[first : first + STREAMS_A_MESSAGE]]
        yield msgspec.json.encode({"method": "SUBSCRIBE", "params": names, "id": 1 + first})


def _snapshot(endpoint: Endpoint, channel: Channel) -> Request:
    return Request(
        endpoint,
        channel.market,
        channel.instrument,
        endpoint.path,
        {"symbol": channel.instrument, "limit": SNAPSHOT_LEVELS},
        Pace.QUOTE,
        perpetual=channel.perpetual,
        futures_host=channel.perpetual,
    )


def read_snapshot(heard: Heard, channel: Channel, body: object) -> BookSnapshot:
    """/depth as the book that differences apply to."""
    answer = checks.mapping(body, "depth")
    checks.same_instrument(answer.get("symbol"), channel.instrument, "symbol")
    return _whole_book(heard, channel.instrument, answer, perpetual=channel.perpetual)


# --- what is heard --------------------------------------------------------------------------------------------------


def _unwrapped(frame: object) -> tuple[str, object]:
    """The stream's name, empty where the frame has none, and the event."""
    if isinstance(frame, dict) and isinstance(name := frame.get("stream"), str) and "data" in frame:
        return name, frame["data"]
    return "", frame


def parse(heard: Heard, frame: object, *, perpetual: bool) -> Iterable[Event]:
    if (complaint := messages.complaint(frame)) is not None:
        raise complaint
    name, data = _unwrapped(frame)
    if isinstance(data, list):
        return _list(heard, data, perpetual=perpetual)
    event = checks.mapping(data, "event")
    if partial_book := PARTIAL.fullmatch(name):
        symbol = str(event.get("s") or partial_book[1].upper())
        return (_whole_book(heard, symbol, event, perpetual=perpetual),)
    kind = event.get("e")
    if kind is None:
        return _nameless(heard, event, perpetual=perpetual)
    return _event(heard, checks.text(kind, "e"), event, perpetual=perpetual)


def _event(heard: Heard, kind: str, event: Row, *, perpetual: bool) -> Iterable[Event]:
    match kind:
        case "depthUpdate":
            return (_difference(heard, event, perpetual=perpetual),)
        case "aggTrade" | "trade":
            symbol = _symbol(heard, event)
            return (messages.trade(event, symbol, heard.contracts.get(symbol), perpetual),)
        case "forceOrder":
            order = checks.mapping(event.get("o"), "o")
            symbol = _symbol(heard, order)
            return (messages.liquidation(order, symbol, heard.contracts.get(symbol)),)
        case "bookTicker":
            return _nameless(heard, event, perpetual=perpetual)
        case "kline" | "continuous_kline":
            return _kline(heard, event, perpetual=perpetual)
        case "markPriceUpdate" | "indexPriceUpdate" | "index":
            return _mark(heard, event)
    if kind in QUIET:
        return (Quiet(kind),)
    if kind in PRIVATE:
        raise Rejected(Rejection.NOT_READ, f"an account's own event: {kind}")
    raise Rejected(Rejection.UNKNOWN_SHAPE, f"no event that is read: {kind[:40]}")


def _list(heard: Heard, rows: Sequence[object], *, perpetual: bool) -> Iterator[Event]:
    """All instruments in one frame (`!forceOrder@arr`, `!markPrice@arr`); marks of options are one chain."""
    events = [checks.mapping(row, "an event") for row in checks.sequence(rows, "events", least=1)]
    if all(event.get("e") == "markPrice" for event in events):
        venue_ms = max(checks.time_ms(event.get("E"), "E") for event in events)
        bases = {str(event.get("s")).partition("-")[0] for event in events}
        asked = _asked(heard, f"{bases.pop()}USDT", perpetual=False) if len(bases) == 1 else _nobody(heard)
        yield from options.chains(asked, venue_ms, events)
        return
    for event in events:
        try:
            yield from _event(heard, checks.text(event.get("e"), "e"), event, perpetual=perpetual)
        except Rejected as rejected:
            yield heard.refusal(str(event.get("s"))[:40], str(event.get("e"))[:40], rejected)


def _nameless(heard: Heard, event: Row, *, perpetual: bool) -> Iterable[Event]:
    """Best bid and ask, which have no "e" on spot; acknowledgements, which have none anywhere."""
    if all(key in event for key in ("s", "b", "B", "a", "A")):
        time = event.get("T", event.get("E"))
        venue_ms = heard.seen_ms if checks.absent(time) else checks.time_ms(time, "T")
        asked = _asked(heard, checks.text(event.get("s"), "s"), perpetual=perpetual)
        unit = messages.dollars_a_contract(asked.contract, asked.instrument) if _is_coin(asked.instrument) else 1.0
        bid, ask = [event.get("b"), event.get("B")], [event.get("a"), event.get("A")]
        in_usd = _is_coin(asked.instrument)
        return (readings.book(asked, venue_ms, [bid], [ask], unit_coins=unit, sizes_in_usd=in_usd),)
    if "result" in event or ("id" in event and "code" in event):
        return (Quiet("answer"),)
    raise Rejected(Rejection.UNKNOWN_SHAPE, f"no event that is read: {', '.join(sorted(event)[:6])[:80]}")


_is_coin: Final = messages.is_coin_margined


def _symbol(heard: Heard, event: Row) -> str:
    symbol = checks.text(event.get("s"), "s")
    heard.market(symbol)
    return symbol


def _asked(heard: Heard, symbol: str, *, perpetual: bool) -> Asked:
    return heard.asked(symbol, perpetual=(perpetual or _is_coin(symbol)) and not messages.is_dated(symbol))


def _nobody(heard: Heard) -> Asked:
    return Asked(heard.source, "", "", heard.seen_ms)


def _difference(heard: Heard, event: Row, *, perpetual: bool) -> BookDiff:
    """{"s", "U": first, "u": last, "pu"?: last of the one before, "b": [[price, size]], "a"}; sizes are absolute."""
    symbol, before = _symbol(heard, event), event.get("pu")
    return BookDiff(
        symbol,
        (perpetual or _is_coin(symbol)) and not messages.is_dated(symbol),
        checks.time_ms(event.get("T", event.get("E")), "T"),
        checks.whole(event.get("U"), "U"),
        checks.whole(event.get("u"), "u"),
        None if before is None else checks.whole(before, "pu"),
        levels(event.get("b"), "b"),
        levels(event.get("a"), "a"),
    )


def _whole_book(heard: Heard, symbol: str, body: Row, *, perpetual: bool) -> BookSnapshot:
    heard.market(symbol)
    time = body.get("T", body.get("E"))
    in_usd = _is_coin(symbol)
    return BookSnapshot(
        symbol,
        (perpetual or in_usd) and not messages.is_dated(symbol),
        heard.seen_ms if checks.absent(time) else checks.time_ms(time, "T"),
        checks.whole(body.get("lastUpdateId", body.get("u")), "lastUpdateId"),
        levels(body.get("bids", body.get("b")), "bids"),
        levels(body.get("asks", body.get("a")), "asks"),
        unit=messages.dollars_a_contract(heard.contracts.get(symbol), symbol) if in_usd else 1.0,
        sizes_in_usd=in_usd,
    )


def _kline(heard: Heard, event: Row, *, perpetual: bool) -> Iterable[Event]:
    candle = checks.mapping(event.get("k"), "k")
    symbol = checks.text(event.get("s", event.get("ps", candle.get("s"))), "s")
    asked = _asked(heard, symbol, perpetual=perpetual)
    volume = candle.get("q") if _is_coin(symbol) else candle.get("v")
    row = [candle.get("t"), candle.get("o"), candle.get("h"), candle.get("l"), candle.get("c"), volume]
    venue_ms = checks.time_ms(event.get("E"), "E")
    return readings.bars(asked, venue_ms, [row], lambda r: readings.bar(checks.time_ms(r[0], "t"), *r[1:]))


def _mark(heard: Heard, event: Row) -> Iterable[Event]:
    """markPriceUpdate: {"s", "p": mark, "i"?: index, "r": funding}; indexPriceUpdate: {"i": pair, "p": index}; index,
    of options: {"s": underlying, "p"}."""
    venue_ms = checks.time_ms(event.get("E"), "E")
    if event.get("e") != "markPriceUpdate":
        asked = _asked(heard, checks.text(event.get("i", event.get("s")), "i"), perpetual=False)
        return readings.scalars(asked, venue_ms, {Kind.INDEX_PRICE: event.get("p")})
    asked = _asked(heard, checks.text(event.get("s"), "s"), perpetual=True)
    index = event.get("i")
    said = {Kind.MARK_PRICE: event.get("p"), Kind.INDEX_PRICE: index, Kind.FUNDING_8H: event.get("r")}
    return readings.scalars(asked, venue_ms, said if asked.perpetual else {Kind.INDEX_PRICE: index})


# --- whose frame a recorded one is ----------------------------------------------------------------------------------

HOSTS: Final = (("dstream", "coin"), ("fstream", "usd"), ("nbstream", "usd"), ("stream", "spot"))


def family_of(address: str, frame: object) -> str | None:
    """Spot, USD-margined or coin-margined, by the socket's address or by what only one of them says; `None` for what is
    no frame."""
    name, data = _unwrapped(frame)
    event = data[0] if isinstance(data, list) and data else data
    if not isinstance(event, dict) or not (name or "e" in event or _is_best(event) or (address and "id" in event)):
        return None
    if by_address := next((family for host, family in HOSTS if host in address), None):
        return by_address
    symbol = str(event.get("s") or name.partition("@")[0]).upper()
    if _is_coin(symbol):
        return "coin"
    return "usd" if _says_futures(event) else "spot"


def _is_best(event: Row) -> bool:
    return {"u", "s", "b", "B", "a", "A"} <= event.keys()


def _says_futures(event: Row) -> bool:
    match event.get("e"):
        case "depthUpdate":
            return "pu" in event or "T" in event
        case "aggTrade" | "trade":
            return "M" not in event
        case "bookTicker" | "forceOrder" | "markPriceUpdate" | "markPrice" | "continuous_kline":
            return True
        case str() as kind:
            return kind.isupper()
    return False


def _hears(family: str, address: str, frame: object) -> bool:
    return family_of(address, frame) == family


def _stream(
    name: str,
    family: str,
    path: str,
    channels: Callable[[str, Instruments], Iterable[Channel]],
    depth: Endpoint | None,
    silence_s: float,
    says: str,
) -> Stream:
    """One socket; with `depth` it keeps books, from that endpoint's answer on."""
    futures = family != "spot"
    return Stream(
        name=name,
        path=path,
        futures_host=futures,
        channels=channels,
        subscribe=subscribe,
        parse=partial(parse, perpetual=futures),
        hears=partial(_hears, family),
        silence_s=silence_s,
        sequence=SequenceRule.NONE if depth is None else SequenceRule.PREVIOUS if futures else SequenceRule.SPAN,
        snapshot=None if depth is None else partial(_snapshot, depth),
        read_snapshot=None if depth is None else read_snapshot,
        says=says,
    )


FLOWS: Final = (TRADES, LIQUIDATIONS)
STREAMS: Final = (
    _stream("spot", "spot", "/stream", _spot, endpoints.SPOT_DEPTH, 30.0, "{spot}@depth@100ms, @aggTrade"),
    _stream(
        "futures books",
        "usd",
        "/public/stream",
        partial(_perpetual, coin=False, what=(BOOK,)),
        endpoints.FUTURES_DEPTH,
        30.0,
        "{perpetual}@depth@100ms",
    ),
    _stream(
        "futures flows",
        "usd",
        "/market/stream",
        partial(_perpetual, coin=False, what=FLOWS),
        None,
        120.0,
        "{perpetual}@aggTrade, @forceOrder",
    ),
    _stream(
        "coin-margined",
        "coin",
        "/stream",
        partial(_perpetual, coin=True, what=(BOOK, *FLOWS)),
        endpoints.COIN_DEPTH,
        30.0,
        "{perpetual}@depth@100ms, @aggTrade, @forceOrder",
    ),
)
