"""What Binance's market-data answers say, spot and futures: pure functions to readings and refusals.

Spot (/api/v3) and USD-margined futures (/fapi/v1) count sizes in coins. Coin-margined futures (/dapi/v1) count them in
contracts of 10 or 100 dollars; how many, exchangeInfo says, and without it nothing of theirs is valued. Spot books
carry no time, so theirs is when they were read; a frozen spot book shows by its prices only. The funding rate is per 8
hours for the instruments watched here; a history tells its own interval. Open interest comes in coins or contracts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import Asked, Item, Trouble, VenueTrouble
from margrave.collect.stream import Liquidation, Trade
from margrave.errors import MargraveError, Rejected
from margrave.messages import Bar, BookReading, Contract, Kind
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

COIN_MARGINED: Final = re.compile(r"[A-Z0-9]+USD_(?:PERP|\d{6})")
DATED: Final = re.compile(r".*_\d{6}")

Row = Mapping[str, object]


def is_coin_margined(symbol: str) -> bool:
    """BTCUSD_PERP and BTCUSD_261225, against BTCUSDT and BTCUSDT_261225."""
    return COIN_MARGINED.fullmatch(symbol) is not None


def is_dated(symbol: str) -> bool:
    return DATED.fullmatch(symbol) is not None


def usd(contract: Contract | None, symbol: str, size: float, price: float) -> float:
    """Dollars of a size: coins at the price, or contracts at what exchangeInfo says that one is worth."""
    if not is_coin_margined(symbol):
        return checks.size(size * price, "size in USD")
    return checks.size(size * dollars_a_contract(contract, symbol), "size in USD")


def dollars_a_contract(contract: Contract | None, symbol: str) -> float:
    """Never guessed: contracts of one coin are 100 dollars and of another 10."""
    if contract is None or contract.unit_usd is None:
        raise Rejected(Rejection.EMPTY, f"sizes of {symbol[:40]} are contracts, and exchangeInfo has not listed it yet")
    return contract.unit_usd


def _rows(value: object, what: str) -> Sequence[Row]:
    """The rows of a list; one row that stands by itself is a list of one."""
    entries = [value] if isinstance(value, dict) else checks.sequence(value, what, least=1)
    return [checks.mapping(row, f"a row of {what}") for row in entries]


def _symbol(asked: Asked, row: Row) -> str:
    """The instrument that a row is about: its own word, which must be the one that was asked for."""
    checks.same_instrument(row.get("symbol"), asked.instrument, "symbol")
    return str(row.get("symbol") or asked.instrument)[:40]


def _perpetual(asked: Asked, symbol: str) -> bool:
    return (asked.perpetual or is_coin_margined(symbol)) and not is_dated(symbol)


# --- books and candles ----------------------------------------------------------------------------------------------


def parse_depth(asked: Asked, body: object) -> Iterator[Item]:
    """/depth: {"lastUpdateId", "E"?, "T"?, "symbol"?, "pair"?, "bids": [[price, size]], "asks"}; times on futures only,
    names on coin-margined only."""
    answer = checks.mapping(body, "depth")
    symbol = _symbol(asked, answer)
    event = answer.get("E")
    venue_ms = asked.seen_ms if checks.absent(event) else checks.time_ms(event, "E")
    yield _book(replace(asked, instrument=symbol), venue_ms, answer.get("bids"), answer.get("asks"))


def parse_book_ticker(asked: Asked, body: object) -> Iterator[Item]:
    """/ticker/bookTicker of one symbol or all: {"symbol", "bidPrice", "bidQty", "askPrice", "askQty", "time"?}, as a
    book of one level."""
    return readings.many(asked, "bookTicker", _rows(body, "bookTicker"), lambda row: _book_ticker(asked, row))


def _book_ticker(asked: Asked, row: Row) -> BookReading:
    symbol, time = _symbol(asked, row), row.get("time")
    venue_ms = asked.seen_ms if checks.absent(time) else checks.time_ms(time, "time")
    bid, ask = [row.get("bidPrice"), row.get("bidQty")], [row.get("askPrice"), row.get("askQty")]
    return _book(replace(asked, market=asked.market or symbol, instrument=symbol), venue_ms, [bid], [ask])


def _book(asked: Asked, venue_ms: int, bids: object, asks: object) -> BookReading:
    asked = replace(asked, perpetual=_perpetual(asked, asked.instrument))
    if not is_coin_margined(asked.instrument):
        return readings.book(asked, venue_ms, bids, asks)
    unit_usd = dollars_a_contract(asked.contract, asked.instrument)
    return readings.book(asked, venue_ms, bids, asks, unit_coins=unit_usd, sizes_in_usd=True)


def parse_klines(asked: Asked, body: object) -> Iterator[Item]:
    """/klines: [[open time, open, high, low, close, volume, close time, other volume, ...]], ascending. The volume is
    in coins; of coin-margined instruments it is in contracts, and the other one in coins."""
    rows = checks.sequence(body, "klines", least=1)
    volume = 7 if is_coin_margined(asked.instrument) else 5
    asked = replace(asked, perpetual=_perpetual(asked, asked.instrument))
    return readings.bars(asked, asked.seen_ms, rows, lambda row: _kline(row, volume))


def _kline(row: object, volume: int) -> Bar:
    fields = checks.sequence(row, "a kline", least=volume + 1)
    open_ms = checks.time_ms(fields[0], "open time")
    return readings.bar(open_ms, fields[1], fields[2], fields[3], fields[4], fields[volume])


# --- figures of perpetuals ------------------------------------------------------------------------------------------


def parse_premium_index(asked: Asked, body: object) -> Iterator[Item]:
    """/premiumIndex of one symbol or all: mark and index price, last funding rate (empty where dated), time."""
    for row in _rows(body, "premiumIndex"):
        symbol = _symbol(asked, row)
        one = replace(asked, market=asked.market or symbol, instrument=symbol)
        dated = is_dated(symbol)
        yield from readings.scalars(
            one,
            checks.time_ms(row.get("time"), "time"),
            {
                Kind.MARK_PRICE: None if dated else row.get("markPrice"),
                Kind.INDEX_PRICE: row.get("indexPrice"),
                Kind.FUNDING_8H: None if dated else row.get("lastFundingRate"),
            },
        )


def parse_open_interest(asked: Asked, body: object) -> Iterator[Item]:
    """/openInterest: {"openInterest", "symbol", "time"}: coins, to be valued at the mark, or contracts."""
    answer = checks.mapping(body, "openInterest")
    symbol, size = _symbol(asked, answer), checks.size(answer.get("openInterest"), "openInterest")
    if is_coin_margined(symbol):
        value = size * dollars_a_contract(asked.contract, symbol)
    elif asked.mark_price is None:
        raise Rejected(Rejection.EMPTY, f"open interest of {size:g} coins, and no mark price yet to turn it into USD")
    else:
        value = size * asked.mark_price
    venue_ms = checks.time_ms(answer.get("time"), "time")
    return readings.scalars(replace(asked, instrument=symbol), venue_ms, {Kind.OPEN_INTEREST: value})


def parse_open_interest_history(asked: Asked, body: object) -> Iterator[Item]:
    """/futures/data/openInterestHist: [{"symbol" | "pair", "sumOpenInterest", "sumOpenInterestValue", "timestamp"}].
    The value is dollars, but coins of coin-margined instruments, whose contracts are counted instead."""
    rows = [dict(row) for row in _rows(body, "openInterestHist")]
    for row in rows:
        if "pair" in row and not checks.absent(row.get("sumOpenInterest")):
            contracts = checks.size(row["sumOpenInterest"], "sumOpenInterest")
            row["sumOpenInterestValue"] = contracts * dollars_a_contract(asked.contract, str(row["pair"]))
    return readings.history(asked, rows, "timestamp", {Kind.OPEN_INTEREST: "sumOpenInterestValue"}, name="symbol")


def parse_funding_history(asked: Asked, body: object) -> Iterator[Item]:
    """/fundingRate: [{"symbol", "fundingRate", "fundingTime", "markPrice"?}], scaled to 8 hours by the time between two
    rows of a symbol; one row alone is taken for 8 hours."""
    rows = [dict(row) for row in _rows(body, "fundingRate")]
    hours = _hours_between(rows)
    for row in rows:
        try:
            per_8h = 8.0 / hours.get(str(row.get("symbol")), 8.0)
            row["rate"] = readings.scaled(row.get("fundingRate"), per_8h, "fundingRate")
        except Rejected:
            row["rate"] = row.get("fundingRate")
    return readings.history(asked, rows, "fundingTime", {Kind.FUNDING_8H: "rate"}, name="symbol")


def _hours_between(rows: Sequence[Row]) -> Mapping[str, float]:
    """The shortest time between two fundings of each symbol, in whole hours; what is no time is refused elsewhere."""
    times: dict[str, set[int]] = {}
    for row in rows:
        with suppress(Rejected):
            at_ms = checks.time_ms(row.get("fundingTime"), "fundingTime")
            times.setdefault(str(row.get("symbol")), set()).add(round(at_ms / HOUR_MS))
    apart = {symbol: sorted(some) for symbol, some in times.items() if len(some) > 1}
    between = {symbol: min(b - a for a, b in pairwise(some)) for symbol, some in apart.items()}
    return {symbol: hours for symbol, hours in between.items() if 1 <= hours <= 8}


def ratio_parser(kind: Kind, field: str) -> Callable[[Asked, object], Iterator[Item]]:
    """/futures/data/globalLongShortAccountRatio, topLongShortPositionRatio, takerlongshortRatio and their like: lists
    of {"symbol" | "pair", field, "timestamp"}, which differ in what is counted and not in their shape."""

    def parse(asked: Asked, body: object) -> Iterator[Item]:
        return readings.history(asked, _rows(body, field), "timestamp", {kind: field}, name="symbol")

    return parse


# --- trades ---------------------------------------------------------------------------------------------------------


def parse_trades(asked: Asked, body: object) -> Iterator[Item]:
    """/trades and /historicalTrades: [{"id", "price", "qty", "time", "isBuyerMaker"}]."""
    keys = {"p": "price", "q": "qty", "T": "time", "m": "isBuyerMaker", "t": "id"}
    rows = [{short: row.get(long) for short, long in keys.items()} for row in _rows(body, "trades")]
    return readings.trades(asked, rows, lambda row: trade(row, asked.instrument, asked.contract, asked.perpetual))


def parse_aggregate_trades(asked: Asked, body: object) -> Iterator[Item]:
    """/aggTrades: [{"a": id, "p": price, "q": size, "T": time, "m": the buyer was the maker}]."""
    rows = _rows(body, "aggTrades")
    return readings.trades(asked, rows, lambda row: trade(row, asked.instrument, asked.contract, asked.perpetual))


def trade(row: Row, symbol: str, contract: Contract | None, perpetual: bool) -> Trade:
    """One trade in the letters of the streams: p, q, T, m, and a or t for its number."""
    price, size = checks.price(row.get("p"), "price"), checks.size(row.get("q"), "quantity")
    maker = _buyer_made(row)
    number = row.get("a", row.get("t"))
    return Trade(
        instrument=symbol,
        perpetual=(perpetual or is_coin_margined(symbol)) and not is_dated(symbol),
        venue_ms=checks.time_ms(row.get("T"), "time"),
        price=price,
        size_usd=usd(contract, symbol, size, price),
        buyer_takes=not maker,
        trade_id="" if number is None else str(number)[:40],
    )


def _buyer_made(row: Row) -> bool:
    """m; or, of an option, S: 1 where the taker bought."""
    if isinstance(maker := row.get("m"), bool):
        return maker
    if maker is None and str(side := row.get("S")) in ("1", "-1"):
        return str(side) == "-1"
    raise Rejected(Rejection.MALFORMED, "whether the buyer was the maker is not said")


def parse_force_orders(asked: Asked, body: object) -> Iterator[Item]:
    """/allForceOrders: [{"symbol", "side", "executedQty", "origQty", "averagePrice", "price", "time"}]; the venue has
    stopped answering it, recordings hold it."""

    def parse(row: Row) -> Iterator[Liquidation]:
        keys = {"S": "side", "z": "executedQty", "q": "origQty", "ap": "averagePrice", "p": "price", "T": "time"}
        yield liquidation({short: row.get(long) for short, long in keys.items()}, _symbol(asked, row), asked.contract)

    return readings.liquidations(asked, _rows(body, "allForceOrders"), parse)


def liquidation(order: Row, symbol: str, contract: Contract | None) -> Liquidation:
    """One order of the liquidation engine in the letters of the streams: S side, z filled of q, ap average price or p.
    It sells what a long held."""
    side = checks.text(order.get("S"), "side")
    if side not in ("BUY", "SELL"):
        raise Rejected(Rejection.MALFORMED, f"side is {side[:20]!r}, not BUY or SELL")
    price = checks.optional_price(order.get("ap"), "average price") or checks.price(order.get("p"), "price")
    filled, whole = order.get("z"), order.get("q")
    size = 0.0 if checks.absent(filled) else checks.size(filled, "filled quantity")
    return Liquidation(
        instrument=symbol,
        venue_ms=checks.time_ms(order.get("T"), "time"),
        long=side == "SELL",
        price=price,
        size_usd=usd(contract, symbol, size or checks.size(whole, "quantity"), price),
    )


# --- complaints and names -------------------------------------------------------------------------------------------


def complaint(body: object) -> MargraveError | None:
    """Errors are {"code": -1121, "msg": "Invalid symbol."}, over a websocket under "error"; code 0 comes with the
    refusal of a restricted place, 200 with success."""
    error = body.get("error", body) if isinstance(body, dict) else None
    if not (isinstance(error, dict) and "code" in error and "msg" in error) or error["code"] == 200:
        return None
    code, message = error["code"], str(error["msg"])[:120]
    if "restricted location" in message:
        return VenueTrouble(Trouble.GEO_BLOCKED, f"binance: {message}")
    if code in (-1003, -1015):
        return VenueTrouble(Trouble.RATE_LIMITED, f"binance: {code} {message}")
    if code in (-1000, -1001, -1007, -1008, -1016):
        return VenueTrouble(Trouble.MAINTENANCE, f"binance: {code} {message}")
    return Rejected(Rejection.VENUE_ERROR, f"binance: {str(code)[:20]} {message}")


def unframe(body: object) -> object:
    """An answer of the websocket API ({"id", "status", "result", "rateLimits"}) as the REST answer that says the
    same."""
    if isinstance(body, dict) and "result" in body and "status" in body and body["result"] is not None:
        return body["result"]
    return body


def about(body: object) -> tuple[str, bool]:
    """The symbol of an answer; of a list only where all rows name the same."""
    rows = body if isinstance(body, list) else [body]
    symbols = {str(row.get("symbol")) for row in rows if isinstance(row, dict) and isinstance(row.get("symbol"), str)}
    symbol = symbols.pop() if len(symbols) == 1 else ""
    return (symbol, is_coin_margined(symbol) and not is_dated(symbol))
