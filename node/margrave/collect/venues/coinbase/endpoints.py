"""Coinbase's documented questions, of Advanced Trade and of Exchange: path, parser and shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from margrave.collect.source import Endpoint, has
from margrave.collect.venues.coinbase import exchange, messages


def _lists(key: str, *keys: str) -> Callable[[object], bool]:
    """An object whose list `key` begins with an object that has these keys."""

    def fits(body: object) -> bool:
        rows = body.get(key) if isinstance(body, dict) else None
        return isinstance(rows, list) and bool(rows) and has(*keys)(rows[0])

    return fits


MARKET: Final = "/api/v3/brokerage/market/"
PRODUCT_BOOK: Final = Endpoint(
    "product_book",
    MARKET + "product_book",
    messages.parse_product_book,
    has("pricebook"),
    says="500 levels a side",
    streamed=True,
)
PRODUCTS: Final = Endpoint(
    "products",
    MARKET + "products",
    messages.parse_products,
    _lists("products", "product_id"),
    says="all that is listed",
)
PRODUCT: Final = Endpoint(
    "product",
    MARKET + "products/{product_id}",
    messages.parse_product,
    has("product_id", "product_type", "price_increment"),
    says="tick, contract size; of a perpetual its index, funding, open interest",
)
FIGURES: Final = Endpoint(
    "figures",
    PRODUCT.path,
    messages.parse_product,
    lambda _: False,
    perpetual=True,
    says="index, funding, open interest of a perpetual",
)
"""The same question, put at every poll: of a perpetual the product is its ticker."""
CANDLES: Final = Endpoint(
    "candles",
    MARKET + "products/{product_id}/candles",
    messages.parse_candles,
    _lists("candles", "start", "open"),
    says="hourly bars, 350 at most",
)
TICKER: Final = Endpoint(
    "ticker",
    MARKET + "products/{product_id}/ticker",
    messages.parse_ticker,
    _lists("trades", "trade_id", "price", "side"),
    says="the last trades",
)


def _candles_fit(body: object) -> bool:
    return isinstance(body, list) and bool(body) and all(isinstance(row, list) and len(row) == 6 for row in body)


EXCHANGE_BOOK: Final = Endpoint(
    "exchange book",
    "/products/{product_id}/book",
    exchange.parse_book,
    has("bids", "asks", "sequence"),
    says="recordings only",
)
EXCHANGE_CANDLES: Final = Endpoint(
    "exchange candles", "/products/{product_id}/candles", exchange.parse_candles, _candles_fit, says="recordings only"
)
EXCHANGE_TRADES: Final = Endpoint(
    "exchange trades",
    "/products/{product_id}/trades",
    exchange.parse_trades,
    lambda body: isinstance(body, list) and bool(body) and has("trade_id", "side", "size", "price")(body[0]),
    says="recordings only",
)
EXCHANGE_PRODUCTS: Final = Endpoint(
    "exchange products",
    "/products",
    exchange.parse_products,
    lambda body: isinstance(body, list) and bool(body) and has("id", "base_currency", "quote_currency")(body[0]),
    says="recordings only",
)

ENDPOINTS: Final = (
    PRODUCT_BOOK,
    PRODUCTS,
    CANDLES,
    TICKER,
    PRODUCT,
    FIGURES,
    EXCHANGE_PRODUCTS,
    EXCHANGE_BOOK,
    EXCHANGE_CANDLES,
    EXCHANGE_TRADES,
)
"""The more special shape stands before the more general one: a recorded answer is the first that it fits."""

UNREAD: Final = (
    ("an account's orders", lambda body: has("order")(body) or has("orders")(body)),
    ("an account's fills", has("fills")),
    ("an account's positions", lambda body: has("position")(body) or has("positions")(body)),
    ("an account's balance", has("balance_summary")),
)
