"""The adapters against the local venue server, over real sockets, for both kinds of tape."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from margrave.collect.board import Board
from margrave.lab.feed.recording import RecordingTape, load_recording
from margrave.lab.feed.scenario import ScenarioTape, load_scenario
from margrave.lab.feed.venues import DIALECTS as VENUES
from margrave.messages import BarsReading, BookReading, ChainReading, Kind, ScalarReading
from margrave.settings import PROJECT_ROOT
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.devnet.venue_bench import bench
from tests.history import DATA, recorded

SCENARIO = PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml"
CRASH_MS = 1_621_429_500_000  # 2021-05-19 13:05 UTC
RECORDED_MS = 1_770_309_000_000  # 2026-02-05 16:30 UTC
pytestmark = pytest.mark.devnet


@pytest.fixture(scope="module")
def scenario() -> ScenarioTape:
    return load_scenario(SCENARIO)


@pytest.fixture(scope="module")
def recording() -> RecordingTape:
    if DATA is None:
        pytest.skip("MARGRAVE_DATA does not point to the market history")
    return load_recording(recorded(), RECORDED_MS - HOUR_MS, RECORDED_MS + 12 * HOUR_MS)


def scalars(board: Board, kind: Kind) -> dict[tuple[str, str], ScalarReading]:
    found = [r for r in board.readings() if isinstance(r, ScalarReading) and r.kind is kind]
    return {(r.source, r.market): r for r in found}


def books(board: Board, *, perpetual: bool) -> dict[tuple[str, str], BookReading]:
    found = [r for r in board.readings() if isinstance(r, BookReading) and r.perpetual is perpetual]
    return {(r.source, r.market): r for r in found}


async def test_one_poll_of_a_scenario_brings_all_that_the_adapters_ask_and_nothing_is_refused(
    scenario: ScenarioTape,
) -> None:
    async with bench(scenario, CRASH_MS) as b:
        await b.collector.collect_once()
        board = b.collector.board
    # two answers of Deribit tell its index: the one that is read later may be a millisecond older
    assert {(r.source, r.what, r.reason) for r in board.refusals()} <= {("deribit", "index_price", Rejection.STALE)}
    assert {name: health.failures for name, health in board.health().items()} == dict.fromkeys(VENUES, 0)
    count = Counter((r.source, type(r).__name__) for r in board.readings())
    assert count == {
        ("deribit", "ScalarReading"): 10,
        ("deribit", "BookReading"): 2,
        ("deribit", "BarsReading"): 2,
        ("deribit", "ChainReading"): 2,
        ("kraken", "ScalarReading"): 8,
        **{(name, "ScalarReading"): 10 for name in ("binance", "okx", "bybit")},
        **{(name, "BookReading"): 4 for name in ("binance", "okx", "bybit", "kraken")},
        **{(name, "BarsReading"): 4 for name in ("binance", "okx", "bybit", "kraken")},
    }


async def test_what_the_venues_say_is_what_the_tape_knows(scenario: ScenarioTape) -> None:
    async with bench(scenario, CRASH_MS) as b:
        await b.collector.collect_once()
        board = b.collector.board
    for market in ("BTC", "ETH"):
        truth = scenario.price(market, CRASH_MS)
        for (_, its_market), book in books(board, perpetual=False).items():
            if its_market == market:
                assert book.bid * 0.995 < truth < book.ask * 1.005
        assert scalars(board, Kind.VOL_INDEX)["deribit", market].value == pytest.approx(
            scenario.implied(market, CRASH_MS), rel=1e-3
        )
        fundings = {reading.value for key, reading in scalars(board, Kind.FUNDING_8H).items() if key[1] == market}
        assert max(fundings) == pytest.approx(min(fundings), abs=2e-8), "five conventions, one rate"
        (chain,) = [r for r in board.readings() if isinstance(r, ChainReading) and r.market == market]
        assert len(chain.quotes) > 300
        assert all(q.forward == pytest.approx(truth, rel=0.1) for q in chain.quotes)


async def test_a_months_hourly_candles_come_with_the_first_poll(scenario: ScenarioTape) -> None:
    async with bench(scenario, CRASH_MS) as b:
        await b.collector.collect_once()
        readings = [r for r in b.collector.board.readings() if isinstance(r, BarsReading)]
    assert len(readings) == 18
    for reading in readings:
        opens = [bar.open_time_ms for bar in reading.bars]
        assert len(opens) >= 720
        assert opens == list(range(opens[0], opens[-1] + 1, HOUR_MS)), "without a gap"
        assert opens[-1] == CRASH_MS - CRASH_MS % HOUR_MS, "up to the running hour"


async def test_a_running_collector_keeps_its_quotes_fresh_and_stops_cleanly(scenario: ScenarioTape) -> None:
    async with bench(scenario, CRASH_MS, interval_s=0.2) as b:
        await b.collector.start()
        first_ms = await _quoted_after(b.collector.board, 0)
        await _quoted_after(b.collector.board, first_ms)
        await b.collector.stop()
        health, served = b.collector.board.health(), b.feed.served
        await asyncio.sleep(0.5)
        assert b.feed.served == served, "nobody asks after the stop"
        assert b.collector.board.health() == health, "and no poll was left to fail"
        assert all(source.failures == 0 for source in health.values())


async def _quoted_after(board: Board, then_ms: int) -> int:
    """When all five venues have quoted later than that; the oldest of their times."""
    async with asyncio.timeout(30):
        while True:
            times = [r.venue_time_ms for r in books(board, perpetual=True).values()]
            if len(times) == 10 and min(times) > then_ms:
                return min(times)
            await asyncio.sleep(0.02)


@pytest.mark.data
async def test_a_recording_speaks_its_candles_and_chains_and_nothing_that_it_does_not_hold(
    recording: RecordingTape,
) -> None:
    async with bench(recording, RECORDED_MS) as b:
        await b.collector.collect_once()
        board = b.collector.board
    refused = Counter((r.source, r.reason) for r in board.refusals())
    assert refused["binance", Rejection.VENUE_ERROR] == 6, "spot book, spot candles and open interest, two markets"
    assert refused["deribit", Rejection.VENUE_ERROR] == 2, "no volatility index"
    assert books(board, perpetual=False) == {}
    assert scalars(board, Kind.OPEN_INTEREST) == {}
    assert books(board, perpetual=True).keys() == {
        (venue, market) for venue in ("binance", "okx", "bybit", "kraken") for market in ("BTC", "ETH")
    }
    assert scalars(board, Kind.FUNDING_8H).keys() == books(board, perpetual=True).keys()


@pytest.mark.data
async def test_a_recordings_closed_candles_are_the_recorded_ones(recording: RecordingTape) -> None:
    async with bench(recording, RECORDED_MS) as b:
        await b.collector.collect_once()
        readings = [r for r in b.collector.board.readings() if isinstance(r, BarsReading)]
    assert len(readings) == 8
    for reading in readings:
        known = recording.bars(reading.source, reading.market, perpetual=True, since_ms=0, t_ms=RECORDED_MS)
        assert known is not None
        recorded = {bar.open_time_ms: bar for bar in known[:-1]}
        closed = [bar for bar in reading.bars if bar.open_time_ms in recorded]
        assert len(closed) >= 719
        for bar in closed:
            for field in ("open", "high", "low", "close"):
                assert getattr(bar, field) == pytest.approx(getattr(recorded[bar.open_time_ms], field), abs=1e-7)


@pytest.mark.data
async def test_a_recorded_chain_keeps_the_time_at_which_it_was_said(recording: RecordingTape) -> None:
    async with bench(recording, RECORDED_MS) as b:
        await b.collector.collect_once()
        chains = [r for r in b.collector.board.readings() if isinstance(r, ChainReading)]
    assert {r.venue_time_ms for r in chains} == {1_770_306_692_535}, "2026-02-05 15:51:32.535, forty minutes before"
    assert {r.market: len(r.quotes) for r in chains} == {"BTC": 864, "ETH": 918}


# --- as its own process ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def feed_process(*arguments: str) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "margrave.lab.feed", "--port", str(port), *arguments),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def _answered(client: httpx2.AsyncClient, url: str) -> bytes:
    """The first answer of a server that is still starting."""
    async with asyncio.timeout(60):
        while True:
            try:
                return (await client.get(url)).content
            except httpx2.TransportError:
                await asyncio.sleep(0.1)


async def test_two_processes_say_the_same_of_the_same_moment() -> None:
    still = ("--scenario", str(SCENARIO), "--speed", "1e-9", "--origin-ms", str(CRASH_MS), "--origin-wall-ms", "0")
    paths = ("/deribit/api/v2/public/get_book_summary_by_currency?currency=BTC&kind=option", "/_lab/status")
    async with httpx2.AsyncClient() as client, feed_process(*still) as one, feed_process(*still) as other:
        for path in paths:
            said = [await _answered(client, url + path) for url, _ in (one, other)]
            assert len(said[0]) > 300
            assert said[0] == said[1]
