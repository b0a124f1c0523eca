"""Trades and liquidations as windows: what happened in the last minutes, in the constant room of a row of buckets.

A window begins when we begin to listen, and again after every hole in what we heard: a sum over a hole would pass for a
quiet market. A repeat (a venue says its last trades again when a socket is opened) is counted once. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from margrave.collect.skew import MAX_AHEAD_MS
from margrave.collect.stream import Liquidation, Trade
from margrave.messages import LiquidationsReading, TradesReading
from margrave.spans import HOUR_MS

TRADES_MS: Final = 300_000
LIQUIDATIONS_MS: Final = HOUR_MS
BUCKETS: Final = 60
REMEMBERED: Final = 1_000
"""Trades or liquidations by which a repeat is known: more than a venue says again."""

BucketT = TypeVar("BucketT", bound="_Bucket")


@dataclass(slots=True)
class _Bucket:
    start_ms: int
    count: int = 0


@dataclass(slots=True)
class _Traded(_Bucket):
    buy_usd: float = 0.0
    sell_usd: float = 0.0
    coins: float = 0.0
    low: float = float("inf")
    high: float = 0.0
    last: float = 0.0
    last_ms: int = 0


@dataclass(slots=True)
class _Closed(_Bucket):
    long_usd: float = 0.0
    short_usd: float = 0.0
    largest_usd: float = 0.0


@dataclass(slots=True)
class _Recent:
    """The last few things said, to know a repeat."""

    order: deque[object] = field(default_factory=deque)
    known: set[object] = field(default_factory=set)

    def repeats(self, what: object) -> bool:
        if what in self.known:
            return True
        self.known.add(what)
        self.order.append(what)
        if len(self.order) > REMEMBERED:
            self.known.discard(self.order.popleft())
        return False


class _Window(Generic[BucketT]):
    """Buckets of the last `length_ms`, ascending, none empty."""

    def __init__(self, kind: type[BucketT], length_ms: int) -> None:
        self._kind = kind
        self._length_ms = length_ms
        self._bucket_ms = length_ms // BUCKETS
        self._buckets: deque[BucketT] = deque()
        self._recent = _Recent()
        self.since_ms: int | None = None
        """When we began to listen without a hole; `None` while we do not."""
        self.repeats = 0
        self.untimely = 0
        """Stamped ahead of our clock, or older than the window: in no sum."""

    def listen(self, now_ms: int) -> None:
        if self.since_ms is None:
            self.since_ms = now_ms

    def lose(self) -> None:
        """Something may have been missed: what was summed is no longer a sum of everything."""
        self.since_ms = None
        self._buckets.clear()

    def from_ms(self, now_ms: int) -> int:
        start_ms = now_ms - self._length_ms
        return start_ms if self.since_ms is None else max(start_ms, self.since_ms)

    def bucket(self, venue_ms: int, seen_ms: int) -> BucketT | None:
        """Where something stamped so belongs; `None` outside the window."""
        if self.since_ms is None or not self.from_ms(seen_ms) - self._bucket_ms <= venue_ms <= seen_ms + MAX_AHEAD_MS:
            self.untimely += 1
            return None
        start_ms = venue_ms - venue_ms % self._bucket_ms
        at = len(self._buckets)
        while at and self._buckets[at - 1].start_ms > start_ms:
            at -= 1
        if at and self._buckets[at - 1].start_ms == start_ms:
            return self._buckets[at - 1]
        made = self._kind(start_ms)
        self._buckets.insert(at, made)
        self._expire(seen_ms)
        return made

    def repeated(self, what: object) -> bool:
        if self._recent.repeats(what):
            self.repeats += 1
            return True
        return False

    def held(self, now_ms: int) -> tuple[BucketT, ...]:
        self._expire(now_ms)
        return tuple(self._buckets)

    def _expire(self, now_ms: int) -> None:
        while self._buckets and self._buckets[0].start_ms < now_ms - self._length_ms - self._bucket_ms:
            self._buckets.popleft()


class TradeFlow:
    """Trades of one instrument over the last five minutes."""

    def __init__(self, source: str, market: str, instrument: str, *, perpetual: bool) -> None:
        self._source, self._market, self._instrument, self._perpetual = source, market, instrument, perpetual
        self.window = _Window(_Traded, TRADES_MS)

    def add(self, trade: Trade, seen_ms: int) -> None:
        if trade.trade_id and self.window.repeated(trade.trade_id):
            return
        if (bucket := self.window.bucket(trade.venue_ms, seen_ms)) is None:
            return
        bucket.count += 1
        if trade.buyer_takes:
            bucket.buy_usd += trade.size_usd
        else:
            bucket.sell_usd += trade.size_usd
        bucket.coins += trade.size_usd / trade.price
        bucket.low, bucket.high = min(bucket.low, trade.price), max(bucket.high, trade.price)
        if trade.venue_ms >= bucket.last_ms:
            bucket.last, bucket.last_ms = trade.price, trade.venue_ms

    def reading(self, now_ms: int) -> TradesReading | None:
        """The window as it stands; `None` where nothing was traded in it, or we do not listen."""
        held = self.window.held(now_ms)
        coins = sum(b.coins for b in held)
        if not held or coins <= 0:
            return None
        buy_usd, sell_usd = sum(b.buy_usd for b in held), sum(b.sell_usd for b in held)
        low, high = min(b.low for b in held), max(b.high for b in held)
        return TradesReading(
            source=self._source,
            market=self._market,
            instrument=self._instrument,
            venue_time_ms=held[-1].last_ms,
            seen_time_ms=now_ms,
            perpetual=self._perpetual,
            from_ms=min(self.window.from_ms(now_ms), held[0].start_ms),
            count=sum(b.count for b in held),
            buy_usd=buy_usd,
            sell_usd=sell_usd,
            low=low,
            high=high,
            last=held[-1].last,
            # Rounding may put a mean of equal prices a digit outside them.
            vwap=min(max((buy_usd + sell_usd) / coins, low), high),
        )


class LiquidationFlow:
    """Positions of one instrument closed by force over the last hour."""

    def __init__(self, source: str, market: str, instrument: str) -> None:
        self._source, self._market, self._instrument = source, market, instrument
        self.window = _Window(_Closed, LIQUIDATIONS_MS)

    def add(self, closed: Liquidation, seen_ms: int) -> None:
        if self.window.repeated((closed.venue_ms, closed.long, closed.price, closed.size_usd)):
            return
        if (bucket := self.window.bucket(closed.venue_ms, seen_ms)) is None:
            return
        bucket.count += 1
        if closed.long:
            bucket.long_usd += closed.size_usd
        else:
            bucket.short_usd += closed.size_usd
        bucket.largest_usd = max(bucket.largest_usd, closed.size_usd)

    def reading(self, now_ms: int) -> LiquidationsReading | None:
        """The window as it stands. None at all is a finding, and said; `None` is that we do not listen."""
        if self.window.since_ms is None:
            return None
        held = self.window.held(now_ms)
        return LiquidationsReading(
            source=self._source,
            market=self._market,
            instrument=self._instrument,
            venue_time_ms=now_ms,
            seen_time_ms=now_ms,
            from_ms=min(self.window.from_ms(now_ms), held[0].start_ms if held else now_ms),
            count=sum(b.count for b in held),
            long_usd=sum(b.long_usd for b in held),
            short_usd=sum(b.short_usd for b in held),
            largest_usd=max((b.largest_usd for b in held), default=0.0),
        )
