"""`margrave parse`: what an adapter makes of recorded payloads, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from margrave.collect.recorded import parse_file
from margrave.collect.stream import BookDiff, BookSnapshot, Counted, Event, Liquidation, Quiet, Reply, Trade
from margrave.messages import (
    AnyReading,
    BarsReading,
    BookReading,
    ChainReading,
    Contract,
    HealthReading,
    LiquidationsReading,
    NoticeReading,
    PoolReading,
    Refusal,
    ScalarReading,
    TradesReading,
)


def lines(venue: str, files: Sequence[Path], *, as_json: bool) -> Iterator[tuple[str, bool]]:
    """(line, whether it is a reading), in the order of the payloads.

    Raises:
        Fatal: no such venue, or a file cannot be read.
    """
    listed: dict[str, Contract] = {}
    for file in files:
        for item in parse_file(venue, file, listed=listed):
            is_reading = not isinstance(item, Refusal)
            if as_json:
                kind = {} if isinstance(item, AnyReading | Contract) else {"type": type(item).__name__.lower()}
                told = {"file": str(file)} | msgspec.to_builtins(item) | kind
                yield msgspec.json.encode(told).decode(), is_reading
            else:
                yield _sentence(item), is_reading


def _sentence(item: Event) -> str:
    match item:
        case BookSnapshot() | BookDiff():
            what = "book" if isinstance(item, BookSnapshot) else "change of the book"
            levels = f"{len(item.bids)} bids, {len(item.asks)} asks"
            return f"event    {item.instrument}: {what}, {levels} at {item.venue_ms} ms"
        case Trade():
            side = "bought" if item.buyer_takes else "sold"
            return (
                f"event    {item.instrument}: {item.size_usd:,.2f} USD {side} at {item.price:g} at {item.venue_ms} ms"
            )
        case Liquidation():
            side = "long" if item.long else "short"
            return f"event    {item.instrument}: a {side} of {item.size_usd:,.2f} USD liquidated at {item.venue_ms} ms"
        case Reply() | Counted() | Quiet():
            return f"event    {type(item).__name__.lower()}{f': {item.why}' if isinstance(item, Quiet) else ''}"
        case Refusal():
            return f"refused  {item.source} {item.market or '-'} {item.what}: {item.reason} ({item.detail})"
        case Contract():
            unit = f"{item.unit_usd:g} USD" if item.unit_usd is not None else f"{item.unit_coins:g} coins"
            return f"contract {item.source} {item.instrument}: {item.kind}, a unit of size is {unit}"
        case ScalarReading():
            said = f"{item.kind} {item.value:g}"
        case BookReading():
            kind = "perpetual" if item.perpetual else "spot"
            said = f"{kind} book {item.bid:g} / {item.ask:g}, {item.bid_depth_usd:,.0f} / {item.ask_depth_usd:,.0f} USD"
        case BarsReading():
            said = f"{len(item.bars)} hourly bars to {item.bars[-1].close:g}"
        case ChainReading():
            said = f"option chain of {len(item.quotes)}"
        case TradesReading():
            said = f"{item.count} trades, {item.buy_usd:,.0f} USD bought, {item.sell_usd:,.0f} sold, last {item.last:g}"
        case LiquidationsReading():
            said = f"{item.count} liquidations, longs of {item.long_usd:,.0f} USD and shorts of {item.short_usd:,.0f}"
        case HealthReading():
            said = f"{item.protocol} debt of {sum(item.debt_usd):,.0f} USD by health, block {item.block}"
        case PoolReading():
            said = f"pool {item.price:g}, {item.bid_depth_usd:,.0f} / {item.ask_depth_usd:,.0f} USD, block {item.block}"
        case NoticeReading():
            said = f"{item.topic}: {item.text}"
    return f"reading  {item.source} {item.market} {item.instrument}: {said} at {item.venue_time_ms} ms"
