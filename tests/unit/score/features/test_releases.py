"""Hours of scheduled releases: the right hours, worth what those before them were, and no peeking."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from margrave.score.features import releases
from margrave.score.features.measures import range_variance
from margrave.score.features.releases import Release
from margrave.score.features.week import WeekTable, ahead_of
from margrave.spans import HOUR_MS

from .series import FIRST_MS, drawn, prior

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize("release", list(Release))
def test_every_date_is_its_hour_on_the_new_york_clock(release: Release) -> None:
    for opens_ms, day in zip(releases.OPENS_MS[release], releases.DATES[release].split(), strict=True):
        there = datetime.fromtimestamp(int(opens_ms) / 1000, NEW_YORK)
        assert (there.hour, there.minute, there.date().isoformat()) == (releases.HOUR_OF_DAY[release], 0, day)
        assert there.weekday() < 5


@pytest.mark.parametrize("release", list(Release))
def test_two_releases_of_a_kind_lie_further_apart_than_the_longest_horizon(release: Release) -> None:
    days = [(b - a) / (24 * HOUR_MS) for a, b in pairwise(releases.OPENS_MS[release].tolist())]
    assert min(days) > 21
    assert max(days) < 100


def loud(factor: float, count: int = 5_000) -> tuple[np.ndarray, np.ndarray]:
    """Surprises of hours from the beginning of 2022, those of CPI releases `factor`."""
    open_ms = FIRST_MS + HOUR_MS * np.arange(count, dtype=np.int64)
    surprise = np.ones(count)
    surprise[np.isin(open_ms, releases.OPENS_MS[Release.CPI])] = factor
    return open_ms, surprise


def test_a_release_is_worth_what_those_before_it_were_and_nothing_of_its_own() -> None:
    open_ms, surprise = loud(6.0)
    known, last = releases.learnt(open_ms, surprise)
    mine = releases.OPENS_MS[Release.CPI]
    worth = known.of(mine[(mine >= FIRST_MS) & (mine < open_ms[-1])])
    assert worth[0] == 1.0
    assert worth[1] == pytest.approx((releases.KEEP + 6.0) / (releases.KEEP + 1.0))
    assert (np.diff(worth) > 0).all()
    assert worth[-1] < last[Release.CPI][0] < 6.0
    assert last[Release.FOMC] == (1.0, 1.0)
    louder = surprise.copy()
    third = int(np.flatnonzero(surprise > 1.0)[2])
    louder[third] = 25.0
    again, _ = releases.learnt(open_ms, louder)
    before = known.opens_ms <= open_ms[third]
    assert np.array_equal(again.worth[before], known.worth[before])
    assert not np.array_equal(again.worth[~before], known.worth[~before])


def test_one_wild_release_counts_for_no_more_than_the_most_and_a_quiet_one_never_below_one_hour() -> None:
    open_ms, surprise = loud(1e9)
    assert releases.learnt(open_ms, surprise)[1][Release.CPI][0] < releases.MOST
    open_ms, surprise = loud(0.0)
    assert releases.learnt(open_ms, surprise)[1][Release.CPI][0] == 1.0


def test_the_hours_ahead_are_the_sum_of_their_factors_with_releases_among_them() -> None:
    hours = drawn(2_000)
    week = WeekTable(hours, range_variance(hours), prior())
    release = int((releases.OPENS_MS[Release.FOMC][12] - FIRST_MS) // HOUR_MS)
    assert releases.are_releases(hours.open_ms[release : release + 2]).all()
    monday = release - release % 24
    for h in (1, 4, 24):
        for row in range(monday - 3, release + 3):
            expected = week.now[row + 1 : row + 1 + h].sum(axis=0)
            np.testing.assert_allclose(week.ahead(np.array([row]), h)[0], expected, rtol=1e-12)


def test_a_node_adds_the_same_releases_as_years_do() -> None:
    hours = drawn(2_000)
    week = WeekTable(hours, range_variance(hours), prior())
    rows = np.arange(600, 700)
    for h in (1, 4, 24, 168):
        one = week.ahead(rows, h)
        for place, row in enumerate(rows):
            table = week._tables[week._week[row]]
            np.testing.assert_allclose(ahead_of(table, int(hours.open_ms[row]), h), one[place], rtol=1e-12)


def test_the_week_learns_nothing_from_hours_of_releases_and_a_baseline_knows_none() -> None:
    hours = drawn(3_000)
    ranges = range_variance(hours)
    loud_ranges = np.where(releases.are_releases(hours.open_ms)[:, None], 9.0 * ranges, ranges)
    quiet, loud_ones = WeekTable(hours, ranges), WeekTable(hours, loud_ranges)
    # a release is one of the 672 hours of the level that all others are measured by, and no more than that
    ratio = loud_ones.pooled / quiet.pooled
    np.testing.assert_allclose(ratio / ratio.mean(), 1.0, atol=0.05)
    assert loud_ones.worth[Release.CPI][0] > quiet.worth[Release.CPI][0]
    plain = WeekTable(hours, ranges, scheduled=False)
    assert plain.worth == {}
    assert (plain.releases.of(releases.OPENS_MS[Release.CPI]) == 1.0).all()


def test_no_row_changes_with_what_comes_after_it() -> None:
    hours = drawn(2_400)
    week = WeekTable(hours, range_variance(hours))
    rows = np.arange(1_900, 2_000)
    cut = replace(
        hours, **{n: getattr(hours, n)[:2_000] for n in ("open_ms", "open", "high", "low", "close", "volume")}
    )
    cut = replace(cut, dvol=hours.dvol[:2_000], funding_8h=hours.funding_8h[:2_000])
    past = WeekTable(cut, range_variance(cut))
    np.testing.assert_array_equal(past.now, week.now[:2_000])
    np.testing.assert_allclose(past.ahead(rows, 168), week.ahead(rows, 168), rtol=1e-12)
