"""Bybit v5 public websockets (wss://stream.bybit.com/v5/public/{spot,linear}): books, trades, liquidations.

A book begins with a snapshot and numbers its messages (`u`) one by one; after a restart of the service it says another
snapshot, numbered 1. The socket is closed without a ping in 20 s. A book of 200 levels is pushed each 20 to 100 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from margrave.collect import checks, readings
from margrave.collect.books.levels import levels, stated_depth
from margrave.collect.books.rules import SequenceRule
from margrave.collect.stream import (
    BOOK,
    LIQUIDATIONS,
    TRADES,
    BookDiff,
    BookSnapshot,
    Channel,
    Event,
    Heard,
    Liquidation,
    Quiet,
    Stream,
    Trade,
    asked_anew,
)
from margrave.collect.venues.bybit import legacy, messages
from margrave.collect.venues.bybit.messages import in_dollars, usd
from margrave.collect.venues.bybit.options import option
from margrave.errors import Rejected
from margrave.settings import Instruments
from margrave.verdicts import Rejection

BOOK_DEPTH: Final = 200
TOPICS: Final[Mapping[str, str]] = {
    BOOK: f"orderbook.{BOOK_DEPTH}.",
    TRADES: "publicTrade.",
    LIQUIDATIONS: "allLiquidation.",
}
ACCOUNT_TOPICS: Final = frozenset({"order", "execution", "position", "wallet", "greeks", "dcp"})
TOPICS_A_MESSAGE: Final = 10
"""Spot takes no more in one subscription."""


def spot_channels(market: str, names: Instruments) -> Iterator[Channel]:
    if names.spot:
        yield Channel(BOOK, names.spot, market, perpetual=False)
        yield Channel(TRADES, names.spot, market, perpetual=False)


def linear_channels(market: str, names: Instruments) -> Iterator[Channel]:
    if names.perpetual:
        for what in (BOOK, TRADES, LIQUIDATIONS):
            yield Channel(what, names.perpetual, market, perpetual=True)


def subscribe(wanted: Sequence[Channel]) -> Iterator[bytes]:
    yield from _ask("subscribe", wanted)


def _ask(operation: str, wanted: Sequence[Channel]) -> Iterator[bytes]:
    topics = [TOPICS[channel.name] + channel.instrument for channel in wanted]
    for start in range(0, len(topics), TOPICS_A_MESSAGE):
        yield msgspec.json.encode({"op": operation, "args": topics[start : start + TOPICS_A_MESSAGE]})


def parse(heard: Heard, body: object, *, perpetual: bool) -> Iterator[Event]:
    """A push {"topic", "type", "ts", "data"}, or an answer {"success" or "op", …}."""
    frame = checks.mapping(body, "frame")
    if (complaint := messages.complaint(frame)) is not None:
        raise complaint
    topic = frame.get("topic")
    if topic is None:
        answer = frame.get("op") or frame.get("ret_msg")
        if answer is None and "success" not in frame:
            raise legacy.unknown(", ".join(sorted(frame)[:4]))
        yield Quiet(why=str(answer or "answer")[:20])
        return
    topic = checks.text(topic, "topic")
    kind, _, rest = topic.partition(".")
    name = rest.rpartition(".")[2]
    if kind == "orderbook":
        yield _book(heard, name, frame, perpetual)
    elif kind in ("orderBookL2_25", "orderBook_200"):
        heard.market(name)
        yield legacy.book(heard, name, frame)
    elif kind in ("publicTrade", "trade"):
        yield from _trades(heard, frame, perpetual)
    elif kind in ("allLiquidation", "liquidation"):
        data = frame.get("data")
        for row in [data] if isinstance(data, dict) else checks.sequence(data, "data"):
            yield _liquidation(heard, checks.mapping(row, "a liquidation"))
    elif kind == "tickers":
        yield from _ticker(heard, name, frame, perpetual)
    elif kind == "kline":
        yield from _kline(heard, name, frame, perpetual)
    elif kind in ACCOUNT_TOPICS:
        raise Rejected(Rejection.NOT_READ, f"recognised, and not read: an account's {kind}")
    else:
        raise legacy.unknown(topic)


def _book(heard: Heard, name: str, frame: Mapping[str, object], perpetual: bool) -> Event:
    heard.market(name)
    data = checks.mapping(frame.get("data"), "data")
    checks.same_instrument(data.get("s"), name, "s")
    stamp = frame.get("cts")
    venue_ms = checks.time_ms(frame.get("ts") if checks.absent(stamp) else stamp, "ts")
    whole = frame.get("type") == "snapshot"
    # Where differences begin is needed by those who hear them; a recorded snapshot alone is a book without it.
    number = 0 if whole and checks.absent(data.get("u")) else checks.whole(data.get("u"), "u")
    bids, asks = levels(data.get("b"), "bids"), levels(data.get("a"), "asks")
    if whole or number == 1:
        return BookSnapshot(
            instrument=name,
            perpetual=perpetual,
            venue_ms=venue_ms,
            sequence=number,
            bids=bids,
            asks=asks,
            sizes_in_usd=in_dollars(name, heard.contracts.get(name)),
            depth=_depth(str(frame.get("topic"))),
        )
    return BookDiff(
        instrument=name,
        perpetual=perpetual,
        venue_ms=venue_ms,
        first=number,
        last=number,
        previous=None,
        bids=bids,
        asks=asks,
    )


def _depth(topic: str) -> int | None:
    """orderbook.200.BTCUSDT keeps 200 levels."""
    return stated_depth(topic.split(".")[1]) if topic.count(".") >= 2 else None


def _trades(heard: Heard, frame: Mapping[str, object], perpetual: bool) -> Iterator[Event]:
    """[{"T", "s", "S" (the taker's side), "v", "p", "i"}]; before v5 written out."""
    for entry in checks.sequence(frame.get("data"), "data"):
        row = checks.mapping(entry, "a trade")
        if legacy.is_trade(row):
            trade = legacy.trade(heard, row)
        else:
            name = checks.text(row.get("s"), "s")
            price, size = checks.price(row.get("p"), "p"), checks.size(row.get("v"), "v")
            trade = Trade(
                instrument=name,
                perpetual=perpetual,
                venue_ms=checks.time_ms(row.get("T"), "T"),
                price=price,
                size_usd=usd(name, heard.contracts.get(name), size, price),
                buyer_takes=checks.is_buy(row.get("S"), "S"),
                trade_id=str(row.get("i") or ""),
            )
        heard.market(trade.instrument)
        yield trade


def _liquidation(heard: Heard, row: Mapping[str, object]) -> Event:
    """{"T", "s", "S" (the position's side: Buy is a long that was closed), "v", "p"}; the older topic writes it out."""
    name = checks.text(row.get("s", row.get("symbol")), "s")
    heard.market(name)
    price = checks.price(row.get("p", row.get("price")), "p")
    size = checks.size(row.get("v", row.get("size")), "v")
    stamp = row.get("T", row.get("updatedTime", row.get("updateTime")))
    return Liquidation(
        instrument=name,
        venue_ms=checks.time_ms(stamp, "T"),
        long=checks.is_buy(row.get("S", row.get("side")), "S"),
        price=price,
        size_usd=usd(name, heard.contracts.get(name), size, price),
    )


def _ticker(heard: Heard, name: str, frame: Mapping[str, object], perpetual: bool) -> Iterator[Event]:
    """A snapshot says all, a difference what has changed; a rate without its interval is not scaled by a guess."""
    venue_ms = checks.time_ms(frame.get("ts"), "ts")
    data = checks.mapping(frame.get("data"), "data")
    checks.same_instrument(data.get("symbol"), name, "symbol")
    if "underlyingPrice" in data:
        asked = heard.asked(name, perpetual=False)
        yield from readings.chain(asked, venue_ms, [data], lambda row: option(asked, row, venue_ms))
        return
    if frame.get("type") == "delta":
        data = {k: v for k, v in data.items() if k != "fundingRate" or "fundingIntervalHour" in data}
        data.setdefault("markPrice", None)
    said = list(messages.ticker_of(heard.asked(name, perpetual=perpetual), data, venue_ms))
    if said:
        yield from said
    else:
        yield Quiet(why="ticker")


def _kline(heard: Heard, name: str, frame: Mapping[str, object], perpetual: bool) -> Iterator[Event]:
    rows = [checks.mapping(row, "a kline") for row in checks.sequence(frame.get("data"), "data", least=1)]
    asked = heard.asked(name, perpetual=perpetual)
    yield from readings.bars(
        asked,
        checks.time_ms(frame.get("ts"), "ts"),
        rows,
        lambda k: readings.bar(
            checks.time_ms(k.get("start"), "start"),
            k.get("open"),
            k.get("high"),
            k.get("low"),
            k.get("close"),
            k.get("volume"),
        ),
    )


def hears(address: str, frame: object, *, perpetual: bool) -> bool:
    """Frames do not say of which category they are; without an address they are taken for linear ones."""
    return (
        isinstance(frame, dict)
        and any(key in frame for key in ("topic", "op", "success"))
        and ("/spot" in address) is not perpetual
    )


def _stream(kind: str, *, perpetual: bool, says: str) -> Stream:
    return Stream(
        name=kind,
        path=f"/v5/public/{kind}",
        channels=linear_channels if perpetual else spot_channels,
        subscribe=subscribe,
        resubscribe=asked_anew(_ask),
        parse=partial(parse, perpetual=perpetual),
        hears=partial(hears, perpetual=perpetual),
        silence_s=30.0,
        sequence=SequenceRule.NEXT,
        ping=lambda _now_ms: b'{"op":"ping"}',
        ping_every_s=20.0,
        says=says,
    )


STREAMS: Final[tuple[Stream, ...]] = (
    _stream("linear", perpetual=True, says="orderbook.200, publicTrade, allLiquidation"),
    _stream("spot", perpetual=False, says="orderbook.200, publicTrade"),
)
