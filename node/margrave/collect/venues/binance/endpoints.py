"""Binance's documented questions: path, parser, shape, and weight against an address's budget.

Weights are those of the limits that `requests` asks for ("IP Limits" of developers.binance.com, per endpoint). The
figures under /futures/data have a budget of their own, and so has the funding history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from margrave.collect.source import Asked, Endpoint, Item, has
from margrave.collect.venues.binance import messages, options
from margrave.collect.venues.binance.listing import parse_exchange_info
from margrave.messages import Kind

DATA_LIMIT: Final = "1,000 requests in 5 minutes an address"
FUNDING_LIMIT: Final = "500 requests in 5 minutes an address"


def _never(_: object) -> bool:
    return False


def _rows(*keys: str, without: str = "") -> Callable[[object], bool]:
    """A list of objects with at least these keys."""
    inner = has(*keys)

    def fits(body: object) -> bool:
        first = body[0] if isinstance(body, list) and body else None
        return inner(first) and isinstance(first, dict) and (not without or without not in first)

    return fits


def _one_or_rows(*keys: str) -> Callable[[object], bool]:
    return lambda body: has(*keys)(body) or _rows(*keys)(body)


def _without(fits: Callable[[object], bool], *keys: str) -> Callable[[object], bool]:
    return lambda body: fits(body) and isinstance(body, dict) and not any(key in body for key in keys)


def _looks_like_klines(body: object) -> bool:
    return isinstance(body, list) and bool(body) and all(isinstance(row, list) and len(row) == 12 for row in body)


def _lists(symbols: str, *, of: str = "") -> Callable[[object], bool]:
    """An exchangeInfo whose symbols have a certain key; any where none is named."""

    def fits(body: object) -> bool:
        listed = body.get(symbols) if isinstance(body, dict) else None
        return isinstance(listed, list) and bool(listed) and (not of or has(of)(listed[0]))

    return fits


# --- spot -----------------------------------------------------------------------------------------------------------

SPOT_DEPTH: Final = Endpoint(
    "depth",
    "/api/v3/depth",
    messages.parse_depth,
    has("lastUpdateId", "bids", "asks"),
    says="spot book",
    weight=50,
    streamed=True,
)
SPOT_KLINES: Final = Endpoint(
    "klines", "/api/v3/klines", messages.parse_klines, _looks_like_klines, says="spot candles", weight=2
)
SPOT_TRADES: Final = Endpoint(
    "trades",
    "/api/v3/trades",
    messages.parse_trades,
    _rows("id", "price", "qty", "isBuyerMaker", "isBestMatch"),
    says="the last spot trades",
    weight=25,
)
SPOT_HISTORICAL_TRADES: Final = Endpoint(
    "historicalTrades",
    "/api/v3/historicalTrades",
    messages.parse_trades,
    _never,
    says="older spot trades",
    weight=25,
)
SPOT_AGG_TRADES: Final = Endpoint(
    "aggTrades",
    "/api/v3/aggTrades",
    messages.parse_aggregate_trades,
    _rows("a", "p", "q", "T", "m", "M"),
    says="spot trades, those of one order together",
    weight=4,
)
SPOT_BOOK_TICKER: Final = Endpoint(
    "bookTicker",
    "/api/v3/ticker/bookTicker",
    messages.parse_book_ticker,
    _one_or_rows("bidPrice", "bidQty", "askPrice", "askQty"),
    says="best bid and ask, spot",
    weight=2,
)
SPOT_EXCHANGE_INFO: Final = Endpoint(
    "exchangeInfo",
    "/api/v3/exchangeInfo",
    parse_exchange_info,
    _lists("symbols"),
    says="spot pairs and ticks",
    weight=20,
)

# --- futures: USD-margined (/fapi), coin-margined (/dapi) -----------------------------------------------------------


def _futures(
    name: str,
    path: str,
    parse: Callable[[Asked, object], Iterable[Item]],
    fits: Callable[[object], bool],
    says: str,
    *,
    weight: float = 1,
    limit: str = "",
    streamed: bool = False,
) -> Endpoint:
    return Endpoint(name, path, parse, fits, perpetual=True, says=says, weight=weight, limit=limit, streamed=streamed)


FUTURES_DEPTH: Final = _futures(
    "futures depth",
    "/fapi/v1/depth",
    messages.parse_depth,
    has("lastUpdateId", "E", "bids", "asks"),
    "book",
    weight=20,
    streamed=True,
)
COIN_DEPTH: Final = _futures(
    "coin-margined depth",
    "/dapi/v1/depth",
    messages.parse_depth,
    has("lastUpdateId", "pair", "bids", "asks"),
    "book, in contracts",
    weight=20,
    streamed=True,
)
FUTURES_KLINES: Final = _futures(
    "futures klines", "/fapi/v1/klines", messages.parse_klines, _never, "candles", weight=5
)
COIN_KLINES: Final = _futures(
    "coin-margined klines", "/dapi/v1/klines", messages.parse_klines, _never, "candles", weight=5
)
PREMIUM_INDEX: Final = _futures(
    "premiumIndex",
    "/fapi/v1/premiumIndex",
    messages.parse_premium_index,
    _one_or_rows("markPrice", "lastFundingRate"),
    "mark, index, funding",
)
COIN_PREMIUM_INDEX: Final = _futures(
    "coin-margined premiumIndex",
    "/dapi/v1/premiumIndex",
    messages.parse_premium_index,
    _never,
    "mark, index, funding",
    weight=10,
)
OPEN_INTEREST: Final = _futures(
    "openInterest",
    "/fapi/v1/openInterest",
    messages.parse_open_interest,
    has("openInterest", "symbol", "time"),
    "open interest, valued at the mark",
)
COIN_OPEN_INTEREST: Final = _futures(
    "coin-margined openInterest",
    "/dapi/v1/openInterest",
    messages.parse_open_interest,
    _never,
    "open interest, in contracts",
)
OPEN_INTEREST_HISTORY: Final = _futures(
    "openInterestHist",
    "/futures/data/openInterestHist",
    messages.parse_open_interest_history,
    _rows("sumOpenInterest", "sumOpenInterestValue", "timestamp"),
    "open interest of the last 30 days",
    limit=DATA_LIMIT,
)
FUNDING_HISTORY: Final = _futures(
    "fundingRate",
    "/{fapi|dapi}/v1/fundingRate",
    messages.parse_funding_history,
    _rows("fundingRate", "fundingTime"),
    "funding of the past",
    limit=FUNDING_LIMIT,
)
FUTURES_TRADES: Final = _futures(
    "futures trades",
    "/fapi/v1/trades",
    messages.parse_trades,
    _rows("id", "price", "qty", "isBuyerMaker", "time"),
    "the last trades",
    weight=5,
)
COIN_TRADES: Final = _futures(
    "coin-margined trades", "/dapi/v1/trades", messages.parse_trades, _never, "the last trades", weight=5
)
FUTURES_AGG_TRADES: Final = _futures(
    "futures aggTrades",
    "/{fapi|dapi}/v1/aggTrades",
    messages.parse_aggregate_trades,
    _rows("a", "p", "q", "T", "m"),
    "trades, those of one order together",
    weight=20,
)
FUTURES_BOOK_TICKER: Final = _futures(
    "futures bookTicker",
    "/{fapi|dapi}/v1/ticker/bookTicker",
    messages.parse_book_ticker,
    _one_or_rows("bidPrice", "bidQty", "askPrice", "askQty", "time"),
    "best bid and ask",
    weight=2,
)
LONG_SHORT: Final = _futures(
    "globalLongShortAccountRatio",
    "/futures/data/globalLongShortAccountRatio",
    messages.ratio_parser(Kind.LONG_SHORT_RATIO, "longShortRatio"),
    _rows("longShortRatio", "timestamp"),
    "accounts net long over accounts net short",
    limit=DATA_LIMIT,
)
TOP_ACCOUNTS: Final = _futures(
    "topLongShortAccountRatio",
    "/futures/data/topLongShortAccountRatio",
    messages.ratio_parser(Kind.LONG_SHORT_RATIO, "longShortRatio"),
    _never,
    "the same of the largest fifth of accounts",
    limit=DATA_LIMIT,
)
TOP_POSITIONS: Final = _futures(
    "topLongShortPositionRatio",
    "/futures/data/topLongShortPositionRatio",
    messages.ratio_parser(Kind.TOP_LONG_SHORT_RATIO, "longShortRatio"),
    _never,
    "the same by position",
    limit=DATA_LIMIT,
)
TAKER_RATIO: Final = _futures(
    "takerlongshortRatio",
    "/futures/data/takerlongshortRatio",
    messages.ratio_parser(Kind.TAKER_RATIO, "buySellRatio"),
    _rows("buySellRatio", "timestamp"),
    "volume bought over volume sold by takers",
    limit=DATA_LIMIT,
)
FORCE_ORDERS: Final = _futures(
    "allForceOrders",
    "/{fapi|dapi}/v1/allForceOrders",
    messages.parse_force_orders,
    _rows("averagePrice", "executedQty", "side", without="orderId"),
    "liquidations; closed by the venue, recordings hold it",
    weight=20,
)
FUTURES_EXCHANGE_INFO: Final = _futures(
    "futures exchangeInfo",
    "/fapi/v1/exchangeInfo",
    parse_exchange_info,
    _lists("symbols", of="contractType"),
    "contracts, ticks, expiries",
)
COIN_EXCHANGE_INFO: Final = _futures(
    "coin-margined exchangeInfo",
    "/dapi/v1/exchangeInfo",
    parse_exchange_info,
    _lists("symbols", of="contractSize"),
    "contracts and how many dollars each is",
)

# --- options --------------------------------------------------------------------------------------------------------

OPTION_MARK: Final = Endpoint(
    "option mark",
    "/eapi/v1/mark",
    options.parse_mark,
    _rows("symbol", "markPrice", "markIV"),
    says="the whole option chain: mark, bid and ask volatility, greeks",
    weight=5,
)
OPTION_INDEX: Final = Endpoint(
    "option index",
    "/eapi/v1/index",
    options.parse_index,
    _without(has("indexPrice", "time"), "markPrice", "symbol"),
    says="index price",
)
OPTION_OPEN_INTEREST: Final = Endpoint(
    "option openInterest",
    "/eapi/v1/openInterest",
    options.parse_open_interest,
    _rows("sumOpenInterest", "sumOpenInterestUsd"),
    says="open interest of one expiry",
    weight=0,
)
OPTION_DEPTH: Final = Endpoint(
    "option depth",
    "/eapi/v1/depth",
    options.parse_depth,
    _without(has("T", "bids", "asks"), "E", "pair", "e"),
    says="book of one option",
    weight=5,
)
OPTION_EXCHANGE_INFO: Final = Endpoint(
    "option exchangeInfo",
    "/eapi/v1/exchangeInfo",
    parse_exchange_info,
    _lists("optionSymbols"),
    says="options: expiry, strike, unit",
)

ENDPOINTS: Final = (
    COIN_DEPTH,
    FUTURES_DEPTH,
    OPTION_DEPTH,
    SPOT_DEPTH,
    SPOT_KLINES,
    FUTURES_KLINES,
    COIN_KLINES,
    PREMIUM_INDEX,
    COIN_PREMIUM_INDEX,
    OPEN_INTEREST,
    COIN_OPEN_INTEREST,
    OPEN_INTEREST_HISTORY,
    FUNDING_HISTORY,
    SPOT_TRADES,
    SPOT_HISTORICAL_TRADES,
    FUTURES_TRADES,
    COIN_TRADES,
    SPOT_AGG_TRADES,
    FUTURES_AGG_TRADES,
    FUTURES_BOOK_TICKER,
    SPOT_BOOK_TICKER,
    LONG_SHORT,
    TOP_ACCOUNTS,
    TOP_POSITIONS,
    TAKER_RATIO,
    FORCE_ORDERS,
    OPTION_EXCHANGE_INFO,
    COIN_EXCHANGE_INFO,
    FUTURES_EXCHANGE_INFO,
    SPOT_EXCHANGE_INFO,
    OPTION_MARK,
    OPTION_INDEX,
    OPTION_OPEN_INTEREST,
)
"""The more special shape stands before the more general one: a recorded answer is the first that it fits."""


def _order(body: object) -> bool:
    rows = body if isinstance(body, list) else [body]
    orders = [r for r in rows if isinstance(r, dict) and ("orderId" in r or "algoId" in r or "orderReports" in r)]
    return bool(orders) and len(orders) == len(rows)


UNREAD: Final = (
    ("an account's order", _order),
    ("an account's position", _rows("positionAmt", "entryPrice")),
    ("an account's fees", _one_or_rows("symbol", "makerCommission")),
    ("an account's fees", has("makerCommissionRate", "takerCommissionRate")),
    ("a clock", _without(has("serverTime"), "symbols", "optionSymbols")),
    ("a last price without a book", _one_or_rows("symbol", "price")),
    ("a day's statistics", _one_or_rows("priceChangePercent", "openTime")),
    ("a mean price", _without(has("mins", "price"), "symbol")),
    ("bounds and intervals of funding", _rows("adjustedFundingRateCap")),
    ("the basket of an index", _one_or_rows("baseAssetList", "component")),
    ("a ping", lambda body: body == {}),
)
