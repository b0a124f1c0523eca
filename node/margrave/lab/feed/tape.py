"""What a tape knows: the state of markets and venues at a moment. What it does not know is `None`, never a stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from margrave.messages import Bar


@dataclass(frozen=True, slots=True)
class Quote:
    """A book in three numbers: mid in USD, half the spread as a fraction of it, USD within 1 % on each side."""

    mid: float
    half_spread: float
    depth_usd: float


@dataclass(frozen=True, slots=True)
class Perpetual:
    """A perpetual's figures, each as of `time_ms`."""

    time_ms: int
    mark: float
    index: float | None
    funding_8h: float | None
    open_interest_usd: float | None


@dataclass(frozen=True, slots=True)
class ListedOption:
    """One row of a chain in Deribit's units: prices in coins, volatility in percent, open interest in contracts."""

    name: str
    underlying_name: str
    forward: float
    bid: float | None
    ask: float | None
    mark: float
    mark_iv: float
    open_interest: float
    volume: float
    volume_usd: float


@dataclass(frozen=True, slots=True)
class Chain:
    as_of_ms: int
    index: float
    options: Sequence[ListedOption]


@dataclass(frozen=True, slots=True)
class Stamped:
    """A value and when it was said."""

    time_ms: int
    value: float


class Tape(Protocol):
    """Days that the venue server can speak. The same tape gives the same answer for the same moment, always."""

    title: str
    source: str
    """Where it comes from, in words a reader can check."""
    real: str
    """What of it is recorded or documented."""
    generated: str
    """What of it is made up between or around that, and how."""
    start_ms: int
    end_ms: int
    markets: tuple[str, ...]

    def price(self, market: str, t_ms: int) -> float:
        """The index: what the venues' prices are scattered around."""
        ...

    def quote(self, venue: str, market: str, *, perpetual: bool, t_ms: int) -> Quote | None: ...

    def bars(self, venue: str, market: str, *, perpetual: bool, since_ms: int, t_ms: int) -> Sequence[Bar] | None:
        """Hourly candles that open at or after `since_ms`, ascending; the last is running at `t_ms`."""
        ...

    def perpetual(self, venue: str, market: str, t_ms: int) -> Perpetual | None: ...

    def index(self, venue: str, market: str, t_ms: int) -> Stamped | None: ...

    def vol_index(self, venue: str, market: str, t_ms: int) -> Stamped | None:
        """Annualised, as a fraction."""
        ...

    def chain(self, venue: str, market: str, t_ms: int) -> Chain | None:
        """The chain as it was said last at or before `t_ms`."""
        ...
