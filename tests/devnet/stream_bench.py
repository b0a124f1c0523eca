"""One venue on a port of the loopback: REST answers and websocket frames of a recording, at the recording's pace, with
the faults that venues have; and one node's sockets that listen to it.

The tape is Binance's raw stream of ETHUSDT (2024-08-08). Binance is served as it was recorded; any other venue says the
same market in its own dialect, so that two independent adapters can be heard side by side. What a REST snapshot says is
made here from the tape by plain dictionaries, and shares no code with the books under test.
"""

from __future__ import annotations

import asyncio
import http
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from margrave.collect.board import Board
from margrave.collect.listener import listener_of
from margrave.collect.poller import Poller
from margrave.collect.socket import Socket
from margrave.collect.source import Venue
from margrave.collect.stream import Stream
from margrave.collect.venues import VENUES
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import Instruments, MarketSettings, VenueSettings
from tests.unit.collect import l2

TAPE: Final = "spot_ethusdt_20240808.gz"
SPEED: Final = 20.0
"""Market seconds a wall second: silences and pauses shrink with it."""
RETRY_AFTER_S: Final = 40
SKEW_MS: Final = 600_000
Frame = bytes | str
TIMES: Final = re.compile(r'"(E|T|ts|cts)":(\d{13})')


class Fault(StrEnum):
    CUT_MID_FRAME = "cut_mid_frame"  # half a frame, then the connection is gone
    GAP = "gap"  # one message is missing
    STALE_REPEATS = "stale_repeats"  # the last twenty messages are said again
    OUT_OF_ORDER = "out_of_order"  # two messages change places
    DUPLICATE = "duplicate"  # each message is said twice
    GARBAGE = "garbage"  # gzip, or what looks like it, where JSON was
    GEO_BLOCKED = "geo_blocked"  # 451 on the handshake
    RATE_LIMITED = "rate_limited"  # 429 on the handshake, with Retry-After
    MAINTENANCE = "maintenance"  # 503 on the handshake
    HALF_OPEN = "half_open"  # the far end is gone, and nobody tells us
    HEARTBEATS = "heartbeats"  # open, and nothing but signs of life
    SKEWED = "skewed"  # its clock is ten minutes ahead
    BEHIND = "behind"  # its clock is ten minutes behind
    FLOOD = "flood"  # the rest of the tape at once


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the tape, decoded."""

    at_ms: int
    """By the venue's clock."""
    stream: str
    data: dict[str, Any]


@cache
def tape() -> tuple[Said, ...]:
    """The recording in order; times of messages that carry none are those of the message before."""
    messages = [msgspec.json.decode(frame) for _, frame in l2.frames(TAPE)]
    at_ms, said = next(m["data"]["E"] for m in messages if "E" in m.get("data", {})), []
    for message in messages:
        if "lastUpdateId" in message:
            continue
        at_ms = max(at_ms, message["data"].get("E", at_ms))
        said.append(Said(at_ms, message["stream"], message["data"]))
    return tuple(said)


@cache
def _first_snapshot() -> tuple[int, Mapping[str, str], Mapping[str, str]]:
    for message in l2.messages(TAPE):
        if "lastUpdateId" in message:
            return message["lastUpdateId"], dict(message["bids"]), dict(message["asks"])
    raise AssertionError("the recording holds a snapshot")


@cache
def best_at() -> Mapping[int, tuple[float, float]]:
    """Best bid and ask after each update id at which a depth message ends, by the exchange's own bookTicker."""
    best, pending, found = (0.0, 0.0), [], {}
    tickers = [(s.data["u"], float(s.data["b"]), float(s.data["a"])) for s in tape() if "B" in s.data]
    pending = sorted(tickers, reverse=True)
    for last in sorted(s.data["u"] for s in tape() if s.data.get("e") == "depthUpdate"):
        while pending and pending[-1][0] <= last:
            _, *pair = pending.pop()
            best = (pair[0], pair[1])
        found[last] = best
    return found


def truth(played: int) -> dict[str, Any]:
    """The whole book as the exchange has it when so many messages of the tape are said."""
    last, bids, asks = _first_snapshot()
    bids, asks = dict(bids), dict(asks)
    for said in tape()[:played]:
        if said.data.get("e") == "depthUpdate" and said.data["u"] > last:
            last = said.data["u"]
            for side, rows in ((bids, said.data["b"]), (asks, said.data["a"])):
                for price, size in rows:
                    if float(size):
                        side[price] = size
                    else:
                        side.pop(price, None)
    return {
        "lastUpdateId": last,
        "bids": sorted(bids.items(), key=lambda x: -float(x[0])),
        "asks": sorted(asks.items(), key=lambda x: float(x[0])),
    }


# --- dialects -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one venue says the tape."""

    names: Instruments
    stream: str
    """Which of the venue's streams it is."""
    speak: Callable[[Said, int], Sequence[Frame]]
    """(a message, its number) -> frames."""
    greet: Callable[[int, int], Sequence[Frame]] = lambda _played, _number: ()
    """(messages said so far, number of the next one) -> what is said to a subscription."""
    answers: Mapping[str, Callable[[int], Any]] = field(default_factory=dict)
    """REST answers by path, by how many messages are said."""
    heartbeat: Frame = "{}"


def _binance(said: Said, _number: int) -> Sequence[Frame]:
    return [msgspec.json.encode({"stream": said.stream, "data": said.data}).decode()]


def _bybit(said: Said, number: int) -> Sequence[Frame]:
    data = said.data
    match data.get("e"):
        case "depthUpdate":
            body = {"s": "ETHUSDT", "b": data["b"], "a": data["a"], "u": number, "seq": data["u"]}
            return [_topic("orderbook.200.ETHUSDT", "delta", said.at_ms, body)]
        case "trade":
            side = "Sell" if data["m"] else "Buy"
            row = {"T": data["T"], "s": "ETHUSDT", "S": side, "v": data["q"], "p": data["p"], "i": str(data["t"])}
            return [_topic("publicTrade.ETHUSDT", "snapshot", said.at_ms, [row])]
    return ()


def _bybit_snapshot(played: int, number: int) -> Sequence[Frame]:
    book = truth(played)
    top = {"b": book["bids"][:200], "a": book["asks"][:200]}
    body = {"s": "ETHUSDT", **top, "u": number - 1, "seq": book["lastUpdateId"]}
    return [_topic("orderbook.200.ETHUSDT", "snapshot", tape()[played].at_ms, body)]


def _topic(topic: str, kind: str, at_ms: int, data: object) -> str:
    return msgspec.json.encode({"topic": topic, "type": kind, "ts": at_ms, "data": data}).decode()


DIALECTS: Final[Mapping[str, Dialect]] = {
    "binance": Dialect(
        names=Instruments(spot="ETHUSDT"),
        stream="spot",
        speak=_binance,
        answers={"/api/v3/depth": truth},
        heartbeat='{"result":null,"id":9}',
    ),
    "bybit": Dialect(
        names=Instruments(spot="ETHUSDT"),
        stream="spot",
        speak=_bybit,
        greet=_bybit_snapshot,
        heartbeat='{"success":true,"ret_msg":"pong","op":"ping"}',
    ),
}


# --- the venue ------------------------------------------------------------------------------------------------------


class LocalVenue:
    """Plays the tape in one dialect to whoever subscribes; `fault` may be set at any time."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name, self.dialect, self.clock = name, DIALECTS[name], clock
        self.fault: Fault | None = None
        self.connections = 0
        self.refused = 0
        self.snapshots = 0
        self.faults_played = 0
        self.url = ""
        self.ended = asyncio.Event()

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def process(self, _connection: ServerConnection, request: Request) -> Response | None:
        """HTTP answers, and handshakes that are refused; `None` lets a websocket begin."""
        refusals = {
            Fault.GEO_BLOCKED: (451, {}),
            Fault.RATE_LIMITED: (429, {"Retry-After": str(RETRY_AFTER_S)}),
            Fault.MAINTENANCE: (503, {}),
        }
        if self.fault in refusals:
            self.refused += 1
            status, headers = refusals[self.fault]
            return Response(status, http.HTTPStatus(status).phrase, Headers({**headers, "Content-Length": "0"}), b"")
        path = request.path.partition("?")[0]
        if (answer := self.dialect.answers.get(path)) is None:
            return None
        self.snapshots += 1
        body = msgspec.json.encode(answer(_said_by(self.clock.now_ms())))
        return Response(
            200, "OK", Headers({"Content-Type": "application/json", "Content-Length": str(len(body))}), body
        )

    async def play(self, ws: ServerConnection) -> None:
        """One connection: what is subscribed to is said from the tape's present on."""
        self.connections += 1
        with suppress(ConnectionClosed):
            await ws.recv()
            listening = asyncio.create_task(self._greet_again(ws))
            try:
                await self._play(ws)
            finally:
                listening.cancel()

    async def _greet_again(self, ws: ServerConnection) -> None:
        """A second subscription gets the greeting again, as real venues do."""
        with suppress(ConnectionClosed):
            while True:
                message = await ws.recv()
                text = message if isinstance(message, str) else message.decode()
                if '"subscribe"' in text or "SUBSCRIBE" in text:
                    self._due.set()

    async def _play(self, ws: ServerConnection) -> None:
        self._due = asyncio.Event()
        self._due.set()
        number, last = 1, list[Frame]()
        for played in range(_said_by(self.clock.now_ms()), len(tape())):
            said = tape()[played]
            if self.fault is not Fault.FLOOD:
                await self.clock.sleep_until_ms(said.at_ms)
            if self._due.is_set():
                self._due.clear()
                for frame in self.dialect.greet(played, number):
                    await ws.send(self._stamped(frame))
            if self.fault is Fault.HEARTBEATS:
                await ws.send(self.dialect.heartbeat)
                continue
            frames = self.dialect.speak(said, number)
            is_book = said.data.get("e") == "depthUpdate"
            number += is_book
            for frame in frames:
                await self._say(ws, self._stamped(frame), last, is_book=is_book)
                last.append(frame)
                del last[:-20]

    async def _say(self, ws: ServerConnection, frame: Frame, last: list[Frame], *, is_book: bool) -> None:
        """One frame, or what the fault makes of it. Faults that happen once mend themselves."""
        fault = self.fault
        once = fault in (Fault.GAP, Fault.OUT_OF_ORDER, Fault.CUT_MID_FRAME, Fault.STALE_REPEATS)
        if once and not is_book:
            await ws.send(frame)
            return
        if fault is not None:
            self.faults_played += 1
        if once:
            self.fault = None
        match fault:
            case Fault.GAP:
                return
            case Fault.STALE_REPEATS:
                for old in last:
                    await ws.send(old)
            case Fault.OUT_OF_ORDER:
                self._held_back = frame
                return
            case Fault.DUPLICATE:
                await ws.send(frame)
            case Fault.GARBAGE:
                frame = b"\x1f\x8b\x08\x00" + (frame.encode() if isinstance(frame, str) else frame)[:60]
            case Fault.CUT_MID_FRAME:
                ws.transport.write(b"\x81\x7e\x04\x00" + b'{"half": "a frame')
                ws.transport.abort()
                return
            case Fault.HALF_OPEN:
                ws.transport.pause_reading()
                await self.ended.wait()
        await ws.send(frame)
        if is_book and self._held_back is not None:
            held, self._held_back = self._held_back, None
            await ws.send(held)

    _held_back: Frame | None = None

    def _stamped(self, frame: Frame) -> Frame:
        """The frame with the venue's clock on it."""
        shift = {Fault.SKEWED: SKEW_MS, Fault.BEHIND: -SKEW_MS}.get(self.fault or Fault.GAP, 0)
        if not shift:
            return frame
        text = frame if isinstance(frame, str) else frame.decode()
        return TIMES.sub(lambda found: f'"{found[1]}":{int(found[2]) + shift}', text)


def _said_by(now_ms: int) -> int:
    """How many messages of the tape have been said at a moment of it."""
    return bisect_right(tape(), now_ms, key=lambda said: said.at_ms)


@asynccontextmanager
async def local_venue(name: str, clock: Clock) -> AsyncIterator[LocalVenue]:
    """Serve on a free port until the end of the block."""
    venue = LocalVenue(name, clock)
    async with serve(
        venue.play, "127.0.0.1", 0, process_request=venue.process, compression=None, close_timeout=0.1
    ) as server:
        venue.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        try:
            yield venue
        finally:
            venue.ended.set()


# --- the node -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Heard:
    """A local venue and the socket of ours that listens to it."""

    venue: LocalVenue
    socket: Socket

    @property
    def book(self) -> Any:
        return next(iter(self.socket.listener.books.values()))


@dataclass(slots=True)
class Bench:
    clock: Clock
    board: Board
    heard: dict[str, Heard]

    def tell(self) -> None:
        for heard in self.heard.values():
            heard.socket.tell()

    async def until(self, what: Callable[[], bool], *, market_s: float = 120.0) -> None:
        """Wait for something of the market's next minutes."""
        end_ms = self.clock.now_ms() + int(market_s * 1000)
        while not what():
            assert self.clock.now_ms() < end_ms, "it did not come about"
            await asyncio.sleep(0.01)

    async def until_whole(self, name: str) -> None:
        await self.until(lambda: self.heard[name].book.keeper.whole and self.heard[name].book.keeper.applied > 1)

    def assert_right(self, name: str) -> None:
        """The kept book's best is what the exchange said was best at the same update."""
        keeper = self.heard[name].book.keeper
        assert keeper.whole
        bid, ask = keeper.ladder.bids.best, keeper.ladder.asks.best
        if name == "binance":
            assert (bid, ask) == best_at()[keeper.sequence]
        else:
            assert (bid, ask) in set(best_at().values())


@asynccontextmanager
async def bench(*names: str, changed: Callable[[Stream], Stream] = lambda s: s) -> AsyncIterator[Bench]:
    """Local venues, and a socket of ours to each, from the beginning of the tape on."""
    clock = Clock(origin_ms=tape()[0].at_ms + 2_000, wall_origin_ms=wall_ms(), speed=SPEED)
    board = Board()
    async with _all(names, clock) as venues, asyncio.TaskGroup() as group:
        heard = {}
        for venue in venues:
            adapter = VENUES[venue.name]
            socket, poller = _socket(venue, adapter, board, clock, changed)
            heard[venue.name] = Heard(venue, socket)
            group.create_task(_until_cancelled(socket, poller))
        running = Bench(clock, board, heard)
        try:
            yield running
        finally:
            for task in group._tasks:
                task.cancel()


@asynccontextmanager
async def _all(names: Sequence[str], clock: Clock) -> AsyncIterator[list[LocalVenue]]:
    if not names:
        yield []
        return
    async with local_venue(names[0], clock) as first, _all(names[1:], clock) as rest:
        yield [first, *rest]


def _socket(
    venue: LocalVenue, adapter: Venue, board: Board, clock: Clock, changed: Callable[[Stream], Stream]
) -> tuple[Socket, Poller]:
    settings = VenueSettings(base_url=venue.url, stream_url=venue.ws_url, requests_per_minute=60_000)
    names = {venue.name: venue.dialect.names}
    markets = {"ETH": MarketSettings(id=0, reference_size_usd=100_000.0, instruments=names)}
    stream = changed(next(s for s in adapter.streams if s.name == venue.dialect.stream))
    poller = Poller(adapter, settings, markets, board=board, clock=clock)
    listener = listener_of(adapter, stream, markets, board=board)
    return Socket(listener, settings, board=board, clock=clock, fetch=poller.fetch), poller


async def _until_cancelled(socket: Socket, poller: Poller) -> None:
    try:
        await socket.run()
    finally:
        await poller.close()
