"""Hyperliquid answers (hyperliquid.gitbook.io, "Info endpoint"): every question is a POST to /info with a `type`.

Sizes are coins, prices dollars. Funding is per hour. A book has 20 levels a side. Liquidations are not public: they can
be told only from single accounts' fills and the ledger, so none are read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from margrave.collect import checks, funding, readings
from margrave.collect.source import Asked, Item, Trouble, VenueTrouble
from margrave.collect.stream import Trade
from margrave.errors import MargraveError, Rejected
from margrave.messages import Bar, Contract, ContractKind, Kind
from margrave.verdicts import Rejection

FUNDING_HOURS: Final = 1.0


def is_perpetual(coin: str) -> bool:
    """Spot pairs are named "@107" or "PURR/USDC", perpetuals after their coin ("BTC", of other dexes "xyz:TSLA")."""
    return not (coin.startswith("@") or "/" in coin)


def parse_l2_book(asked: Asked, body: object) -> Iterator[Item]:
    """l2Book: {"coin", "time", "levels": [bids, asks]}, a level {"px", "sz", "n"}."""
    entry = checks.mapping(body, "book")
    checks.same_instrument(entry.get("coin"), asked.instrument, "coin")
    bids, asks = sides(entry)
    yield readings.book(asked, checks.time_ms(entry.get("time"), "time"), _rows(bids, "bids"), _rows(asks, "asks"))


def sides(entry: Mapping[str, object]) -> tuple[object, object]:
    both = checks.sequence(entry.get("levels"), "levels", least=2)
    return both[0], both[1]


def _rows(side: object, what: str) -> list[list[object]]:
    rows = [checks.mapping(row, f"a level of {what}") for row in checks.sequence(side, what, least=1)]
    return [[row.get("px"), row.get("sz")] for row in rows]


def parse_contexts(asked: Asked, body: object) -> Iterator[Item]:
    """metaAndAssetCtxs: [{"universe": [{"name", "isDelisted"?}]}, [{"markPx", "oraclePx", "funding", …}]], in step."""
    both = checks.sequence(body, "answer", least=2)
    if "tokens" in checks.mapping(both[0], "meta"):
        raise Rejected(Rejection.NOT_READ, "recognised, and not read: contexts of spot pairs")
    universe = checks.sequence(checks.mapping(both[0], "meta").get("universe"), "universe", least=1)
    contexts = checks.sequence(both[1], "contexts")
    if len(universe) != len(contexts):
        raise Rejected(Rejection.MALFORMED, f"{len(universe)} coins and {len(contexts)} contexts")
    found = False
    for listed, context in zip(universe, contexts, strict=True):
        entry = checks.mapping(listed, "a coin")
        name = checks.text(entry.get("name"), "name")
        if asked.instrument in ("", name) and (asked.instrument or entry.get("isDelisted") is not True):
            found = True
            mine = asked if asked.instrument else replace(asked, instrument=name, market=name)
            yield from context_of(mine, context)
    if asked.instrument and not found:
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"{asked.instrument} is not among the {len(universe)} coins")


def context_of(asked: Asked, context: object) -> Iterator[Item]:
    """One coin's mark, oracle price, hourly funding and open interest in coins; none carries a time."""
    entry = checks.mapping(context, "a context")
    mark, interest = entry.get("markPx"), entry.get("openInterest")
    values: dict[Kind, object] = {Kind.MARK_PRICE: mark, Kind.INDEX_PRICE: entry.get("oraclePx")}
    try:
        values[Kind.FUNDING_8H] = readings.scaled(entry.get("funding"), 8.0 / FUNDING_HOURS, "funding")
    except Rejected as rejected:
        yield asked.refusal(Kind.FUNDING_8H.value, rejected)
    try:
        values[Kind.OPEN_INTEREST] = _interest_usd(interest, mark)
    except Rejected as rejected:
        yield asked.refusal(Kind.OPEN_INTEREST.value, rejected)
    yield from readings.scalars(asked, asked.seen_ms, values)


def _interest_usd(interest: object, mark: object) -> float | None:
    if checks.absent(interest) or checks.absent(mark):
        return None
    return checks.size(interest, "openInterest") * checks.price(mark, "markPx")


def parse_meta(asked: Asked, body: object) -> Iterator[Item]:
    """meta: {"universe": [{"name", "szDecimals", "maxLeverage", "isDelisted"?}]}."""
    for row in checks.sequence(checks.mapping(body, "meta").get("universe"), "universe", least=1):
        try:
            entry = checks.mapping(row, "a coin")
            name = checks.text(entry.get("name"), "name")
            digits = entry.get("szDecimals")
            if asked.instrument in ("", name):
                yield Contract(
                    source=asked.source,
                    instrument=name,
                    seen_time_ms=asked.seen_ms,
                    kind=ContractKind.PERPETUAL if is_perpetual(name) else ContractKind.SPOT,
                    size_digits=None if checks.absent(digits) else int(checks.within(digits, "szDecimals", 0, 18)),
                    trading=entry.get("isDelisted") is not True,
                )
        except Rejected as rejected:
            yield asked.refusal("meta", rejected)


def parse_candles(asked: Asked, body: object) -> Iterator[Item]:
    """candleSnapshot: [{"t" (opens, ms), "o", "h", "l", "c", "v", "s" (coin), "i"}], ascending."""
    rows = checks.sequence(body, "candles", least=1)
    return readings.bars(asked, asked.seen_ms, rows, lambda row: candle(asked, row))


def candle(asked: Asked, row: object) -> Bar:
    c = checks.mapping(row, "a candle")
    checks.same_instrument(c.get("s"), asked.instrument, "s")
    return readings.bar(checks.time_ms(c.get("t"), "t"), c.get("o"), c.get("h"), c.get("l"), c.get("c"), c.get("v"))


def parse_funding_history(asked: Asked, body: object) -> Iterator[Item]:
    """fundingHistory: [{"coin", "fundingRate", "premium", "time"}], each hour."""

    def settled(row: object) -> tuple[int, float]:
        entry = checks.mapping(row, "a settlement")
        checks.same_instrument(entry.get("coin"), asked.instrument, "coin")
        return checks.time_ms(entry.get("time"), "time"), checks.number(entry.get("fundingRate"), "fundingRate")

    return funding.settled(asked, checks.sequence(body, "rates", least=1), settled, hours=FUNDING_HOURS)


def parse_trades(asked: Asked, body: object) -> Iterator[Item]:
    """recentTrades: [{"coin", "side" (the taker's: "B" or "A"), "px", "sz", "time", "tid"}]."""

    def one(row: object) -> Trade:
        made = trade(row)
        checks.same_instrument(made.instrument, asked.instrument, "coin")
        return made

    return readings.trades(asked, checks.sequence(body, "trades", least=1), one)


def trade(row: object) -> Trade:
    """One trade of an answer or a push: they are written alike."""
    entry = checks.mapping(row, "a trade")
    coin = checks.text(entry.get("coin"), "coin")
    price, size = checks.price(entry.get("px"), "px"), checks.size(entry.get("sz"), "sz")
    return Trade(
        instrument=coin,
        perpetual=is_perpetual(coin),
        venue_ms=checks.time_ms(entry.get("time"), "time"),
        price=price,
        size_usd=checks.size(price * size, "size of a trade"),
        buyer_takes=checks.is_buy(entry.get("side"), "side"),
        trade_id=str(entry.get("tid") or ""),
    )


def complaint(body: object) -> MargraveError | None:
    """Null for a coin that is not listed; of the websocket {"channel": "error", "data": text}."""
    if body is None:
        return Rejected(
            Rejection.VENUE_ERROR, "hyperliquid: null, which is its answer about a coin that it does not list"
        )
    if isinstance(body, dict) and body.get("channel") == "error":
        message = str(body.get("data"))[:120]
        if "rate limit" in message.lower() or "too many" in message.lower():
            return VenueTrouble(Trouble.RATE_LIMITED, f"hyperliquid: {message}")
        return Rejected(Rejection.VENUE_ERROR, f"hyperliquid: {message}")
    if isinstance(body, dict) and isinstance(error := body.get("error"), str):
        return Rejected(Rejection.VENUE_ERROR, f"hyperliquid: {error[:120]}")
    return None


def about(body: object) -> tuple[str, bool]:
    rows: Sequence[object] = body if isinstance(body, list) else [body]
    entry = rows[0] if rows else None
    name = (entry.get("coin") or entry.get("s")) if isinstance(entry, dict) else None
    return (name, is_perpetual(name)) if isinstance(name, str) else ("", False)
