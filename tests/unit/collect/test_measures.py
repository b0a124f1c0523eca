"""What a book is worth, against the plain reading of the formulas, one level after the other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.books.measures import Valued, measure

Rows = list[tuple[float, float]]


def side(rows: Rows, *, horizon: float | None = None, unit: float = 1.0, sizes_in_usd: bool = False) -> Valued:
    prices, sizes = np.array(rows, dtype=np.float64).T
    known_to = rows[-1][0] if horizon is None else horizon
    return Valued.of(prices, sizes, known_to, unit=unit, sizes_in_usd=sizes_in_usd)


BIDS: Rows = [(99.9, 10.0), (99.5, 20.0), (99.0, 30.0), (98.0, 40.0)]
ASKS: Rows = [(100.1, 10.0), (100.5, 10.0), (101.0, 10.0), (102.0, 50.0)]


def test_depth_is_summed_as_far_as_each_distance() -> None:
    got = measure(side(BIDS), side(ASKS))
    assert (got.bid, got.ask, got.spread) == (99.9, 100.1, pytest.approx(0.002))
    assert [band.distance_bp for band in got.bands] == [5, 10, 25, 50, 100, 200]
    ten, fifty, hundred, two_hundred = got.bands[1], got.bands[3], got.bands[4], got.bands[5]
    assert (ten.bid_usd, ten.ask_usd) == pytest.approx((999.0, 1001.0))
    assert (fifty.bid_usd, fifty.ask_usd) == pytest.approx((999.0 + 1990.0, 1001.0 + 1005.0))
    assert (hundred.bid_usd, hundred.ask_usd) == pytest.approx((got.bid_depth_usd, got.ask_depth_usd))
    assert two_hundred.bid_usd == pytest.approx(999.0 + 1990.0 + 2970.0 + 3920.0)
    assert got.imbalance == pytest.approx((5959.0 - 3016.0) / (5959.0 + 3016.0))


def test_the_slope_is_that_of_the_thinner_side() -> None:
    got = measure(side(BIDS), side(ASKS))
    asks = [band.ask_usd for band in got.bands]
    bids = [band.bid_usd for band in got.bands]
    assert asks[-1] < bids[-1]
    assert got.slope_usd_per_bp == pytest.approx(np.polyfit([5, 10, 25, 50, 100, 200], asks, 1)[0])


def test_a_size_is_paid_from_the_best_level_on_and_the_last_in_part() -> None:
    got = measure(side(BIDS), side(ASKS), 1_503.5)
    coins = 10.0 + 502.5 / 100.5
    assert got.impact_buy == pytest.approx(1_503.5 / coins / 100.0 - 1.0)
    assert got.impact_sell == pytest.approx(1.0 - 1_503.5 / (10.0 + 504.5 / 99.5) / 100.0)


def test_a_size_that_the_book_does_not_hold_has_no_price() -> None:
    got = measure(side(BIDS), side(ASKS), 8_500.0)
    assert got.impact_buy is None
    assert got.impact_sell is not None


def test_what_lies_beyond_the_horizon_is_not_said() -> None:
    got = measure(side(BIDS, horizon=99.5), side(ASKS), 3_000.0)
    assert [band.distance_bp for band in got.bands] == [5, 10, 25, 50]
    assert got.impact_sell is None
    assert got.impact_buy is not None
    assert got.imbalance == pytest.approx((2989.0 - 2006.0) / (2989.0 + 2006.0))


def test_sizes_in_contracts_and_in_dollars_are_dollars_in_the_end() -> None:
    coins = measure(side(BIDS), side(ASKS), 1_000.0)
    contracts = measure(
        side([(p, s * 100) for p, s in BIDS], unit=0.01), side([(p, s * 100) for p, s in ASKS], unit=0.01), 1_000.0
    )
    dollars = measure(
        side([(p, p * s / 10) for p, s in BIDS], unit=10.0, sizes_in_usd=True),
        side([(p, p * s / 10) for p, s in ASKS], unit=10.0, sizes_in_usd=True),
        1_000.0,
    )
    for other in (contracts, dollars):
        assert other.bands == pytest.approx(coins.bands)
        assert other.impact_buy == pytest.approx(coins.impact_buy)
        assert other.slope_usd_per_bp == pytest.approx(coins.slope_usd_per_bp)


@st.composite
def books(draw: st.DrawFn) -> tuple[Rows, Rows]:
    mid = draw(st.floats(0.01, 1e6))
    sizes = st.floats(1e-6, 1e6)
    steps = st.lists(st.tuples(st.floats(1e-5, 0.05), sizes), min_size=1, max_size=40)

    def rows(sign: float) -> Rows:
        price, made = mid, []
        for step, size in draw(steps):
            price *= 1 + sign * step
            made.append((price, size))
        return made

    return rows(-1.0), rows(1.0)


def plainly_paid(rows: Rows, usd: float) -> float | None:
    """Mean price of so many dollars, level after level."""
    left, coins = usd, 0.0
    for price, size in rows:
        taken = min(left, price * size)
        coins += taken / price
        left -= taken
        if left <= 0:
            return usd / coins
    return None


@given(books(), st.floats(1e-3, 1e9))
def test_the_vectors_say_what_the_loops_say(rows: tuple[Rows, Rows], reference_usd: float) -> None:
    bids, asks = rows
    got = measure(side(bids), side(asks), reference_usd)
    mid = (bids[0][0] + asks[0][0]) / 2
    for band in got.bands:
        share = band.distance_bp * 1e-4 * (1 + 1e-12)
        assert band.bid_usd == pytest.approx(sum(p * s for p, s in bids if 1 - p / mid <= share), rel=1e-9)
        assert band.ask_usd == pytest.approx(sum(p * s for p, s in asks if p / mid - 1 <= share), rel=1e-9)
    for impact, paid, sign in (
        (got.impact_buy, plainly_paid(asks, reference_usd), 1),
        (got.impact_sell, plainly_paid(bids, reference_usd), -1),
    ):
        assert (impact is None) == (paid is None)
        if impact is not None and paid is not None:
            assert impact == pytest.approx(sign * (paid / mid - 1), rel=1e-6, abs=1e-9)


@given(books(), st.floats(1e-3, 1e9))
def test_measures_are_ordered_as_a_market_is(rows: tuple[Rows, Rows], reference_usd: float) -> None:
    bids, asks = rows
    small = measure(side(bids), side(asks), reference_usd)
    large = measure(side(bids), side(asks), reference_usd * 2)
    assert all(a.bid_usd <= b.bid_usd and a.ask_usd <= b.ask_usd for a, b in pairwise(small.bands))
    assert small.imbalance is None or -1 <= small.imbalance <= 1
    assert small.slope_usd_per_bp is None or small.slope_usd_per_bp >= 0
    for cheap, dear in ((small.impact_buy, large.impact_buy), (small.impact_sell, large.impact_sell)):
        if dear is not None:
            assert cheap is not None
            assert small.spread / 2 * (1 - 1e-6) - 1e-9 <= cheap <= dear + 1e-12
    mirrored = measure(side([(1 / p, s) for p, s in asks]), side([(1 / p, s) for p, s in bids]))
    assert mirrored.bid < mirrored.ask
