"""What the dialects share: the question as it came, and the market that an instrument's name stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from margrave.lab.feed.tape import Perpetual, Quote, Tape
from margrave.messages import Bar
from margrave.settings import MarketSettings
from margrave.spans import HOUR_MS

EVEN: Final = "1"
HALF: Final = "0.5"
"""Who is long and who is short is on no tape: the dialects say that both are equally many."""


class Says(Exception):
    """The venue's own error answer: HTTP status and body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Question:
    """One request to one venue at one moment of the tape."""

    venue: str
    path: str
    query: Mapping[str, str]
    t_ms: int
    tape: Tape
    markets: Mapping[str, MarketSettings]

    def text(self, key: str) -> str:
        return self.query.get(key, "")

    def whole(self, key: str, default: int) -> int:
        """A whole number of the query, or the default where it is missing or not one."""
        raw = self.query.get(key, "")
        return int(raw) if raw.isascii() and raw.isdigit() else default

    def market(self, name: str, *, field: str) -> str | None:
        """Which market of the tape the venue's `name` is: spot, perpetual, index, options or vol_index."""
        for market, settings in self.markets.items():
            names = settings.instruments.get(self.venue)
            if names and name and getattr(names, field) == name and market in self.tape.markets:
                return market
        return None

    def quote(self, market: str | None, *, perpetual: bool) -> Quote | None:
        return (market and self.tape.quote(self.venue, market, perpetual=perpetual, t_ms=self.t_ms)) or None

    def perpetual(self, market: str | None) -> Perpetual | None:
        return (market and self.tape.perpetual(self.venue, market, self.t_ms)) or None

    def bars(self, market: str | None, *, perpetual: bool, since_ms: int) -> Sequence[Bar] | None:
        if market is None:
            return None
        return self.tape.bars(self.venue, market, perpetual=perpetual, since_ms=since_ms, t_ms=self.t_ms)

    def newest_bars(self, market: str | None, *, perpetual: bool, count: int) -> Sequence[Bar] | None:
        return self.bars(market, perpetual=perpetual, since_ms=self.t_ms - self.t_ms % HOUR_MS - (count - 1) * HOUR_MS)


def decimal(value: float, digits: int = 8) -> str:
    """A number as the venues that send strings write it."""
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")
