"""Kraken spot websocket, version 1 (wss://ws.kraken.com): lists [channel id, content…, channel name, pair].

A book's first message has "as" and "bs", differences "a", "b" and a checksum "c" over the text as it was written; a
message that changes both sides has two contents. Pairs are named XBT/USD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.books.levels import as_written, levels, stated_depth
from margrave.collect.stream import BookDiff, BookSnapshot, Event, Heard, Quiet
from margrave.collect.venues.kraken import messages
from margrave.errors import Rejected
from margrave.verdicts import Rejection


def parse(heard: Heard, body: object) -> Iterator[Event]:
    """A list, or an answer {"event": "systemStatus" | "subscriptionStatus" | "heartbeat" | "pong" | "error", …}."""
    if isinstance(body, dict):
        if (complaint := messages.complaint(body)) is not None:
            raise complaint
        yield Quiet(why=str(body.get("event"))[:20])
        return
    frame = checks.sequence(body, "frame", least=4)
    channel, name = checks.text(frame[-2], "channel name"), checks.text(frame[-1], "pair")
    heard.market(name)
    kind = channel.partition("-")[0]
    if kind not in READ_BY:
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"channel {channel[:40]} is not read")
    yield from READ_BY[kind](heard, name, frame[1:-2], channel)


def _book(heard: Heard, name: str, contents: Sequence[object], channel: str) -> Iterator[Event]:
    said: dict[str, object] = {}
    for content in contents:
        said |= checks.mapping(content, "a book")
    whole = "as" in said or "bs" in said
    bids, asks = said.get("bs" if whole else "b"), said.get("as" if whole else "a")
    venue_ms = messages.newest_ms(bids, asks) or heard.seen_ms
    stated = said.get("c")
    checksum = None if checks.absent(stated) else checks.whole(stated, "c")
    if whole:
        yield BookSnapshot(
            instrument=name,
            perpetual=False,
            venue_ms=venue_ms,
            sequence=0,
            bids=levels(bids, "bids"),
            asks=levels(asks, "asks"),
            checksum=checksum,
            raw_bids=as_written(bids),
            raw_asks=as_written(asks),
            depth=stated_depth(channel.partition("-")[2]),
        )
    else:
        yield BookDiff(
            instrument=name,
            perpetual=False,
            venue_ms=venue_ms,
            first=0,
            last=0,
            previous=None,
            bids=levels(bids, "bids"),
            asks=levels(asks, "asks"),
            checksum=checksum,
            raw_bids=as_written(bids),
            raw_asks=as_written(asks),
        )


def _trade(_heard: Heard, name: str, contents: Sequence[object], _channel: str) -> Iterator[Event]:
    for row in checks.sequence(contents[0], "trades", least=1):
        yield messages.trade(row, name)


def _ticker(heard: Heard, name: str, contents: Sequence[object], _channel: str) -> Iterator[Event]:
    yield from messages.ticker_of(heard.asked(name), contents[0])


def _spread(heard: Heard, name: str, contents: Sequence[object], _channel: str) -> Iterator[Event]:
    """[bid, ask, seconds, bid size, ask size]: a book of one level."""
    fields = checks.sequence(contents[0], "spread", least=5)
    venue_ms = checks.seconds_as_ms(fields[2], "time")
    yield readings.book(heard.asked(name), venue_ms, [[fields[0], fields[3]]], [[fields[1], fields[4]]])


def _ohlc(heard: Heard, name: str, contents: Sequence[object], channel: str) -> Iterator[Event]:
    """[time of the last change, end, open, high, low, close, vwap, volume, count], times in seconds."""
    fields = checks.sequence(contents[0], "ohlc", least=8)
    minutes = channel.partition("-")[2]
    length_ms = int(minutes) * 60_000 if minutes.isascii() and minutes.isdigit() and len(minutes) < 6 else 60_000
    begin_ms = round(checks.seconds_as_ms(fields[1], "end") / 1000) * 1000 - length_ms
    row: Mapping[str, object] = {"o": fields[2], "h": fields[3], "l": fields[4], "c": fields[5], "v": fields[7]}
    yield from readings.bars(
        heard.asked(name),
        checks.seconds_as_ms(fields[0], "time"),
        [row],
        lambda k: readings.bar(begin_ms, k["o"], k["h"], k["l"], k["c"], k["v"]),
    )


READ_BY: Final[Mapping[str, Callable[[Heard, str, Sequence[object], str], Iterator[Event]]]] = {
    "book": _book,
    "trade": _trade,
    "ticker": _ticker,
    "spread": _spread,
    "ohlc": _ohlc,
}
