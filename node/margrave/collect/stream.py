"""What a venue's websocket is: which channels to ask for, and a pure function from its frames to events.

Nothing here opens anything: `socket` does. A frame is decoded once, by `margrave.ops.strict_json`; the venue's `parse`
turns the object into events; books are kept by `books.keeper`, trades and liquidations are summed by `flows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from margrave.collect.books.checksums import Checksum
from margrave.collect.books.levels import Levels, RawLevels
from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Asked, Item, Request
from margrave.errors import Rejected
from margrave.messages import Contract, Refusal
from margrave.settings import Instruments
from margrave.verdicts import Rejection

BOOK: Final = "book"
TRADES: Final = "trades"
LIQUIDATIONS: Final = "liquidations"
TICKER: Final = "ticker"


class Said(msgspec.Struct, frozen=True):
    """Base of the events: cheap to make, a hundred thousand a second."""


class BookSnapshot(Said, frozen=True):
    """A whole book. `instrument` is the venue's name, as in the `Channel` that asked for it."""

    instrument: str
    perpetual: bool
    venue_ms: int
    """When the venue says it was so; the time of reading where it says nothing."""
    sequence: int
    """Where the differences begin; 0 under rules without numbers."""
    bids: Levels
    asks: Levels
    checksum: int | None = None
    raw_bids: RawLevels = ()
    """The same rows as text, in the same order; only where `checksum` needs them."""
    raw_asks: RawLevels = ()
    unit: float = 1.0
    """Coins in one unit of size, or dollars where `sizes_in_usd`."""
    sizes_in_usd: bool = False
    """Sizes are dollars, or contracts of so many dollars (inverse perpetuals)."""
    depth: int | None = None
    """Levels a side that the venue keeps up to date: one that is pushed further out is not removed, it is forgotten."""


class BookDiff(Said, frozen=True):
    """New sizes of some levels; 0 removes the level. Numbers as `SequenceRule` reads them, 0 where there are none."""

    instrument: str
    perpetual: bool
    venue_ms: int
    first: int
    last: int
    previous: int | None
    bids: Levels
    asks: Levels
    checksum: int | None = None
    raw_bids: RawLevels = ()
    raw_asks: RawLevels = ()


class Trade(Said, frozen=True):
    """One trade of the tape."""

    instrument: str
    perpetual: bool
    venue_ms: int
    price: float
    size_usd: float
    buyer_takes: bool
    """The buyer took from the asks."""
    trade_id: str
    """The venue's number for it, as text: repeats after a reconnection are known by it. Empty where it has none."""


class Liquidation(Said, frozen=True):
    """One position of a perpetual closed by force."""

    instrument: str
    venue_ms: int
    long: bool
    """The position was long: the venue sold."""
    price: float
    size_usd: float


class Reply(Said, frozen=True):
    """Bytes that the protocol wants back now (a pong, an answer to a test request); sent as text."""

    body: bytes


class Counted(Said, frozen=True):
    """The number of a message among all of its connection (`SequenceRule.CONNECTION`); said before its other events."""

    number: int


class Quiet(Said, frozen=True):
    """An acknowledgement, heartbeat or status: read, and of no further use. `why` is one word for the count."""

    why: str


Event = BookSnapshot | BookDiff | Trade | Liquidation | Reply | Counted | Quiet | Item


@dataclass(frozen=True, slots=True)
class Channel:
    """One thing to hear about one instrument."""

    name: str
    """`BOOK`, `TRADES`, `LIQUIDATIONS`, `TICKER`, or a venue's own word."""
    instrument: str
    """As frames name it: what `Heard.market_of` is keyed by."""
    market: str
    perpetual: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """What a frame's parser must know beside the frame."""

    source: str
    seen_ms: int
    market_of: Mapping[str, str] = field(default_factory=dict)
    """The instruments that were asked for; empty for a recording, where any is taken under its own name."""
    unit: Mapping[str, float] = field(default_factory=dict)
    """Coins in one contract, by instrument, as the venue's instruments answer gave it."""
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    """How sizes are counted, by instrument, as this venue has listed them (`Board.contracts`)."""

    def market(self, instrument: str) -> str:
        """Raises `Rejected` (`WRONG_INSTRUMENT`) for one that was not asked for."""
        if not self.market_of:
            return instrument
        try:
            return self.market_of[instrument]
        except KeyError:
            raise Rejected(Rejection.WRONG_INSTRUMENT, f"{instrument[:40]} was not subscribed to") from None

    def asked(self, instrument: str, *, perpetual: bool = False) -> Asked:
        """What the parsers of answers want to know, of something that nobody asked just now. Raises as `market`."""
        return Asked(
            self.source,
            self.market(instrument),
            instrument,
            self.seen_ms,
            perpetual=perpetual,
            contract=self.contracts.get(instrument),
        )

    def refusal(self, instrument: str, what: str, rejected: Rejected) -> Refusal:
        market = self.market_of.get(instrument, instrument if not self.market_of else "")
        return Refusal(source=self.source, market=market, what=what, reason=rejected.reason, detail=rejected.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One websocket of a venue: one socket for each, so that its futures do not fall with its spot."""

    name: str
    """"spot", "futures": for logs, and to tell the sockets of one venue apart."""
    path: str
    """Added to the venue's `stream_url`, or to its `futures_stream_url`."""
    futures_host: bool = False
    channels: Callable[[str, Instruments], Iterable[Channel]]
    """(market, the venue's names) -> what to hear."""
    subscribe: Callable[[Sequence[Channel]], Iterable[bytes]]
    """Messages to send once the socket is open, as text; cut to what the venue takes in one."""
    parse: Callable[[Heard, object], Iterable[Event]]
    """Pure. Raises `Rejected` for a frame that is bad as a whole, `VenueTrouble` where the venue says that it must be
    left alone (rate limit, maintenance); refuses parts as items."""
    hears: Callable[[str, object], bool] = lambda _address, _frame: False
    """(address of the socket, empty where a recording does not say; a decoded frame) -> whether it is one of this
    socket's. For recordings, where frames of several sockets and answers lie side by side."""
    silence_s: float = 15.0
    """Nothing at all for so long: the socket is down, whatever TCP thinks of it."""
    sequence: SequenceRule = SequenceRule.NONE
    snapshot: Callable[[Channel], Request] | None = None
    """The REST question whose answer the differences apply to; `None` where the channel begins with a snapshot."""
    read_snapshot: Callable[[Heard, Channel, object], BookSnapshot] | None = None
    """That answer, decoded, as a snapshot; raises `Rejected`. Goes with `snapshot`."""
    checksum: Checksum | None = None
    """The venue's sum over the top of a book (`books.checksums`), verified wherever a message states one."""
    needs_contracts: bool = False
    """Opened once the instruments are listed (or half a minute later): sizes are counted in contracts, or the checksum
    wants the venue's decimals."""
    data_silence_s: float | None = 90.0
    """Heartbeats, and nothing of any market, for so long: the subscription is dead. `None` where that is normal."""
    resubscribe: Callable[[Channel], Iterable[bytes]] | None = None
    """Messages that make the venue send this channel's snapshot again (usually: unsubscribe, subscribe); `None`: the
    socket is opened anew."""
    ping: Callable[[int], bytes] | None = None
    """(now in ms) -> the venue's own ping message, where websocket pings do not keep it open."""
    ping_every_s: float = 15.0
    plain: frozenset[bytes] = frozenset()
    """Messages that are not JSON and mean only that the venue is there (OKX answers "ping" with "pong")."""
    says: str = ""
    """One line for docs/sources.md: what is heard, in the venue's channel names."""

    def __post_init__(self) -> None:
        if (self.snapshot is None) != (self.read_snapshot is None):
            raise ValueError(f"stream {self.name}: `snapshot` and `read_snapshot` go together")


def asked_anew(ask: Callable[[str, Sequence[Channel]], Iterable[bytes]]) -> Callable[[Channel], Iterator[bytes]]:
    """`Stream.resubscribe` of a venue whose messages differ by the word alone: unsubscribe, then subscribe.

    Args:
        ask: ("subscribe" or "unsubscribe", channels) -> messages.
    """

    def resubscribe(channel: Channel) -> Iterator[bytes]:
        yield from ask("unsubscribe", (channel,))
        yield from ask("subscribe", (channel,))

    return resubscribe
