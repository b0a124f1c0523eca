"""The guard's one call: the readings of a round become the snapshot that the node vouches for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from margrave.guard import agreement, bars, breaker, checks
from margrave.guard.agreement import Agreement, VenuePrice
from margrave.guard.memory import Memory, Remembered, remember
from margrave.messages import (
    AnyReading,
    BarsReading,
    BookReading,
    ChainReading,
    Kind,
    MarketHold,
    MarketSnapshot,
    OptionQuote,
    Refusal,
    ScalarReading,
    Slot,
    Snapshot,
    SourcePrice,
)
from margrave.settings import GuardPolicy, MarketSettings
from margrave.verdicts import HoldReason, Rejection

__all__ = ["Memory", "take"]


@dataclass(slots=True)
class _Market:
    """Scratch space of one market while its round is judged."""

    scalars: dict[Kind, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """Kind -> source -> (value, age in seconds)."""
    books: dict[bool, dict[str, tuple[BookReading, float]]] = field(default_factory=dict)
    """Perpetual? -> source -> (book, age in seconds)."""
    histories: dict[str, BarsReading] = field(default_factory=dict)
    chains: list[ChainReading] = field(default_factory=list)


def take(
    round_: int,
    as_of_ms: int,
    readings: Sequence[AnyReading],
    markets: Mapping[str, MarketSettings],
    policy: GuardPolicy,
    memory: Memory,
) -> tuple[Snapshot, Memory]:
    """Judge one round's readings as of `as_of_ms`.

    The order of `readings` and repeats in it change nothing: the newest reading of each slot stands. Every reading
    that is dropped is in `refusals` with its reason and numbers; every market is either in `markets` or in `holds`.
    """
    found, refusals = _sort(readings, markets, as_of_ms, policy)
    past = memory.by_market()
    snapshots: list[MarketSnapshot] = []
    holds: list[MarketHold] = []
    remembered: list[Remembered] = []
    for name in markets:
        judged = _judge(name, found[name], past.get(name, {}), as_of_ms, policy)
        refusals.extend(judged.refusals)
        remembered.extend(judged.remembered)
        if isinstance(judged.verdict, MarketHold):
            holds.append(judged.verdict)
        else:
            snapshots.append(judged.verdict)
    snapshot = Snapshot(
        round=round_,
        as_of_ms=as_of_ms,
        markets=tuple(snapshots),
        holds=tuple(holds),
        refusals=tuple(sorted(set(refusals), key=lambda r: (r.market, r.source, r.what, r.reason, r.detail))),
    )
    return snapshot, Memory(venues=tuple(remembered))


# --- from readings to markets ---------------------------------------------------------------------------------------


def _sort(
    readings: Iterable[AnyReading], markets: Mapping[str, MarketSettings], now_ms: int, policy: GuardPolicy
) -> tuple[dict[str, _Market], list[Refusal]]:
    found = {name: _Market() for name in markets}
    refusals: list[Refusal] = []
    for reading in _newest(readings):
        if (stranger := _stranger(reading, markets)) is not None:
            refusals.append(_refuse(reading, stranger))
        elif (flaw := checks.flaw(reading, now_ms, policy)) is not None:
            refusals.append(_refuse(reading, flaw))
        else:
            _place(reading, found[reading.market], checks.age_s(reading, now_ms))
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
    return times[0] > times[1] or (times[0] == times[1] and repr(reading) > repr(than))


def _stranger(reading: AnyReading, markets: Mapping[str, MarketSettings]) -> checks.Flaw | None:
    """A source nobody listed would count as an independent venue: whoever can add names could outvote the others."""
    if reading.market not in markets:
        return checks.Flaw(Rejection.WRONG_INSTRUMENT, "a market that is not watched")
    if reading.source not in markets[reading.market].instruments and not reading.source.startswith("chain:"):
        return checks.Flaw(Rejection.WRONG_INSTRUMENT, "a source that is not listed for this market")
    return None


def _place(reading: AnyReading, market: _Market, age_s: float) -> None:
    match reading:
        case ScalarReading():
            market.scalars.setdefault(reading.kind, {})[reading.source] = (reading.value, age_s)
        case BookReading():
            market.books.setdefault(reading.perpetual, {})[reading.source] = (reading, age_s)
        case BarsReading():
            # one history a venue: spot where there is one, as for the price
            if not reading.perpetual or reading.source not in market.histories:
                market.histories[reading.source] = reading
        case ChainReading():
            market.chains.append(reading)
        case _:
            pass


def _refuse(reading: AnyReading, flaw: checks.Flaw) -> Refusal:
    return Refusal(
        source=reading.source,
        market=reading.market,
        what=reading.what,
        reason=flaw.reason,
        detail=flaw.detail,
    )


# --- one market -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Judged:
    verdict: MarketSnapshot | MarketHold
    refusals: list[Refusal]
    remembered: list[Remembered]


def _judge(name: str, market: _Market, past: Mapping[str, Remembered], now_ms: int, policy: GuardPolicy) -> _Judged:
    venues = _venue_prices(market)
    prices = {v.source: v.price for v in venues}
    frozen = breaker.frozen(prices, past, now_ms, policy)
    alive = [v for v in venues if v.source not in frozen]
    lone = breaker.unconfirmed({v.source: v.price for v in alive}, past, now_ms, policy)
    believed = [v for v in alive if v.source not in lone]
    refusals = [
        *_price_refusals(name, frozen, Rejection.FROZEN),
        *_price_refusals(name, lone, Rejection.BREAKER),
    ]
    agreed = agreement.agree(venues, believed, policy) if believed and 2 * len(frozen) < len(venues) else None
    if agreed is not None:
        refusals += _price_refusals(name, agreed.outliers, Rejection.OUTLIER)
    if agreed is None or len(agreed.weights) < policy.min_sources:
        kept = 0 if agreed is None else len(agreed.weights)
        refused = ", ".join(f"{r.source} {r.reason}" for r in refusals)
        detail = f"{kept} of {policy.min_sources} venues needed agree" + (f" (refused: {refused})" if refused else "")
        hold = MarketHold(market=name, reason=HoldReason.TOO_FEW_SOURCES, detail=detail)
        return _Judged(hold, refusals, remember(name, prices, past, None, frozenset(), now_ms))
    remembered = remember(name, prices, past, agreed.price, agreed.weights.keys(), now_ms)
    history, bad_bars = bars.consensus({s: r.bars for s, r in market.histories.items()}, now_ms, policy.min_sources)
    refusals += [_part_refusal(source, name, "bars", counts) for source, counts in bad_bars.items()]
    if len(history) < policy.min_bars:
        detail = f"{len(history)} closed hourly bars that enough venues share, {policy.min_bars} needed"
        hold = MarketHold(market=name, reason=HoldReason.TOO_LITTLE_HISTORY, detail=detail)
        return _Judged(hold, refusals, remembered)
    quotes, chain_age_s, chain_refusals = _chain(name, market, agreed.price, now_ms)
    books = _best_books(market, agreed.weights.keys())
    perpetuals = _perpetual_prices(market)
    snapshot = MarketSnapshot(
        market=name,
        price=agreed.price,
        sources=_source_prices(venues, agreed),
        half_spread=agreement.median_or_none([(b.ask - b.bid) / 2 / checks.mid(b) for b in books]),
        depth_usd=agreement.capped_sum([checks.depth_usd(b) for b in books]),
        perp_basis=agreement.median_or_none([p / agreed.price - 1 for p in perpetuals]),
        funding_8h=agreement.median_or_none(_values(market, Kind.FUNDING_8H)),
        open_interest_usd=agreement.capped_sum(_values(market, Kind.OPEN_INTEREST)),
        vol_index=agreement.median_or_none(_values(market, Kind.VOL_INDEX)),
        collateral_ratio=agreement.median_or_none(_values(market, Kind.COLLATERAL_RATIO)),
        bars=history,
        quotes=quotes,
        chain_age_s=chain_age_s,
    )
    return _Judged(snapshot, refusals + chain_refusals, remembered)


def _venue_prices(market: _Market) -> list[VenuePrice]:
    """One price a venue, ascending by name: spot mid, else its index, else the perpetual's mid, else its mark.

    An index (Deribit's) is itself made of other venues: it counts as one source all the same, because it cannot be
    moved by fewer of them than its own rule tolerates.
    """
    found: dict[str, VenuePrice] = {}

    def from_books(*, perpetual: bool) -> None:
        for source, (book, age) in market.books.get(perpetual, {}).items():
            found.setdefault(source, VenuePrice(source, checks.mid(book), checks.depth_usd(book), age))

    def from_scalars(kind: Kind) -> None:
        for source, (value, age) in market.scalars.get(kind, {}).items():
            if not source.startswith("chain:"):
                found.setdefault(source, VenuePrice(source, value, None, age))

    from_books(perpetual=False)
    from_scalars(Kind.INDEX_PRICE)
    from_books(perpetual=True)
    from_scalars(Kind.MARK_PRICE)
    return [found[source] for source in sorted(found)]


def _best_books(market: _Market, kept: Iterable[str]) -> list[BookReading]:
    """The deepest book of each venue that was kept: where its traders would go to close."""
    sides = market.books.values()
    offered = [[side[source][0] for side in sides if source in side] for source in sorted(kept)]
    return [max(books, key=checks.depth_usd) for books in offered if books]


def _perpetual_prices(market: _Market) -> list[float]:
    marks = {source: value for source, (value, _) in market.scalars.get(Kind.MARK_PRICE, {}).items()}
    mids = {source: checks.mid(book) for source, (book, _) in market.books.get(True, {}).items()}
    return [price for _, price in sorted((mids | marks).items())]


def _values(market: _Market, kind: Kind) -> list[float]:
    return [value for _, (value, _) in sorted(market.scalars.get(kind, {}).items())]


def _source_prices(venues: Sequence[VenuePrice], agreed: Agreement) -> tuple[SourcePrice, ...]:
    return tuple(
        SourcePrice(
            source=v.source,
            price=v.price,
            weight=agreed.weights[v.source],
            distance_bp=(v.price / agreed.price - 1) / agreement.BP,
            age_s=v.age_s,
        )
        for v in venues
        if v.source in agreed.weights
    )


def _chain(
    name: str, market: _Market, price: float, now_ms: int
) -> tuple[tuple[OptionQuote, ...], float | None, list[Refusal]]:
    """The newest option chain's sound quotes, its age in seconds, and what was dropped from it."""
    if not market.chains:
        return (), None, []
    chain = max(market.chains, key=lambda c: (c.venue_time_ms, c.source))
    quotes, dropped = checks.sound_quotes(chain.quotes, now_ms, price)
    refusals = [_part_refusal(chain.source, name, "quotes", dropped)] if dropped else []
    return quotes, (checks.age_s(chain, now_ms) if quotes else None), refusals


def _price_refusals(market: str, details: Mapping[str, str], reason: Rejection) -> list[Refusal]:
    return [
        Refusal(source=source, market=market, what="price", reason=reason, detail=detail)
        for source, detail in sorted(details.items())
    ]


def _part_refusal(source: str, market: str, what: str, counts: Mapping[Rejection, int]) -> Refusal:
    """One row for all the bars or quotes dropped from a reading that is otherwise kept, under the commonest reason."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    detail = "dropped " + ", ".join(f"{count} {reason}" for reason, count in ordered)
    return Refusal(source=source, market=market, what=what, reason=ordered[0][0], detail=detail)
