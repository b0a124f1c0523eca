"""Deribit v2, JSON-RPC over GET: index, perpetual book with its ticker fields, option chain, DVOL, candles.

The whole chain is one call (get_book_summary_by_currency). Inverse options are quoted in coins, and coins a coin are a
fraction of the forward: 1 BTC of premium buys 1 BTC of payoff at `underlying_price`, so bid and ask need no conversion.
Linear options (quoted in USDC) are divided by the forward. Implied volatilities come in percent, 0 and 999 mean none.
Times: creation_timestamp of the newest row (chain), timestamp (book), usOut of the envelope (index).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
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
from margrave.messages import Bar, Kind, OptionQuote
from margrave.settings import Instruments
from margrave.verdicts import Rejection

PUBLIC: Final = "/api/v2/public/"
BOOK_DEPTH: Final = 1000
NO_IV_PERCENT: Final = 999.0
EXPIRY_HOUR_UTC: Final = 8
MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def _envelope(body: object) -> tuple[object, Mapping[str, object]]:
    answer = checks.mapping(body, "answer")
    if "result" not in answer:
        raise Rejected(Rejection.MALFORMED, "the answer has no result")
    return answer["result"], answer


def _answered_ms(asked: Asked, envelope: Mapping[str, object]) -> int:
    """usOut, in microseconds; recordings of other tools may lack it."""
    out = envelope.get("usOut")
    return asked.seen_ms if checks.absent(out) else checks.time_ms(checks.number(out, "usOut") / 1000, "usOut")


def parse_index_price(asked: Asked, body: object) -> Iterator[Item]:
    """get_index_price: {"index_price", "estimated_delivery_price"}."""
    result, envelope = _envelope(body)
    value = checks.mapping(result, "result").get("index_price")
    return readings.scalars(asked, _answered_ms(asked, envelope), {Kind.INDEX_PRICE: value})


def parse_order_book(asked: Asked, body: object) -> Iterator[Item]:
    """get_order_book: levels in USD, and all that ticker says (the same fields); of an option, a chain of one."""
    result = checks.mapping(_envelope(body)[0], "result")
    checks.same_instrument(result.get("instrument_name"), asked.instrument, "instrument_name")
    if (state := result.get("state", "open")) != "open":
        raise Rejected(Rejection.VENUE_ERROR, f"{asked.instrument} is {str(state)[:20]}")
    venue_ms = checks.time_ms(result.get("timestamp"), "timestamp")
    if "mark_iv" in result:
        yield from _option_ticker(asked, result, venue_ms)
        return
    if "bids" in result or "asks" in result:
        try:
            yield readings.book(asked, venue_ms, result.get("bids"), result.get("asks"), sizes_in_usd=True)
        except Rejected as rejected:
            yield asked.refusal("book", rejected)
    yield from readings.scalars(
        asked,
        venue_ms,
        {
            Kind.MARK_PRICE: result.get("mark_price"),
            Kind.INDEX_PRICE: result.get("index_price"),
            Kind.FUNDING_8H: result.get("funding_8h"),
            Kind.OPEN_INTEREST: result.get("open_interest"),
        },
    )


def _option_ticker(asked: Asked, result: Mapping[str, object], venue_ms: int) -> Iterator[Item]:
    """The same answer about an option, as a chain of one."""
    row = {**result, "bid_price": result.get("best_bid_price"), "ask_price": result.get("best_ask_price")}
    any_currency = replace(asked, instrument="")
    return readings.chain(asked, venue_ms, [row], lambda r: _quote(any_currency, r, venue_ms))


def parse_book_summary(asked: Asked, body: object) -> Iterator[Item]:
    """get_book_summary_by_currency of kind option: one row an instrument."""
    result, _ = _envelope(body)
    rows = [checks.mapping(row, "a row") for row in checks.sequence(result, "result", least=1)]
    stamps = [checks.time_ms(row.get("creation_timestamp"), "creation_timestamp") for row in rows]
    venue_ms = max(stamps)
    return readings.chain(asked, venue_ms, rows, lambda row: _quote(asked, row, venue_ms))


def _quote(asked: Asked, row: Mapping[str, object], as_of_ms: int) -> OptionQuote:
    name = checks.text(row.get("instrument_name"), "instrument_name")
    expiry_ms, strike, is_call = option_terms(name)
    currency = row.get("base_currency", name.partition("-")[0])
    if asked.instrument and currency != asked.instrument:
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"asked for {asked.instrument}, {name} is in the answer")
    if expiry_ms <= as_of_ms:
        raise Rejected(Rejection.STALE, f"{name} has expired")
    forward = checks.price(row.get("underlying_price"), f"underlying_price of {name}")
    unit = forward if row.get("quote_currency", currency) in ("USDC", "USDT", "USD") else 1.0
    bid, ask = _premium(row.get("bid_price"), unit, name), _premium(row.get("ask_price"), unit, name)
    if bid is not None and ask is not None and bid > ask:
        raise Rejected(Rejection.CROSSED_BOOK, f"{name}: bid {bid:g} above ask {ask:g}")
    interest = row.get("open_interest")
    return OptionQuote(
        expiry_ms=expiry_ms,
        strike=strike,
        is_call=is_call,
        forward=forward,
        bid=bid,
        ask=ask,
        mark_iv=_volatility(row.get("mark_iv"), name),
        open_interest=0.0 if checks.absent(interest) else checks.size(interest, f"open_interest of {name}"),
    )


def _premium(value: object, unit: float, name: str) -> float | None:
    """A price as a fraction of the forward; zero and null mean that nobody quotes."""
    if checks.absent(value) or (premium := checks.number(value, f"price of {name}")) == 0:
        return None
    if premium < 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"price of {name} = {premium:g}")
    # A put is worth at most its strike: tens of forwards for the far strikes that are listed.
    return checks.within(premium / unit, f"price of {name} over its forward", 0.0, 100.0)


def _volatility(percent: object, name: str) -> float | None:
    if checks.absent(percent):
        return None
    value = checks.number(percent, f"mark_iv of {name}")
    return value / 100 if 0 < value < NO_IV_PERCENT else None


@lru_cache(maxsize=8192)
def option_terms(name: str) -> tuple[int, float, bool]:
    """Expiry (08:00 UTC) in ms, strike and call or put of BTC-9SEP26-73000-P or XRP_USDC-9SEP26-0d55-C."""
    parts = name.split("-")
    if len(parts) != 4 or parts[3] not in ("C", "P") or not 6 <= len(parts[1]) <= 7:
        raise Rejected(Rejection.MALFORMED, f"{name[:40]!r} is not an option's name")
    day, month, year = parts[1][:-5], parts[1][-5:-2], parts[1][-2:]
    if month not in MONTHS or not (day + year).isascii() or not (day + year).isdigit():
        raise Rejected(Rejection.MALFORMED, f"{name[:40]!r} does not name a date")
    try:
        expiry = datetime(2000 + int(year), MONTHS.index(month) + 1, int(day), EXPIRY_HOUR_UTC, tzinfo=UTC)
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{name[:40]!r} names a day that is not in the calendar") from None
    return (
        int(expiry.timestamp()) * 1000,
        checks.price(parts[2].replace("d", "."), f"strike of {name}"),
        parts[3] == "C",
    )


def parse_volatility_index(asked: Asked, body: object) -> Iterator[Item]:
    """get_volatility_index_data: {"data": [[ms, open, high, low, close]], ...} in percent; the last close counts.

    The candle's own time says when it began; it is running until the next one opens.
    """
    result, envelope = _envelope(body)
    rows = checks.sequence(checks.mapping(result, "result").get("data"), "data", least=1)
    last = max((checks.sequence(row, "a candle", least=5) for row in rows), key=lambda c: checks.number(c[0], "time"))
    began_ms = checks.time_ms(last[0], "candle time")
    venue_ms = min(_answered_ms(asked, envelope), began_ms + HOUR_MS)
    return readings.scalars(asked, venue_ms, {Kind.VOL_INDEX: checks.number(last[4], "close") / 100})


def parse_chart_data(asked: Asked, body: object) -> Iterator[Item]:
    """get_tradingview_chart_data: parallel lists ticks, open, high, low, close, volume (coins)."""
    result, envelope = _envelope(body)
    data = checks.mapping(result, "result")
    if (status := data.get("status", "ok")) != "ok":
        raise Rejected(Rejection.EMPTY, f"chart status is {str(status)[:20]}")
    columns = [checks.sequence(data.get(key), key) for key in ("ticks", "open", "high", "low", "close", "volume")]
    if len({len(column) for column in columns}) != 1:
        raise Rejected(Rejection.MALFORMED, f"chart lists have lengths {[len(column) for column in columns]}")
    rows = zip(*columns, strict=True)
    return readings.bars(asked, _answered_ms(asked, envelope), rows, _tick)


def _tick(row: tuple[object, ...]) -> Bar:
    return readings.bar(checks.time_ms(row[0], "ticks"), row[1], row[2], row[3], row[4], row[5])


def _result_fits(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda body: isinstance(body, dict) and fits(body.get("result"))


def _lists_options(result: object) -> bool:
    return (
        isinstance(result, list) and bool(result) and has("instrument_name", "mark_iv", "creation_timestamp")(result[0])
    )


INDEX_PRICE: Final = Endpoint(
    "get_index_price",
    PUBLIC + "get_index_price",
    parse_index_price,
    _result_fits(lambda r: has("index_price", "estimated_delivery_price")(r) and not has("instrument_name")(r)),
)
ORDER_BOOK: Final = Endpoint(
    "get_order_book",
    PUBLIC + "get_order_book",
    parse_order_book,
    _result_fits(lambda r: has("mark_price", "timestamp")(r) and (has("funding_8h")(r) or has("mark_iv")(r))),
    perpetual=True,
)
TICKER: Final = Endpoint("ticker", PUBLIC + "ticker", parse_order_book, lambda _: False, perpetual=True)
BOOK_SUMMARY: Final = Endpoint(
    "get_book_summary_by_currency",
    PUBLIC + "get_book_summary_by_currency",
    parse_book_summary,
    _result_fits(_lists_options),
)
VOLATILITY_INDEX: Final = Endpoint(
    "get_volatility_index_data",
    PUBLIC + "get_volatility_index_data",
    parse_volatility_index,
    _result_fits(has("data", "continuation")),
)
CHART_DATA: Final = Endpoint(
    "get_tradingview_chart_data",
    PUBLIC + "get_tradingview_chart_data",
    parse_chart_data,
    _result_fits(has("ticks", "close")),
    perpetual=True,
)


def requests(market: str, names: Instruments, now_ms: int, wanted: Wanted) -> Iterator[Request]:
    if names.index:
        yield _request(INDEX_PRICE, market, names.index, Pace.QUOTE, index_name=names.index)
    if name := names.perpetual:
        yield _request(ORDER_BOOK, market, name, Pace.QUOTE, instrument_name=name, depth=BOOK_DEPTH)
        first_ms = now_ms - wanted(market, perpetual=True) * HOUR_MS
        span = {"start_timestamp": first_ms, "end_timestamp": now_ms}
        yield _request(CHART_DATA, market, name, Pace.BARS, instrument_name=name, resolution="60", **span)
    if names.options:
        yield _request(BOOK_SUMMARY, market, names.options, Pace.CHAIN, currency=names.options, kind="option")
    if names.vol_index:
        span = {"start_timestamp": now_ms - 3 * HOUR_MS, "end_timestamp": now_ms}
        yield _request(
            VOLATILITY_INDEX, market, names.vol_index, Pace.CHAIN, currency=names.vol_index, resolution="3600", **span
        )


def _request(endpoint: Endpoint, market: str, name: str, pace: Pace, **params: str | int) -> Request:
    return Request(endpoint, market, name, endpoint.path, params, pace, perpetual=endpoint.perpetual)


def complaint(body: object) -> MargraveError | None:
    """JSON-RPC errors: {"error": {"code", "message", "data"?}}."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    code, message = error.get("code"), str(error.get("message"))[:120]
    if code in (10028, 10040, 10066):
        return VenueTrouble(Trouble.RATE_LIMITED, f"deribit: {code} {message}")
    if code in (11051, 13503, 13888, -32000) or message in ("system_maintenance", "temporarily_unavailable"):
        return VenueTrouble(Trouble.MAINTENANCE, f"deribit: {code} {message}")
    return Rejected(Rejection.VENUE_ERROR, f"deribit: {code} {message}")


def about(body: object) -> tuple[str, bool]:
    result = body.get("result") if isinstance(body, dict) else None
    if isinstance(result, list):
        first = result[0] if result else None
        name = first.get("base_currency") if isinstance(first, dict) else None
    else:
        name = result.get("instrument_name") if isinstance(result, dict) else None
    return (name, name.endswith("-PERPETUAL")) if isinstance(name, str) else ("", False)


def unframe(body: object) -> object:
    """A websocket ticker push holds what REST puts in result."""
    params = body.get("params") if isinstance(body, dict) else None
    channel = params.get("channel") if isinstance(params, dict) else None
    if isinstance(params, dict) and isinstance(channel, str) and channel.startswith("ticker."):
        return {"result": params.get("data")}
    return body


DERIBIT: Final = Venue(
    name="deribit",
    endpoints=(INDEX_PRICE, ORDER_BOOK, TICKER, BOOK_SUMMARY, VOLATILITY_INDEX, CHART_DATA),
    requests=requests,
    complaint=complaint,
    about=about,
    unframe=unframe,
)
