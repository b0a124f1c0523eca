"""One venue fails in every way that venues do; the others must not notice."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from margrave.collect.source import Trouble
from margrave.lab.feed.faults import SKEW_MS, Fault
from margrave.lab.feed.scenario import ScenarioTape, load_scenario
from margrave.lab.feed.server import RETRY_AFTER_S
from margrave.lab.feed.serving import serving
from margrave.lab.feed.venues import DIALECTS as VENUES
from margrave.messages import BookReading
from margrave.settings import PROJECT_ROOT
from margrave.verdicts import Rejection
from tests.devnet.venue_bench import Bench, bench

CRASH_MS = 1_621_429_500_000
pytestmark = pytest.mark.devnet


@pytest.fixture(scope="module")
def tape() -> ScenarioTape:
    return load_scenario(PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml")


def book_times(b: Bench, venue: str) -> list[int]:
    return [r.venue_time_ms for r in b.collector.board.readings() if isinstance(r, BookReading) and r.source == venue]


def assert_others_are_heard(b: Bench, sick: str) -> None:
    for name in VENUES.keys() - {sick}:
        health = b.collector.board.health_of(name)
        assert (health.trouble, health.failures) == (None, 0), name
        assert book_times(b, name)


def assert_others_are_well(b: Bench, sick: str) -> None:
    assert_others_are_heard(b, sick)
    for name in VENUES.keys() - {sick}:
        assert b.collector.board.health_of(name).refusals == 0, name


@pytest.mark.parametrize("sick", sorted(VENUES))
@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Fault.GEO_BLOCKED, Trouble.GEO_BLOCKED),
        (Fault.RATE_LIMITED, Trouble.RATE_LIMITED),
        (Fault.DOWN, Trouble.MAINTENANCE),
    ],
)
async def test_a_venue_that_refuses_is_named_and_the_others_go_on(
    tape: ScenarioTape, sick: str, fault: Fault, trouble: Trouble
) -> None:
    async with bench(tape, CRASH_MS, only="BTC") as b:
        b.feed.faults.set(sick, fault, CRASH_MS)
        await b.collector.collect_once()
        assert b.collector.board.health_of(sick).trouble is trouble
        assert book_times(b, sick) == []
        assert_others_are_well(b, sick)


@pytest.mark.parametrize("sick", sorted(VENUES))
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.GARBAGE, Rejection.MALFORMED),
        (Fault.TRUNCATED, Rejection.MALFORMED),
        (Fault.EMPTY, Rejection.EMPTY),
    ],
)
async def test_a_venue_that_babbles_is_refused_by_name_and_the_others_go_on(
    tape: ScenarioTape, sick: str, fault: Fault, reason: Rejection
) -> None:
    async with bench(tape, CRASH_MS, only="BTC") as b:
        b.feed.faults.set(sick, fault, CRASH_MS)
        await b.collector.collect_once()
        assert_others_are_well(b, sick)
        assert book_times(b, sick) == []
        assert {(r.source, r.reason) for r in b.collector.board.refusals()} == {(sick, reason)}


async def test_a_venue_that_hangs_does_not_hold_up_a_running_collector(tape: ScenarioTape) -> None:
    async with bench(tape, CRASH_MS, only="BTC", timeout_s=2.0, interval_s=0.2) as b:
        b.feed.faults.set("kraken", Fault.HANGS, CRASH_MS)
        await b.collector.start()
        polls = 0
        last_ms = 0
        async with asyncio.timeout(30):
            while polls < 3 or b.collector.board.health_of("kraken").trouble is None:
                await asyncio.sleep(0.02)
                times = book_times(b, "binance")
                if times and min(times) > last_ms:
                    polls, last_ms = polls + 1, max(times)
        assert b.collector.board.health_of("kraken").trouble is Trouble.TIMEOUT
        # Two endpoints of Deribit tell the index; over several polls the later answer may be the older figure.
        assert_others_are_heard(b, "kraken")


async def test_a_frozen_venue_keeps_its_old_time_so_that_its_age_shows(tape: ScenarioTape) -> None:
    async with bench(tape, CRASH_MS, only="BTC") as b:
        b.feed.faults.set("okx", Fault.FROZEN, CRASH_MS - 3_600_000)
        await b.collector.collect_once()
        assert set(book_times(b, "okx")) == {CRASH_MS - 3_600_000}
        assert min(book_times(b, "bybit")) >= CRASH_MS


async def test_a_venue_with_a_wrong_clock_is_passed_on_with_that_clock(tape: ScenarioTape) -> None:
    """Whether to believe it is the guard's question: collect keeps both times and judges neither."""
    async with bench(tape, CRASH_MS, only="BTC") as b:
        b.feed.faults.set("bybit", Fault.SKEWED, CRASH_MS)
        await b.collector.collect_once()
        assert min(book_times(b, "bybit")) >= CRASH_MS + SKEW_MS
        assert (b.collector.board.health_of("bybit").lag_ms or 0) < -SKEW_MS // 2


async def test_a_venue_that_recovers_is_heard_again_after_its_pause(tape: ScenarioTape) -> None:
    async with bench(tape, CRASH_MS, only="BTC") as b:
        b.feed.faults.set("binance", Fault.DOWN, CRASH_MS)
        await b.collector.collect_once()
        b.feed.faults.set("binance", None, CRASH_MS)
        async with asyncio.timeout(30):
            while not book_times(b, "binance"):
                await asyncio.sleep(0.1)
                await b.collector.collect_once()
        assert b.collector.board.health_of("binance").failures_in_a_row == 0


async def test_faults_are_set_and_mended_over_the_wire(tape: ScenarioTape) -> None:
    async with (
        bench(tape, CRASH_MS, only="BTC") as b,
        serving(b.feed) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        path = "/okx/api/v5/market/books?instId=BTC-USDT"
        assert (await client.get(path)).status_code == 200
        assert (await client.put("/_lab/fault/okx?kind=rate_limited")).status_code == 200
        limited = await client.get(path)
        assert (limited.status_code, limited.headers["retry-after"]) == (429, str(RETRY_AFTER_S))
        assert (await client.delete("/_lab/fault/okx")).json() == {"faults": {}}
        assert (await client.get(path)).status_code == 200
        assert (await client.put("/_lab/fault/okx?kind=tired")).status_code == 400
        assert (await client.put("/_lab/fault/mtgox?kind=down")).status_code == 404
        assert (await client.get("/mtgox/api")).status_code == 404
