"""Coinbase Advanced Trade websocket (wss://advanced-trade-ws.coinbase.com): level2 and market_trades, no key.

One count runs over all messages of the connection (`sequence_num`), so that a gap costs every book of it. Books have no
checksum. Heartbeats keep quiet products subscribed. Frames of Exchange's feed are read too, as recordings have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from margrave.collect import checks, readings
from margrave.collect.books.levels import levels
from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Asked
from margrave.collect.stream import (
    BOOK,
    TRADES,
    BookDiff,
    BookSnapshot,
    Channel,
    Counted,
    Event,
    Heard,
    Quiet,
    Stream,
    asked_anew,
)
from margrave.collect.venues.coinbase import exchange, messages
from margrave.collect.venues.coinbase.messages import PERPETUAL_SUFFIX, contract_of, is_perpetual
from margrave.errors import Rejected
from margrave.settings import Instruments
from margrave.verdicts import Rejection

CHANNELS: Final[Mapping[str, str]] = {BOOK: "level2", TRADES: "market_trades"}


def channels(market: str, names: Instruments) -> Iterator[Channel]:
    for name in (names.spot, names.perpetual):
        if name:
            perpetual = name == names.perpetual or name.endswith(PERPETUAL_SUFFIX)
            yield Channel(BOOK, name, market, perpetual)
            yield Channel(TRADES, name, market, perpetual)


def subscribe(wanted: Sequence[Channel]) -> Iterator[bytes]:
    yield msgspec.json.encode({"type": "subscribe", "channel": "heartbeats"})
    yield from _ask("subscribe", wanted)


def _ask(operation: str, wanted: Sequence[Channel]) -> Iterator[bytes]:
    for name, coinbase_name in CHANNELS.items():
        if products := [channel.instrument for channel in wanted if channel.name == name]:
            yield msgspec.json.encode({"type": operation, "product_ids": products, "channel": coinbase_name})


def parse(heard: Heard, body: object) -> Iterator[Event]:
    """{"channel", "timestamp", "sequence_num", "events": [...]}, an error {"type": "error"}, or a frame of Exchange."""
    frame = checks.mapping(body, "frame")
    if (complaint := messages.complaint(frame)) is not None:
        raise complaint
    if "channel" not in frame and "type" in frame:
        yield from exchange.parse(heard, frame)
        return
    channel = checks.text(frame.get("channel"), "channel")
    if not checks.absent(number := frame.get("sequence_num")):
        yield Counted(number=checks.whole(number, "sequence_num"))
    if channel in ("heartbeats", "subscriptions", "status"):
        yield Quiet(why=channel)
        return
    if channel in ("user", "futures_balance_summary"):
        raise Rejected(Rejection.NOT_READ, f"recognised, and not read: an account's {channel}")
    if channel not in READ_BY:
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"channel {channel[:40]} is not read")
    stamp = frame.get("timestamp")
    venue_ms = heard.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "timestamp")
    for row in checks.sequence(frame.get("events"), "events", least=1):
        yield from READ_BY[channel](heard, checks.mapping(row, "an event"), venue_ms)


def _book(heard: Heard, event: Mapping[str, object], venue_ms: int) -> Iterator[Event]:
    """{"type": "snapshot" | "update", "product_id", "updates": [{"side", "price_level", "new_quantity"}]}."""
    name = checks.text(event.get("product_id"), "product_id")
    heard.market(name)
    listed = heard.contracts.get(name)
    contract = contract_of(listed, name)
    buys: list[object] = []
    sells: list[object] = []
    for row in checks.sequence(event.get("updates"), "updates"):
        update = checks.mapping(row, "an update")
        (buys if checks.is_buy(update.get("side"), "side") else sells).append(update)
    bids = levels(buys, "bids", price="price_level", size="new_quantity")
    asks = levels(sells, "asks", price="price_level", size="new_quantity")
    perpetual = is_perpetual(listed, name)
    if event.get("type") == "snapshot":
        yield BookSnapshot(
            instrument=name,
            perpetual=perpetual,
            venue_ms=venue_ms,
            sequence=0,
            bids=bids,
            asks=asks,
            unit=contract.unit_coins or 1.0,
        )
    else:
        yield BookDiff(
            instrument=name,
            perpetual=perpetual,
            venue_ms=venue_ms,
            first=0,
            last=0,
            previous=None,
            bids=bids,
            asks=asks,
        )


def _trades(heard: Heard, event: Mapping[str, object], _venue_ms: int) -> Iterator[Event]:
    for row in checks.sequence(event.get("trades"), "trades"):
        name = checks.text(checks.mapping(row, "a trade").get("product_id"), "product_id")
        heard.market(name)
        yield messages.trade(row, heard.contracts.get(name))


def _candles(heard: Heard, event: Mapping[str, object], venue_ms: int) -> Iterator[Event]:
    for row in checks.sequence(event.get("candles"), "candles"):
        name = checks.text(checks.mapping(row, "a candle").get("product_id"), "product_id")
        yield from readings.bars(_asked(heard, name), venue_ms, [row], messages.candle)


def _ticker(heard: Heard, event: Mapping[str, object], venue_ms: int) -> Iterator[Event]:
    """{"tickers": [{"product_id", "best_bid", "best_bid_quantity", "best_ask", "best_ask_quantity"}]}."""
    for row in checks.sequence(event.get("tickers"), "tickers"):
        entry = checks.mapping(row, "a ticker")
        name = checks.text(entry.get("product_id"), "product_id")
        if checks.absent(entry.get("best_bid_quantity")):
            yield Quiet(why="ticker")
            continue
        bids = [[entry.get("best_bid"), entry.get("best_bid_quantity")]]
        asks = [[entry.get("best_ask"), entry.get("best_ask_quantity")]]
        unit = contract_of(heard.contracts.get(name), name).unit_coins or 1.0
        yield readings.book(_asked(heard, name), venue_ms, bids, asks, unit_coins=unit)


def _asked(heard: Heard, name: str) -> Asked:
    return heard.asked(name, perpetual=is_perpetual(heard.contracts.get(name), name))


READ_BY: Final = {
    "l2_data": _book,
    "level2": _book,
    "market_trades": _trades,
    "candles": _candles,
    "ticker": _ticker,
    "ticker_batch": _ticker,
}


def hears(_address: str, frame: object) -> bool:
    return isinstance(frame, dict) and (("channel" in frame and "events" in frame) or "type" in frame)


ADVANCED: Final = Stream(
    name="advanced",
    path="",
    channels=channels,
    subscribe=subscribe,
    resubscribe=asked_anew(_ask),
    parse=parse,
    hears=hears,
    silence_s=15.0,
    sequence=SequenceRule.CONNECTION,
    says="level2 (whole, numbered by connection), market_trades, heartbeats",
)
STREAMS: Final[tuple[Stream, ...]] = (ADVANCED,)
