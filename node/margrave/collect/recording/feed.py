"""A recording served over HTTP and websockets, at any speed, to a node that cannot tell it from the venues.

A recorded address `https://HOST/PATH` becomes `http://HERE/SOURCE/HOST/PATH`. A question is answered with what the
venue said to it last before the tape's present. Questions that differ only in times (candles since …) are the same
question, put at another moment: the recorded one that reaches as far back. Anything else is a 404 that says so. A
websocket that connects hears the session that was open at that moment from its first frame, the past at once and the
rest in its own time: books need their snapshot. What a client sends is read and not answered, because the recording
holds the answers.
"""

from __future__ import annotations

import asyncio
import bisect
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from margrave.collect.recording import tape
from margrave.collect.recording.line import Line, What
from margrave.collect.recording.tape import Member
from margrave.errors import Fatal
from margrave.ops import strict_json
from margrave.spans import HOUR_MS

MEMBERS_HELD: Final = 16
"""Uncompressed at once, about a mebibyte each."""
MOMENT_DIGITS: Final = 10
"""A whole number of so many digits or more is a time: seconds, milli-, micro- or nanoseconds."""
SAME_REACH_MS: Final = 2 * HOUR_MS
"""Questions whose times reach back alike within this are the same page of a history."""

Ask = tuple[str, str, frozenset[tuple[str, str]], str]
"""Source, host and path, parameters that are not times, posted body."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line lies."""

    member: int
    row: int


@dataclass(slots=True)
class _Told:
    """All lines of one question or one websocket session, by time; parallel columns, because there are millions."""

    times_ms: array[int] = field(default_factory=lambda: array("q"))
    reaches_ms: array[int] = field(default_factory=lambda: array("q"))
    """How long before the moment of asking the time lies that was asked for; 0 where none was."""
    members: array[int] = field(default_factory=lambda: array("l"))
    rows: array[int] = field(default_factory=lambda: array("l"))

    def add(self, seen_ms: int, place: Place, reach_ms: int = 0) -> None:
        # A clock that was stepped back must not unsort what bisect searches.
        self.times_ms.append(max(seen_ms, self.times_ms[-1]) if self.times_ms else seen_ms)
        self.reaches_ms.append(reach_ms)
        self.members.append(place.member)
        self.rows.append(place.row)

    def place(self, position: int) -> Place:
        return Place(self.members[position], self.rows[position])

    def last_before(self, now_ms: int, reach_ms: int) -> int:
        """Of those that reach as far back as any does, the newest not after `now_ms`; the first where all are later."""
        off = [abs(reach - reach_ms) for reach in self.reaches_ms]
        alike = [i for i, o in enumerate(off) if o <= min(off) + SAME_REACH_MS]
        return alike[max(bisect.bisect_right(alike, now_ms, key=self.times_ms.__getitem__) - 1, 0)]


class Recording:
    """An index over a folder: what was said lies on disk until it is asked for.

    Raises:
        Fatal: no recording there, or it was changed.
        Rejected: a line is not one of a recording.
    """

    def __init__(self, folder: Path) -> None:
        tape.refuse_changed(folder)
        self._members: list[Member] = []
        self._held: OrderedDict[int, list[Line]] = OrderedDict()
        self._answers: dict[Ask, _Told] = {}
        self._sessions: dict[tuple[str, str], list[_Told]] = {}
        self.header = ""
        self.missing = 0
        """Lines that the recorder had to drop."""
        times = [line.seen_ms for line in self._index(folder)]
        if not times:
            raise Fatal(f"{folder} holds no whole line", advice="the recorder was stopped within its first second")
        self.start_ms, self.end_ms, self.lines = min(times), max(times), len(times)

    def _index(self, folder: Path) -> Iterator[Line]:
        for file in tape.files(folder):
            for member, content in tape.members(file):
                self._members.append(member)
                for row, line in enumerate(tape.rows(content)):
                    self._place(line, Place(len(self._members) - 1, row))
                    yield line

    def _place(self, line: Line, place: Place) -> None:
        match line.what:
            case What.ANSWER:
                told = self._answers.setdefault(question(line.source, line.url, line.asked), _Told())
                told.add(line.seen_ms, place, reach_ms(line.url, line.asked, line.seen_ms))
            case What.OPENED:
                self._sessions.setdefault(_socket(line), []).append(_Told())
                self._sessions[_socket(line)][-1].add(line.seen_ms, place)
            case What.FRAME | What.CLOSED:
                # Files pruned at the start may have taken the opening with them.
                self._sessions.setdefault(_socket(line), [_Told()])[-1].add(line.seen_ms, place)
            case What.HEADER:
                self.header = line.text
            case What.GAP:
                self.missing += line.missing
            case What.SENT | What.READING:
                pass

    def line(self, place: Place) -> Line:
        if place.member in self._held:
            self._held.move_to_end(place.member)
        else:
            member = self._members[place.member]
            with member.file.open("rb") as opened:
                opened.seek(member.offset)
                packed = opened.read(member.size)
            self._held[place.member] = tape.rows(tape.inflated(packed))
            if len(self._held) > MEMBERS_HELD:
                self._held.popitem(last=False)
        return self._held[place.member][place.row]

    def answer(self, source: str, url: str, asked: str, now_ms: int) -> Line | None:
        """What the venue had last said by then; `None` where it was never asked."""
        told = self._answers.get(question(source, url, asked))
        if told is None:
            return None
        return self.line(told.place(told.last_before(now_ms, reach_ms(url, asked, now_ms))))

    def session(self, source: str, url: str, now_ms: int) -> Iterator[Line] | None:
        """The frames of the session that is open at a moment, or of the next one; `None` where there is none."""
        for told in self._sessions.get((source, _address(url)), ()):
            if told.times_ms[-1] >= now_ms:
                return (self.line(told.place(i)) for i in range(len(told.times_ms)))
        return None

    def hosts(self) -> frozenset[tuple[str, str]]:
        """(source, host) of everything recorded."""
        asked = {(source, address.partition("/")[0]) for source, address, _, _ in self._answers}
        return frozenset(asked | {(source, address.partition("/")[0]) for source, address in self._sessions})


def question(source: str, url: str, asked: str) -> Ask:
    """The same for a question put again at another time."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    steady = frozenset((name, "a time" if _moment_ms(value) else value) for name, value in pairs)
    posted = msgspec.json.encode(_steady(_json_or_text(asked)), order="deterministic").decode()
    return source, _address(url), steady, posted


def reach_ms(url: str, asked: str, now_ms: int) -> int:
    """How long before now the earliest time lies that is asked for; 0 where none is."""
    named = [_moment_ms(value) for _, value in parse_qsl(urlsplit(url).query)]
    times = [t for t in (*named, *_times(_json_or_text(asked))) if t]
    return now_ms - min(times) if times else 0


def _json_or_text(asked: str) -> object:
    try:
        return strict_json.decode(asked.encode()) if asked else None
    except msgspec.DecodeError:
        return asked


def _steady(body: object) -> object:
    """A posted body with its times blotted out."""
    match body:
        case dict():
            return {key: _steady(value) for key, value in body.items()}
        case list():
            return [_steady(value) for value in body]
        case _:
            return "a time" if _moment_ms(body) else body


def _times(body: object) -> Iterator[int]:
    match body:
        case dict():
            for value in body.values():
                yield from _times(value)
        case list():
            for value in body:
                yield from _times(value)
        case _:
            yield _moment_ms(body)


def _moment_ms(value: object) -> int:
    """A whole number, or its text, as the time that it must be by its length; 0 for anything else."""
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    if not (text.isascii() and text.isdigit() and MOMENT_DIGITS <= len(text) <= MOMENT_DIGITS + 9):
        return 0
    scale: int = 10 ** ((len(text) - MOMENT_DIGITS) // 3 * 3)
    return int(text) * 1000 // scale


def _socket(line: Line) -> tuple[str, str]:
    return line.source, _address(line.url)


def _address(url: str) -> str:
    """Host and path."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path.rstrip('/')}"


class Feed:
    """Serves a recording.

    Args:
        now_ms: the tape's time.
        speed: tape seconds a wall second.
    """

    def __init__(self, recording: Recording, *, now_ms: Callable[[], int], speed: float = 1.0) -> None:
        self.recording = recording
        self._now_ms = now_ms
        self._speed = speed
        self.served = 0
        self.unknown = 0

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/_feed/status", self.status),
                Route("/{source}/{host}/{path:path}", self.serve, methods=["GET", "POST"]),
                WebSocketRoute("/{source}/{host}/{path:path}", self.stream),
                WebSocketRoute("/{source}/{host}", self.stream),
            ]
        )

    async def status(self, _request: Request) -> Response:
        tape_ = self.recording
        told = {
            "start_ms": tape_.start_ms,
            "end_ms": tape_.end_ms,
            "now_ms": self._now_ms(),
            "lines": tape_.lines,
            "missing": tape_.missing,
            "served": self.served,
            "unknown": self.unknown,
        }
        return _json(200, told)

    async def serve(self, request: Request) -> Response:
        now_ms = self._now_ms()
        if now_ms > self.recording.end_ms:
            return _json(503, {"error": "the recording has ended"})
        url = _recorded_url(request.path_params, request.url.query)
        line = self.recording.answer(request.path_params["source"], url, (await request.body()).decode(), now_ms)
        if line is None:
            self.unknown += 1
            return _json(404, {"error": f"never asked while this was recorded: {url}"})
        self.served += 1
        return Response(line.body, line.status, headers=dict(line.headers), media_type="application/json")

    async def stream(self, socket: WebSocket) -> None:
        url = _recorded_url(socket.path_params, socket.url.query)
        session = self.recording.session(socket.path_params["source"], url, self._now_ms())
        if session is None:
            self.unknown += 1
            await socket.close(1008, "never opened while this was recorded")
            return
        await socket.accept()
        listening = asyncio.create_task(_listen(socket))
        playing = asyncio.create_task(self._play(socket, session))
        await asyncio.wait((listening, playing), return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, playing):
            task.cancel()
        await asyncio.gather(listening, playing, return_exceptions=True)

    async def _play(self, socket: WebSocket, session: Iterator[Line]) -> None:
        for line in session:
            while (ahead_ms := line.seen_ms - self._now_ms()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(min(ahead_ms / 1000 / self._speed, 1.0))
            if line.what is What.FRAME:
                self.served += 1
                await (socket.send_bytes(line.raw) if line.raw else socket.send_text(line.text))
        await socket.close(1001, "the recorded session ends here")


async def _listen(socket: WebSocket) -> None:
    """Read what the client says, so that its buffer does not fill, until it goes."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _recorded_url(parts: Mapping[str, str], query: str) -> str:
    return f"https://{parts['host']}/{parts.get('path', '')}" + (f"?{query}" if query else "")


def _json(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
