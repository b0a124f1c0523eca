from __future__ import annotations

import msgspec

from margrave.collect.board import MAX_BARS, MAX_REFUSALS, RACE_MS, Board, SocketHealth
from margrave.collect.source import Trouble
from margrave.messages import Bar, BarsReading, BookReading, Kind, Refusal, ScalarReading
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS


def mark(value: float, *, venue_ms: int = NOW_MS, source: str = "binance") -> ScalarReading:
    return ScalarReading(
        source=source,
        market="BTC",
        instrument="BTCUSDT",
        venue_time_ms=venue_ms,
        seen_time_ms=venue_ms + 40,
        kind=Kind.MARK_PRICE,
        value=value,
    )


def book(*, perpetual: bool) -> BookReading:
    return BookReading(
        source="binance",
        market="BTC",
        instrument="BTCUSDT",
        venue_time_ms=NOW_MS,
        seen_time_ms=NOW_MS,
        perpetual=perpetual,
        bid=1.0,
        ask=2.0,
        bid_depth_usd=1.0,
        ask_depth_usd=1.0,
    )


def bars(*opens: int, close: float = 1.0, venue_ms: int = NOW_MS) -> BarsReading:
    return BarsReading(
        source="binance",
        market="BTC",
        instrument="BTCUSDT",
        venue_time_ms=venue_ms,
        seen_time_ms=venue_ms,
        perpetual=False,
        bars=tuple(Bar(i * HOUR_MS, 1.0, max(close, 1.0), min(close, 1.0), close, 1.0) for i in opens),
    )


def refusal() -> Refusal:
    return Refusal(source="okx", market="BTC", what="book", reason=Rejection.CROSSED_BOOK, detail="x")


def test_the_newest_reading_takes_the_place_of_the_one_before() -> None:
    board = Board()
    board.put(mark(1))
    board.put(mark(2, venue_ms=NOW_MS + 1))
    assert [r.value for r in board.readings() if isinstance(r, ScalarReading)] == [2]


def test_a_reading_older_than_the_one_held_is_refused_as_stale() -> None:
    board = Board()
    board.put(mark(1))
    board.put(mark(2, venue_ms=NOW_MS - 1_500))
    assert board.mark_price("binance", "BTC") == 1
    (refused,) = board.refusals()
    assert (refused.reason, refused.detail) == (Rejection.STALE, "1.500 s older than what the board holds")


def test_spot_and_perpetual_books_and_different_sources_lie_side_by_side() -> None:
    board = Board()
    for item in (book(perpetual=False), book(perpetual=True), mark(1), mark(1, source="okx")):
        board.put(item)
    assert len(board.readings()) == 4


def test_bars_are_merged_by_open_time_and_the_later_reading_of_one_hour_wins() -> None:
    board = Board()
    board.put(bars(1, 2, 3))
    board.put(bars(3, 4, close=7.0, venue_ms=NOW_MS + 1))
    (reading,) = board.readings()
    assert isinstance(reading, BarsReading)
    assert [(bar.open_time_ms // HOUR_MS, bar.close) for bar in reading.bars] == [(1, 1), (2, 1), (3, 7), (4, 7)]
    assert board.last_bar_ms("binance", "BTC", perpetual=False) == 4 * HOUR_MS
    assert board.last_bar_ms("binance", "BTC", perpetual=True) is None


def test_older_pages_of_history_fill_in_without_overwriting() -> None:
    board = Board()
    board.put(bars(5, 6, close=9.0, venue_ms=NOW_MS))
    board.put(bars(4, 5, close=2.0, venue_ms=NOW_MS - 1))
    (reading,) = board.readings()
    assert isinstance(reading, BarsReading)
    assert [bar.close for bar in reading.bars] == [2, 9, 9]
    assert board.refusals() == ()


def test_history_is_bounded() -> None:
    board = Board()
    board.put(bars(*range(10)))
    board.put(bars(*range(10, MAX_BARS + 10), venue_ms=NOW_MS + 1))
    (reading,) = board.readings()
    assert isinstance(reading, BarsReading)
    assert len(reading.bars) == MAX_BARS
    assert reading.bars[0].open_time_ms == 10 * HOUR_MS


def test_refusals_are_taken_once_and_bounded_and_what_overflows_is_counted() -> None:
    board = Board()
    for _ in range(MAX_REFUSALS + 5):
        board.put(refusal())
    assert len(board.refusals()) == MAX_REFUSALS
    assert board.refusals() == ()
    assert board.refusals_dropped == 5


def test_health_tells_the_last_good_time_the_lag_and_the_trouble_until_it_ends() -> None:
    board = Board()
    board.put(mark(1))
    board.fail("binance", "no answer within 5 s", Trouble.TIMEOUT)
    board.fail("binance", "no answer within 5 s", Trouble.TIMEOUT)
    ill = board.health()["binance"]
    assert (ill.last_ok_ms, ill.lag_ms, ill.failures_in_a_row, ill.trouble) == (NOW_MS + 40, 40, 2, Trouble.TIMEOUT)
    board.put(mark(2))
    well = board.health()["binance"]
    assert (well.failures_in_a_row, well.trouble, well.failures, well.readings) == (0, None, 2, 2)


def test_a_source_that_never_spoke_has_an_empty_health() -> None:
    assert Board().health_of("kraken").last_ok_ms is None


def test_a_poll_that_lost_the_race_against_a_socket_is_no_refusal() -> None:
    board, newest = Board(), book(perpetual=True)
    board.put(newest)
    board.put(msgspec.structs.replace(newest, venue_time_ms=NOW_MS - RACE_MS, bid=0.5))
    assert board.refusals() == ()
    assert board.health_of("binance").superseded == 1
    board.put(msgspec.structs.replace(newest, venue_time_ms=NOW_MS - RACE_MS - 1, bid=0.5))
    assert [r.reason for r in board.refusals()] == [Rejection.STALE]
    assert board.readings() == (newest,)


def test_the_least_lag_of_a_source_is_its_skew_and_what_we_stamped_ourselves_says_nothing() -> None:
    board = Board()
    board.put(msgspec.structs.replace(mark(1), seen_time_ms=NOW_MS + 900))
    board.put(book(perpetual=False))  # seen as it was stamped: a venue without times
    board.put(msgspec.structs.replace(mark(2, venue_ms=NOW_MS + 1), seen_time_ms=NOW_MS + 351))
    health = board.health_of("binance")
    assert (health.lag_ms, health.skew_ms) == (350, 350)


def test_a_lost_socket_is_counted_and_is_not_the_sources_own_trouble() -> None:
    board = Board()
    board.put(mark(1))
    board.fail_socket("binance", "binance spot websocket: HTTP 429")
    board.tell_socket("binance", "spot", SocketHealth(trouble=Trouble.RATE_LIMITED, frames=7, reconnects=1))
    board.tell_socket("binance", "futures", SocketHealth(up=True, frames=5, dropped=2))
    health = board.health_of("binance")
    assert (health.trouble, health.failures) == (None, 1)
    assert health.last_error == "binance spot websocket: HTTP 429"
    assert (health.frames, health.reconnects, health.dropped) == (12, 1, 2)
    assert health.sockets["spot"].trouble is Trouble.RATE_LIMITED
