from __future__ import annotations

import pytest

from margrave.collect.source import Trouble, VenueTrouble
from margrave.collect.venues.deribit import option_terms
from margrave.errors import Rejected
from margrave.messages import BarsReading, BookReading, ChainReading, Kind, OptionQuote, Refusal
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS, answer, only, refused, values

CHAIN = "get_book_summary_by_currency"


def row(**changes: object) -> dict[str, object]:
    return {
        "instrument_name": "BTC-25SEP26-105000-C",
        "bid_price": 0.0003,
        "ask_price": 0.0005,
        "mark_price": 3.7191e-4,
        "mark_iv": 56.84,
        "open_interest": 1538.2,
        "underlying_price": 78610.75,
        "underlying_index": "BTC-25SEP26",
        "creation_timestamp": NOW_MS,
        "base_currency": "BTC",
        "quote_currency": "BTC",
        "high": None,
        **changes,
    }


def chain(*rows: object) -> object:
    return {"jsonrpc": "2.0", "result": list(rows)}


def quote(**changes: object) -> OptionQuote:
    return only(answer("deribit", CHAIN, chain(row(**changes)), instrument="BTC"), ChainReading).quotes[0]


def test_an_options_name_gives_expiry_at_eight_strike_and_kind() -> None:
    assert option_terms("BTC-9SEP26-73000-P") == (1_788_940_800_000, 73000.0, False)
    assert option_terms("XRP_USDC-25SEP26-0d55-C") == (1_790_323_200_000, 0.55, True)


@pytest.mark.parametrize(
    "name",
    ["BTC-PERPETUAL", "BTC-25SEP26", "BTC-31FEB26-1-C", "BTC-99XYZ26-1-C", "BTC-9SEP26-0-C", "BTC-9SEP26-1-X", ""],
)
def test_what_is_no_options_name_is_rejected(name: str) -> None:
    with pytest.raises(Rejected):
        option_terms(name)


def test_coins_a_coin_are_a_fraction_of_the_forward_as_they_stand() -> None:
    assert (quote().bid, quote().ask, quote().forward) == (0.0003, 0.0005, 78610.75)


def test_a_deep_put_shows_that_coin_prices_are_over_the_forward_and_not_the_index() -> None:
    """Worth intrinsic value: (K - F) / F. With the index in place of F the venue's own mark would be 0.6 % off."""
    deep = row(instrument_name="BTC-25SEP26-155000-P", bid_price=0.9665, ask_price=0.976, mark_iv=84.02)
    intrinsic = (155_000 - 78_610.75) / 78_610.75
    assert intrinsic == pytest.approx(0.97174948, rel=1e-5), "the venue's mark of that day"
    priced = only(answer("deribit", CHAIN, chain(deep), instrument="BTC"), ChainReading).quotes[0]
    assert priced.bid is not None
    assert priced.ask is not None
    assert priced.bid < intrinsic < priced.ask


def test_a_linear_option_is_divided_by_its_forward() -> None:
    linear = quote(quote_currency="USDC", bid_price=786.1075, ask_price=800)
    assert linear.bid == pytest.approx(0.01)


@pytest.mark.parametrize("nobody", [None, 0, 0.0])
def test_where_nobody_quotes_there_is_no_price(nobody: object) -> None:
    assert quote(bid_price=nobody).bid is None


@pytest.mark.parametrize("none", [None, 0.0, 999.0])
def test_a_volatility_of_zero_or_999_is_none(none: object) -> None:
    assert quote(mark_iv=none).mark_iv is None


def test_volatility_comes_in_percent() -> None:
    assert quote().mark_iv == pytest.approx(0.5684)


def test_the_chain_is_ordered_and_has_the_time_of_its_newest_row() -> None:
    rows = [row(), row(instrument_name="BTC-9SEP26-73000-P", creation_timestamp=NOW_MS - 9_000)]
    reading = only(answer("deribit", CHAIN, chain(*rows), instrument="BTC"), ChainReading)
    assert [q.strike for q in reading.quotes] == [73000, 105000]
    assert reading.venue_time_ms == NOW_MS


def test_bad_rows_are_refused_by_reason_and_the_rest_of_the_chain_stands() -> None:
    rows = [
        row(),
        row(bid_price=0.5, ask_price=0.1),
        row(bid_price=0.5, ask_price=0.2),
        row(underlying_price=-1),
        row(instrument_name="BTC-PERPETUAL"),
        row(instrument_name="BTC-1JAN20-9000-C"),
        row(bid_price=-0.1),
    ]
    items = answer("deribit", CHAIN, chain(*rows), instrument="BTC")
    assert isinstance(items[0], ChainReading)
    assert len(items[0].quotes) == 1
    reasons = {item.reason: item.detail for item in items if isinstance(item, Refusal)}
    assert reasons.keys() == {
        Rejection.CROSSED_BOOK,
        Rejection.NOT_POSITIVE,
        Rejection.MALFORMED,
        Rejection.STALE,
    }
    assert reasons[Rejection.CROSSED_BOOK].startswith("2 rows")


def test_another_currencys_chain_is_refused() -> None:
    items = answer("deribit", CHAIN, chain(row(base_currency="ETH")), instrument="BTC")
    assert refused(items).reason is Rejection.WRONG_INSTRUMENT


@pytest.mark.parametrize("body", [chain(), {"jsonrpc": "2.0"}, {"result": None}, {"result": {}}, {"result": [7]}])
def test_a_chain_that_is_none_is_refused(body: object) -> None:
    assert refused(answer("deribit", CHAIN, body)).reason in (Rejection.EMPTY, Rejection.MALFORMED)


def test_the_perpetuals_book_is_in_dollars_and_brings_the_ticker_with_it() -> None:
    result = {
        "instrument_name": "BTC-PERPETUAL",
        "timestamp": NOW_MS - 10,
        "state": "open",
        "bids": [[87002.5, 199190.0], [87002.0, 10000.0]],
        "asks": [[87003.0, 125090.0]],
        "mark_price": 87005.1,
        "index_price": 86990.0,
        "funding_8h": 1.742e-05,
        "open_interest": 1132329370.0,
    }
    items = answer("deribit", "get_order_book", {"result": result}, instrument="BTC-PERPETUAL", perpetual=True)
    assert isinstance(items[0], BookReading)
    assert (items[0].bid_depth_usd, items[0].ask_depth_usd) == (209190.0, 125090.0)
    assert values(items) == {
        Kind.MARK_PRICE: 87005.1,
        Kind.INDEX_PRICE: 86990.0,
        Kind.FUNDING_8H: 1.742e-05,
        Kind.OPEN_INTEREST: 1132329370.0,
    }


def test_an_empty_book_is_refused_and_the_mark_beside_it_stands() -> None:
    result = {"instrument_name": "BTC-PERPETUAL", "timestamp": NOW_MS, "bids": [], "asks": [], "mark_price": 87005.1}
    items = answer("deribit", "get_order_book", {"result": result}, instrument="BTC-PERPETUAL")
    assert refused(items[:1]).reason is Rejection.EMPTY
    assert values(items) == {Kind.MARK_PRICE: 87005.1}


def test_the_index_has_the_time_of_the_envelope_which_is_in_microseconds() -> None:
    body = {"result": {"index_price": 71470.62, "estimated_delivery_price": 71470.62}, "usOut": NOW_MS * 1000 + 500}
    (item,) = answer("deribit", "get_index_price", body)
    assert item.venue_time_ms == NOW_MS  # type: ignore[union-attr]


def test_the_volatility_index_is_the_last_close_as_a_fraction() -> None:
    data = [[NOW_MS - 7_200_000, 50, 52, 49, 51], [NOW_MS - 3_600_000, 51, 60, 51, 58.4]]
    body = {"result": {"data": data, "continuation": None}, "usOut": NOW_MS * 1000}
    assert values(answer("deribit", "get_volatility_index_data", body)) == {Kind.VOL_INDEX: pytest.approx(0.584)}


def test_chart_lists_of_different_lengths_are_malformed() -> None:
    columns = {key: [1.0] for key in ("open", "high", "low", "close", "volume")}
    body = {"result": {"status": "ok", "ticks": [], **columns}}
    assert refused(answer("deribit", "get_tradingview_chart_data", body)).reason is Rejection.MALFORMED


def test_a_chart_becomes_bars() -> None:
    hour = NOW_MS // 3_600_000 * 3_600_000
    columns = {"open": [10.0], "high": [12.0], "low": [9.0], "close": [11.0], "volume": [5.0], "cost": [1]}
    body = {"result": {"status": "ok", "ticks": [hour], **columns}, "usOut": NOW_MS * 1000}
    bars = only(answer("deribit", "get_tradingview_chart_data", body, perpetual=True), BarsReading)
    assert (bars.bars[0].open_time_ms, bars.bars[0].close, bars.perpetual) == (hour, 11.0, True)


@pytest.mark.parametrize(
    ("code", "trouble"), [(10028, Trouble.RATE_LIMITED), (11051, Trouble.MAINTENANCE), (13888, Trouble.MAINTENANCE)]
)
def test_errors_of_the_venue_are_named(code: int, trouble: Trouble) -> None:
    with pytest.raises(VenueTrouble) as caught:
        answer("deribit", "get_index_price", {"jsonrpc": "2.0", "error": {"code": code, "message": "x"}})
    assert caught.value.trouble is trouble


def test_an_unknown_instrument_is_a_refusal_of_the_venue() -> None:
    error = {"code": 13020, "message": "instrument_not_found"}
    refusal = refused(answer("deribit", "get_order_book", {"jsonrpc": "2.0", "error": error}))
    assert (refusal.reason, refusal.detail) == (Rejection.VENUE_ERROR, "deribit: 13020 instrument_not_found")
