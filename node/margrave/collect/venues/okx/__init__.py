"""OKX: REST (/api/v5) for state and candles, one public websocket for books, trades and liquidations.

`messages` reads the answers, `stream` the pushes. Sizes of swaps are contracts whose size the `instruments` answer
tells; until it was read, those of the usual swaps are taken as they have long been.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from margrave.collect.source import Endpoint, Pace, Request, Venue, Wanted
from margrave.collect.venues.okx import endpoints as okx
from margrave.collect.venues.okx import messages
from margrave.collect.venues.okx.stream import STREAMS
from margrave.settings import Instruments
from margrave.spans import HOUR_MS

BOOK_LEVELS: Final = 400
CANDLES_LIMIT: Final = 300


def requests(market: str, names: Instruments, now_ms: int, wanted: Wanted) -> Iterator[Request]:
    for name, perpetual in ((names.spot, False), (names.perpetual, True)):
        if not name:
            continue
        yield _request(okx.INSTRUMENTS, market, name, Pace.LISTING, perpetual, instType="SWAP" if perpetual else "SPOT")
        yield _request(okx.BOOKS, market, name, Pace.QUOTE, perpetual, sz=BOOK_LEVELS)
        yield from _candle_pages(market, name, perpetual, now_ms, wanted(market, perpetual=perpetual))
    if swap := names.perpetual:
        yield _request(okx.MARK_PRICE, market, swap, Pace.QUOTE, True, instType="SWAP")
        yield _request(okx.INDEX_TICKERS, market, swap.removesuffix("-SWAP"), Pace.QUOTE, True)
        yield _request(okx.FUNDING_RATE, market, swap, Pace.QUOTE, True)
        yield _request(okx.OPEN_INTEREST, market, swap, Pace.QUOTE, True, instType="SWAP")
        yield _request(okx.LONG_SHORT, market, swap, Pace.BARS, True, period="5m", limit=1)
    if family := names.options:
        yield _family(okx.OPTION_SUMMARY, market, family, {"instFamily": family})
        yield _family(okx.OPEN_INTEREST, market, family, {"instFamily": family, "instType": "OPTION"})


def _candle_pages(market: str, name: str, perpetual: bool, now_ms: int, count: int) -> Iterator[Request]:
    """The newest page, and older ones while more is wanted than a page holds."""
    newest = min(count, CANDLES_LIMIT)
    yield _request(okx.CANDLES, market, name, Pace.BARS, perpetual, bar="1H", limit=newest)
    running_ms = now_ms - now_ms % HOUR_MS
    for page in range(1, -(-count // CANDLES_LIMIT)):
        before_ms = running_ms - (page * CANDLES_LIMIT - 1) * HOUR_MS
        yield _request(okx.CANDLES, market, name, Pace.BARS, perpetual, bar="1H", limit=CANDLES_LIMIT, after=before_ms)


def _request(endpoint: Endpoint, market: str, name: str, pace: Pace, perpetual: bool, **params: str | int) -> Request:
    return Request(
        endpoint=endpoint,
        market=market,
        instrument=name,
        path=endpoint.path,
        params={"instId": name, **params},
        pace=pace,
        perpetual=perpetual,
        needs_mark=endpoint is okx.OPEN_INTEREST,
        needs_contract=endpoint is okx.BOOKS and perpetual and name not in messages.COINS_A_CONTRACT,
    )


def _family(endpoint: Endpoint, market: str, family: str, params: dict[str, str | int]) -> Request:
    needs_mark = endpoint is okx.OPEN_INTEREST
    return Request(endpoint, market, family, endpoint.path, params, Pace.CHAIN, needs_mark=needs_mark)


OKX: Final = Venue(
    name="okx",
    endpoints=okx.ENDPOINTS,
    requests=requests,
    complaint=messages.complaint,
    about=messages.about,
    unread=okx.UNREAD,
    streams=STREAMS,
    site="https://www.okx.com/docs-v5/en/",
    budget="per endpoint and address, 5 to 40 requests in 2 s",
)
