"""Kraken spot websocket, version 2 (wss://ws.kraken.com/v2): books with checksums, trades.

A book begins with a snapshot; differences carry no numbers, but a CRC32 over the text of ten levels a side. The text is
that of `AssetPairs`' decimals: JSON numbers lose their zeros. Version 1 (lists instead of objects) is read too, as
recordings have it; see `legacy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from margrave.collect import checks, readings
from margrave.collect.books import checksums
from margrave.collect.books.levels import Levels, RawLevels, levels
from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Asked
from margrave.collect.stream import (
    BOOK,
    TRADES,
    BookDiff,
    BookSnapshot,
    Channel,
    Event,
    Heard,
    Quiet,
    Stream,
    Trade,
    asked_anew,
)
from margrave.collect.venues.kraken import futures_stream, legacy, messages
from margrave.errors import Rejected
from margrave.messages import Contract
from margrave.settings import Instruments
from margrave.verdicts import Rejection

BOOK_DEPTH: Final = 1000
DEPTHS: Final = (10, 25, 100, 500, 1000)
CHANNELS: Final[Mapping[str, str]] = {BOOK: "book", TRADES: "trade"}
ACCOUNT_CHANNELS: Final = ("executions", "balances", "level3")
"""They want a token, and say nothing of the market that the others do not."""


def channels(market: str, names: Instruments) -> Iterator[Channel]:
    if names.spot:
        symbol = messages.symbol_of(names.spot)
        yield Channel(BOOK, symbol, market, perpetual=False)
        yield Channel(TRADES, symbol, market, perpetual=False)


def subscribe(wanted: Sequence[Channel]) -> Iterator[bytes]:
    yield from _ask("subscribe", wanted)


def _ask(method: str, wanted: Sequence[Channel]) -> Iterator[bytes]:
    for name, kraken_name in CHANNELS.items():
        if symbols := [channel.instrument for channel in wanted if channel.name == name]:
            params: dict[str, object] = {"channel": kraken_name, "symbol": symbols}
            if name == BOOK:
                params["depth"] = BOOK_DEPTH
            if method == "subscribe":
                params["snapshot"] = name == BOOK
            yield msgspec.json.encode({"method": method, "params": params})


def parse(heard: Heard, body: object) -> Iterator[Event]:
    """A push {"channel", "type", "data"}, an answer {"method", "success", …}; or a frame of version 1."""
    if isinstance(body, list) or (isinstance(body, dict) and "event" in body):
        yield from legacy.parse(heard, body)
        return
    frame = checks.mapping(body, "frame")
    if "feed" in frame:
        yield from futures_stream.parse(heard, frame)
        return
    if (method := frame.get("method")) is not None:
        yield _answer(str(method), frame)
        return
    channel = checks.text(frame.get("channel"), "channel")
    if channel in ("heartbeat", "status", "pong"):
        yield Quiet(why=channel)
    elif channel in ACCOUNT_CHANNELS:
        raise Rejected(Rejection.NOT_READ, f"recognised, and not read: an account's {channel}")
    elif channel == "instrument":
        yield from _pairs(heard, frame)
    elif channel in READ_BY:
        for row in checks.sequence(frame.get("data"), "data", least=1):
            entry = checks.mapping(row, channel)
            name = checks.text(entry.get("symbol"), "symbol")
            heard.market(name)
            yield from READ_BY[channel](heard, name, entry, frame)
    else:
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"channel {channel[:40]} is not read")


def _answer(method: str, frame: Mapping[str, object]) -> Event:
    if frame.get("success") is False or frame.get("error"):
        raise Rejected(Rejection.VENUE_ERROR, f"kraken: {method[:20]}: {str(frame.get('error'))[:80]}")
    if method not in ("subscribe", "unsubscribe", "ping", "pong"):
        raise Rejected(Rejection.NOT_READ, f"recognised, and not read: an account's {method[:20]}")
    return Quiet(why=method)


def _book(
    heard: Heard, name: str, entry: Mapping[str, object], frame: Mapping[str, object]
) -> Iterator[BookSnapshot | BookDiff]:
    """{"symbol", "bids": [{"price", "qty"}], "asks", "checksum", "timestamp"?}."""
    bids = levels(entry.get("bids"), "bids", price="price", size="qty")
    asks = levels(entry.get("asks"), "asks", price="price", size="qty")
    stamp, stated = entry.get("timestamp"), entry.get("checksum")
    listed = heard.contracts.get(name)
    # A sum over text that we could not write again cannot be compared.
    summed = not checks.absent(stated) and listed is not None and listed.price_digits is not None
    checksum = checks.whole(stated, "checksum") if summed else None
    raw_bids, raw_asks = (_text(side, listed) if summed else () for side in (bids, asks))
    venue_ms = heard.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "timestamp")
    if frame.get("type") == "snapshot":
        yield BookSnapshot(
            instrument=name,
            perpetual=False,
            venue_ms=venue_ms,
            sequence=0,
            bids=bids,
            asks=asks,
            checksum=checksum,
            raw_bids=raw_bids,
            raw_asks=raw_asks,
            depth=next((d for d in DEPTHS if d >= max(len(bids), len(asks))), BOOK_DEPTH),
        )
    else:
        yield BookDiff(
            instrument=name,
            perpetual=False,
            venue_ms=venue_ms,
            first=0,
            last=0,
            previous=None,
            bids=bids,
            asks=asks,
            checksum=checksum,
            raw_bids=raw_bids,
            raw_asks=raw_asks,
        )


def _text(side: Levels, listed: Contract | None) -> RawLevels:
    digits = (listed.price_digits or 0, listed.size_digits or 0) if listed is not None else (0, 0)
    return [(f"{price:.{digits[0]}f}", f"{size:.{digits[1]}f}") for price, size in side]


def _trade(_heard: Heard, name: str, entry: Mapping[str, object], _frame: Mapping[str, object]) -> Iterator[Trade]:
    """{"symbol", "side" (the taker's), "price", "qty", "trade_id", "timestamp"}."""
    price, size = checks.price(entry.get("price"), "price"), checks.size(entry.get("qty"), "qty")
    yield Trade(
        instrument=name,
        perpetual=False,
        venue_ms=checks.time_ms(entry.get("timestamp"), "timestamp"),
        price=price,
        size_usd=checks.size(price * size, "size of a trade"),
        buyer_takes=checks.is_buy(entry.get("side"), "side"),
        trade_id=str(entry.get("trade_id") or ""),
    )


def _ticker(heard: Heard, name: str, entry: Mapping[str, object], _frame: Mapping[str, object]) -> Iterator[Event]:
    """{"symbol", "bid", "bid_qty", "ask", "ask_qty", "timestamp"?}: a book of one level."""
    stamp = entry.get("timestamp")
    venue_ms = heard.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "timestamp")
    bids = [[entry.get("bid"), entry.get("bid_qty")]]
    yield readings.book(heard.asked(name), venue_ms, bids, [[entry.get("ask"), entry.get("ask_qty")]])


def _ohlc(heard: Heard, name: str, entry: Mapping[str, object], _frame: Mapping[str, object]) -> Iterator[Event]:
    """{"symbol", "interval_begin", "open", "high", "low", "close", "volume"}."""
    begin_ms = checks.time_ms(entry.get("interval_begin"), "interval_begin")
    yield from readings.bars(
        heard.asked(name),
        heard.seen_ms or begin_ms,
        [entry],
        lambda k: readings.bar(begin_ms, k.get("open"), k.get("high"), k.get("low"), k.get("close"), k.get("volume")),
    )


def _pairs(heard: Heard, frame: Mapping[str, object]) -> Iterator[Event]:
    """{"data": {"pairs": [{"symbol", "price_precision", "qty_precision", "price_increment", "status"}]}}."""
    data = checks.mapping(frame.get("data"), "data")
    asked = Asked(source=heard.source, market="", instrument="", seen_ms=heard.seen_ms)
    for row in checks.sequence(data.get("pairs"), "pairs"):
        entry = checks.mapping(row, "a pair")
        name = checks.text(entry.get("symbol"), "symbol")
        yield messages.pair(asked, name, entry, ("price_increment", "price_precision", "qty_precision"))


READ_BY: Final[Mapping[str, Callable[[Heard, str, Mapping[str, object], Mapping[str, object]], Iterator[Event]]]] = {
    "book": _book,
    "trade": _trade,
    "ticker": _ticker,
    "ohlc": _ohlc,
}


def hears(address: str, frame: object) -> bool:
    if "futures" in address:
        return False
    return isinstance(frame, list) or (
        isinstance(frame, dict) and any(k in frame for k in ("channel", "event", "method"))
    )


SPOT: Final = Stream(
    name="spot",
    path="/v2",
    channels=channels,
    subscribe=subscribe,
    resubscribe=asked_anew(_ask),
    parse=parse,
    hears=hears,
    silence_s=15.0,
    sequence=SequenceRule.CHECKSUM,
    checksum=checksums.kraken,
    needs_contracts=True,
    says="book (1,000 levels, checksums), trade",
)
STREAMS: Final[tuple[Stream, ...]] = (SPOT, futures_stream.FUTURES)
