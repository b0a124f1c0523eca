"""One thing that happened on a socket, as a line of JSON. A recording is gzip of such lines: `zcat` shows it.

Bodies are text where they are UTF-8, which venues' answers are, and base64 where they are not, so that garbage is
recorded as faithfully as sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Protocol, TypedDict, Unpack

import msgspec

from margrave.errors import Rejected
from margrave.ops import strict_json
from margrave.verdicts import Rejection

KEPT_HEADERS: Final = ("retry-after", "date")
"""What an adapter looks at beside the status: no cookies, and nothing that names who asked."""


class What(StrEnum):
    """What a line tells."""

    HEADER = "header"  # the first line of each file: what is asked, in `text`
    ANSWER = "answer"  # an HTTP answer
    OPENED = "opened"  # a websocket
    SENT = "sent"  # by us, over a websocket
    FRAME = "frame"  # by the venue
    CLOSED = "closed"  # a websocket; `text` says by whom and why
    READING = "reading"  # what an adapter made of it and the board took, as JSON
    GAP = "gap"  # so many lines are missing here, because the disk was slower than the venues


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See `What` for which fields a line has; the others stay at their defaults and are not written."""

    seen_ms: int
    """The node's clock when it happened."""
    what: What
    source: str = ""
    url: str = ""
    """The venue's own, with its query."""
    asked: str = ""
    """The body of a question that was posted."""
    status: int = 0
    headers: dict[str, str] = {}
    text: str = ""
    raw: bytes = b""
    """In place of `text` where the bytes are not UTF-8."""
    missing: int = 0

    @property
    def body(self) -> bytes:
        return self.raw or self.text.encode()


class Answer(TypedDict, total=False):
    """What an HTTP answer has beside its body."""

    asked: str
    status: int
    headers: Mapping[str, str]


class Tap(Protocol):
    """Whom hosts and sockets tell what they see. Never blocks, never raises."""

    def hear(self, what: What, source: str, url: str, body: bytes | str = "", **answer: Unpack[Answer]) -> None: ...


def said(seen_ms: int, what: What, source: str, url: str, body: bytes | str = "", **answer: Unpack[Answer]) -> Line:
    """A line from what a `Tap` hears."""
    text, raw = (body, b"") if isinstance(body, str) else _text_or_bytes(body)
    kept = {name: value for name, value in answer.get("headers", {}).items() if name in KEPT_HEADERS}
    return Line(
        seen_ms=seen_ms,
        what=what,
        source=source,
        url=url,
        asked=answer.get("asked", ""),
        status=answer.get("status", 0),
        headers=kept,
        text=text,
        raw=raw,
    )


def _text_or_bytes(body: bytes) -> tuple[str, bytes]:
    try:
        return body.decode(), b""
    except UnicodeDecodeError:
        return "", body


def encode(line: Line) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def decode(row: bytes) -> Line:
    """
    Raises:
        Rejected: not a line of a recording.
    """
    try:
        return strict_json.decode(row, Line)
    except msgspec.DecodeError as error:
        raise Rejected(Rejection.MALFORMED, f"not a line of a recording: {str(error)[:80]}") from error
