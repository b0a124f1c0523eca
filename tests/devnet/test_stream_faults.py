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
from margrave.collect.venues import VENUES
from margrave.messages import BookReading, TradesReading
from margrave.verdicts import Rejection
from tests.devnet.dialects import DIALECTS
from tests.devnet.stream_bench import RETRY_AFTER_S, SKEW_MS, Bench, Fault, bench
from tests.history import needs_data

pytestmark = [pytest.mark.devnet, pytest.mark.data, needs_data]
ALL = sorted(DIALECTS)
NUMBERED = ["binance", "bybit", "coinbase", "deribit", "okx"]
UNNUMBERED = ["hyperliquid", "kraken"]


def well_beside(sick: str) -> str:
    return "bybit" if sick != "bybit" else "binance"


def health(b: Bench, name: str) -> SocketHealth:
    b.tell()
    return b.board.health_of(name).sockets[DIALECTS[name].stream]


def readings(b: Bench, name: str) -> tuple[BookReading | None, TradesReading | None]:
    b.tell()
    mine = [r for r in b.board.readings() if r.source == name]
    book = next((r for r in mine if isinstance(r, BookReading)), None)
    return book, next((r for r in mine if isinstance(r, TradesReading)), None)


async def until_felt(b: Bench, sick: str, fault: Fault, times: int = 1) -> None:
    """Set a fault and wait until it has been played so often."""
    venue = b.heard[sick].venue
    before = venue.faults_played
    venue.fault = fault
    await b.until(lambda: venue.faults_played >= before + times)


async def until_the_other_is_well(b: Bench, sick: str) -> None:
    """One connection, no resync, nothing refused or dropped, and its book is right and of the present."""
    name = well_beside(sick)
    await b.until_right(name)
    well = health(b, name)
    assert (well.up, well.reconnects, well.resyncs, well.refused, well.dropped) == (True, 0, {}, 0, 0)
    book, _ = readings(b, name)
    assert book is not None
    assert abs(b.clock.now_ms() - book.venue_time_ms) < 20_000


def test_every_venue_that_has_streams_has_a_dialect() -> None:
    assert sorted(name for name, venue in VENUES.items() if venue.streams) == ALL


async def test_seven_dialects_of_one_market_end_in_the_same_book() -> None:
    async with bench(*ALL) as b:
        await b.until_whole(*ALL)
        await b.until(lambda: all(heard.book.keeper.applied > 50 for heard in b.heard.values()))
        for name in ALL:
            await b.until_right(name)
            book, trades = readings(b, name)
            assert book is not None, name
            assert trades is not None, name
            assert book.bid < book.ask
            assert trades.low <= trades.vwap <= trades.high
            seen = health(b, name)
            assert (seen.resyncs, seen.reconnects, seen.refused, seen.trouble) == ({}, 0, 0, None), name
        for name in ("okx", "kraken"):
            keeper = b.heard[name].book.keeper
            assert keeper.verified == keeper.applied, name


@pytest.mark.parametrize("sick", NUMBERED)
@pytest.mark.parametrize("fault", [Fault.GAP, Fault.OUT_OF_ORDER])
async def test_a_gap_in_sequence_costs_the_book_and_a_new_snapshot_mends_it(fault: Fault, sick: str) -> None:
    async with bench(sick, well_beside(sick)) as b:
        await b.until_whole(sick, well_beside(sick))
        await until_felt(b, sick, fault)
        await b.until(lambda: health(b, sick).resyncs.get(Resync.GAP, 0) >= 1)
        await b.until_right(sick)
        assert health(b, sick).reconnects == 0
        await until_the_other_is_well(b, sick)


async def test_where_nothing_is_numbered_the_checksum_shows_what_was_lost() -> None:
    async with bench("kraken", "bybit") as b:
        await b.until_whole("kraken", "bybit")

        async def noticed() -> bool:
            await until_felt(b, "kraken", Fault.GAP)
            await asyncio.sleep(0.05)
            return bool(health(b, "kraken").resyncs)

        # A message that changed only far levels shows when they come near: some are lost in vain.
        while not await noticed():
            pass
        assert health(b, "kraken").resyncs.keys() <= {Resync.CHECKSUM, Resync.CROSSED}
        await b.until_right("kraken")
        await until_the_other_is_well(b, "kraken")


@pytest.mark.parametrize("sick", NUMBERED)
@pytest.mark.parametrize("fault", [Fault.DUPLICATE, Fault.STALE_REPEATS])
async def test_what_is_said_twice_is_counted_and_changes_nothing(fault: Fault, sick: str) -> None:
    async with bench(sick, well_beside(sick)) as b:
        await b.until_whole(sick, well_beside(sick))
        before = health(b, sick).repeats
        await until_felt(b, sick, fault)
        await b.until(lambda: health(b, sick).repeats > before)
        await b.until_right(sick)
        assert (health(b, sick).resyncs, health(b, sick).reconnects) == ({}, 0)
        await until_the_other_is_well(b, sick)


@pytest.mark.parametrize("sick", UNNUMBERED)
@pytest.mark.parametrize("fault", [Fault.GAP, Fault.OUT_OF_ORDER, Fault.DUPLICATE, Fault.STALE_REPEATS])
async def test_a_venue_without_numbers_is_right_again_all_the_same(fault: Fault, sick: str) -> None:
    """Whole books mend themselves with the next one; a checksum holds the top, whatever order its messages came in."""
    async with bench(sick, well_beside(sick)) as b:
        await b.until_whole(sick, well_beside(sick))
        await until_felt(b, sick, fault)
        b.heard[sick].venue.fault = None
        applied = b.heard[sick].book.keeper.applied
        await b.until(lambda: b.heard[sick].book.keeper.applied > applied + 5)
        await b.until_right(sick)
        assert health(b, sick).reconnects == 0
        await until_the_other_is_well(b, sick)


@pytest.mark.parametrize("sick", ALL)
async def test_a_connection_cut_mid_frame_is_opened_again_and_the_book_begun_again(sick: str) -> None:
    async with bench(sick, well_beside(sick)) as b:
        await b.until_whole(sick, well_beside(sick))
        await until_felt(b, sick, Fault.CUT_MID_FRAME)
        await b.until(lambda: health(b, sick).trouble is Trouble.DISCONNECTED)
        await b.until(lambda: health(b, sick).reconnects == 1)
        await b.until_right(sick)
        sick_health = health(b, sick)
        assert sick_health.resyncs == {Resync.RECONNECTED: 1}
        assert sick_health.trouble is None
        await until_the_other_is_well(b, sick)


@pytest.mark.parametrize("sick", ALL)
async def test_gzip_where_json_was_is_refused_by_name_until_the_language_is_given_up(sick: str) -> None:
    async with bench(sick, well_beside(sick)) as b:
        await b.until_whole(sick, well_beside(sick))
        await until_felt(b, sick, Fault.GARBAGE, times=3)
        await b.until(lambda: health(b, sick).refused >= 3)
        assert {(r.source, r.reason) for r in b.board.refusals()} == {(sick, Rejection.MALFORMED)}
        await b.until(lambda: health(b, sick).trouble is Trouble.GARBLED)
        b.heard[sick].venue.fault = None
        await b.until_whole(sick)
        await b.until_right(sick)
        await until_the_other_is_well(b, sick)


@pytest.mark.parametrize("sick", ALL)
@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Fault.GEO_BLOCKED, Trouble.GEO_BLOCKED),
        (Fault.RATE_LIMITED, Trouble.RATE_LIMITED),
        (Fault.MAINTENANCE, Trouble.MAINTENANCE),
    ],
)
async def test_a_refused_handshake_is_named_and_the_venue_left_alone_as_long_as_it_wants(
    fault: Fault, trouble: Trouble, sick: str
) -> None:
    async with bench(sick, well_beside(sick)) as b:
        venue = b.heard[sick].venue
        venue.fault = fault
        await b.until_whole(well_beside(sick))
        await b.until(lambda: health(b, sick).trouble is trouble)
        assert not health(b, sick).up
        if fault is Fault.MAINTENANCE:
            await b.until(lambda: venue.refused >= 3)
        else:
            began_ms, wanted_s = b.clock.now_ms(), GEO_BLOCK_PAUSE_S if fault is Fault.GEO_BLOCKED else RETRY_AFTER_S
            await asyncio.sleep(0.5)
            assert b.clock.now_ms() - began_ms < wanted_s * 1000
            assert venue.refused == 1
        if fault is Fault.RATE_LIMITED:
            venue.fault = None
            await b.until_whole(sick)
            await b.until_right(sick)
        await until_the_other_is_well(b, sick)


@pytest.mark.parametrize("sick", ALL)
@pytest.mark.parametrize("fault", [Fault.HALF_OPEN, Fault.HEARTBEATS])
async def test_a_socket_that_says_nothing_of_the_market_is_down(fault: Fault, sick: str) -> None:
    def impatient(stream: Stream) -> Stream:
        return replace(stream, silence_s=10.0, data_silence_s=15.0)

    async with bench(sick, well_beside(sick), changed=impatient) as b:
        await b.until_whole(sick, well_beside(sick))
        b.heard[sick].venue.fault = fault
        await b.until(lambda: health(b, sick).trouble is Trouble.SILENT)
        b.heard[sick].venue.fault = None
        await b.until(lambda: health(b, sick).reconnects >= 1 and health(b, sick).up)
        await b.until_right(sick)
        await until_the_other_is_well(b, sick)


@pytest.mark.parametrize("sick", ALL)
@pytest.mark.parametrize(
    ("fault", "reason", "skew_ms"),
    [(Fault.SKEWED, Rejection.FUTURE, -SKEW_MS), (Fault.BEHIND, Rejection.STALE, SKEW_MS)],
)
async def test_a_clock_ten_minutes_off_is_noticed_and_what_it_stamps_is_refused(
    fault: Fault, reason: Rejection, skew_ms: int, sick: str
) -> None:
    async with bench(sick, well_beside(sick)) as b:
        b.heard[sick].venue.fault = fault
        await b.until_whole(sick, well_beside(sick))
        await b.until(lambda: b.heard[sick].book.keeper.applied > 20)
        assert readings(b, sick) == (None, None)
        said = [r for r in b.board.refusals() if r.source == sick]
        assert {r.reason for r in said} == {reason}
        assert "clock" in said[0].detail
        measured_ms = b.board.health_of(sick).skew_ms
        assert measured_ms is not None
        assert abs(measured_ms - skew_ms) < 5_000
        healthy_ms = b.board.health_of(well_beside(sick)).skew_ms
        assert healthy_ms is not None
        assert abs(healthy_ms) < 5_000
        await until_the_other_is_well(b, sick)


@pytest.mark.parametrize("sick", ["binance", "bybit"])
async def test_a_flood_is_dropped_oldest_first_counted_and_never_passed_over_in_silence(
    sick: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_WAITING", 200)
    monkeypatch.setattr(sockets, "TURN_S", 0.0005)
    async with bench(sick, well_beside(sick)) as b:
        await b.until_whole(sick, well_beside(sick))
        b.heard[sick].venue.fault = Fault.FLOOD
        await b.until(lambda: health(b, sick).resyncs.get(Resync.OVERFLOW, 0) >= 1)
        assert health(b, sick).dropped >= 100
        await until_the_other_is_well(b, sick)
