"""OKX's documented questions: path, parser, shape, and what each may be asked (per endpoint and address)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from margrave.collect.source import Endpoint, has
from margrave.collect.venues.okx import messages, options


def _entry_has(*keys: str, but: str = "") -> Callable[[object], bool]:
    inner = has(*keys)

    def fits(body: object) -> bool:
        data = body.get("data") if isinstance(body, dict) else None
        return isinstance(data, list) and bool(data) and inner(data[0]) and not (but and but in data[0])

    return fits


def _rows_of(least: int, most: int) -> Callable[[object], bool]:
    """Lists whose first entry is a time in milliseconds: candles are long, ratios are pairs."""

    def fits(body: object) -> bool:
        data = body.get("data") if isinstance(body, dict) else None
        return (
            isinstance(data, list)
            and bool(data)
            and all(isinstance(row, list) and least <= len(row) <= most for row in data)
        )

    return fits


MARKET: Final = "/api/v5/market/"
PUBLIC: Final = "/api/v5/public/"
BOOKS: Final = Endpoint(
    "books",
    MARKET + "books",
    messages.parse_books,
    _entry_has("asks", "bids", "ts"),
    says="400 levels a side",
    streamed=True,
    limit="40 requests in 2 s",
)
CANDLES: Final = Endpoint(
    "candles",
    MARKET + "candles",
    messages.parse_candles,
    _rows_of(7, 20),
    says="hourly bars",
    limit="40 requests in 2 s",
)
TICKER: Final = Endpoint(
    "ticker", MARKET + "ticker", messages.parse_ticker, _entry_has("bidPx", "askPx", "last"), says="best bid and ask"
)
TRADES: Final = Endpoint(
    "trades",
    MARKET + "trades",
    messages.parse_trades,
    _entry_has("tradeId", "px", "sz", "side", but="ordId"),
    says="the last trades",
)
INDEX_TICKERS: Final = Endpoint(
    "index-tickers",
    MARKET + "index-tickers",
    messages.parse_index_tickers,
    _entry_has("instId", "idxPx"),
    perpetual=True,
    says="index",
    limit="20 requests in 2 s",
)
INSTRUMENTS: Final = Endpoint(
    "instruments",
    PUBLIC + "instruments",
    messages.parse_instruments,
    _entry_has("instId", "instType", "tickSz", "ctVal"),
    says="contract sizes, ticks",
    limit="20 requests in 2 s",
)
FUNDING_RATE: Final = Endpoint(
    "funding-rate",
    PUBLIC + "funding-rate",
    messages.parse_funding_rate,
    _entry_has("fundingRate", "nextFundingTime"),
    perpetual=True,
    says="funding of the running period",
    limit="10 requests in 2 s",
)
FUNDING_HISTORY: Final = Endpoint(
    "funding-rate-history",
    PUBLIC + "funding-rate-history",
    messages.parse_funding_history,
    _entry_has("fundingRate", "fundingTime", but="nextFundingTime"),
    perpetual=True,
    says="funding that was settled",
    limit="10 requests in 2 s",
)
OPEN_INTEREST: Final = Endpoint(
    "open-interest",
    PUBLIC + "open-interest",
    messages.parse_open_interest,
    _entry_has("oi", "oiCcy"),
    perpetual=True,
    says="open interest of the perpetual; of options, their sum",
    limit="20 requests in 2 s",
)
MARK_PRICE: Final = Endpoint(
    "mark-price",
    PUBLIC + "mark-price",
    messages.parse_mark_price,
    _entry_has("markPx"),
    perpetual=True,
    says="mark",
    limit="10 requests in 2 s",
)
LIQUIDATION_ORDERS: Final = Endpoint(
    "liquidation-orders",
    PUBLIC + "liquidation-orders",
    messages.parse_liquidation_orders,
    _entry_has("details", "instId"),
    perpetual=True,
    says="liquidations of the last days",
    limit="40 requests in 2 s",
)
LONG_SHORT: Final = Endpoint(
    "long-short-account-ratio",
    "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract",
    messages.parse_long_short,
    _rows_of(2, 2),
    perpetual=True,
    says="accounts net long over net short, each five minutes",
    limit="5 requests in 2 s",
)
OPTION_SUMMARY: Final = Endpoint(
    "opt-summary",
    PUBLIC + "opt-summary",
    options.parse_option_summary,
    _entry_has("markVol", "fwdPx"),
    says="the whole option chain in volatilities, with greeks",
    limit="20 requests in 2 s",
)

ENDPOINTS: Final = (
    INSTRUMENTS,
    BOOKS,
    CANDLES,
    MARK_PRICE,
    INDEX_TICKERS,
    FUNDING_RATE,
    FUNDING_HISTORY,
    OPEN_INTEREST,
    LONG_SHORT,
    OPTION_SUMMARY,
    TICKER,
    TRADES,
    LIQUIDATION_ORDERS,
)
"""The more special shape stands before the more general one: a recorded answer is the first that it fits."""


def _bare(*keys: str) -> Callable[[object], bool]:
    """An entry of an account, with or without the envelope."""
    return lambda body: has(*keys)(body) or _entry_has(*keys)(body)


UNREAD: Final = (
    ("an account's fill", _bare("billId")),
    ("an account's order", _bare("ordId")),
    ("an account's algorithmic order", _bare("algoId")),
    ("an account's balance", _bare("availBal")),
    ("an account's setting", _entry_has("posMode")),
    ("margin tiers", _entry_has("mmr", "maxLever")),
    ("spreads of two instruments", _entry_has("sprdId")),
)
