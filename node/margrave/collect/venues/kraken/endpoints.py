"""Kraken's documented questions, of spot and of futures: path, parser and shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from margrave.collect.source import Endpoint, has
from margrave.collect.venues.kraken import futures, messages


def _first_pair(body: object) -> object:
    result = body.get("result") if isinstance(body, dict) else None
    return next(iter(result.values())) if isinstance(result, dict) and result else None


def _holds(*keys: str) -> Callable[[object], bool]:
    """A result whose first pair is an object with these keys."""
    return lambda body: has(*keys)(_first_pair(body))


def _lists(least: int, *, sided: bool) -> Callable[[object], bool]:
    """A result whose first pair is a list of rows: those of trades have a side where candles have a price."""

    def fits(body: object) -> bool:
        rows = _first_pair(body)
        row = rows[0] if isinstance(rows, list) and rows else None
        return isinstance(row, list) and len(row) >= least and (row[3] in ("b", "s")) is sided

    return fits


SPOT: Final = "/0/public/"
DEPTH: Final = Endpoint(
    "Depth", SPOT + "Depth", messages.parse_depth, _holds("asks", "bids"), says="500 levels a side", streamed=True
)
OHLC: Final = Endpoint(
    "OHLC", SPOT + "OHLC", messages.parse_ohlc, _lists(7, sided=False), says="hourly bars, 720 at most"
)
TRADES: Final = Endpoint(
    "Trades", SPOT + "Trades", messages.parse_trades, _lists(4, sided=True), says="the last trades"
)
TICKER: Final = Endpoint(
    "Ticker", SPOT + "Ticker", messages.parse_ticker, _holds("a", "b", "c"), says="best bid and ask"
)
ASSET_PAIRS: Final = Endpoint(
    "AssetPairs",
    SPOT + "AssetPairs",
    messages.parse_asset_pairs,
    _holds("altname", "base"),
    says="decimals and ticks of pairs",
)

FUTURES: Final = "/derivatives/api/v3/"
FUTURES_TICKERS: Final = Endpoint(
    "futures tickers",
    FUTURES + "tickers",
    futures.parse_tickers,
    has("tickers"),
    perpetual=True,
    says="mark, index, funding, open interest of all contracts",
)
FUTURES_ORDERBOOK: Final = Endpoint(
    "futures orderbook",
    FUTURES + "orderbook",
    futures.parse_orderbook,
    has("orderBook"),
    perpetual=True,
    says="the whole book",
    streamed=True,
)
FUTURES_CHARTS: Final = Endpoint(
    "futures charts",
    "/api/charts/v1/trade/{symbol}/{resolution}",
    futures.parse_charts,
    has("candles"),
    perpetual=True,
    says="hourly bars",
)
FUTURES_INSTRUMENTS: Final = Endpoint(
    "futures instruments",
    FUTURES + "instruments",
    futures.parse_instruments,
    has("instruments"),
    perpetual=True,
    says="contract sizes, ticks",
)
FUTURES_FUNDING_HISTORY: Final = Endpoint(
    "historical-funding-rates",
    FUTURES + "historical-funding-rates",
    futures.parse_funding_history,
    has("rates"),
    perpetual=True,
    says="funding of each hour",
)
FUTURES_HISTORY: Final = Endpoint(
    "futures history",
    FUTURES + "history",
    futures.parse_history,
    has("history"),
    perpetual=True,
    says="the last trades",
)
FUTURES_EXECUTIONS: Final = Endpoint(
    "futures executions",
    "/api/history/v3/market/{symbol}/executions",
    futures.parse_executions,
    has("elements"),
    perpetual=True,
    says="trades of any time",
)

FUTURES_ORDERS: Final = ("openOrders", "orderEvents", "sendStatus", "cancelStatus")

ENDPOINTS: Final = (
    ASSET_PAIRS,
    DEPTH,
    OHLC,
    TRADES,
    TICKER,
    FUTURES_TICKERS,
    FUTURES_ORDERBOOK,
    FUTURES_CHARTS,
    FUTURES_INSTRUMENTS,
    FUTURES_FUNDING_HISTORY,
    FUTURES_HISTORY,
    FUTURES_EXECUTIONS,
)
"""The more special shape stands before the more general one: a recorded answer is the first that it fits."""


def _result(*keys: str) -> Callable[[object], bool]:
    return lambda body: isinstance(body, dict) and has(*keys)(body.get("result"))


UNREAD: Final = (
    ("an account's orders", lambda body: any(f(body) for f in (_result("open"), _result("closed"), _result("count")))),
    ("an account's trades", _result("trades", "count")),
    ("an account's balance", _result("eb", "tb")),
    ("an account's positions", _holds("ordertxid", "posstatus")),
    ("an account's futures fills", has("fills")),
    ("an account's futures orders", lambda body: any(has(key)(body) for key in FUTURES_ORDERS)),
    ("an account's futures positions", has("openPositions")),
    ("the venue's own status", _result("status", "timestamp")),
)
