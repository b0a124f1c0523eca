"""Liquidations of the last hour, by market: kept until they are older, taken back when their block is orphaned."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from margrave.collect.chains.lending.events import Liquidated
from margrave.collect.chains.logs import Log

MOST_LIQUIDATIONS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Value:
    """What one liquidation was worth, and whose: each side is a market, or none that is watched."""

    collateral_market: str | None
    debt_market: str | None
    collateral_usd: float
    debt_usd: float


@dataclass(frozen=True, slots=True)
class Sums:
    """One market's window, USD."""

    count: int = 0
    long_usd: float = 0.0
    """Collateral of this market that was seized: its holders were long."""
    short_usd: float = 0.0
    """Debt in this market that was repaid by force: its borrowers were short."""
    largest_usd: float = 0.0


@dataclass(slots=True)
class _Entry:
    liquidated: Liquidated
    time_ms: int
    value: Value | None = None


class Window:
    """Liquidations heard, each valued once at the first prices that are read after it."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._entries: OrderedDict[tuple[bytes, int, int], _Entry] = OrderedDict()
        self.dropped = 0
        """Let go for want of room."""
        self.unwatched = 0
        """Neither side of which is a market that is watched."""

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, log: Log, liquidated: Liquidated, time_ms: int) -> None:
        self._entries[log.key] = _Entry(liquidated, time_ms)
        if len(self._entries) > MOST_LIQUIDATIONS:
            self._entries.popitem(last=False)
            self.dropped += 1

    def take_back(self, log: Log) -> None:
        self._entries.pop(log.key, None)

    def clear(self) -> None:
        self._entries.clear()

    def unvalued(self) -> list[tuple[tuple[bytes, int, int], Liquidated]]:
        return [(key, entry.liquidated) for key, entry in self._entries.items() if entry.value is None]

    def value(self, key: tuple[bytes, int, int], value: Value) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.value is None:
            entry.value = value
            self.unwatched += value.collateral_market is None and value.debt_market is None

    def sums(self, now_ms: int, markets: Iterable[str]) -> dict[str, Sums]:
        """By market, over what happened in the window that ends at `now_ms`; older entries are let go."""
        for key in [key for key, entry in self._entries.items() if entry.time_ms <= now_ms - self._length_ms]:
            del self._entries[key]
        sums = {market: Sums() for market in markets}
        for entry in self._entries.values():
            if entry.value is None or entry.time_ms > now_ms:
                continue
            for market in {entry.value.collateral_market, entry.value.debt_market}:
                if market is None or market not in sums:
                    continue
                long_usd = entry.value.collateral_usd if market == entry.value.collateral_market else 0.0
                short_usd = entry.value.debt_usd if market == entry.value.debt_market else 0.0
                held = sums[market]
                sums[market] = Sums(
                    held.count + 1,
                    held.long_usd + long_usd,
                    held.short_usd + short_usd,
                    max(held.largest_usd, long_usd, short_usd),
                )
        return sums
