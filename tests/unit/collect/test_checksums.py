"""The venues' checksums, remade after every message of their recordings: 10 books of Kraken, 3 of OKX."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from margrave.collect.books import checksums
from margrave.collect.books.keeper import Keeper
from margrave.collect.books.levels import levels
from margrave.collect.books.rules import Resync, SequenceRule
from margrave.collect.stream import BookDiff, BookSnapshot
from margrave.ops import strict_json
from tests.history import needs_data, recorded

FOLDER = "fixtures_cryptofeed_raw"
FRAME = re.compile(rb"\d+\.\d+: (.*)")
Rows = list[list[str]]


def frames(name: str) -> Iterator[Any]:
    with gzip.open(recorded(FOLDER, name)) as lines:
        for line in lines:
            if found := FRAME.fullmatch(line.strip()):
                yield strict_json.decode(found[1])


def raw(rows: Rows) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in rows]


def whole(bids: Rows, asks: Rows, *, checksum: int | None = None, depth: int | None = None) -> BookSnapshot:
    return BookSnapshot(
        instrument="",
        perpetual=False,
        venue_ms=0,
        sequence=0,
        bids=levels(bids, "bids"),
        asks=levels(asks, "asks"),
        checksum=checksum,
        raw_bids=raw(bids),
        raw_asks=raw(asks),
        depth=depth,
    )


def change(bids: Rows, asks: Rows, checksum: int | None) -> BookDiff:
    return BookDiff(
        instrument="",
        perpetual=False,
        venue_ms=0,
        first=0,
        last=0,
        previous=None,
        bids=levels(bids, "bids"),
        asks=levels(asks, "asks"),
        checksum=checksum,
        raw_bids=raw(bids),
        raw_asks=raw(asks),
    )


def kraken_books() -> dict[str, Keeper]:
    keepers: dict[str, Keeper] = {}
    for frame in frames("KRAKEN.ws.50.0.gz"):
        if not isinstance(frame, list):
            continue
        parts: dict[str, Any] = {key: value for part in frame[1:-2] for key, value in part.items()}
        if "as" in parts or "bs" in parts:
            keeper = keepers[frame[-1]] = Keeper(SequenceRule.CHECKSUM, checksum=checksums.kraken)
            assert keeper.snapshot(whole(parts.get("bs", []), parts.get("as", []), depth=1000)) is None
        else:
            keeper = keepers[frame[-1]]
            assert keeper.diff(change(parts.get("b", []), parts.get("a", []), int(parts["c"]))) is None
    return keepers


@needs_data
@pytest.mark.data
def test_every_checksum_of_krakens_recording_agrees() -> None:
    keepers = kraken_books()
    assert len(keepers) == 10
    assert sum(k.verified for k in keepers.values()) == sum(k.applied - 1 for k in keepers.values()) == 4_269


@needs_data
@pytest.mark.data
def test_every_checksum_of_okxs_recording_agrees() -> None:
    keepers: dict[str, Keeper] = {}
    for frame in frames("OKX.ws.1.0.gz"):
        if frame.get("arg", {}).get("channel") != "books" or "data" not in frame:
            continue
        for book in frame["data"]:
            if frame["action"] == "snapshot":
                keeper = keepers[frame["arg"]["instId"]] = Keeper(SequenceRule.CHECKSUM, checksum=checksums.okx)
                assert keeper.snapshot(whole(book["bids"], book["asks"], checksum=book["checksum"])) is None
            else:
                keeper = keepers[frame["arg"]["instId"]]
                assert keeper.diff(change(book["bids"], book["asks"], book["checksum"])) is None
    assert len(keepers) == 3
    assert sum(k.verified for k in keepers.values()) == sum(k.applied for k in keepers.values()) == 290


@needs_data
@pytest.mark.data
def test_a_lost_message_is_noticed_by_the_checksum_as_soon_as_it_shows_in_the_top() -> None:
    keeper, lost, noticed = Keeper(SequenceRule.CHECKSUM, checksum=checksums.kraken), 0, Counter[Resync | None]()
    for frame in frames("KRAKEN.ws.50.0.gz"):
        if not isinstance(frame, list) or frame[-1] != "XBT/CHF":
            continue
        parts: dict[str, Any] = {key: value for part in frame[1:-2] for key, value in part.items()}
        if "as" in parts:
            keeper.snapshot(whole(parts["bs"], parts["as"], depth=1000))
            continue
        said = change(parts.get("b", []), parts.get("a", []), int(parts["c"]))
        top = [*keeper.ladder.bids.nearest(5), *keeper.ladder.asks.nearest(5)]
        if not lost and any(price in top and size == 0 for price, size in (*said.bids, *said.asks)):
            lost += 1
            continue
        noticed[keeper.diff(said)] += 1
        if not keeper.whole:
            break
    assert lost == 1
    assert noticed[Resync.CHECKSUM] == 1


def test_krakens_own_example() -> None:
    """docs.kraken.com/api, "Spot websockets (v1): book checksum"."""
    asks = [("0.05005", "0.00000500"), ("0.05010", "0.00000500"), ("0.05015", "0.00000500"), ("0.05020", "0.00000500")]
    asks += [("0.05025", "0.00000500"), ("0.05030", "0.00000500"), ("0.05035", "0.00000500"), ("0.05040", "0.00000500")]
    asks += [("0.05045", "0.00000500"), ("0.05050", "0.00000500")]
    bids = [("0.05000", "0.00000500"), ("0.04995", "0.00000500"), ("0.04990", "0.00000500"), ("0.04980", "0.00000500")]
    bids += [("0.04975", "0.00000500"), ("0.04970", "0.00000500"), ("0.04965", "0.00000500"), ("0.04960", "0.00000500")]
    bids += [("0.04955", "0.00000500"), ("0.04950", "0.00000500")]
    assert checksums.kraken(bids, asks) == 974_947_235


def test_okx_writes_one_side_alone_where_it_is_longer() -> None:
    """OKX v5, "Checksum": the form of the text is documented, so its CRC-32 is what counts."""
    from zlib import crc32

    asks = [("3366.8", "9"), ("3368", "8"), ("3372", "8")]
    assert checksums.okx([("3366.1", "7")], asks) == crc32(b"3366.1:7:3366.8:9:3368:8:3372:8")
    assert checksums.agrees(
        crc32(b"3366.1:7:3366.8:9:3368:8:3372:8"), -(2**32) + crc32(b"3366.1:7:3366.8:9:3368:8:3372:8")
    )
