"""Kraken futures websocket (wss://futures.kraken.com/ws/v1): books numbered one by one, trades, and among the trades
the liquidations: a trade's `type` says that it closed a position by force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from margrave.collect import checks, readings
from margrave.collect.books.levels import levels
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
    Quiet,
    Stream,
    asked_anew,
)
from margrave.collect.venues.kraken import futures, messages
from margrave.errors import Rejected
from margrave.messages import Kind
from margrave.settings import Instruments
from margrave.verdicts import Rejection

FEEDS: Final[Mapping[str, str]] = {BOOK: "book", TRADES: "trade"}
ACCOUNT_FEEDS: Final = frozenset(
    {"fills", "open_orders", "open_positions", "balances", "account_log", "notifications_auth"}
)


def channels(market: str, names: Instruments) -> Iterator[Channel]:
    if names.perpetual:
        yield Channel(BOOK, names.perpetual, market, perpetual=True)
        yield Channel(TRADES, names.perpetual, market, perpetual=True)
        # Heard in the feed of trades: nothing more is subscribed to.
        yield Channel(LIQUIDATIONS, names.perpetual, market, perpetual=True)


def subscribe(wanted: Sequence[Channel]) -> Iterator[bytes]:
    yield msgspec.json.encode({"event": "subscribe", "feed": "heartbeat"})
    yield from _ask("subscribe", wanted)


def _ask(event: str, wanted: Sequence[Channel]) -> Iterator[bytes]:
    for name, feed in FEEDS.items():
        if products := [channel.instrument for channel in wanted if channel.name == name]:
            yield msgspec.json.encode({"event": event, "feed": feed, "product_ids": products})


def parse(heard: Heard, body: object) -> Iterator[Event]:
    """A push {"feed", "product_id", …}, or an answer {"event", …}."""
    frame = checks.mapping(body, "frame")
    if "event" in frame:
        if (complaint := messages.complaint(frame)) is not None:
            raise complaint
        yield Quiet(why=str(frame.get("event"))[:20])
        return
    feed = checks.text(frame.get("feed"), "feed")
    if feed == "heartbeat":
        yield Quiet(why=feed)
        return
    if feed.removesuffix("_snapshot").removesuffix("_verbose") in ACCOUNT_FEEDS:
        raise Rejected(Rejection.NOT_READ, f"recognised, and not read: an account's {feed}")
    if feed not in ("book_snapshot", "book", "trade", "trade_snapshot", "ticker", "ticker_lite"):
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"feed {feed[:40]} is not read")
    name = checks.text(frame.get("product_id"), "product_id")
    heard.market(name)
    if feed == "book_snapshot":
        yield _snapshot(heard, name, frame)
    elif feed == "book":
        yield _diff(name, frame)
    elif feed == "trade":
        yield from _trade(heard, name, frame)
    elif feed == "trade_snapshot":
        for row in checks.sequence(frame.get("trades"), "trades"):
            yield from _trade(heard, name, checks.mapping(row, "a trade"))
    else:
        yield from _ticker(heard, name, frame)


def _snapshot(heard: Heard, name: str, frame: Mapping[str, object]) -> BookSnapshot:
    return BookSnapshot(
        instrument=name,
        perpetual=futures.is_perpetual(name),
        venue_ms=checks.time_ms(frame.get("timestamp"), "timestamp"),
        sequence=checks.whole(frame.get("seq"), "seq"),
        bids=levels(frame.get("bids"), "bids", price="price", size="qty"),
        asks=levels(frame.get("asks"), "asks", price="price", size="qty"),
        sizes_in_usd=futures.is_inverse(name, heard.contracts.get(name)),
    )


def _diff(name: str, frame: Mapping[str, object]) -> BookDiff:
    """One level a message: {"side", "seq", "price", "qty" (0 removes it), "timestamp"}."""
    number = checks.whole(frame.get("seq"), "seq")
    changed = levels([frame], "level", price="price", size="qty")
    buys = checks.is_buy(frame.get("side"), "side")
    return BookDiff(
        instrument=name,
        perpetual=futures.is_perpetual(name),
        venue_ms=checks.time_ms(frame.get("timestamp"), "timestamp"),
        first=number,
        last=number,
        previous=None,
        bids=changed if buys else [],
        asks=[] if buys else changed,
    )


def _trade(heard: Heard, name: str, entry: Mapping[str, object]) -> Iterator[Event]:
    checks.same_instrument(entry.get("product_id"), name, "product_id")
    yield futures.trade(entry, name, heard.contracts.get(name))
    yield from futures.liquidation(entry, name, heard.contracts.get(name))


def _ticker(heard: Heard, name: str, frame: Mapping[str, object]) -> Iterator[Event]:
    """{"markPrice", "index", "relative_funding_rate" (of an hour), "openInterest", "time", "suspended"}."""
    if frame.get("suspended") is True:
        raise Rejected(Rejection.VENUE_ERROR, f"{name} is suspended")
    asked = heard.asked(name, perpetual=futures.is_perpetual(name))
    stamp, mark = frame.get("time"), frame.get("markPrice")
    values: dict[Kind, object] = {
        Kind.MARK_PRICE: mark,
        Kind.INDEX_PRICE: frame.get("index"),
        Kind.FUNDING_8H: readings.scaled(frame.get("relative_funding_rate"), 8.0, "relative_funding_rate"),
    }
    said = list(futures.open_interest(asked, frame.get("openInterest"), mark, values))
    venue_ms = heard.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "time")
    said += readings.scalars(asked, venue_ms, values)
    if said:
        yield from said
    else:
        yield Quiet(why="ticker")


def hears(address: str, frame: object) -> bool:
    return isinstance(frame, dict) and ("feed" in frame or "futures" in address)


FUTURES: Final = Stream(
    name="futures",
    path="/ws/v1",
    futures_host=True,
    channels=channels,
    subscribe=subscribe,
    resubscribe=asked_anew(_ask),
    parse=parse,
    hears=hears,
    silence_s=30.0,
    sequence=SequenceRule.NEXT,
    says="book (whole, numbered), trade with liquidations",
)
