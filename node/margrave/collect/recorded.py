"""The live parsers over files: what an adapter makes of recorded payloads, a line an event, a reading or a refusal.

Four layouts are understood, compressed with gzip or not:

* one JSON body, as an HTTP client would save it; the endpoint is recognised by the answer's shape;
* a session log, a line an event: ``URL -> seconds: JSON`` for REST answers (the endpoint is recognised by its address),
  ``seconds: JSON`` for websocket frames, ``URL <- seconds: JSON`` for what the client sent, ``URL <-> seconds`` for an
  opened socket and ``configuration: JSON`` for a header. Only answers and frames are payloads;
* frames with the nanosecond at which they came, ``1723161256172216566 JSON``, and a REST snapshot among them;
* what `margrave record` wrote: the lines of `recording.line`, of which those of the venue are read.

Frames go through `Stream.parse`, answers through `Endpoint.parse`. Nothing is skipped in silence: a payload that no
adapter reads is a refusal, `NOT_READ` where it is known what it is, else `UNKNOWN_SHAPE`.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from margrave.collect.chains import recorded as chain_recorded
from margrave.collect.recording.line import What
from margrave.collect.recording.line import decode as decode_line
from margrave.collect.source import Asked, Endpoint, Venue, VenueTrouble, decode
from margrave.collect.stream import Event, Heard, Stream
from margrave.collect.venues import VENUES
from margrave.errors import Fatal, Rejected
from margrave.messages import Contract, Refusal
from margrave.verdicts import Rejection

CHAIN: Final = "chain"
"""In the place of a venue: what was written down of a chain, whichever it is."""
ANSWER: Final = re.compile(r"(?P<url>https?://\S+) -> (?P<seconds>[\d.]+): (?P<body>.*)", re.DOTALL)
FRAME: Final = re.compile(r"(?P<seconds>\d{9,11}(?:\.\d+)?): (?P<body>.*)", re.DOTALL)
STAMPED: Final = re.compile(r"(?P<nanoseconds>\d{19}) (?P<body>[\[{].*)", re.DOTALL)
OPENED: Final = re.compile(r"(?P<socket>wss?://\S+)(?: <->|$)")
ASIDE: Final = re.compile(r"(?:wss?://\S+ (?:<->|<-) |configuration: |wss?://\S+$|https?://\S+ (?:<->|<-) )")
OURS: Final = re.compile(r'\{"seen_ms":\d+,"what":"')
NAMES_OF_INSTRUMENT: Final = ("symbol", "pair", "instId", "instrument_name", "index_name", "currency", "underlying")
"""Query parameters that name the instrument, over all venues."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One recorded body, and what its recording says about it."""

    body: bytes
    seen_ms: int
    """When it was recorded; 0 where the file does not say, and then for answers without a time of their own too."""
    url: str = ""
    """The address of a REST answer."""
    socket: str = ""
    """The address of the websocket that a frame came over."""
    source: str = ""
    """Who said it, where the recording holds several."""


def parse_file(venue: str, path: Path, *, listed: dict[str, Contract] | None = None) -> Iterator[Event]:
    """All that one file says, in its order.

    Args:
        venue: a name of `VENUES`, or "chain".
        path: a recording in one of the layouts, plain or gzip.
        listed: contracts by instrument, from other files; those that this one lists are added.

    Raises:
        Fatal: no such venue, or the file cannot be read.
    """
    if venue == CHAIN:
        yield from chain_recorded.parse_text(_text(path))
        return
    if venue not in VENUES:
        raise Fatal(f"{venue} is not a venue", advice=f"use one of {', '.join((*sorted(VENUES), CHAIN))}")
    yield from parse_text(VENUES[venue], _text(path), listed=listed)


def parse_text(venue: Venue, text: bytes, *, listed: dict[str, Contract] | None = None) -> Iterator[Event]:
    """The same for the content of a file, uncompressed."""
    known = {} if listed is None else listed
    for payload in payloads(text):
        if payload.source and payload.source != venue.name:
            continue  # of another venue in the same recording, and its own adapter's to read
        for event in _events(venue, payload, known):
            if isinstance(event, Contract):
                known[event.instrument] = event
            yield event


def payloads(text: bytes) -> Iterator[Payload]:
    """The bodies of a file; a file in none of the layouts of lines is one body."""
    lines = text.decode("utf-8", "replace").splitlines()
    layouts = (ANSWER, ASIDE, FRAME, STAMPED, OURS)
    if not any(layout.match(line) for line in lines[:3] for layout in layouts):
        yield Payload(text, 0)
        return
    socket = ""
    for line in lines:
        if OURS.match(line):
            yield from _line(line.encode())
        elif found := ANSWER.match(line) or FRAME.match(line) or STAMPED.match(line):
            yield _payload(found.groupdict(), socket)
        elif opened := OPENED.match(line):
            socket = opened["socket"]
        elif line.strip() and not ASIDE.match(line):
            yield Payload(line.encode(), 0, socket=socket)


def _payload(groups: dict[str, str], socket: str) -> Payload:
    nanoseconds = groups.get("nanoseconds")
    seen_ms = int(float(groups["seconds"]) * 1000) if nanoseconds is None else int(nanoseconds) // 1_000_000
    url = groups.get("url", "")
    return Payload(groups["body"].encode(), seen_ms, url, "" if url else socket)


def _line(row: bytes) -> Iterator[Payload]:
    """A line of our own recordings; what was sent, opened and closed says nothing of the market."""
    try:
        line = decode_line(row)
    except Rejected:
        yield Payload(row, 0)
        return
    if line.what is What.ANSWER:
        yield Payload(line.body, line.seen_ms, url=line.url, source=line.source)
    elif line.what is What.FRAME:
        yield Payload(line.body, line.seen_ms, socket=line.url, source=line.source)


def _events(venue: Venue, payload: Payload, listed: dict[str, Contract]) -> tuple[Event, ...]:
    unknown = Asked(source=venue.name, market="", instrument="", seen_ms=payload.seen_ms)
    try:
        raw = decode(payload.body)
        if stream := _stream(venue, payload, raw):
            heard = Heard(source=venue.name, seen_ms=payload.seen_ms, contracts=listed)
            return tuple(stream.parse(heard, raw)) or (_empty(unknown),)
        body = venue.unframe(raw)
        venue.complain(raw)
        endpoint = _endpoint(venue, payload.url, body)
        asked = _asked(venue, endpoint, payload, raw, body, listed)
    except VenueTrouble as trouble:
        return (unknown.refusal("answer", Rejected(Rejection.VENUE_ERROR, trouble.problem)),)
    except Rejected as rejected:
        return (unknown.refusal("payload", rejected),)
    return venue.understand(endpoint, asked, body)


def _empty(unknown: Asked) -> Refusal:
    return unknown.refusal("payload", Rejected(Rejection.EMPTY, "the frame holds nothing that is read"))


def _stream(venue: Venue, payload: Payload, body: object) -> Stream | None:
    """The socket that a frame came over; `None` for an answer."""
    if payload.url:
        return None
    return next((stream for stream in venue.streams if stream.hears(payload.socket, body)), None)


def _endpoint(venue: Venue, url: str, body: object) -> Endpoint:
    path = urlsplit(url).path
    found = [e for e in venue.endpoints if (e.answers(path) if url else e.fits(body))]
    if found:
        # Where all questions go to one address, the answer's shape tells them apart.
        return next((e for e in found if e.fits(body)), found[0])
    for what, fits in venue.unread:
        if fits(body):
            raise Rejected(Rejection.NOT_READ, f"recognised, and not read: {what}")
    shown = path or (", ".join(sorted(body)[:6]) if isinstance(body, dict) else type(body).__name__)
    raise Rejected(Rejection.UNKNOWN_SHAPE, f"no endpoint that is read: {shown or 'an empty object'}")


def _asked(
    venue: Venue, endpoint: Endpoint, payload: Payload, raw: object, body: object, listed: dict[str, Contract]
) -> Asked:
    """What the recording tells of the question; a body's own name is taken where the address has none."""
    query = parse_qs(urlsplit(payload.url).query)
    named = next((query[key][0] for key in NAMES_OF_INSTRUMENT if key in query), "")
    instrument, perpetual = venue.about(body)
    if not instrument:
        instrument, perpetual = venue.about(raw)
    instrument = named or instrument
    return Asked(
        source=venue.name,
        market=instrument,
        instrument=instrument,
        seen_ms=payload.seen_ms,
        perpetual=endpoint.perpetual or perpetual,
        contract=listed.get(instrument),
    )


def _text(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or error
        raise Fatal(f"{path}: {said}", advice="check the path; gzip files must be whole") from error
