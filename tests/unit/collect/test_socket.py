"""A socket's supervision, over a connection in memory: what it sends, when it doubts, how it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close
from websockets.http11 import Response

from margrave.collect import socket as sockets
from margrave.collect.board import Board, SocketHealth
from margrave.collect.books.rules import Resync, SequenceRule
from margrave.collect.dial import dial, lost
from margrave.collect.host import GEO_BLOCK_PAUSE_S, LONGEST_PAUSE_S
from margrave.collect.listener import Listener
from margrave.collect.recording.line import What
from margrave.collect.socket import Socket
from margrave.collect.source import Endpoint, Pace, Request, Trouble, VenueTrouble
from margrave.collect.stream import Channel, Quiet, Stream
from margrave.messages import Contract, ContractKind
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import VenueSettings
from tests.unit.collect.test_listener import CHANNELS, STREAM, VENUE, diff, nothing, say, whole

SPEED = 100.0
ENDPOINT = Endpoint("depth", "/depth", nothing, lambda _: False)


class Line:
    """The far end of one connection, and what was sent to it."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.sent: list[str] = []
        self.closed = False

    async def recv(self, *, decode: bool) -> bytes:
        assert decode is False
        said = await self.says.get()
        if isinstance(said, Exception):
            raise said
        return said

    async def send(self, message: str) -> None:
        self.sent.append(message)

    async def close(self) -> None:
        self.closed = True

    def say(self, *frames: bytes | Exception) -> None:
        for frame in frames:
            self.says.put_nowait(frame)


class Tape:
    def __init__(self) -> None:
        self.heard: list[tuple[What, bytes | str]] = []

    def hear(self, what: What, source: str, url: str, body: bytes | str = "", **_: Any) -> None:
        assert (source, url) == ("toy", "ws://toy.test/ws")
        self.heard.append((what, body))


class Bench:
    """One socket whose connections are lines in memory; `refusals` are handed out in place of the first ones."""

    def __init__(self, stream: Stream, *, channels: Iterable[Channel] = CHANNELS[:1], tap: Tape | None = None) -> None:
        self.lines: list[Line] = []
        self.refusals: list[Exception] = []
        self.asked: list[Request] = []
        self.answers: list[bytes | VenueTrouble] = []
        self.board = Board()
        self.clock = Clock(origin_ms=1_770_300_000_000, wall_origin_ms=wall_ms(), speed=SPEED)
        self.listener = Listener(VENUE, stream, channels, board=self.board)
        settings = VenueSettings(base_url="http://toy.test", stream_url="ws://toy.test")
        self.socket = Socket(self.listener, settings, board=self.board, clock=self.clock, fetch=self.fetch, tap=tap)

    async def dial(self, url: str, *, timeout_s: float, what: str) -> Line:
        assert (url, what) == ("ws://toy.test/ws", "toy test websocket")
        assert timeout_s > 0
        if self.refusals:
            raise self.refusals.pop(0)
        self.lines.append(Line())
        return self.lines[-1]

    async def fetch(self, request: Request) -> bytes:
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else b"{}"
        if isinstance(answer, VenueTrouble):
            raise answer
        return answer

    @property
    def book(self) -> Any:
        return self.listener.books["BTCUSDT"]

    def health(self) -> SocketHealth:
        self.socket.tell()
        return self.board.health_of("toy").sockets["test"]

    async def until(self, what: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not what():  # noqa: ASYNC110 what is awaited has no event
                await asyncio.sleep(0.002)

    async def line(self, number: int) -> Line:
        await self.until(lambda: len(self.lines) > number)
        return self.lines[number]


@pytest.fixture(name="run")
def run_fixture(monkeypatch: pytest.MonkeyPatch) -> Any:
    @asynccontextmanager
    async def run(stream: Stream = STREAM, **kwargs: Any) -> AsyncIterator[Bench]:
        b = Bench(stream, **kwargs)
        monkeypatch.setattr(sockets, "dial", b.dial)
        task = asyncio.create_task(b.socket.run())
        try:
            yield b
        finally:
            task.cancel()
            await asyncio.wait((task,))

    return run


def subscribing(channels: Iterable[Channel]) -> Iterable[bytes]:
    return [f"subscribe {channel.instrument}".encode() for channel in channels]


async def test_it_subscribes_keeps_the_book_and_tells_the_tap_everything(run: Any) -> None:
    tape = Tape()
    async with run(replace(STREAM, subscribe=subscribing), tap=tape) as b:
        line = await b.line(0)
        await b.until(lambda: line.sent)
        line.say(say(whole()), say(diff(2)))
        await b.until(lambda: b.book.keeper.applied == 2)
        assert line.sent == ["subscribe BTCUSDT"]
        health = b.health()
        assert (health.up, health.trouble, health.frames, health.books_whole) == (True, None, 2, 1)
        assert b.socket.keeps("BTC", perpetual=True)
    assert line.closed
    whats = [what for what, _ in tape.heard]
    assert whats[0] is What.OPENED
    assert whats[-1] is What.CLOSED
    assert (whats.count(What.SENT), whats.count(What.FRAME)) == (1, 2)


async def test_a_lost_connection_is_opened_again_and_the_book_says_nothing_meanwhile(run: Any) -> None:
    async with run() as b:
        line = await b.line(0)
        line.say(say(whole()))
        await b.until(lambda: b.book.keeper.whole)
        line.say(ConnectionClosedError(None, None))
        await b.until(lambda: not b.book.keeper.whole)
        assert not b.socket.keeps("BTC", perpetual=True)
        again = await b.line(1)
        again.say(say(whole(7)))
        await b.until(lambda: b.book.keeper.whole)
        await b.until(lambda: b.health().up)
        assert (b.health().reconnects, b.health().resyncs) == (1, {Resync.RECONNECTED: 1})
        assert line.closed


async def test_pauses_double_up_to_a_minute_and_a_good_connection_begins_them_anew(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(sockets, "PROVEN_S", 40.0)

    def longest(_low: float, high: float) -> float:
        paused.append(high)
        return 0.0

    async with run(replace(STREAM, silence_s=1e6, data_silence_s=None)) as b:
        b.socket._jitter.uniform = longest
        b.refusals = [VenueTrouble(Trouble.UNREACHABLE, "no") for _ in range(9)]
        line = await b.line(0)
        assert paused == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
        line.say(say(whole()), ConnectionClosedError(None, None))
        short = await b.line(1)
        assert paused[9:] == [LONGEST_PAUSE_S]
        short.say(say(whole()))
        await asyncio.sleep(2 * b.clock.wall_s(40.0))
        short.say(ConnectionClosedError(None, None))
        await b.line(2)
        assert paused[10:] == [1]
        assert b.board.health_of("toy").failures == 11


def test_a_pause_is_drawn_from_nothing_to_its_bound_and_never_shorter_than_the_venue_wants() -> None:
    b = Bench(STREAM)
    b.socket._failures = 5
    drawn = [b.socket._pause_s(VenueTrouble(Trouble.DISCONNECTED, "x")) for _ in range(400)]
    assert 0.0 <= min(drawn) < 2.0
    assert 14.0 < max(drawn) <= 16.0
    asked = VenueTrouble(Trouble.RATE_LIMITED, "x", retry_after_s=120.0)
    assert all(120.0 <= b.socket._pause_s(asked) <= 136.0 for _ in range(50))
    endless = VenueTrouble(Trouble.RATE_LIMITED, "x", retry_after_s=1e9)
    assert b.socket._pause_s(endless) <= 3_616.0
    assert b.socket._pause_s(VenueTrouble(Trouble.GEO_BLOCKED, "x")) >= GEO_BLOCK_PAUSE_S


async def test_a_socket_that_is_silent_is_down_and_heartbeats_alone_are_silence_too(run: Any) -> None:
    async with run(replace(STREAM, silence_s=20.0, data_silence_s=60.0)) as b:
        await b.line(0)
        await b.until(lambda: b.health().trouble is Trouble.SILENT)
        beating = await b.line(1)

        async def beat() -> None:
            while not beating.closed:
                beating.say(say(Quiet("heartbeat")))
                await asyncio.sleep(b.clock.wall_s(4.0))

        await beat()
        assert b.health().trouble is Trouble.SILENT
        assert "heartbeats" in (b.health().last_error or "")


async def test_it_pings_in_the_venues_own_words_and_answers_what_must_be_answered(run: Any) -> None:
    stream = replace(STREAM, ping=lambda now_ms: f"ping {now_ms > 0}".encode(), ping_every_s=5.0)
    async with run(stream) as b:
        line = await b.line(0)
        line.say(b'[["Reply", {"body": "cG9uZyA3"}]]')
        await b.until(lambda: "pong 7" in line.sent and line.sent.count("ping True") >= 2)


async def test_a_lost_book_is_asked_for_again_where_the_venue_knows_how(run: Any) -> None:
    stream = replace(STREAM, resubscribe=lambda c: [b"unsubscribe " + c.instrument.encode(), b"subscribe again"])
    async with run(stream) as b:
        line = await b.line(0)
        line.say(say(whole()), say(diff(9)))
        await b.until(lambda: line.sent)
        await b.until(lambda: len(line.sent) >= 2)
        assert line.sent[:2] == ["unsubscribe BTCUSDT", "subscribe again"]
        line.say(say(whole(20)))
        await b.until(lambda: b.book.keeper.whole)
        assert (len(b.lines), b.health().resyncs) == (1, {Resync.GAP: 1})


async def test_a_lost_book_costs_the_connection_where_the_venue_knows_no_other_way(run: Any) -> None:
    async with run() as b:
        line = await b.line(0)
        line.say(say(whole()), say(diff(9)))
        again = await b.line(1)
        assert line.closed
        again.say(say(whole(20)))
        await b.until(lambda: b.book.keeper.whole)


async def test_a_snapshot_that_never_comes_is_counted_and_asked_for(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = replace(STREAM, resubscribe=lambda _: [b"again"], silence_s=1e6, data_silence_s=None)
    monkeypatch.setattr(sockets, "SNAPSHOT_S", 2.0)
    async with run(stream) as b:
        b.socket._timeout_s = 0.02
        line = await b.line(0)
        await b.until(lambda: "again" in line.sent)
        assert b.book.keeper.resyncs[Resync.SNAPSHOT_FAILED] >= 1
        line.say(say(whole()))
        await b.until(lambda: b.book.keeper.whole)


def by_rest(stream: Stream) -> Stream:
    def ask(channel: Channel) -> Request:
        return Request(ENDPOINT, channel.market, channel.instrument, "/depth", {}, Pace.QUOTE)

    return replace(stream, sequence=SequenceRule.SPAN, snapshot=ask, read_snapshot=lambda *_: whole(5), silence_s=1e6)


async def test_a_rest_snapshot_is_asked_for_after_the_first_difference_and_again_when_it_fails(run: Any) -> None:
    async with run(by_rest(STREAM)) as b:
        b.answers = [VenueTrouble(Trouble.TIMEOUT, "no answer"), b"{}"]
        line = await b.line(0)
        line.say(say(diff(5)), say(diff(6)))
        await b.until(lambda: b.book.keeper.whole)
        assert [request.instrument for request in b.asked] == ["BTCUSDT", "BTCUSDT"]
        assert b.health().resyncs == {Resync.SNAPSHOT_FAILED: 1}
        assert b.book.keeper.sequence == 6


async def test_a_snapshot_older_than_what_was_heard_is_asked_for_until_it_is_not(run: Any) -> None:
    async with run(by_rest(STREAM)) as b:
        (await b.line(0)).say(say(diff(8)))
        await b.until(lambda: len(b.asked) >= 3)
        assert b.book.keeper.resyncs[Resync.SNAPSHOT_TOO_OLD] >= 2
        assert not b.book.keeper.whole


async def test_a_stream_whose_sizes_are_contracts_waits_for_the_listing(run: Any) -> None:
    async with run(replace(STREAM, needs_contracts=True)) as b:
        await asyncio.sleep(b.clock.wall_s(5.0))
        assert b.lines == []
        b.board.put(
            Contract(source="toy", instrument="BTCUSDT", seen_time_ms=1, kind=ContractKind.PERPETUAL, unit_coins=0.01)
        )
        await b.line(0)


async def test_a_fault_of_ours_ends_one_connection_and_not_the_socket(run: Any) -> None:
    async with run() as b:
        (await b.line(0)).say(TypeError("ours"))
        await b.until(lambda: b.health().trouble is Trouble.GARBLED)
        assert "TypeError" in (b.health().last_error or "")
        await b.line(1)


async def test_frames_that_do_not_fit_are_dropped_oldest_first_and_the_books_are_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "MAX_WAITING", 10)
    b = Bench(STREAM)
    b.listener.opened(1)
    b.listener.frame(say(whole()))
    for number in range(11):
        b.socket._hand_over(str(number).encode())
    assert b.socket.dropped == 6
    assert list(b.socket._waiting) == [b"6", b"7", b"8", b"9", b"10"]
    assert b.book.keeper.resyncs == {Resync.OVERFLOW: 1}
    monkeypatch.setattr(sockets, "MAX_WAITING_BYTES", 100)
    b.socket._hand_over(b"x" * 99)
    assert b.socket._waiting_bytes == sum(map(len, b.socket._waiting))


async def test_a_busy_socket_leaves_the_loop_to_others_between_turns(run: Any) -> None:
    """Counted in turns, not timed: while thousands of frames wait, another task runs again and again."""
    async with asyncio.timeout(20), run(replace(STREAM, silence_s=1e6)) as b:
        line = await b.line(0)
        line.say(say(whole()), *(say(diff(number)) for number in range(2, 3_000)))
        turns = 0
        while b.book.keeper.applied < 2_999:
            turns += 1
            await asyncio.sleep(0)
        assert turns > 3


@pytest.mark.parametrize(
    ("closed", "trouble"),
    [
        (ConnectionClosedError(None, None), Trouble.DISCONNECTED),
        (ConnectionClosedError(Close(1001, "bye"), None), Trouble.DISCONNECTED),
        (ConnectionClosedError(Close(1008, "too many"), Close(1008, ""), rcvd_then_sent=True), Trouble.RATE_LIMITED),
        (ConnectionClosedError(Close(1012, ""), Close(1012, ""), rcvd_then_sent=True), Trouble.MAINTENANCE),
        (ConnectionClosedError(Close(4001, "own code"), Close(4001, ""), rcvd_then_sent=True), Trouble.DISCONNECTED),
        (ConnectionClosedError(None, Close(1011, "keepalive ping timeout")), Trouble.SILENT),
        (ConnectionClosedError(None, Close(1009, "")), Trouble.GARBLED),
        (ConnectionClosedError(None, Close(1002, "")), Trouble.GARBLED),
        (ConnectionClosedError(None, Close(1007, "")), Trouble.GARBLED),
    ],
)
def test_every_end_of_a_connection_has_a_name(closed: ConnectionClosedError, trouble: Trouble) -> None:
    named = lost(closed, "toy")
    assert named.trouble is trouble
    assert str(named).startswith("toy: ")


@pytest.mark.parametrize(
    ("status", "headers", "trouble", "retry_after_s"),
    [
        (451, {}, Trouble.GEO_BLOCKED, None),
        (403, {}, Trouble.GEO_BLOCKED, None),
        (429, {"Retry-After": "17"}, Trouble.RATE_LIMITED, 17.0),
        (503, {"Retry-After": "5"}, Trouble.MAINTENANCE, 5.0),
        (404, {}, Trouble.BAD_STATUS, None),
        (302, {"Location": "ws://127.0.0.1:1/elsewhere"}, Trouble.BAD_STATUS, None),
        (200, {}, Trouble.BAD_STATUS, None),
    ],
)
async def test_every_refused_handshake_has_a_name_and_redirects_are_not_followed(
    status: int, headers: Mapping[str, str], trouble: Trouble, retry_after_s: float | None
) -> None:
    def refuse(*_: object) -> Response:
        return Response(status, "x", Headers({**headers, "Content-Length": "0"}), b"")

    async def handler(_: object) -> None:
        raise AssertionError("no websocket begins")

    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(VenueTrouble) as raised:
            await dial(f"ws://127.0.0.1:{port}/ws", timeout_s=2.0, what="toy")
    assert (raised.value.trouble, raised.value.retry_after_s) == (trouble, retry_after_s)


async def test_what_never_answers_times_out_and_what_is_not_there_is_unreachable() -> None:
    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    held = asyncio.Event()
    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(VenueTrouble) as raised:
            await dial(f"ws://127.0.0.1:{port}", timeout_s=0.1, what="toy")
        assert raised.value.trouble is Trouble.TIMEOUT
        held.set()
    with pytest.raises(VenueTrouble) as raised:
        await dial("ws://127.0.0.1:1", timeout_s=2.0, what="toy")
    assert raised.value.trouble is Trouble.UNREACHABLE
