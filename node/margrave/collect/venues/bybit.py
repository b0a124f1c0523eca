"""Bybit v5: /v5/market/{orderbook,kline,tickers}, with category spot or linear.

Every answer is {"retCode", "retMsg", "result", "time"}; absent numbers are empty strings. Funding is per
fundingIntervalHour, 8 where the answer does not say. Open interest comes in dollars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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

BOOK_LIMIT: Final = {"spot": 200, "linear": 500}
KLINE_LIMIT: Final = 1000


def _result(body: object) -> tuple[Mapping[str, object], int]:
    answer = checks.mapping(body, "answer")
    return checks.mapping(answer.get("result"), "result"), checks.time_ms(answer.get("time"), "time")


def parse_orderbook(asked: Asked, body: object) -> Iterator[Item]:
    """/orderbook: result {"s", "b": [[price, size]], "a", "ts", "u", "seq"}."""
    result, answered_ms = _result(body)
    checks.same_instrument(result.get("s"), asked.instrument, "s")
    stamp = result.get("ts")
    venue_ms = answered_ms if checks.absent(stamp) else checks.time_ms(stamp, "ts")
    yield readings.book(asked, venue_ms, result.get("b"), result.get("a"))


def parse_kline(asked: Asked, body: object) -> Iterator[Item]:
    """/kline: result.list [[start, open, high, low, close, volume in coins, turnover]], newest first."""
    result, answered_ms = _result(body)
    checks.same_instrument(result.get("symbol"), asked.instrument, "symbol")
    rows = checks.sequence(result.get("list"), "list", least=1)
    return readings.bars(asked, answered_ms, rows, _kline)


def _kline(row: object) -> Bar:
    fields = checks.sequence(row, "a kline", least=6)
    return readings.bar(checks.time_ms(fields[0], "start"), fields[1], fields[2], fields[3], fields[4], fields[5])


def parse_tickers(asked: Asked, body: object) -> Iterator[Item]:
    """/tickers of one linear symbol: mark, index, funding, open interest value in USD."""
    result, answered_ms = _result(body)
    ticker = checks.mapping(checks.sequence(result.get("list"), "list", least=1)[0], "ticker")
    checks.same_instrument(ticker.get("symbol"), asked.instrument, "symbol")
    interval = ticker.get("fundingIntervalHour")
    hours = 8.0 if checks.absent(interval) else checks.within(interval, "fundingIntervalHour", 1, 24)
    try:
        funding = readings.scaled(ticker.get("fundingRate"), 8.0 / hours, "fundingRate")
    except Rejected as rejected:
        yield asked.refusal(Kind.FUNDING_8H.value, rejected)
        funding = None
    yield from readings.scalars(
        asked,
        answered_ms,
        {
            Kind.MARK_PRICE: ticker.get("markPrice"),
            Kind.INDEX_PRICE: ticker.get("indexPrice"),
            Kind.FUNDING_8H: funding,
            Kind.OPEN_INTEREST: ticker.get("openInterestValue"),
        },
    )


def _result_has(*keys: str) -> Callable[[object], bool]:
    inner = has(*keys)
    return lambda body: isinstance(body, dict) and inner(body.get("result"))


def _lists_klines(body: object) -> bool:
    return _first(body, list) is not None


def _lists_tickers(body: object) -> bool:
    ticker = _first(body, dict)
    return has("symbol", "markPrice", "indexPrice", "fundingRate")(ticker)


def _first(body: object, kind: type) -> object | None:
    """The first entry of result.list, where it is of that kind."""
    result = body.get("result") if isinstance(body, dict) else None
    entries = result.get("list") if isinstance(result, dict) else None
    return entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], kind) else None


ORDERBOOK: Final = Endpoint("orderbook", "/v5/market/orderbook", parse_orderbook, _result_has("s", "b", "a"))
KLINE: Final = Endpoint("kline", "/v5/market/kline", parse_kline, _lists_klines)
TICKERS: Final = Endpoint("tickers", "/v5/market/tickers", parse_tickers, _lists_tickers, perpetual=True)


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

        yield ask(ORDERBOOK, Pace.QUOTE, limit=BOOK_LIMIT[category])
        count = min(wanted(market, perpetual=perpetual), KLINE_LIMIT)
        yield ask(KLINE, Pace.BARS, interval="60", limit=count)
        if perpetual:
            yield ask(TICKERS, Pace.QUOTE)


def complaint(body: object) -> MargraveError | None:
    """retCode is 0 when all is well."""
    if not (isinstance(body, dict) and "retCode" in body) or body["retCode"] == 0:
        return None
    code, message = body["retCode"], str(body.get("retMsg"))[:120]
    if code in (10006, 10018):
        return VenueTrouble(Trouble.RATE_LIMITED, f"bybit: {code} {message}")
    if code in (10009, 10024):
        return VenueTrouble(Trouble.GEO_BLOCKED, f"bybit: {code} {message}")
    if code in (10000, 10016, 10019):
        return VenueTrouble(Trouble.MAINTENANCE, f"bybit: {code} {message}")
    return Rejected(Rejection.VENUE_ERROR, f"bybit: {code} {message}")


def about(body: object) -> tuple[str, bool]:
    result = body.get("result") if isinstance(body, dict) else None
    if not isinstance(result, dict):
        return ("", False)
    ticker = _first(body, dict)
    symbol = result.get("s") or result.get("symbol") or (ticker.get("symbol") if isinstance(ticker, dict) else None)
    return (symbol if isinstance(symbol, str) else "", result.get("category") == "linear")


def unframe(body: object) -> object:
    """Websocket snapshots of orderbook, kline and tickers, as the REST answer that says the same."""
    if not (isinstance(body, dict) and isinstance(topic := body.get("topic"), str) and body.get("type") == "snapshot"):
        return body
    data, symbol = body.get("data"), topic.rpartition(".")[2]
    if topic.startswith("orderbook."):
        result: object = data
    elif topic.startswith("tickers."):
        result = {"category": "linear", "list": [data]}
    elif topic.startswith("kline.") and isinstance(data, list):
        fields = ("start", "open", "high", "low", "close", "volume")
        result = {"symbol": symbol, "list": [[k.get(f) for f in fields] for k in data if isinstance(k, dict)]}
    else:
        return body
    return {"retCode": 0, "result": result, "time": body.get("ts")}


BYBIT: Final = Venue(
    name="bybit",
    endpoints=(ORDERBOOK, KLINE, TICKERS),
    requests=requests,
    complaint=complaint,
    about=about,
    unframe=unframe,
)
