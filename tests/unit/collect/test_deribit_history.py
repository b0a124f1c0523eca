"""What Deribit lists and remembers: instruments, trades, liquidations, funding, deliveries."""

from __future__ import annotations

import pytest

from margrave.collect.venues.deribit.names import is_inverse, kind_of, sizes_in_usd
from margrave.messages import (
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


@pytest.mark.parametrize(
    ("name", "kind", "in_usd"),
    [
        ("BTC-PERPETUAL", ContractKind.PERPETUAL, True),
        ("BTC_USDC-PERPETUAL", ContractKind.PERPETUAL, False),
        ("BTC-25DEC26", ContractKind.FUTURE, True),
        ("BTC-25DEC26-58000-C", ContractKind.OPTION, False),
        ("XRP_USDC-25SEP26-0d55-C", ContractKind.OPTION, False),
        ("BTC-FS-25DEC26_PERP", ContractKind.COMBINATION, False),
        ("BTC-CS-19MAY26-70000_75000", ContractKind.COMBINATION, False),
        ("BTC_USDC", ContractKind.SPOT, False),
        ("", ContractKind.OTHER, False),
    ],
)
def test_a_name_says_what_an_instrument_is_and_what_its_sizes_are(name: str, kind: ContractKind, in_usd: bool) -> None:
    assert (kind_of(name), sizes_in_usd(name)) == (kind, in_usd)
    assert is_inverse(name) is ("_US" not in name.partition("-")[0])


def listed(**changes: object) -> Contract:
    row = {
        "instrument_name": "BTC-25DEC26-58000-C",
        "kind": "option",
        "tick_size": 0.0005,
        "contract_size": 1.0,
        "expiration_timestamp": 1_798_185_600_000,
        "settlement_period": "month",
        "is_active": True,
        **changes,
    }
    return only(answer("deribit", "get_instruments", {"result": [row]}), Contract)


def test_an_option_is_listed_with_its_expiry_and_a_unit_of_one_coin() -> None:
    assert listed() == Contract(
        source="deribit",
        instrument="BTC-25DEC26-58000-C",
        seen_time_ms=NOW_MS,
        kind=ContractKind.OPTION,
        tick=0.0005,
        expiry_ms=1_798_185_600_000,
    )


def test_an_inverse_perpetual_is_counted_in_dollars_whatever_its_contract_size() -> None:
    name = {"instrument_name": "BTC-PERPETUAL", "kind": "future", "settlement_period": "perpetual"}
    perpetual = listed(**name, contract_size=10.0, expiration_timestamp=32_503_708_800_000)
    assert (perpetual.kind, perpetual.unit_usd, perpetual.unit_coins) == (ContractKind.PERPETUAL, 1.0, None)
    assert perpetual.expiry_ms is None


@pytest.mark.parametrize("kind", ["option_combo", "future_combo"])
def test_combinations_are_listed_as_such(kind: str) -> None:
    assert listed(instrument_name="BTC-FS-25DEC26_PERP", kind=kind).kind is ContractKind.COMBINATION


def test_a_kind_that_the_venue_adds_is_another() -> None:
    assert listed(instrument_name="BTC-X", kind="swaption").kind is ContractKind.OTHER
    assert not listed(is_active=False).trading
    assert not listed(state="closed").trading


def trade(**changes: object) -> dict[str, object]:
    return {
        "instrument_name": "BTC-PERPETUAL",
        "timestamp": NOW_MS,
        "price": 70_000.0,
        "amount": 500.0,
        "direction": "buy",
        "index_price": 70_001.0,
        "trade_id": "42",
        **changes,
    }


def asked_trades(*rows: object, instrument: str = "BTC-PERPETUAL") -> tuple[object, ...]:
    return answer(
        "deribit", "get_last_trades", {"result": {"trades": list(rows), "has_more": False}}, instrument=instrument
    )


def test_amounts_of_an_inverse_perpetual_are_dollars() -> None:
    (reading,) = asked_trades(trade(), trade(direction="sell", amount=200.0, price=69_990.0, timestamp=NOW_MS - 5))
    assert isinstance(reading, TradesReading)
    assert (reading.buy_usd, reading.sell_usd, reading.count) == (500.0, 200.0, 2)
    assert (reading.low, reading.high, reading.last) == (69_990.0, 70_000.0, 70_000.0)
    assert (reading.from_ms, reading.venue_time_ms) == (NOW_MS - 5, NOW_MS)
    assert 69_990 < reading.vwap < 70_000


def test_amounts_of_a_linear_perpetual_are_coins() -> None:
    (reading,) = asked_trades(trade(instrument_name="BTC_USDC-PERPETUAL", amount=0.5), instrument="BTC_USDC-PERPETUAL")
    assert isinstance(reading, TradesReading)
    assert reading.buy_usd == 35_000.0


def test_an_options_price_is_coins_and_becomes_dollars_at_its_index() -> None:
    option = trade(instrument_name="BTC-25DEC26-58000-C", price=0.05, amount=2.0, index_price=80_000.0)
    (reading,) = asked_trades(option, instrument="BTC")
    assert isinstance(reading, TradesReading)
    assert (reading.last, reading.buy_usd, reading.perpetual) == (4_000.0, 8_000.0, False)


def test_an_answer_about_a_currency_is_parted_by_instrument() -> None:
    rows = [trade(), trade(instrument_name="BTC-25DEC26", price=72_000.0), trade(instrument_name="BTC-FS-25DEC26_PERP")]
    items = asked_trades(*rows, instrument="BTC")
    assert [item.instrument for item in items if isinstance(item, TradesReading)] == ["BTC-PERPETUAL", "BTC-25DEC26"]
    assert [item.reason for item in items if isinstance(item, Refusal)] == [Rejection.WRONG_INSTRUMENT]


def test_trades_of_another_instrument_than_was_asked_are_refused() -> None:
    (refusal,) = asked_trades(trade(instrument_name="ETH-PERPETUAL"))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Rejection.WRONG_INSTRUMENT


@pytest.mark.parametrize(
    ("sides", "direction", "long_usd", "short_usd"),
    [
        ("T", "sell", 500.0, 0.0),  # the taker, who sold, was long
        ("T", "buy", 0.0, 500.0),
        ("M", "buy", 500.0, 0.0),  # the taker bought from the maker that was liquidated: it had been long
        ("M", "sell", 0.0, 500.0),
        ("MT", "buy", 500.0, 500.0),
    ],
)
def test_a_trade_says_whose_position_was_liquidated(
    sides: str, direction: str, long_usd: float, short_usd: float
) -> None:
    _, closed = asked_trades(trade(liquidation=sides, direction=direction), trade())
    assert isinstance(closed, LiquidationsReading)
    assert (closed.long_usd, closed.short_usd, closed.largest_usd) == (long_usd, short_usd, 500.0)
    assert closed.count == len(sides)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": 0}, Rejection.NOT_POSITIVE),
        ({"price": "NaN"}, Rejection.NOT_FINITE),
        ({"amount": -1}, Rejection.OUT_OF_RANGE),
        ({"amount": 1e30}, Rejection.OUT_OF_RANGE),
        ({"amount": None}, Rejection.MALFORMED),
        ({"direction": "up"}, Rejection.MALFORMED),
        ({"timestamp": NOW_MS // 1000}, Rejection.OUT_OF_RANGE),
        ({"liquidation": "X", "timestamp": NOW_MS}, Rejection.MALFORMED),
    ],
)
def test_a_bad_trade_refuses_itself_and_not_its_neighbours(changes: dict[str, object], reason: Rejection) -> None:
    items = asked_trades(trade(), trade(**changes))
    assert isinstance(items[0], TradesReading)
    assert [item.reason for item in items if isinstance(item, Refusal)] == [reason]


def test_past_funding_comes_in_order_each_with_its_own_time() -> None:
    rows = [
        {"timestamp": NOW_MS - age, "interest_8h": age / 1e12, "index_price": 7e4} for age in (0, 7_200_000, 3_600_000)
    ]
    items = answer("deribit", "get_funding_rate_history", {"result": rows}, instrument="BTC-PERPETUAL")
    read = [item for item in items if isinstance(item, ScalarReading)]
    assert [item.venue_time_ms for item in read] == [NOW_MS - 7_200_000, NOW_MS - 3_600_000, NOW_MS]
    assert {item.kind for item in read} == {Kind.FUNDING_8H}
    chart = {"result": {"data": rows, "current_interest": 0.1, "interest_8h": 0.2}}
    assert len(answer("deribit", "get_funding_chart_data", chart)) == 3


def test_a_funding_that_no_market_pays_is_refused_and_the_others_stand() -> None:
    rows = [{"timestamp": NOW_MS, "interest_8h": 0.7}, {"timestamp": NOW_MS, "interest_8h": 1e-4}]
    items = answer("deribit", "get_funding_rate_history", {"result": rows})
    assert [type(item) for item in items] == [ScalarReading, Refusal]


def test_a_bare_number_is_the_funding_of_the_span_that_was_asked() -> None:
    items = answer("deribit", "get_funding_rate_value", {"result": 1e-4, "usOut": NOW_MS * 1000})
    assert values(items) == {Kind.FUNDING_8H: 1e-4}


def test_a_delivery_is_at_eight_in_the_morning() -> None:
    body = {"result": {"data": [{"date": "2026-02-05", "delivery_price": 71_000.5}], "records_total": 1}}
    item = only(answer("deribit", "get_delivery_prices", body, instrument="btc_usd"), ScalarReading)
    assert (item.kind, item.value, item.venue_time_ms) == (Kind.DELIVERY_PRICE, 71_000.5, 1_770_278_400_000)
    unreadable = {"result": {"data": [{"date": None, "delivery_price": 1}], "records_total": 1}}
    assert refused(answer("deribit", "get_delivery_prices", unreadable)).reason is Rejection.MALFORMED


def test_of_settlements_the_deliveries_are_read() -> None:
    row = {"type": "delivery", "timestamp": NOW_MS, "instrument_name": "BTC-5FEB26-70000-C", "index_price": 71_000.5}
    body = {"result": {"settlements": [row, {**row, "type": "settlement", "funding": 1e-6}], "continuation": "x"}}
    delivery, rest = answer("deribit", "get_last_settlements", body, instrument="BTC")
    assert isinstance(delivery, ScalarReading)
    assert (delivery.kind, delivery.value) == (Kind.DELIVERY_PRICE, 71_000.5)
    assert refused((rest,)).reason is Rejection.NOT_READ


def ticker(**changes: object) -> dict[str, object]:
    return {"result": {"instrument_name": "BTC_USDC-PERPETUAL", "timestamp": NOW_MS, "state": "open", **changes}}


def test_open_interest_of_a_linear_perpetual_is_coins_and_valued_at_its_mark() -> None:
    items = answer(
        "deribit", "ticker", ticker(mark_price=70_000.0, open_interest=10.0), instrument="BTC_USDC-PERPETUAL"
    )
    assert values(items) == {Kind.MARK_PRICE: 70_000.0, Kind.OPEN_INTEREST: 700_000.0}


def test_sizes_in_the_book_of_a_linear_perpetual_are_coins() -> None:
    levels = {"bids": [[69_999.0, 2.0]], "asks": [[70_001.0, 1.0]]}
    items = answer("deribit", "get_order_book", ticker(**levels), instrument="BTC_USDC-PERPETUAL")
    assert isinstance(items[0], BookReading)
    assert items[0].bid_depth_usd == pytest.approx(139_998.0)


def test_of_a_dated_future_only_the_index_is_the_markets() -> None:
    body = ticker(instrument_name="BTC-25DEC26", mark_price=72_000.0, index_price=70_000.0, open_interest=5.0)
    assert values(answer("deribit", "ticker", body)) == {Kind.INDEX_PRICE: 70_000.0}


def test_a_combinations_ticker_is_no_price() -> None:
    body = ticker(instrument_name="BTC-FS-25DEC26_PERP", mark_price=1_300.0)
    assert refused(answer("deribit", "ticker", body)).reason is Rejection.WRONG_INSTRUMENT


def test_an_instrument_that_is_not_open_is_refused_by_the_venues_word() -> None:
    body = ticker(mark_price=70_000.0) | {}
    body["result"] |= {"state": "settlement"}  # type: ignore[operator]
    refusal = refused(answer("deribit", "ticker", body))
    assert (refusal.reason, refusal.detail) == (Rejection.VENUE_ERROR, "BTC_USDC-PERPETUAL is settlement")


def test_a_summary_of_futures_gives_the_perpetuals_figures() -> None:
    row = {"creation_timestamp": NOW_MS, "mark_price": 70_000.0, "funding_8h": 1e-5, "open_interest": 5e8}
    rows = [{**row, "instrument_name": name} for name in ("BTC-PERPETUAL", "BTC-25DEC26", "BTC-FS-25DEC26_PERP")]
    items = answer("deribit", "get_book_summary_by_currency", {"result": rows}, instrument="BTC")
    assert values(items) == {Kind.MARK_PRICE: 70_000.0, Kind.FUNDING_8H: 1e-5, Kind.OPEN_INTEREST: 5e8}
    assert refused(items[-1:]).detail.startswith("2 rows")
