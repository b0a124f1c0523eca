from __future__ import annotations

import pytest

from margrave.collect.source import Trouble, VenueTrouble
from margrave.messages import BarsReading, BookReading, Kind
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS, answer, only, refused, values

BOOK = {
    "lastUpdateId": 1027024,
    "bids": [["70000.00", "2.0"], ["69990.00", "1.0"], ["60000.00", "900"]],
    "asks": [["70010.00", "1.0"], ["70100.00", "3.0"]],
}
HOUR = 1_770_298_200_000 // 3_600_000 * 3_600_000
KLINE = [HOUR, "70000", "70500", "69900", "70100", "12.5", HOUR + 3_599_999, "876250", 9, "6", "420000", "0"]


def test_a_spot_book_gives_its_touch_and_the_dollars_within_one_percent() -> None:
    book = only(answer("binance", "depth", BOOK, instrument="BTCUSDT"), BookReading)
    assert (book.bid, book.ask) == (70000, 70010)
    assert book.bid_depth_usd == pytest.approx(2 * 70000 + 69990), "the bid at 60,000 is 14 % away"
    assert book.ask_depth_usd == pytest.approx(70010 + 3 * 70100)
    assert not book.perpetual


def test_a_spot_book_without_a_time_has_the_time_it_was_read() -> None:
    assert only(answer("binance", "depth", BOOK), BookReading).venue_time_ms == NOW_MS


def test_a_futures_book_keeps_the_venues_own_time() -> None:
    items = answer("binance", "futures depth", {**BOOK, "E": NOW_MS - 777}, perpetual=True)
    book = only(items, BookReading)
    assert (book.venue_time_ms, book.seen_time_ms, book.perpetual) == (NOW_MS - 777, NOW_MS, True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({**BOOK, "bids": [["70020", "1"]]}, Rejection.CROSSED_BOOK),
        ({**BOOK, "bids": [["70010", "1"]]}, Rejection.CROSSED_BOOK),
        ({**BOOK, "bids": []}, Rejection.EMPTY),
        ({**BOOK, "bids": [["70000", "0"]]}, Rejection.EMPTY),
        ({**BOOK, "bids": [["NaN", "1"]]}, Rejection.NOT_FINITE),
        ({**BOOK, "bids": [["-70000", "1"]]}, Rejection.NOT_POSITIVE),
        ({**BOOK, "bids": [["70000", "1e30"]]}, Rejection.OUT_OF_RANGE),
        ({**BOOK, "bids": [["70000"]]}, Rejection.MALFORMED),
        ({**BOOK, "bids": None}, Rejection.MALFORMED),
        ({**BOOK, "symbol": "ETHUSDT"}, Rejection.WRONG_INSTRUMENT),
        ({**BOOK, "E": (NOW_MS - 5) // 1000}, Rejection.OUT_OF_RANGE),
        ({"code": -1121, "msg": "Invalid symbol."}, Rejection.VENUE_ERROR),
        (b"", Rejection.EMPTY),
        (b"<html>", Rejection.MALFORMED),
        (b'{"bids": NaN}', Rejection.MALFORMED),
        (b"[" * 100_000, Rejection.MALFORMED),
        ([], Rejection.MALFORMED),
    ],
)
def test_a_bad_book_is_refused_for_its_reason(body: object, reason: Rejection) -> None:
    assert refused(answer("binance", "depth", body, instrument="BTCUSDT")).reason is reason


def test_fields_that_nobody_knows_are_ignored() -> None:
    assert only(answer("binance", "depth", {**BOOK, "new": {"deep": [1]}}), BookReading).bid == 70000


def test_klines_become_ascending_bars_even_when_they_come_backwards() -> None:
    later = [HOUR + 3_600_000, *KLINE[1:]]
    bars = only(answer("binance", "klines", [later, KLINE, KLINE]), BarsReading).bars
    assert [bar.open_time_ms for bar in bars] == [HOUR, HOUR + 3_600_000]
    assert (bars[0].open, bars[0].high, bars[0].low, bars[0].close, bars[0].volume) == (
        70000,
        70500,
        69900,
        70100,
        12.5,
    )


def test_a_bad_kline_refuses_itself_and_not_its_neighbours() -> None:
    impossible = [HOUR + 3_600_000, "70000", "69000", "69900", "70100", "1", 0]
    bars, refusal = answer("binance", "klines", [KLINE, impossible])
    assert isinstance(bars, BarsReading)
    assert len(bars.bars) == 1
    assert refused((refusal,)).reason is Rejection.OUT_OF_RANGE


def test_candles_of_another_length_are_refused_although_they_look_alike() -> None:
    minute_later = [HOUR + 60_000, *KLINE[1:]]
    assert refused(answer("binance", "klines", [KLINE, minute_later])).reason is Rejection.OUT_OF_RANGE


def test_the_premium_index_gives_mark_index_and_funding() -> None:
    body = {
        "symbol": "BTCUSDT",
        "markPrice": "11793.63104562",
        "indexPrice": "11781.80495970",
        "lastFundingRate": "0.00038246",
        "time": NOW_MS - 2,
    }
    items = answer("binance", "premiumIndex", body, instrument="BTCUSDT")
    assert values(items) == {
        Kind.MARK_PRICE: 11793.63104562,
        Kind.INDEX_PRICE: 11781.80495970,
        Kind.FUNDING_8H: 0.00038246,
    }


def test_one_bad_figure_of_a_ticker_leaves_the_others() -> None:
    body = {"symbol": "BTCUSDT", "markPrice": "NaN", "indexPrice": "100", "lastFundingRate": None, "time": NOW_MS}
    items = answer("binance", "premiumIndex", body)
    assert values(items) == {Kind.INDEX_PRICE: 100}
    assert refused(items[:1]).reason is Rejection.NOT_FINITE


def test_a_ticker_that_says_nothing_is_empty() -> None:
    assert refused(answer("binance", "premiumIndex", {"time": NOW_MS})).reason is Rejection.EMPTY


def test_open_interest_in_coins_is_valued_at_the_mark() -> None:
    body = {"openInterest": "10659.509", "symbol": "BTCUSDT", "time": NOW_MS}
    items = answer("binance", "openInterest", body, mark_price=70_000.0)
    assert values(items) == {Kind.OPEN_INTEREST: pytest.approx(10659.509 * 70_000)}


def test_open_interest_without_a_mark_is_not_guessed() -> None:
    body = {"openInterest": "10659.509", "symbol": "BTCUSDT", "time": NOW_MS}
    refusal = refused(answer("binance", "openInterest", body))
    assert refusal.reason is Rejection.EMPTY
    assert "10659.5" in refusal.detail


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        ({"code": -1003, "msg": "Too many requests."}, Trouble.RATE_LIMITED),
        ({"code": 0, "msg": "Service unavailable from a restricted location"}, Trouble.GEO_BLOCKED),
        ({"code": -1001, "msg": "Internal error; unable to process"}, Trouble.MAINTENANCE),
    ],
)
def test_what_the_venue_says_about_itself_is_trouble_and_not_a_refusal(body: object, trouble: Trouble) -> None:
    with pytest.raises(VenueTrouble) as caught:
        answer("binance", "depth", body)
    assert caught.value.trouble is trouble
