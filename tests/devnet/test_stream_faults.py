"""A venue's websocket fails in every way that websockets do; it is named, mended, and the others must not notice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from margrave.collect import socket as sockets
from margrave.collect.board import SocketHealth
from margrave.collect.books.rules import Resync
from margrave.collect.host import GEO_BLOCK_PAUSE_S
from margrave.collect.source import Trouble
from margrave.collect.stream import Stream
from margrave.messages import BookReading, Refusal, TradesReading
from margrave.verdicts import Rejection
from tests.devnet.stream_bench import RETRY_AFTER_S, SKEW_MS, Bench, Fault, bench
from tests.unit.collect.l2 import needs_data

pytestmark = [pytest.mark.devnet, pytest.mark.data, needs_data]
SICK, WELL = "binance", "bybit"


def health(b: Bench, name: str) -> SocketHealth:
    b.tell()
    return b.board.health_of(name).sockets["spot"]


def readings(b: Bench, name: str) -> tuple[BookReading | None, TradesReading | None]:
    b.tell()
    mine = [r for r in b.board.readings() if r.source == name]
    book = next((r for r in mine if isinstance(r, BookReading)), None)
    return book, next((r for r in mine if isinstance(r, TradesReading)), None)


async def until_played(b: Bench, fault: Fault, times: int = 1) -> None:
    """Set a fault and wait until it has been felt so often."""
    venue = b.heard[SICK].venue
    before = venue.faults_played + venue.refused
    venue.fault = fault
    await b.until(lambda: venue.faults_played + venue.refused >= before + times)


def assert_the_other_is_well(b: Bench) -> None:
    """One connection, no resync, nothing refused or dropped, and its book is right and of the present."""
    well = health(b, WELL)
    assert (well.up, well.reconnects, well.resyncs, well.refused, well.dropped) == (True, 0, {}, 0, 0)
    b.assert_right(WELL)
    book, _ = readings(b, WELL)
    assert book is not None
    assert abs(b.clock.now_ms() - book.venue_time_ms) < 20_000


async def both(b: Bench) -> None:
    await b.until_whole(SICK)
    await b.until_whole(WELL)


async def test_two_dialects_of_one_market_end_in_the_same_book() -> None:
    async with bench(SICK, WELL) as b:
        await both(b)
        await b.until(lambda: b.heard[SICK].book.keeper.applied > 100 and b.heard[WELL].book.keeper.applied > 100)
        for name in (SICK, WELL):
            b.assert_right(name)
            book, trades = readings(b, name)
            assert book is not None
            assert trades is not None
            assert book.bid < book.ask
            assert book.bands
            assert book.impact_buy is not None
            assert trades.low <= trades.vwap <= trades.high
            assert health(b, name).resyncs == {}
        assert b.heard[SICK].venue.snapshots == 1


@pytest.mark.parametrize("fault", [Fault.GAP, Fault.OUT_OF_ORDER])
async def test_a_gap_in_sequence_costs_the_book_and_a_new_snapshot_mends_it(fault: Fault) -> None:
    async with bench(SICK, WELL) as b:
        await both(b)
        await until_played(b, fault)
        await b.until(lambda: health(b, SICK).resyncs.get(Resync.GAP) == 1)
        await b.until_whole(SICK)
        await asyncio.sleep(0.2)
        b.assert_right(SICK)
        assert b.heard[SICK].venue.snapshots >= 2
        assert health(b, SICK).reconnects == 0
        assert_the_other_is_well(b)


@pytest.mark.parametrize("fault", [Fault.DUPLICATE, Fault.STALE_REPEATS])
async def test_what_is_said_twice_is_counted_and_changes_nothing(fault: Fault) -> None:
    async with bench(SICK, WELL) as b:
        await both(b)
        before = health(b, SICK).repeats
        await until_played(b, fault)
        await b.until(lambda: health(b, SICK).repeats > before)
        b.assert_right(SICK)
        sick = health(b, SICK)
        assert (sick.resyncs, sick.reconnects) == ({}, 0)
        assert_the_other_is_well(b)


async def test_a_connection_cut_mid_frame_is_opened_again_and_the_book_begun_again() -> None:
    async with bench(SICK, WELL) as b:
        await both(b)
        await until_played(b, Fault.CUT_MID_FRAME)
        await b.until(lambda: health(b, SICK).trouble is Trouble.DISCONNECTED)
        await b.until(lambda: health(b, SICK).reconnects == 1)
        await b.until_whole(SICK)
        b.assert_right(SICK)
        sick = health(b, SICK)
        assert sick.resyncs == {Resync.RECONNECTED: 1}
        assert sick.trouble is None
        assert_the_other_is_well(b)


async def test_gzip_where_json_was_is_refused_by_name_until_the_language_is_given_up() -> None:
    async with bench(SICK, WELL) as b:
        await both(b)
        await until_played(b, Fault.GARBAGE, times=3)
        await b.until(lambda: health(b, SICK).refused >= 3)
        refusals = [r for r in b.board.refusals() if isinstance(r, Refusal)]
        assert {(r.source, r.reason) for r in refusals} == {(SICK, Rejection.MALFORMED)}
        await b.until(lambda: health(b, SICK).trouble is Trouble.GARBLED)
        b.heard[SICK].venue.fault = None
        await b.until_whole(SICK)
        b.assert_right(SICK)
        assert_the_other_is_well(b)


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Fault.GEO_BLOCKED, Trouble.GEO_BLOCKED),
        (Fault.RATE_LIMITED, Trouble.RATE_LIMITED),
        (Fault.MAINTENANCE, Trouble.MAINTENANCE),
    ],
)
async def test_a_refused_handshake_is_named_and_the_venue_left_alone_as_long_as_it_wants(
    fault: Fault, trouble: Trouble
) -> None:
    async with bench(SICK, WELL) as b:
        b.heard[SICK].venue.fault = fault
        await b.until_whole(WELL)
        await b.until(lambda: health(b, SICK).trouble is trouble)
        assert not health(b, SICK).up
        if fault is Fault.MAINTENANCE:
            await b.until(lambda: b.heard[SICK].venue.refused >= 3)
        else:
            refused, at_ms = b.heard[SICK].venue.refused, b.clock.now_ms()
            assert refused == 1
            await asyncio.sleep(1.0)
            paused_s = GEO_BLOCK_PAUSE_S if fault is Fault.GEO_BLOCKED else RETRY_AFTER_S
            assert b.clock.now_ms() - at_ms < paused_s * 1000
            assert b.heard[SICK].venue.refused == 1
        if fault is Fault.RATE_LIMITED:
            b.heard[SICK].venue.fault = None
            await b.until_whole(SICK)
            b.assert_right(SICK)
        assert_the_other_is_well(b)


@pytest.mark.parametrize("fault", [Fault.HALF_OPEN, Fault.HEARTBEATS])
async def test_a_socket_that_says_nothing_of_the_market_is_down(fault: Fault) -> None:
    def impatient(stream: Stream) -> Stream:
        return replace(stream, silence_s=10.0, data_silence_s=15.0)

    async with bench(SICK, WELL, changed=impatient) as b:
        await both(b)
        b.heard[SICK].venue.fault = fault
        await b.until(lambda: health(b, SICK).trouble is Trouble.SILENT)
        b.heard[SICK].venue.fault = None
        await b.until(lambda: health(b, SICK).reconnects >= 1 and health(b, SICK).up)
        await b.until_whole(SICK)
        b.assert_right(SICK)
        assert_the_other_is_well(b)


@pytest.mark.parametrize(
    ("fault", "reason", "skew_ms"),
    [(Fault.SKEWED, Rejection.FUTURE, -SKEW_MS), (Fault.BEHIND, Rejection.STALE, SKEW_MS)],
)
async def test_a_clock_ten_minutes_off_is_noticed_and_what_it_stamps_is_refused(
    fault: Fault, reason: Rejection, skew_ms: int
) -> None:
    async with bench(SICK, WELL) as b:
        b.heard[SICK].venue.fault = fault
        await both(b)
        await b.until(lambda: b.heard[SICK].book.keeper.applied > 20)
        book, trades = readings(b, SICK)
        assert (book, trades) == (None, None)
        said = [r for r in b.board.refusals() if r.source == SICK]
        assert {r.reason for r in said} == {reason}
        assert "clock" in said[0].detail
        measured_ms = b.board.health_of(SICK).skew_ms
        assert measured_ms is not None
        assert abs(measured_ms - skew_ms) < 5_000
        healthy_ms = b.board.health_of(WELL).skew_ms
        assert healthy_ms is not None
        assert abs(healthy_ms) < 5_000
        assert_the_other_is_well(b)


async def test_a_flood_is_dropped_oldest_first_counted_and_never_passed_over_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "MAX_WAITING", 200)
    monkeypatch.setattr(sockets, "TURN_S", 0.0005)
    async with bench(SICK, WELL) as b:
        await both(b)
        b.heard[SICK].venue.fault = Fault.FLOOD
        await b.until(lambda: health(b, SICK).resyncs.get(Resync.OVERFLOW, 0) >= 1)
        assert health(b, SICK).dropped >= 100
        assert_the_other_is_well(b)
