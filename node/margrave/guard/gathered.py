"""Readings sorted by market: the newest of each slot, from sources that have a say, each sound by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from margrave.guard import checks
from margrave.messages import (
    EVERY_MARKET,
    SEVERAL_OF_ONE_SOURCE,
    AnyReading,
    BarsReading,
    BookReading,
    ChainReading,
    HealthReading,
    Kind,
    LiquidationsReading,
    NoticeReading,
    PoolReading,
    Refusal,
    ScalarReading,
    Slot,
    TradesReading,
)
from margrave.settings import GuardPolicy, MarketSettings
from margrave.verdicts import Rejection

MOODS: Final = "sentiment"
VENUES_ONLY: Final = (BookReading, BarsReading, ChainReading, TradesReading)


@dataclass(slots=True)
class Gathered:
    """What was said about one market this round."""

    scalars: dict[Kind, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """Kind -> who says so (the source; with the instrument where one source tells several) -> (value, age_s)."""
    books: dict[bool, dict[str, tuple[BookReading, float]]] = field(default_factory=dict)
    """Perpetual? -> source -> (book, age_s)."""
    histories: dict[str, BarsReading] = field(default_factory=dict)
    trades: dict[bool, dict[str, TradesReading]] = field(default_factory=dict)
    chains: list[ChainReading] = field(default_factory=list)
    liquidations: list[LiquidationsReading] = field(default_factory=list)
    health: list[HealthReading] = field(default_factory=list)
    pools: list[PoolReading] = field(default_factory=list)
    notices: list[NoticeReading] = field(default_factory=list)

    def values(self, kind: Kind) -> list[float]:
        """What all say of one kind, in the order of their names."""
        return [value for _, (value, _) in sorted(self.scalars.get(kind, {}).items())]

    def book_of(self, source: str) -> BookReading | None:
        """The deeper of a venue's books: where its traders would go to close."""
        found = [side[source][0] for side in self.books.values() if source in side]
        return max(found, key=checks.depth_usd) if found else None


def gather(
    readings: Iterable[AnyReading], markets: Mapping[str, MarketSettings], now_ms: int, policy: GuardPolicy
) -> tuple[dict[str, Gathered], list[Refusal]]:
    """By market what is sound by itself, and what is refused. Order and repeats of `readings` change nothing."""
    found = {name: Gathered() for name in markets}
    refusals: list[Refusal] = []
    for reading in _newest(readings):
        wrong = _stranger(reading, markets) or checks.flaw(reading, now_ms, policy)
        if wrong is not None:
            refusals.append(_refuse(reading, wrong))
            continue
        for name in markets if reading.market == EVERY_MARKET else (reading.market,):
            _place(reading, found[name], checks.age_s(reading, now_ms))
    return found, refusals


def _newest(readings: Iterable[AnyReading]) -> list[AnyReading]:
    """One reading a slot, in the order of the slots; ties of time are broken by content, never by arrival."""
    standing: dict[Slot, AnyReading] = {}
    for reading in readings:
        slot = reading.slot
        other = standing.get(slot)
        if other is None or _newer(reading, than=other):
            standing[slot] = reading
    return [standing[slot] for slot in sorted(standing)]


def _newer(reading: AnyReading, than: AnyReading) -> bool:
    times = [(r.venue_time_ms, r.seen_time_ms) for r in (reading, than)]
    if times[0] != times[1]:
        return times[0] > times[1]
    # msgpack keeps what JSON does not: a NaN is no null
    return reading is not than and msgspec.msgpack.encode(reading) > msgspec.msgpack.encode(than)


def observes(source: str) -> bool:
    """Whether a source is one that no market lists: watchers of chains ("chain:31337", "aave_v3:1", "chainlink:10") and
    of moods. They are heard on what only they can know, and have no vote on a price. The names are this node's own,
    never what anybody says of himself."""
    kind, _, where = source.partition(":")
    return kind == MOODS or (where.isascii() and where.isdigit())


def _stranger(reading: AnyReading, markets: Mapping[str, MarketSettings]) -> checks.Flaw | None:
    """A source nobody listed would count as an independent venue: whoever can add names could outvote the others."""
    observer = observes(reading.source)
    if observer and reading.market == EVERY_MARKET and not isinstance(reading, VENUES_ONLY):
        return None
    if reading.market not in markets:
        return checks.Flaw(Rejection.WRONG_INSTRUMENT, "a market that is not watched")
    if observer:
        return (
            checks.Flaw(Rejection.WRONG_INSTRUMENT, "only a venue has books, bars, trades and option chains")
            if isinstance(reading, VENUES_ONLY)
            else None
        )
    if markets[reading.market].names_at(reading.source) is None:
        return checks.Flaw(Rejection.WRONG_INSTRUMENT, "a source that is not listed for this market")
    return None


def _place(reading: AnyReading, market: Gathered, age_s: float) -> None:
    match reading:
        case ScalarReading():
            several = reading.kind in SEVERAL_OF_ONE_SOURCE
            who = f"{reading.source} {reading.instrument}" if several else reading.source
            market.scalars.setdefault(reading.kind, {})[who] = (reading.value, age_s)
        case BookReading():
            market.books.setdefault(reading.perpetual, {})[reading.source] = (reading, age_s)
        case BarsReading():
            # one history a venue: spot where there is one, as for the price
            if not reading.perpetual or reading.source not in market.histories:
                market.histories[reading.source] = reading
        case TradesReading():
            market.trades.setdefault(reading.perpetual, {})[reading.source] = reading
        case ChainReading():
            market.chains.append(reading)
        case LiquidationsReading():
            market.liquidations.append(reading)
        case HealthReading():
            market.health.append(reading)
            market.scalars.setdefault(Kind.LENDING_DEBT, {})[lender(reading)] = (sum(reading.debt_usd), age_s)
        case PoolReading():
            market.pools.append(reading)
        case NoticeReading():
            market.notices.append(reading)


def lender(health: HealthReading) -> str:
    """Who says it, as scalars of the same protocol are told."""
    return f"{health.source} {health.instrument}"


def _refuse(reading: AnyReading, flaw: checks.Flaw) -> Refusal:
    return Refusal(
        source=reading.source, market=reading.market, what=reading.what, reason=flaw.reason, detail=flaw.detail
    )
