"""Deribit v2 (docs.deribit.com), JSON-RPC over GET and websocket: the options themselves, and what they are written on.

`names` reads instruments' names, `messages` answers, `stream` the websocket; `endpoints` is the table of what may be
asked, and this page is what is asked live. No key is needed. The whole option chain is one call.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from margrave.collect.source import Endpoint, Pace, Request, Venue, Wanted
from margrave.collect.venues.deribit import endpoints, messages
from margrave.collect.venues.deribit.names import kind_of, option_terms
from margrave.collect.venues.deribit.stream import STREAM
from margrave.messages import ContractKind
from margrave.settings import Instruments
from margrave.spans import HOUR_MS

__all__ = ["DERIBIT", "option_terms"]

BOOK_DEPTH: Final = 1000


def requests(market: str, names: Instruments, now_ms: int, wanted: Wanted) -> Iterator[Request]:
    if names.index:
        yield _request(endpoints.INDEX_PRICE, market, names.index, Pace.QUOTE, index_name=names.index)
    if name := names.perpetual:
        yield _request(endpoints.ORDER_BOOK, market, name, Pace.QUOTE, instrument_name=name, depth=BOOK_DEPTH)
        first_ms = now_ms - wanted(market, perpetual=True) * HOUR_MS
        span = {"start_timestamp": first_ms, "end_timestamp": now_ms}
        yield _request(endpoints.CHART_DATA, market, name, Pace.BARS, instrument_name=name, resolution="60", **span)
    if names.options:
        yield _request(endpoints.BOOK_SUMMARY, market, names.options, Pace.CHAIN, currency=names.options, kind="option")
    if names.vol_index:
        span = {"start_timestamp": now_ms - 3 * HOUR_MS, "end_timestamp": now_ms}
        yield _request(
            endpoints.VOLATILITY_INDEX,
            market,
            names.vol_index,
            Pace.CHAIN,
            currency=names.vol_index,
            resolution="3600",
            **span,
        )


def _request(endpoint: Endpoint, market: str, name: str, pace: Pace, **params: str | int) -> Request:
    return Request(endpoint, market, name, endpoint.path, params, pace, perpetual=endpoint.perpetual)


def about(body: object) -> tuple[str, bool]:
    result = body["result"] if isinstance(body, dict) and "result" in body else body
    if isinstance(result, list):
        first = result[0] if result else None
        name = first.get("base_currency") if isinstance(first, dict) else None
    else:
        name = result.get("instrument_name") if isinstance(result, dict) else None
    return (name, kind_of(name) is ContractKind.PERPETUAL) if isinstance(name, str) else ("", False)


DERIBIT: Final = Venue(
    name="deribit",
    endpoints=endpoints.ENDPOINTS,
    requests=requests,
    complaint=messages.complaint,
    about=about,
    unread=endpoints.UNREAD,
    streams=(STREAM,),
    site="https://docs.deribit.com",
    budget="50,000 credits, refilled by 10,000 a second; most methods take 500",
)
