"""Coinbase Advanced Trade answers (docs.cdp.coinbase.com, /api/v3/brokerage/market: public, no key).

Sizes of spot are coins, of futures contracts whose size the product tells. A trade's side is the maker's: a maker who
sold was bought from. Funding of a perpetual-style future is per `funding_interval`, an hour where it says none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import Asked, Item, Trouble, VenueTrouble
from margrave.collect.stream import Trade
from margrave.errors import MargraveError, Rejected
from margrave.messages import Bar, Contract, ContractKind, Kind
from margrave.verdicts import Rejection

BRIEF: Final = 40
PERPETUAL_SUFFIX: Final = "-PERP-INTX"


def contract_of(listed: Contract | None, name: str) -> Contract:
    """How sizes of a product are counted: as listed, else as spot (coins), which a name of two parts is.

    Raises:
        Rejected: a future whose contract size nobody said.
    """
    if listed is not None:
        return listed
    if name.count("-") < 2 or name.endswith(PERPETUAL_SUFFIX):
        kind = ContractKind.PERPETUAL if name.endswith(PERPETUAL_SUFFIX) else ContractKind.SPOT
        return Contract(source="coinbase", instrument=name, seen_time_ms=0, kind=kind)
    problem = f"contract size of {name[:BRIEF]} is not known"
    raise Rejected(Rejection.WRONG_INSTRUMENT, problem, advice="no action once its product has been read")


def is_perpetual(listed: Contract | None, name: str) -> bool:
    return name.endswith(PERPETUAL_SUFFIX) if listed is None else listed.kind is ContractKind.PERPETUAL


def parse_products(asked: Asked, body: object) -> Iterator[Item]:
    """/products: {"products": [product, …]}; of futures their figures too."""
    for row in checks.sequence(checks.mapping(body, "answer").get("products"), "products", least=1):
        entry = checks.mapping(row, "a product")
        if not asked.instrument or entry.get("product_id") == asked.instrument:
            yield from _product(asked, entry)


def parse_product(asked: Asked, body: object) -> Iterator[Item]:
    """/products/{product_id}: {"product_id", "product_type", "price_increment", "future_product_details"?, …}."""
    entry = checks.mapping(body, "product")
    checks.same_instrument(entry.get("product_id"), asked.instrument, "product_id")
    yield from _product(asked, entry)


def _product(asked: Asked, entry: Mapping[str, object]) -> Iterator[Item]:
    try:
        contract = _contract(asked, entry)
        yield contract
        if contract.kind is ContractKind.PERPETUAL:
            yield from _figures(asked, entry, contract)
    except Rejected as rejected:
        yield asked.refusal("product", rejected)


def _contract(asked: Asked, entry: Mapping[str, object]) -> Contract:
    details = entry.get("future_product_details")
    unit, expires, kind = 1.0, None, ContractKind.SPOT
    if isinstance(details, dict):
        size, expiry = details.get("contract_size"), details.get("contract_expiry")
        unit = 1.0 if checks.absent(size) else checks.within(size, "contract_size", 1e-12, 1e12)
        lasting = details.get("contract_expiry_type") == "PERPETUAL" or not checks.absent(
            details.get("funding_interval")
        )
        kind = ContractKind.PERPETUAL if lasting else ContractKind.FUTURE
        expires = None if lasting or checks.absent(expiry) else checks.time_ms(expiry, "contract_expiry")
    elif entry.get("product_type", "SPOT") != "SPOT":
        kind = ContractKind.OTHER
    tick = entry.get("price_increment")
    barred = ("trading_disabled", "is_disabled", "cancel_only", "view_only")
    return Contract(
        source=asked.source,
        instrument=checks.text(entry.get("product_id"), "product_id"),
        seen_time_ms=asked.seen_ms,
        kind=kind,
        unit_coins=unit,
        tick=None if checks.absent(tick) else checks.within(tick, "price_increment", 1e-18, 1e9),
        expiry_ms=expires,
        trading=not any(entry.get(flag) is True for flag in barred),
    )


def _figures(asked: Asked, entry: Mapping[str, object], contract: Contract) -> Iterator[Item]:
    """Index, funding and open interest of a perpetual-style future; the answer has no time of its own."""
    details = checks.mapping(entry.get("future_product_details"), "future_product_details")
    values: dict[Kind, object] = {Kind.INDEX_PRICE: details.get("index_price")}
    try:
        hours = _hours(details.get("funding_interval"))
        values[Kind.FUNDING_8H] = readings.scaled(details.get("funding_rate"), 8.0 / hours, "funding_rate")
        interest, price = details.get("open_interest"), entry.get("price")
        if not checks.absent(interest) and not checks.absent(price):
            size = checks.size(interest, "open_interest")
            values[Kind.OPEN_INTEREST] = contract.usd(size, checks.price(price, "price"))
    except Rejected as rejected:
        yield asked.refusal("product", rejected)
    yield from readings.scalars(asked, asked.seen_ms, values)


def _hours(interval: object) -> float:
    """ "3600s" as hours."""
    if checks.absent(interval):
        return 1.0
    seconds = checks.text(interval, "funding_interval").removesuffix("s")
    return checks.within(checks.number(seconds, "funding_interval") / 3600, "funding_interval in hours", 0.1, 24.0)


def parse_product_book(asked: Asked, body: object) -> Iterator[Item]:
    """/product_book: {"pricebook": {"product_id", "bids": [{"price", "size"}], "asks", "time"}}."""
    entry = checks.mapping(checks.mapping(body, "answer").get("pricebook"), "pricebook")
    name = entry.get("product_id")
    checks.same_instrument(name, asked.instrument, "product_id")
    contract = contract_of(asked.contract, asked.instrument or str(name))
    stamp = entry.get("time")
    venue_ms = asked.seen_ms if checks.absent(stamp) else checks.time_ms(stamp, "time")
    bids, asks = (_rows(entry.get(side), side) for side in ("bids", "asks"))
    yield readings.book(asked, venue_ms, bids, asks, unit_coins=contract.unit_coins or 1.0)


def _rows(side: object, what: str) -> list[list[object]]:
    rows = [checks.mapping(row, f"a level of {what}") for row in checks.sequence(side, what, least=1)]
    return [[row.get("price"), row.get("size")] for row in rows]


def parse_candles(asked: Asked, body: object) -> Iterator[Item]:
    """/candles: {"candles": [{"start" (seconds), "low", "high", "open", "close", "volume"}]}, newest first."""
    rows = checks.sequence(checks.mapping(body, "answer").get("candles"), "candles", least=1)
    return readings.bars(asked, asked.seen_ms, rows, candle)


def candle(row: object) -> Bar:
    """One candle of an answer or of a push: they are written alike."""
    c = checks.mapping(row, "a candle")
    start_ms = checks.seconds_as_ms(c.get("start"), "start")
    return readings.bar(start_ms, c.get("open"), c.get("high"), c.get("low"), c.get("close"), c.get("volume"))


def parse_ticker(asked: Asked, body: object) -> Iterator[Item]:
    """/ticker: {"trades": [{"trade_id", "product_id", "price", "size", "time", "side"}], "best_bid", "best_ask"}."""
    rows: Sequence[object] = checks.sequence(checks.mapping(body, "answer").get("trades"), "trades", least=1)

    def one(row: object) -> Trade:
        entry = checks.mapping(row, "a trade")
        checks.same_instrument(entry.get("product_id"), asked.instrument, "product_id")
        return trade(entry, asked.contract, asked.instrument)

    return readings.trades(asked, rows, one)


def trade(row: object, listed: Contract | None, name: str = "") -> Trade:
    """One trade of an answer or a push, with the maker's side turned into the taker's."""
    entry = checks.mapping(row, "a trade")
    name = checks.text(entry.get("product_id") or name, "product_id")
    contract = contract_of(listed, name)
    price, size = checks.price(entry.get("price"), "price"), checks.size(entry.get("size"), "size")
    return Trade(
        instrument=name,
        perpetual=is_perpetual(listed, name),
        venue_ms=checks.time_ms(entry.get("time"), "time"),
        price=price,
        size_usd=checks.size(contract.usd(size, price), "size of a trade"),
        buyer_takes=not checks.is_buy(entry.get("side"), "side"),
        trade_id=str(entry.get("trade_id") or ""),
    )


def complaint(body: object) -> MargraveError | None:
    """{"error", "message", "error_details"}; of the websocket and of Exchange {"type": "error", "message"}."""
    if not isinstance(body, dict):
        return None
    if body.get("type") == "error" or ("message" in body and len(body) == 1):
        said: object = f"{body.get('message')} {body.get('reason') or ''}"
    elif "error" in body:
        said = f"{body['error']} {body.get('message') or ''}"
    else:
        return None
    message = str(said).strip()[:120]
    word = message.lower()
    if "rate limit" in word or "too many" in word or "resource_exhausted" in word:
        return VenueTrouble(Trouble.RATE_LIMITED, f"coinbase: {message}")
    if "maintenance" in word or "unavailable" in word or "internal" in word:
        return VenueTrouble(Trouble.MAINTENANCE, f"coinbase: {message}")
    return Rejected(Rejection.VENUE_ERROR, f"coinbase: {message}")


def about(body: object) -> tuple[str, bool]:
    if not isinstance(body, dict):
        return ("", False)
    book, trades = body.get("pricebook"), body.get("trades")
    first = trades[0] if isinstance(trades, list) and trades else None
    for entry in (body, book, first):
        name = entry.get("product_id") if isinstance(entry, dict) else None
        if isinstance(name, str):
            return (name, name.endswith(PERPETUAL_SUFFIX))
    return ("", False)
