"""OKX v5 public websocket (wss://ws.okx.com:8443/ws/v5/public): books of 400 levels, trades, liquidations.

A channel begins with a snapshot; each difference names the number before it (`prevSeqId`), and carries a CRC32 over the
text of 25 levels. Recordings of before 2023 have no numbers: the checksum alone holds those together. The socket is
closed when it has been silent for 30 s, unless it is sent "ping", which is answered with "pong".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from margrave.collect import checks
from margrave.collect.books import checksums
from margrave.collect.books.levels import as_written, levels
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
from margrave.collect.venues.okx import messages
from margrave.collect.venues.okx.messages import contract_of, is_perpetual
from margrave.collect.venues.okx.options import parse_option_summary
from margrave.errors import Rejected
from margrave.settings import Instruments
from margrave.verdicts import Rejection

BOOK_DEPTH: Final = 400
CHANNELS: Final[Mapping[str, str]] = {BOOK: "books", TRADES: "trades", LIQUIDATIONS: "liquidation-orders"}
BOOKS_OF_DIFFERENCES: Final = frozenset({"books", "books-l2-tbt", "books50-l2-tbt"})
WHOLE_BOOKS: Final = frozenset({"bbo-tbt", "books5"})
ACCOUNT_CHANNELS: Final = frozenset(
    {"account", "positions", "balance_and_position", "orders", "orders-algo", "algo-advance", "fills", "sprd-orders"}
)
ARGUMENTS_A_MESSAGE: Final = 50
"""OKX takes 64 KiB; this is a tenth of it."""

READ_AS: Final = {
    "tickers": messages.parse_ticker,
    "mark-price": messages.parse_mark_price,
    "index-tickers": messages.parse_index_tickers,
    "funding-rate": messages.parse_funding_rate,
    "open-interest": messages.parse_open_interest,
    "opt-summary": parse_option_summary,
    **dict.fromkeys(WHOLE_BOOKS, messages.parse_books),
}
"""Channels whose pushes hold what the REST answer of the same name holds."""


def channels(market: str, names: Instruments) -> Iterator[Channel]:
    for name in (names.spot, names.perpetual):
        if name:
            yield Channel(BOOK, name, market, is_perpetual(name))
            yield Channel(TRADES, name, market, is_perpetual(name))
    if names.perpetual:
        yield Channel(LIQUIDATIONS, names.perpetual, market, perpetual=True)


def subscribe(wanted: Sequence[Channel]) -> Iterator[bytes]:
    yield from _ask("subscribe", wanted)


def _ask(operation: str, wanted: Sequence[Channel]) -> Iterator[bytes]:
    """Liquidations are heard of all swaps at once: OKX has no channel for one."""
    arguments = [_argument(channel) for channel in wanted]
    distinct = [a for i, a in enumerate(arguments) if a not in arguments[:i]]
    for start in range(0, len(distinct), ARGUMENTS_A_MESSAGE):
        yield msgspec.json.encode({"op": operation, "args": distinct[start : start + ARGUMENTS_A_MESSAGE]})


def _argument(channel: Channel) -> Mapping[str, str]:
    if channel.name == LIQUIDATIONS:
        return {"channel": CHANNELS[LIQUIDATIONS], "instType": "SWAP"}
    return {"channel": CHANNELS[channel.name], "instId": channel.instrument}


def parse(heard: Heard, body: object) -> Iterator[Event]:
    """A push {"arg": {"channel", "instId"}, "action"?, "data": [...]}, or an answer {"event", …}."""
    frame = checks.mapping(body, "frame")
    event = frame.get("event")
    if (complaint := messages.complaint(frame)) is not None and event != "notice":
        raise complaint
    if event is not None:
        yield Quiet(why=str(event)[:20])
        return
    arg = checks.mapping(frame.get("arg"), "arg")
    channel = checks.text(arg.get("channel"), "channel")
    if channel in ACCOUNT_CHANNELS:
        raise Rejected(Rejection.NOT_READ, f"recognised, and not read: an account's {channel}")
    rows = checks.sequence(frame.get("data"), "data")
    if channel == CHANNELS[LIQUIDATIONS]:
        yield from _liquidations(heard, rows)
        return
    entry = rows[0] if rows else None
    named = arg.get("instId") or (entry.get("instId") if isinstance(entry, dict) else None)
    name = checks.text(named or arg.get("instFamily"), "instId")
    heard.market(name)
    if channel in BOOKS_OF_DIFFERENCES:
        yield from _books(heard, name, frame.get("action"), rows)
    elif channel in ("trades", "trades-all"):
        contract = contract_of(heard.contracts.get(name), name)
        for row in rows:
            checks.same_instrument(checks.mapping(row, "a trade").get("instId"), name, "instId")
            yield messages.trade(row, contract)
    elif channel.startswith("candle"):
        yield from messages.parse_candles(heard.asked(name, perpetual=is_perpetual(name)), frame)
    elif channel in READ_AS:
        yield from READ_AS[channel](heard.asked(name, perpetual=is_perpetual(name)), frame)
    else:
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"channel {channel[:40]} is not read")


def _books(heard: Heard, name: str, action: object, rows: Sequence[object]) -> Iterator[Event]:
    contract = contract_of(heard.contracts.get(name), name)
    for row in rows:
        entry = checks.mapping(row, "a book")
        bids, asks = entry.get("bids"), entry.get("asks")
        venue_ms = checks.time_ms(entry.get("ts"), "ts")
        sequence = _number(entry.get("seqId"), "seqId")
        checksum = _number(entry.get("checksum"), "checksum")
        if action == "snapshot":
            yield BookSnapshot(
                instrument=name,
                perpetual=is_perpetual(name),
                venue_ms=venue_ms,
                sequence=sequence or 0,
                bids=levels(bids, "bids"),
                asks=levels(asks, "asks"),
                checksum=checksum,
                raw_bids=as_written(bids) if checksum is not None else (),
                raw_asks=as_written(asks) if checksum is not None else (),
                unit=contract.unit_usd or contract.unit_coins or 1.0,
                sizes_in_usd=contract.unit_usd is not None,
                depth=BOOK_DEPTH,
            )
        elif action == "update":
            yield BookDiff(
                instrument=name,
                perpetual=is_perpetual(name),
                venue_ms=venue_ms,
                first=sequence or 0,
                last=sequence or 0,
                previous=_number(entry.get("prevSeqId"), "prevSeqId"),
                bids=levels(bids, "bids"),
                asks=levels(asks, "asks"),
                checksum=checksum,
                raw_bids=as_written(bids) if checksum is not None else (),
                raw_asks=as_written(asks) if checksum is not None else (),
            )
        else:
            raise Rejected(Rejection.UNKNOWN_SHAPE, f"a book that is {str(action)[:20]}")


def _liquidations(heard: Heard, rows: Sequence[object]) -> Iterator[Event]:
    """All swaps of the venue are in it; those of others than ours are read and of no further use."""
    for row in rows:
        entry = checks.mapping(row, "an instrument's liquidations")
        name = checks.text(entry.get("instId"), "instId")
        if heard.market_of and name not in heard.market_of:
            yield Quiet(why="another instrument")
            continue
        yield from messages.liquidations(entry, heard.contracts.get(name))


def _number(value: object, what: str) -> int | None:
    return None if checks.absent(value) else checks.whole(value, what)


def hears(_address: str, frame: object) -> bool:
    return isinstance(frame, dict) and ("arg" in frame or "event" in frame)


PUBLIC: Final = Stream(
    name="public",
    path="/ws/v5/public",
    channels=channels,
    subscribe=subscribe,
    resubscribe=asked_anew(_ask),
    parse=parse,
    hears=hears,
    silence_s=30.0,
    sequence=SequenceRule.PREVIOUS,
    checksum=checksums.okx,
    needs_contracts=True,
    ping=lambda _now_ms: b"ping",
    ping_every_s=20.0,
    plain=frozenset({b"pong"}),
    says="books (400 levels, checksums), trades, liquidation-orders of all swaps",
)
STREAMS: Final[tuple[Stream, ...]] = (PUBLIC,)
