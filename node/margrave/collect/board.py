"""The latest of everything that was said, bounded: what a round reads.

One slot for each (source, market, what), where the newest venue time wins. Bars are merged by open time, so that a full
history is asked for once and a few candles afterwards. Refusals wait here until the guard takes them. Contracts (how
sizes are counted) stand beside the readings and are never among them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from margrave.collect.recording.line import Tap, What
from margrave.collect.source import Item, Trouble
from margrave.messages import (
    AnyReading,
    BarsReading,
    BookReading,
    Contract,
    Kind,
    Refusal,
    ScalarReading,
    Slot,
)
from margrave.verdicts import Rejection

MAX_REFUSALS: Final = 2_000
MAX_BARS: Final = 1_000
"""Hourly candles kept a market and venue: six weeks."""
MAX_CONTRACTS: Final = 20_000
"""Several venues with all their options; only those that are asked for are listed here."""


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How one source has been doing, for metrics, `margrave check` and the operator."""

    last_ok_ms: int | None = None
    readings: int = 0
    refusals: int = 0
    failures: int = 0
    """Requests that got no answer worth parsing."""
    failures_in_a_row: int = 0
    trouble: Trouble | None = None
    """What the last request failed of; `None` when it did not."""
    last_error: str | None = None
    lag_ms: int | None = None
    """Seen time minus venue time of the last quote: network, venue and clock skew together."""


class Board:
    """Latest readings by source, market and kind. Not for threads: one event loop writes and reads it."""

    def __init__(self, tap: Tap | None = None) -> None:
        self._tap = tap
        self._latest: dict[Slot, AnyReading] = {}
        self._contracts: dict[tuple[str, str], Contract] = {}
        self._refusals: deque[Refusal] = deque(maxlen=MAX_REFUSALS)
        self._health: dict[str, SourceHealth] = {}
        self.refusals_dropped: int = 0
        self.contracts_dropped: int = 0

    def put(self, item: Item) -> None:
        """Keep a reading if it is not older than the one it replaces; keep a refusal until it is taken."""
        if isinstance(item, Refusal):
            self._refuse(item)
            return
        if isinstance(item, Contract):
            self._list(item)
            return
        if self._tap is not None:
            self._tap.hear(What.READING, item.source, "", msgspec.json.encode(item))
        slot = item.slot
        held = self._latest.get(slot)
        if isinstance(item, BarsReading) and isinstance(held, BarsReading):
            item = _merged(held, item)
        elif held is not None and item.venue_time_ms < held.venue_time_ms:
            self._refuse(_older(item, held))
            return
        self._latest[slot] = item
        health = self.health_of(item.source)
        lag_ms = item.seen_time_ms - item.venue_time_ms if isinstance(item, BookReading | ScalarReading) else None
        self._health[item.source] = replace(
            health,
            last_ok_ms=item.seen_time_ms,
            readings=health.readings + 1,
            failures_in_a_row=0,
            trouble=None,
            lag_ms=health.lag_ms if lag_ms is None else lag_ms,
        )

    def fail(self, source: str, problem: str, trouble: Trouble | None) -> None:
        """Count a request that got no answer; what is on the board stays and ages."""
        health = self.health_of(source)
        self._health[source] = replace(
            health,
            failures=health.failures + 1,
            failures_in_a_row=health.failures_in_a_row + 1,
            trouble=trouble,
            last_error=problem,
        )

    def readings(self) -> tuple[AnyReading, ...]:
        return tuple(self._latest.values())

    def refusals(self) -> tuple[Refusal, ...]:
        """What was refused since the last call; calling takes it."""
        taken = tuple(self._refusals)
        self._refusals.clear()
        return taken

    def health(self) -> Mapping[str, SourceHealth]:
        return dict(self._health)

    def health_of(self, source: str) -> SourceHealth:
        return self._health.get(source, SourceHealth())

    def mark_price(self, source: str, market: str, *, since_ms: int = 0) -> float | None:
        """This source's last perpetual mark, if it was said since then: to value what the source says in coins."""
        held = self._latest.get((source, market, Kind.MARK_PRICE.value))
        return held.value if isinstance(held, ScalarReading) and held.venue_time_ms >= since_ms else None

    def contract(self, source: str, instrument: str) -> Contract | None:
        """How the instrument's sizes are counted, as last listed."""
        return self._contracts.get((source, instrument))

    def contracts(self, source: str) -> Mapping[str, Contract]:
        """All that this source has listed, by instrument."""
        return {c.instrument: c for c in self._contracts.values() if c.source == source}

    def last_bar_ms(self, source: str, market: str, *, perpetual: bool) -> int | None:
        """When the newest candle that we hold opened."""
        held = self._latest.get((source, market, _bars_slot(perpetual)))
        return held.bars[-1].open_time_ms if isinstance(held, BarsReading) else None

    def _list(self, contract: Contract) -> None:
        key = (contract.source, contract.instrument)
        if key not in self._contracts and len(self._contracts) >= MAX_CONTRACTS:
            self.contracts_dropped += 1
            return
        self._contracts[key] = contract
        health = self.health_of(contract.source)
        self._health[contract.source] = replace(
            health, last_ok_ms=contract.seen_time_ms, failures_in_a_row=0, trouble=None
        )

    def _refuse(self, refusal: Refusal) -> None:
        if len(self._refusals) == MAX_REFUSALS:
            self.refusals_dropped += 1
        self._refusals.append(refusal)
        health = self.health_of(refusal.source)
        self._health[refusal.source] = replace(
            health, refusals=health.refusals + 1, last_error=f"{refusal.what}: {refusal.detail}"
        )


def _bars_slot(perpetual: bool) -> str:
    return "perpetual bars" if perpetual else "spot bars"


def _merged(held: BarsReading, fresh: BarsReading) -> BarsReading:
    """All candles of both; of two with one open time the one that was read later, because it has run further."""
    first, last = (held, fresh) if fresh.venue_time_ms >= held.venue_time_ms else (fresh, held)
    by_time = {bar.open_time_ms: bar for bar in (*first.bars, *last.bars)}
    kept = tuple(by_time[t] for t in sorted(by_time)[-MAX_BARS:])
    return msgspec.structs.replace(last, bars=kept)


def _older(item: AnyReading, held: AnyReading) -> Refusal:
    seconds = (held.venue_time_ms - item.venue_time_ms) / 1000
    return Refusal(
        source=item.source,
        market=item.market,
        what=item.what,
        reason=Rejection.STALE,
        detail=f"{seconds:.3f} s older than what the board holds",
    )
