"""From checked parts to readings. A bad row refuses itself, not its neighbours; a bad book level refuses the book."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

import numpy as np

from margrave.collect import checks
from margrave.collect.books.levels import levels
from margrave.collect.books.measures import Measures, Valued, measure
from margrave.collect.source import Asked, Item
from margrave.collect.stream import Liquidation, Trade
from margrave.errors import Rejected
from margrave.messages import (
    Bar,
    BarsReading,
    BookReading,
    ChainReading,
    Contract,
    Kind,
    LiquidationsReading,
    OptionQuote,
    Refusal,
    ScalarReading,
    TradesReading,
)
from margrave.verdicts import Rejection

MAX_GREEK: Final = 1e9
MAX_RATIO: Final = 1_000.0
"""Of longs to shorts, or buys to sells: beyond this one side is nobody, and the ratio says nothing."""

RowT = TypeVar("RowT")
MadeT = TypeVar("MadeT")

_CHECKS: Final[Mapping[Kind, Callable[[object, str], float]]] = {
    Kind.INDEX_PRICE: checks.price,
    Kind.MARK_PRICE: checks.price,
    Kind.FUNDING_8H: lambda value, what: checks.within(value, what, -checks.MAX_FUNDING_8H, checks.MAX_FUNDING_8H),
    Kind.OPEN_INTEREST: checks.size,
    Kind.VOL_INDEX: lambda value, what: checks.within(value, what, 0.01, 10.0),
    Kind.LONG_SHORT_RATIO: lambda value, what: checks.within(value, what, 0.0, MAX_RATIO),
    Kind.TOP_LONG_SHORT_RATIO: lambda value, what: checks.within(value, what, 0.0, MAX_RATIO),
    Kind.TAKER_RATIO: lambda value, what: checks.within(value, what, 0.0, MAX_RATIO),
    Kind.OPTION_OPEN_INTEREST: checks.size,
    Kind.DELIVERY_PRICE: checks.price,
}


def scalars(asked: Asked, venue_ms: int, values: Mapping[Kind, object]) -> Iterator[Item]:
    """One reading for each value that is there and sound, one refusal for each that is there and not."""
    for kind, value in values.items():
        if checks.absent(value):
            continue
        try:
            yield _scalar(asked, venue_ms, kind, value, asked.instrument)
        except Rejected as rejected:
            yield asked.refusal(kind.value, rejected)


def _scalar(asked: Asked, venue_ms: int, kind: Kind, value: object, instrument: str) -> ScalarReading:
    return ScalarReading(
        source=asked.source,
        market=asked.market or instrument,
        instrument=instrument,
        venue_time_ms=venue_ms,
        seen_time_ms=asked.seen_ms,
        kind=kind,
        value=_CHECKS[kind](value, kind.value),
    )


def scaled(value: object, factor: float, what: str) -> float | None:
    """A figure in another unit, absent where the venue sends none."""
    return None if checks.absent(value) else checks.number(value, what) * factor


def book(
    asked: Asked, venue_ms: int, bids: object, asks: object, *, unit_coins: float = 1.0, sizes_in_usd: bool = False
) -> BookReading:
    """A whole book as one answer gives it: top, depth by distance, slope, and the cost of the market's reference size.

    Args:
        bids, asks: lists of [price, size, ...], in any order.
        unit_coins: coins in one unit of size, where sizes are contracts; dollars where `sizes_in_usd`.
        sizes_in_usd: sizes are dollars (Deribit's inverse perpetuals) or contracts of so many (Binance's).
    """
    bid_side = _valued(sorted(_levels(bids, "bids"), reverse=True), unit_coins, sizes_in_usd=sizes_in_usd)
    ask_side = _valued(sorted(_levels(asks, "asks")), unit_coins, sizes_in_usd=sizes_in_usd)
    bid, ask = float(bid_side.prices[0]), float(ask_side.prices[0])
    if bid >= ask:
        raise Rejected(Rejection.CROSSED_BOOK, f"bid {bid:g} is not below ask {ask:g}")
    return measured(asked, venue_ms, measure(bid_side, ask_side, asked.reference_usd))


def _valued(best_first: list[tuple[float, float]], unit_coins: float, *, sizes_in_usd: bool) -> Valued:
    """A side of an answer, known as far as the answer reaches."""
    prices, sizes = np.array(best_first).T
    return Valued.of(prices, sizes, best_first[-1][0], unit=unit_coins, sizes_in_usd=sizes_in_usd)


def measured(asked: Asked, venue_ms: int, measures: Measures) -> BookReading:
    """A book by its measures; refused where they are beyond any market."""
    return BookReading(
        source=asked.source,
        market=asked.market,
        instrument=asked.instrument,
        venue_time_ms=venue_ms,
        seen_time_ms=asked.seen_ms,
        perpetual=asked.perpetual,
        bid=checks.price(measures.bid, "best bid"),
        ask=checks.price(measures.ask, "best ask"),
        bid_depth_usd=checks.size(measures.bid_depth_usd, "bid depth"),
        ask_depth_usd=checks.size(measures.ask_depth_usd, "ask depth"),
        bands=measures.bands,
        imbalance=measures.imbalance,
        slope_usd_per_bp=measures.slope_usd_per_bp,
        impact_buy=measures.impact_buy,
        impact_sell=measures.impact_sell,
    )


def _levels(side: object, what: str) -> list[tuple[float, float]]:
    checks.sequence(side, what, least=1)
    held = [level for level in levels(side, what) if level[1] > 0]
    if not held:
        raise Rejected(Rejection.EMPTY, f"{what} have no level with a size")
    return held


def bars(asked: Asked, venue_ms: int, rows: Iterable[RowT], parse: Callable[[RowT], Bar]) -> Iterator[Item]:
    """Candles in ascending order, the last of two with one open time; bad candles are refused together."""
    kept, refusals = _each(asked, "bars", rows, parse)
    by_time = {bar.open_time_ms: bar for bar in kept}
    if asked.bar_ms and (stray := next((t for t in by_time if t % asked.bar_ms), None)) is not None:
        raise Rejected(Rejection.OUT_OF_RANGE, f"a candle opens at {stray}: not every {asked.bar_ms // 1000} s")
    if by_time:
        yield BarsReading(
            source=asked.source,
            market=asked.market,
            instrument=asked.instrument,
            venue_time_ms=venue_ms,
            seen_time_ms=asked.seen_ms,
            perpetual=asked.perpetual,
            bars=tuple(by_time[t] for t in sorted(by_time)),
        )
    yield from refusals


def bar(open_time_ms: int, open_: object, high: object, low: object, close: object, volume: object) -> Bar:
    """One candle whose extremes hold its ends."""
    made = Bar(
        open_time_ms=open_time_ms,
        open=checks.price(open_, "open"),
        high=checks.price(high, "high"),
        low=checks.price(low, "low"),
        close=checks.price(close, "close"),
        volume=checks.size(volume, "volume"),
    )
    if not made.low <= min(made.open, made.close) <= max(made.open, made.close) <= made.high:
        raise Rejected(
            Rejection.OUT_OF_RANGE,
            f"candle {open_time_ms}: open {made.open:g}, close {made.close:g} outside [{made.low:g}, {made.high:g}]",
        )
    return made


def chain(asked: Asked, venue_ms: int, rows: Iterable[RowT], parse: Callable[[RowT], OptionQuote]) -> Iterator[Item]:
    """A whole chain, ordered by expiry, strike, put before call; bad rows are refused together, by reason."""
    quotes, refusals = _each(asked, "chain", rows, parse)
    if quotes:
        yield ChainReading(
            source=asked.source,
            market=asked.market,
            instrument=asked.instrument,
            venue_time_ms=venue_ms,
            seen_time_ms=asked.seen_ms,
            quotes=tuple(sorted(quotes, key=lambda q: (q.expiry_ms, q.strike, q.is_call))),
        )
    yield from refusals


def trades(asked: Asked, rows: Iterable[RowT], parse: Callable[[RowT], Trade]) -> Iterator[Item]:
    """The trades of one answer, summed; an answer about several instruments gives one reading each. Bad rows are
    refused together. `venue_time_ms` is the last trade's."""
    kept, refusals = _each(asked, "trades", rows, parse)
    by_instrument: dict[str, list[Trade]] = {}
    for trade in kept:
        by_instrument.setdefault(trade.instrument, []).append(trade)
    for instrument, some in by_instrument.items():
        try:
            yield _summed(asked, instrument, sorted(some, key=lambda t: t.venue_ms))
        except Rejected as rejected:
            yield asked.refusal("trades", rejected)
    yield from refusals


def _summed(asked: Asked, instrument: str, some: list[Trade]) -> TradesReading:
    total_usd = checks.size(sum(t.size_usd for t in some), "volume")
    coins = sum(t.size_usd / t.price for t in some)
    if coins <= 0:
        raise Rejected(Rejection.EMPTY, f"{len(some)} trades of {instrument[:40]} without a size")
    low, high = min(t.price for t in some), max(t.price for t in some)
    return TradesReading(
        source=asked.source,
        market=asked.market or instrument,
        instrument=instrument,
        venue_time_ms=some[-1].venue_ms,
        seen_time_ms=asked.seen_ms,
        perpetual=some[-1].perpetual,
        from_ms=some[0].venue_ms,
        count=len(some),
        buy_usd=sum(t.size_usd for t in some if t.buyer_takes),
        sell_usd=sum(t.size_usd for t in some if not t.buyer_takes),
        low=low,
        high=high,
        last=some[-1].price,
        # Rounding may put a mean of equal prices a digit outside them.
        vwap=min(max(total_usd / coins, low), high),
    )


def liquidations(asked: Asked, rows: Iterable[RowT], parse: Callable[[RowT], Iterable[Liquidation]]) -> Iterator[Item]:
    """The positions closed by force that one answer lists, summed for each instrument; a row may be none, one or two
    (a trade between two of them)."""
    kept, refusals = _each(asked, "liquidations", rows, lambda row: tuple(parse(row)))
    by_instrument: dict[str, list[Liquidation]] = {}
    for closed in (one for row in kept for one in row):
        by_instrument.setdefault(closed.instrument, []).append(closed)
    for instrument, some in by_instrument.items():
        long_usd = checks.size(sum(x.size_usd for x in some if x.long), "longs closed")
        short_usd = checks.size(sum(x.size_usd for x in some if not x.long), "shorts closed")
        yield LiquidationsReading(
            source=asked.source,
            market=asked.market or instrument,
            instrument=instrument,
            venue_time_ms=max(x.venue_ms for x in some),
            seen_time_ms=asked.seen_ms,
            from_ms=min(x.venue_ms for x in some),
            count=len(some),
            long_usd=long_usd,
            short_usd=short_usd,
            largest_usd=max(x.size_usd for x in some),
        )
    yield from refusals


def contracts(
    asked: Asked, rows: Iterable[RowT], parse: Callable[[RowT], Contract], *, only: str = ""
) -> Iterator[Item]:
    """What a venue lists; of one instrument where `only` names it. Rows that cannot be read are refused together."""
    kept, refusals = _each(asked, "contracts", rows, parse)
    yield from (contract for contract in kept if contract.instrument == only or not only)
    yield from refusals


def many(asked: Asked, what: str, rows: Iterable[RowT], parse: Callable[[RowT], Item]) -> Iterator[Item]:
    """One item a row; bad rows are refused together, by reason."""
    kept, refusals = _each(asked, what, rows, parse)
    yield from kept
    yield from refusals


def history(
    asked: Asked, rows: Iterable[Mapping[str, object]], time: str, fields: Mapping[Kind, str], *, name: str = ""
) -> Iterator[Item]:
    """Past figures, ascending, each with its own time: what a backfill reads; a board keeps the last.

    Args:
        time, fields, name: the rows' keys of the time, of each figure, and of the instrument where rows say it.
    """

    def parse(row: Mapping[str, object]) -> list[ScalarReading]:
        venue_ms = checks.time_ms(row.get(time), time)
        if name:
            checks.same_instrument(row.get(name), asked.instrument, name)
        said = {kind: row.get(field) for kind, field in fields.items()}
        return [
            _scalar(asked, venue_ms, kind, value, str(row.get(name) or asked.instrument)[:40])
            for kind, value in said.items()
            if not checks.absent(value)
        ]

    kept, refusals = _each(asked, "history", rows, parse)
    yield from sorted((reading for some in kept for reading in some), key=lambda reading: reading.venue_time_ms)
    yield from refusals


def greek(value: object, what: str) -> float | None:
    """One sensitivity of an option, absent where the venue sends none; no option of a dollar's market reaches the
    bound."""
    return None if checks.absent(value) else checks.within(value, what, -MAX_GREEK, MAX_GREEK)


def _each(
    asked: Asked, what: str, rows: Iterable[RowT], parse: Callable[[RowT], MadeT]
) -> tuple[list[MadeT], list[Refusal]]:
    """Rows that parse, and one refusal a reason with how many and the first: 900 bad rows are not 900 lines."""
    kept: list[MadeT] = []
    bad: dict[Rejection, list[str]] = {}
    for row in rows:
        try:
            kept.append(parse(row))
        except Rejected as rejected:
            bad.setdefault(rejected.reason, []).append(rejected.problem)
    refusals = [
        asked.refusal(what, Rejected(reason, f"{len(problems)} rows of {what}; the first: {problems[0]}"))
        for reason, problems in bad.items()
    ]
    return kept, refusals
