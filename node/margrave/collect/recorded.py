"""The live parsers over files: what an adapter makes of recorded payloads, a line a reading or a refusal.

Two layouts are understood, compressed with gzip or not:

* one JSON body, as an HTTP client would save it; the endpoint is recognised by the answer's shape;
* a session log, a line an event: ``URL -> seconds: JSON`` for REST answers (the endpoint is recognised by its address),
  ``seconds: JSON`` for websocket frames, ``URL <- seconds: JSON`` for what the client sent, ``URL <-> seconds`` for an
  opened socket and ``configuration: JSON`` for a header. Only answers and frames are payloads.

Nothing is skipped in silence: a payload that no adapter reads is a refusal, `UNKNOWN_SHAPE`.
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

from margrave.collect.source import Asked, Endpoint, Item, Venue, VenueTrouble, decode
from margrave.collect.venues import VENUES
from margrave.errors import Fatal, Rejected
from margrave.verdicts import Rejection

ANSWER: Final = re.compile(r"(?P<url>https?://\S+) -> (?P<seconds>[\d.]+): (?P<body>.*)", re.DOTALL)
FRAME: Final = re.compile(r"(?P<seconds>\d{9,11}(?:\.\d+)?): (?P<body>.*)", re.DOTALL)
ASIDE: Final = re.compile(r"(?:wss?://\S+ (?:<->|<-) |configuration: |wss?://\S+$|https?://\S+ (?:<->|<-) )")
NAMES_OF_INSTRUMENT: Final = ("symbol", "pair", "instId", "instrument_name", "index_name", "currency")
"""Query parameters that name the instrument, over all venues."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One recorded body, and what its recording says about it."""

    body: bytes
    seen_ms: int
    """When it was recorded; 0 where the file does not say, and then for answers without a time of their own too."""
    url: str = ""


def parse_file(venue: str, path: Path) -> Iterator[Item]:
    """All that one file says, in its order.

    Args:
        venue: a name of `VENUES`.
        path: JSON or a session log, plain or gzip.

    Raises:
        Fatal: no such venue, or the file cannot be read.
    """
    if venue not in VENUES:
        raise Fatal(f"{venue} is not a venue", advice=f"use one of {', '.join(sorted(VENUES))}")
    yield from parse_text(VENUES[venue], _text(path))


def parse_text(venue: Venue, text: bytes) -> Iterator[Item]:
    """The same for the content of a file, uncompressed."""
    for payload in payloads(text):
        yield from _items(venue, payload)


def payloads(text: bytes) -> Iterator[Payload]:
    """The bodies of a file; a file that is not a session log is one body."""
    lines = text.decode("utf-8", "replace").splitlines()
    if not any(ANSWER.match(line) or ASIDE.match(line) or FRAME.match(line) for line in lines[:3]):
        yield Payload(text, 0)
        return
    for line in lines:
        if found := ANSWER.match(line) or FRAME.match(line):
            groups = found.groupdict()
            yield Payload(groups["body"].encode(), int(float(groups["seconds"]) * 1000), groups.get("url", ""))
        elif line.strip() and not ASIDE.match(line):
            yield Payload(line.encode(), 0)


def _items(venue: Venue, payload: Payload) -> Iterator[Item]:
    unknown = Asked(source=venue.name, market="", instrument="", seen_ms=payload.seen_ms)
    try:
        body = venue.unframe(raw := decode(payload.body))
        venue.complain(raw)
        endpoint = _endpoint(venue, payload.url, body)
        asked = _asked(venue, endpoint, payload, raw, body)
    except VenueTrouble as trouble:
        yield unknown.refusal("answer", Rejected(Rejection.VENUE_ERROR, trouble.problem))
    except Rejected as rejected:
        yield unknown.refusal("payload", rejected)
    else:
        yield from venue.understand(endpoint, asked, body)


def _endpoint(venue: Venue, url: str, body: object) -> Endpoint:
    path = urlsplit(url).path
    for endpoint in venue.endpoints:
        if endpoint.answers(path) if url else endpoint.fits(body):
            return endpoint
    shown = path or (", ".join(sorted(body)[:6]) if isinstance(body, dict) else type(body).__name__)
    raise Rejected(Rejection.UNKNOWN_SHAPE, f"no endpoint that is read: {shown or 'an empty object'}")


def _asked(venue: Venue, endpoint: Endpoint, payload: Payload, raw: object, body: object) -> Asked:
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
    )


def _text(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or error
        raise Fatal(f"{path}: {said}", advice="check the path; gzip files must be whole") from error
