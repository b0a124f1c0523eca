"""What the guard carries from round to round: each venue's last accepted price, and since when it says the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec


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


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """One entry a market and venue. A node that lost it starts from `Memory()`, only less strict for a round."""

    venues: tuple[Remembered, ...] = ()

    def by_market(self) -> Mapping[str, Mapping[str, Remembered]]:
        """Market -> source -> what is remembered."""
        past: dict[str, dict[str, Remembered]] = {}
        for venue in self.venues:
            past.setdefault(venue.market, {})[venue.source] = venue
        return past


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
