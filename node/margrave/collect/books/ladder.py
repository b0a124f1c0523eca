"""One local order book: sizes by price in a dictionary, and a heap a side that knows the best price.

A message of a busy book changes a dozen levels and moves the best price every other time, so what must be cheap is
changing a level (a dictionary: constant) and naming the best (a heap from which dead prices are dropped when they come
to the top: logarithmic, and the work was paid for by the change that put them there). Sorted order is needed only where
a book is measured or summed up, a few times a minute. `scripts/bench books` has the figures, with the sorted
containers that were weighed against it.

Memory is bounded: a side holds at most `MAX_HELD` levels, its heap at most twice as many prices and a few.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush, nlargest, nsmallest
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.collect.books.levels import Levels
from margrave.collect.books.measures import Measures, Valued, measure

MAX_HELD: Final = 10_000
"""Levels a side. Strangers place orders at a tenth and at ten times the price, and leave them there for years."""
KEPT: Final = 8_000
"""Of those, what is kept, nearest first, when there are more: so that it does not happen with every message."""
HEAP_SLACK: Final = 64
FEW: Final = 8
"""Levels too many that are cheaper found one by one than by sorting."""

Raw = tuple[str, str]


class Side:
    """Bids or asks."""

    __slots__ = ("_heap", "_known_to", "_sign", "_windowed", "forgotten", "raw", "sizes")

    def __init__(self, *, bids: bool) -> None:
        self._sign = -1.0 if bids else 1.0
        self._heap: list[float] = []
        self._known_to: float | None = None
        self._windowed = False
        self.sizes: dict[float, float] = {}
        self.raw: dict[float, Raw] = {}
        """Price and size as the venue wrote them; only for books with a checksum."""
        self.forgotten = 0
        """Levels that were dropped for want of room, in all."""

    def replace(self, levels: Levels, raw: Iterable[Raw] = ()) -> None:
        """Begin again with a whole side, known as far as it reaches."""
        self.sizes = {price: size for price, size in levels if size}
        self.raw = {price: text for (price, size), text in zip(levels, raw, strict=False) if size}
        self._known_to, self._windowed = self._furthest(), False
        self._rebuild()
        if len(self.sizes) > MAX_HELD:
            self._forget_beyond(KEPT)

    def apply(self, levels: Levels) -> None:
        """Set each level to its new size; 0 removes it."""
        sizes, heap, sign = self.sizes, self._heap, self._sign
        for price, size in levels:
            if size:
                if price not in sizes:
                    heappush(heap, sign * price)
                sizes[price] = size
            elif price in sizes:
                del sizes[price]
        if len(sizes) > MAX_HELD:
            self._forget_beyond(KEPT)
        elif len(heap) > 2 * len(sizes) + HEAP_SLACK:
            self._rebuild()

    def apply_raw(self, levels: Levels, raw: Iterable[Raw]) -> None:
        """Remember the text of levels that were applied, where a checksum will want it."""
        for (price, size), text in zip(levels, raw, strict=True):
            if size:
                self.raw[price] = text
            else:
                self.raw.pop(price, None)

    def truncate(self, depth: int) -> None:
        """Keep the `depth` nearest levels: the venue says nothing of the others any more, not even that they went."""
        self._windowed = True
        excess = len(self.sizes) - depth
        if excess > FEW:
            self._keep(self.nearest(depth))
        while excess > 0 and (furthest := self._furthest()) is not None and len(self.sizes) > depth:
            del self.sizes[furthest]
            self.raw.pop(furthest, None)

    @property
    def horizon(self) -> float | None:
        """The furthest price as far as which the side is known whole; `None` of an empty side.

        What a snapshot did not reach is learned only as it changes: there may be more than we hold.
        """
        return self._furthest() if self._windowed else self._known_to

    @property
    def best(self) -> float | None:
        """The best price; `None` of an empty side."""
        heap, sizes, sign = self._heap, self.sizes, self._sign
        while heap:
            price = sign * heap[0]
            if price in sizes:
                return price
            heappop(heap)
        return None

    def nearest(self, count: int) -> list[float]:
        """The `count` best prices, best first."""
        bids = self._sign < 0
        if count * 4 > len(self.sizes):
            return sorted(self.sizes, reverse=bids)[:count]
        return nlargest(count, self.sizes) if bids else nsmallest(count, self.sizes)

    def nearest_raw(self, count: int) -> list[Raw]:
        return [self.raw[price] for price in self.nearest(count) if price in self.raw]

    def columns(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(prices, sizes), best first; both of shape (levels,)."""
        count = len(self.sizes)
        prices = np.fromiter(self.sizes.keys(), np.float64, count)
        order = np.argsort(self._sign * prices)
        return prices[order], np.fromiter(self.sizes.values(), np.float64, count)[order]

    def valued(self, unit: float, *, sizes_in_usd: bool) -> Valued:
        """Of a side that is not empty."""
        prices, sizes = self.columns()
        horizon = self.horizon
        # A side that was snapped empty is known as far as what has come since.
        known_to = float(prices[0]) if horizon is None else horizon
        return Valued.of(prices, sizes, known_to, unit=unit, sizes_in_usd=sizes_in_usd)

    def _forget_beyond(self, count: int) -> None:
        kept = self.nearest(count)
        self.forgotten += len(self.sizes) - len(kept)
        self._keep(kept)
        if self._known_to is None or self._sign * kept[-1] < self._sign * self._known_to:
            self._known_to = kept[-1]

    def _keep(self, prices: list[float]) -> None:
        self.sizes = {price: self.sizes[price] for price in prices}
        self.raw = {price: self.raw[price] for price in prices if price in self.raw}
        self._rebuild()

    def _furthest(self) -> float | None:
        return (min if self._sign < 0 else max)(self.sizes, default=None)

    def _rebuild(self) -> None:
        self._heap = [self._sign * price for price in self.sizes]
        heapify(self._heap)


class Ladder:
    """Both sides of one book."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = Side(bids=True)
        self.asks = Side(bids=False)

    def crossed(self) -> bool:
        bid, ask = self.bids.best, self.asks.best
        return bid is not None and ask is not None and bid >= ask

    def measures(self, *, unit: float, sizes_in_usd: bool, reference_usd: float | None) -> Measures | None:
        """What the book is worth now; `None` while a side of it is empty."""
        if not self.bids.sizes or not self.asks.sizes:
            return None
        bids, asks = (side.valued(unit, sizes_in_usd=sizes_in_usd) for side in (self.bids, self.asks))
        return measure(bids, asks, reference_usd)

    @property
    def levels(self) -> int:
        return len(self.bids.sizes) + len(self.asks.sizes)

    @property
    def forgotten(self) -> int:
        return self.bids.forgotten + self.asks.forgotten
