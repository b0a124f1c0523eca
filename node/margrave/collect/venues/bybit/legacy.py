"""Bybit before v5, for recordings: /v2/public/symbols, and the topics orderBookL2_25, orderBook_200 and trade.

Those addresses are gone; what was recorded from them is research data, and read by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from margrave.collect import checks
from margrave.collect.books.levels import levels
from margrave.collect.source import Asked, Item, has
from margrave.collect.stream import BookDiff, BookSnapshot, Heard, Trade
from margrave.collect.venues.bybit.messages import in_dollars, usd
from margrave.errors import Rejected
from margrave.messages import Contract, ContractKind
from margrave.verdicts import Rejection


def parse_symbols(asked: Asked, body: object) -> Iterator[Item]:
    """/v2/public/symbols: result [{"name", "base_currency", "quote_currency", "price_filter", "status"}]."""
    for row in checks.sequence(checks.mapping(body, "answer").get("result"), "result", least=1):
        try:
            entry = checks.mapping(row, "a symbol")
            filters = entry.get("price_filter")
            tick = filters.get("tick_size") if isinstance(filters, dict) else None
            inverse = entry.get("quote_currency") == "USD"
            yield Contract(
                source=asked.source,
                instrument=checks.text(entry.get("name"), "name"),
                seen_time_ms=asked.seen_ms,
                # Dated contracts carry their month and year: BTCUSDM21.
                kind=ContractKind.FUTURE if str(entry.get("name"))[-2:].isdigit() else ContractKind.PERPETUAL,
                unit_coins=None if inverse else 1.0,
                unit_usd=1.0 if inverse else None,
                tick=None if checks.absent(tick) else checks.within(tick, "tick_size", 1e-18, 1e9),
                trading=entry.get("status", "Trading") == "Trading",
            )
        except Rejected as rejected:
            yield asked.refusal("symbols", rejected)


def book(heard: Heard, name: str, frame: Mapping[str, object]) -> BookSnapshot | BookDiff:
    """A snapshot lists {"price", "side", "size"}, a difference {"delete", "update", "insert"} of the same."""
    listed = heard.contracts.get(name)
    venue_ms = _time_ms(frame)
    number = checks.whole(frame.get("cross_seq", 0), "cross_seq")
    data = frame.get("data")
    if frame.get("type") == "snapshot":
        # Linear contracts wrap the list, inverse ones do not.
        rows = data.get("order_book") if isinstance(data, dict) else data
        bids, asks = _sides(rows, name)
        dollars = in_dollars(name, listed)
        return BookSnapshot(
            instrument=name,
            perpetual=True,
            venue_ms=venue_ms,
            sequence=number,
            bids=bids,
            asks=asks,
            sizes_in_usd=dollars,
        )
    changes = checks.mapping(data, "data")
    removed = [
        {**checks.mapping(row, "a level"), "size": 0} for row in checks.sequence(changes.get("delete") or [], "delete")
    ]
    changed = [
        row for key in ("update", "insert") for row in checks.sequence(changes.get(key) or [], key)
    ]  # in the order of the documentation: what is deleted may be inserted again
    bids, asks = _sides([*removed, *changed], name)
    return BookDiff(
        instrument=name,
        perpetual=True,
        venue_ms=venue_ms,
        first=number,
        last=number,
        previous=None,
        bids=bids,
        asks=asks,
    )


def _sides(rows: object, name: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    buys: list[object] = []
    sells: list[object] = []
    for row in checks.sequence(rows, "levels"):
        level = checks.mapping(row, "a level")
        checks.same_instrument(level.get("symbol"), name, "symbol")
        (buys if checks.is_buy(level.get("side"), "side") else sells).append(level)
    return levels(buys, "bids", price="price", size="size"), levels(sells, "asks", price="price", size="size")


def _time_ms(frame: Mapping[str, object]) -> int:
    return checks.time_ms(checks.number(frame.get("timestamp_e6"), "timestamp_e6") / 1000, "timestamp_e6")


def trade(heard: Heard, row: Mapping[str, object]) -> Trade:
    """{"symbol", "price", "size", "side", "trade_time_ms", "trade_id"}; side is the taker's."""
    name = checks.text(row.get("symbol"), "symbol")
    price, size = checks.price(row.get("price"), "price"), checks.size(row.get("size"), "size")
    stamp = row.get("trade_time_ms")
    return Trade(
        instrument=name,
        perpetual=True,
        venue_ms=checks.time_ms(row.get("timestamp") if checks.absent(stamp) else stamp, "trade_time_ms"),
        price=price,
        size_usd=usd(name, heard.contracts.get(name), size, price),
        buyer_takes=checks.is_buy(row.get("side"), "side"),
        trade_id=str(row.get("trade_id") or ""),
    )


def is_trade(row: object) -> bool:
    return has("symbol", "price", "size", "side")(row)


def unknown(topic: str) -> Rejected:
    return Rejected(Rejection.UNKNOWN_SHAPE, f"topic {topic[:40]} is not read")
