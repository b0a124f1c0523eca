"""What the board knows of its sources, as an operator's dashboard sees it."""

from __future__ import annotations

from dataclasses import fields

import msgspec

from margrave.collect.board import Board, SocketHealth
from margrave.collect.books.rules import Resync
from margrave.collect.gauges import tell_sources
from margrave.collect.source import Trouble
from margrave.messages import Kind, ScalarReading
from margrave.ops.metrics import SOCKET_GAUGES, Metrics
from tests.unit.collect.ask import NOW_MS


def heard() -> Board:
    board = Board()
    board.put(
        ScalarReading(
            source="okx",
            market="BTC",
            instrument="BTC-USDT-SWAP",
            venue_time_ms=NOW_MS - 2_500,
            seen_time_ms=NOW_MS,
            kind=Kind.MARK_PRICE,
            value=1.0,
        )
    )
    socket = SocketHealth(up=True, frames=70, dropped=3, reconnects=2, resyncs={Resync.GAP: 4}, books=2, books_whole=1)
    board.tell_socket("okx", "public", socket)
    board.fail_socket("okx", "okx public websocket: HTTP 429")
    return board


def test_every_figure_of_a_socket_and_its_source_is_a_gauge() -> None:
    metrics = Metrics()
    tell_sources(heard(), metrics, NOW_MS + 1_000)
    tell_sources(heard(), metrics, NOW_MS + 1_000)
    text = metrics.text().decode()
    for line in (
        'margrave_source_up{source="okx"} 1.0',
        'margrave_source_failures{source="okx"} 1.0',
        'margrave_source_age_seconds{source="okx"} 1.0',
        'margrave_source_lag_seconds{source="okx"} 2.5',
        'margrave_source_skew_seconds{source="okx"} 2.5',
        'margrave_socket_up{source="okx",stream="public"} 1.0',
        'margrave_socket_frames{source="okx",stream="public"} 70.0',
        'margrave_socket_dropped{source="okx",stream="public"} 3.0',
        'margrave_socket_reconnects{source="okx",stream="public"} 2.0',
        'margrave_socket_books_whole{source="okx",stream="public"} 1.0',
        'margrave_book_resyncs{reason="gap",source="okx",stream="public"} 4.0',
        "margrave_refusals_dropped 0.0",
    ):
        assert line in text.splitlines(), line


def test_no_figure_of_a_socket_is_forgotten() -> None:
    words = {"trouble", "last_error", "resyncs"}
    assert SOCKET_GAUGES.keys() == {f.name for f in fields(SocketHealth)} - words


def test_a_sockets_health_can_be_said_as_json() -> None:
    health = SocketHealth(trouble=Trouble.SILENT, resyncs={Resync.CROSSED: 1})
    said = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(health)))
    assert (said["trouble"], said["resyncs"], said["up"]) == ("silent", {"crossed": 1}, False)
