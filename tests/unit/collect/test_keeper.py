"""A kept book is either whole or it is not a book: each rule, with every way in which messages go wrong."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.books.keeper import MAX_BUFFERED, Keeper
from margrave.collect.books.levels import Levels
from margrave.collect.books.rules import Resync, SequenceRule
from margrave.collect.stream import BookDiff, BookSnapshot

NUMBERED = (SequenceRule.SPAN, SequenceRule.PREVIOUS, SequenceRule.NEXT)


def whole(
    sequence: int = 10, *, bids: Levels | None = None, asks: Levels | None = None, at: int = 1_000
) -> BookSnapshot:
    return BookSnapshot(
        instrument="BTCUSDT",
        perpetual=False,
        venue_ms=at,
        sequence=sequence,
        bids=[(99.0, 1.0), (98.0, 1.0)] if bids is None else bids,
        asks=[(101.0, 1.0), (102.0, 1.0)] if asks is None else asks,
    )


def change(number: int, *bids: tuple[float, float], asks: Levels | None = None, at: int = 1_001) -> BookDiff:
    """One change that follows the number before, under any rule that counts by one."""
    return BookDiff(
        instrument="BTCUSDT",
        perpetual=False,
        venue_ms=at,
        first=number,
        last=number,
        previous=number - 1,
        bids=list(bids),
        asks=asks or [],
    )


@pytest.mark.parametrize("rule", NUMBERED)
def test_messages_in_order_are_applied(rule: SequenceRule) -> None:
    keeper = Keeper(rule)
    assert keeper.snapshot(whole(10)) is None
    assert keeper.diff(change(11, (99.5, 2.0))) is None
    assert keeper.diff(change(12, (99.5, 0.0), (99.0, 3.0), asks=[(100.5, 1.0)])) is None
    assert keeper.whole
    assert (keeper.ladder.bids.best, keeper.ladder.asks.best) == (99.0, 100.5)
    assert keeper.ladder.bids.sizes == {99.0: 3.0, 98.0: 1.0}
    assert (keeper.applied, keeper.repeats, keeper.sequence) == (3, 0, 12)


@pytest.mark.parametrize("rule", NUMBERED)
def test_a_gap_in_sequence_asks_for_a_new_snapshot_and_the_book_says_nothing_until_then(rule: SequenceRule) -> None:
    keeper = Keeper(rule)
    keeper.snapshot(whole(10))
    assert keeper.diff(change(12, (99.5, 2.0))) is Resync.GAP
    assert not keeper.whole
    assert keeper.ladder.levels == 0
    assert keeper.diff(change(13, (99.5, 2.0))) is None
    assert (keeper.early, keeper.resyncs) == (1, Counter({Resync.GAP: 1}))
    assert keeper.snapshot(whole(13)) is None
    assert keeper.diff(change(14, (99.5, 2.0))) is None
    assert keeper.ladder.bids.best == 99.5


@pytest.mark.parametrize("rule", NUMBERED)
def test_a_duplicate_and_a_stale_repeat_are_ignored_and_counted(rule: SequenceRule) -> None:
    keeper = Keeper(rule)
    keeper.snapshot(whole(10))
    for number in (11, 12):
        keeper.diff(change(number, (99.0, float(number))))
    for number in (12, 12, 11, 7):
        assert keeper.diff(change(number, (99.0, 555.0))) is None
    assert (keeper.repeats, keeper.whole, keeper.ladder.bids.sizes[99.0]) == (4, True, 12.0)


@pytest.mark.parametrize("rule", NUMBERED)
def test_two_messages_in_the_wrong_order_cost_the_book(rule: SequenceRule) -> None:
    keeper = Keeper(rule)
    keeper.snapshot(whole(10))
    assert keeper.diff(change(12)) is Resync.GAP
    assert keeper.diff(change(11)) is None
    assert not keeper.whole


def test_under_a_span_a_message_may_reach_over_what_is_held() -> None:
    keeper = Keeper(SequenceRule.SPAN)
    keeper.snapshot(whole(10))
    assert keeper.diff(msgspec.structs.replace(change(14, (99.5, 1.0)), first=8)) is None
    assert keeper.sequence == 14
    assert keeper.diff(msgspec.structs.replace(change(20), first=16)) is Resync.GAP


def test_under_previous_numbers_may_be_skipped_stay_and_fall() -> None:
    keeper = Keeper(SequenceRule.PREVIOUS)
    keeper.snapshot(whole(10))
    for number, previous in ((30, 10), (30, 30), (5, 30), (6, 5)):
        assert keeper.diff(msgspec.structs.replace(change(number, (99.0, float(number))), previous=previous)) is None
    assert (keeper.sequence, keeper.applied, keeper.repeats, keeper.whole) == (6, 5, 0, True)
    assert keeper.ladder.bids.sizes[99.0] == 6.0
    assert keeper.diff(msgspec.structs.replace(change(9), previous=None)) is Resync.GAP


def test_without_numbers_time_that_runs_back_costs_the_book() -> None:
    keeper = Keeper(SequenceRule.NONE)
    keeper.snapshot(whole(0, at=1_000))
    assert keeper.diff(change(0, at=1_005)) is None
    assert keeper.diff(change(0, at=1_005)) is None
    assert keeper.diff(change(0, at=1_004)) is Resync.OUT_OF_ORDER


@pytest.mark.parametrize("rule", list(SequenceRule))
def test_a_crossed_book_is_given_up(rule: SequenceRule) -> None:
    keeper = Keeper(rule)
    keeper.snapshot(whole(10))
    assert keeper.diff(change(11, (101.0, 1.0))) is Resync.CROSSED
    assert not keeper.whole
    assert keeper.snapshot(whole(12, bids=[(101.0, 1.0)])) is Resync.CROSSED
    assert keeper.resyncs == Counter({Resync.CROSSED: 2})


def test_a_snapshot_older_than_the_book_is_a_stale_repeat() -> None:
    keeper = Keeper(SequenceRule.SNAPSHOTS)
    keeper.snapshot(whole(0, at=2_000))
    assert keeper.snapshot(whole(0, bids=[(1.0, 1.0)], at=1_999)) is None
    assert (keeper.repeats, keeper.ladder.bids.best) == (1, 99.0)
    assert keeper.snapshot(whole(0, bids=[(98.5, 1.0)], at=2_001)) is None
    assert keeper.ladder.bids.best == 98.5


def test_a_snapshot_that_follows_a_lost_book_is_taken_whatever_its_time() -> None:
    keeper = Keeper(SequenceRule.NEXT)
    keeper.snapshot(whole(10, at=2_000))
    keeper.diff(change(15))
    assert keeper.snapshot(whole(3, at=1_000)) is None
    assert keeper.whole
    assert keeper.venue_ms == 1_000


def test_differences_before_a_rest_snapshot_are_kept_and_laid_over_it() -> None:
    keeper = Keeper(SequenceRule.SPAN, by_rest=True)
    for number in range(8, 14):
        assert keeper.diff(change(number, (99.0, float(number)))) is None
    assert not keeper.whole
    assert keeper.snapshot(whole(10)) is None
    assert (keeper.whole, keeper.sequence, keeper.repeats, keeper.applied) == (True, 13, 3, 4)
    assert keeper.ladder.bids.sizes[99.0] == 13.0


def test_a_rest_snapshot_older_than_what_was_heard_is_asked_for_again_and_nothing_is_lost() -> None:
    keeper = Keeper(SequenceRule.SPAN, by_rest=True)
    for number in (8, 9):
        keeper.diff(change(number, (99.0, float(number))))
    assert keeper.snapshot(whole(5)) is Resync.SNAPSHOT_TOO_OLD
    assert not keeper.whole
    assert keeper.snapshot(whole(7)) is None
    assert (keeper.whole, keeper.sequence, keeper.ladder.bids.sizes[99.0]) == (True, 9, 9.0)


@pytest.mark.parametrize(
    ("previous", "first", "last", "fits"),
    [(8, 9, 12, True), (10, 11, 12, True), (10, 40, 45, True), (9, 40, 45, True), (11, 40, 45, False)],
)
def test_the_first_difference_after_a_rest_snapshot_must_reach_over_it(
    previous: int, first: int, last: int, fits: bool
) -> None:
    """Binance futures: ids are shared among symbols, so a message need not begin where the last one ended."""
    keeper = Keeper(SequenceRule.PREVIOUS, by_rest=True)
    keeper.diff(msgspec.structs.replace(change(last), first=first, previous=previous))
    assert keeper.snapshot(whole(10)) is (None if fits else Resync.SNAPSHOT_TOO_OLD)
    assert keeper.whole is fits


def test_after_the_first_a_difference_must_name_the_one_before_it_exactly() -> None:
    keeper = Keeper(SequenceRule.PREVIOUS, by_rest=True)
    keeper.snapshot(whole(10))
    assert keeper.diff(msgspec.structs.replace(change(15), first=9, previous=8)) is None
    assert keeper.diff(msgspec.structs.replace(change(20), first=16, previous=14)) is Resync.GAP


def test_what_waits_for_a_snapshot_is_bounded_and_the_oldest_goes_first() -> None:
    keeper = Keeper(SequenceRule.SPAN, by_rest=True)
    for number in range(1, MAX_BUFFERED + 101):
        keeper.diff(change(number, (99.0, float(number))))
    assert keeper.early == 100
    assert keeper.snapshot(whole(50)) is Resync.SNAPSHOT_TOO_OLD
    assert keeper.snapshot(whole(150)) is None
    assert keeper.sequence == MAX_BUFFERED + 100


def test_a_price_that_leaves_what_the_snapshot_showed_wants_a_new_one() -> None:
    keeper = Keeper(SequenceRule.SPAN, by_rest=True)
    keeper.snapshot(whole(10, bids=[(99.0, 1.0), (90.0, 1.0)], asks=[(101.0, 1.0), (110.0, 1.0)]))
    assert not keeper.narrow()
    keeper.diff(change(11, asks=[(101.0, 0.0), (106.0, 1.0)]))
    keeper.diff(change(12, (105.0, 1.0)))
    assert keeper.narrow()


messages = st.lists(
    st.tuples(
        st.integers(0, 40), st.floats(90, 110).map(lambda x: round(x, 1)), st.sampled_from([0.0, 1.0]), st.booleans()
    ),
    max_size=80,
)


@given(st.sampled_from(list(SequenceRule)), st.booleans(), messages)
def test_whatever_comes_a_whole_book_is_never_crossed_and_never_skips_a_number(
    rule: SequenceRule, by_rest: bool, said: list[tuple[int, float, float, bool]]
) -> None:
    keeper = Keeper(rule, by_rest=by_rest)
    keeper.snapshot(whole(10))
    for number, price, size, is_bid in said:
        held = keeper.sequence
        if number == 0:
            keeper.snapshot(whole(10))
            continue
        level = [(price, size)]
        keeper.diff(change(number, *(level if is_bid else []), asks=[] if is_bid else level))
        assert not keeper.ladder.crossed()
        if keeper.whole and rule in NUMBERED:
            assert keeper.sequence in (held, held + 1) or by_rest
        if not keeper.whole:
            assert keeper.ladder.levels == 0


def test_under_checksums_alone_an_older_message_is_a_stale_repeat() -> None:
    keeper = Keeper(SequenceRule.CHECKSUM)
    keeper.snapshot(whole(0, at=1_000))
    keeper.diff(change(0, (99.0, 2.0), at=1_005))
    assert keeper.diff(change(0, (99.0, 9.0), at=1_004)) is None
    assert (keeper.repeats, keeper.whole, keeper.ladder.bids.sizes[99.0]) == (1, True, 2.0)
