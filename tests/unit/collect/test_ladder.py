"""The ladder against a book that sorts everything every time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.books import ladder
from margrave.collect.books.ladder import HEAP_SLACK, KEPT, MAX_HELD, Ladder, Side

changes = st.lists(
    st.lists(st.tuples(st.integers(1, 30).map(float), st.sampled_from([0.0, 0.0, 1.0, 2.5])), max_size=8), max_size=60
)


@given(changes, st.booleans())
def test_a_side_holds_and_ranks_what_a_sorted_book_would(messages: list[list[tuple[float, float]]], bids: bool) -> None:
    side, plain = Side(bids=bids), dict[float, float]()
    best: Callable[[dict[float, float]], float] = max if bids else min
    for message in messages:
        side.apply(message)
        for price, size in message:
            plain[price] = size
        plain = {price: size for price, size in plain.items() if size}
        assert side.sizes == plain
        assert side.best == (best(plain) if plain else None)
        assert side.nearest(3) == sorted(plain, reverse=bids)[:3]
        assert len(side._heap) <= 2 * len(side.sizes) + HEAP_SLACK + 8
    prices, sizes = side.columns()
    assert list(prices) == sorted(plain, reverse=bids)
    assert list(sizes) == [plain[price] for price in prices]


@given(changes, st.integers(1, 12))
def test_a_window_keeps_the_nearest_levels_and_is_known_as_far_as_they_reach(
    messages: list[list[tuple[float, float]]], depth: int
) -> None:
    side = Side(bids=True)
    for message in messages:
        side.apply(message)
        held = sorted(side.sizes, reverse=True)
        side.truncate(depth)
        assert sorted(side.sizes, reverse=True) == held[:depth]
        assert side.best == (held[0] if held else None)
        assert side.horizon == (min(held[:depth]) if held else None)
        assert side.forgotten == 0


def test_a_flood_of_far_levels_is_forgotten_counted_and_shortens_what_is_known() -> None:
    side = Side(bids=False)
    side.replace([(100.0 + i, 1.0) for i in range(100)])
    assert side.horizon == 199.0
    side.apply([(1_000.0 + i, 1.0) for i in range(MAX_HELD)])
    assert len(side.sizes) == KEPT
    assert side.forgotten == MAX_HELD + 100 - KEPT
    assert side.horizon == 199.0  # all that was dropped lay beyond what was known anyway
    near = [(50.0 + i / 1_000, 1.0) for i in range(KEPT)]
    side.apply(near)
    assert side.horizon == near[-1][0]
    assert (side.best, len(side.sizes)) == (50.0, KEPT)


def test_a_level_that_comes_and_goes_leaves_nothing_behind() -> None:
    side = Side(bids=True)
    side.apply([(100.0, 1.0)])
    for _ in range(10_000):
        side.apply([(99.0, 1.0)])
        side.apply([(99.0, 0.0)])
    assert side.sizes == {100.0: 1.0}
    assert len(side._heap) <= 2 + HEAP_SLACK + 1


def test_text_is_kept_of_the_levels_that_are_held_and_of_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "MAX_HELD", 4)
    monkeypatch.setattr(ladder, "KEPT", 2)
    side = Side(bids=True)
    side.replace([(3.0, 1.0), (2.0, 0.0), (1.0, 1.0)], [("3.00", "1.0"), ("2.00", "0.0"), ("1.00", "1.0")])
    assert side.raw == {3.0: ("3.00", "1.0"), 1.0: ("1.00", "1.0")}
    side.apply([(4.0, 1.0), (1.0, 0.0)])
    side.apply_raw([(4.0, 1.0), (1.0, 0.0)], [("4.00", "1.0"), ("1.00", "0.0")])
    assert side.nearest_raw(25) == [("4.00", "1.0"), ("3.00", "1.0")]
    side.apply([(0.5, 1.0), (0.4, 1.0), (0.3, 1.0)])
    assert set(side.raw) == {4.0, 3.0}
    assert side.forgotten == 3


def test_a_book_is_crossed_when_its_sides_touch() -> None:
    book = Ladder()
    book.bids.apply([(99.0, 1.0)])
    assert not book.crossed()
    book.asks.apply([(99.5, 1.0)])
    assert not book.crossed()
    book.bids.apply([(99.5, 1.0)])
    assert book.crossed()


def test_half_a_book_has_no_measures() -> None:
    book = Ladder()
    book.bids.replace([(99.0, 1.0)])
    assert book.measures(unit=1.0, sizes_in_usd=False, reference_usd=None) is None
    book.asks.replace([(101.0, 1.0)])
    measures = book.measures(unit=1.0, sizes_in_usd=False, reference_usd=None)
    assert measures is not None
    assert (measures.bid, measures.ask) == (99.0, 101.0)
