"""Deribit's documented questions: path, parser, shape, and credits of an address's budget ("Rate limits")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from margrave.collect.source import Endpoint, has
from margrave.collect.venues.deribit import messages

PUBLIC: Final = "/api/v2/public/"
CREDITS: Final = 500.0


def _result(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    """A shape of "result", or of a body that is one itself."""

    def fits_body(body: object) -> bool:
        if isinstance(body, dict) and ("result" in body or "jsonrpc" in body):
            return fits(body.get("result"))
        return fits(body)

    return fits_body


def _rows(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return _result(lambda result: isinstance(result, list) and bool(result) and fits(result[0]))


def _never(_: object) -> bool:
    return False


def _is_ticker(result: object) -> bool:
    return has("instrument_name", "timestamp")(result) and (has("mark_price")(result) or has("bids", "asks")(result))


INDEX_PRICE: Final = Endpoint(
    "get_index_price",
    PUBLIC + "get_index_price",
    messages.parse_index_price,
    _result(lambda r: has("index_price", "estimated_delivery_price")(r) and not has("instrument_name")(r)),
    says="index price",
    weight=CREDITS,
)
ORDER_BOOK: Final = Endpoint(
    "get_order_book",
    PUBLIC + "get_order_book",
    messages.parse_order_book,
    _result(_is_ticker),
    perpetual=True,
    says="book, mark, index, funding and open interest of a perpetual; of an option its quote with greeks",
    weight=CREDITS,
)
TICKER: Final = Endpoint(
    "ticker",
    PUBLIC + "ticker",
    messages.parse_order_book,
    _never,
    perpetual=True,
    says="the same without the book",
    weight=CREDITS,
)
BOOK_SUMMARY: Final = Endpoint(
    "get_book_summary_by_currency",
    PUBLIC + "get_book_summary_by_currency",
    messages.parse_book_summary,
    _rows(lambda r: has("instrument_name", "creation_timestamp")(r) and not has("tick_size")(r)),
    says="the whole option chain: quotes, mark volatility, open interest",
    weight=CREDITS,
)
VOLATILITY_INDEX: Final = Endpoint(
    "get_volatility_index_data",
    PUBLIC + "get_volatility_index_data",
    messages.parse_volatility_index,
    _result(has("data", "continuation")),
    says="the 30-day volatility index (DVOL)",
    weight=CREDITS,
)
CHART_DATA: Final = Endpoint(
    "get_tradingview_chart_data",
    PUBLIC + "get_tradingview_chart_data",
    messages.parse_chart_data,
    _result(has("ticks", "close")),
    perpetual=True,
    says="candles",
    weight=CREDITS,
)
INSTRUMENTS: Final = Endpoint(
    "get_instruments",
    PUBLIC + "get_instruments",
    messages.parse_instruments,
    _rows(has("instrument_name", "kind", "tick_size")),
    says="what is listed: kind, expiry, tick, and whether sizes are coins or dollars",
    weight=CREDITS,
    limit="a stricter one of its own: ask it seldom",
)
INSTRUMENT: Final = Endpoint(
    "get_instrument",
    PUBLIC + "get_instrument",
    messages.parse_instruments,
    _result(has("instrument_name", "kind", "tick_size")),
    says="the same of one instrument",
    weight=CREDITS,
)
FUNDING_HISTORY: Final = Endpoint(
    "get_funding_rate_history",
    PUBLIC + "get_funding_rate_history",
    messages.parse_funding_history,
    _rows(has("interest_8h", "timestamp")),
    perpetual=True,
    says="funding of past hours",
    weight=CREDITS,
)
FUNDING_CHART: Final = Endpoint(
    "get_funding_chart_data",
    PUBLIC + "get_funding_chart_data",
    messages.parse_funding_history,
    _result(has("data", "current_interest")),
    perpetual=True,
    says="funding of the last 8 hours, day or month",
    weight=CREDITS,
)
FUNDING_VALUE: Final = Endpoint(
    "get_funding_rate_value",
    PUBLIC + "get_funding_rate_value",
    messages.parse_funding_value,
    _never,
    perpetual=True,
    says="funding between two times",
    weight=CREDITS,
)
DELIVERY_PRICES: Final = Endpoint(
    "get_delivery_prices",
    PUBLIC + "get_delivery_prices",
    messages.parse_delivery_prices,
    _result(has("data", "records_total")),
    says="the prices at which past days were settled",
    weight=CREDITS,
)
SETTLEMENTS: Final = Endpoint(
    "get_last_settlements",
    PUBLIC + "get_last_settlements_by_{which}",
    messages.parse_settlements,
    _result(has("settlements")),
    says="deliveries of past contracts",
    weight=CREDITS,
)
LAST_TRADES: Final = Endpoint(
    "get_last_trades",
    PUBLIC + "get_last_trades_by_{which}",
    messages.parse_trades,
    lambda body: _result(has("trades", "has_more"))(body) or _rows(has("trade_id", "direction", "price"))(body),
    says="past trades, and which of them were liquidations",
    weight=CREDITS,
)


ENDPOINTS: Final = (
    INDEX_PRICE,
    INSTRUMENT,
    ORDER_BOOK,
    TICKER,
    INSTRUMENTS,
    BOOK_SUMMARY,
    VOLATILITY_INDEX,
    CHART_DATA,
    FUNDING_HISTORY,
    FUNDING_CHART,
    FUNDING_VALUE,
    DELIVERY_PRICES,
    SETTLEMENTS,
    LAST_TRADES,
)
"""The more special shape stands before the more general one: a recorded answer is the first that it fits."""

UNREAD: Final = (
    ("an account's order", _result(lambda r: has("order_id")(r) or has("order", "trades")(r))),
    ("a list of combinations", _rows(has("id", "legs"))),
    ("a list of expiries", _result(lambda r: has("option")(r) or has("future")(r))),
    ("a clock", _result(lambda r: type(r) is int)),
    ("a list of channels", _rows(lambda r: isinstance(r, str))),
)
