"""A book that a socket keeps: its keeper, the signals for whoever fetches its snapshots, and what it says of itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from margrave.collect import readings
from margrave.collect.books.keeper import Keeper
from margrave.collect.skew import MAX_AHEAD_MS, MAX_BEHIND_MS
from margrave.collect.source import Asked, Item
from margrave.collect.stream import Channel
from margrave.errors import Rejected
from margrave.verdicts import Rejection

NARROW_MS: Final = 60_000
"""A book whose price has left what its snapshot showed is asked for again at most so often."""


@dataclass(slots=True, eq=False)
class Book:
    """One instrument's book on one stream."""

    channel: Channel
    keeper: Keeper
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a snapshot is wanted."""
    whole: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a difference has been heard since the socket was opened."""
    whole_since_ms: int = 0

    def want(self) -> None:
        """A connection begins."""
        self.begun.clear()
        self.whole.clear()
        self.lost.set()

    def settled(self, now_ms: int) -> None:
        """After a message that lost nothing."""
        if self.keeper.whole and not self.whole.is_set():
            self.lost.clear()
            self.whole.set()
            self.whole_since_ms = now_ms

    def given_up(self) -> None:
        self.whole.clear()
        self.lost.set()

    def narrow(self, now_ms: int) -> bool:
        """Whether it is time for a snapshot of where the price is now."""
        return self.keeper.narrow() and now_ms - self.whole_since_ms >= NARROW_MS

    def current(self, now_ms: int) -> bool:
        """Whole, and of the present."""
        return self.keeper.whole and abs(now_ms - self.keeper.venue_ms) <= MAX_BEHIND_MS

    def item(self, source: str, now_ms: int, *, skew_ms: int, reference_usd: float | None) -> Item:
        """What a whole book amounts to.

        Args:
            skew_ms: our clock less the venue's, as estimated; minutes of it make everything that the venue says
                unplaceable in time, however fresh it is.
            reference_usd: the size whose cost is measured.
        """
        keeper, channel = self.keeper, self.channel
        asked = Asked(source, channel.market, channel.instrument, now_ms, perpetual=channel.perpetual)
        try:
            _refuse_untimely(keeper.venue_ms, now_ms, skew_ms)
            measures = keeper.ladder.measures(
                unit=keeper.unit, sizes_in_usd=keeper.sizes_in_usd, reference_usd=reference_usd
            )
            if measures is None:
                raise Rejected(Rejection.EMPTY, "a side of the book is empty")
            return readings.measured(asked, keeper.venue_ms, measures)
        except Rejected as rejected:
            return asked.refusal("book", rejected)


def _refuse_untimely(venue_ms: int, now_ms: int, skew_ms: int) -> None:
    differ = f"the venue's clock and ours differ by {skew_ms / 1000:.1f} s"
    if venue_ms > now_ms + MAX_AHEAD_MS:
        raise Rejected(Rejection.FUTURE, f"stamped {(venue_ms - now_ms) / 1000:.1f} s ahead; {differ}")
    if skew_ms > MAX_BEHIND_MS:
        raise Rejected(Rejection.STALE, f"everything it says is {skew_ms / 1000:.1f} s old; {differ}")
