"""Venues against each other: weights, medians, bands."""

from __future__ import annotations

import itertools
import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.guard.agreement import (
    VenuePrice,
    agree,
    capped_sum,
    capped_weights,
    median_or_none,
    middle,
    weighted_median,
)
from tests.unit.guard.sample import POLICY

prices = st.floats(1e-3, 1e7)
depths = st.one_of(st.none(), st.floats(0, 1e9))


def venues(*quoted: float, depth: float | None = 1e6) -> list[VenuePrice]:
    return [VenuePrice(f"venue{i}", price, depth, 1.0) for i, price in enumerate(quoted)]


@given(st.lists(depths, min_size=1, max_size=12), st.floats(0.05, 0.9))
def test_weights_sum_to_one_and_none_is_above_the_cap_where_that_is_possible(
    shown: list[float | None], cap: float
) -> None:
    weights = capped_weights(shown, cap)
    assert math.isclose(sum(weights), 1)
    assert max(weights) <= max(cap, 1 / len(shown)) + 1e-12
    assert min(weights) >= 0


@given(st.lists(st.floats(1, 1e9), min_size=2, max_size=12, unique=True))
def test_a_deeper_venue_never_weighs_less(shown: list[float]) -> None:
    weights = capped_weights(shown, 0.25)
    ordered = [weight for _, weight in sorted(zip(shown, weights, strict=True))]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(ordered))


def test_a_venue_that_claims_all_the_depth_gets_the_cap_and_no_more() -> None:
    assert capped_weights([1e15, 1e6, 1e6, 1e6, 1e6], 0.25) == pytest.approx([0.25, *[0.1875] * 4])


@given(st.lists(prices, min_size=1, max_size=15))
def test_the_weighted_median_with_equal_weights_is_the_median(values: list[float]) -> None:
    assert weighted_median(values, [1.0] * len(values)) == pytest.approx(median(values), rel=1e-12)


@given(st.lists(prices, min_size=1, max_size=15))
def test_the_middle_holds_the_median(values: list[float]) -> None:
    low, high = middle(values)
    assert low <= median(values) <= high


def test_an_outlier_is_named_with_its_distance_and_the_band() -> None:
    quoted = venues(100.0, 100.01, 99.99, 100.02, 130.0)
    agreed = agree(quoted, quoted, POLICY)
    assert agreed.outliers == {"venue4": "+2999 bp from the median, 20 bp allowed"}
    assert set(agreed.weights) == {"venue0", "venue1", "venue2", "venue3"}


def test_venues_that_all_agree_keep_a_floor_of_tolerance() -> None:
    quoted = venues(100.0, 100.0, 100.0, 100.19)
    assert not agree(quoted, quoted, POLICY).outliers


def test_wide_honest_disagreement_widens_the_band() -> None:
    quoted = venues(100.0, 101.0, 102.0, 103.0, 104.0)
    assert not agree(quoted, quoted, POLICY).outliers


@given(
    st.lists(st.floats(90, 110), min_size=2, max_size=7),
    st.data(),
)
def test_a_minority_of_liars_cannot_leave_the_honest_range_whatever_the_filters_drop(
    honest: list[float], data: st.DataObject
) -> None:
    liars = data.draw(st.lists(st.floats(1e-6, 1e9), max_size=len(honest) - 1))
    shown = data.draw(st.lists(depths, min_size=len(honest) + len(liars), max_size=len(honest) + len(liars)))
    everyone = [
        VenuePrice(f"venue{i}", price, depth, 1.0)
        for i, (price, depth) in enumerate(zip(honest + liars, shown, strict=True))
    ]
    believed = data.draw(st.lists(st.sampled_from(everyone), min_size=1, unique=True))
    price = agree(everyone, believed, POLICY).price
    assert min(honest) <= price <= max(honest)


def test_a_sum_over_venues_counts_none_for_more_than_twice_the_median() -> None:
    assert capped_sum([1e6, 2e6, 1e15]) == 1e6 + 2e6 + 4e6
    assert capped_sum([]) is None
    assert median_or_none([]) is None
    assert median_or_none([1.0, 3.0]) == 2.0
