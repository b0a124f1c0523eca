"""The latest of everything that was said, bounded: what a round reads.

One slot for each (source, market, what), where the newest venue time wins. Bars are merged by open time, so that a full
history is asked for once and a few candles afterwards. Refusals wait here until the guard takes them. Contracts (how
sizes are counted) stand beside the readings and are never among them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from margrave.collect.books.rules import Resync
from margrave.collect.recording.line import Tap, What
from margrave.collect.skew import Skew
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


RACE_MS: Final = 5_000
"""A book that a poll brings may be so much older than the one that a socket keeps, without anything being wrong."""


@dataclass(frozen=True, slots=True)
class SocketHealth:
    """How one websocket of a source has been doing since the node began."""

    up: bool = False
    """It is open, and has said something that could be read."""
    trouble: Trouble | None = None
    """Why it was lost last; `None` while it is up."""
    last_error: str | None = None
    frames: int = 0
    refused: int = 0
    """Frames, or parts of them, that were refused."""
    repeats: int = 0
    """Messages that said nothing new: duplicates, and what is older than what is held."""
    reconnects: int = 0
    resyncs: Mapping[Resync, int] = field(default_factory=dict)
    """Books that were given up, by reason."""
    dropped: int = 0
    """Frames that were dropped unread, because they came faster than they were read."""
    forgotten: int = 0
    """Levels far from the price that were dropped for want of room."""
    books: int = 0
    books_whole: int = 0


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
    skew_ms: int | None = None
    """Our clock less the venue's, at most (`margrave.collect.skew`); below zero the venue's runs ahead."""
    superseded: int = 0
    """Books that a poll brought after a socket had brought a newer one."""
    sockets: Mapping[str, SocketHealth] = field(default_factory=dict)
    """By the stream's name; empty where the source is only polled."""

    @property
    def frames(self) -> int:
        return sum(socket.frames for socket in self.sockets.values())

    @property
    def reconnects(self) -> int:
        return sum(socket.reconnects for socket in self.sockets.values())

    @property
    def resyncs(self) -> int:
        return sum(sum(socket.resyncs.values()) for socket in self.sockets.values())

    @property
    def dropped(self) -> int:
        """Frames that came faster than they were read."""
        return sum(socket.dropped for socket in self.sockets.values())


class Board:
    """Latest readings by source, market and kind. Not for threads: one event loop writes and reads it."""

    def __init__(self, tap: Tap | None = None) -> None:
        self._tap = tap
        self._latest: dict[Slot, AnyReading] = {}
        self._contracts: dict[str, dict[str, Contract]] = {}
        self._refusals: deque[Refusal] = deque(maxlen=MAX_REFUSALS)
        self._health: dict[str, SourceHealth] = {}
        self._skews: dict[str, Skew] = {}
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
            self._set_aside(item, held)
            return
        self._latest[slot] = item
        health = self.health_of(item.source)
        lag_ms = item.seen_time_ms - item.venue_time_ms if isinstance(item, BookReading | ScalarReading) else None
        if lag_ms:  # none at all is a reading that we stamped ourselves
            self.heard(item.source, lag_ms, item.seen_time_ms)
        self._health[item.source] = replace(
            health,
            last_ok_ms=item.seen_time_ms,
            readings=health.readings + 1,
            failures_in_a_row=0,
            trouble=None,
            lag_ms=health.lag_ms if lag_ms is None else lag_ms,
            skew_ms=self.skew_ms(item.source),
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

    def heard(self, source: str, lag_ms: int, now_ms: int) -> None:
        """One message's lag, for the estimate of the source's clock, whether the message is kept or not."""
        self._skews.setdefault(source, Skew()).heard(lag_ms, now_ms)

    def skew_ms(self, source: str) -> int | None:
        held = self._skews.get(source)
        return None if held is None else held.ms

    def fail_socket(self, source: str, problem: str) -> None:
        """Count a websocket that was lost or refused. The source may well be heard by polling."""
        health = self.health_of(source)
        self._health[source] = replace(health, failures=health.failures + 1, last_error=problem)

    def tell_socket(self, source: str, name: str, socket: SocketHealth) -> None:
        """What a socket says of itself. Its trouble is its own: the source may well be heard by polling."""
        health = self.health_of(source)
        sockets = {**health.sockets, name: socket}
        self._health[source] = replace(health, sockets=sockets, skew_ms=self.skew_ms(source))

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
        return self.contracts(source).get(instrument)

    def contracts(self, source: str) -> Mapping[str, Contract]:
        """All that this source has listed, by instrument: a view that stays current."""
        return self._contracts.setdefault(source, {})

    def last_bar_ms(self, source: str, market: str, *, perpetual: bool) -> int | None:
        """When the newest candle that we hold opened."""
        held = self._latest.get((source, market, _bars_slot(perpetual)))
        return held.bars[-1].open_time_ms if isinstance(held, BarsReading) else None

    def _list(self, contract: Contract) -> None:
        listed = self._contracts.setdefault(contract.source, {})
        if contract.instrument not in listed and sum(map(len, self._contracts.values())) >= MAX_CONTRACTS:
            self.contracts_dropped += 1
            return
        listed[contract.instrument] = contract
        health = self.health_of(contract.source)
        self._health[contract.source] = replace(
            health, last_ok_ms=contract.seen_time_ms, failures_in_a_row=0, trouble=None
        )

    def _set_aside(self, item: AnyReading, held: AnyReading) -> None:
        """A reading older than the one that is held: a race between poll and socket, or a stale repeat."""
        if isinstance(item, BookReading) and held.venue_time_ms - item.venue_time_ms <= RACE_MS:
            health = self.health_of(item.source)
            self._health[item.source] = replace(health, superseded=health.superseded + 1)
            return
        self._refuse(_older(item, held))

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
