"""Readings for any number of markets: a drill's first hours as the five adapters read them, under as many names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx2
import msgspec

from margrave.collect.board import Board
from margrave.collect.poller import Poller
from margrave.collect.venues import VENUES
from margrave.lab.feed.scenario import load_scenario
from margrave.lab.feed.server import Feed
from margrave.messages import AnyReading
from margrave.ops.clock import Clock
from margrave.settings import PROJECT_ROOT, MarketSettings, Settings, VenueSettings

SCENARIO: Final = PROJECT_ROOT / "config" / "scenarios" / "may-2021.toml"
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Workload:
    """One round's readings and the markets they are of."""

    round: int
    as_of_ms: int
    readings: tuple[AnyReading, ...]
    markets: Mapping[str, MarketSettings]


async def workload(settings: Settings, count: int, *, hours: int = 6) -> Workload:
    """`count` markets `hours` into the drill: those of the settings, then copies of them under names of their own."""
    tape = load_scenario(SCENARIO)
    period_ms = settings.policy.round.period_s * 1000
    round_ = (tape.start_ms + hours * HOUR_MS) // period_ms
    as_of_ms = round_ * period_ms
    clock = Clock(origin_ms=as_of_ms, wall_origin_ms=0, speed=0.0)
    feed, board = Feed(tape, settings.markets, now_ms=clock.now_ms), Board()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=feed.app())) as client:
        for name, venue in VENUES.items():
            asked = VenueSettings(base_url=f"http://venues/{name}", requests_per_minute=60_000)
            await Poller(venue, asked, settings.markets, board=board, clock=clock).poll(client)
    originals = tuple(settings.markets)
    readings: dict[str, list[AnyReading]] = {name: [] for name in originals}
    for reading in board.readings():
        readings[reading.market].append(reading)
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
