"""A venue against its own past."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.guard.breaker import allowance, frozen, unconfirmed
from margrave.guard.memory import Remembered
from margrave.spans import HOUR_MS
from tests.unit.guard.sample import POLICY, T0_MS

ROUND_MS = 300_000


def remembered(**prices: float) -> dict[str, Remembered]:
    return {
        source: Remembered(
            market="BTC",
            source=source,
            accepted_price=price,
            accepted_ms=T0_MS,
            value=price,
            value_since_ms=T0_MS,
            consensus_then=100.0,
        )
        for source, price in prices.items()
    }


PAST = remembered(a=100.0, b=100.0, c=100.0, d=100.0, e=100.0)


def lone(prices: dict[str, float], elapsed_ms: int = ROUND_MS) -> set[str]:
    return set(unconfirmed(prices, PAST, T0_MS + elapsed_ms, POLICY))


def test_a_lone_jump_is_not_believed() -> None:
    assert lone({"a": 90.0, "b": 100.0, "c": 100.0, "d": 100.0, "e": 100.0}) == {"a"}


def test_two_that_jump_together_are_too_few_and_three_are_the_market() -> None:
    assert lone({"a": 90.0, "b": 90.0, "c": 100.0, "d": 100.0, "e": 100.0}) == {"a", "b"}
    assert lone({"a": 90.0, "b": 90.0, "c": 90.0, "d": 100.0, "e": 100.0}) == set()


def test_two_that_jump_apart_do_not_confirm_each_other() -> None:
    assert lone({"a": 80.0, "b": 125.0, "c": 100.0, "d": 100.0, "e": 100.0}) == {"a", "b"}


def test_a_jump_to_the_sky_is_not_confirmed_by_a_small_move_the_same_way() -> None:
    assert lone({"a": 100_000.0, "b": 104.0, "c": 104.0, "d": 104.0, "e": 104.0}) == {"a"}


def test_the_allowance_widens_with_the_square_root_of_the_time_since_the_venue_was_accepted() -> None:
    assert allowance(4 * HOUR_MS, POLICY) == pytest.approx(2 * allowance(HOUR_MS, POLICY))
    assert lone({"a": 86.0, "b": 100.0, "c": 100.0}, elapsed_ms=HOUR_MS) == {"a"}
    assert lone({"a": 86.0, "b": 100.0, "c": 100.0}, elapsed_ms=4 * HOUR_MS) == set()


def test_readings_at_the_same_instant_get_a_minute_of_allowance() -> None:
    assert allowance(0, POLICY) == allowance(60_000, POLICY) > 0


def test_a_venue_without_a_past_is_left_to_the_others() -> None:
    assert unconfirmed({"new": 1e9, "b": 100.0}, PAST, T0_MS + ROUND_MS, POLICY) == {}


def test_the_refusal_says_how_far_how_far_is_allowed_and_who_else_moved() -> None:
    found = unconfirmed({"a": 90.0, "b": 100.0, "c": 100.0}, PAST, T0_MS + ROUND_MS, POLICY)
    assert found == {"a": "-10.0% from 100, 2.9% allowed alone, 1 made it"}


@given(st.floats(0.2, 5.0), st.lists(st.floats(-0.002, 0.002), min_size=5, max_size=5))
def test_a_true_gap_passes_in_the_round_it_happens(gap: float, noise: list[float]) -> None:
    assert lone({s: 100.0 * gap * (1 + n) for s, n in zip("abcde", noise, strict=True)}) == set()


def test_a_feed_that_repeats_itself_while_the_others_leave_is_frozen() -> None:
    prices = {"a": 100.0, "b": 97.0, "c": 97.1, "d": 97.2}
    assert frozen(prices, PAST, T0_MS + ROUND_MS, POLICY) == {}
    found = frozen(prices, PAST, T0_MS + 3 * ROUND_MS, POLICY)
    assert found == {"a": "the same price for 900 s while the others moved 290 bp"}


def test_a_quiet_market_is_not_frozen() -> None:
    assert frozen({"a": 100.0, "b": 100.01, "c": 100.05}, PAST, T0_MS + 10 * ROUND_MS, POLICY) == {}


def test_one_venue_that_moves_alone_freezes_nobody() -> None:
    assert frozen({"a": 100.0, "b": 100.0, "c": 105.0}, PAST, T0_MS + 10 * ROUND_MS, POLICY) == {}
