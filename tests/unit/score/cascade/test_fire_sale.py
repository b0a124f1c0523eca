"""The waterfall: hand-worked cases, an exact twin, what bounds it, and bad input."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from margrave.errors import Rejected
from margrave.score.cascade import CloseFactor, Depth, Law, Positions, clear, simulate
from margrave.score.cascade.positions import AAVE_V2, AAVE_V3_3, WHOLE
from margrave.verdicts import Rejection
from tests.unit.score.cascade.books import ENDLESS, ETH, against_ether, depths, exactly, positions, shocks


def even(usd: float) -> Depth:
    return Depth(np.array([usd, np.inf]), 0.01, Law.EVEN)


# --- by hand --------------------------------------------------------------------------------------------------------


def test_who_is_above_one_is_left_alone() -> None:
    found = simulate(against_ether((10, 7_000)), ENDLESS, [-0.125, 0])  # 10 x 875 x 0.8 = 7000: exactly one
    assert found.rounds == ()
    assert found.accounts == found.liquidated_usd == found.bad_debt_usd == 0
    assert found.settled


def test_an_account_a_little_below_one_repays_half_and_is_well_again() -> None:
    """10 ETH at 850 against 7,000: health 6800 / 7000. Half repaid, 3,500, seizes 3,675; left 4,825 against 3,500."""
    found = simulate(against_ether((10, 7_000)), ENDLESS, [-0.15, 0])
    assert len(found.rounds) == 1
    assert found.repaid_usd == pytest.approx(3_500, rel=1e-14)
    assert found.liquidated_usd == pytest.approx(3_675, rel=1e-14)
    assert found.sold[ETH] == pytest.approx(3_675 / 850, rel=1e-14)
    assert found.closed.tolist() == [0.5]
    assert found.bad_debt_usd == 0


def test_an_account_far_below_one_is_closed_whole() -> None:
    """At 800 its health is 6400 / 7000, below 0.95: 7,000 repaid, 7,350 of 8,000 seized."""
    found = simulate(against_ether((10, 7_000)), ENDLESS, [-0.2, 0])
    assert found.repaid_usd == 7_000
    assert found.liquidated_usd == pytest.approx(7_350, rel=1e-14)
    assert found.bad_debt_usd == 0


def test_debt_left_without_collateral_is_bad() -> None:
    """At 600 there are 6,000, which repay 6000 / 1.05; the rest of the 7,000 nobody repays."""
    found = simulate(against_ether((10, 7_000)), ENDLESS, [-0.4, 0])
    assert found.liquidated_usd == pytest.approx(6_000, rel=1e-14)
    assert found.bad_debt_usd == pytest.approx(7_000 - 6_000 / 1.05, rel=1e-14)
    assert found.sold[ETH] == 10


def test_a_sale_pulls_the_next_account_under_and_its_sale_the_one_after() -> None:
    """Dominoes in an even book of 5,000 USD for one percent. To 800: the first is closed, 7,350 / 800 ETH sold, 9,187.5
    at 1,000; the price falls to 800 exp(-0.018375) = 785.43. The second, 10 ETH against 6,300, has a health of 0.99737:
    half is repaid, 3150 x 1.05 / 785.43 ETH sold, and so on."""
    book = against_ether((10, 7_000), (10, 6_300), (10, 6_240), (10, 5_000))
    found = simulate(book, even(5_000), [-0.2, 0])
    first = 7_350 / 800
    price = 800 * np.exp(-0.01 * first * 1_000 / 5_000)
    second = 6_300 / 2 * 1.05 / price
    low = 800 * np.exp(-0.01 * (first + second) * 1_000 / 5_000)
    assert [r.accounts for r in found.rounds] == [1, 1, 1]
    assert found.rounds[0].prices_usd[ETH] == pytest.approx(price, rel=1e-14)
    assert found.rounds[1].sold[ETH] == pytest.approx(second, rel=1e-13)
    assert found.rounds[2].sold[ETH] == pytest.approx(6_240 / 2 * 1.05 / low, rel=1e-13)
    assert 0 < found.closed[2] < 1
    assert found.closed[3] == 0


def test_the_square_root_book_moves_by_one_percent_at_its_depth_and_by_two_at_four_times_it() -> None:
    depth = Depth(np.array([100.0]), 0.01)
    assert depth.kept(np.array([100.0])) == pytest.approx(np.exp(-0.01))
    assert depth.kept(np.array([400.0])) == pytest.approx(np.exp(-0.02))
    assert Depth(np.array([100.0]), 0.01, Law.EVEN).kept(np.array([400.0])) == pytest.approx(np.exp(-0.04))


def test_coins_of_one_book_fall_together_and_have_one_depth() -> None:
    depth = Depth(np.array([100.0, 999.0, 50.0]), 0.01, Law.EVEN, book=np.array([7, 7, 1]))
    assert depth.kept(np.array([100.0, 200.0, 50.0])) == pytest.approx(np.exp([-0.03, -0.03, -0.01]))


def test_what_is_owed_may_rise() -> None:
    """10,000 dollars at 0.8 against 5 ETH: well at 1,000, below one when ether rises by more than 60 %."""
    short = Positions(
        collateral=np.array([[0.0, 10_000.0]]),
        debt=np.array([[5.0, 0.0]]),
        prices_usd=np.array([1_000.0, 1.0]),
        threshold=np.array([0.0, 0.8]),
        bonus=np.array([0.0, 0.05]),
    )
    assert simulate(short, ENDLESS, [0.59, 0]).rounds == ()
    found = simulate(short, ENDLESS, [0.61, 0])
    assert found.repaid_usd == pytest.approx(5 * 1_610 / 2)
    assert found.sold.tolist() == pytest.approx([0, 5 * 1_610 / 2 * 1.05])


def test_several_collaterals_are_seized_in_proportion_and_run_out_together() -> None:
    """200 and 100 dollars' worth with bonuses of 0 and 25 % repay 280 in all: of 140 repaid, half of each goes."""
    mixed = Positions(
        collateral=np.array([[2.0, 10.0, 0.0]]),
        debt=np.array([[0.0, 0.0, 140.0]]),
        prices_usd=np.array([100.0, 10.0, 1.0]),
        threshold=np.array([0.0, 0.5, 0.0]),
        bonus=np.array([0.0, 0.25, 0.0]),
    )
    found = simulate(mixed, Depth(np.full(3, np.inf)), [0, 0, 0])
    assert found.sold.tolist() == pytest.approx([1.0, 5.0, 0.0])
    assert found.repaid_usd == pytest.approx(140)


def test_small_debts_are_closed_whole_where_the_protocol_says_so() -> None:
    book = against_ether((2, 1_400), close=AAVE_V3_3)
    assert simulate(book, ENDLESS, [-0.15, 0]).closed.tolist() == [1.0]


def test_halving_ends_where_each_call_makes_the_account_worse() -> None:
    """Collateral worth what is owed, and half of it a call, no bonus: health stays what it is, for ever on paper."""
    book = against_ether((10, 10_000), threshold=0.9, bonus=0.0, close=AAVE_V2)
    found = simulate(book, ENDLESS, [0, 0])
    assert found.settled
    assert len(found.rounds) == 22
    assert found.repaid_usd == pytest.approx(10_000)
    assert found.bad_debt_usd == 0


def test_debt_without_collateral_is_bad_from_the_start_and_nobody_is_called() -> None:
    found = simulate(against_ether((0, 500), (10, 100), (0, 0), (5, 0)), ENDLESS, [-0.5, 0])
    assert found.bad_debt_usd == 500
    assert found.rounds == ()
    assert clear(against_ether((0, 500), (10, 100)), ENDLESS, [-0.5, 0]).bad_debt_usd == 500


def test_no_positions_no_losses() -> None:
    for answer in (simulate, clear):
        found = answer(against_ether(), even(1), [-0.9, 0])
        assert found.liquidated_usd == found.bad_debt_usd == found.accounts == 0
        assert found.settled
        assert found.prices_usd == pytest.approx([100, 1])


def test_a_book_that_bears_nothing_is_a_price_of_nothing_not_an_error() -> None:
    found = simulate(against_ether((10, 7_000), (10, 6_000)), even(1e-6), [-0.2, 0])
    assert found.settled
    assert found.prices_usd[ETH] == 0
    assert found.bad_debt_usd == 6_000
    assert found.impact[ETH] == 1


def test_rounds_that_run_out_are_said() -> None:
    book = against_ether((10, 7_000), (10, 6_300), (10, 6_240))
    found = simulate(book, even(5_000), [-0.2, 0], most_rounds=1)
    assert not found.settled
    assert len(found.rounds) == 1
    assert simulate(book, even(5_000), [-0.2, 0], most_rounds=0).rounds == ()


# --- the clearing solution ------------------------------------------------------------------------------------------


def test_clearing_prices_bear_what_is_sold_at_them() -> None:
    """One account, closed whole at the price p that its own sale makes: 7,350 / p ETH, p = 800 exp(-7350 / 50 p)."""
    found = clear(against_ether((10, 7_000)), even(50_000), [-0.2, 0])
    price = float(found.prices_usd[ETH])
    assert price == pytest.approx(800 * np.exp(-0.01 * 7_350 / price * 1_000 / 50_000), rel=1e-14)
    assert found.sold[ETH] == pytest.approx(7_350 / price)
    assert found.settled


@settings(max_examples=80)
@given(positions(), depths(), shocks())
def test_the_clearing_solution_bounds_the_waterfall(book: Positions, depth: Depth, shock: list[float]) -> None:
    path, bound = simulate(book, depth, shock), clear(book, depth, shock)
    assert path.settled
    assert bound.settled
    slack = 1 + 1e-9
    assert (path.sold <= bound.sold * slack).all()
    assert (path.prices_usd * slack >= bound.prices_usd).all()
    assert path.bad_debt_usd <= bound.bad_debt_usd * slack + 1e-6
    assert path.accounts <= bound.accounts


# --- the twin in fractions ------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(positions(most=4), depths(), shocks())
def test_the_columns_are_the_rules_row_by_row_in_fractions(book: Positions, depth: Depth, shock: list[float]) -> None:
    found, twin = simulate(book, depth, shock), exactly(book, depth, shock)
    assert len(found.rounds) == twin.rounds
    assert found.sold == pytest.approx([float(x) for x in twin.sold], rel=1e-9, abs=1e-9)
    assert found.prices_usd == pytest.approx([float(x) for x in twin.prices], rel=1e-9)
    assert found.liquidated_usd == pytest.approx(float(twin.liquidated), rel=1e-9, abs=1e-6)
    assert found.repaid_usd == pytest.approx(float(twin.repaid), rel=1e-9, abs=1e-6)
    assert found.bad_debt_usd == pytest.approx(float(twin.bad_debt), rel=1e-9, abs=1e-6)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shock", "reason"),
    [
        ([-0.2], Rejection.MALFORMED),
        ([-0.2, 0, 0], Rejection.MALFORMED),
        ([float("nan"), 0], Rejection.NOT_FINITE),
        ([-1.0, 0], Rejection.OUT_OF_RANGE),
    ],
)
def test_a_shock_that_is_none_is_refused(shock: list[float], reason: Rejection) -> None:
    for answer in (simulate, clear):
        with pytest.raises(Rejected) as refused:
            answer(against_ether((1, 1)), ENDLESS, shock)
        assert refused.value.reason is reason


@pytest.mark.parametrize("usd", [0.0, -1.0, float("nan")])
def test_a_depth_that_is_none_is_refused(usd: float) -> None:
    with pytest.raises(Rejected, match="depth"):
        Depth(np.array([usd, 1.0]))


def test_books_that_do_not_fit_the_assets_are_refused() -> None:
    with pytest.raises(Rejected, match="books"):
        Depth(np.array([1.0, 1.0]), book=np.array([0]))
    with pytest.raises(Rejected, match="2 assets"):
        simulate(against_ether((1, 1)), Depth(np.array([1.0])), [0, 0])
    with pytest.raises(Rejected, match="move of 1"):
        Depth(np.array([1.0]), share=1.0)


@pytest.mark.parametrize("close", [(0.0, 0.9, 0.0), (1.1, 0.9, 0.0), (0.5, 2.0, 0.0), (0.5, 0.9, float("nan"))])
def test_a_close_factor_that_is_none_is_refused(close: tuple[float, float, float]) -> None:
    with pytest.raises(Rejected, match="close factor"):
        CloseFactor(*close)


def test_closing_whole_is_a_rule_too() -> None:
    assert simulate(against_ether((10, 7_000), close=WHOLE), ENDLESS, [-0.15, 0]).closed.tolist() == [1.0]


# --- the record -----------------------------------------------------------------------------------------------------

BONUSES = (1.04, 1.05, 1.065, 1.07, 1.075, 1.08, 1.09, 1.1, 1.125, 1.15)
"""What Aave v2 paid in 2020 and 2021, by asset and time."""


@pytest.fixture(scope="module")
def recorded() -> pd.DataFrame:
    if (root := os.environ.get("MARGRAVE_DATA")) is None:
        pytest.skip("MARGRAVE_DATA is not set")
    return pd.read_parquet(Path(root) / "aave_v2_liquidations_all_assets_2020_2022").sort_values("ts", kind="stable")


@pytest.mark.data
def test_recorded_liquidations_seize_the_debt_they_repay_and_the_bonus(recorded: pd.DataFrame) -> None:
    """Amounts are in the tokens' own decimals, which the table does not have: the ratio is known but for a power of
    ten."""
    seized = pd.to_numeric(recorded.collateralAmount) * recorded.reservePriceUSDCollateral
    repaid = pd.to_numeric(recorded.principalAmount) * recorded.reservePriceUSDPrincipal
    ratio = (seized / repaid).to_numpy(dtype=np.float64)
    known = np.isfinite(ratio) & (ratio > 0)
    lead = 10 ** ((np.log10(ratio[known]) - np.log10(0.9)) % 1 + np.log10(0.9))
    near = (np.abs(lead[:, None] / np.array(BONUSES) - 1) < 2e-3).any(axis=1)
    assert known.sum() == 4_921
    assert near.mean() == pytest.approx(0.882, abs=0.002)
    of = recorded.collateralReserve[known]
    for asset, bonus in {"WETH": 1.05, "WBTC": 1.1, "DAI": 1.05, "LINK": 1.1, "YFI": 1.15}.items():
        assert np.median(lead[(of == asset).to_numpy()]) == pytest.approx(bonus, abs=1e-3)


@pytest.mark.data
def test_recorded_calls_that_follow_each_other_halve_the_debt(recorded: pd.DataFrame) -> None:
    debts = recorded.assign(repaid=pd.to_numeric(recorded.principalAmount).astype(float)).groupby(
        ["user", "collateralReserve", "principalReserve"]
    )
    soon = debts.ts.diff() < pd.Timedelta("10min")
    share = (debts.repaid.pct_change() + 1)[soon]
    assert len(share) == 269
    assert ((share - 0.5).abs() < 0.005).sum() == 97
