"""What `corners` leaves out is never worse than what it keeps, but for what the table of the normal distribution errs.

600 books, or 10,000 with MARGRAVE_LONG=1; tests/contracts/test_margin_differential.py holds Solidity to the mirror.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave import lanes
from margrave.lanes import Words
from margrave.mirror import corners
from margrave.mirror.portfolio import Leg, Requirement, requirement
from tests.vectors.make import NOW_S, any_words, honest, random_leg

BOOKS = 10_000 if os.environ.get("MARGRAVE_LONG") == "1" else 600
TWICE_THE_PRICE_ERROR = 1e-5

Turn = Callable[[Leg], tuple[bool, int]]
ONE_WAY: tuple[Turn, ...] = (
    lambda _: (True, -1),
    lambda _: (False, -1),
    lambda _: (True, 1),
    lambda _: (False, 1),
    lambda leg: (leg.is_call, -1),
    lambda leg: (leg.is_call, -1 if leg.is_call else 1),
    lambda leg: (leg.is_call, 1 if leg.is_call else -1),
)
"""Books whose legs all lose by the same move, or are all sold: whether a call, and the sign, from any leg."""


def turned(leg: Leg, turn: Turn) -> Leg:
    is_call, sign = turn(leg)
    return Leg(leg.expiry_s, leg.strike, is_call, sign * abs(leg.quantity))


def compared(words: Words, legs: list[Leg]) -> tuple[Requirement, Requirement]:
    kept = corners.scenarios((leg.is_call, leg.quantity) for leg in legs)
    assert len(kept) <= 5
    return requirement(words, legs, NOW_S), requirement(words, legs, NOW_S, scenarios=corners.ALL)


def grain(words: Words, legs: list[Leg]) -> float:
    """What prices may be off, 18 decimals: forwards after the greatest move, strikes where they are more."""
    risen = 1 + 1.5 * (lanes.decode(words, "up_es999") + lanes.decode(words, "contagion") + 3.3 * 3.3)
    highest = lanes.price_usd(words) * 10 * risen
    return sum(abs(leg.quantity) / 1e6 * (highest + leg.strike / 1e8) for leg in legs) * TWICE_THE_PRICE_ERROR * 1e18


def test_no_scenario_left_out_is_worse_than_a_corner() -> None:
    rng = random.Random("corners")
    least_gap = 0
    for case in range(BOOKS):
        words = honest(rng) if case % 4 else any_words(rng)
        legs = [turned(random_leg(rng, words), ONE_WAY[case % 7]) for _ in range(1 + case % 3)]
        few, full = compared(words, legs)
        assert few.value == full.value
        assert 0 <= full.worst_loss - few.worst_loss <= grain(words, legs) + 1, (words, legs)
        least_gap += full.worst_loss == few.worst_loss
    assert least_gap > BOOKS * 9 // 10, "nearly always they are the same to the last unit"


@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from(ONE_WAY))
def test_on_ordinary_words_the_grid_adds_nothing_that_can_be_seen(seed: int, count: int, turn: Turn) -> None:
    rng = random.Random(seed)
    words = honest(rng)
    legs = [turned(random_leg(rng, words), turn) for _ in range(count)]
    few, full = compared(words, legs)
    forwards = lanes.price_usd(words) * 4 * sum(abs(leg.quantity) for leg in legs) * 10**12
    assert 0 <= full.worst_loss - few.worst_loss <= TWICE_THE_PRICE_ERROR * forwards
    assert 0 <= full.maintenance - few.maintenance <= TWICE_THE_PRICE_ERROR * forwards


@pytest.mark.parametrize(
    ("legs", "wanted"),
    [
        ([], (10, 18, 22)),
        ([(True, -1)], (10, 18, 22)),
        ([(False, -1)], (0, 10, 21)),
        ([(True, 1)], (2, 10, 21)),
        ([(False, 1)], (10, 20, 22)),
        ([(True, -1), (False, -1)], (0, 10, 18, 21, 22)),
        ([(True, -1), (False, 1)], (10, 18, 19, 20, 22)),
        ([(True, 1), (False, -1), (True, 0)], (0, 1, 2, 10, 21)),
        ([(True, 1), (False, 1)], corners.ALL),
        ([(True, 1), (True, -1)], corners.ALL),
        ([(True, -1), (False, -1), (False, 1)], corners.ALL),
    ],
)
def test_each_kind_of_book_has_its_corners(legs: list[tuple[bool, int]], wanted: tuple[int, ...]) -> None:
    assert corners.scenarios(legs) == wanted
