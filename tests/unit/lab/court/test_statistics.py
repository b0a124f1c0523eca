"""The statistics against published examples, other libraries, and what they must be by definition."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats
from statsmodels.stats.multitest import multipletests

from margrave.lab.court import comparison, coverage, losses, shortfall
from margrave.lab.court.hearing import at_each_time

RNG = np.random.default_rng(7)


# --- losses -----------------------------------------------------------------------------------------------------------


def test_each_loss_is_least_in_the_mean_at_the_truth() -> None:
    y = RNG.standard_t(5, 200_000)
    p = 0.05
    v = float(np.quantile(y, p))
    e = float(y[y <= v].mean())
    ones = np.ones_like(y)
    for factor in (0.9, 1.1):
        assert losses.pinball(y, v * ones, p).mean() < losses.pinball(y, factor * v * ones, p).mean()
        assert losses.fz0(y, v * ones, e * ones, p).mean() < losses.fz0(y, factor * v * ones, e * ones, p).mean()
        assert losses.fz0(y, v * ones, e * ones, p).mean() < losses.fz0(y, v * ones, factor * e * ones, p).mean()
        true, false = losses.qlike(y**2, y.var() * ones), losses.qlike(y**2, factor * y.var() * ones)
        assert true.mean() < false.mean()


def test_qlike_is_zero_where_the_forecast_is_exact_and_punishes_too_little_more() -> None:
    one = np.array([1.0])
    assert losses.qlike(one, one)[0] == 0.0
    assert losses.qlike(one, one / 2)[0] > losses.qlike(one, one * 2)[0] > 0.0


def test_the_pinball_loss_is_the_quantile_regressions_check_function() -> None:
    y, q = RNG.normal(size=50), RNG.normal(size=50)
    check = np.where(y - q < 0, (0.1 - 1) * (y - q), 0.1 * (y - q))
    np.testing.assert_allclose(losses.pinball(y, q, 0.1), check)


def test_the_energy_score_of_one_dimension_is_the_ranked_probability_score_of_a_normal() -> None:
    # Closed form of the CRPS of N(0, 1) at y: Gneiting et al. (2005), eq. 5.
    y = np.array([0.3, -1.2, 2.0])
    closed = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    draws = RNG.normal(size=(3, 200_000, 1))
    np.testing.assert_allclose(losses.energy(y[:, None], draws), closed, atol=6e-3)


# --- coverage ---------------------------------------------------------------------------------------------------------


def test_kupiec_gives_the_textbook_figure_of_jp_morgan_1998() -> None:
    """Jorion, Value at Risk (3rd ed., 2007), chapter 6: 20 exceptions of 252 at 95 % have an LR of 3.91."""
    assert coverage.kupiec(20, 252, 0.05).statistic == pytest.approx(3.91, abs=5e-3)


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.5))
def test_independence_is_the_g_test_of_the_table_of_transitions(seed: int, rate: float) -> None:
    hits = np.random.default_rng(seed).random(300) < rate
    before, after = hits[:-1], hits[1:]
    table = [[int((a & b).sum()) for b in (~after, after)] for a in (~before, before)]
    if min(map(sum, table)) == 0 or table[0][1] + table[1][1] == 0:
        assert np.isnan(coverage.independence(hits).p)
        return
    g_test = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    found = coverage.independence(hits)
    assert found.statistic == pytest.approx(float(g_test.statistic), abs=1e-8)
    assert found.p == pytest.approx(float(g_test.pvalue), abs=1e-8)


def test_conditional_coverage_is_both_together() -> None:
    hits = np.random.default_rng(12).random(800) < 0.05
    both = coverage.kupiec(int(hits.sum()), 800, 0.05).statistic + coverage.independence(hits).statistic
    assert coverage.christoffersen(hits, 0.05).p == pytest.approx(float(stats.chi2.sf(both, 2)))


def test_kupiec_accepts_the_published_region() -> None:
    """Kupiec (1995), table: at 255 days and 1 %, fewer than 7 exceptions do not reject at 95 %; at 5 %, 7 to 20."""
    assert [n for n in range(30) if coverage.kupiec(n, 255, 0.01).p > 0.05] == list(range(1, 7))
    accepted = [n for n in range(40) if coverage.kupiec(n, 255, 0.05).p > 0.05]
    assert (accepted[0], accepted[-1]) == (7, 20)


def test_no_hit_at_all_says_nothing_of_independence() -> None:
    none = np.zeros(500, dtype=bool)
    assert np.isnan(coverage.independence(none).p)
    assert coverage.christoffersen(none, 0.01).p == coverage.kupiec(0, 500, 0.01).p


@pytest.mark.parametrize("p", [0.01, 0.05])
def test_tests_of_honest_hits_reject_as_often_as_they_say(p: float) -> None:
    rng = np.random.default_rng(11)
    rejected = np.zeros(3)
    rows = 150
    for _ in range(rows):
        hits = rng.random(2_500) < p
        quantile = -np.exp(rng.normal(size=2_500))
        rejected += [
            coverage.kupiec(int(hits.sum()), len(hits), p).p < 0.05,
            coverage.christoffersen(hits, p).p < 0.05,
            coverage.dynamic_quantile(hits, quantile, p).p < 0.05,
        ]
    assert all(stats.binomtest(int(k), rows, 0.05).pvalue > 1e-3 or k / rows < 0.11 for k in rejected), rejected / rows


def test_clustered_hits_are_caught_though_their_number_is_right() -> None:
    rng = np.random.default_rng(3)
    state, hits = False, []
    for u in rng.random(5_000):
        state = u < (0.4 if state else 0.032)
        hits.append(state)
    row = np.array(hits)
    assert coverage.independence(row).p < 1e-6
    assert coverage.dynamic_quantile(row, -np.ones(len(row)), 0.05).p < 1e-6


def test_the_dynamic_quantile_statistic_is_the_regressions_own() -> None:
    p, rng = 0.05, np.random.default_rng(5)
    hits, quantile = rng.random(2_000) < p, -np.exp(rng.normal(size=2_000))
    y = hits - p
    design = sm.add_constant(np.column_stack([*(y[4 - lag : -lag] for lag in range(1, 5)), quantile[4:]]))
    fitted = sm.OLS(y[4:], design).fit().fittedvalues
    found = coverage.dynamic_quantile(hits, quantile, p)
    assert found.statistic == pytest.approx(float(fitted @ fitted) / (p * (1 - p)), rel=1e-9)
    assert found.p == pytest.approx(float(stats.chi2.sf(found.statistic, 6)), rel=1e-9)


def test_a_constant_quantile_loses_its_freedom_and_not_its_test() -> None:
    hits = np.random.default_rng(6).random(2_000) < 0.05
    found = coverage.dynamic_quantile(hits, np.full(2_000, -0.1), 0.05)
    assert found.p == pytest.approx(float(stats.chi2.sf(found.statistic, 5)), rel=1e-9)


# --- shortfall --------------------------------------------------------------------------------------------------------


def _normal_tail(p: float, count: int, depth: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    y = np.random.default_rng(9).normal(size=count)
    v = stats.norm.ppf(p)
    e = -stats.norm.pdf(v) / p
    return y, np.full(count, e * depth), y <= v


def test_z2_is_zero_in_the_mean_under_the_truth_and_positive_for_a_shortfall_too_shallow() -> None:
    y, e, hits = _normal_tail(0.025, 400_000)
    assert shortfall.z2(y, e, hits, 0.025) == pytest.approx(0.0, abs=0.03)
    assert shortfall.z2(y, 0.8 * e, hits, 0.025) == pytest.approx(0.25, abs=0.04)


def test_z2_rejects_a_shortfall_too_shallow_and_accepts_the_truth() -> None:
    y, e, hits = _normal_tail(0.025, 5_000)
    assert shortfall.z2_test(y, e, hits, 0.025).p > 0.05
    assert shortfall.z2_test(y, 0.6 * e, hits, 0.025).p < 0.01


def test_z2_without_a_hit_is_unanswered() -> None:
    y, e, hits = _normal_tail(0.025, 50)
    assert np.isnan(shortfall.z2_test(y, e, np.zeros_like(hits), 0.025).p)


# --- comparison -------------------------------------------------------------------------------------------------------


def test_diebold_mariano_is_the_t_of_a_regression_on_a_constant_with_robust_errors() -> None:
    rng = np.random.default_rng(4)
    d = np.convolve(rng.normal(size=1_000), [1, 0.6, 0.3], "valid") + 0.05
    robust = sm.OLS(d, np.ones_like(d)).fit(cov_type="HAC", cov_kwds={"maxlags": 6})
    found = comparison.diebold_mariano(d, np.zeros_like(d), lags=6)
    assert found.t == pytest.approx(float(robust.tvalues[0]), rel=1e-9)
    assert found.mean == pytest.approx(float(d.mean()))


def test_rows_of_one_time_are_one_observation() -> None:
    times = np.repeat(np.arange(300), 20)
    common = np.repeat(np.random.default_rng(2).normal(size=300), 20)
    pooled = comparison.diebold_mariano(common, np.zeros_like(common), times, lags=0)
    assert pooled.times == 300
    assert abs(pooled.t) < abs(comparison.diebold_mariano(common, np.zeros_like(common), lags=0).t)


def test_equal_forecasts_differ_by_nothing() -> None:
    same = np.random.default_rng(1).random(100)
    assert comparison.diebold_mariano(same, same) == comparison.Difference(0.0, 0.0, 1.0, 100)


def test_the_confidence_set_keeps_the_good_and_drops_the_bad() -> None:
    rng = np.random.default_rng(8)
    base = rng.normal(size=1_500) ** 2
    models = {
        "good": base,
        "as good": base + rng.normal(size=1_500) * 0.05,
        "bad": base + 0.4 + rng.normal(size=1_500) * 0.3,
    }
    kept = comparison.model_confidence_set(models, block=10)
    assert kept["good"] > comparison.MCS_SIZE
    assert kept["bad"] < 0.01


@settings(max_examples=25)
@given(npst.arrays(np.float64, st.integers(1, 12), elements=st.floats(0, 1)))
def test_holm_is_what_statsmodels_says(p_values: np.ndarray) -> None:
    np.testing.assert_allclose(comparison.holm(p_values.tolist()), multipletests(p_values, method="holm")[1])


def test_holm_leaves_unanswered_questions_out_of_the_count() -> None:
    adjusted = comparison.holm([0.01, float("nan"), 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert np.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


def test_a_time_at_which_many_assets_were_judged_says_more_than_one_with_a_single_asset() -> None:
    times = np.array([0, 1, 1, 1, 2, 2, 2])
    losses = np.array([7.0, 1.0, 2.0, 3.0, 1.0, 1.0, 1.0])
    series = at_each_time(losses, times)
    assert series.tolist() == pytest.approx([3.0, 18 / 7, 9 / 7])
    assert series.mean() == pytest.approx(losses.mean())
