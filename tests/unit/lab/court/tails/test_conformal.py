"""Online widening: coverage in the long run whatever is widened, soon after a break, and the same in node and court."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from margrave.lab.court.families.tails.conformal import Widened
from margrave.lab.court.families.tails.garch import EWMA_NORMAL, FAST_FHS, GARCH_T
from margrave.lab.court.families.tails.recursion import RecursiveFamily
from margrave.lab.court.family import DOWN, LEVELS, UP
from margrave.score.conformal import GAMMA, LEAST_LOG, MOST_LOG, Widening, share
from tests.unit.lab.court.tails.test_families import panel_of

BARS_AFTER = 60
FACTORS = (2.0, 3.0)


def test_in_the_long_run_a_rung_is_passed_as_often_as_it_says_however_wrong_the_model() -> None:
    rng = np.random.default_rng(0)
    model_var, model_es = np.array([1.0, 1.2, 1.5, 1.8, 2.2]), np.array([1.3, 1.5, 1.8, 2.1, 2.5])
    count = 40_000
    losses = 2.0 * rng.standard_normal(count)
    state, hits = Widening.none(LEVELS), np.zeros(len(LEVELS))
    for loss in losses:
        var, _ = state.said(model_var, model_es)
        hits += loss > var
        state = state.after(float(loss), var)
    bound = (MOST_LOG - LEAST_LOG) / (GAMMA * share(np.array(LEVELS)) * count)
    assert (np.abs(hits / count - np.array(LEVELS)) < bound).all()
    assert state.bars == count
    assert (np.array(state.log_factor) > 0.0).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-10, 10) | st.just(float("nan")), max_size=80))
def test_no_sequence_of_outcomes_makes_the_ladder_cross_or_leaves_the_bounds(losses: list[float]) -> None:
    model_var, model_es = np.array([1.0, 1.01, 1.02, 1.5, 1.6]), np.array([1.1, 1.2, 1.3, 1.7, 1.9])
    state = Widening.none(LEVELS)
    for loss in losses:
        var, es = state.said(model_var, model_es)
        assert (np.diff(var) >= 0).all()
        assert (np.diff(es) >= 0).all()
        assert (es >= var).all()
        state = state.after(loss, var)
    assert state.bars == int(np.isfinite(losses).sum())
    assert min(state.log_factor) >= LEAST_LOG
    assert max(state.log_factor) <= MOST_LOG


def test_the_court_widens_as_the_node_does_bar_by_bar() -> None:
    p = panel_of(0.01 * np.random.default_rng(1).standard_t(4, (2_000, 2)))
    p = replace(p, close=p.close.copy())
    p.close[1_700:1_703, 1] = np.nan
    fitted, rows = Widened(EWMA_NORMAL).fit(p.upto(1_500)), np.arange(1_250, 2_000)
    for asset in (0, 1):
        assets = np.full(len(rows), asset)
        inner, court = fitted.inner.tails(p, rows, assets, 1), fitted.tails(p, rows, assets, 1)
        for side, sign in ((DOWN, -1.0), (UP, 1.0)):
            state, before = Widening.none(LEVELS), np.full(len(LEVELS), np.nan)
            for at, row in enumerate(rows):
                state = state.after(float(sign * p.log_return[row, asset]), before)
                var, es = state.said(inner.var[at, side], inner.es[at, side])
                np.testing.assert_allclose(court.var[at, side], var, rtol=1e-12)
                np.testing.assert_allclose(court.es[at, side], es, rtol=1e-12)
                before = var


def coverage_and_width_after_a_break(family: RecursiveFamily, seeds: range) -> tuple[float, float]:
    """(share inside the 90 % interval, its width over the true one's), over the `BARS_AFTER` bars that follow."""
    inside, width = [], []
    true = stats.t.isf(0.05, 5.0) * np.sqrt(3 / 5) * 0.01
    for seed in seeds:
        factors = np.tile(FACTORS, 4)
        returns = 0.01 * np.sqrt(3 / 5) * np.random.default_rng(seed).standard_t(5.0, (1_501 + BARS_AFTER, 8))
        returns[1_501:] *= factors
        p = panel_of(returns)
        rows = np.repeat(np.arange(1_500, 1_500 + BARS_AFTER), 8)
        assets = np.tile(np.arange(8), BARS_AFTER)
        said = Widened(family).fit(p.upto(1_501)).tails(p, rows, assets, 1).var[:, :, 0]
        came = p.log_return[rows + 1, assets]
        inside.append(((-said[:, DOWN] <= came) & (came <= said[:, UP])).mean())
        width.append((said.sum(axis=1) / (2 * true * factors[assets])).mean())
    return float(np.mean(inside)), float(np.mean(width))


def test_the_fast_anchor_keeps_its_coverage_after_a_break_at_about_the_true_width() -> None:
    covered, width = coverage_and_width_after_a_break(FAST_FHS, range(12))
    assert covered >= 0.87
    assert width <= 1.10


def test_a_fitted_garch_does_not_so_it_is_not_what_a_drifting_node_falls_back_on() -> None:
    covered, _ = coverage_and_width_after_a_break(GARCH_T, range(2))
    assert covered < 0.80
