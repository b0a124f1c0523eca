"""The recursion of all assets: the sum that it says it is, over 672 hours and no more, and its process found again."""

from __future__ import annotations

import numpy as np
import pytest

from margrave.lab.court.families.tails import shared
from margrave.lab.court.families.tails.recursion import trailing
from margrave.lab.court.families.tails.shared import SEEN_H, Shape, seen_of
from tests.unit.lab.court.tails.test_families import bars_of, panel_of


@pytest.mark.parametrize("horizon_h", [1, 4, 24])
def test_its_scale_is_the_sum_written_out(horizon_h: int) -> None:
    p = panel_of(0.01 * np.random.default_rng(0).standard_t(4, (2_000, 2)))
    shape, rows = Shape(0.9, 0.7, 0.2), np.array([1_500, 1_777])
    said = seen_of(p, horizon_h, shape.keep).scale(shape, rows, np.array([0, 1]))
    for place, row in enumerate(rows):
        level = np.abs(p.log_return[row - SEEN_H + 1 : row + 1, place]).mean() * horizon_h**0.5
        bars = trailing(p, horizon_h)[row - horizon_h * np.arange(SEEN_H // horizon_h), place]
        news = np.where(bars < 0, -shape.down * bars, shape.up * bars)
        assert said[place] == pytest.approx(level + 0.1 * (0.9 ** np.arange(len(bars)) * news).sum(), rel=1e-12)


def test_what_is_older_than_its_window_is_forgotten_and_a_window_with_a_gap_says_nothing() -> None:
    returns = 0.01 * np.random.default_rng(1).standard_normal((2_000, 1))
    before = seen_of(panel_of(returns), 4, 0.9)
    returns[900] = -0.9
    after = seen_of(panel_of(returns), 4, 0.9)
    row, zero = np.array([900 + SEEN_H + 4]), np.array([0])
    shape = Shape(0.9, 1.0, 1.0)
    np.testing.assert_allclose(after.scale(shape, row, zero), before.scale(shape, row, zero), rtol=1e-9)
    close = panel_of(returns).close.copy()
    close[1_200] = np.nan
    holed = seen_of(bars_of(close), 4, 0.9).scale(shape, np.array([1_199, 1_500, 1_202 + SEEN_H]), np.zeros(3, int))
    assert np.isfinite(holed).tolist() == [True, False, True]


def test_a_process_that_falls_teach_more_than_rises_is_seen_as_one() -> None:
    rng = np.random.default_rng(2)
    z = rng.standard_t(6, (12_000, 2))
    returns, scale = np.zeros_like(z), np.full(2, 0.01)
    for t in range(len(z)):
        returns[t] = scale * z[t]
        scale = 0.002 + 0.8 * (scale - 0.002) + np.where(returns[t] < 0, 0.16, 0.02) * np.abs(returns[t])
    p = panel_of(returns)
    rows, assets = np.repeat(np.arange(1_000, 11_900), 2), np.tile([0, 1], 10_900)
    found = shared.fitted(p, p.outcome(1)[rows, assets], rows, assets, 1, -1.0)
    assert found is not None
    assert found.down > 2 * found.up
    assert found.keep in (0.7, 0.8, 0.88)


def test_a_panel_without_a_whole_window_fits_nothing() -> None:
    p = panel_of(0.01 * np.random.default_rng(3).standard_normal((600, 1)))
    rows, assets = np.arange(400, 500), np.zeros(100, dtype=np.int64)
    assert shared.fitted(p, p.outcome(1)[rows, assets], rows, assets, 1, 1.0) is None
