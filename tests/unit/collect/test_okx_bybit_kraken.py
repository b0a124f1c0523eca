from __future__ import annotations

import pytest

from margrave.collect.source import Trouble, VenueTrouble
from margrave.messages import BarsReading, BookReading, Kind
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS, answer, only, refused, values
from tests.unit.collect.samples.okx import okx

HOUR = NOW_MS // 3_600_000 * 3_600_000


def bybit(result: object) -> object:
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS - 3}


# --- OKX ------------------------------------------------------------------------------------------------------------


def test_okx_swap_sizes_are_contracts_of_a_hundredth_of_a_coin() -> None:
    book = {"asks": [["70010", "100", "0", "2"]], "bids": [["70000", "200", "0", "2"]], "ts": str(NOW_MS)}
    reading = only(answer("okx", "books", okx(book), instrument="BTC-USDT-SWAP", perpetual=True), BookReading)
    assert reading.bid_depth_usd == pytest.approx(200 * 0.01 * 70000)


def test_okx_spot_sizes_are_coins() -> None:
    book = {"asks": [["70010", "1", "0", "2"]], "bids": [["70000", "2", "0", "2"]], "ts": str(NOW_MS)}
    reading = only(answer("okx", "books", okx(book), instrument="BTC-USDT"), BookReading)
    assert reading.bid_depth_usd == pytest.approx(140_000)


def test_okx_contracts_of_unknown_size_are_not_guessed() -> None:
    book = {"asks": [["7", "1"]], "bids": [["6", "2"]], "ts": str(NOW_MS)}
    refusal = refused(answer("okx", "books", okx(book), instrument="UNI-USDT-SWAP", perpetual=True))
    assert refusal.reason is Rejection.WRONG_INSTRUMENT


def test_okx_candles_come_newest_first_and_swaps_count_volume_in_coins() -> None:
    newer = [str(HOUR), "10", "12", "9", "11", "5000", "50", "550", "0"]
    older = [str(HOUR - 3_600_000), "9", "11", "9", "10", "4000", "40", "400", "1"]
    bars = only(answer("okx", "candles", okx(newer, older), perpetual=True), BarsReading).bars
    assert [(bar.close, bar.volume) for bar in bars] == [(10, 40), (11, 50)]


@pytest.mark.parametrize(("hours", "rate"), [(8, 0.0001), (4, 0.0002), (1, 0.0008)])
def test_okx_funding_is_scaled_to_eight_hours(hours: int, rate: float) -> None:
    entry = {
        "instId": "BTC-USDT-SWAP",
        "fundingRate": "0.0001",
        "fundingTime": str(NOW_MS),
        "nextFundingTime": str(NOW_MS + hours * 3_600_000),
        "ts": str(NOW_MS),
    }
    items = answer("okx", "funding-rate", okx(entry), instrument="BTC-USDT-SWAP")
    assert values(items) == {Kind.FUNDING_8H: pytest.approx(rate)}


def test_okx_open_interest_in_dollars_is_preferred_to_coins() -> None:
    entry = {"instId": "BTC-USDT-SWAP", "oi": "5", "oiCcy": "0.05", "oiUsd": "3500.5", "ts": str(NOW_MS)}
    assert values(answer("okx", "open-interest", okx(entry))) == {Kind.OPEN_INTEREST: 3500.5}
    older = {**entry, "oiUsd": ""}
    items = answer("okx", "open-interest", okx(older), mark_price=70_000.0)
    assert values(items) == {Kind.OPEN_INTEREST: pytest.approx(3500)}


def test_okx_answers_about_another_instrument_are_refused() -> None:
    entry = {"instId": "ETH-USDT-SWAP", "markPx": "2000", "ts": str(NOW_MS)}
    refusal = refused(answer("okx", "mark-price", okx(entry), instrument="BTC-USDT-SWAP"))
    assert refusal.reason is Rejection.WRONG_INSTRUMENT


def test_okx_errors_are_told_from_troubles() -> None:
    unknown = {"code": "51001", "msg": "Instrument ID does not exist", "data": []}
    assert refused(answer("okx", "books", unknown)).reason is Rejection.VENUE_ERROR
    with pytest.raises(VenueTrouble) as caught:
        answer("okx", "books", {"code": "50011", "msg": "Too Many Requests", "data": []})
    assert caught.value.trouble is Trouble.RATE_LIMITED


# --- Bybit ----------------------------------------------------------------------------------------------------------


def test_bybit_books_have_short_names() -> None:
    result = {"s": "BTCUSDT", "b": [["27450.00", "0.5"]], "a": [["27451.00", "0.75"]], "ts": NOW_MS - 8}
    book = only(answer("bybit", "orderbook", bybit(result), instrument="BTCUSDT"), BookReading)
    assert (book.bid, book.ask, book.venue_time_ms) == (27450, 27451, NOW_MS - 8)


def test_bybit_tickers_give_four_figures_and_scale_funding() -> None:
    ticker = {
        "symbol": "BTCUSDT",
        "markPrice": "17217.33",
        "indexPrice": "17227.36",
        "openInterestValue": "1183601235.91",
        "fundingRate": "-0.000212",
        "fundingIntervalHour": "4",
    }
    items = answer("bybit", "tickers", bybit({"category": "linear", "list": [ticker]}), instrument="BTCUSDT")
    assert values(items) == {
        Kind.MARK_PRICE: 17217.33,
        Kind.INDEX_PRICE: 17227.36,
        Kind.FUNDING_8H: pytest.approx(-0.000424),
        Kind.OPEN_INTEREST: 1183601235.91,
    }


def test_bybit_sends_empty_text_for_what_is_absent() -> None:
    ticker = {"symbol": "BTCUSDT", "markPrice": "100", "indexPrice": "", "fundingRate": "", "openInterestValue": ""}
    assert values(answer("bybit", "tickers", bybit({"list": [ticker]}))) == {Kind.MARK_PRICE: 100}


def test_bybit_klines_come_newest_first() -> None:
    rows = [[str(HOUR), "2", "3", "1", "2", "9", "18"], [str(HOUR - 3_600_000), "1", "2", "1", "2", "8", "16"]]
    bars = only(answer("bybit", "kline", bybit({"symbol": "BTCUSDT", "list": rows})), BarsReading).bars
    assert [bar.open for bar in bars] == [1, 2]


def test_bybit_errors_are_told_from_troubles() -> None:
    assert refused(answer("bybit", "kline", {"retCode": 10001, "retMsg": "x"})).reason is Rejection.VENUE_ERROR
    for code, trouble in ((10006, Trouble.RATE_LIMITED), (10009, Trouble.GEO_BLOCKED), (10016, Trouble.MAINTENANCE)):
        with pytest.raises(VenueTrouble) as caught:
            answer("bybit", "kline", {"retCode": code, "retMsg": "x"})
        assert caught.value.trouble is trouble


# --- Kraken ---------------------------------------------------------------------------------------------------------


def kraken(pair: str, content: object) -> object:
    return {"error": [], "result": {pair: content, "last": HOUR // 1000}}


BOOK = {"asks": [["70010.0", "1.0", NOW_MS // 1000 - 5]], "bids": [["70000.0", "2.0", NOW_MS // 1000 - 90]]}


@pytest.mark.parametrize("pair", ["XBTUSD", "XXBTZUSD"])
def test_kraken_answers_under_its_own_name_of_the_pair(pair: str) -> None:
    book = only(answer("kraken", "Depth", kraken(pair, BOOK), instrument="XBTUSD"), BookReading)
    assert book.bid == 70000


def test_a_kraken_book_is_as_old_as_its_newest_level() -> None:
    book = only(answer("kraken", "Depth", kraken("XBTUSD", BOOK), instrument="XBTUSD"), BookReading)
    assert book.venue_time_ms == NOW_MS - 5_000


def test_another_pair_is_refused() -> None:
    refusal = refused(answer("kraken", "Depth", kraken("XETHZUSD", BOOK), instrument="XBTUSD"))
    assert refusal.reason is Rejection.WRONG_INSTRUMENT


def test_kraken_candles_have_their_volume_after_the_average_price() -> None:
    rows = [[HOUR // 1000, "10", "12", "9", "11", "10.4", "77.5", 12]]
    (bar,) = only(answer("kraken", "OHLC", kraken("XXBTZUSD", rows), instrument="XBTUSD"), BarsReading).bars
    assert (bar.open_time_ms, bar.close, bar.volume) == (HOUR, 11, 77.5)


def test_kraken_linear_funding_is_dollars_a_coin_an_hour() -> None:
    ticker = {
        "symbol": "PF_XBTUSD",
        "markPrice": 70_100.0,
        "indexPrice": 70_000.0,
        "fundingRate": 0.7,
        "openInterest": 1000.0,
        "suspended": False,
    }
    body = {"result": "success", "tickers": [ticker], "serverTime": "2026-02-05T14:00:00.500Z"}
    items = answer("kraken", "futures tickers", body, instrument="PF_XBTUSD", perpetual=True)
    assert values(items) == {
        Kind.MARK_PRICE: 70_100,
        Kind.INDEX_PRICE: 70_000,
        Kind.FUNDING_8H: pytest.approx(8e-5),
        Kind.OPEN_INTEREST: pytest.approx(70_100_000),
    }
    assert {item.venue_time_ms for item in items} == {1_770_300_000_500}  # type: ignore[union-attr]


def test_kraken_inverse_funding_is_coins_a_dollar_an_hour() -> None:
    """The venue's own example: an absolute rate of -6.2604214e-11 is a relative one of -1.380384722222e-6."""
    ticker = {"symbol": "PI_XBTUSD", "indexPrice": 21984.54, "markPrice": 21979.7, "fundingRate": -6.2604214e-11}
    body = {"tickers": [ticker], "serverTime": "2023-02-14T16:47:15.406Z"}
    items = answer("kraken", "futures tickers", body, instrument="PI_XBTUSD")
    assert values(items)[Kind.FUNDING_8H] == pytest.approx(8 * -1.380384722222e-6, rel=0.01)


def test_a_suspended_contract_says_nothing() -> None:
    ticker = {"symbol": "PF_XBTUSD", "markPrice": 70_100.0, "suspended": True}
    body = {"tickers": [ticker], "serverTime": "2026-02-05T14:00:00Z"}
    assert refused(answer("kraken", "futures tickers", body, instrument="PF_XBTUSD")).reason is Rejection.VENUE_ERROR


def test_a_contract_that_is_not_listed_is_the_wrong_instrument() -> None:
    body = {"tickers": [{"symbol": "PF_ETHUSD"}], "serverTime": "2026-02-05T14:00:00Z"}
    refusal = refused(answer("kraken", "futures tickers", body, instrument="PF_XBTUSD"))
    assert refusal.reason is Rejection.WRONG_INSTRUMENT


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        ({"error": ["EGeneral:Too many requests"]}, Trouble.RATE_LIMITED),
        ({"error": ["EService:Unavailable"]}, Trouble.MAINTENANCE),
        ({"result": "error", "error": "apiLimitExceeded"}, Trouble.RATE_LIMITED),
    ],
)
def test_kraken_troubles_are_named(body: object, trouble: Trouble) -> None:
    with pytest.raises(VenueTrouble) as caught:
        answer("kraken", "Depth", body)
    assert caught.value.trouble is trouble


def test_an_unknown_kraken_pair_is_a_refusal() -> None:
    body = {"error": ["EQuery:Unknown asset pair"]}
    assert refused(answer("kraken", "Depth", body)).reason is Rejection.VENUE_ERROR
