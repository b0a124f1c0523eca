"""Kraken: spot (api.kraken.com) and futures (futures.kraken.com), REST for state, a websocket each for what moves.

`messages` and `futures` read the answers, `stream` and `futures_stream` the pushes, `legacy` those of version 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from margrave.collect.source import Endpoint, Pace, Request, Venue, Wanted
from margrave.collect.venues.kraken import endpoints as kraken
from margrave.collect.venues.kraken import messages
from margrave.collect.venues.kraken.stream import STREAMS
from margrave.settings import Instruments
from margrave.spans import HOUR_MS

DEPTH_COUNT: Final = 500


def requests(market: str, names: Instruments, now_ms: int, wanted: Wanted) -> Iterator[Request]:
    if pair := names.spot:
        yield Request(kraken.ASSET_PAIRS, market, pair, kraken.ASSET_PAIRS.path, {"pair": pair}, Pace.LISTING)
        yield Request(kraken.DEPTH, market, pair, kraken.DEPTH.path, {"pair": pair, "count": DEPTH_COUNT}, Pace.QUOTE)
        since_s = (now_ms - wanted(market, perpetual=False) * HOUR_MS) // 1000
        params: dict[str, str | int] = {"pair": pair, "interval": 60, "since": since_s}
        yield Request(kraken.OHLC, market, pair, kraken.OHLC.path, params, Pace.BARS)
    if symbol := names.perpetual:
        yield _futures(kraken.FUTURES_INSTRUMENTS, market, symbol, Pace.LISTING, {})
        yield _futures(kraken.FUTURES_TICKERS, market, symbol, Pace.QUOTE, {})
        yield _futures(kraken.FUTURES_ORDERBOOK, market, symbol, Pace.QUOTE, {"symbol": symbol})
        from_s = (now_ms - wanted(market, perpetual=True) * HOUR_MS) // 1000
        yield _futures(kraken.FUTURES_CHARTS, market, symbol, Pace.BARS, {"from": from_s, "to": now_ms // 1000})


def _futures(endpoint: Endpoint, market: str, symbol: str, pace: Pace, params: Mapping[str, str | int]) -> Request:
    return Request(
        endpoint=endpoint,
        market=market,
        instrument=symbol,
        path=endpoint.path.format(symbol=symbol, resolution="1h"),
        params=params,
        pace=pace,
        perpetual=True,
        futures_host=True,
    )


KRAKEN: Final = Venue(
    name="kraken",
    endpoints=kraken.ENDPOINTS,
    requests=requests,
    complaint=messages.complaint,
    about=messages.about,
    unread=kraken.UNREAD,
    streams=STREAMS,
    site="https://docs.kraken.com/api/",
    budget="about 1 request a second an address (spot); 500 cost units in 10 s (futures)",
)
