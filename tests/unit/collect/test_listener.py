"""What the frames of a socket amount to, without a socket: a small protocol of our own that can say everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from margrave.collect.board import Board
from margrave.collect.books.rules import Resync, SequenceRule
from margrave.collect.listener import UNREADABLE, Listener
from margrave.collect.source import Request, Trouble, Venue, VenueTrouble
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
from margrave.messages import BookReading, LiquidationsReading, TradesReading
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS

EVENTS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (BookSnapshot, BookDiff, Trade, Liquidation, Reply, Counted, Quiet)
}
CHANNELS = (
    Channel(BOOK, "BTCUSDT", "BTC", perpetual=True),
    Channel(TRADES, "BTCUSDT", "BTC", perpetual=True),
    Channel(LIQUIDATIONS, "BTCUSDT", "BTC", perpetual=True),
)


def say(*events: Event | str) -> bytes:
    """A frame of the protocol: its events as they are, or a word that stands for what a parser raises."""
    return msgspec.json.encode(
        [e if isinstance(e, str) else [type(e).__name__, msgspec.to_builtins(e)] for e in events]
    )


def parse(_heard: Heard, body: object) -> Iterator[Event]:
    assert isinstance(body, list)
    for part in body:
        match part:
            case "trouble":
                raise VenueTrouble(Trouble.RATE_LIMITED, "slow down")
            case "bad":
                raise Rejected(Rejection.NOT_FINITE, "price is nan")
            case "unknown":
                raise Rejected(Rejection.UNKNOWN_SHAPE, "a new channel")
            case "bug":
                raise KeyError("ours")
            case [str(name), said]:
                yield msgspec.convert(said, EVENTS[name])


def nothing(*_: object) -> Iterable[Any]:
    return ()


STREAM = Stream(
    name="test",
    path="/ws",
    channels=nothing,
    subscribe=nothing,
    parse=parse,
    sequence=SequenceRule.NEXT,
    plain=frozenset({b"pong"}),
)
VENUE = Venue("toy", (), nothing, lambda _: None, lambda _: ("", False), streams=(STREAM,))


def whole(sequence: int = 1, *, at: int = NOW_MS) -> BookSnapshot:
    return BookSnapshot("BTCUSDT", True, at, sequence, [(99.0, 50.0)], [(101.0, 50.0)])


def diff(number: int, bid: float = 99.5, *, at: int = NOW_MS) -> BookDiff:
    return BookDiff("BTCUSDT", True, at, number, number, number - 1, [(bid, 1.0)], [])


class Bench:
    def __init__(self, stream: Stream = STREAM) -> None:
        self.board = Board()
        self.listener = Listener(VENUE, stream, CHANNELS, board=self.board, reference_usd={"BTC": 100.0})
        self.listener.opened(NOW_MS)

    @property
    def book(self) -> Any:
        return self.listener.books["BTCUSDT"]

    def resyncs(self) -> dict[Resync, int]:
        return dict(self.book.keeper.resyncs)

    def told(self, now_ms: int = NOW_MS) -> dict[type[Any], Any]:
        self.listener.tell(now_ms)
        return {type(r): r for r in self.board.readings()}


def test_books_trades_and_liquidations_reach_the_board_when_they_are_told() -> None:
    b = Bench()
    trade = Trade("BTCUSDT", True, NOW_MS, 100.0, 250.0, True, "1")
    b.listener.frame(say(whole(), trade, Liquidation("BTCUSDT", NOW_MS, True, 100.0, 900.0)))
    b.listener.frame(say(diff(2)))
    assert b.board.readings() == ()
    told = b.told()
    book = told[BookReading]
    assert (book.bid, book.ask, book.perpetual, book.market) == (99.5, 101.0, True, "BTC")
    assert book.impact_buy == pytest.approx(101.0 / 100.25 - 1)
    assert told[TradesReading].buy_usd == 250.0
    assert told[LiquidationsReading].long_usd == 900.0
    assert (b.listener.frames, b.listener.data_frames) == (2, 2)


def test_a_lost_book_says_nothing_until_it_is_whole_again() -> None:
    b = Bench()
    b.listener.frame(say(whole()))
    assert (b.book.whole.is_set(), b.book.lost.is_set()) == (True, False)
    b.listener.frame(say(diff(5)))
    assert (b.book.whole.is_set(), b.book.lost.is_set()) == (False, True)
    assert BookReading not in b.told()
    assert not b.listener.keeps("BTC", perpetual=True, now_ms=NOW_MS)
    b.listener.frame(say(whole(9)))
    assert b.told()[BookReading].bid == 99.0
    assert b.listener.keeps("BTC", perpetual=True, now_ms=NOW_MS)
    assert not b.listener.keeps("BTC", perpetual=False, now_ms=NOW_MS)
    assert not b.listener.keeps("BTC", perpetual=True, now_ms=NOW_MS + 61_000)


def test_what_the_venue_wants_answered_is_given_back_and_plain_words_are_quiet() -> None:
    b = Bench()
    assert b.listener.frame(say(Reply(b"pong 7"), Quiet("ack"))) == [Reply(b"pong 7")]
    assert b.listener.frame(b"pong") == []
    assert dict(b.listener.quiet) == {"ack": 1, "plain": 1}
    assert b.listener.data_frames == 0


def test_a_missing_number_of_the_connection_costs_every_book_and_a_repeated_message_is_ignored() -> None:
    b = Bench(replace(STREAM, sequence=SequenceRule.CONNECTION))
    b.listener.frame(say(Counted(0), whole()))
    b.listener.frame(say(Counted(1), diff(0, 99.5)))
    b.listener.frame(say(Counted(1), diff(0, 99.9)))
    assert (b.listener.repeats, b.book.keeper.ladder.bids.best) == (1, 99.5)
    b.listener.frame(say(Counted(3), diff(0, 99.7)))
    assert b.resyncs() == {Resync.GAP: 1}
    b.listener.opened(NOW_MS)
    b.listener.frame(say(Counted(0), whole()))
    assert b.book.keeper.whole


@pytest.mark.parametrize(
    ("rule", "word", "lost"),
    [
        (SequenceRule.NONE, "bad", True),  # nothing else would show that the message was part of the book
        (SequenceRule.NONE, "unknown", False),
        (SequenceRule.NEXT, "bad", False),  # the next number will
    ],
)
def test_a_message_that_cannot_be_read_costs_the_books_that_it_may_have_belonged_to(
    rule: SequenceRule, word: str, lost: bool
) -> None:
    b = Bench(replace(STREAM, sequence=rule))
    b.listener.frame(say(whole()))
    b.listener.frame(say(word))
    assert b.book.keeper.whole is not lost
    assert b.resyncs() == ({Resync.BAD_MESSAGE: 1} if lost else {})
    assert (b.listener.refused, len(b.board.refusals())) == (1, 1)


@pytest.mark.parametrize("garbage", [b"", b"\x1f\x8b\x08\x00rubbish", b"[" * 100_000, b'{"a": NaN}', b"\xff\xfe"])
def test_bytes_that_are_no_json_are_refused_by_name(garbage: bytes) -> None:
    b = Bench()
    assert b.listener.frame(garbage) == []
    (refusal,) = b.board.refusals()
    assert refusal.reason in (Rejection.MALFORMED, Rejection.EMPTY)
    assert refusal.source == "toy"


def test_a_venue_that_speaks_another_language_is_given_up() -> None:
    b = Bench()
    for _ in range(UNREADABLE - 1):
        b.listener.frame(b"?")
    b.listener.frame(say(Quiet("ack")))
    for _ in range(UNREADABLE - 1):
        b.listener.frame(b"?")
    with pytest.raises(VenueTrouble, match="50 frames in a row") as raised:
        b.listener.frame(b"?")
    assert raised.value.trouble is Trouble.GARBLED


def test_a_fault_of_ours_in_a_parser_is_counted_and_costs_the_books_and_nothing_else() -> None:
    b = Bench()
    b.listener.frame(say(whole()))
    b.listener.frame(say("bug"))
    assert b.resyncs() == {Resync.BAD_MESSAGE: 1}
    assert "KeyError" in b.board.refusals()[0].detail
    b.listener.frame(say(whole(4)))
    assert b.book.keeper.whole


def test_a_venue_that_asks_to_be_left_alone_ends_the_connection() -> None:
    with pytest.raises(VenueTrouble, match="slow down"):
        Bench().listener.frame(say("trouble"))


def test_a_book_that_was_not_asked_for_is_refused() -> None:
    b = Bench()
    stray = msgspec.structs.replace(whole(), instrument="DOGEUSDT")
    b.listener.frame(say(stray))
    assert b.board.refusals()[0].reason is Rejection.WRONG_INSTRUMENT
    assert not b.book.keeper.whole


def test_dropped_frames_cost_every_book_and_every_sum() -> None:
    b = Bench()
    b.listener.frame(say(whole(), Trade("BTCUSDT", True, NOW_MS, 100.0, 1.0, True, "1")))
    b.listener.overflowed(NOW_MS + 1)
    assert b.resyncs() == {Resync.OVERFLOW: 1}
    assert TradesReading not in b.told(NOW_MS + 2)


def test_a_lost_connection_costs_every_book_once() -> None:
    b = Bench()
    b.listener.frame(say(whole()))
    b.listener.closed()
    b.listener.closed()
    assert b.resyncs() == {Resync.RECONNECTED: 1}
    assert b.told() == {}


def test_a_book_stamped_ahead_of_our_clock_is_refused_with_the_skew_in_the_refusal() -> None:
    b = Bench()
    b.listener.frame(say(whole(at=NOW_MS + 600_000)))
    assert BookReading not in b.told()
    (refusal,) = b.board.refusals()
    assert refusal.reason is Rejection.FUTURE
    assert "600.0 s ahead" in refusal.detail
    assert "-600.0 s" in refusal.detail
    assert b.board.skew_ms("toy") == -600_000


def test_a_book_best_above_any_price_is_refused() -> None:
    b = Bench()
    b.listener.frame(say(BookSnapshot("BTCUSDT", True, NOW_MS, 1, [(2e9, 1.0)], [(3e9, 1.0)])))
    assert BookReading not in b.told()
    assert b.board.refusals()[0].reason is Rejection.OUT_OF_RANGE


def test_a_snapshot_by_rest_is_read_refused_or_complained_of() -> None:
    def ask(channel: Channel) -> Request:
        raise AssertionError(channel)

    def read(_heard: Heard, _channel: Channel, body: object) -> BookSnapshot:
        if body == "bad":
            raise Rejected(Rejection.EMPTY, "nothing")
        return whole(10)

    def complaint(body: object) -> VenueTrouble | None:
        return VenueTrouble(Trouble.MAINTENANCE, "later") if body == "later" else None

    b = Bench(replace(STREAM, snapshot=ask, read_snapshot=read))
    b.listener.venue = replace(VENUE, complaint=complaint)
    b.listener.snapshot(b.book, b'"bad"', NOW_MS)
    b.listener.snapshot(b.book, b"no json", NOW_MS)
    assert b.resyncs() == {Resync.SNAPSHOT_FAILED: 2}
    with pytest.raises(VenueTrouble, match="later"):
        b.listener.snapshot(b.book, b'"later"', NOW_MS)
    b.listener.frame(say(diff(11)))
    b.listener.snapshot(b.book, b"{}", NOW_MS)
    assert (b.book.keeper.whole, b.book.keeper.sequence) == (True, 11)


def test_health_tells_what_was_heard() -> None:
    b = Bench()
    b.listener.frame(say(whole()))
    b.listener.frame(say(diff(1)))
    b.listener.frame(say(diff(9)))
    b.listener.frame(b"?")
    health = b.listener.health(up=True, trouble=None, problem=None, reconnects=2, dropped=3)
    assert (health.frames, health.refused, health.repeats, health.books, health.books_whole) == (4, 1, 1, 1, 0)
    b.board.tell_socket("toy", "test", health)
    source = b.board.health_of("toy")
    assert (source.frames, source.reconnects, source.resyncs, source.dropped) == (4, 2, 1, 3)
