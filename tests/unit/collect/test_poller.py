"""The poller against a venue in memory: what it asks, when, and what it makes of failures."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx2
import pytest

from margrave.collect.board import Board
from margrave.collect.host import GEO_BLOCK_PAUSE_S, Host
from margrave.collect.poller import MARK_MAX_AGE_MS, Kept, Poller
from margrave.collect.source import Pace, Request, Trouble, VenueTrouble
from margrave.collect.venues import VENUES
from margrave.messages import BookReading, Kind, ScalarReading
from margrave.ops import strict_json
from margrave.settings import Instruments, MarketSettings, VenueSettings
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS

MARKETS = {
    "BTC": MarketSettings(
        id=0, reference_size_usd=1.0, instruments={"binance": Instruments(spot="BTCUSDT", perpetual="BTCUSDT")}
    )
}
BOOK = {"lastUpdateId": 1, "bids": [["99", "1"]], "asks": [["101", "1"]]}
Handler = Callable[[httpx2.Request], httpx2.Response]


@dataclass
class HandClock:
    """A clock that a test moves."""

    ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def wall_s(self, clock_seconds: float) -> float:
        return clock_seconds


class Bench:
    """One Binance poller, its board, its clock, and a handler in place of the network."""

    def __init__(
        self,
        handler: Handler,
        *,
        futures_url: str | None = None,
        options_url: str | None = None,
        timeout_s: float = 5.0,
        markets: Mapping[str, MarketSettings] = MARKETS,
        kept: Kept = lambda *_: False,
    ) -> None:
        self.asked: Counter[str] = Counter()
        self.queries: list[httpx2.Request] = []
        self.handler = handler
        self.board = Board()
        self.clock = HandClock()
        settings = VenueSettings(
            base_url="http://spot.test",
            futures_url=futures_url,
            options_url=options_url,
            timeout_s=timeout_s,
            requests_per_minute=60_000,
        )
        transport = httpx2.MockTransport(self._handle)
        self.poller = Poller(
            VENUES["binance"], settings, markets, board=self.board, clock=self.clock, transport=transport, kept=kept
        )

    async def poll(self, *, after_s: float = 0.0) -> None:
        self.clock.ms += int(after_s * 1000)
        await self.poller.poll()

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked[request.url.path] += 1
        self.queries.append(request)
        return self.handler(request)


def venue(request: httpx2.Request) -> httpx2.Response:
    """A healthy Binance."""
    hour = NOW_MS // 3_600_000 * 3_600_000
    match request.url.path:
        case "/api/v3/depth":
            return httpx2.Response(200, json=BOOK)
        case "/fapi/v1/depth":
            return httpx2.Response(200, json={**BOOK, "E": NOW_MS})
        case "/fapi/v1/premiumIndex":
            return httpx2.Response(200, json={"symbol": "BTCUSDT", "markPrice": "100", "time": NOW_MS})
        case "/fapi/v1/openInterest":
            return httpx2.Response(200, json={"openInterest": "5", "symbol": "BTCUSDT", "time": NOW_MS})
        case "/futures/data/globalLongShortAccountRatio":
            return httpx2.Response(200, json=[{"symbol": "BTCUSDT", "longShortRatio": "1.5", "timestamp": NOW_MS}])
    return httpx2.Response(200, json=[[hour, "1", "1", "1", "1", "1", hour + 3_599_999, "1", 1, "1", "1", "0"]])


def status(code: int, **headers: str) -> Handler:
    return lambda _: httpx2.Response(code, headers=headers)


async def test_one_poll_brings_everything_and_open_interest_is_valued_at_the_fresh_mark() -> None:
    bench = Bench(venue)
    await bench.poll()
    found = {r.kind: r.value for r in bench.board.readings() if isinstance(r, ScalarReading)}
    assert found == {Kind.MARK_PRICE: 100, Kind.OPEN_INTEREST: 500, Kind.LONG_SHORT_RATIO: 1.5}
    assert len(bench.board.readings()) == 7
    assert bench.board.refusals() == ()


async def test_an_old_mark_does_not_value_an_open_interest() -> None:
    def no_mark_any_more(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/fapi/v1/premiumIndex" and bench.asked["/fapi/v1/premiumIndex"] > 1:
            return httpx2.Response(200, json={"symbol": "BTCUSDT", "time": NOW_MS})
        return venue(request)

    bench = Bench(no_mark_any_more)
    await bench.poll()
    await bench.poll(after_s=MARK_MAX_AGE_MS / 1000 + 1)
    reasons = {r.what: r.reason for r in bench.board.refusals()}
    assert reasons["openInterest"] is Rejection.EMPTY


async def test_candles_are_asked_in_full_once_and_then_a_few_every_five_minutes() -> None:
    bench = Bench(venue)
    await bench.poll()
    await bench.poll(after_s=270)
    assert bench.asked["/api/v3/klines"] == 1
    assert bench.asked["/api/v3/depth"] == 2
    await bench.poll(after_s=29)
    limits = [int(q.url.params["limit"]) for q in bench.queries if q.url.path == "/api/v3/klines"]
    assert limits[0] >= 720
    assert limits[1] < 5


async def test_after_a_gap_as_many_candles_are_asked_as_hours_were_missed() -> None:
    bench = Bench(venue)
    await bench.poll()
    await bench.poll(after_s=10 * 3600)
    limits = [int(q.url.params["limit"]) for q in bench.queries if q.url.path == "/api/v3/klines"]
    assert 10 <= limits[1] <= 13


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        (403, Trouble.GEO_BLOCKED),
        (451, Trouble.GEO_BLOCKED),
        (418, Trouble.RATE_LIMITED),
        (429, Trouble.RATE_LIMITED),
        (500, Trouble.MAINTENANCE),
        (503, Trouble.MAINTENANCE),
        (404, Trouble.BAD_STATUS),
        (302, Trouble.BAD_STATUS),
    ],
)
async def test_a_bad_status_is_named_and_the_host_is_left_alone(code: int, trouble: Trouble) -> None:
    bench = Bench(status(code))
    await bench.poll()
    assert bench.board.health()["binance"].trouble is trouble
    asked = bench.asked.total()
    await bench.poll(after_s=0.2)
    assert bench.asked.total() == asked


async def test_the_pause_that_a_venue_asks_for_is_kept() -> None:
    bench = Bench(status(429, **{"retry-after": "40"}))
    await bench.poll()
    asked = bench.asked.total()
    await bench.poll(after_s=39)
    assert bench.asked.total() == asked
    await bench.poll(after_s=2)
    assert bench.asked.total() > asked


def test_the_pause_that_a_venue_asks_for_is_kept_even_when_another_failure_came_first() -> None:
    host = Host("http://venue.test", VenueSettings(base_url="http://venue.test"))
    assert host.failed(VenueTrouble(Trouble.MAINTENANCE, "HTTP 503"), NOW_MS) is not None
    assert host.failed(VenueTrouble(Trouble.RATE_LIMITED, "HTTP 429", retry_after_s=40.0), NOW_MS) is None
    assert host.failed(VenueTrouble(Trouble.TIMEOUT, "no answer"), NOW_MS) is None
    assert host.resting(NOW_MS + 39_000)
    assert not host.resting(NOW_MS + 41_000)


async def test_a_retry_date_is_measured_against_the_answers_own_date() -> None:
    dates = {"retry-after": "Thu, 05 Feb 2026 14:01:00 GMT", "date": "Thu, 05 Feb 2026 14:00:00 GMT"}
    bench = Bench(status(503, **dates))
    await bench.poll()
    asked = bench.asked.total()
    await bench.poll(after_s=59)
    assert bench.asked.total() == asked
    await bench.poll(after_s=2)
    assert bench.asked.total() > asked


@pytest.mark.parametrize("header", ["soon", "", "-5", "Thu, 05 Feb 2026"])
async def test_a_pause_that_cannot_be_read_does_not_stop_the_poll(header: str) -> None:
    bench = Bench(status(429, **{"retry-after": header}))
    await bench.poll()
    assert bench.board.health()["binance"].trouble is Trouble.RATE_LIMITED


async def test_pauses_grow_while_a_venue_fails_and_end_with_its_first_answer() -> None:
    bench = Bench(status(503))
    polls_heard = 0
    for _ in range(120):
        before = bench.asked.total()
        await bench.poll(after_s=1)
        polls_heard += bench.asked.total() > before
    assert polls_heard < 12, "a venue in maintenance is not asked every second for two minutes"
    bench.handler = venue
    await bench.poll(after_s=61)
    await bench.poll(after_s=1)
    assert bench.board.health()["binance"].failures_in_a_row == 0


async def test_a_blocked_place_is_asked_again_only_after_a_long_while() -> None:
    bench = Bench(status(451))
    await bench.poll()
    asked = bench.asked.total()
    await bench.poll(after_s=GEO_BLOCK_PAUSE_S - 1)
    assert bench.asked.total() == asked


async def test_a_failing_futures_host_does_not_silence_the_spot_host() -> None:
    def split(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(503) if request.url.host == "futures.test" else venue(request)

    bench = Bench(split, futures_url="http://futures.test")
    for _ in range(3):
        await bench.poll(after_s=1)
    assert bench.asked["/api/v3/depth"] == 3
    assert any(isinstance(r, BookReading) and not r.perpetual for r in bench.board.readings())


async def test_an_instrument_that_the_venue_does_not_list_is_not_asked_at_every_poll() -> None:
    def unlisted(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/api/v3/depth":
            return httpx2.Response(400, json={"code": -1121, "msg": "Invalid symbol."})
        return venue(request)

    bench = Bench(unlisted)
    for _ in range(5):
        await bench.poll(after_s=1)
    assert bench.asked["/api/v3/depth"] == 1
    await bench.poll(after_s=600)
    assert bench.asked["/api/v3/depth"] == 2
    assert [r.reason.value for r in bench.board.refusals()] == ["venue_error", "venue_error"]


async def test_a_connection_that_fails_is_unreachable_and_nothing_is_raised() -> None:
    def broken(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused", request=request)

    bench = Bench(broken)
    await bench.poll()
    assert bench.board.health()["binance"].trouble is Trouble.UNREACHABLE


async def test_an_endless_answer_is_cut_off() -> None:
    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            while True:
                yield b" " * 1_048_576

    bench = Bench(lambda _: httpx2.Response(200, stream=Endless()))
    await bench.poll()
    health = bench.board.health()["binance"]
    assert health.trouble is Trouble.BAD_STATUS
    assert "MiB" in (health.last_error or "")


async def test_an_answer_that_trickles_for_ever_times_out() -> None:
    class Trickle(httpx2.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            while True:
                yield b" "
                await asyncio.sleep(0.01)

    bench = Bench(lambda _: httpx2.Response(200, stream=Trickle()), timeout_s=0.1)
    await bench.poll()
    assert bench.board.health()["binance"].trouble is Trouble.TIMEOUT


async def test_a_fault_of_our_own_is_kept_to_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    real = strict_json.decode

    def broken(payload: bytes) -> object:
        if b"lastUpdateId" in payload:
            raise ZeroDivisionError("a bug")
        return real(payload)

    monkeypatch.setattr(strict_json, "decode", broken)
    bench = Bench(venue)
    await bench.poll()
    assert bench.board.mark_price("binance", "BTC") == 100
    assert "ZeroDivisionError" in (bench.board.health()["binance"].last_error or "")


# --- several hosts, and contracts that must be listed first ---------------------------------------------------------

INVERSE = {
    "BTC": MarketSettings(
        id=0,
        reference_size_usd=1.0,
        instruments={"binance": Instruments(perpetual="BTCUSD_PERP", options="BTCUSDT")},
    )
}


def inverse_venue(request: httpx2.Request) -> httpx2.Response:
    """A Binance of coin-margined futures."""
    symbol = {"symbol": "BTCUSD_PERP", "time": NOW_MS}
    match request.url.path:
        case "/dapi/v1/exchangeInfo":
            listed = {**symbol, "contractType": "PERPETUAL", "contractSize": 100}
            return httpx2.Response(200, json={"symbols": [listed, {**listed, "symbol": "ETHUSD_PERP"}]})
        case "/dapi/v1/depth":
            return httpx2.Response(200, json={**BOOK, "E": NOW_MS, **symbol})
        case "/dapi/v1/openInterest":
            return httpx2.Response(200, json={**symbol, "openInterest": "7"})
        case "/dapi/v1/premiumIndex":
            return httpx2.Response(200, json=[{**symbol, "markPrice": "100"}])
    return venue(request)


async def test_contracts_are_listed_before_sizes_in_them_are_asked_for_and_again_after_an_hour() -> None:
    bench = Bench(inverse_venue, futures_url="http://coin.test", markets=INVERSE)
    await bench.poll()
    assert bench.queries[0].url.path == "/dapi/v1/exchangeInfo"
    assert {query.url.host for query in bench.queries} == {"coin.test"}
    (book,) = [r for r in bench.board.readings() if isinstance(r, BookReading)]
    assert book.bid_depth_usd == 100, "one contract of 100 dollars"
    assert {r.kind: r.value for r in bench.board.readings() if isinstance(r, ScalarReading)} == {
        Kind.MARK_PRICE: 100,
        Kind.OPEN_INTEREST: 700,
    }
    assert list(bench.board.contracts("binance")) == ["BTCUSD_PERP"], "of a list of all, the one that is asked for"
    await bench.poll(after_s=60)
    assert bench.asked["/dapi/v1/exchangeInfo"] == 1
    await bench.poll(after_s=3_600)
    assert bench.asked["/dapi/v1/exchangeInfo"] == 2


async def test_what_cannot_be_valued_is_not_asked_for() -> None:
    def unlisted(request: httpx2.Request) -> httpx2.Response:
        empty = httpx2.Response(200, json={"symbols": []})
        return empty if request.url.path == "/dapi/v1/exchangeInfo" else inverse_venue(request)

    bench = Bench(unlisted, markets=INVERSE)
    await bench.poll()
    assert bench.asked["/dapi/v1/depth"] == bench.asked["/dapi/v1/openInterest"] == 0
    assert bench.board.mark_price("binance", "BTC") == 100


async def test_options_are_asked_at_their_own_host_and_nowhere_without_one() -> None:
    silent = Bench(inverse_venue, markets=INVERSE)
    await silent.poll()
    assert silent.asked["/eapi/v1/mark"] == 0
    bench = Bench(inverse_venue, options_url="http://options.test", markets=INVERSE)
    await bench.poll()
    (query,) = [query for query in bench.queries if query.url.path == "/eapi/v1/mark"]
    assert query.url.host == "options.test"


async def test_a_book_that_a_socket_keeps_is_not_asked_for_and_all_else_is() -> None:
    bench = Bench(venue, kept=lambda market, perpetual: (market, perpetual) == ("BTC", False))
    await bench.poll()
    assert "/api/v3/depth" not in bench.asked
    assert bench.asked["/fapi/v1/depth"] == 1
    assert bench.asked["/api/v3/klines"] == 1


def depth() -> Request:
    endpoint = next(e for e in VENUES["binance"].endpoints if e.path == "/api/v3/depth")
    return Request(endpoint, "BTC", "BTCUSDT", endpoint.path, {"symbol": "BTCUSDT"}, Pace.QUOTE)


async def test_a_socket_may_ask_for_a_snapshot_out_of_turn() -> None:
    bench = Bench(venue)
    assert strict_json.decode(await bench.poller.fetch(depth())) == BOOK
    assert bench.board.readings() == ()


async def test_a_snapshot_is_not_asked_of_a_venue_that_is_left_alone() -> None:
    bench = Bench(status(429, **{"retry-after": "40"}))
    for _ in range(2):
        with pytest.raises(VenueTrouble) as raised:
            await bench.poller.fetch(depth())
        assert raised.value.trouble is Trouble.RATE_LIMITED
    assert bench.asked.total() == 1
    assert bench.board.health_of("binance").failures == 1
    bench.clock.ms += 41_000
    bench.handler = venue
    assert await bench.poller.fetch(depth())
