"""Kraken: spot (api.kraken.com, /0/public/{Depth,OHLC}) and futures (futures.kraken.com: tickers, orderbook, charts).

Spot names pairs its own way in answers (XBTUSD comes back as XXBTZUSD). Futures quote funding as dollars a coin an hour
(linear, PF_) or coins a dollar an hour (inverse, PI_): both are turned into a fraction of the index for 8 hours. Open
interest is in coins (PF_) or dollars (PI_), priced at the mark of the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import (
    HOUR_MS,
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

DEPTH_COUNT: Final = 500


def parse_depth(asked: Asked, body: object) -> Iterator[Item]:
    """/0/public/Depth: result {pair: {"asks": [[price, size, seconds]], "bids"}}; its time is the newest level's."""
    pair = _pair(asked, body)
    entry = checks.mapping(pair, "pair")
    bids, asks = entry.get("bids"), entry.get("asks")
    stamps = [
        checks.seconds_as_ms(level[2], "level time")
        for side in (bids, asks)
        if isinstance(side, list)
        for level in side
        if isinstance(level, list) and len(level) > 2
    ]
    yield readings.book(asked, max(stamps, default=asked.seen_ms), bids, asks)


def parse_ohlc(asked: Asked, body: object) -> Iterator[Item]:
    """/0/public/OHLC: result {pair: [[seconds, open, high, low, close, vwap, volume, count]], "last"}, ascending."""
    rows = checks.sequence(_pair(asked, body), "candles", least=1)
    return readings.bars(asked, asked.seen_ms, rows, _ohlc)


def _ohlc(row: object) -> Bar:
    fields = checks.sequence(row, "a candle", least=7)
    return readings.bar(checks.seconds_as_ms(fields[0], "time"), fields[1], fields[2], fields[3], fields[4], fields[6])


def _pair(asked: Asked, body: object) -> object:
    result = checks.mapping(checks.mapping(body, "answer").get("result"), "result")
    pairs = [name for name in result if name != "last"]
    if not pairs:
        raise Rejected(Rejection.EMPTY, "result names no pair")
    if asked.instrument and _plain(pairs[0]) != _plain(asked.instrument):
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"asked for {asked.instrument}, the answer is {pairs[0][:40]}")
    return result[pairs[0]]


def _plain(pair: str) -> str:
    """XXBTZUSD and XBTUSD are one pair: eight letters whose first and fifth are X or Z carry class prefixes."""
    if len(pair) == 8 and pair[0] in "XZ" and pair[4] in "XZ":
        return pair[1:4] + pair[5:]
    return pair


def parse_futures_tickers(asked: Asked, body: object) -> Iterator[Item]:
    """/tickers: all contracts; the one that was asked for, or each perpetual of a recording."""
    answer = checks.mapping(body, "answer")
    venue_ms = checks.time_ms(answer.get("serverTime"), "serverTime")
    tickers = [checks.mapping(t, "ticker") for t in checks.sequence(answer.get("tickers"), "tickers", least=1)]
    if not asked.instrument:
        for ticker in tickers:
            if ticker.get("tag") == "perpetual":
                name = checks.text(ticker.get("symbol"), "symbol")
                yield from _ticker(replace(asked, instrument=name, market=name), venue_ms, ticker)
        return
    mine = [t for t in tickers if t.get("symbol") == asked.instrument]
    if not mine:
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"{asked.instrument} is not among the {len(tickers)} tickers")
    yield from _ticker(asked, venue_ms, mine[0])


def _ticker(asked: Asked, venue_ms: int, ticker: Mapping[str, object]) -> Iterator[Item]:
    if ticker.get("suspended") is True:
        raise Rejected(Rejection.VENUE_ERROR, f"{asked.instrument} is suspended")
    mark, index = ticker.get("markPrice"), ticker.get("indexPrice")
    inverse = asked.instrument.startswith("PI_")
    values: dict[Kind, object] = {Kind.MARK_PRICE: mark, Kind.INDEX_PRICE: index}
    reference = mark if checks.absent(index) else index
    if not checks.absent(rate := ticker.get("fundingRate")) and not checks.absent(reference):
        try:
            dollars = checks.price(reference, "indexPrice")
            hourly = checks.number(rate, "fundingRate") * (dollars if inverse else 1 / dollars)
            values[Kind.FUNDING_8H] = hourly * 8
        except Rejected as rejected:
            yield asked.refusal(Kind.FUNDING_8H.value, rejected)
    if not checks.absent(interest := ticker.get("openInterest")) and (inverse or not checks.absent(mark)):
        try:
            unit_usd = 1.0 if inverse else checks.price(mark, "markPrice")
            values[Kind.OPEN_INTEREST] = checks.size(interest, "openInterest") * unit_usd
        except Rejected as rejected:
            yield asked.refusal(Kind.OPEN_INTEREST.value, rejected)
    yield from readings.scalars(asked, venue_ms, values)


def parse_futures_orderbook(asked: Asked, body: object) -> Iterator[Item]:
    """/orderbook: {"orderBook": {"asks": [[price, size in coins]], "bids"}, "serverTime"}; linear contracts only."""
    answer = checks.mapping(body, "answer")
    entry = checks.mapping(answer.get("orderBook"), "orderBook")
    venue_ms = checks.time_ms(answer.get("serverTime"), "serverTime")
    inverse = asked.instrument.startswith("PI_")
    yield readings.book(asked, venue_ms, entry.get("bids"), entry.get("asks"), sizes_in_usd=inverse)


def parse_futures_charts(asked: Asked, body: object) -> Iterator[Item]:
    """/charts/v1/trade: {"candles": [{"time", "open", "high", "low", "close", "volume"}]}, ascending."""
    rows = checks.sequence(checks.mapping(body, "answer").get("candles"), "candles", least=1)
    return readings.bars(asked, asked.seen_ms, rows, _chart)


def _chart(row: object) -> Bar:
    c = checks.mapping(row, "a candle")
    time_ms = checks.time_ms(c.get("time"), "time")
    return readings.bar(time_ms, c.get("open"), c.get("high"), c.get("low"), c.get("close"), c.get("volume"))


def _result_holds(kind: type) -> Callable[[object], bool]:
    """Spot answers: a result whose first pair is a book (object) or candles (list)."""

    def fits(body: object) -> bool:
        result = body.get("result") if isinstance(body, dict) else None
        if not isinstance(result, dict) or not result:
            return False
        first = next(iter(result.values()))
        if kind is dict:
            return has("asks", "bids")(first)
        return (
            isinstance(first, list)
            and bool(first)
            and isinstance(first[0], list)
            and len(first[0]) == 8
            and (isinstance(first[0][0], int))
        )

    return fits


DEPTH: Final = Endpoint("Depth", "/0/public/Depth", parse_depth, _result_holds(dict))
OHLC: Final = Endpoint("OHLC", "/0/public/OHLC", parse_ohlc, _result_holds(list))
FUTURES_TICKERS: Final = Endpoint(
    "futures tickers", "/derivatives/api/v3/tickers", parse_futures_tickers, has("tickers"), perpetual=True
)
FUTURES_ORDERBOOK: Final = Endpoint(
    "futures orderbook", "/derivatives/api/v3/orderbook", parse_futures_orderbook, has("orderBook"), perpetual=True
)
FUTURES_CHARTS: Final = Endpoint(
    "futures charts", "/api/charts/v1/trade/{symbol}/1h", parse_futures_charts, has("candles"), perpetual=True
)


def requests(market: str, names: Instruments, now_ms: int, wanted: Wanted) -> Iterator[Request]:
    if pair := names.spot:
        yield Request(DEPTH, market, pair, DEPTH.path, {"pair": pair, "count": DEPTH_COUNT}, Pace.QUOTE)
        since_s = (now_ms - wanted(market, perpetual=False) * HOUR_MS) // 1000
        yield Request(OHLC, market, pair, OHLC.path, {"pair": pair, "interval": 60, "since": since_s}, Pace.BARS)
    if symbol := names.perpetual:
        yield _futures(FUTURES_TICKERS, market, symbol, Pace.QUOTE, {})
        yield _futures(FUTURES_ORDERBOOK, market, symbol, Pace.QUOTE, {"symbol": symbol})
        from_s = (now_ms - wanted(market, perpetual=True) * HOUR_MS) // 1000
        yield _futures(FUTURES_CHARTS, market, symbol, Pace.BARS, {"from": from_s, "to": now_ms // 1000})


def _futures(endpoint: Endpoint, market: str, symbol: str, pace: Pace, params: Mapping[str, str | int]) -> Request:
    return Request(
        endpoint=endpoint,
        market=market,
        instrument=symbol,
        path=endpoint.path.format(symbol=symbol),
        params=params,
        pace=pace,
        perpetual=True,
        futures_host=True,
    )


def complaint(body: object) -> MargraveError | None:
    """Spot: a list of "EGeneral:..." strings; futures: {"result": "error", "error": "..."}."""
    if not isinstance(body, dict) or not (errors := body.get("error") or body.get("errors")):
        return None
    message = str(errors[0] if isinstance(errors, list) else errors)[:120]
    if "Rate limit" in message or "Too many requests" in message or message == "apiLimitExceeded":
        return VenueTrouble(Trouble.RATE_LIMITED, f"kraken: {message}")
    if message.startswith("EService") or message in ("Unavailable", "marketUnavailable"):
        return VenueTrouble(Trouble.MAINTENANCE, f"kraken: {message}")
    return Rejected(Rejection.VENUE_ERROR, f"kraken: {message}")


def about(body: object) -> tuple[str, bool]:
    result = body.get("result") if isinstance(body, dict) else None
    pair = next((name for name in result if name != "last"), "") if isinstance(result, dict) else ""
    return (_plain(pair), False)


KRAKEN: Final = Venue(
    name="kraken",
    endpoints=(DEPTH, OHLC, FUTURES_TICKERS, FUTURES_ORDERBOOK, FUTURES_CHARTS),
    requests=requests,
    complaint=complaint,
    about=about,
)
