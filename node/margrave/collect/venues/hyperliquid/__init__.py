"""Hyperliquid: a chain of its own with an order book; POST /info for state, one websocket for books and trades.

`messages` reads the answers, `stream` the pushes. Its oracle price is a weighted median of other venues' spot: it is
kept as this venue's index, and says nothing that those venues do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from margrave.collect.source import Endpoint, Pace, Request, Venue, Wanted
from margrave.collect.venues.hyperliquid import endpoints, messages
from margrave.collect.venues.hyperliquid.stream import STREAMS
from margrave.settings import Instruments
from margrave.spans import HOUR_MS


def requests(market: str, names: Instruments, now_ms: int, wanted: Wanted) -> Iterator[Request]:
    for coin, perpetual in ((names.spot, False), (names.perpetual, True)):
        if not coin:
            continue
        yield _ask(endpoints.L2_BOOK, market, coin, Pace.QUOTE, perpetual, {"type": "l2Book", "coin": coin})
        first_ms = now_ms - now_ms % HOUR_MS - (wanted(market, perpetual=perpetual) - 1) * HOUR_MS
        span = {"coin": coin, "interval": "1h", "startTime": first_ms, "endTime": now_ms}
        candles: dict[str, object] = {"type": "candleSnapshot", "req": span}
        yield _ask(endpoints.CANDLES, market, coin, Pace.BARS, perpetual, candles)
    if coin := names.perpetual:
        yield _ask(endpoints.META, market, coin, Pace.LISTING, True, {"type": "meta"})
        yield _ask(endpoints.CONTEXTS, market, coin, Pace.QUOTE, True, {"type": "metaAndAssetCtxs"})


def _ask(endpoint: Endpoint, market: str, coin: str, pace: Pace, perpetual: bool, body: dict[str, object]) -> Request:
    return Request(
        endpoint=endpoint,
        market=market,
        instrument=coin,
        path=endpoints.INFO,
        params={},
        pace=pace,
        perpetual=perpetual,
        body=body,
    )


HYPERLIQUID: Final = Venue(
    name="hyperliquid",
    endpoints=endpoints.ENDPOINTS,
    requests=requests,
    complaint=messages.complaint,
    about=messages.about,
    streams=STREAMS,
    site="https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api",
    budget="1,200 of weight a minute an address; 10 websockets, 1,000 subscriptions",
)
