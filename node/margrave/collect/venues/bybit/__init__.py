"""Bybit v5: REST (/v5/market) for state and candles, one public websocket each for spot and linear contracts.

`messages` and `options` read the answers, `stream` the pushes, `legacy` what was recorded before v5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from margrave.collect.source import Endpoint, Pace, Request, Venue, Wanted
from margrave.collect.venues.bybit import endpoints as bybit
from margrave.collect.venues.bybit import messages
from margrave.collect.venues.bybit.stream import STREAMS
from margrave.settings import Instruments

BOOK_LIMIT: Final = {"spot": 200, "linear": 500}
KLINE_LIMIT: Final = 1000


def requests(market: str, names: Instruments, _now_ms: int, wanted: Wanted) -> Iterator[Request]:
    for category, symbol in (("spot", names.spot), ("linear", names.perpetual)):
        if not symbol:
            continue
        perpetual = category == "linear"

        def ask(
            endpoint: Endpoint, pace: Pace, *, symbol: str = symbol, category: str = category, **params: str | int
        ) -> Request:
            return Request(
                endpoint=endpoint,
                market=market,
                instrument=symbol,
                path=endpoint.path,
                params={"category": category, "symbol": symbol, **params},
                pace=pace,
                perpetual=category == "linear",
            )

        yield ask(bybit.INSTRUMENTS, Pace.LISTING)
        yield ask(bybit.ORDERBOOK, Pace.QUOTE, limit=BOOK_LIMIT[category])
        count = min(wanted(market, perpetual=perpetual), KLINE_LIMIT)
        yield ask(bybit.KLINE, Pace.BARS, interval="60", limit=count)
        if perpetual:
            yield ask(bybit.TICKERS, Pace.QUOTE)
            yield ask(bybit.ACCOUNT_RATIO, Pace.BARS, period="5min", limit=1)
    if coin := names.options:
        params: dict[str, str | int] = {"category": "option", "baseCoin": coin}
        yield Request(bybit.OPTION_TICKERS, market, coin, bybit.OPTION_TICKERS.path, params, Pace.CHAIN)


BYBIT: Final = Venue(
    name="bybit",
    endpoints=bybit.ENDPOINTS,
    requests=requests,
    complaint=messages.complaint,
    about=messages.about,
    unread=bybit.UNREAD,
    streams=STREAMS,
    site="https://bybit-exchange.github.io/docs/v5/intro",
    budget="600 requests in 5 s an address, over all of /v5",
)
