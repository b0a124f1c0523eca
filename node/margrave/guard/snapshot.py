"""The guard's one call: the readings of a round become the snapshot that the node vouches for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from margrave.guard import agreement, anchors, bars, breaker, checks, jumps, levels, summary, winsor
from margrave.guard.agreement import Agreement, VenuePrice
from margrave.guard.gathered import Gathered, gather, lender, observes
from margrave.guard.memory import (
    Level,
    Memory,
    Remembered,
    RememberedMarket,
    doubted_hours,
    longer_path,
    remember,
)
from margrave.messages import (
    AnyReading,
    Bar,
    Doubted,
    Kind,
    MarketHold,
    MarketSnapshot,
    OptionQuote,
    Refusal,
    Snapshot,
    SourcePrice,
)
from margrave.settings import GuardPolicy, MarketSettings
from margrave.spans import HOUR_MS
from margrave.verdicts import Doubt, HoldReason, Rejection

__all__ = ["Memory", "take"]


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
    found, refusals = gather(readings, markets, as_of_ms, policy)
    venues, whole = memory.by_market(), memory.whole_markets()
    past = {name: _Past(venues.get(name, {}), whole.get(name) or RememberedMarket(market=name)) for name in markets}
    judged = [_judge(found[name], past[name], as_of_ms, policy) for name in markets]
    for one in judged:
        refusals.extend(one.refusals)
    snapshot = Snapshot(
        round=round_,
        as_of_ms=as_of_ms,
        markets=tuple(one.verdict for one in judged if isinstance(one.verdict, MarketSnapshot)),
        holds=tuple(one.verdict for one in judged if isinstance(one.verdict, MarketHold)),
        refusals=tuple(sorted(set(refusals), key=lambda r: (r.market, r.source, r.what, r.reason, r.detail))),
    )
    kept = Memory(
        venues=tuple(venue for one in judged for venue in one.remembered), markets=tuple(one.whole for one in judged)
    )
    return snapshot, kept


# --- one market -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Past:
    """What is remembered of one market."""

    venues: Mapping[str, Remembered]
    whole: RememberedMarket


@dataclass(frozen=True, slots=True)
class _Judged:
    verdict: MarketSnapshot | MarketHold
    refusals: list[Refusal]
    remembered: list[Remembered]
    whole: RememberedMarket


@dataclass(frozen=True, slots=True)
class _Agreed:
    """The first half of a verdict: what the venues say, taken together."""

    venues: list[VenuePrice]
    agreed: Agreement | None
    refusals: list[Refusal]
    doubts: list[Doubted]


def _judge(market: Gathered, past: _Past, now_ms: int, policy: GuardPolicy) -> _Judged:
    name = past.whole.market
    found = _agree(name, market, past.venues, now_ms, policy)
    refusals, agreed = list(found.refusals), found.agreed
    prices = {v.source: v.price for v in found.venues}
    price = None if agreed is None else agreed.price
    masked, standing = _mask_levels(market, past.whole, price, now_ms, policy)
    refusals += [
        Refusal(source=who.split(" ")[0], market=name, what=kind.value, reason=Rejection.BREAKER, detail=detail)
        for (kind, who), detail in sorted(masked.items())
    ]

    def remembering(verdict: MarketSnapshot | MarketHold, *, believed: bool = True, jump: jumps.Verdict) -> _Judged:
        """Of a price that is not believed nothing is remembered, so that what comes back finds its place."""
        agreed_price = price if believed else None
        accepted = agreed.weights.keys() if believed and agreed is not None else frozenset[str]()
        whole = RememberedMarket(
            market=name,
            path=longer_path(past.whole, agreed_price if jump.waiting is None else None, now_ms, settled=jump.settled),
            levels=standing,
            waiting=jump.waiting,
            disbelieved=doubted_hours(past.whole, jump.waiting, now_ms, settled=jump.settled),
        )
        return _Judged(verdict, refusals, remember(name, prices, past.venues, agreed_price, accepted, now_ms), whole)

    needed = policy.min_sources if policy.layers.quorum else 1
    if agreed is None or len(agreed.weights) < needed:
        kept = 0 if agreed is None else len(agreed.weights)
        refused = ", ".join(f"{r.source} {r.reason}" for r in found.refusals if r.what == "price")
        detail = f"{kept} of {needed} venues needed agree" + (f" (refused: {refused})" if refused else "")
        hold = MarketHold(market=name, reason=HoldReason.TOO_FEW_SOURCES, detail=detail)
        return remembering(hold, believed=False, jump=jumps.Verdict(waiting=past.whole.waiting))
    jump = jumps.judge(agreed.price, market, past.whole, now_ms, policy)
    if jump.hold is not None:
        hold = MarketHold(market=name, reason=HoldReason.UNCONFIRMED_JUMP, detail=jump.hold)
        return remembering(hold, believed=False, jump=jump)
    bound = partial(_bounded, price=agreed.price, disbelieved=past.whole.disbelieved, policy=policy)
    history, bad_bars = bars.consensus({s: r.bars for s, r in market.histories.items()}, now_ms, needed, bound)
    refusals += [_part_refusal(source, name, "bars", counts) for source, counts in bad_bars.items()]
    if len(history) < policy.min_bars:
        detail = f"{len(history)} closed hourly bars that enough venues share, {policy.min_bars} needed"
        return remembering(MarketHold(market=name, reason=HoldReason.TOO_LITTLE_HISTORY, detail=detail), jump=jump)
    quotes, chain_age_s, chain_refusals = _chain(name, market, agreed.price, now_ms)
    refusals += chain_refusals
    perpetuals = _perpetual_prices(market)
    doubts = [*found.doubts, *jump.doubts, *anchors.doubts(agreed.price, perpetuals, market, policy)]
    doubts += [
        Doubted(reason=Doubt.MASKED_LEVEL, detail=f"{kind} of {who} {detail}")
        for (kind, who), detail in sorted(masked.items())
        if len(market.scalars[kind]) < policy.min_sources  # otherwise enough others tell it, and none was needed
    ]
    books = [book for source in sorted(agreed.weights) if (book := market.book_of(source)) is not None]
    return remembering(
        MarketSnapshot(
            market=name,
            price=agreed.price,
            sources=_source_prices(found.venues, agreed),
            half_spread=agreement.median_or_none([(b.ask - b.bid) / 2 / checks.mid(b) for b in books]),
            depth_usd=agreement.capped_sum([checks.depth_usd(b) for b in books]),
            perp_basis=agreement.median_or_none([p / agreed.price - 1 for p in perpetuals]),
            funding_8h=agreement.median_or_none(market.values(Kind.FUNDING_8H)),
            open_interest_usd=levels.summed(Kind.OPEN_INTEREST, market.scalars, standing, now_ms),
            vol_index=agreement.median_or_none(market.values(Kind.VOL_INDEX)),
            collateral_ratio=agreement.median_or_none(market.values(Kind.COLLATERAL_RATIO)),
            bars=history,
            disbelieved=_within(history, doubted_hours(past.whole, jump.waiting, now_ms, settled=jump.settled)),
            quotes=quotes,
            chain_age_s=chain_age_s,
            doubts=tuple(doubts),
            twap=anchors.pools_twap(market) or jumps.own_twap(past.whole.path, now_ms) or agreed.price,
            **summary.of_books(books),
            **summary.of_flows(market, now_ms),
            **summary.of_observers(market),
        ),
        jump=jump,
    )


def _agree(name: str, market: Gathered, past: Mapping[str, Remembered], now_ms: int, policy: GuardPolicy) -> _Agreed:
    """What the venues agree on, after those are left out that repeat themselves or jump alone."""
    layers = policy.layers
    venues = _venue_prices(market)
    prices = {v.source: v.price for v in venues}
    frozen = breaker.frozen(prices, past, now_ms, policy) if layers.staleness else {}
    alive = [v for v in venues if v.source not in frozen]
    living = {v.source: v.price for v in alive}
    lone = breaker.unconfirmed(living, past, now_ms, policy) if layers.breaker else {}
    believed = [v for v in alive if v.source not in lone]
    refusals = [
        *_price_refusals(name, frozen, Rejection.FROZEN),
        *_price_refusals(name, lone, Rejection.BREAKER),
    ]
    agreed = agreement.agree(venues, believed, policy) if believed and 2 * len(frozen) < len(venues) else None
    if agreed is not None:
        refusals += _price_refusals(name, agreed.outliers, Rejection.OUTLIER)
    kept = {} if agreed is None else {source: prices[source] for source in agreed.weights}
    idle = breaker.idle(kept, past, now_ms, policy) if layers.staleness else None
    return _Agreed(venues, agreed, refusals, [Doubted(reason=Doubt.NOBODY_MOVES, detail=idle)] if idle else [])


def _mask_levels(
    market: Gathered, past: RememberedMarket, price: float | None, now_ms: int, policy: GuardPolicy
) -> tuple[Mapping[tuple[Kind, str], str], tuple[Level, ...]]:
    """Take the slow figures out of `market` that jump by themselves; returns them, and where the others now stand."""
    before = _by_key(past.levels)
    recent = [at for _, at in past.path]
    # without a price, or a past, nothing says that the price did not move
    move = max((abs(price / at - 1) for at in recent), default=0.0) if price is not None else 1.0
    masked = levels.lone_jumps(market.scalars, before, move, now_ms) if policy.layers.levels else {}
    standing = levels.remembered(market.scalars, before, masked, now_ms)
    for kind, who in masked:
        del market.scalars[kind][who]
    disbelieved = {who for kind, who in masked if kind in (Kind.HEALTH_AT_RISK, Kind.LENDING_DEBT)}
    market.health[:] = [health for health in market.health if lender(health) not in disbelieved]
    return masked, standing


def _by_key(standing: Iterable[Level]) -> dict[tuple[Kind, str], Level]:
    return {(level.kind, level.who): level for level in standing}


def _within(history: Sequence[Bar], hours: Iterable[int]) -> tuple[int, ...]:
    return tuple(at_ms for at_ms in hours if history[0].open_time_ms <= at_ms <= history[-1].open_time_ms)


def _bounded(
    fields: bars.Fields, first_ms: int, *, price: float, disbelieved: Sequence[int], policy: GuardPolicy
) -> bars.Fields:
    if not policy.layers.winsor:
        return fields
    rows = {(at_ms - first_ms) // HOUR_MS for at_ms in disbelieved}
    return winsor.winsorised(fields, price, policy.winsor_sigmas, policy.witness_volume, rows)[0]


def _venue_prices(market: Gathered) -> list[VenuePrice]:
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
            if not observes(source):
                found.setdefault(source, VenuePrice(source, value, None, age))

    from_books(perpetual=False)
    from_scalars(Kind.INDEX_PRICE)
    from_books(perpetual=True)
    from_scalars(Kind.MARK_PRICE)
    return [found[source] for source in sorted(found)]


def _perpetual_prices(market: Gathered) -> list[float]:
    marks = {source: value for source, (value, _) in market.scalars.get(Kind.MARK_PRICE, {}).items()}
    mids = {source: checks.mid(book) for source, (book, _) in market.books.get(True, {}).items()}
    return [price for _, price in sorted((mids | marks).items())]


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
    name: str, market: Gathered, price: float, now_ms: int
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
