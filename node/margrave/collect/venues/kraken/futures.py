"""Kraken futures answers (docs.kraken.com/api/docs/futures-api): tickers, orderbook, charts, instruments, history.

Funding comes as dollars a coin an hour (linear, PF_) or coins a dollar an hour (inverse, PI_): both are turned into a
fraction of the index for 8 hours. Sizes and open interest are coins (linear) or dollars (inverse).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from margrave.collect import checks, funding, readings
from margrave.collect.source import Asked, Item
from margrave.collect.stream import Liquidation, Trade
from margrave.errors import Rejected
from margrave.messages import Bar, Contract, ContractKind, Kind
from margrave.verdicts import Rejection

LIQUIDATION: Final = "liquidation"
"""A trade of this type closed a position by force: the taker's side is the liquidator's."""


def is_inverse(name: str, listed: Contract | None = None) -> bool:
    """Sizes are dollars: PI_ are perpetual, FI_ dated inverse contracts."""
    return listed.unit_usd is not None if listed is not None else name.upper().startswith(("PI_", "FI_"))


def is_perpetual(name: str) -> bool:
    return name.upper().startswith(("PF_", "PI_", "PV_"))


def parse_tickers(asked: Asked, body: object) -> Iterator[Item]:
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
    inverse = is_inverse(asked.instrument, asked.contract)
    values: dict[Kind, object] = {Kind.MARK_PRICE: mark, Kind.INDEX_PRICE: index}
    reference = mark if checks.absent(index) else index
    if not checks.absent(rate := ticker.get("fundingRate")) and not checks.absent(reference):
        try:
            dollars = checks.price(reference, "indexPrice")
            hourly = checks.number(rate, "fundingRate") * (dollars if inverse else 1 / dollars)
            values[Kind.FUNDING_8H] = hourly * 8
        except Rejected as rejected:
            yield asked.refusal(Kind.FUNDING_8H.value, rejected)
    yield from open_interest(asked, ticker.get("openInterest"), mark, values)
    yield from readings.scalars(asked, venue_ms, values)


def open_interest(asked: Asked, interest: object, mark: object, values: dict[Kind, object]) -> Iterator[Item]:
    """Into `values` in dollars, or a refusal: coins are worth the mark beside them, never another venue's."""
    inverse = is_inverse(asked.instrument, asked.contract)
    if checks.absent(interest) or (checks.absent(mark) and not inverse):
        return
    try:
        unit_usd = 1.0 if inverse else checks.price(mark, "markPrice")
        values[Kind.OPEN_INTEREST] = checks.size(interest, "openInterest") * unit_usd
    except Rejected as rejected:
        yield asked.refusal(Kind.OPEN_INTEREST.value, rejected)


def parse_orderbook(asked: Asked, body: object) -> Iterator[Item]:
    """/orderbook: {"orderBook": {"asks": [[price, size]], "bids"}, "serverTime"}."""
    answer = checks.mapping(body, "answer")
    entry = checks.mapping(answer.get("orderBook"), "orderBook")
    venue_ms = checks.time_ms(answer.get("serverTime"), "serverTime")
    dollars = is_inverse(asked.instrument, asked.contract)
    yield readings.book(asked, venue_ms, entry.get("bids"), entry.get("asks"), sizes_in_usd=dollars)


def parse_charts(asked: Asked, body: object) -> Iterator[Item]:
    """/charts/v1/trade: {"candles": [{"time", "open", "high", "low", "close", "volume"}]}, ascending."""
    rows = checks.sequence(checks.mapping(body, "answer").get("candles"), "candles", least=1)
    return readings.bars(asked, asked.seen_ms, rows, _chart)


def _chart(row: object) -> Bar:
    c = checks.mapping(row, "a candle")
    time_ms = checks.time_ms(c.get("time"), "time")
    return readings.bar(time_ms, c.get("open"), c.get("high"), c.get("low"), c.get("close"), c.get("volume"))


def parse_instruments(asked: Asked, body: object) -> Iterator[Item]:
    """/instruments: [{"symbol", "type", "contractSize", "tickSize", "tradeable", "lastTradingTime"?}]."""
    answer = checks.mapping(body, "answer")
    for row in checks.sequence(answer.get("instruments"), "instruments", least=1):
        try:
            entry = checks.mapping(row, "an instrument")
            if not asked.instrument or entry.get("symbol") == asked.instrument:
                yield _contract(asked, entry)
        except Rejected as rejected:
            yield asked.refusal("futures instruments", rejected)


def _contract(asked: Asked, entry: Mapping[str, object]) -> Contract:
    name, size, tick = checks.text(entry.get("symbol"), "symbol"), entry.get("contractSize"), entry.get("tickSize")
    unit = 1.0 if checks.absent(size) else checks.within(size, "contractSize", 1e-12, 1e12)
    inverse = entry.get("type") == "futures_inverse" or is_inverse(name)
    ends = entry.get("lastTradingTime")
    if is_perpetual(name):
        kind = ContractKind.PERPETUAL
    else:
        kind = ContractKind.OTHER if checks.absent(ends) else ContractKind.FUTURE
    return Contract(
        source=asked.source,
        instrument=name,
        seen_time_ms=asked.seen_ms,
        kind=kind,
        unit_coins=None if inverse else unit,
        unit_usd=unit if inverse else None,
        tick=None if checks.absent(tick) else checks.within(tick, "tickSize", 1e-18, 1e9),
        expiry_ms=None if checks.absent(ends) else checks.time_ms(ends, "lastTradingTime"),
        trading=entry.get("tradeable", True) is True,
    )


def parse_funding_history(asked: Asked, body: object) -> Iterator[Item]:
    """/historical-funding-rates: {"rates": [{"timestamp", "fundingRate", "relativeFundingRate"}]}, each hour."""

    def settled(row: object) -> tuple[int, float]:
        entry = checks.mapping(row, "a rate")
        at_ms = checks.time_ms(entry.get("timestamp"), "timestamp")
        return at_ms, checks.number(entry.get("relativeFundingRate"), "relativeFundingRate")

    rows = checks.sequence(checks.mapping(body, "answer").get("rates"), "rates", least=1)
    return funding.settled(asked, rows, settled, hours=1.0)


def parse_history(asked: Asked, body: object) -> Iterator[Item]:
    """/history: {"history": [{"time", "price", "size", "side", "type", "uid"}]}: the last trades, newest first."""
    rows = checks.sequence(checks.mapping(body, "answer").get("history"), "history", least=1)
    yield from readings.trades(asked, rows, lambda row: trade(_history_row(row), asked.instrument, asked.contract))
    yield from readings.liquidations(
        asked, rows, lambda row: liquidation(_history_row(row), asked.instrument, asked.contract)
    )


def _history_row(row: object) -> Mapping[str, object]:
    entry = checks.mapping(row, "a trade")
    return {**entry, "qty": entry.get("size")}


def parse_executions(asked: Asked, body: object) -> Iterator[Item]:
    """/executions: {"elements": [{"event": {"Execution": {"execution": {"price", "quantity", "timestamp", …}}}}]}."""

    def one(row: object) -> Trade:
        event = checks.mapping(checks.mapping(row, "an element").get("event"), "event")
        said = checks.mapping(checks.mapping(event.get("Execution"), "Execution").get("execution"), "execution")
        taker = checks.mapping(said.get("takerOrder"), "takerOrder")
        name = checks.text(taker.get("tradeable") or asked.instrument, "tradeable")
        checks.same_instrument(name, asked.instrument, "tradeable")
        fields = {**said, "qty": said.get("quantity"), "time": said.get("timestamp"), "side": taker.get("direction")}
        return trade(fields, name, asked.contract)

    return readings.trades(asked, checks.sequence(checks.mapping(body, "answer").get("elements"), "elements"), one)


def trade(entry: Mapping[str, object], name: str, listed: Contract | None) -> Trade:
    """One trade of an answer or of a push: {"price", "qty", "side" (the taker's), "time", "uid"}."""
    price, size = checks.price(entry.get("price"), "price"), checks.size(entry.get("qty"), "qty")
    return Trade(
        instrument=name,
        perpetual=is_perpetual(name),
        venue_ms=checks.time_ms(entry.get("time"), "time"),
        price=price,
        size_usd=checks.size(size if is_inverse(name, listed) else size * price, "size of a trade"),
        buyer_takes=checks.is_buy(entry.get("side"), "side"),
        trade_id=str(entry.get("uid") or ""),
    )


def liquidation(entry: Mapping[str, object], name: str, listed: Contract | None) -> Iterator[Liquidation]:
    """The same as a liquidation, where its type says that it is one: a forced sale closed a long."""
    if entry.get("type") == LIQUIDATION:
        made = trade(entry, name, listed)
        yield Liquidation(
            instrument=name,
            venue_ms=made.venue_ms,
            long=not made.buyer_takes,
            price=made.price,
            size_usd=made.size_usd,
        )
