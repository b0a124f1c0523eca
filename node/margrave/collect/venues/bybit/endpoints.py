"""Bybit's documented questions: path, parser and shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from margrave.collect.source import Endpoint, has
from margrave.collect.venues.bybit import legacy, messages, options


def _result_has(*keys: str) -> Callable[[object], bool]:
    inner = has(*keys)
    return lambda body: isinstance(body, dict) and inner(body.get("result"))


def _lists(kind: type, *keys: str) -> Callable[[object], bool]:
    """The first entry of result.list is of that kind, and has at least these keys."""

    def fits(body: object) -> bool:
        entry = messages.first(body, kind)
        return entry is not None and (not keys or has(*keys)(entry))

    return fits


def _lists_tickers(body: object) -> bool:
    ticker = messages.first(body, dict)
    return has("symbol", "markPrice", "indexPrice", "fundingRate")(ticker) or (
        has("symbol", "bid1Price", "ask1Price")(ticker) and not has("underlyingPrice")(ticker)
    )


PATH: Final = "/v5/market/"
INSTRUMENTS: Final = Endpoint(
    "instruments-info",
    PATH + "instruments-info",
    messages.parse_instruments,
    _lists(dict, "symbol", "lotSizeFilter"),
    says="contract kinds, ticks",
)
ORDERBOOK: Final = Endpoint(
    "orderbook",
    PATH + "orderbook",
    messages.parse_orderbook,
    _result_has("s", "b", "a"),
    says="200 or 500 levels a side",
    streamed=True,
)
KLINE: Final = Endpoint("kline", PATH + "kline", messages.parse_kline, _lists(list), says="hourly bars")
TICKERS: Final = Endpoint(
    "tickers", PATH + "tickers", messages.parse_tickers, _lists_tickers, says="mark, index, funding, open interest"
)
ACCOUNT_RATIO: Final = Endpoint(
    "account-ratio",
    PATH + "account-ratio",
    messages.parse_account_ratio,
    _lists(dict, "buyRatio", "sellRatio"),
    perpetual=True,
    says="accounts net long over net short, each five minutes",
)
FUNDING_HISTORY: Final = Endpoint(
    "funding history",
    PATH + "funding/history",
    messages.parse_funding_history,
    _lists(dict, "fundingRate", "fundingRateTimestamp"),
    perpetual=True,
    says="funding that was settled",
)
OPEN_INTEREST: Final = Endpoint(
    "open-interest",
    PATH + "open-interest",
    messages.parse_open_interest,
    _lists(dict, "openInterest", "timestamp"),
    perpetual=True,
    says="open interest each five minutes",
)
RECENT_TRADE: Final = Endpoint(
    "recent-trade",
    PATH + "recent-trade",
    messages.parse_recent_trade,
    _lists(dict, "execId", "price", "size", "side"),
    says="the last trades",
)
OPTION_TICKERS: Final = Endpoint(
    "option tickers",
    PATH + "tickers",
    options.parse_option_tickers,
    _lists(dict, "symbol", "underlyingPrice", "markIv", "delta"),
    says="the whole option chain with greeks",
)


def _lists_symbols(body: object) -> bool:
    result = body.get("result") if isinstance(body, dict) else None
    return isinstance(result, list) and bool(result) and has("name", "quote_currency", "lot_size_filter")(result[0])


SYMBOLS: Final = Endpoint(
    "symbols (before v5)", "/v2/public/symbols", legacy.parse_symbols, _lists_symbols, says="recordings only"
)

ENDPOINTS: Final = (
    INSTRUMENTS,
    ORDERBOOK,
    KLINE,
    TICKERS,
    ACCOUNT_RATIO,
    FUNDING_HISTORY,
    RECENT_TRADE,
    OPEN_INTEREST,
    OPTION_TICKERS,
    SYMBOLS,
)
"""The more special shape stands before the more general one: a recorded answer is the first that it fits."""

UNREAD: Final = (
    ("an account's fills", _lists(dict, "execId", "orderId")),
    ("an account's orders", _lists(dict, "orderId", "orderStatus")),
    ("an account's positions", _lists(dict, "positionIdx", "positionValue")),
    ("an account's balances", _lists(dict, "totalEquity", "coin")),
    ("an account's fees", _lists(dict, "takerFeeRate", "makerFeeRate")),
    ("an account's keys", _result_has("apiKey")),
    ("an account's members", _result_has("subMembers")),
)
