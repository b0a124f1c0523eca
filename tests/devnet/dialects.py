"""One recorded market in the words of each venue: what its socket would have said of Binance's ETHUSDT on 2024-08-08.

The recording is Binance's own; the others say the same changes as their documents write them, so that independent
adapters can be heard side by side and end in one book. Checksums and windows are made here by sorting plain
dictionaries, and share no code with the books under test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from zlib import crc32

import msgspec

from margrave.collect.books.ladder import Ladder
from margrave.messages import Contract, ContractKind
from margrave.settings import Instruments
from tests.unit.collect import l2

TAPE: Final = "spot_ethusdt_20240808.gz"
Rows = Iterable[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the tape, decoded."""

    at_ms: int
    """By the venue's clock."""
    stream: str
    data: dict[str, Any]

    @property
    def is_book(self) -> bool:
        return self.data.get("e") == "depthUpdate"

    @property
    def is_trade(self) -> bool:
        return self.data.get("e") == "trade"


@cache
def _recorded() -> tuple[Said, ...]:
    """In order; times of messages that carry none are those of the message before."""
    messages = [msgspec.json.decode(frame) for _, frame in l2.frames(TAPE)]
    at_ms, said = next(m["data"]["E"] for m in messages if "E" in m.get("data", {})), []
    for message in messages:
        if "lastUpdateId" in message:
            continue
        at_ms = max(at_ms, message["data"].get("E", at_ms))
        said.append(Said(at_ms, message["stream"], message["data"]))
    return tuple(said)


@cache
def tape() -> tuple[Said, ...]:
    """What the venues say: differences and trades. The tickers beside them are what books are held against."""
    return tuple(said for said in _recorded() if said.is_book or said.is_trade)


@cache
def _first_snapshot() -> tuple[int, Mapping[str, str], Mapping[str, str]]:
    for message in l2.messages(TAPE):
        if "lastUpdateId" in message:
            return message["lastUpdateId"], dict(message["bids"]), dict(message["asks"])
    raise AssertionError("the recording holds a snapshot")


Best = tuple[float | None, float | None, float | None, float | None]
"""Bid, its size, ask, its size."""


@cache
def best_at() -> Mapping[int, Best]:
    """What was best after each update id at which a depth message ends, by the exchange's own bookTicker."""
    best: Best = (None, None, None, None)
    found = {}
    tickers = [(s.data["u"], *(float(s.data[key]) for key in "bBaA")) for s in _recorded() if "B" in s.data]
    pending = sorted(tickers, reverse=True)
    for last in sorted(s.data["u"] for s in tape() if s.is_book):
        while pending and pending[-1][0] <= last:
            _, bid, bid_size, ask, ask_size = pending.pop()
            best = (bid, bid_size, ask, ask_size)
        found[last] = best
    return found


@cache
def best_by_time() -> Mapping[int, Best]:
    """The same by the time of each depth message."""
    return {said.at_ms: best_at()[said.data["u"]] for said in tape() if said.is_book}


def best_of(ladder: Ladder) -> Best:
    """What a kept book says is best."""
    bid, ask = ladder.bids.best, ladder.asks.best
    return (bid, ladder.bids.sizes.get(bid or 0.0), ask, ladder.asks.sizes.get(ask or 0.0))


class Market:
    """The whole book as the exchange has it, after so many messages of the tape."""

    def __init__(self, played: int = 0) -> None:
        self.last, bids, asks = _first_snapshot()
        self.bids = {float(price): (price, size) for price, size in bids.items()}
        self.asks = {float(price): (price, size) for price, size in asks.items()}
        for said in tape()[:played]:
            self.apply(said)

    def apply(self, said: Said) -> None:
        if not said.is_book or said.data["u"] <= self.last:
            return
        self.last = said.data["u"]
        for side, rows in ((self.bids, said.data["b"]), (self.asks, said.data["a"])):
            for price, size in rows:
                if float(size):
                    side[float(price)] = (price, size)
                else:
                    side.pop(float(price), None)

    def sides(self, depth: int | None = None) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """(bids, asks), best first."""
        bids, asks = sorted(self.bids, reverse=True)[:depth], sorted(self.asks)[:depth]
        return [self.bids[price] for price in bids], [self.asks[price] for price in asks]


class Speaker:
    """One connection's state: the market so far, and how many messages were numbered."""

    def __init__(self, played: int) -> None:
        self.market = Market(played)
        self.number = 1
        """Of the next message of the book."""
        self.frames = 0
        """Of the connection."""

    def next_frame(self) -> int:
        self.frames += 1
        return self.frames - 1


Speak = Callable[[Said, Speaker], Iterable[str]]
Greet = Callable[[int, Speaker], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one venue says the tape."""

    names: Instruments
    stream: str
    """Which of the venue's streams it is."""
    speak: Speak
    """What is said of one message, which the speaker's market has taken in."""
    greet: Greet = lambda _at_ms, _speaker: ()
    """What is said to a subscription."""
    answers: Mapping[str, Callable[[int], Any]] = field(default_factory=dict)
    """REST answers by path, after so many messages."""
    heartbeat: str
    contract: Contract | None = None
    numbered: bool = True
    """A message that is lost shows in the numbers of the next one."""


def said_as(value: object) -> str:
    return msgspec.json.encode(value).decode()


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _side(said: Said) -> str:
    return "sell" if said.data["m"] else "buy"


# --- Binance: as it was recorded ------------------------------------------------------------------------------------


def _binance(said: Said, _: Speaker) -> Iterable[str]:
    yield said_as({"stream": said.stream, "data": said.data})


def _binance_depth(played: int) -> object:
    market = Market(played)
    bids, asks = market.sides(1000)
    return {"lastUpdateId": market.last, "bids": bids, "asks": asks}


# --- Bybit v5 -------------------------------------------------------------------------------------------------------


def _bybit(said: Said, speaker: Speaker) -> Iterable[str]:
    data = said.data
    if said.is_book:
        speaker.number += 1
        body = {"s": "ETHUSDT", "b": data["b"], "a": data["a"], "u": speaker.number, "seq": data["u"]}
        yield said_as({"topic": "orderbook.200.ETHUSDT", "type": "delta", "ts": said.at_ms, "data": body})
    elif said.is_trade:
        row = {
            "T": data["T"],
            "s": "ETHUSDT",
            "S": _side(said).title(),
            "v": data["q"],
            "p": data["p"],
            "i": str(data["t"]),
        }
        yield said_as({"topic": "publicTrade.ETHUSDT", "type": "snapshot", "ts": said.at_ms, "data": [row]})


def _bybit_greets(at_ms: int, speaker: Speaker) -> Iterable[str]:
    bids, asks = speaker.market.sides(200)
    body = {"s": "ETHUSDT", "b": bids, "a": asks, "u": speaker.number, "seq": speaker.market.last}
    yield said_as({"topic": "orderbook.200.ETHUSDT", "type": "snapshot", "ts": at_ms, "data": body})


# --- Deribit: sizes in dollars, action by level ---------------------------------------------------------------------


def _actions(rows: Rows, verb: str) -> list[list[Any]]:
    return [["delete" if not float(size) else verb, float(price), float(size)] for price, size in rows]


def _deribit_says(channel: str, data: object) -> str:
    params = {"channel": f"{channel}.ETH-PERPETUAL.100ms", "data": data}
    return said_as({"jsonrpc": "2.0", "method": "subscription", "params": params})


def _deribit(said: Said, speaker: Speaker) -> Iterable[str]:
    data = said.data
    if said.is_book:
        speaker.number += 7
        body = {"type": "change", "timestamp": said.at_ms, "instrument_name": "ETH-PERPETUAL"}
        numbers = {"change_id": speaker.number, "prev_change_id": speaker.number - 7}
        sides = {"bids": _actions(data["b"], "change"), "asks": _actions(data["a"], "new")}
        yield _deribit_says("book", {**body, **numbers, **sides})
    elif said.is_trade:
        row = {"timestamp": data["T"], "trade_id": f"ETH-{data['t']}", "instrument_name": "ETH-PERPETUAL"}
        deal = {"price": float(data["p"]), "amount": float(data["q"]), "direction": _side(said), "tick_direction": 0}
        yield _deribit_says("trades", [{**row, **deal}])


def _deribit_greets(at_ms: int, speaker: Speaker) -> Iterable[str]:
    bids, asks = speaker.market.sides()
    body = {"type": "snapshot", "timestamp": at_ms, "instrument_name": "ETH-PERPETUAL", "change_id": speaker.number}
    yield _deribit_says("book", {**body, "bids": _actions(bids, "new"), "asks": _actions(asks, "new")})


# --- OKX v5: numbers and a checksum ---------------------------------------------------------------------------------


def _okx_sum(speaker: Speaker) -> int:
    bids, asks = speaker.market.sides(25)
    text = ":".join(":".join((*bid, *ask)) for bid, ask in zip(bids, asks, strict=True))
    return crc32(text.encode()) - 2**32 if crc32(text.encode()) >= 2**31 else crc32(text.encode())


def _okx_book(at_ms: int, speaker: Speaker, bids: Rows, asks: Rows) -> dict[str, Any]:
    sides = {"bids": [[*row, "0", "1"] for row in bids], "asks": [[*row, "0", "1"] for row in asks]}
    return {**sides, "ts": str(at_ms), "checksum": _okx_sum(speaker), "seqId": speaker.number}


def _okx(said: Said, speaker: Speaker) -> Iterable[str]:
    data = said.data
    if said.is_book:
        before, speaker.number = speaker.number, speaker.number + 3
        book = {**_okx_book(said.at_ms, speaker, data["b"], data["a"]), "prevSeqId": before}
        yield said_as({"arg": {"channel": "books", "instId": "ETH-USDT"}, "action": "update", "data": [book]})
    elif said.is_trade:
        row = {"instId": "ETH-USDT", "tradeId": str(data["t"]), "px": data["p"], "sz": data["q"]}
        row |= {"side": _side(said), "ts": str(data["T"])}
        yield said_as({"arg": {"channel": "trades", "instId": "ETH-USDT"}, "data": [row]})


def _okx_greets(at_ms: int, speaker: Speaker) -> Iterable[str]:
    book = {**_okx_book(at_ms, speaker, *speaker.market.sides(400)), "prevSeqId": -1}
    yield said_as({"arg": {"channel": "books", "instId": "ETH-USDT"}, "action": "snapshot", "data": [book]})


# --- Kraken v2: no numbers, a checksum over digits ------------------------------------------------------------------


def _kraken_sum(speaker: Speaker) -> int:
    bids, asks = speaker.market.sides(10)
    return crc32("".join(part.replace(".", "").lstrip("0") for row in (*asks, *bids) for part in row).encode())


def _kraken_says(kind: str, at_ms: int, speaker: Speaker, bids: Rows, asks: Rows) -> str:
    sides = {
        name: [{"price": float(price), "qty": float(size)} for price, size in rows]
        for name, rows in (("bids", bids), ("asks", asks))
    }
    book = {"symbol": "ETH/USD", **sides, "checksum": _kraken_sum(speaker), "timestamp": iso(at_ms)}
    return said_as({"channel": "book", "type": kind, "data": [book]})


def _kraken(said: Said, speaker: Speaker) -> Iterable[str]:
    data = said.data
    if said.is_book:
        yield _kraken_says("update", said.at_ms, speaker, data["b"], data["a"])
    elif said.is_trade:
        row = {"symbol": "ETH/USD", "side": _side(said), "price": float(data["p"]), "qty": float(data["q"])}
        row |= {"ord_type": "market", "trade_id": data["t"], "timestamp": iso(data["T"])}
        yield said_as({"channel": "trade", "type": "update", "data": [row]})


def _kraken_greets(at_ms: int, speaker: Speaker) -> Iterable[str]:
    yield _kraken_says("snapshot", at_ms, speaker, *speaker.market.sides(1000))


# --- Coinbase Advanced Trade: one count over the connection ---------------------------------------------------------


def _coinbase_says(channel: str, at_ms: int, speaker: Speaker, event: object) -> str:
    head = {"channel": channel, "client_id": "", "timestamp": iso(at_ms), "sequence_num": speaker.next_frame()}
    return said_as({**head, "events": [event]})


def _coinbase_book(kind: str, at_ms: int, bids: Rows, asks: Rows) -> dict[str, Any]:
    updates = [
        {"side": side, "event_time": iso(at_ms), "price_level": price, "new_quantity": size}
        for side, rows in (("bid", bids), ("offer", asks))
        for price, size in rows
    ]
    return {"type": kind, "product_id": "ETH-USD", "updates": updates}


def _coinbase(said: Said, speaker: Speaker) -> Iterable[str]:
    data = said.data
    if said.is_book:
        event = _coinbase_book("update", said.at_ms, data["b"], data["a"])
        yield _coinbase_says("l2_data", said.at_ms, speaker, event)
    elif said.is_trade:
        row = {"trade_id": str(data["t"]), "product_id": "ETH-USD", "price": data["p"], "size": data["q"]}
        row |= {"side": _side(said).upper(), "time": iso(data["T"])}
        yield _coinbase_says("market_trades", said.at_ms, speaker, {"type": "update", "trades": [row]})


def _coinbase_greets(at_ms: int, speaker: Speaker) -> Iterable[str]:
    yield _coinbase_says("l2_data", at_ms, speaker, _coinbase_book("snapshot", at_ms, *speaker.market.sides()))


# --- Hyperliquid: every message whole -------------------------------------------------------------------------------


def _hyperliquid(said: Said, speaker: Speaker) -> Iterable[str]:
    data = said.data
    if said.is_book:
        sides = [[{"px": price, "sz": size, "n": 1} for price, size in rows] for rows in speaker.market.sides(20)]
        yield said_as({"channel": "l2Book", "data": {"coin": "ETH", "time": said.at_ms, "levels": sides}})
    elif said.is_trade:
        row = {"coin": "ETH", "side": "A" if data["m"] else "B", "px": data["p"], "sz": data["q"], "time": data["T"]}
        yield said_as({"channel": "trades", "data": [{**row, "tid": data["t"], "hash": "0x0"}]})


DIALECTS: Final[Mapping[str, Dialect]] = {
    "binance": Dialect(
        names=Instruments(spot="ETHUSDT"),
        stream="spot",
        speak=_binance,
        answers={"/api/v3/depth": _binance_depth},
        heartbeat='{"result":null,"id":9}',
    ),
    "bybit": Dialect(
        names=Instruments(spot="ETHUSDT"),
        stream="spot",
        speak=_bybit,
        greet=_bybit_greets,
        heartbeat='{"success":true,"ret_msg":"pong","op":"ping"}',
    ),
    "deribit": Dialect(
        names=Instruments(perpetual="ETH-PERPETUAL"),
        stream="all",
        speak=_deribit,
        greet=_deribit_greets,
        heartbeat='{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"heartbeat"}}',
    ),
    "okx": Dialect(
        names=Instruments(spot="ETH-USDT"),
        stream="public",
        speak=_okx,
        greet=_okx_greets,
        heartbeat="pong",
        contract=Contract(source="okx", instrument="ETH-USDT", seen_time_ms=0, kind=ContractKind.SPOT),
    ),
    "kraken": Dialect(
        names=Instruments(spot="ETHUSD"),
        stream="spot",
        speak=_kraken,
        greet=_kraken_greets,
        heartbeat='{"channel":"heartbeat"}',
        contract=Contract(
            source="kraken",
            instrument="ETH/USD",
            seen_time_ms=0,
            kind=ContractKind.SPOT,
            price_digits=8,
            size_digits=8,
        ),
    ),
    "coinbase": Dialect(
        names=Instruments(spot="ETH-USD"),
        stream="advanced",
        speak=_coinbase,
        greet=_coinbase_greets,
        heartbeat='{"channel":"heartbeats","timestamp":"2024-08-08T23:54:15Z","events":[{"heartbeat_counter":1}]}',
    ),
    "hyperliquid": Dialect(
        names=Instruments(perpetual="ETH"),
        stream="public",
        speak=_hyperliquid,
        heartbeat='{"channel":"pong"}',
        numbered=False,
    ),
}
