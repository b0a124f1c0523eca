"""Whatever is lost, repeated, swapped or garbled on the way, no kept book is whole and wrong: for every venue, by the
numbers, sums or whole messages that it has. The market is a recording; what was best in it the exchange said itself.
"""

from __future__ import annotations

import itertools
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.collect.board import Board
from margrave.collect.listener import Listener, listener_of
from margrave.collect.source import VenueTrouble
from margrave.collect.venues import VENUES
from margrave.messages import BookReading
from margrave.settings import MarketSettings
from tests.devnet.dialects import DIALECTS, Speaker, best_by_time, best_of, tape
from tests.history import needs_data

pytestmark = [pytest.mark.data, needs_data]
FIRST, MESSAGES = 60, 240
"""Of the tape: some twenty seconds, a third of it changes of the book."""


@cache
def said(name: str) -> tuple[tuple[int, tuple[bytes, ...], tuple[bytes, ...]], ...]:
    """For each message: its time, what the venue says of it, and what it would say to a subscription just before."""
    dialect, speaker, rows = DIALECTS[name], Speaker(FIRST), []
    speaker.frames = 1
    for message in tape()[FIRST : FIRST + MESSAGES]:
        # A greeting takes the number before: it is said only where the message before was not heard.
        speaker.frames -= 1
        before = speaker.frames
        greeting = tuple(frame.encode() for frame in dialect.greet(message.at_ms - 1, speaker))
        speaker.frames = before + 1
        speaker.market.apply(message)
        frames = tuple(frame.encode() for frame in dialect.speak(message, speaker))
        rows.append((message.at_ms, frames, greeting))
    return tuple(rows)


def listening(name: str) -> Listener:
    dialect, board, adapter = DIALECTS[name], Board(), VENUES[name]
    if dialect.contract is not None:
        board.put(dialect.contract)
    markets = {"ETH": MarketSettings(id=0, reference_size_usd=1e5, instruments={name: dialect.names})}
    stream = next(stream for stream in adapter.streams if stream.name == dialect.stream)
    return listener_of(adapter, stream, markets, board=board)


def assert_not_wrong(listener: Listener) -> None:
    (book,) = listener.books.values()
    ladder, expected = book.keeper.ladder, best_by_time().get(book.keeper.venue_ms)
    assert not ladder.crossed()
    if book.keeper.whole and expected is not None:
        assert best_of(ladder) == expected


ways = st.lists(
    st.sampled_from(["said"] * 12 + ["lost", "twice", "swapped", "stale", "garbled"]),
    min_size=MESSAGES,
    max_size=MESSAGES,
)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@settings(max_examples=12)
@given(ways=ways, data=st.data())
def test_no_kept_book_is_whole_and_wrong(name: str, ways: list[str], data: st.DataObject) -> None:
    listener, held_back, old = listening(name), list[bytes](), list[bytes]()
    (book,) = listener.books.values()
    for index, ((at_ms, frames, greeting), way) in enumerate(zip(said(name), ways, strict=True)):
        listener.tick(at_ms)
        if book.lost.is_set() or index == 0:
            # The socket would ask for a snapshot now; a connection that counts its messages is opened anew.
            listener.opened(at_ms)
            if listener.stream.snapshot is not None:
                played = Speaker(FIRST + index).market
                bids, asks = played.sides(1000)
                body = {"lastUpdateId": played.last, "bids": bids, "asks": asks}
                listener.snapshot(book, msgspec.json.encode(body), at_ms - 1)
                listener.tick(at_ms)
            for frame in greeting:
                heard(listener, frame)
        match way:
            case "lost":
                pass
            case "swapped":
                held_back.extend(frames)
            case "garbled":
                for frame in frames:
                    cut = data.draw(st.integers(0, len(frame) - 1))
                    heard(listener, frame[:cut])
            case _:
                again = (old[-5:] if way == "stale" else []) + list(frames) * (2 if way == "twice" else 1)
                for frame in itertools.chain(again, held_back):
                    heard(listener, frame)
                    assert_not_wrong(listener)
                held_back.clear()
        old.extend(frames)
        assert_not_wrong(listener)
    listener.tell(said(name)[-1][0])
    for reading in listener._board.readings():
        if isinstance(reading, BookReading):
            assert 0 < reading.bid < reading.ask


def heard(listener: Listener, frame: bytes) -> None:
    """A frame may be refused in any way but by an error of ours."""
    try:
        listener.frame(frame)
    except VenueTrouble:
        listener.closed()
        listener.opened(0)
    assert not any("the adapter failed" in refusal.detail for refusal in listener._board.refusals())
