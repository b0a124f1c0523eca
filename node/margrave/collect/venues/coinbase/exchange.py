"""Coinbase Exchange, the older interface beside Advanced Trade (docs.cdp.coinbase.com/exchange): read for recordings.

A book's differences carry no numbers; the sides of trades are the makers'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.books.levels import levels
from margrave.collect.source import Asked, Item
from margrave.collect.stream import BookDiff, BookSnapshot, Event, Heard, Quiet
from margrave.collect.venues.coinbase import messages
from margrave.errors import Rejected
from margrave.messages import Bar, Contract, ContractKind
from margrave.verdicts import Rejection

QUIET: Final = ("subscriptions", "heartbeat", "status")
OF_ORDERS: Final = ("received", "open", "done", "change", "activate")


def parse_book(asked: Asked, body: object) -> Iterator[Item]:
    """/products/{product_id}/book?level=2: {"bids": [[price, size, orders]], "asks", "sequence", "time"?}."""
    entry = checks.mapping(body, "book")
    stamp = entry.get("time")
    venue_ms = asked.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "time")
    yield readings.book(asked, venue_ms, entry.get("bids"), entry.get("asks"))


def parse_candles(asked: Asked, body: object) -> Iterator[Item]:
    """/products/{product_id}/candles: [[seconds, low, high, open, close, volume]], newest first."""
    return readings.bars(asked, asked.seen_ms, checks.sequence(body, "candles", least=1), _candle)


def _candle(row: object) -> Bar:
    c = checks.sequence(row, "a candle", least=6)
    return readings.bar(checks.seconds_as_ms(c[0], "time"), c[3], c[2], c[1], c[4], c[5])


def parse_trades(asked: Asked, body: object) -> Iterator[Item]:
    """/products/{product_id}/trades: [{"trade_id", "side" (the maker's), "size", "price", "time"}], newest first."""
    rows = checks.sequence(body, "trades", least=1)
    return readings.trades(asked, rows, lambda row: messages.trade(row, asked.contract, asked.instrument))


def parse_products(asked: Asked, body: object) -> Iterator[Item]:
    """/products: [{"id", "base_currency", "quote_currency", "quote_increment", "status"}]."""
    for row in checks.sequence(body, "products", least=1):
        try:
            entry = checks.mapping(row, "a product")
            tick = entry.get("quote_increment")
            name = checks.text(entry.get("id"), "id")
            if asked.instrument in ("", name):
                yield Contract(
                    source=asked.source,
                    instrument=name,
                    seen_time_ms=asked.seen_ms,
                    kind=ContractKind.SPOT,
                    tick=None if checks.absent(tick) else checks.within(tick, "quote_increment", 1e-18, 1e9),
                    trading=entry.get("status", "online") == "online" and entry.get("trading_disabled") is not True,
                )
        except Rejected as rejected:
            yield asked.refusal("products", rejected)


def parse(heard: Heard, frame: Mapping[str, object]) -> Iterator[Event]:
    """{"type": "snapshot" | "l2update" | "match" | "last_match" | "ticker" | "heartbeat" | …, "product_id", …}."""
    kind = checks.text(frame.get("type"), "type")
    if kind in QUIET:
        yield Quiet(why=kind)
        return
    if kind in OF_ORDERS:
        raise Rejected(Rejection.NOT_READ, f"recognised, and not read: a single order that was {kind}")
    if kind not in ("snapshot", "l2update", "match", "last_match", "ticker"):
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"type {kind[:40]} is not read")
    name = checks.text(frame.get("product_id"), "product_id")
    market = heard.market(name)
    stamp = frame.get("time")
    venue_ms = heard.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "time")
    if kind == "snapshot":
        yield BookSnapshot(
            instrument=name,
            perpetual=False,
            # Older snapshots carry no time, and were made before the differences that reach us before they do.
            venue_ms=0 if checks.absent(stamp) else venue_ms,
            sequence=0,
            bids=levels(frame.get("bids"), "bids"),
            asks=levels(frame.get("asks"), "asks"),
        )
    elif kind == "l2update":
        yield _diff(name, venue_ms, frame.get("changes"))
    elif kind == "ticker":
        yield from _ticker(Asked(heard.source, market, name, heard.seen_ms), venue_ms, frame)
    else:
        yield messages.trade(frame, heard.contracts.get(name))


def _diff(name: str, venue_ms: int, changes: object) -> BookDiff:
    """[["buy" or "sell", price, new size]]."""
    buys: list[object] = []
    sells: list[object] = []
    for row in checks.sequence(changes, "changes"):
        change = checks.sequence(row, "a change", least=3)
        (buys if checks.is_buy(change[0], "side") else sells).append(change)
    return BookDiff(
        instrument=name,
        perpetual=False,
        venue_ms=venue_ms,
        first=0,
        last=0,
        previous=None,
        bids=levels(buys, "bids", price=1, size=2),
        asks=levels(sells, "asks", price=1, size=2),
    )


def _ticker(asked: Asked, venue_ms: int, frame: Mapping[str, object]) -> Iterator[Event]:
    """Best prices, with sizes in newer frames only: without them it is no book."""
    sizes = frame.get("best_bid_size"), frame.get("best_ask_size")
    if checks.absent(sizes[0]) or checks.absent(sizes[1]):
        checks.price(frame.get("price"), "price")
        yield Quiet(why="ticker")
        return
    bids, asks = [[frame.get("best_bid"), sizes[0]]], [[frame.get("best_ask"), sizes[1]]]
    yield readings.book(asked, venue_ms, bids, asks)
