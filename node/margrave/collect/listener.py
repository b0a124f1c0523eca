"""What the frames of one websocket amount to: books kept, flows summed, everything else on the board. No I/O.

The socket brings frames and asks for snapshots; this knows what to make of them. Frames may say anything: what cannot
be read is refused and counted, and where it may have held part of a book, the book is given up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from margrave.collect.board import Board, SocketHealth
from margrave.collect.books.keeper import Keeper
from margrave.collect.books.rules import Resync, SequenceRule
from margrave.collect.flows import LiquidationFlow, TradeFlow
from margrave.collect.kept import Book
from margrave.collect.source import Trouble, Venue, VenueTrouble, decode
from margrave.collect.stream import (
    BOOK,
    LIQUIDATIONS,
    TRADES,
    BookDiff,
    BookSnapshot,
    Channel,
    Counted,
    Event,
    Heard,
    Liquidation,
    Quiet,
    Reply,
    Stream,
    Trade,
)
from margrave.errors import Rejected
from margrave.messages import BookReading, Refusal
from margrave.settings import MarketSettings
from margrave.verdicts import Rejection

UNREADABLE: Final = 50
"""Frames in a row that cannot be read: the venue speaks another language than its adapter."""
_HARMLESS: Final = frozenset(
    {Rejection.UNKNOWN_SHAPE, Rejection.NOT_READ, Rejection.VENUE_ERROR, Rejection.WRONG_INSTRUMENT}
)
"""Refusals of frames that held no part of a book of ours."""

log = structlog.get_logger(__name__)


class Listener:
    """Everything that one stream says about the markets of one node.

    Args:
        channels: what was asked for; anything else is refused.
        reference_usd: the size whose cost is measured on the books, by market.
    """

    def __init__(
        self,
        venue: Venue,
        stream: Stream,
        channels: Iterable[Channel],
        *,
        board: Board,
        reference_usd: Mapping[str, float] | None = None,
    ) -> None:
        self.venue, self.stream, self.channels = venue, stream, tuple(channels)
        self._board = board
        self._reference_usd = reference_usd or {}
        self._market_of = {channel.instrument: channel.market for channel in self.channels}
        self.books: dict[str, Book] = {}
        self._trades: dict[str, TradeFlow] = {}
        self._liquidations: dict[str, LiquidationFlow] = {}
        for c in self.channels:
            if c.name == BOOK:
                self.books[c.instrument] = Book(c, self._keeper())
            elif c.name == TRADES:
                self._trades[c.instrument] = TradeFlow(venue.name, c.market, c.instrument, perpetual=c.perpetual)
            elif c.name == LIQUIDATIONS:
                self._liquidations[c.instrument] = LiquidationFlow(venue.name, c.market, c.instrument)
        self._flows: tuple[TradeFlow | LiquidationFlow, ...] = (*self._trades.values(), *self._liquidations.values())
        self._heard = Heard(source=venue.name, seen_ms=0, market_of=self._market_of)
        self._number: int | None = None
        self._unreadable = 0
        self._faults = 0
        self.quiet: Counter[str] = Counter()
        self.frames = 0
        self.data_frames = 0
        """Frames that said something of a market."""
        self.refused = 0
        self.repeats = 0

    # --- what the socket calls ----------------------------------------------------------------------------------

    def opened(self, now_ms: int) -> None:
        """A connection begins: every book is wanted, and everything from here on is heard."""
        self._number, self._unreadable = None, 0
        self.tick(now_ms)
        for book in self.books.values():
            book.want()
        for flow in self._flows:
            flow.window.listen(now_ms)

    def closed(self) -> None:
        """The connection was lost, and with it whatever is said until the next."""
        for book in self.books.values():
            if book.keeper.whole:
                book.keeper.give_up(Resync.RECONNECTED)
            else:
                book.keeper.forget_waiting()
            book.whole.clear()
        for flow in self._flows:
            flow.window.lose()

    def overflowed(self, now_ms: int) -> None:
        """Frames were dropped unread: no book and no sum that they may have belonged to is right any more."""
        self._lose_all(Resync.OVERFLOW)
        for flow in self._flows:
            flow.window.lose()
            flow.window.listen(now_ms)

    def tick(self, now_ms: int) -> None:
        """The time of reading for the frames that follow; asked once for many of them."""
        self._heard = Heard(
            source=self.venue.name,
            seen_ms=now_ms,
            market_of=self._market_of,
            contracts=self._board.contracts(self.venue.name),
        )

    def frame(self, frame: bytes) -> list[Reply]:
        """Everything that one frame says is done; what the venue wants answered is given back.

        Raises:
            VenueTrouble: the venue asks to be left alone, or nothing it says can be read.
        """
        self.frames += 1
        replies: list[Reply] = []
        if frame in self.stream.plain:
            self.quiet["plain"] += 1
            return replies
        before = self.data_frames
        try:
            for event in self.stream.parse(self._heard, decode(frame)):
                if type(event) is Reply:
                    replies.append(event)
                elif not self._take(event):
                    break
        except Rejected as rejected:
            self._refuse("frame", rejected)
        except VenueTrouble:
            raise
        except Exception as error:
            self._fault(error)
        else:
            self._unreadable = 0
        self.data_frames = min(self.data_frames, before + 1)
        return replies

    def snapshot(self, book: Book, body: bytes, now_ms: int) -> None:
        """A REST answer for one book.

        Raises:
            VenueTrouble: the venue says, in the body, that it cannot answer now.
        """
        self.tick(now_ms)
        assert self.stream.read_snapshot is not None
        try:
            answer = decode(body)
            self.venue.complain(answer)
            said = self.stream.read_snapshot(self._heard, book.channel, answer)
        except Rejected as rejected:
            self._refuse("snapshot", rejected)
            book.keeper.resyncs[Resync.SNAPSHOT_FAILED] += 1
        else:
            self._begin(book, said)

    def tell(self, now_ms: int) -> None:
        """Put on the board what the books and flows amount to now."""
        skew_ms = self._board.skew_ms(self.venue.name) or 0
        for book in self.books.values():
            if not book.keeper.whole:
                continue
            if book.narrow(now_ms):
                self._lose(book, book.keeper.give_up(Resync.NARROW))
                continue
            reference_usd = self._reference_usd.get(book.channel.market)
            item = book.item(self.venue.name, now_ms, skew_ms=skew_ms, reference_usd=reference_usd)
            self.refused += isinstance(item, Refusal)
            self._board.put(item)
        for flow in self._flows:
            if (reading := flow.reading(now_ms)) is not None:
                self._board.put(reading)

    def keeps(self, market: str, *, perpetual: bool, now_ms: int) -> bool:
        """Whether a book of this market is whole and of the present, so that it need not be asked for."""
        return any(
            book.current(now_ms)
            for book in self.books.values()
            if (book.channel.market, book.channel.perpetual) == (market, perpetual)
        )

    def health(
        self, *, up: bool, trouble: Trouble | None, problem: str | None, reconnects: int, dropped: int
    ) -> SocketHealth:
        keepers = [book.keeper for book in self.books.values()]
        resyncs: Counter[Resync] = Counter()
        for keeper in keepers:
            resyncs.update(keeper.resyncs)
        return SocketHealth(
            up=up,
            trouble=trouble,
            last_error=problem,
            frames=self.frames,
            refused=self.refused + sum(flow.window.untimely for flow in self._flows),
            repeats=self.repeats + sum(k.repeats for k in keepers) + sum(flow.window.repeats for flow in self._flows),
            reconnects=reconnects,
            resyncs=dict(resyncs),
            dropped=dropped,
            forgotten=sum(keeper.forgotten for keeper in keepers),
            books=len(keepers),
            books_whole=sum(keeper.whole for keeper in keepers),
        )

    # --- events -------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> bool:
        """Do one event; whether the rest of its frame counts."""
        seen_ms = self._heard.seen_ms
        match event:
            case BookDiff():
                self._lag(event.venue_ms)
                if (book := self._book_of(event)) is not None:
                    book.begun.set()
                    self._settle(book, book.keeper.diff(event))
            case Trade():
                self._lag(event.venue_ms)
                if (trades := self._trades.get(event.instrument)) is not None:
                    trades.add(event, seen_ms)
            case BookSnapshot():
                self._lag(event.venue_ms)
                if (book := self._book_of(event)) is not None:
                    self._begin(book, event)
            case Liquidation():
                self._lag(event.venue_ms)
                if (closed := self._liquidations.get(event.instrument)) is not None:
                    closed.add(event, seen_ms)
            case Counted():
                return self._in_turn(event.number)
            case Quiet():
                self.quiet[event.why] += 1
            case Refusal():
                self.refused += 1
                self._board.put(event)
            case Reply():
                pass
            case BookReading() if event.instrument in self.books:
                self.data_frames += 1  # a top of a book that is kept whole here says less than the book
            case _:
                self.data_frames += 1
                self._board.put(event)
        return True

    def _lag(self, venue_ms: int) -> None:
        self.data_frames += 1
        self._board.heard(self.venue.name, self._heard.seen_ms - venue_ms, self._heard.seen_ms)

    def _book_of(self, said: BookDiff | BookSnapshot) -> Book | None:
        book = self.books.get(said.instrument)
        if book is None:
            stray = Rejected(Rejection.WRONG_INSTRUMENT, f"a book of {said.instrument[:40]}, which was not asked for")
            self.refused += 1
            self._board.put(self._heard.refusal(said.instrument, "book", stray))
        return book

    def _begin(self, book: Book, said: BookSnapshot) -> None:
        self._settle(book, book.keeper.snapshot(said))

    def _settle(self, book: Book, lost: Resync | None) -> None:
        """Say what became of a book after a message."""
        if lost is not None:
            self._lose(book, lost)
        else:
            book.settled(self._heard.seen_ms)

    def _lose(self, book: Book, why: Resync) -> None:
        book.given_up()
        log.info(
            "book lost",
            source=self.venue.name,
            instrument=book.channel.instrument,
            reason=why.value,
            advice="no action: it is begun again",
        )

    def _lose_all(self, why: Resync) -> None:
        for book in self.books.values():
            if book.keeper.whole:
                self._lose(book, book.keeper.give_up(why))
            else:
                book.keeper.forget_waiting()

    def _in_turn(self, number: int) -> bool:
        held, self._number = self._number, number
        if held is None or number == held + 1:
            return True
        if number <= held:
            self._number = held
            self.repeats += 1
            return False
        self._lose_all(Resync.GAP)
        return True

    def _refuse(self, what: str, rejected: Rejected) -> None:
        """A frame that cannot be read. Where neither numbers nor sums would show it, it may have been of any book."""
        self.refused += 1
        self._unreadable += 1
        self._board.put(self._heard.refusal("", what, rejected))
        if self.stream.sequence is SequenceRule.NONE and rejected.reason not in _HARMLESS:
            self._lose_all(Resync.BAD_MESSAGE)
        if self._unreadable >= UNREADABLE:
            raise VenueTrouble(
                Trouble.GARBLED,
                f"{self.venue.name} {self.stream.name}: {UNREADABLE} frames in a row: {rejected.problem}",
            )

    def _fault(self, error: Exception) -> None:
        """A fault of ours in one parser must not stop the others, let alone the round."""
        self._faults += 1
        if self._faults == 1:
            log.exception(
                "an adapter failed: report it with the frame", source=self.venue.name, stream=self.stream.name
            )
        problem = f"{type(error).__name__}: {str(error)[:80]}"
        self._lose_all(Resync.BAD_MESSAGE)
        self._refuse("frame", Rejected(Rejection.MALFORMED, f"the adapter failed: {problem}"))

    def _keeper(self) -> Keeper:
        stream = self.stream
        return Keeper(stream.sequence, by_rest=stream.snapshot is not None, checksum=stream.checksum)


def listener_of(venue: Venue, stream: Stream, markets: Mapping[str, MarketSettings], *, board: Board) -> Listener:
    """One for all markets of a node; without channels where none of them has a name here."""
    channels = [
        channel
        for market, settings in markets.items()
        if (names := settings.instruments.get(venue.name)) is not None
        for channel in stream.channels(market, names)
    ]
    sizes = {market: settings.reference_size_usd for market, settings in markets.items()}
    return Listener(venue, stream, channels, board=board, reference_usd=sizes)
