"""Binance (developers.binance.com): spot, USD-margined and coin-margined futures, and options, each on a host of its
own.

`messages` reads market data, `listing` exchangeInfo, `options` the option chain, `stream` the websockets; `endpoints`
is the table of what may be asked, and this page is what is asked live. A perpetual named like BTCUSD_PERP is
coin-margined: its `futures_url` is dapi.binance.com, and nothing of it is read before exchangeInfo has said what a
contract is worth. Options are asked where the operator names `options_url` (eapi.binance.com) and markets.toml the
underlying.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from margrave.collect.source import Endpoint, Pace, Request, Venue, Wanted
from margrave.collect.venues.binance import endpoints, messages
from margrave.collect.venues.binance.stream import STREAMS
from margrave.settings import Instruments

__all__ = ["BINANCE"]

DEPTH_LIMIT: Final = 1000
KLINES_LIMIT: Final = 1000


def requests(market: str, names: Instruments, _now_ms: int, wanted: Wanted) -> Iterator[Request]:
    if names.spot:
        yield _request(endpoints.SPOT_DEPTH, market, names.spot, Pace.QUOTE, limit=DEPTH_LIMIT)
        count = min(wanted(market, perpetual=False), KLINES_LIMIT)
        yield _request(endpoints.SPOT_KLINES, market, names.spot, Pace.BARS, interval="1h", limit=count)
    if names.perpetual:
        bars = min(wanted(market, perpetual=True), KLINES_LIMIT)
        family = _coin_margined if messages.is_coin_margined(names.perpetual) else _usd_margined
        yield from family(market, names.perpetual, bars)
    if names.options:
        # All underlyings come in one answer; the parser takes the one that is named.
        yield Request(
            endpoints.OPTION_MARK, market, names.options, endpoints.OPTION_MARK.path, {}, Pace.CHAIN, options_host=True
        )


def _usd_margined(market: str, symbol: str, bars: int) -> Iterator[Request]:
    yield _request(endpoints.FUTURES_DEPTH, market, symbol, Pace.QUOTE, limit=DEPTH_LIMIT)
    yield _request(endpoints.PREMIUM_INDEX, market, symbol, Pace.QUOTE)
    yield _request(endpoints.OPEN_INTEREST, market, symbol, Pace.QUOTE, needs_mark=True)
    yield _request(endpoints.FUTURES_KLINES, market, symbol, Pace.BARS, interval="1h", limit=bars)
    yield _request(endpoints.LONG_SHORT, market, symbol, Pace.BARS, period="5m", limit=1)


def _coin_margined(market: str, symbol: str, bars: int) -> Iterator[Request]:
    info = endpoints.COIN_EXCHANGE_INFO
    yield Request(info, market, symbol, info.path, {}, Pace.LISTING, perpetual=True, futures_host=True)
    yield _request(endpoints.COIN_DEPTH, market, symbol, Pace.QUOTE, needs_contract=True, limit=DEPTH_LIMIT)
    yield _request(endpoints.COIN_PREMIUM_INDEX, market, symbol, Pace.QUOTE)
    yield _request(endpoints.COIN_OPEN_INTEREST, market, symbol, Pace.QUOTE, needs_contract=True)
    yield _request(endpoints.COIN_KLINES, market, symbol, Pace.BARS, interval="1h", limit=bars)


def _request(
    endpoint: Endpoint,
    market: str,
    symbol: str,
    pace: Pace,
    *,
    needs_mark: bool = False,
    needs_contract: bool = False,
    **params: str | int,
) -> Request:
    return Request(
        endpoint=endpoint,
        market=market,
        instrument=symbol,
        path=endpoint.path,
        params={"symbol": symbol, **params},
        pace=pace,
        perpetual=endpoint.perpetual,
        futures_host=endpoint.perpetual,
        needs_mark=needs_mark,
        needs_contract=needs_contract,
    )


BINANCE: Final = Venue(
    name="binance",
    endpoints=endpoints.ENDPOINTS,
    requests=requests,
    complaint=messages.complaint,
    about=messages.about,
    unframe=messages.unframe,
    unread=endpoints.UNREAD,
    streams=STREAMS,
    site="https://developers.binance.com",
    budget="weight a minute and address: spot 6,000, USD-margined and coin-margined futures 2,400 each, options 400",
)
