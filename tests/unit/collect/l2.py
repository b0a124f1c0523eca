"""Binance's raw depth streams as recorded, for tests: lines of a local time in ns and a frame."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

from margrave.collect.books.levels import levels
from margrave.collect.books.rules import SequenceRule
from margrave.collect.stream import BookDiff, BookSnapshot
from margrave.ops import strict_json
from tests.history import recorded

FOLDER = "l2_raw_ws_binance_2024_08_08"

RULES = {
    "cm_btcusd_perp_20240808.gz": SequenceRule.PREVIOUS,
    "usdm_btcusdt_20240808.gz": SequenceRule.PREVIOUS,
    "spot_btcusdt_20240808.gz": SequenceRule.SPAN,
    "spot_ethusdt_20240808.gz": SequenceRule.SPAN,
}


def frames(name: str) -> Iterator[tuple[int, bytes]]:
    """(local time in ns, frame), in the order in which they were received."""
    with gzip.open(recorded(FOLDER, name)) as lines:
        for line in lines:
            at, frame = line.split(b" ", 1)
            yield int(at), frame.strip()


def messages(name: str) -> Iterator[dict[str, Any]]:
    """Frames decoded, without the envelope that names the stream; the REST snapshot is one of them."""
    for _, frame in frames(name):
        message = strict_json.decode(frame)
        yield message.get("data", message)


def snapshot(message: dict[str, Any]) -> BookSnapshot:
    return BookSnapshot(
        instrument="",
        perpetual=False,
        venue_ms=message.get("E", 0),
        sequence=message["lastUpdateId"],
        bids=levels(message["bids"], "bids"),
        asks=levels(message["asks"], "asks"),
    )


def diff(message: dict[str, Any]) -> BookDiff:
    return BookDiff(
        instrument="",
        perpetual="pu" in message,
        venue_ms=message["E"],
        first=message["U"],
        last=message["u"],
        previous=message.get("pu"),
        bids=levels(message["b"], "b"),
        asks=levels(message["a"], "a"),
    )
