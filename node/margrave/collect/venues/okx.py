"""OKX v5: /api/v5/market/{books,candles} and /api/v5/public/{funding-rate,open-interest,mark-price}.

Every answer is {"code": "0", "msg", "data": [...]}, all numbers are strings. Sizes of swap books are contracts. Funding
is per the time between this settlement and the next; open interest is in dollars in newer answers, in coins in older.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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

BOOK_LEVELS: Final = 400
CANDLES_LIMIT: Final = 300
COINS_A_CONTRACT: Final[Mapping[str, float]] = {"BTC-USDT-SWAP": 0.01, "ETH-USDT-SWAP": 0.1, "SOL-USDT-SWAP": 1.0}
"""ctVal of /public/instruments. A swap that is not here is refused, because its sizes would be guesses."""


def _data(body: object, *, least: int = 1) -> Sequence[object]:
    return checks.sequence(checks.mapping(body, "answer").get("data"), "data", least=least)


def _only(asked: Asked, body: object) -> Mapping[str, object]:
    entry = checks.mapping(_data(body)[0], "data[0]")
    checks.same_instrument(entry.get("instId"), asked.instrument, "instId")
    return entry


def parse_books(asked: Asked, body: object) -> Iterator[Item]:
    """/market/books: data[0] {"asks": [[price, size, "0", orders]], "bids", "ts"}; swaps count contracts."""
    entry = _only(asked, body)
    spot = asked.instrument.count("-") < 2
    if not spot and asked.instrument not in COINS_A_CONTRACT:
        problem = f"contract size of {asked.instrument} is not known"
        raise Rejected(Rejection.WRONG_INSTRUMENT, problem, advice="add it to COINS_A_CONTRACT")
    unit = 1.0 if spot else COINS_A_CONTRACT[asked.instrument]
    venue_ms = checks.time_ms(entry.get("ts"), "ts")
    yield readings.book(asked, venue_ms, entry.get("bids"), entry.get("asks"), unit_coins=unit)


def parse_candles(asked: Asked, body: object) -> Iterator[Item]:
    """/market/candles: [[ts, open, high, low, close, vol, volCcy (coins), volCcyQuote, confirm]], newest first."""
    rows = _data(body)
    return readings.bars(asked, asked.seen_ms, rows, lambda row: _candle(row, asked.perpetual))


def _candle(row: object, perpetual: bool) -> Bar:
    fields = checks.sequence(row, "a candle", least=7)
    volume = fields[6] if perpetual else fields[5]
    return readings.bar(checks.time_ms(fields[0], "ts"), fields[1], fields[2], fields[3], fields[4], volume)


def parse_funding_rate(asked: Asked, body: object) -> Iterator[Item]:
    """/public/funding-rate: the rate of the period that ends at fundingTime, scaled to 8 hours."""
    entry = _only(asked, body)
    ends, following = entry.get("fundingTime"), entry.get("nextFundingTime")
    hours = 8.0
    if not checks.absent(ends) and not checks.absent(following):
        between_ms = checks.time_ms(following, "nextFundingTime") - checks.time_ms(ends, "fundingTime")
        hours = checks.within(between_ms / HOUR_MS, "hours between funding times", 0.9, 24.1)
    stamp = entry.get("ts")
    venue_ms = asked.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "ts")
    rate = readings.scaled(entry.get("fundingRate"), 8.0 / hours, "fundingRate")
    return readings.scalars(asked, venue_ms, {Kind.FUNDING_8H: rate})


def parse_open_interest(asked: Asked, body: object) -> Iterator[Item]:
    """/public/open-interest: {"oi" (contracts), "oiCcy" (coins), "oiUsd"?, "ts"}."""
    entry = _only(asked, body)
    usd = entry.get("oiUsd")
    if checks.absent(usd):
        coins = checks.size(entry.get("oiCcy"), "oiCcy")
        if asked.mark_price is None:
            raise Rejected(Rejection.EMPTY, f"open interest of {coins:g} coins, and no mark price yet to value it")
        usd = coins * asked.mark_price
    return readings.scalars(asked, checks.time_ms(entry.get("ts"), "ts"), {Kind.OPEN_INTEREST: usd})


def parse_mark_price(asked: Asked, body: object) -> Iterator[Item]:
    """/public/mark-price: {"instId", "markPx", "ts"}."""
    entry = _only(asked, body)
    return readings.scalars(asked, checks.time_ms(entry.get("ts"), "ts"), {Kind.MARK_PRICE: entry.get("markPx")})


def _entry_has(*keys: str) -> Callable[[object], bool]:
    inner = has(*keys)

    def fits(body: object) -> bool:
        data = body.get("data") if isinstance(body, dict) else None
        return isinstance(data, list) and bool(data) and inner(data[0])

    return fits


def _lists_candles(body: object) -> bool:
    data = body.get("data") if isinstance(body, dict) else None
    return isinstance(data, list) and bool(data) and all(isinstance(row, list) and len(row) == 9 for row in data)


BOOKS: Final = Endpoint("books", "/api/v5/market/books", parse_books, _entry_has("asks", "bids", "ts"))
CANDLES: Final = Endpoint("candles", "/api/v5/market/candles", parse_candles, _lists_candles)
FUNDING_RATE: Final = Endpoint(
    "funding-rate",
    "/api/v5/public/funding-rate",
    parse_funding_rate,
    _entry_has("fundingRate", "nextFundingTime"),
    perpetual=True,
)
OPEN_INTEREST: Final = Endpoint(
    "open-interest", "/api/v5/public/open-interest", parse_open_interest, _entry_has("oi", "oiCcy"), perpetual=True
)
MARK_PRICE: Final = Endpoint(
    "mark-price", "/api/v5/public/mark-price", parse_mark_price, _entry_has("markPx"), perpetual=True
)


def requests(market: str, names: Instruments, now_ms: int, wanted: Wanted) -> Iterator[Request]:
    for name, perpetual in ((names.spot, False), (names.perpetual, True)):
        if not name:
            continue
        yield _request(BOOKS, market, name, Pace.QUOTE, perpetual, sz=BOOK_LEVELS)
        yield from _candle_pages(market, name, perpetual, now_ms, wanted(market, perpetual=perpetual))
    if names.perpetual:
        yield _request(MARK_PRICE, market, names.perpetual, Pace.QUOTE, True, instType="SWAP")
        yield _request(FUNDING_RATE, market, names.perpetual, Pace.QUOTE, True)
        yield _request(OPEN_INTEREST, market, names.perpetual, Pace.QUOTE, True, instType="SWAP")


def _candle_pages(market: str, name: str, perpetual: bool, now_ms: int, count: int) -> Iterator[Request]:
    """The newest page, and older ones while more is wanted than a page holds."""
    newest = min(count, CANDLES_LIMIT)
    yield _request(CANDLES, market, name, Pace.BARS, perpetual, bar="1H", limit=newest)
    running_ms = now_ms - now_ms % HOUR_MS
    for page in range(1, -(-count // CANDLES_LIMIT)):
        before_ms = running_ms - (page * CANDLES_LIMIT - 1) * HOUR_MS
        yield _request(CANDLES, market, name, Pace.BARS, perpetual, bar="1H", limit=CANDLES_LIMIT, after=before_ms)


def _request(endpoint: Endpoint, market: str, name: str, pace: Pace, perpetual: bool, **params: str | int) -> Request:
    return Request(
        endpoint=endpoint,
        market=market,
        instrument=name,
        path=endpoint.path,
        params={"instId": name, **params},
        pace=pace,
        perpetual=perpetual,
        needs_mark=endpoint is OPEN_INTEREST,
    )


def complaint(body: object) -> MargraveError | None:
    """code is "0" when all is well; websocket answers of the error event look the same."""
    if not (isinstance(body, dict) and "code" in body) or str(body["code"]) == "0":
        return None
    code, message = str(body["code"]), str(body.get("msg"))[:120]
    if code in ("50011", "50013", "50061"):
        return VenueTrouble(Trouble.RATE_LIMITED, f"okx: {code} {message}")
    if code in ("50001", "50026", "50004"):
        return VenueTrouble(Trouble.MAINTENANCE, f"okx: {code} {message}")
    return Rejected(Rejection.VENUE_ERROR, f"okx: {code} {message}")


def about(body: object) -> tuple[str, bool]:
    if not isinstance(body, dict):
        return ("", False)
    data, arg = body.get("data"), body.get("arg")
    entry = data[0] if isinstance(data, list) and data else None
    named = entry if isinstance(entry, dict) and "instId" in entry else arg
    name = named.get("instId") if isinstance(named, dict) else None
    name = name if isinstance(name, str) else ""
    return (name, name.endswith("-SWAP"))


def unframe(body: object) -> object:
    """Websocket pushes carry the REST data under "arg"; a book's update is a difference, not a book."""
    return {} if isinstance(body, dict) and "arg" in body and body.get("action") == "update" else body


OKX: Final = Venue(
    name="okx",
    endpoints=(BOOKS, CANDLES, FUNDING_RATE, OPEN_INTEREST, MARK_PRICE),
    requests=requests,
    complaint=complaint,
    about=about,
    unframe=unframe,
)
