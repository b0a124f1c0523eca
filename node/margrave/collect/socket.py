"""One websocket of a venue, kept open: dialled, subscribed, listened to, doubted, dropped and dialled again.

A socket that says nothing is down, whatever TCP thinks of it, and so is one that says nothing of any market. After a
loss it is opened again with growing pauses, each drawn at random from nothing to its bound, so that neither we nor a
fleet of us come back in step. Meanwhile the venue is polled.

Frames go through a bounded queue between the task that reads them and the task that makes sense of them. The second
works in turns of a few milliseconds and rests as long as each turn took while more is waiting, so that one venue that
shouts cannot starve the loop on which rounds run. What does not fit the queue is dropped oldest first, half of it at
once, counted, and the books that it may have belonged to are begun again: a hole is never passed over in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiolimiter import AsyncLimiter
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from margrave.collect.board import Board
from margrave.collect.books.rules import Resync
from margrave.collect.dial import dial, lost
from margrave.collect.host import FIRST_PAUSE_S, GEO_BLOCK_PAUSE_S, LONGEST_PAUSE_S, LONGEST_RETRY_AFTER_S
from margrave.collect.kept import Book
from margrave.collect.listener import Listener
from margrave.collect.recording.line import Tap, What
from margrave.collect.source import Clock, Request, Trouble, VenueTrouble
from margrave.settings import VenueSettings

PROVEN_S: Final = 60.0
"""A connection that held so long was a good one: the next pause is short again. A venue that takes every connection and
drops it after the first message must not be dialled once a second for a day."""
MAX_WAITING: Final = 4_096
MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
TURN_S: Final = 0.005
WATCH_S: Final = 0.5
SNAPSHOT_S: Final = 10.0
"""A snapshot that was asked for is awaited so long."""
BEGUN_S: Final = 3.0
"""A REST snapshot is asked for when the first difference was heard, so that none is missed between them, or after this
long: in a quiet market there may be none."""
LISTED_S: Final = 30.0
SENDS: Final = 5
"""Messages a second that venues take of one connection (Binance)."""

Fetch = Callable[[Request], Awaitable[bytes]]

log = structlog.get_logger(__name__)


class Socket:
    """Supervision of one stream. `run` never ends by itself and never raises; `tell` may be called at any time.

    Args:
        listener: what makes sense of the frames.
        fetch: puts a REST question within the venue's budget; raises `VenueTrouble`.
        tap: told everything that is said and sent.
    """

    def __init__(
        self,
        listener: Listener,
        settings: VenueSettings,
        *,
        board: Board,
        clock: Clock,
        fetch: Fetch,
        tap: Tap | None = None,
    ) -> None:
        self.listener = listener
        self._stream, self._source = listener.stream, listener.venue.name
        self._board, self._clock, self._fetch, self._tap = board, clock, fetch, tap
        host = settings.futures_stream_url if self._stream.futures_host else None
        self.url = (host or settings.stream_url or "").rstrip("/") + self._stream.path
        self._timeout_s = settings.timeout_s
        self._what = f"{self._source} {self._stream.name} websocket"
        self._jitter = random.Random()  # noqa: S311 jitter, not a secret
        self._sends = AsyncLimiter(SENDS, 1.0)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._heard_at = self._data_at = 0.0
        self._data_frames = 0
        self._failures = 0
        self._up = False
        self._trouble: VenueTrouble | None = None
        self.opened = 0
        self.dropped = 0

    async def run(self) -> None:
        """Keep the socket open until cancelled."""
        await self._listed()
        while True:
            began = time.monotonic()
            trouble = await self._one_connection()
            if time.monotonic() - began >= self._clock.wall_s(PROVEN_S) and self.listener.data_frames:
                self._failures = 0
            self._failures += 1
            pause_s = self._pause_s(trouble)
            self._note(trouble, pause_s)
            await asyncio.sleep(self._clock.wall_s(pause_s))

    def tell(self) -> None:
        """Put books, flows and the state of the socket on the board."""
        if self._up:
            self.listener.tell(self._clock.now_ms())
        self._tell_health()

    def keeps(self, market: str, *, perpetual: bool) -> bool:
        """Whether this market's book is kept here now, so that it need not be polled."""
        return self._up and self.listener.keeps(market, perpetual=perpetual, now_ms=self._clock.now_ms())

    # --- one connection -----------------------------------------------------------------------------------------

    async def _one_connection(self) -> VenueTrouble:
        """Dial, subscribe, listen; why it ended."""
        troubles: list[VenueTrouble] = []
        try:
            ws = await dial(self.url, timeout_s=self._timeout_s, what=self._what)
        except VenueTrouble as trouble:
            return trouble
        self._open()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(ws))
                group.create_task(self._understand(ws))
                group.create_task(self._subscribe(ws))
                group.create_task(self._watch(ws))
                for book in self.listener.books.values():
                    group.create_task(self._bring(ws, book))
        except* VenueTrouble as several:
            troubles.extend(e for e in several.exceptions if isinstance(e, VenueTrouble))
        except* ConnectionClosed as several:
            troubles.extend(lost(e, self._what) for e in several.exceptions if isinstance(e, ConnectionClosed))
        except* Exception as several:
            # A fault of ours in one socket must not stop it for good, let alone the others.
            error = several.exceptions[0]
            log.exception("a socket failed: report it", source=self._source, stream=self._stream.name)
            problem = f"{self._what}: {type(error).__name__}: {str(error)[:80]}"
            troubles.append(VenueTrouble(Trouble.GARBLED, problem))
        finally:
            self._close(troubles[0].problem if troubles else "this node stops")
            await ws.close()
        return troubles[0]

    def _open(self) -> None:
        self.opened += 1
        self._heard_at = self._data_at = time.monotonic()
        self._data_frames = self.listener.data_frames
        self._waiting.clear()
        self._waiting_bytes = 0
        self.listener.opened(self._clock.now_ms())
        if self._tap is not None:
            self._tap.hear(What.OPENED, self._source, self.url)

    def _close(self, why: str) -> None:
        self._up = False
        self.listener.closed()
        if self._tap is not None:
            self._tap.hear(What.CLOSED, self._source, self.url, why)

    async def _read(self, ws: ClientConnection) -> None:
        while True:
            frame = await ws.recv(decode=False)
            self._heard_at = time.monotonic()
            if self._tap is not None:
                self._tap.hear(What.FRAME, self._source, self.url, frame)
            self._hand_over(frame)

    def _hand_over(self, frame: bytes) -> None:
        """Queue a frame; make room by dropping the older half of what waits."""
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + len(frame) > MAX_WAITING_BYTES:
            for _ in range(len(self._waiting) // 2 + 1):
                if self._waiting:
                    self._waiting_bytes -= len(self._waiting.popleft())
                    self.dropped += 1
            # What is left begins after the hole, and is all that will be heard from here on.
            self.listener.overflowed(self._clock.now_ms())
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        self._wake.set()

    async def _understand(self, ws: ClientConnection) -> None:
        while True:
            await self._wake.wait()
            began = time.perf_counter()
            self.listener.tick(self._clock.now_ms())
            while self._waiting and time.perf_counter() - began < TURN_S:
                frame = self._waiting.popleft()
                self._waiting_bytes -= len(frame)
                for reply in self.listener.frame(frame):
                    await self._send(ws, reply.body)
            if self.listener.data_frames != self._data_frames:
                self._data_frames, self._data_at, self._up = self.listener.data_frames, time.monotonic(), True
            if not self._waiting:
                self._wake.clear()
            # Rounds and the other venues get at least as much of the loop as this one.
            await asyncio.sleep(time.perf_counter() - began if self._waiting else 0)

    async def _subscribe(self, ws: ClientConnection) -> None:
        for message in self._stream.subscribe(self.listener.channels):
            await self._send(ws, message)

    async def _watch(self, ws: ClientConnection) -> None:
        """Doubt a connection that says nothing, and ping the way the venue wants it."""
        wall_s = self._clock.wall_s
        silence_s, pinged = self._stream.silence_s, time.monotonic()
        while True:
            await asyncio.sleep(wall_s(min(WATCH_S, silence_s / 4)))
            now = time.monotonic()
            if now - self._heard_at >= wall_s(silence_s):
                raise VenueTrouble(Trouble.SILENT, f"{self._what}: nothing for {silence_s:g} s")
            data_silence_s = self._stream.data_silence_s
            if data_silence_s is not None and now - self._data_at >= wall_s(data_silence_s):
                raise VenueTrouble(
                    Trouble.SILENT, f"{self._what}: heartbeats, and nothing of a market for {data_silence_s:g} s"
                )
            if self._stream.ping is not None and now - pinged >= wall_s(self._stream.ping_every_s):
                pinged = now
                await self._send(ws, self._stream.ping(self._clock.now_ms()))

    async def _send(self, ws: ClientConnection, message: bytes) -> None:
        async with self._sends:
            await ws.send(message.decode())
        if self._tap is not None:
            self._tap.hear(What.SENT, self._source, self.url, message)

    # --- snapshots ----------------------------------------------------------------------------------------------

    async def _bring(self, ws: ClientConnection, book: Book) -> None:
        """Bring a book its snapshot whenever it wants one, with growing pauses while that does not help."""
        tries, comes_unasked = 0, self._stream.snapshot is None
        while True:
            await book.lost.wait()
            if book.whole_since_ms and self._clock.now_ms() - book.whole_since_ms >= PROVEN_S * 1000:
                tries = 0
            if comes_unasked:
                # The first snapshot of a channel comes with the subscription: only its absence is asked about.
                comes_unasked = False
            else:
                await asyncio.sleep(self._clock.wall_s(self._drawn_s(tries)) if tries else 0)
                await self._ask(ws, book)
            tries += 1
            if self._stream.snapshot is None:
                await self._await_snapshot(book)

    async def _await_snapshot(self, book: Book) -> None:
        try:
            async with asyncio.timeout(max(self._clock.wall_s(SNAPSHOT_S), self._timeout_s)):
                await book.whole.wait()
        except TimeoutError:
            book.keeper.resyncs[Resync.SNAPSHOT_FAILED] += 1

    async def _ask(self, ws: ClientConnection, book: Book) -> None:
        stream = self._stream
        if stream.snapshot is not None:
            await self._ask_by_rest(stream.snapshot(book.channel), book)
        elif stream.resubscribe is not None:
            for message in stream.resubscribe(book.channel):
                await self._send(ws, message)
        else:
            raise VenueTrouble(
                Trouble.DISCONNECTED,
                f"{self._what}: the book of {book.channel.instrument} is begun again, and needs a new connection",
            )

    async def _ask_by_rest(self, request: Request, book: Book) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._clock.wall_s(BEGUN_S)):
                await book.begun.wait()
        try:
            body = await self._fetch(request)
            self.listener.snapshot(book, body, self._clock.now_ms())
        except VenueTrouble as trouble:
            book.keeper.resyncs[Resync.SNAPSHOT_FAILED] += 1
            log.warning("no snapshot", source=self._source, problem=trouble.problem, advice=trouble.advice)

    # --- between connections ------------------------------------------------------------------------------------

    async def _listed(self) -> None:
        """Wait until the instruments' contracts are known, where sizes cannot be read without them."""
        if not self._stream.needs_contracts:
            return
        wanted = {channel.instrument for channel in self.listener.channels}
        until = time.monotonic() + self._clock.wall_s(LISTED_S)
        while time.monotonic() < until and wanted - self._board.contracts(self._source).keys():  # noqa: ASYNC110
            await asyncio.sleep(self._clock.wall_s(WATCH_S))

    def _drawn_s(self, failures: int) -> float:
        """Full jitter (Brooker, "Exponential Backoff And Jitter", 2015): anything up to a bound that doubles."""
        return self._jitter.uniform(0.0, min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE_S))

    def _pause_s(self, trouble: VenueTrouble) -> float:
        asked_s = min(trouble.retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
        if trouble.trouble is Trouble.GEO_BLOCKED:
            asked_s = max(asked_s, GEO_BLOCK_PAUSE_S)
        return asked_s + self._drawn_s(self._failures)

    def _note(self, trouble: VenueTrouble, pause_s: float) -> None:
        self._trouble = trouble
        self._board.fail_socket(self._source, trouble.problem)
        self._tell_health()
        log.warning(
            "websocket lost",
            source=self._source,
            stream=self._stream.name,
            trouble=trouble.trouble.value,
            problem=trouble.problem,
            pause_s=round(pause_s, 1),
            advice=trouble.advice,
        )

    def _tell_health(self) -> None:
        last = self._trouble
        self._board.tell_socket(
            self._source,
            self._stream.name,
            self.listener.health(
                up=self._up,
                trouble=None if self._up or last is None else last.trouble,
                problem=None if last is None else last.problem,
                reconnects=max(self.opened - 1, 0),
                dropped=self.dropped,
            ),
        )
