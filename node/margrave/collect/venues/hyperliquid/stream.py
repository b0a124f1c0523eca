"""Hyperliquid websocket (wss://api.hyperliquid.xyz/ws): whole books of 20 levels, trades, contexts.

Every message of l2Book is a whole book, so there is nothing to miss but the next one. The server closes what is silent
for a minute, unless it is sent a ping. There is no public channel of liquidations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from margrave.collect import checks, readings
from margrave.collect.books.levels import levels
from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Asked
from margrave.collect.stream import BOOK, TRADES, BookSnapshot, Channel, Event, Heard, Quiet, Stream
from margrave.collect.venues.hyperliquid import messages
from margrave.collect.venues.hyperliquid.messages import is_perpetual
from margrave.errors import Rejected
from margrave.settings import Instruments
from margrave.verdicts import Rejection

CHANNELS: Final[Mapping[str, str]] = {BOOK: "l2Book", TRADES: "trades"}
BOOK_DEPTH: Final = 20


def channels(market: str, names: Instruments) -> Iterator[Channel]:
    for name in (names.spot, names.perpetual):
        if name:
            yield Channel(BOOK, name, market, is_perpetual(name))
            yield Channel(TRADES, name, market, is_perpetual(name))


def subscribe(wanted: Sequence[Channel]) -> Iterator[bytes]:
    for channel in wanted:
        about = {"type": CHANNELS[channel.name], "coin": channel.instrument}
        yield msgspec.json.encode({"method": "subscribe", "subscription": about})


def parse(heard: Heard, body: object) -> Iterator[Event]:
    """{"channel", "data"}."""
    if (complaint := messages.complaint(body)) is not None:
        raise complaint
    frame = checks.mapping(body, "frame")
    channel = checks.text(frame.get("channel"), "channel")
    data = frame.get("data")
    if channel in ("subscriptionResponse", "pong"):
        yield Quiet(why=channel)
    elif channel == "l2Book":
        yield _book(heard, checks.mapping(data, "book"))
    elif channel == "trades":
        for row in checks.sequence(data, "trades"):
            made = messages.trade(row)
            heard.market(made.instrument)
            yield made
    elif channel == "activeAssetCtx":
        entry = checks.mapping(data, "context")
        yield from messages.context_of(_asked(heard, checks.text(entry.get("coin"), "coin")), entry.get("ctx"))
    elif channel == "bbo":
        yield _best(heard, checks.mapping(data, "best bid and offer"))
    elif channel == "candle":
        for row in data if isinstance(data, list) else [data]:
            yield from _candle(heard, checks.mapping(row, "a candle"))
    else:
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"channel {channel[:40]} is not read")


def _book(heard: Heard, entry: Mapping[str, object]) -> BookSnapshot:
    coin = checks.text(entry.get("coin"), "coin")
    heard.market(coin)
    bids, asks = messages.sides(entry)
    venue_ms = checks.time_ms(entry.get("time"), "time")
    return BookSnapshot(
        instrument=coin,
        perpetual=is_perpetual(coin),
        venue_ms=venue_ms,
        sequence=venue_ms,
        bids=levels(bids, "bids", price="px", size="sz"),
        asks=levels(asks, "asks", price="px", size="sz"),
        depth=BOOK_DEPTH,
    )


def _candle(heard: Heard, row: Mapping[str, object]) -> Iterator[Event]:
    asked = _asked(heard, checks.text(row.get("s"), "s"))
    opened_ms = checks.time_ms(row.get("t"), "t")
    yield from readings.bars(asked, heard.seen_ms or opened_ms, [row], lambda c: messages.candle(asked, c))


def _best(heard: Heard, entry: Mapping[str, object]) -> Event:
    """{"coin", "time", "bbo": [level or null, level or null]}."""
    asked = _asked(heard, checks.text(entry.get("coin"), "coin"))
    both = checks.sequence(entry.get("bbo"), "bbo", least=2)
    if both[0] is None or both[1] is None:
        return Quiet(why="one-sided book")
    bid, ask = (checks.mapping(side, "a level") for side in both[:2])
    venue_ms = checks.time_ms(entry.get("time"), "time")
    return readings.book(asked, venue_ms, [[bid.get("px"), bid.get("sz")]], [[ask.get("px"), ask.get("sz")]])


def _asked(heard: Heard, coin: str) -> Asked:
    return heard.asked(coin, perpetual=is_perpetual(coin))


def hears(_address: str, frame: object) -> bool:
    return isinstance(frame, dict) and "channel" in frame


WS: Final = Stream(
    name="public",
    path="/ws",
    channels=channels,
    subscribe=subscribe,
    parse=parse,
    hears=hears,
    silence_s=30.0,
    sequence=SequenceRule.SNAPSHOTS,
    ping=lambda _now_ms: b'{"method":"ping"}',
    ping_every_s=30.0,
    plain=frozenset({b"Websocket connection established."}),
    says="l2Book (20 levels, whole), trades",
)
STREAMS: Final[tuple[Stream, ...]] = (WS,)
