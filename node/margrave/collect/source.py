"""What a source is: the requests it wants made, and pure functions from its answers to readings and refusals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from margrave.errors import MargraveError, Rejected, Transient
from margrave.messages import AnyReading, Contract, Refusal
from margrave.ops import strict_json
from margrave.settings import Instruments
from margrave.verdicts import Rejection

if TYPE_CHECKING:
    from margrave.collect.stream import Stream


Item = AnyReading | Refusal | Contract
"""What a parser makes of one thing in an answer."""


class Clock(Protocol):
    """The two questions that collecting asks a clock; `margrave.ops.clock` answers them."""

    def now_ms(self) -> int: ...

    def wall_s(self, clock_seconds: float) -> float: ...


class Pace(StrEnum):
    """How often a request is worth making."""

    QUOTE = "quote"  # books and tickers: every poll
    CHAIN = "chain"  # whole option chains and volatility indices: each minute
    BARS = "bars"  # hourly candles and ratios of accounts: each five minutes
    LISTING = "listing"  # contract sizes and ticks: each hour


class Trouble(StrEnum):
    """Why a venue could not be heard. None of these says anything about the market."""

    GEO_BLOCKED = "geo_blocked"
    RATE_LIMITED = "rate_limited"
    MAINTENANCE = "maintenance"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    BAD_STATUS = "bad_status"
    SILENT = "silent"  # a socket that is open, and says nothing
    DISCONNECTED = "disconnected"  # a socket that was lost
    GARBLED = "garbled"  # a socket that says nothing that can be read


ADVICE: Final[Mapping[Trouble, str]] = {
    Trouble.GEO_BLOCKED: "the venue refuses this address: disable it in [venues] or run the node elsewhere",
    Trouble.RATE_LIMITED: "lower requests_per_minute of this venue; it is asked again after the pause it wants",
    Trouble.MAINTENANCE: "no action: it is asked again with growing pauses",
    Trouble.TIMEOUT: "check the network, or raise timeout_s of this venue",
    Trouble.UNREACHABLE: "check the network, DNS and the venue's base_url",
    Trouble.BAD_STATUS: "check the venue's base_url, then its status page",
    Trouble.SILENT: "no action: it is opened anew; if it stays so, check the venue's status page and the instruments",
    Trouble.DISCONNECTED: "no action: it is opened again with growing pauses; polling goes on meanwhile",
    Trouble.GARBLED: "report it with a recording; polling goes on meanwhile",
}


class VenueTrouble(Transient):
    """A venue did not answer the question; `retry_after_s` is the pause it asked for, if it did."""

    def __init__(self, trouble: Trouble, problem: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(problem, advice=ADVICE[trouble])
        self.trouble = trouble
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is about, and what the parser must know beside the bytes."""

    source: str
    market: str
    instrument: str
    """The venue's name for it; empty in a recording whose body does not say."""
    seen_ms: int
    perpetual: bool = False
    bar_ms: int | None = None
    """The candle length that was asked for; `None` in recordings, where any is taken."""
    mark_price: float | None = None
    """This venue's last mark, for figures that it gives in coins only."""
    contract: Contract | None = None
    """How the instrument's sizes are counted, where this venue has listed it."""
    reference_usd: float | None = None
    """The size whose cost is measured on a book of this market."""

    def refusal(self, what: str, rejected: Rejected) -> Refusal:
        return Refusal(
            source=self.source, market=self.market, what=what, reason=rejected.reason, detail=rejected.problem
        )


@cache
def _ending(path: str) -> re.Pattern[str]:
    """A documented path at the end of an address; what stands in braces is one name."""
    return re.compile("".join("[^/]+" if part[:1] == "{" else re.escape(part) for part in _PARTS.split(path)) + "$")


_PARTS: Final = re.compile(r"({[^}]*})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One documented question of a venue."""

    name: str
    path: str
    """As the venue documents it; braces mark a part that names the instrument."""
    parse: Callable[[Asked, object], Iterable[Item]]
    """Pure. Raises `Rejected` where the whole answer is bad; refuses parts as items."""
    fits: Callable[[object], bool]
    """Recognises a recorded answer by its shape."""
    perpetual: bool = False
    """It serves perpetuals only; endpoints that serve both say by the request which."""
    says: str = ""
    """What it gives, for docs/sources.md."""
    weight: float = 1.0
    """What one call takes of the venue's budget, in the venue's own unit."""
    limit: str = ""
    """A budget of its own, in the venue's words; empty where the venue's `budget` holds."""
    key_needed: bool = False
    streamed: bool = False
    """It gives a book and nothing else: not asked for a market whose book a socket keeps."""

    def answers(self, url_path: str) -> bool:
        """Whether an address, without its query, is one of this endpoint's."""
        return _ending(self.path).search(url_path) is not None


@dataclass(frozen=True, slots=True)
class Request:
    """One question to put to one venue now."""

    endpoint: Endpoint
    market: str
    instrument: str
    path: str
    params: Mapping[str, str | int]
    pace: Pace
    perpetual: bool = False
    futures_host: bool = False
    options_host: bool = False
    """On `VenueSettings.options_url`; not asked where the operator names none."""
    needs_mark: bool = False
    """Asked after the others: its answer is in coins and wants this venue's mark price."""
    body: Mapping[str, object] | None = None
    """Put by POST as JSON, where a venue takes no questions by address (Hyperliquid)."""
    needs_contract: bool = False
    """Not asked before the venue has listed the instrument: its sizes are counted in contracts."""

    @property
    def key(self) -> tuple[str, str, str, bool, str]:
        page = str(self.params.get("after", ""))
        return (self.endpoint.name, self.market, self.instrument, self.perpetual, "older" if page else "")


class Wanted(Protocol):
    """What the board still lacks: how many hourly bars to ask of one market, spot or perpetual."""

    def __call__(self, market: str, *, perpetual: bool) -> int: ...


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue's adapter: all five files of `venues/` end in one of these."""

    name: str
    endpoints: tuple[Endpoint, ...]
    requests: Callable[[str, Instruments, int, Wanted], Iterable[Request]]
    """(market, the venue's names, now in ms, bars wanted) -> what to ask."""
    complaint: Callable[[object], MargraveError | None]
    """The venue's own error in an answer, as `VenueTrouble` (try later) or `Rejected` (never mind)."""
    about: Callable[[object], tuple[str, bool]]
    """Which instrument a recorded answer names (empty where it names none), and whether that is a perpetual."""
    unframe: Callable[[object], object] = lambda body: body
    """A websocket frame as the REST answer with the same content, where there is one."""
    unread: tuple[tuple[str, Callable[[object], bool]], ...] = ()
    """What it is known to say and nobody here reads, by name: an account's own orders, a clock. Refused by that
    name."""
    streams: tuple[Stream, ...] = ()
    """Its websockets; empty where it is only polled."""
    site: str = ""
    """Where the venue documents all this."""
    budget: str = ""
    """How much it may be asked, in its own words."""

    def read(self, endpoint: Endpoint, asked: Asked, payload: bytes) -> tuple[Item, ...]:
        """All that one answer says.

        Raises:
            VenueTrouble: the venue says, in the body, that it cannot answer now.
        """
        try:
            body = decode(payload)
            self.complain(body)
            return self.understand(endpoint, asked, body)
        except Rejected as rejected:
            return (asked.refusal(endpoint.name, rejected),)

    def complain(self, body: object) -> None:
        """Raise what the venue complains of, if it does."""
        if (complaint := self.complaint(body)) is not None:
            raise complaint

    def understand(self, endpoint: Endpoint, asked: Asked, body: object) -> tuple[Item, ...]:
        """Items of a decoded answer; never none at all."""
        try:
            items = tuple(endpoint.parse(asked, body))
        except Rejected as rejected:
            return (asked.refusal(endpoint.name, rejected),)
        if items:
            return items
        return (asked.refusal(endpoint.name, Rejected(Rejection.EMPTY, "the answer holds nothing that is read")),)


def has(*keys: str) -> Callable[[object], bool]:
    """A shape: an object with at least these keys."""
    return lambda body: isinstance(body, dict) and all(key in body for key in keys)


def decode(payload: bytes) -> object:
    """JSON to plain objects, strictly: NaN literals, broken text and endless nesting are refused."""
    if not payload.strip():
        raise Rejected(Rejection.EMPTY, "the answer has no body")
    try:
        return strict_json.decode(payload)
    except msgspec.DecodeError as error:
        raise Rejected(Rejection.MALFORMED, f"{len(payload)} bytes are not JSON: {str(error)[:80]}") from error
