"""Measures of probabilities of events, on values that can be looked up or counted by hand."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.lab.court import events

# Hanley and McNeil's (1982) 109 CT readings: rating 1 to 5 of normal and of abnormal images; their area is 0.893
NORMAL = (33, 6, 6, 11, 2)
ABNORMAL = (3, 2, 2, 11, 33)


def readings() -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    happened = np.array([0.0] * sum(NORMAL) + [1.0] * sum(ABNORMAL))
    said = np.concatenate([np.repeat(np.arange(1.0, 6.0), NORMAL), np.repeat(np.arange(1.0, 6.0), ABNORMAL)])
    return happened, said / 5


def test_the_area_is_that_of_hanley_and_mcneil() -> None:
    happened, said = readings()
    assert events.auroc(happened, said) == pytest.approx(0.8932, abs=5e-5)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=20))
@settings(max_examples=60, deadline=None)
def test_the_area_counts_pairs(rows: list[tuple[bool, int]]) -> None:
    happened, said = np.array([float(h) for h, _ in rows]), np.array([s / 5 for _, s in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a, b in product(said[happened > 0], said[happened <= 0])]
    found = events.auroc(happened, said)
    assert math.isnan(found) if not pairs else found == pytest.approx(sum(pairs) / len(pairs))


def test_precision_is_averaged_over_steps_of_recall() -> None:
    # scikit-learn's own example: 0.83
    assert events.auprc(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])) == pytest.approx(5 / 6)
    # all tied: whoever is named, the base rate
    assert events.auprc(np.array([0.0, 0, 0, 1]), np.full(4, 0.3)) == pytest.approx(0.25)


def test_precision_needs_an_event_and_no_non_event() -> None:
    said = np.array([0.9, 0.8, 0.7, 0.6])
    assert events.average_precision(np.array([1.0, 0, 1, 0]), said) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert events.average_precision(np.ones(4), said) == pytest.approx(1.0)
    assert math.isnan(events.average_precision(np.zeros(4), said))


def test_what_always_comes_cannot_be_parted() -> None:
    for measure in (events.auroc, events.auprc):
        assert math.isnan(measure(np.ones(3), np.array([0.1, 0.2, 0.3])))


def test_skill_is_one_less_the_ratio_of_brier_scores() -> None:
    happened = np.array([0.0, 0, 0, 1])
    base, good = np.full(4, 0.25), np.array([0.0, 0, 0, 0.5])
    assert events.brier(happened, base) == pytest.approx(0.1875)
    assert events.skill(happened, good, base) == pytest.approx(1 - 0.0625 / 0.1875)


def test_calibration_error_is_the_mean_distance_over_bins() -> None:
    said = np.array([0.1] * 10 + [0.6] * 10)
    happened = np.array([1.0] + [0.0] * 9 + [1.0] * 8 + [0.0] * 2)
    assert events.ece(happened, said, bins=2) == pytest.approx(0.5 * 0.0 + 0.5 * 0.2)


def test_forecasts_that_tie_lie_in_one_bin_whatever_their_order() -> None:
    happened = np.array([0.0, 1.0] * 10)
    assert events.calibration(happened, np.full(20, 0.5)) == [(0.5, 0.5, 20)]


def test_spiegelhalter_is_calm_where_forecasts_are_right_and_loud_where_they_are_not() -> None:
    rng = np.random.default_rng(1)
    said = rng.uniform(0.02, 0.9, 4_000)
    happened = (rng.uniform(size=4_000) < said).astype(np.float64)
    assert events.spiegelhalter(happened, said).p > 0.05
    assert events.spiegelhalter(happened, said / 2).z > 5
    # by hand: two rows of 0.2, one of which comes
    z = (0.8 * 0.6 - 0.2 * 0.6) / math.sqrt(2 * 0.36 * 0.16)
    assert events.spiegelhalter(np.array([1.0, 0.0]), np.array([0.2, 0.2])).z == pytest.approx(z)


def test_delong_is_the_variance_of_structural_components() -> None:
    rng = np.random.default_rng(2)
    happened = (np.arange(60) % 3 == 0).astype(np.float64)
    first, second = happened + rng.normal(0, 1.0, 60), happened + rng.normal(0, 2.0, 60)
    here = [events.auroc(happened, one) for one in (first, second)]
    kernels = []
    for said in (first, second):
        a, b = said[happened > 0][:, None], said[happened <= 0][None, :]
        kernels.append((a > b) + 0.5 * (a == b))
    difference = kernels[0] - kernels[1]
    variance = difference.mean(axis=1).var(ddof=1) / 20 + difference.mean(axis=0).var(ddof=1) / 40
    assert events.delong(happened, first, second).z == pytest.approx((here[0] - here[1]) / variance**0.5)


def test_delong_of_a_forecast_against_itself_says_nothing() -> None:
    happened, said = readings()
    assert math.isnan(events.delong(happened, said, said).z)


def test_repeated_rows_are_no_new_evidence_where_they_are_told_as_clusters() -> None:
    rng = np.random.default_rng(3)
    happened = (np.arange(200) % 4 == 0).astype(np.float64)
    first, second = happened + rng.normal(0, 1.0, 200), happened + rng.normal(0, 1.6, 200)
    once = events.delong(happened, first, second, np.arange(200))
    five = [np.repeat(array, 5) for array in (happened, first, second)]
    clustered = events.delong(five[0], five[1], five[2], np.repeat(np.arange(200), 5))
    assert clustered.z == pytest.approx(once.z, rel=1e-6)
    assert events.delong(five[0], five[1], five[2]).z > 2 * once.z
    # rows that stand alone are clusters of one
    assert once.z == pytest.approx(events.delong(happened, first, second).z, rel=0.02)
