"""What the guard carries from round to round: what each venue said, what was agreed, where slow figures stood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from margrave.messages import Kind
from margrave.spans import DAY_MS, HOUR_MS

PATH_MS: Final = HOUR_MS
"""How far back agreed prices are kept."""
MONTH_MS: Final = 31 * DAY_MS
MAX_PATH: Final = 64
"""Agreed prices kept a market, whatever the round's period."""


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard keeps of one venue in one market from round to round."""

    market: str
    source: str
    accepted_price: float | None
    """Last price that took part in an agreement; `None` if none did."""
    accepted_ms: int
    value: float
    """Last price the venue gave, accepted or not."""
    value_since_ms: int
    """Since when it gives exactly that."""
    consensus_then: float | None
    """What the market agreed on when `value` was first seen."""


class Level(msgspec.Struct, frozen=True, array_like=True):
    """Where a slow figure of one source stands: a moving average, and when it was last believed."""

    kind: Kind
    who: str
    value: float
    believed_ms: int


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A jump in doubt."""

    since_ms: int
    reference: float
    """Where the market was before it, USD."""


class RememberedMarket(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard keeps of a whole market."""

    market: str
    path: tuple[tuple[int, float], ...] = ()
    """(round's time in ms, agreed price), ascending, of the last hour's rounds without doubt."""
    levels: tuple[Level, ...] = ()
    waiting: Waiting | None = None
    disbelieved: tuple[int, ...] = ()
    """Opening times (ms) of the hours, of the last month, with a jump that was not believed, or only in doubt."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """One entry a market and venue, and one a market. A node that lost it starts from `Memory()`, less strict for a
    round only."""

    venues: tuple[Remembered, ...] = ()
    markets: tuple[RememberedMarket, ...] = ()

    def by_market(self) -> Mapping[str, Mapping[str, Remembered]]:
        """Market -> source -> what is remembered."""
        past: dict[str, dict[str, Remembered]] = {}
        for venue in self.venues:
            past.setdefault(venue.market, {})[venue.source] = venue
        return past

    def whole_markets(self) -> Mapping[str, RememberedMarket]:
        return {market.market: market for market in self.markets}


def remember(
    market: str,
    prices: Mapping[str, float],
    past: Mapping[str, Remembered],
    agreed_price: float | None,
    accepted: Iterable[str],
    now_ms: int,
) -> list[Remembered]:
    """The next round's memory: a venue that is silent this round is kept as it was."""
    accepted = frozenset(accepted)
    kept: list[Remembered] = []
    for source in sorted(past.keys() | prices.keys()):
        before = past.get(source)
        if source not in prices:
            assert before is not None
            kept.append(before)
            continue
        price = prices[source]
        same = before is not None and before.value == price
        kept.append(
            Remembered(
                market=market,
                source=source,
                accepted_price=price if source in accepted else before.accepted_price if before else None,
                accepted_ms=now_ms if source in accepted else before.accepted_ms if before else now_ms,
                value=price,
                value_since_ms=before.value_since_ms if before is not None and same else now_ms,
                consensus_then=(before.consensus_then if before is not None and same else None) or agreed_price,
            )
        )
    return kept


def longer_path(
    past: RememberedMarket, agreed_price: float | None, now_ms: int, *, settled: bool
) -> tuple[tuple[int, float], ...]:
    """The prices of the last hour that nobody doubts, this round's among them; a jump that has settled starts anew."""
    kept = [] if settled else [(at_ms, price) for at_ms, price in past.path if now_ms - PATH_MS <= at_ms < now_ms]
    if agreed_price is not None:
        kept.append((now_ms, agreed_price))
    return tuple(kept[-MAX_PATH:])


def doubted_hours(past: RememberedMarket, waiting: Waiting | None, now_ms: int, *, settled: bool) -> tuple[int, ...]:
    """The hours of jumps in doubt. One that has settled was none."""
    kept = {at_ms for at_ms in past.disbelieved if at_ms > now_ms - MONTH_MS}
    if waiting is not None:
        kept.add(now_ms // HOUR_MS * HOUR_MS)
    if settled and past.waiting is not None:
        kept = {at_ms for at_ms in kept if at_ms < past.waiting.since_ms // HOUR_MS * HOUR_MS}
    return tuple(sorted(kept))
