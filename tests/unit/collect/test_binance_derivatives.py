"""Binance beside spot books and candles: contracts, coin-margined futures, trades, liquidations, past figures."""

from __future__ import annotations

import pytest

from margrave.collect.venues.binance.messages import is_coin_margined, is_dated
from margrave.messages import (
    BarsReading,
    BookReading,
    Contract,
    ContractKind,
    Kind,
    LiquidationsReading,
    Refusal,
    ScalarReading,
    TradesReading,
)
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS, answer, only, refused, values
from tests.unit.collect.samples.binance import COIN

HOUR = NOW_MS // 3_600_000 * 3_600_000


@pytest.mark.parametrize(
    ("symbol", "coin", "dated"),
    [
        ("BTCUSDT", False, False),
        ("BTCUSDT_261225", False, True),
        ("BTCUSD_PERP", True, False),
        ("BTCUSD_261225", True, True),
        ("1000SHIBUSDC", False, False),
        ("", False, False),
    ],
)
def test_a_symbol_says_whose_margin_it_is_and_whether_it_ends(symbol: str, coin: bool, dated: bool) -> None:
    assert (is_coin_margined(symbol), is_dated(symbol)) == (coin, dated)


# --- contracts ------------------------------------------------------------------------------------------------------


def listing(**changes: object) -> dict[str, object]:
    filters = [{"filterType": "LOT_SIZE"}, {"filterType": "PRICE_FILTER", "tickSize": "0.10"}, {"filterType": "NEW"}]
    return {"symbols": [{"symbol": "BTCUSD_PERP", "status": "TRADING", "filters": filters, **changes}]}


def test_a_coin_margined_contract_is_worth_what_exchange_info_says() -> None:
    body = listing(contractType="PERPETUAL", contractSize=100, contractStatus="TRADING", deliveryDate=4133404800000)
    contract = only(answer("binance", "coin-margined exchangeInfo", body), Contract)
    assert (contract.kind, contract.unit_usd, contract.unit_coins) == (ContractKind.PERPETUAL, 100.0, None)
    assert (contract.tick, contract.expiry_ms, contract.trading) == (0.1, None, True)
    assert contract.usd(3, 70_000) == 300


def test_a_spot_pair_counts_coins_and_a_halted_one_does_not_trade() -> None:
    contract = only(answer("binance", "exchangeInfo", listing(symbol="BTCUSDT", status="BREAK")), Contract)
    assert (contract.kind, contract.unit_coins, contract.trading) == (ContractKind.SPOT, 1.0, False)


def test_a_dated_contract_has_its_day_and_a_new_type_is_another() -> None:
    dated = listing(contractType="CURRENT_QUARTER", deliveryDate=1_782_460_800_000)
    contract = only(answer("binance", "futures exchangeInfo", dated), Contract)
    assert (contract.kind, contract.expiry_ms) == (ContractKind.FUTURE, 1_782_460_800_000)
    new = only(answer("binance", "futures exchangeInfo", listing(contractType="EVERLASTING")), Contract)
    assert new.kind is ContractKind.OTHER


def test_only_the_contract_that_was_asked_for_is_taken_of_a_list_of_all() -> None:
    symbols = [*listing()["symbols"], *listing(symbol="ETHUSD_PERP")["symbols"]]  # type: ignore[misc]
    assert len(answer("binance", "coin-margined exchangeInfo", {"symbols": symbols})) == 2
    one = only(
        answer("binance", "coin-margined exchangeInfo", {"symbols": symbols}, instrument="ETHUSD_PERP"), Contract
    )
    assert one.instrument == "ETHUSD_PERP"


@pytest.mark.parametrize("size", [0, -100, "NaN", "hundred", []])
def test_a_contract_of_no_size_is_refused(size: object) -> None:
    refused(answer("binance", "coin-margined exchangeInfo", listing(contractType="PERPETUAL", contractSize=size)))


# --- coin-margined --------------------------------------------------------------------------------------------------

COIN_BOOK = {
    "lastUpdateId": 5,
    "E": NOW_MS,
    "symbol": "BTCUSD_PERP",
    "pair": "BTCUSD",
    "bids": [["69999.9", "20"], ["69999.0", "5"]],
    "asks": [["70000.1", "7"]],
}


def test_a_coin_margined_book_is_valued_in_contracts() -> None:
    items = answer("binance", "coin-margined depth", COIN_BOOK, instrument="BTCUSD_PERP", perpetual=True, contract=COIN)
    book = only(items, BookReading)
    assert (book.bid_depth_usd, book.ask_depth_usd, book.perpetual) == (2_500.0, 700.0, True)


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("coin-margined depth", COIN_BOOK),
        ("coin-margined openInterest", {"symbol": "BTCUSD_PERP", "openInterest": "10", "time": NOW_MS}),
        ("coin-margined trades", [{"id": 1, "price": "7", "qty": "1", "time": NOW_MS, "isBuyerMaker": True}]),
    ],
)
def test_what_a_contract_is_worth_is_never_guessed(endpoint: str, body: object) -> None:
    items = answer("binance", endpoint, body, instrument="BTCUSD_PERP", perpetual=True)
    refusal = next(item for item in items if isinstance(item, Refusal))
    assert refusal.reason is Rejection.EMPTY
    assert "exchangeInfo" in refusal.detail


def test_coin_margined_open_interest_needs_no_mark() -> None:
    body = {"symbol": "BTCUSD_PERP", "pair": "BTCUSD", "openInterest": "12345", "time": NOW_MS}
    items = answer("binance", "coin-margined openInterest", body, instrument="BTCUSD_PERP", contract=COIN)
    assert values(items) == {Kind.OPEN_INTEREST: 1_234_500.0}


def test_volume_of_coin_margined_candles_is_the_column_in_coins() -> None:
    kline = [HOUR, "70000", "70500", "69900", "70100", "900", HOUR + 3_599_999, "1.25", 9, "6", "1", "0"]
    bars = only(answer("binance", "coin-margined klines", [kline], instrument="BTCUSD_PERP"), BarsReading)
    assert bars.bars[0].volume == 1.25


def test_all_marks_in_one_answer_are_read_and_dated_contracts_have_no_mark_of_a_perpetual() -> None:
    row = {"markPrice": "70010", "indexPrice": "70000", "lastFundingRate": "0.0001", "time": NOW_MS}
    body = [{**row, "symbol": "BTCUSD_PERP"}, {**row, "symbol": "BTCUSD_261225", "lastFundingRate": ""}]
    items = answer("binance", "premiumIndex", body)
    said = {(item.instrument, item.kind) for item in items if isinstance(item, ScalarReading)}
    assert said == {
        ("BTCUSD_PERP", Kind.MARK_PRICE),
        ("BTCUSD_PERP", Kind.INDEX_PRICE),
        ("BTCUSD_PERP", Kind.FUNDING_8H),
        ("BTCUSD_261225", Kind.INDEX_PRICE),
    }


# --- the past -------------------------------------------------------------------------------------------------------


def funding(*hours: int, rate: str = "0.0001") -> list[object]:
    return [{"symbol": "BTCUSDT", "fundingTime": HOUR - h * 3_600_000 + 3, "fundingRate": rate} for h in hours]


@pytest.mark.parametrize(("hours", "expected"), [((0, 8, 16), 1e-4), ((0, 4, 8), 2e-4), ((0, 1), 8e-4), ((0,), 1e-4)])
def test_past_funding_is_scaled_by_its_own_interval(hours: tuple[int, ...], expected: float) -> None:
    items = answer("binance", "fundingRate", funding(*hours), instrument="BTCUSDT")
    assert [item.value for item in items if isinstance(item, ScalarReading)] == [pytest.approx(expected)] * len(hours)


def test_bad_rows_of_the_past_refuse_themselves() -> None:
    rows = [*funding(0, 8), *funding(16, rate="NaN"), {"symbol": "ETHUSDT", "fundingTime": HOUR, "fundingRate": "0"}]
    items = answer("binance", "fundingRate", [*rows, {"symbol": "BTCUSDT"}], instrument="BTCUSDT")
    assert len(values(items)) == 1
    reasons = {item.reason for item in items if isinstance(item, Refusal)}
    assert reasons == {Rejection.NOT_FINITE, Rejection.WRONG_INSTRUMENT, Rejection.MALFORMED}


def test_past_open_interest_is_in_dollars_or_in_contracts() -> None:
    row = {"sumOpenInterest": "10", "sumOpenInterestValue": "700000.5", "timestamp": str(NOW_MS)}
    usd = answer("binance", "openInterestHist", [{**row, "symbol": "BTCUSDT"}], instrument="BTCUSDT")
    assert values(usd) == {Kind.OPEN_INTEREST: 700_000.5}
    coin = [{**row, "pair": "BTCUSD", "contractType": "PERPETUAL"}]
    items = answer("binance", "openInterestHist", coin, instrument="BTCUSD_PERP", contract=COIN)
    assert values(items) == {Kind.OPEN_INTEREST: 1_000.0}


@pytest.mark.parametrize(
    ("endpoint", "field", "kind"),
    [
        ("globalLongShortAccountRatio", "longShortRatio", Kind.LONG_SHORT_RATIO),
        ("topLongShortPositionRatio", "longShortRatio", Kind.TOP_LONG_SHORT_RATIO),
        ("takerlongshortRatio", "buySellRatio", Kind.TAKER_RATIO),
    ],
)
def test_ratios_are_told_apart_by_what_is_counted(endpoint: str, field: str, kind: Kind) -> None:
    items = answer("binance", endpoint, [{"symbol": "BTCUSDT", field: "1.4342", "timestamp": str(NOW_MS)}])
    assert values(items) == {kind: 1.4342}
    assert refused(answer("binance", endpoint, [{field: "-1", "timestamp": NOW_MS}])).reason is Rejection.OUT_OF_RANGE
    assert refused(answer("binance", endpoint, [])).reason is Rejection.EMPTY


# --- trades ---------------------------------------------------------------------------------------------------------


def test_trades_of_coins_and_contracts_are_dollars() -> None:
    rows = [
        {"a": 1, "p": "70000", "q": "2", "T": NOW_MS, "m": False},
        {"a": 2, "p": "69990", "q": "1", "T": NOW_MS - 9, "m": True},
    ]
    coins = only(answer("binance", "aggTrades", rows, instrument="BTCUSDT"), TradesReading)
    assert (coins.buy_usd, coins.sell_usd, coins.last, coins.perpetual) == (140_000.0, 69_990.0, 70_000.0, False)
    items = answer("binance", "futures aggTrades", rows, instrument="BTCUSD_PERP", perpetual=True, contract=COIN)
    contracts = only(items, TradesReading)
    assert (contracts.buy_usd, contracts.sell_usd, contracts.perpetual) == (200.0, 100.0, True)


def test_a_trade_that_does_not_say_who_took_is_refused() -> None:
    rows = [{"id": 1, "price": "7", "qty": "1", "time": NOW_MS}]
    assert refused(answer("binance", "trades", rows)).reason is Rejection.MALFORMED


def test_a_force_order_that_sells_closed_a_long() -> None:
    order = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "origQty": "3",
        "executedQty": "2",
        "price": "60000",
        "averagePrice": "69000",
        "time": NOW_MS,
    }
    rows = [order, {**order, "side": "BUY", "executedQty": "0", "averagePrice": "0"}, {**order, "side": "HOLD"}]
    items = answer("binance", "allForceOrders", rows, instrument="BTCUSDT")
    closed = items[0]
    assert isinstance(closed, LiquidationsReading)
    assert (closed.long_usd, closed.short_usd, closed.count) == (138_000.0, 180_000.0, 2)
    assert refused(items[1:]).reason is Rejection.MALFORMED


def test_the_best_bid_and_ask_are_a_book_of_one_level() -> None:
    row = {"symbol": "BTCUSDT", "bidPrice": "69999", "bidQty": "1", "askPrice": "70001", "askQty": "2"}
    book = only(answer("binance", "bookTicker", row, instrument="BTCUSDT"), BookReading)
    assert (book.bid, book.ask, book.venue_time_ms) == (69_999.0, 70_001.0, NOW_MS)
    both = [row, {**row, "symbol": "ETHUSDT", "time": NOW_MS - 5}, {**row, "symbol": "DEADUSDT", "bidQty": "0"}]
    items = answer("binance", "futures bookTicker", both)
    assert [item.instrument for item in items if isinstance(item, BookReading)] == ["BTCUSDT", "ETHUSDT"]
    assert refused(items[2:]).reason is Rejection.EMPTY
