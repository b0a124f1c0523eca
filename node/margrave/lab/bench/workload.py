"""Readings for any number of markets: a drill's first hours as the five adapters read them, under as many names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from margrave.collect.chains.lending.health import EDGES, Position, distribution, health_factor
from margrave.collect.source import Asked
from margrave.collect.venues import VENUES
from margrave.lab.feed.lender import BLOCK_S, CHAIN_ID, THRESHOLD_BP
from margrave.lab.feed.scenario import load_scenario
from margrave.lab.feed.server import Feed
from margrave.lab.feed.venues import DIALECTS
from margrave.messages import AnyReading, Contract, HealthReading, Kind, Refusal, ScalarReading
from margrave.settings import PROJECT_ROOT, MarketSettings, Settings
from margrave.spans import HOUR_MS

SCENARIO: Final = PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml"
HISTORY_BARS: Final = 720


@dataclass(frozen=True, slots=True)
class Workload:
    """One round's readings and the markets they are of."""

    round: int
    as_of_ms: int
    readings: tuple[AnyReading, ...]
    markets: Mapping[str, MarketSettings]


def workload(settings: Settings, count: int, *, hours: int = 6) -> Workload:
    """`count` markets `hours` into the drill: those of the settings, then copies of them under names of their own."""
    tape = load_scenario(SCENARIO)
    period_ms = settings.policy.round.period_s * 1000
    round_ = (tape.start_ms + hours * HOUR_MS) // period_ms
    as_of_ms = round_ * period_ms
    feed = Feed(tape, settings.markets, now_ms=lambda: as_of_ms)
    originals = tuple(settings.markets)
    readings = {name: _heard(feed, name, market, as_of_ms) for name, market in settings.markets.items()}
    names = {
        originals[i] if i < len(originals) else f"{originals[i % len(originals)]}-{i}": originals[i % len(originals)]
        for i in range(count)
    }
    return Workload(
        round=round_,
        as_of_ms=as_of_ms,
        readings=tuple(
            msgspec.structs.replace(reading, market=name) for name, like in names.items() for reading in readings[like]
        ),
        markets={
            name: settings.markets[like].model_copy(update={"id": i}) for i, (name, like) in enumerate(names.items())
        },
    )


def _whole_history(market: str, *, perpetual: bool) -> int:  # noqa: ARG001 - what a venue asks of a board
    return HISTORY_BARS


def _heard(feed: Feed, name: str, market: MarketSettings, as_of_ms: int) -> list[AnyReading]:
    """What the adapters make of every answer of every venue about one market."""
    heard: list[AnyReading] = []
    for source, names in market.instruments.items():
        if source not in DIALECTS:
            continue  # a venue that drills do not play
        venue = VENUES[source]
        requests = venue.requests(name, names, as_of_ms, _whole_history)
        mark: float | None = None
        for request in sorted(requests, key=lambda request: request.needs_mark):
            query = {key: str(value) for key, value in request.params.items()}
            _, body = feed.answer(source, request.path, query, as_of_ms)
            asked = Asked(
                source=source,
                market=name,
                instrument=request.instrument,
                seen_ms=as_of_ms,
                perpetual=request.perpetual,
                bar_ms=HOUR_MS,
                mark_price=mark,
            )
            said = [
                item for item in venue.read(request.endpoint, asked, body) if not isinstance(item, Refusal | Contract)
            ]
            mark = next((x.value for x in said if isinstance(x, ScalarReading) and x.kind is Kind.MARK_PRICE), mark)
            heard += said
    return [*heard, _lent(feed, name, as_of_ms)]


def _lent(feed: Feed, market: str, as_of_ms: int) -> HealthReading:
    """What the lab's lending protocol has lent against a market, as the watcher would tell it."""
    lender, price = feed.lender, feed.tape.price(market, as_of_ms)
    book, step = lender.books[market], lender.step(as_of_ms // 1000 // BLOCK_S)
    held = zip(book.accounts, book.debts_usd[step], book.coins[step] * price, strict=True)
    shared = distribution(
        [
            Position(
                account, health_factor(usd * THRESHOLD_BP / 10_000, float(debt)), float(debt), {market: float(usd)}
            )
            for account, debt, usd in held
        ],
        [market],
    )
    return HealthReading(
        source=f"aave_v3:{CHAIN_ID}",
        market=market,
        instrument="aave_v3",
        venue_time_ms=as_of_ms,
        seen_time_ms=as_of_ms,
        protocol="aave_v3",
        edges=EDGES,
        debt_usd=shared.debt_usd,
        collateral_usd=shared.collateral_usd,
        concentration=shared.concentration,
        block=as_of_ms // 1000 // BLOCK_S,
    )
