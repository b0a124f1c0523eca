"""Coinbase: Advanced Trade's public market data (api.coinbase.com), REST for state and one websocket, without a key.

`messages` reads the answers, `stream` the pushes, `exchange` the older interface of the same books.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from margrave.collect.source import Endpoint, Pace, Request, Venue, Wanted
from margrave.collect.venues.coinbase import endpoints, messages
from margrave.collect.venues.coinbase.stream import STREAMS
from margrave.settings import Instruments
from margrave.spans import HOUR_MS

BOOK_LIMIT: Final = 500
CANDLES_LIMIT: Final = 350


def requests(market: str, names: Instruments, now_ms: int, wanted: Wanted) -> Iterator[Request]:
    for name, perpetual in ((names.spot, False), (names.perpetual, True)):
        if not name:
            continue
        # Of a perpetual the product is its ticker: index, funding and open interest.
        yield _request(endpoints.PRODUCT, market, name, Pace.LISTING, perpetual)
        if perpetual:
            yield _request(endpoints.FIGURES, market, name, Pace.QUOTE, perpetual)
        params: dict[str, str | int] = {"product_id": name, "limit": BOOK_LIMIT}
        yield _request(endpoints.PRODUCT_BOOK, market, name, Pace.QUOTE, perpetual, params)
        yield from _candle_pages(market, name, perpetual, now_ms, wanted(market, perpetual=perpetual))


def _candle_pages(market: str, name: str, perpetual: bool, now_ms: int, count: int) -> Iterator[Request]:
    """The newest page, and older ones while more is wanted than a page holds."""
    running_ms = now_ms - now_ms % HOUR_MS
    for page in range(-(-count // CANDLES_LIMIT)):
        last_ms = running_ms - page * CANDLES_LIMIT * HOUR_MS
        first_ms = last_ms - (min(CANDLES_LIMIT, count - page * CANDLES_LIMIT) - 1) * HOUR_MS
        params: dict[str, str | int] = {
            "start": first_ms // 1000,
            "end": last_ms // 1000,
            "granularity": "ONE_HOUR",
        }
        yield _request(endpoints.CANDLES, market, name, Pace.BARS, perpetual, params)


def _request(
    endpoint: Endpoint,
    market: str,
    name: str,
    pace: Pace,
    perpetual: bool,
    params: dict[str, str | int] | None = None,
) -> Request:
    return Request(
        endpoint=endpoint,
        market=market,
        instrument=name,
        path=endpoint.path.format(product_id=name),
        params=params or {},
        pace=pace,
        perpetual=perpetual,
        needs_contract=perpetual and endpoint is endpoints.PRODUCT_BOOK,
    )


COINBASE: Final = Venue(
    name="coinbase",
    endpoints=endpoints.ENDPOINTS,
    requests=requests,
    complaint=messages.complaint,
    about=messages.about,
    unread=endpoints.UNREAD,
    streams=STREAMS,
    site="https://docs.cdp.coinbase.com/advanced-trade/docs/welcome",
    budget="10 requests a second an address",
)
