"""A tape on real sockets and one node's collector asking it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from margrave.collect.collector import Collector
from margrave.lab.feed.server import Feed
from margrave.lab.feed.serving import serving
from margrave.lab.feed.tape import Tape
from margrave.lab.feed.venues import DIALECTS
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import (
    MARKETS_FILE,
    ChainSettings,
    KeySettings,
    NodeSettings,
    VenueSettings,
    load_markets,
)

MARKETS = load_markets(MARKETS_FILE)


def node_of(url: str, *, timeout_s: float = 5.0) -> NodeSettings:
    """A node whose venues all live under one address; nothing else of it is used."""
    venue = {
        name: VenueSettings(base_url=f"{url}/{name}", timeout_s=timeout_s, requests_per_minute=60_000)
        for name in DIALECTS
    }
    keys = KeySettings(keystore=Path("unused"), passphrase_file=Path("unused"))
    chain = ChainSettings(rpc=["http://unused"], chain_id=1, oracle="unused")
    return NodeSettings(name="bench", state_dir=Path("unused"), keys=keys, chain=chain, venues=venue)


@dataclass(frozen=True, slots=True)
class Bench:
    feed: Feed
    clock: Clock
    collector: Collector


@asynccontextmanager
async def bench(
    tape: Tape, at_ms: int, *, timeout_s: float = 5.0, interval_s: float = 0.3, only: str | None = None
) -> AsyncIterator[Bench]:
    """Server and collector (of all markets or `only` one) on one clock, from `at_ms` of the tape at the wall's pace."""
    markets = {name: market for name, market in MARKETS.items() if only in (None, name)}
    clock = Clock(origin_ms=at_ms, wall_origin_ms=wall_ms(), speed=1.0)
    feed = Feed(tape, MARKETS, now_ms=clock.now_ms)
    async with serving(feed) as url:
        collector = Collector(node_of(url, timeout_s=timeout_s), markets, clock=clock, interval_s=interval_s)
        yield Bench(feed, clock, collector)
        await collector.stop()
