"""Deribit's websocket: JSON-RPC notifications {"method": "subscription", "params": {"channel", "data"}}.

Live, the node hears `book.{instrument}.100ms` (a snapshot, then changes that name the one before: prev_change_id) and
`trades.{instrument}.100ms`, which tell liquidations too. All else that a recording may hold is read as well: tickers,
quotes, grouped books, the price and volatility indices. `public/set_heartbeat` makes the venue ask whether we are there
(`test_request`); who does not answer is disconnected. Channels named `.raw` want an account, and are not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from margrave.collect import checks, readings
from margrave.collect.books.levels import Levels, levels
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
    Reply,
    Stream,
)
from margrave.collect.venues.deribit import messages
from margrave.collect.venues.deribit.names import kind_of, no_combination, sizes_in_usd
from margrave.errors import Rejected
from margrave.messages import ContractKind, Kind
from margrave.settings import Instruments
from margrave.verdicts import Rejection

HEARTBEAT_S: Final = 10
"""The least that the venue takes."""
CHANNELS_A_MESSAGE: Final = 100
TEST: Final = b'{"jsonrpc":"2.0","id":9000,"method":"public/test","params":{}}'
WORD: Final = {BOOK: "book", TRADES: "trades", LIQUIDATIONS: "trades"}


def channels(market: str, names: Instruments) -> Iterator[Channel]:
    if names.perpetual:
        for name in WORD:
            yield Channel(name, names.perpetual, market, perpetual=True)


def subscribe(wanted: Sequence[Channel]) -> Iterator[bytes]:
    yield _call(1, "public/set_heartbeat", {"interval": HEARTBEAT_S})
    names = list(dict.fromkeys(_name(channel) for channel in wanted))
    for first in range(0, len(names), CHANNELS_A_MESSAGE):
        yield _call(2 + first, "public/subscribe", {"channels": names[first : first + CHANNELS_A_MESSAGE]})


def resubscribe(channel: Channel) -> Iterator[bytes]:
    yield _call(8001, "public/unsubscribe", {"channels": [_name(channel)]})
    yield _call(8002, "public/subscribe", {"channels": [_name(channel)]})


def _name(channel: Channel) -> str:
    return f"{WORD[channel.name]}.{channel.instrument}.100ms"


def _call(number: int, method: str, params: Mapping[str, object]) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def hears(address: str, frame: object) -> bool:
    """Whether a message of a recording is one of this socket's, told from REST answers in the same envelope."""
    if not isinstance(frame, dict):
        return False
    pushed = frame.get("method") in ("subscription", "heartbeat") or _is_params(frame) or _is_book(frame)
    return pushed or (bool(address) and "jsonrpc" in frame)


def _is_params(frame: Mapping[str, object]) -> bool:
    """What stands in a notification's params, as some recorders keep it."""
    return isinstance(frame.get("channel"), str) and "data" in frame


def _is_book(frame: Mapping[str, object]) -> bool:
    """What stands in the data of a book channel."""
    return frame.get("type") in ("snapshot", "change") and "change_id" in frame


def parse(heard: Heard, frame: object) -> Iterable[Event]:
    message = checks.mapping(frame, "frame")
    if (complaint := messages.complaint(message)) is not None:
        raise complaint
    method = message.get("method")
    if method == "heartbeat":
        params = checks.mapping(message.get("params"), "params")
        asks = params.get("type") == "test_request"
        return (Reply(TEST),) if asks else (Quiet("heartbeat"),)
    if method == "subscription":
        params = checks.mapping(message.get("params"), "params")
        return _pushed(heard, checks.text(params.get("channel"), "channel"), params.get("data"))
    if _is_params(message):
        return _pushed(heard, str(message["channel"]), message["data"])
    if _is_book(message):
        return (_book(heard, message),)
    if "result" in message:
        return (Quiet("answer"),)
    raise Rejected(Rejection.UNKNOWN_SHAPE, f"a message that is neither pushed nor an answer: {_keys(message)}")


def _pushed(heard: Heard, channel: str, data: object) -> Iterable[Event]:
    kind = channel.partition(".")[0]
    match kind:
        case "book":
            return (_book(heard, checks.mapping(data, "data")),)
        case "trades":
            return _trades(heard, checks.sequence(data, "data", least=1))
        case "ticker" | "incremental_ticker":
            row = checks.mapping(data, "data")
            name = checks.text(row.get("instrument_name"), "instrument_name")
            return messages.read_ticker(heard.asked(name), row)
        case "quote":
            return _quote(heard, checks.mapping(data, "data"))
        case "deribit_price_index" | "deribit_volatility_index":
            return _index(heard, checks.mapping(data, "data"))
        case "platform_state" | "announcements" | "instrument":
            return (Quiet(kind),)
        case "user":
            raise Rejected(Rejection.NOT_READ, f"an account's own channel: {channel[:60]}")
    raise Rejected(Rejection.UNKNOWN_SHAPE, f"no channel that is read: {channel[:60]}")


def _book(heard: Heard, data: Mapping[str, object]) -> Event:
    """`book.*`: {"type": "snapshot" | "change", "change_id", "prev_change_id"?, "bids": [[action, price, amount]]};
    grouped channels (`book.{instrument}.{group}.{depth}.{interval}`) have no type and rows of [price, amount]: each is
    whole."""
    name = checks.text(data.get("instrument_name"), "instrument_name")
    heard.market(name)
    no_combination(name)
    perpetual = kind_of(name) is ContractKind.PERPETUAL
    venue_ms = checks.time_ms(data.get("timestamp"), "timestamp")
    number = checks.whole(data.get("change_id"), "change_id")
    form = data.get("type")
    rows = levels if form is None else _changes
    bids, asks = rows(data.get("bids"), "bids"), rows(data.get("asks"), "asks")
    if form == "change":
        before = checks.whole(data.get("prev_change_id"), "prev_change_id")
        return BookDiff(name, perpetual, venue_ms, number, number, before, bids, asks)
    if form not in (None, "snapshot"):
        raise Rejected(Rejection.UNKNOWN_SHAPE, f"a book of type {str(form)[:20]!r}")
    return BookSnapshot(name, perpetual, venue_ms, number, bids, asks, sizes_in_usd=sizes_in_usd(name))


def _changes(rows: object, what: str) -> Levels:
    """[action, price, amount] with action new, change or delete; what is deleted has no size, whatever stands there."""
    told = levels(rows, what, price=1, size=2)
    entries = checks.sequence(rows or [], what)
    return [
        (price, 0.0 if isinstance(row, list) and row[0] == "delete" else size)
        for row, (price, size) in zip(entries, told, strict=True)
    ]


def _trades(heard: Heard, rows: Sequence[object]) -> Iterator[Event]:
    """Each trade, and each position that it closed by force; a bad row refuses itself."""
    for entry in rows:
        row = entry if isinstance(entry, dict) else {}
        try:
            done = messages.trade(checks.mapping(entry, "a trade"))
            heard.market(done.instrument)
            forced = tuple(messages.liquidations(row)) if not checks.absent(row.get("liquidation", "")) else ()
        except Rejected as rejected:
            yield heard.refusal(str(row.get("instrument_name"))[:40], "trades", rejected)
        else:
            yield done
            yield from forced


def _quote(heard: Heard, row: Mapping[str, object]) -> Iterator[Event]:
    """`quote.{instrument}`: the best bid and ask alone, as a book of one level."""
    name = checks.text(row.get("instrument_name"), "instrument_name")
    no_combination(name)
    bid = [row.get("best_bid_price"), row.get("best_bid_amount")]
    ask = [row.get("best_ask_price"), row.get("best_ask_amount")]
    asked = heard.asked(name, perpetual=kind_of(name) is ContractKind.PERPETUAL)
    venue_ms = checks.time_ms(row.get("timestamp"), "timestamp")
    yield readings.book(asked, venue_ms, [bid], [ask], sizes_in_usd=sizes_in_usd(name))


def _index(heard: Heard, row: Mapping[str, object]) -> Iterator[Event]:
    """`deribit_price_index.btc_usd`: {"price"}; `deribit_volatility_index.btc_usd`: {"volatility"} in percent."""
    asked = heard.asked(checks.text(row.get("index_name"), "index_name"))
    venue_ms = checks.time_ms(row.get("timestamp"), "timestamp")
    volatility = readings.scaled(row.get("volatility"), 0.01, "volatility")
    items = tuple(readings.scalars(asked, venue_ms, {Kind.INDEX_PRICE: row.get("price"), Kind.VOL_INDEX: volatility}))
    if not items:
        raise Rejected(Rejection.EMPTY, f"an index without a value: {_keys(row)}")
    yield from items


def _keys(message: Mapping[str, object]) -> str:
    return ", ".join(sorted(message)[:6])[:80] or "an empty object"


STREAM: Final = Stream(
    name="all",
    path="/ws/api/v2",
    channels=channels,
    subscribe=subscribe,
    parse=parse,
    hears=hears,
    silence_s=3.0 * HEARTBEAT_S,
    sequence=SequenceRule.PREVIOUS,
    resubscribe=resubscribe,
    says="book.{perpetual}.100ms, trades.{perpetual}.100ms with liquidations",
)
