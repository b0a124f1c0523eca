"""Binance: spot REST (developers.binance.com, /api/v3) and USD-margined futures (/fapi/v1, a host of its own).

Spot books carry no time, so theirs is when they were read; a frozen spot book shows by its prices only. The funding
rate is per 8 hours for the instruments watched here. Open interest comes in coins, priced at this venue's last mark.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import (
    Asked,
    Endpoint,
    Item,
    Pace,
    Request,
    Trouble,
    Venue,
    VenueTrouble,
    Wanted,
    has,
)
from margrave.errors import MargraveError, Rejected
from margrave.messages import Bar, Kind
from margrave.settings import Instruments
from margrave.verdicts import Rejection

DEPTH_LIMIT: Final = 1000
KLINES_LIMIT: Final = 1000


def parse_depth(asked: Asked, body: object) -> Iterator[Item]:
    """/depth: {"lastUpdateId", "E"?, "bids": [[price, size]], "asks"}; "E" on futures only."""
    answer = checks.mapping(body, "depth")
    checks.same_instrument(answer.get("symbol"), asked.instrument, "symbol")
    event = answer.get("E")
    venue_ms = asked.seen_ms if checks.absent(event) else checks.time_ms(event, "E")
    yield readings.book(asked, venue_ms, answer.get("bids"), answer.get("asks"))


def parse_klines(asked: Asked, body: object) -> Iterator[Item]:
    """/klines: [[open time, open, high, low, close, volume in coins, close time, ...]], ascending."""
    rows = checks.sequence(body, "klines", least=1)
    return readings.bars(asked, asked.seen_ms, rows, _kline)


def _kline(row: object) -> Bar:
    fields = checks.sequence(row, "a kline", least=6)
    return readings.bar(checks.time_ms(fields[0], "open time"), fields[1], fields[2], fields[3], fields[4], fields[5])


def parse_premium_index(asked: Asked, body: object) -> Iterator[Item]:
    """/premiumIndex of one symbol: mark and index price, last funding rate, time."""
    answer = checks.mapping(body, "premiumIndex")
    checks.same_instrument(answer.get("symbol"), asked.instrument, "symbol")
    return readings.scalars(
        asked,
        checks.time_ms(answer.get("time"), "time"),
        {
            Kind.MARK_PRICE: answer.get("markPrice"),
            Kind.INDEX_PRICE: answer.get("indexPrice"),
            Kind.FUNDING_8H: answer.get("lastFundingRate"),
        },
    )


def parse_open_interest(asked: Asked, body: object) -> Iterator[Item]:
    """/openInterest: {"openInterest": coins, "symbol", "time"}."""
    answer = checks.mapping(body, "openInterest")
    checks.same_instrument(answer.get("symbol"), asked.instrument, "symbol")
    coins = checks.size(answer.get("openInterest"), "openInterest")
    if asked.mark_price is None:
        raise Rejected(Rejection.EMPTY, f"open interest of {coins:g} coins, and no mark price yet to turn it into USD")
    venue_ms = checks.time_ms(answer.get("time"), "time")
    return readings.scalars(asked, venue_ms, {Kind.OPEN_INTEREST: coins * asked.mark_price})


SPOT_DEPTH: Final = Endpoint("depth", "/api/v3/depth", parse_depth, has("lastUpdateId", "bids", "asks"))
FUTURES_DEPTH: Final = Endpoint(
    "futures depth", "/fapi/v1/depth", parse_depth, has("lastUpdateId", "E", "bids", "asks"), perpetual=True
)
SPOT_KLINES: Final = Endpoint("klines", "/api/v3/klines", parse_klines, lambda body: _looks_like_klines(body))
FUTURES_KLINES: Final = Endpoint("futures klines", "/fapi/v1/klines", parse_klines, lambda _: False, perpetual=True)
PREMIUM_INDEX: Final = Endpoint(
    "premiumIndex", "/fapi/v1/premiumIndex", parse_premium_index, has("markPrice", "lastFundingRate"), perpetual=True
)
OPEN_INTEREST: Final = Endpoint(
    "openInterest", "/fapi/v1/openInterest", parse_open_interest, has("openInterest", "symbol", "time"), perpetual=True
)


def _looks_like_klines(body: object) -> bool:
    return isinstance(body, list) and bool(body) and all(isinstance(row, list) and len(row) == 12 for row in body)


def requests(market: str, names: Instruments, _now_ms: int, wanted: Wanted) -> Iterator[Request]:
    if names.spot:
        yield _request(SPOT_DEPTH, market, names.spot, Pace.QUOTE, limit=DEPTH_LIMIT)
        count = min(wanted(market, perpetual=False), KLINES_LIMIT)
        yield _request(SPOT_KLINES, market, names.spot, Pace.BARS, interval="1h", limit=count)
    if names.perpetual:
        yield _request(FUTURES_DEPTH, market, names.perpetual, Pace.QUOTE, limit=DEPTH_LIMIT)
        yield _request(PREMIUM_INDEX, market, names.perpetual, Pace.QUOTE)
        yield _request(OPEN_INTEREST, market, names.perpetual, Pace.QUOTE)
        count = min(wanted(market, perpetual=True), KLINES_LIMIT)
        yield _request(FUTURES_KLINES, market, names.perpetual, Pace.BARS, interval="1h", limit=count)


def _request(endpoint: Endpoint, market: str, symbol: str, pace: Pace, **params: str | int) -> Request:
    return Request(
        endpoint=endpoint,
        market=market,
        instrument=symbol,
        path=endpoint.path,
        params={"symbol": symbol, **params},
        pace=pace,
        perpetual=endpoint.perpetual,
        futures_host=endpoint.perpetual,
        needs_mark=endpoint is OPEN_INTEREST,
    )


def complaint(body: object) -> MargraveError | None:
    """Errors are {"code": -1121, "msg": "Invalid symbol."}; code 0 comes with the refusal of a restricted place."""
    if not (isinstance(body, dict) and "code" in body and "msg" in body):
        return None
    code, message = body["code"], str(body["msg"])[:120]
    if "restricted location" in message:
        return VenueTrouble(Trouble.GEO_BLOCKED, f"binance: {message}")
    if code in (-1003, -1015):
        return VenueTrouble(Trouble.RATE_LIMITED, f"binance: {code} {message}")
    if code in (-1000, -1001, -1007, -1008, -1016):
        return VenueTrouble(Trouble.MAINTENANCE, f"binance: {code} {message}")
    return Rejected(Rejection.VENUE_ERROR, f"binance: {code} {message}")


def about(body: object) -> tuple[str, bool]:
    symbol = body.get("symbol") if isinstance(body, dict) else None
    return (symbol if isinstance(symbol, str) else "", False)


BINANCE: Final = Venue(
    name="binance",
    endpoints=(FUTURES_DEPTH, SPOT_DEPTH, SPOT_KLINES, FUTURES_KLINES, PREMIUM_INDEX, OPEN_INTEREST),
    requests=requests,
    complaint=complaint,
    about=about,
)
