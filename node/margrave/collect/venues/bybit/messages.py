"""Bybit v5 answers, as documented at bybit-exchange.github.io/docs/v5/market.

Every answer is {"retCode", "retMsg", "result", "time"}; absent numbers are empty strings. Sizes are coins, of inverse
contracts dollars. Funding is per fundingIntervalHour, 8 where the answer does not say. Open interest comes in dollars.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from margrave.collect import checks, funding, readings
from margrave.collect.source import Asked, Item, Trouble, VenueTrouble
from margrave.collect.stream import Trade
from margrave.errors import MargraveError, Rejected
from margrave.messages import Bar, Contract, ContractKind, Kind
from margrave.verdicts import Rejection

PERPETUALS: Final = ("linear", "inverse")
KINDS: Final[Mapping[str, ContractKind]] = {
    "LinearPerpetual": ContractKind.PERPETUAL,
    "InversePerpetual": ContractKind.PERPETUAL,
    "LinearFutures": ContractKind.FUTURE,
    "InverseFutures": ContractKind.FUTURE,
}


def result_of(body: object) -> tuple[Mapping[str, object], int]:
    """The result, and when it was given."""
    answer = checks.mapping(body, "answer")
    return checks.mapping(answer.get("result"), "result"), checks.time_ms(answer.get("time"), "time")


def rows_of(result: Mapping[str, object]) -> Sequence[object]:
    return checks.sequence(result.get("list"), "list", least=1)


def in_dollars(name: str, listed: Contract | None) -> bool:
    """Whether sizes are dollars: inverse contracts are named after the dollar (BTCUSD), linear ones after a token."""
    if listed is not None:
        return listed.unit_usd is not None
    return name.endswith("USD")


def usd(name: str, listed: Contract | None, size: float, price: float) -> float:
    return checks.size(size if in_dollars(name, listed) else size * price, "size in USD")


def parse_instruments(asked: Asked, body: object) -> Iterator[Item]:
    """/instruments-info: [{"symbol", "contractType", "priceFilter": {"tickSize"}, "status", "deliveryTime"}]."""
    result, answered_ms = result_of(body)
    category = result.get("category")
    for row in rows_of(result):
        try:
            entry = checks.mapping(row, "an instrument")
            if not asked.instrument or entry.get("symbol") == asked.instrument:
                yield _contract(asked, entry, category, answered_ms)
        except Rejected as rejected:
            yield asked.refusal("instruments", rejected)


def _contract(asked: Asked, entry: Mapping[str, object], category: object, answered_ms: int) -> Contract:
    kind_name = str(entry.get("contractType", ""))
    if "optionsType" in entry or category == "option":
        kind = ContractKind.OPTION
    elif not kind_name:
        kind = ContractKind.SPOT
    else:
        kind = KINDS.get(kind_name, ContractKind.OTHER)
    inverse = kind_name.startswith("Inverse")
    filters = entry.get("priceFilter")
    tick = filters.get("tickSize") if isinstance(filters, dict) else None
    delivery = entry.get("deliveryTime")
    expires = kind in (ContractKind.OPTION, ContractKind.FUTURE) and not checks.absent(delivery)
    return Contract(
        source=asked.source,
        instrument=checks.text(entry.get("symbol"), "symbol"),
        seen_time_ms=asked.seen_ms or answered_ms,
        kind=kind,
        unit_coins=None if inverse else 1.0,
        unit_usd=1.0 if inverse else None,
        tick=None if checks.absent(tick) else checks.within(tick, "tickSize", 1e-18, 1e9),
        expiry_ms=checks.time_ms(delivery, "deliveryTime") if expires else None,
        trading=entry.get("status", "Trading") == "Trading",
    )


def parse_orderbook(asked: Asked, body: object) -> Iterator[Item]:
    """/orderbook: result {"s", "b": [[price, size]], "a", "ts", "u", "seq"}."""
    result, answered_ms = result_of(body)
    name = result.get("s")
    checks.same_instrument(name, asked.instrument, "s")
    stamp = result.get("ts")
    venue_ms = answered_ms if checks.absent(stamp) else checks.time_ms(stamp, "ts")
    dollars = in_dollars(asked.instrument or str(name), asked.contract)
    yield readings.book(asked, venue_ms, result.get("b"), result.get("a"), sizes_in_usd=dollars)


def parse_kline(asked: Asked, body: object) -> Iterator[Item]:
    """/kline: result.list [[start, open, high, low, close, volume in coins, turnover]], newest first."""
    result, answered_ms = result_of(body)
    checks.same_instrument(result.get("symbol"), asked.instrument, "symbol")
    return readings.bars(asked, answered_ms, rows_of(result), _kline)


def _kline(row: object) -> Bar:
    fields = checks.sequence(row, "a kline", least=6)
    return readings.bar(checks.time_ms(fields[0], "start"), fields[1], fields[2], fields[3], fields[4], fields[5])


def parse_tickers(asked: Asked, body: object) -> Iterator[Item]:
    """/tickers of one symbol. Of a perpetual: mark, index, funding, open interest in USD; of spot: its best quotes."""
    result, answered_ms = result_of(body)
    rows = [checks.mapping(row, "a ticker") for row in rows_of(result)]
    ticker = next((row for row in rows if row.get("symbol") == asked.instrument), rows[0])
    checks.same_instrument(ticker.get("symbol"), asked.instrument, "symbol")
    return ticker_of(asked, ticker, answered_ms)


def ticker_of(asked: Asked, ticker: Mapping[str, object], venue_ms: int) -> Iterator[Item]:
    """One ticker of an answer or a whole one of a push."""
    if "markPrice" not in ticker and "bid1Price" in ticker:
        bids = [[ticker.get("bid1Price"), ticker.get("bid1Size")]]
        yield readings.book(asked, venue_ms, bids, [[ticker.get("ask1Price"), ticker.get("ask1Size")]])
        return
    interval = ticker.get("fundingIntervalHour")
    hours = 8.0 if checks.absent(interval) else checks.within(interval, "fundingIntervalHour", 1, 24)
    try:
        rate = readings.scaled(ticker.get("fundingRate"), 8.0 / hours, "fundingRate")
    except Rejected as rejected:
        yield asked.refusal(Kind.FUNDING_8H.value, rejected)
        rate = None
    yield from readings.scalars(
        asked,
        venue_ms,
        {
            Kind.MARK_PRICE: ticker.get("markPrice"),
            Kind.INDEX_PRICE: ticker.get("indexPrice"),
            Kind.FUNDING_8H: rate,
            Kind.OPEN_INTEREST: ticker.get("openInterestValue"),
        },
    )


def parse_account_ratio(asked: Asked, body: object) -> Iterator[Item]:
    """/account-ratio: [{"symbol", "buyRatio", "sellRatio", "timestamp"}]: shares of accounts, newest first."""
    result, _ = result_of(body)
    rows = [checks.mapping(row, "a ratio") for row in rows_of(result)]
    newest = max(rows, key=lambda row: checks.time_ms(row.get("timestamp"), "timestamp"))
    checks.same_instrument(newest.get("symbol"), asked.instrument, "symbol")
    longs = checks.within(newest.get("buyRatio"), "buyRatio", 0.0, 1.0)
    shorts = checks.within(newest.get("sellRatio"), "sellRatio", 1e-9, 1.0)
    venue_ms = checks.time_ms(newest.get("timestamp"), "timestamp")
    return readings.scalars(asked, venue_ms, {Kind.LONG_SHORT_RATIO: longs / shorts})


def parse_funding_history(asked: Asked, body: object) -> Iterator[Item]:
    """/funding/history: [{"symbol", "fundingRate", "fundingRateTimestamp"}], newest first."""

    def settled(row: object) -> tuple[int, float]:
        entry = checks.mapping(row, "a settlement")
        checks.same_instrument(entry.get("symbol"), asked.instrument, "symbol")
        at_ms = checks.time_ms(entry.get("fundingRateTimestamp"), "fundingRateTimestamp")
        return at_ms, checks.number(entry.get("fundingRate"), "fundingRate")

    return funding.settled(asked, rows_of(result_of(body)[0]), settled)


def parse_open_interest(asked: Asked, body: object) -> Iterator[Item]:
    """/open-interest: {"symbol", "list": [{"openInterest" (coins; dollars if inverse), "timestamp"}]}."""
    result, _ = result_of(body)
    checks.same_instrument(result.get("symbol"), asked.instrument, "symbol")
    rows = [checks.mapping(row, "open interest") for row in rows_of(result)]
    newest = max(rows, key=lambda row: checks.time_ms(row.get("timestamp"), "timestamp"))
    size = checks.size(newest.get("openInterest"), "openInterest")
    if not in_dollars(asked.instrument or str(result.get("symbol")), asked.contract):
        if asked.mark_price is None:
            raise Rejected(Rejection.EMPTY, f"open interest of {size:g} coins, and no mark price yet to value it")
        size *= asked.mark_price
    return readings.scalars(asked, checks.time_ms(newest.get("timestamp"), "timestamp"), {Kind.OPEN_INTEREST: size})


def parse_recent_trade(asked: Asked, body: object) -> Iterator[Item]:
    """/recent-trade: [{"execId", "symbol", "price", "size", "side", "time"}], newest first; side is the taker's."""
    result, _ = result_of(body)
    perpetual = asked.perpetual or result.get("category") in PERPETUALS

    def one(row: object) -> Trade:
        entry = checks.mapping(row, "a trade")
        name = checks.text(entry.get("symbol") or asked.instrument, "symbol")
        checks.same_instrument(name, asked.instrument, "symbol")
        price, size = checks.price(entry.get("price"), "price"), checks.size(entry.get("size"), "size")
        return Trade(
            instrument=name,
            perpetual=perpetual,
            venue_ms=checks.time_ms(entry.get("time"), "time"),
            price=price,
            size_usd=usd(name, asked.contract, size, price),
            buyer_takes=checks.is_buy(entry.get("side"), "side"),
            trade_id=str(entry.get("execId") or ""),
        )

    return readings.trades(asked, rows_of(result), one)


def first(body: object, kind: type) -> object | None:
    """The first entry of result.list, where it is of that kind."""
    result = body.get("result") if isinstance(body, dict) else None
    entries = result.get("list") if isinstance(result, dict) else None
    return entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], kind) else None


def complaint(body: object) -> MargraveError | None:
    """retCode is 0 when all is well (ret_code before v5); a websocket says {"success": false, "ret_msg"}."""
    if not isinstance(body, dict):
        return None
    code = str(body.get("retCode", body.get("ret_code", 0)) or 0)[:20]
    message = str(body.get("retMsg", body.get("ret_msg")))[:120]
    if code in ("10006", "10018", "10429"):
        return VenueTrouble(Trouble.RATE_LIMITED, f"bybit: {code} {message}")
    if code in ("10009", "10024"):
        return VenueTrouble(Trouble.GEO_BLOCKED, f"bybit: {code} {message}")
    if code in ("10000", "10016", "10019"):
        return VenueTrouble(Trouble.MAINTENANCE, f"bybit: {code} {message}")
    if code != "0" or body.get("success") is False:
        return Rejected(Rejection.VENUE_ERROR, f"bybit: {code} {message}")
    return None


def about(body: object) -> tuple[str, bool]:
    result = body.get("result") if isinstance(body, dict) else None
    if not isinstance(result, dict):
        return ("", False)
    entries = result.get("list")
    one = first(body, dict) if isinstance(entries, list) and len(entries) == 1 else None
    symbol = result.get("s") or result.get("symbol") or (one.get("symbol") if isinstance(one, dict) else None)
    return (symbol if isinstance(symbol, str) else "", result.get("category") in PERPETUALS)
