"""One venue on a port of the loopback: REST answers and websocket frames of a recording, at the recording's pace, with
the faults that venues have; and one node's sockets that listen to it.

The tape is Binance's raw stream of ETHUSDT (2024-08-08), which `dialects` says in the words of every venue.
"""

from __future__ import annotations

import asyncio
import http
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Final

import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from margrave.collect.board import Board
from margrave.collect.books.keeper import Keeper
from margrave.collect.listener import listener_of
from margrave.collect.poller import Poller
from margrave.collect.socket import Socket
from margrave.collect.source import Venue
from margrave.collect.stream import Stream
from margrave.collect.venues import VENUES
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import MarketSettings, VenueSettings
from tests.devnet.dialects import DIALECTS, Said, Speaker, best_by_time, best_of, tape

SPEED: Final = 8.0
"""Market seconds a wall second: silences and pauses shrink with it."""
RETRY_AFTER_S: Final = 12
SKEW_MS: Final = 600_000
Frame = bytes | str


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
                if "subscribe" in text.lower() and "unsubscribe" not in text:
                    self._due.set()

    async def _play(self, ws: ServerConnection) -> None:
        self._due = asyncio.Event()
        self._due.set()
        last = list[Frame]()
        first = _said_by(self.clock.now_ms())
        speaker = Speaker(first)
        for played in range(first, len(tape())):
            said = self._stamped(tape()[played])
            if self.fault is not Fault.FLOOD:
                await self.clock.sleep_until_ms(tape()[played].at_ms)
            if self._due.is_set():
                self._due.clear()
                for frame in self.dialect.greet(said.at_ms - 1, speaker):
                    await ws.send(frame)
            speaker.market.apply(said)
            frames = list(self.dialect.speak(said, speaker))  # its market goes on, whether it tells or not
            if self.fault is Fault.HEARTBEATS:
                frames = []
                await ws.send(self.dialect.heartbeat)
            for frame in frames:
                await self._say(ws, frame, last, is_book=said.is_book)
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

    def _stamped(self, said: Said) -> Said:
        """A message with the venue's clock on it."""
        shift_ms = {Fault.SKEWED: SKEW_MS, Fault.BEHIND: -SKEW_MS}.get(self.fault or Fault.GAP, 0)
        times = {key: said.data[key] + shift_ms for key in ("E", "T") if key in said.data}
        return replace(said, at_ms=said.at_ms + shift_ms, data=said.data | times) if shift_ms else said


def _begun(keeper: Keeper) -> bool:
    return keeper.whole and keeper.applied > 1


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

    async def until_whole(self, *names: str) -> None:
        for name in names:
            keeper = self.heard[name].book.keeper
            await self.until(partial(_begun, keeper))

    async def until_right(self, name: str) -> None:
        """A difference has been applied, and the kept book's best is what the exchange said was best just then."""
        keeper = self.heard[name].book.keeper
        await self.until(lambda: keeper.whole and keeper.venue_ms in best_by_time())
        assert best_of(keeper.ladder) == best_by_time()[keeper.venue_ms]


@asynccontextmanager
async def bench(*names: str, changed: Callable[[Stream], Stream] = lambda s: s) -> AsyncIterator[Bench]:
    """Local venues, and a socket of ours to each, from the beginning of the tape on."""
    clock = Clock(origin_ms=tape()[0].at_ms + 2_000, wall_origin_ms=wall_ms(), speed=SPEED)
    board = Board()
    async with _all(names, clock) as venues, asyncio.TaskGroup() as group:
        heard = {}
        for venue in venues:
            adapter = VENUES[venue.name]
            if venue.dialect.contract is not None:
                board.put(venue.dialect.contract)
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
