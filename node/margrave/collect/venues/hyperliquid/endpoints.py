"""Hyperliquid's documented questions: type, parser, shape, and weight in an address's budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from margrave.collect.source import Endpoint, has
from margrave.collect.venues.hyperliquid import messages


def _lists(*keys: str) -> Callable[[object], bool]:
    return lambda body: isinstance(body, list) and bool(body) and has(*keys)(body[0])


def _is_contexts(body: object) -> bool:
    return isinstance(body, list) and len(body) == 2 and has("universe")(body[0]) and isinstance(body[1], list)


INFO: Final = "/info"
L2_BOOK: Final = Endpoint(
    "l2Book", INFO, messages.parse_l2_book, has("coin", "levels"), says="20 levels a side", weight=2, streamed=True
)
CONTEXTS: Final = Endpoint(
    "metaAndAssetCtxs",
    INFO,
    messages.parse_contexts,
    _is_contexts,
    perpetual=True,
    says="mark, oracle price, funding, open interest of all perpetuals",
    weight=20,
)
META: Final = Endpoint(
    "meta", INFO, messages.parse_meta, has("universe"), perpetual=True, says="what is listed", weight=20
)
CANDLES: Final = Endpoint(
    "candleSnapshot", INFO, messages.parse_candles, _lists("t", "o", "c"), says="hourly bars, 5,000 at most", weight=20
)
FUNDING_HISTORY: Final = Endpoint(
    "fundingHistory",
    INFO,
    messages.parse_funding_history,
    _lists("coin", "fundingRate", "time"),
    perpetual=True,
    says="funding of each hour",
    weight=20,
)
TRADES: Final = Endpoint(
    "recentTrades", INFO, messages.parse_trades, _lists("coin", "side", "px", "sz"), says="the last trades", weight=20
)

ENDPOINTS: Final = (L2_BOOK, CONTEXTS, META, CANDLES, FUNDING_HISTORY, TRADES)
"""All go to one address: a recorded answer is the first that it fits."""
