"""RSS 2.0 and Atom to headlines, from strangers: no document types, so no entities; bounded depth, count and length."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from xml.parsers import expat

from margrave.collect.sentiment.tone import Headline
from margrave.errors import Rejected
from margrave.verdicts import Rejection

MAX_DEPTH: Final = 32
MAX_ITEMS: Final = 500
MAX_TITLE: Final = 500
ITEMS: Final = frozenset({"item", "entry"})
DATES: Final = ("pubdate", "published", "updated", "date")
"""By preference; RSS says `pubDate` (RFC 822), Atom `published` and `updated` (RFC 3339), RSS 1.0 `dc:date`."""


def parse(outlet: str, payload: bytes) -> list[Headline]:
    """What a feed announces, in its order; items without a title or a date are left out.

    Raises:
        Rejected: not XML, a document type in it, too deep, or no item at all.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(payload, True)
    except expat.ExpatError as error:
        raise Rejected(Rejection.MALFORMED, f"{outlet}: not a feed: {str(error)[:80]}") from error
    if not reader.items:
        raise Rejected(Rejection.EMPTY, f"{outlet}: a feed without items")
    return [headline for item in reader.items if (headline := _headline(outlet, item)) is not None]


class _Reader:
    """Collects the direct children of items; whatever else a feed holds passes by."""

    def __init__(self) -> None:
        self.items: list[dict[str, str]] = []
        self._depth = 0
        self._item_depth: int | None = None
        self._field: str | None = None

    def doctype(self, *_: object) -> None:
        # Entities are declared in document types: a thousand lines of them become gigabytes («billion laughs»).
        raise Rejected(Rejection.MALFORMED, "a feed with a document type is not read")

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Rejected(Rejection.MALFORMED, f"a feed deeper than {MAX_DEPTH}")
        tag = name.rpartition(" ")[2].lower()
        if self._item_depth is None and tag in ITEMS and len(self.items) < MAX_ITEMS:
            self._item_depth = self._depth
            self.items.append({})
        elif self._item_depth is not None and self._depth == self._item_depth + 1:
            self._field = tag

    def end(self, _name: str) -> None:
        if self._depth == self._item_depth:
            self._item_depth = None
        self._field = None
        self._depth -= 1

    def text(self, data: str) -> None:
        if self._field is not None and self._item_depth is not None:
            item = self.items[-1]
            item[self._field] = (item.get(self._field, "") + data)[: MAX_TITLE * 2]


def _headline(outlet: str, item: dict[str, str]) -> Headline | None:
    title = " ".join(item.get("title", "").split())[:MAX_TITLE]
    published_ms = next((at for tag in DATES if tag in item and (at := _moment_ms(item[tag])) is not None), None)
    if not title or published_ms is None:
        return None
    return Headline(outlet, published_ms, title)


def _moment_ms(text: str) -> int | None:
    """`None` where it is no date: feeds leave them out, and write them badly."""
    text = text.strip()
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, TypeError, OverflowError):
            continue
    return None
