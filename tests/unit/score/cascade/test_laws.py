"""The simulator's laws: which hold for waterfall and clearing solution alike, and which for the latter alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.score.cascade import CloseFactor, Depth, Law, Positions, Waterfall, clear, simulate
from tests.unit.score.cascade.books import ETH, against_ether, depths, losses, moves, positions, shocks

SLACK = 1e-9
Answer = Callable[..., Waterfall]
both = pytest.mark.parametrize("answer", [simulate, clear])


def no_less(after: Waterfall, before: Waterfall) -> None:
    more, less = losses(after), losses(before)
    assert (more >= less - SLACK * (1 + np.abs(less))).all(), (more, less)


def deeper(shock: list[float], by: list[float]) -> list[float]:
    return [max((1 + a) * (1 + b) - 1, -0.9) for a, b in zip(shock, by, strict=True)]


# --- both -----------------------------------------------------------------------------------------------------------


@both
@settings(max_examples=30)
@given(positions(), depths(), shocks(), st.randoms(use_true_random=False))
def test_relabelling_accounts_changes_nothing(
    answer: Answer, book: Positions, depth: Depth, shock: list[float], chance: Any
) -> None:
    order = list(range(len(book)))
    chance.shuffle(order)
    plain = answer(book, depth, shock)
    other = answer(replace(book, collateral=book.collateral[order], debt=book.debt[order]), depth, shock)
    assert losses(other) == pytest.approx(losses(plain), rel=SLACK, abs=SLACK)
    assert other.closed == pytest.approx(plain.closed[order], rel=SLACK, abs=SLACK)


@both
@settings(max_examples=30)
@given(positions(), depths(), shocks())
def test_relabelling_assets_changes_nothing(answer: Answer, book: Positions, depth: Depth, shock: list[float]) -> None:
    order = [2, 0, 1]
    turned = Positions(
        collateral=book.collateral[:, order],
        debt=book.debt[:, order],
        prices_usd=book.prices_usd[order],
        threshold=book.threshold[order],
        bonus=book.bonus[order],
        close=book.close,
    )
    plain = answer(book, depth, shock)
    other = answer(turned, replace(depth, usd=depth.usd[order]), [shock[a] for a in order])
    assert other.sold == pytest.approx(plain.sold[order], rel=SLACK, abs=SLACK)
    assert other.prices_usd == pytest.approx(plain.prices_usd[order], rel=SLACK)
    assert other.bad_debt_usd == pytest.approx(plain.bad_debt_usd, rel=SLACK, abs=SLACK)


@both
@settings(max_examples=30)
@given(positions(), depths(), shocks(), st.integers(-6, 6))
def test_scaling_all_balances_and_depth_scales_losses(
    answer: Answer, book: Positions, depth: Depth, shock: list[float], power: int
) -> None:
    """By powers of two, so that it can be asked to the bit."""
    times = 2.0**power
    plain = answer(book, depth, shock)
    other = answer(
        replace(book, collateral=book.collateral * times, debt=book.debt * times),
        replace(depth, usd=depth.usd * times),
        shock,
    )
    assert (other.sold == plain.sold * times).all()
    assert (other.prices_usd == plain.prices_usd).all()
    assert other.bad_debt_usd == plain.bad_debt_usd * times
    assert other.liquidated_usd == plain.liquidated_usd * times


@both
@settings(max_examples=30)
@given(positions(), depths(), shocks())
def test_an_account_is_what_its_two_halves_are(
    answer: Answer, book: Positions, depth: Depth, shock: list[float]
) -> None:
    halves = replace(
        book, collateral=np.repeat(book.collateral / 2, 2, axis=0), debt=np.repeat(book.debt / 2, 2, axis=0)
    )
    assert losses(answer(halves, depth, shock)) == pytest.approx(
        losses(answer(book, depth, shock)), rel=SLACK, abs=SLACK
    )


@both
@settings(max_examples=50)
@given(positions(), shocks(), st.lists(moves, min_size=3, max_size=3), st.lists(st.integers(0, 900), min_size=6))
def test_where_nothing_moves_the_price_bigger_shocks_and_debts_never_lose_less(
    answer: Answer, book: Positions, shock: list[float], by: list[float], more: list[int]
) -> None:
    endless = Depth(np.full(3, np.inf))
    plain = answer(book, endless, shock)
    no_less(answer(book, endless, deeper(shock, [*by[:2], 0.0])), plain)
    owed = book.debt.copy()
    owed[:, -1] += more[: len(book)]
    no_less(answer(replace(book, debt=owed), endless, shock), plain)


# --- the clearing solution ------------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(positions(), depths(), shocks(), st.lists(st.integers(0, 900), min_size=6))
def test_more_debt_never_lowers_losses(book: Positions, depth: Depth, shock: list[float], more: list[int]) -> None:
    owed = book.debt.copy()
    owed[:, -1] += more[: len(book)]
    no_less(clear(replace(book, debt=owed), depth, shock), clear(book, depth, shock))


@settings(max_examples=80)
@given(positions(), depths(), shocks(), st.floats(1.0, 100.0))
def test_deeper_books_never_raise_losses(book: Positions, depth: Depth, shock: list[float], times: float) -> None:
    no_less(clear(book, depth, shock), clear(book, replace(depth, usd=depth.usd * times), shock))


@settings(max_examples=80)
@given(positions(), depths(), shocks(), st.lists(moves, min_size=3, max_size=3))
def test_a_bigger_shock_never_lowers_losses(book: Positions, depth: Depth, shock: list[float], by: list[float]) -> None:
    plain, worse = clear(book, depth, shock), clear(book, depth, deeper(shock, [*by[:2], 0.0]))
    assert (worse.sold >= plain.sold * (1 - SLACK)).all()
    assert (worse.prices_usd <= plain.prices_usd * (1 + SLACK)).all()
    assert worse.bad_debt_usd >= plain.bad_debt_usd * (1 - SLACK) - SLACK


@settings(max_examples=30)
@given(positions(), depths(), shocks(), st.integers(0, 5))
def test_one_account_more_never_lowers_losses(book: Positions, depth: Depth, shock: list[float], which: int) -> None:
    row = which % len(book)
    fewer = replace(book, collateral=np.delete(book.collateral, row, 0), debt=np.delete(book.debt, row, 0))
    no_less(clear(book, depth, shock), clear(fewer, depth, shock))


# --- what does not hold of the waterfall ----------------------------------------------------------------------------


def halved(*rows: tuple[float, float], depth_usd: float, shock: float) -> float:
    """Ether sold in a waterfall of Aave v3's close factor in an even book."""
    depth = Depth(np.array([depth_usd, np.inf]), 0.01, Law.EVEN)
    return float(simulate(against_ether(*rows, close=CloseFactor(0.5, 0.95)), depth, [shock, 0]).sold[ETH])


def test_a_bigger_shock_may_sell_less_because_it_cures_the_second_account_in_time() -> None:
    """At -27 % the second is called alone, its sale pulls the first below 0.95, and that one is closed whole; at -28 %
    both are halved at once and are well."""
    rows = ((10.0, 5_800.0), (10.0, 6_200.0))
    assert halved(*rows, depth_usd=1_000, shock=-0.28) < 0.75 * halved(*rows, depth_usd=1_000, shock=-0.27)


def test_more_debt_may_sell_less() -> None:
    less = halved((10, 5_200), (10, 5_300), depth_usd=500, shock=-0.34)
    assert halved((10, 5_300), (10, 5_300), depth_usd=500, shock=-0.34) < 0.75 * less


def test_a_thinner_book_may_sell_less() -> None:
    rows = ((10.0, 5_500.0), (10.0, 6_800.0))
    assert halved(*rows, depth_usd=160, shock=-0.16) < 0.97 * halved(*rows, depth_usd=200, shock=-0.16)


def test_closing_whole_does_not_save_the_law_for_early_sales_are_smaller_than_late_ones() -> None:
    depth = Depth(np.array([500.0, np.inf]), 0.01, Law.EVEN)
    book = against_ether((10, 7_800), (10, 5_200), close=CloseFactor(1.0, 1.0))
    late, early = (float(simulate(book, depth, [s, 0]).sold[ETH]) for s in (-0.34, -0.36))
    assert early < 0.95 * late
