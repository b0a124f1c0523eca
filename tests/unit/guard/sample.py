"""A market of seven venues whose every reading is in the test's hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from margrave.guard.snapshot import Memory, take
from margrave.messages import (
    AnyReading,
    Bar,
    BarsReading,
    BookReading,
    ChainReading,
    Kind,
    MarketSnapshot,
    OptionQuote,
    Refusal,
    ScalarReading,
    Snapshot,
)
from margrave.settings import POLICY_FILE, Instruments, MarketSettings, load_policy
from margrave.spans import HOUR_MS

POLICY = load_policy(POLICY_FILE).guard
VENUES = ("binance", "bybit", "coinbase", "deribit", "gemini", "kraken", "okx")
FAIR = dict.fromkeys(VENUES, 100.0)
MARKETS = {
    "BTC": MarketSettings(
        id=0, reference_size_usd=1e6, instruments={venue: Instruments(spot="BTC") for venue in VENUES}
    )
}
PERIOD_MS = 300_000
T0_MS = 1_770_206_400_000
"""2026-02-04 12:00 UTC, the start of round 5,900,688."""


def book(
    source: str,
    price: float,
    at_ms: int = T0_MS,
    *,
    market: str = "BTC",
    perpetual: bool = False,
    spread: float = 2e-4,
    depth_usd: float = 5e6,
) -> BookReading:
    return BookReading(
        source=source,
        market=market,
        instrument="BTCUSD",
        venue_time_ms=at_ms - 1_000,
        seen_time_ms=at_ms - 500,
        perpetual=perpetual,
        bid=price * (1 - spread / 2),
        ask=price * (1 + spread / 2),
        bid_depth_usd=depth_usd,
        ask_depth_usd=depth_usd,
    )


def scalar(source: str, kind: Kind, value: float, at_ms: int = T0_MS, *, market: str = "BTC") -> ScalarReading:
    return ScalarReading(
        source=source,
        market=market,
        instrument="BTC",
        venue_time_ms=at_ms - 1_000,
        seen_time_ms=at_ms - 500,
        kind=kind,
        value=value,
    )


def flat_bars(count: int, at_ms: int = T0_MS, price: float = 70_000.0, swing: float = 0.004) -> tuple[Bar, ...]:
    """The last `count` closed hours before `at_ms`, moving up and down by `swing`."""
    last = at_ms // HOUR_MS * HOUR_MS - HOUR_MS
    found = []
    for back in range(count - 1, -1, -1):
        close = price * (1 + swing * ((back % 3) - 1))
        found.append(
            Bar(last - back * HOUR_MS, price, max(price, close) * 1.001, min(price, close) * 0.999, close, 9.0)
        )
    return tuple(found)


def history(source: str, bars: Iterable[Bar], at_ms: int = T0_MS, *, perpetual: bool = False) -> BarsReading:
    return BarsReading(
        source=source,
        market="BTC",
        instrument="BTCUSD",
        venue_time_ms=at_ms - 1_000,
        seen_time_ms=at_ms - 500,
        perpetual=perpetual,
        bars=tuple(bars),
    )


def chain(quotes: Iterable[OptionQuote], at_ms: int = T0_MS, source: str = "deribit") -> ChainReading:
    return ChainReading(
        source=source,
        market="BTC",
        instrument="BTC",
        venue_time_ms=at_ms - 1_000,
        seen_time_ms=at_ms - 500,
        quotes=tuple(quotes),
    )


def books(prices: Mapping[str, float], at_ms: int = T0_MS) -> list[AnyReading]:
    return [book(source, price, at_ms) for source, price in prices.items()]


def histories(at_ms: int = T0_MS, count: int = 240) -> list[AnyReading]:
    return [history(source, flat_bars(count, at_ms), at_ms) for source in VENUES]


def judged(readings: Iterable[AnyReading], at_ms: int = T0_MS, memory: Memory | None = None) -> tuple[Snapshot, Memory]:
    return take(at_ms // PERIOD_MS, at_ms, list(readings), MARKETS, POLICY, memory or Memory())


def judged_with(*said: AnyReading) -> MarketSnapshot:
    """A market on whose price all venues agree, and what else is said of it."""
    (market,) = judged([*books(FAIR), *histories(), *said])[0].markets
    return market


def refusals_of(snapshot: Snapshot, source: str) -> list[Refusal]:
    return [r for r in snapshot.refusals if r.source == source]
