"""OKX v5 answers, as documented at www.okx.com/docs-v5 (Market Data, Public Data, Trading Statistics).

Every answer is {"code": "0", "msg", "data": [...]}, all numbers are strings, absent ones empty strings. Sizes of
derivatives are contracts: `ctVal` x `ctMult` coins, or dollars where the contract is inverse. Funding is per the time
between this settlement and the next; open interest is in dollars in newer answers, in coins in older.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from margrave.collect import checks, funding, readings
from margrave.collect.source import Asked, Item, Trouble, VenueTrouble
from margrave.collect.stream import Liquidation, Trade
from margrave.errors import MargraveError, Rejected
from margrave.messages import Bar, Contract, ContractKind, Kind
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

COINS_A_CONTRACT: Final[Mapping[str, float]] = {"BTC-USDT-SWAP": 0.01, "ETH-USDT-SWAP": 0.1, "SOL-USDT-SWAP": 1.0}
"""ctVal of /public/instruments as it has long been: where to begin, until that answer was read. A derivative that is
neither here nor listed is refused, because its sizes would be guesses."""
KINDS: Final[Mapping[str, ContractKind]] = {
    "SPOT": ContractKind.SPOT,
    "MARGIN": ContractKind.SPOT,
    "SWAP": ContractKind.PERPETUAL,
    "FUTURES": ContractKind.FUTURE,
    "OPTION": ContractKind.OPTION,
}


def is_perpetual(name: str) -> bool:
    return name.endswith("-SWAP")


def contract_of(listed: Contract | None, name: str) -> Contract:
    """How sizes of an instrument are counted: as listed, else as spot (coins), else as it has long been.

    Raises:
        Rejected: a derivative whose contract size nobody said.
    """
    if listed is not None:
        return listed
    if name.count("-") < 2:
        return Contract(source="okx", instrument=name, seen_time_ms=0, kind=ContractKind.SPOT)
    if name not in COINS_A_CONTRACT:
        problem = f"contract size of {name[:40]} is not known"
        raise Rejected(Rejection.WRONG_INSTRUMENT, problem, advice="no action once `instruments` has been read")
    unit = COINS_A_CONTRACT[name]
    return Contract(source="okx", instrument=name, seen_time_ms=0, kind=ContractKind.PERPETUAL, unit_coins=unit)


def data_of(body: object, *, least: int = 1) -> Sequence[object]:
    return checks.sequence(checks.mapping(body, "answer").get("data"), "data", least=least)


def _only(asked: Asked, body: object) -> Mapping[str, object]:
    """The entry that was asked for; of several, the one that has its name."""
    entries = [checks.mapping(entry, "an entry of data") for entry in data_of(body)]
    mine = [entry for entry in entries if entry.get("instId") == asked.instrument]
    entry = mine[0] if mine else entries[0]
    checks.same_instrument(entry.get("instId"), asked.instrument, "instId")
    return entry


def parse_instruments(asked: Asked, body: object) -> Iterator[Item]:
    """/public/instruments: [{"instType", "instId", "ctType", "ctVal", "ctMult", "ctValCcy", "tickSz", "state"}]."""
    for row in data_of(body):
        try:
            entry = checks.mapping(row, "an instrument")
            if not asked.instrument or entry.get("instId") == asked.instrument:
                yield _contract(asked, entry)
        except Rejected as rejected:
            yield asked.refusal("instruments", rejected)


def _contract(asked: Asked, entry: Mapping[str, object]) -> Contract:
    name = checks.text(entry.get("instId"), "instId")
    kind = KINDS.get(str(entry.get("instType")), ContractKind.OTHER)
    unit = 1.0
    if not checks.absent(value := entry.get("ctVal")):
        multiple = entry.get("ctMult")
        unit = checks.within(value, "ctVal", 1e-12, 1e12)
        unit *= 1.0 if checks.absent(multiple) else checks.within(multiple, "ctMult", 1e-12, 1e12)
    elif kind is not ContractKind.SPOT:
        raise Rejected(Rejection.EMPTY, f"{name[:40]} has no ctVal")
    in_dollars = kind is not ContractKind.SPOT and entry.get("ctValCcy") in ("USD", "USDT", "USDC")
    tick, expires = entry.get("tickSz"), entry.get("expTime")
    return Contract(
        source=asked.source,
        instrument=name,
        seen_time_ms=asked.seen_ms,
        kind=kind,
        unit_coins=None if in_dollars else unit,
        unit_usd=unit if in_dollars else None,
        tick=None if checks.absent(tick) else checks.within(tick, "tickSz", 1e-18, 1e9),
        expiry_ms=None if checks.absent(expires) else checks.time_ms(expires, "expTime"),
        trading=entry.get("state", "live") == "live",
    )


def book_of(asked: Asked, venue_ms: int, bids: object, asks: object) -> Item:
    contract = contract_of(asked.contract, asked.instrument)
    in_usd = contract.unit_usd is not None
    unit = contract.unit_usd if in_usd else contract.unit_coins
    return readings.book(asked, venue_ms, bids, asks, unit_coins=unit or 1.0, sizes_in_usd=in_usd)


def parse_books(asked: Asked, body: object) -> Iterator[Item]:
    """/market/books: data[0] {"asks": [[price, size, "0", orders]], "bids", "ts"}; derivatives count contracts."""
    entry = _only(asked, body)
    yield book_of(asked, checks.time_ms(entry.get("ts"), "ts"), entry.get("bids"), entry.get("asks"))


def parse_ticker(asked: Asked, body: object) -> Iterator[Item]:
    """/market/ticker: {"bidPx", "bidSz", "askPx", "askSz", "last", "ts"}: a book of one level."""
    entry = _only(asked, body)
    bids, asks = [[entry.get("bidPx"), entry.get("bidSz")]], [[entry.get("askPx"), entry.get("askSz")]]
    yield book_of(asked, checks.time_ms(entry.get("ts"), "ts"), bids, asks)


def parse_candles(asked: Asked, body: object) -> Iterator[Item]:
    """/market/candles: [[ts, open, high, low, close, vol, volCcy (coins), volCcyQuote, confirm]], newest first."""
    rows = data_of(body)
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


def parse_funding_history(asked: Asked, body: object) -> Iterator[Item]:
    """/public/funding-rate-history: [{"fundingTime", "realizedRate"?, "fundingRate"}], newest first."""
    return funding.settled(asked, data_of(body), lambda row: _settled(asked, row))


def _settled(asked: Asked, row: object) -> tuple[int, float]:
    entry = checks.mapping(row, "a settlement")
    checks.same_instrument(entry.get("instId"), asked.instrument, "instId")
    paid = entry.get("realizedRate")
    rate = entry.get("fundingRate") if checks.absent(paid) else paid
    return checks.time_ms(entry.get("fundingTime"), "fundingTime"), checks.number(rate, "realizedRate")


def parse_open_interest(asked: Asked, body: object) -> Iterator[Item]:
    """/public/open-interest: {"oi" (contracts), "oiCcy" (coins), "oiUsd"?, "ts"}; of options, the sum of all."""
    entries = [checks.mapping(entry, "an entry of data") for entry in data_of(body)]
    if any(entry.get("instType") == "OPTION" for entry in entries):
        total = math.fsum(_interest_usd(asked, entry) for entry in entries)
        stamps = [checks.time_ms(entry.get("ts"), "ts") for entry in entries]
        return readings.scalars(asked, max(stamps), {Kind.OPTION_OPEN_INTEREST: total})
    entry = _only(asked, body)
    usd = _interest_usd(asked, entry)
    return readings.scalars(asked, checks.time_ms(entry.get("ts"), "ts"), {Kind.OPEN_INTEREST: usd})


def _interest_usd(asked: Asked, entry: Mapping[str, object]) -> float:
    if not checks.absent(usd := entry.get("oiUsd")):
        return checks.size(usd, "oiUsd")
    coins = checks.size(entry.get("oiCcy"), "oiCcy")
    if asked.mark_price is None:
        raise Rejected(Rejection.EMPTY, f"open interest of {coins:g} coins, and no mark price yet to value it")
    return coins * asked.mark_price


def parse_mark_price(asked: Asked, body: object) -> Iterator[Item]:
    """/public/mark-price: {"instId", "markPx", "ts"}."""
    entry = _only(asked, body)
    return readings.scalars(asked, checks.time_ms(entry.get("ts"), "ts"), {Kind.MARK_PRICE: entry.get("markPx")})


def parse_index_tickers(asked: Asked, body: object) -> Iterator[Item]:
    """/market/index-tickers: {"instId" (of the index: BTC-USDT), "idxPx", "ts"}."""
    entry = _only(asked, body)
    return readings.scalars(asked, checks.time_ms(entry.get("ts"), "ts"), {Kind.INDEX_PRICE: entry.get("idxPx")})


def parse_long_short(asked: Asked, body: object) -> Iterator[Item]:
    """/rubik/stat/contracts/long-short-account-ratio-contract: [[ts, accounts net long over short]], newest first."""
    rows = [checks.sequence(row, "a ratio", least=2) for row in data_of(body)]
    newest = max(rows, key=lambda row: checks.time_ms(row[0], "ts"))
    return readings.scalars(asked, checks.time_ms(newest[0], "ts"), {Kind.LONG_SHORT_RATIO: newest[1]})


def parse_trades(asked: Asked, body: object) -> Iterator[Item]:
    """/market/trades: [{"instId", "tradeId", "px", "sz", "side", "ts"}], newest first; side is the taker's."""

    def one(row: object) -> Trade:
        name = checks.text(checks.mapping(row, "a trade").get("instId") or asked.instrument, "instId")
        checks.same_instrument(name, asked.instrument, "instId")
        return trade(row, contract_of(asked.contract, name))

    return readings.trades(asked, data_of(body), one)


def trade(row: object, contract: Contract) -> Trade:
    """One trade of an answer or a frame: they are written alike."""
    entry = checks.mapping(row, "a trade")
    price, size = checks.price(entry.get("px"), "px"), checks.size(entry.get("sz"), "sz")
    return Trade(
        instrument=contract.instrument,
        perpetual=is_perpetual(contract.instrument),
        venue_ms=checks.time_ms(entry.get("ts"), "ts"),
        price=price,
        size_usd=checks.size(contract.usd(size, price), "size of a trade"),
        buyer_takes=checks.is_buy(entry.get("side"), "side"),
        trade_id=str(entry.get("tradeId") or ""),
    )


def parse_liquidation_orders(asked: Asked, body: object) -> Iterator[Item]:
    """/public/liquidation-orders: [{"instId", "details": [{"side", "posSide", "bkPx", "sz", "ts"}]}]."""

    def of_one(row: object) -> list[Liquidation]:
        entry = checks.mapping(row, "an instrument's liquidations")
        mine = not asked.instrument or entry.get("instId") == asked.instrument
        return liquidations(entry, asked.contract) if mine else []

    return readings.liquidations(asked, data_of(body), of_one)


def liquidations(entry: Mapping[str, object], listed: Contract | None) -> list[Liquidation]:
    """All of one instrument in an answer or a frame. Where the position has no side (net mode), the order's tells: a
    sale closes a long."""
    contract = contract_of(listed, checks.text(entry.get("instId"), "instId"))
    found = []
    for row in checks.sequence(entry.get("details"), "details"):
        detail = checks.mapping(row, "a liquidation")
        price, size = checks.price(detail.get("bkPx"), "bkPx"), checks.size(detail.get("sz"), "sz")
        position = detail.get("posSide")
        sold = not checks.is_buy(detail.get("side"), "side")
        found.append(
            Liquidation(
                instrument=contract.instrument,
                venue_ms=checks.time_ms(detail.get("ts") or detail.get("time"), "ts"),
                long=position == "long" if position in ("long", "short") else sold,
                price=price,
                size_usd=checks.size(contract.usd(size, price), "size of a liquidation"),
            )
        )
    return found


def complaint(body: object) -> MargraveError | None:
    """code is "0" when all is well; websocket answers of the error event look the same."""
    if not (isinstance(body, dict) and "code" in body) or str(body["code"]) == "0":
        return None
    code, message = str(body["code"])[:20], str(body.get("msg"))[:120]
    if code in ("50011", "50013", "50061", "60014", "64007"):
        return VenueTrouble(Trouble.RATE_LIMITED, f"okx: {code} {message}")
    if code in ("50001", "50026", "50004", "64008"):
        return VenueTrouble(Trouble.MAINTENANCE, f"okx: {code} {message}")
    return Rejected(Rejection.VENUE_ERROR, f"okx: {code} {message}")


def about(body: object) -> tuple[str, bool]:
    if not isinstance(body, dict):
        return ("", False)
    data, arg = body.get("data"), body.get("arg")
    entry = data[0] if isinstance(data, list) and data else None
    if (
        isinstance(data, list)
        and len(data) > 1
        and len({str(e.get("instId")) for e in data if isinstance(e, dict)}) > 1
    ):
        return ("", False)  # an answer about many, of which none was asked for
    named = entry if isinstance(entry, dict) and "instId" in entry else arg
    name = named.get("instId") if isinstance(named, dict) else None
    name = name if isinstance(name, str) else ""
    return (name, is_perpetual(name))
