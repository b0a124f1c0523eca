"""Tail families: each knows its own process, none looks ahead, none crosses, and bad series are not answered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from margrave.lab.court.families.tails import FAMILIES
from margrave.lab.court.families.tails.caviar import ES_CAVIAR, recursion_of, shortfall_of
from margrave.lab.court.families.tails.evt import fit_pareto
from margrave.lab.court.families.tails.garch import FHS_GJR, GARCH_T, GJR_EVT
from margrave.lab.court.families.tails.ladder import RUNGS, empirical, normal, ordered, student
from margrave.lab.court.families.tails.recursion import Recursion, RecursiveFamily, fit_bars, on_the_clock, trailing
from margrave.lab.court.family import DOWN, LEVELS, UP
from margrave.lab.court.losses import fz0
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import audit
from margrave.spans import HOUR_MS

Floats = np.ndarray

TAILS = {family.name: family for family, _ in FAMILIES}


def panel_of(returns: Floats) -> Panel:
    """(hours, assets) of log returns as bars whose range is that of the body and a little more."""
    return bars_of(100 * np.exp(np.cumsum(returns, axis=0)))


def bars_of(close: Floats) -> Panel:
    """NaN where there is no bar; within a bar the price overshoots its body by half of it."""
    opened = np.concatenate((close[:1], close[:-1]))
    opened = np.where(np.isfinite(opened), opened, close)
    reach = np.exp(0.5 * np.abs(np.log(close / opened)))
    nothing = np.full(close.shape, np.nan)
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * reach,
        "low": np.minimum(opened, close) / reach,
        "close": close,
        "volume": np.where(np.isfinite(close), 10.0, np.nan),
        "dvol": nothing,
        "funding_8h": nothing,
    }
    return Panel(np.arange(len(close), dtype=np.int64) * HOUR_MS, tuple("ABCDEFGH"[: close.shape[1]]), **columns)


def garch(hours: int, seed: int, freedom: float = 6.0, skew: float = 0.0) -> tuple[Floats, Floats]:
    """(returns, sigma) of a GJR-GARCH-t whose truth is known."""
    z = np.random.default_rng(seed).standard_t(freedom, hours) * np.sqrt((freedom - 2) / freedom)
    returns, sigma = np.empty(hours), np.empty(hours)
    variance = 1e-4
    for t in range(hours):
        sigma[t] = variance**0.5
        returns[t] = sigma[t] * z[t]
        weight = 0.08 * (1 + skew if returns[t] < 0 else 1 - skew)
        variance = 0.02e-4 + weight * returns[t] ** 2 + 0.90 * variance
    return returns, sigma


TRUTH, SIGMA = garch(7_001, 3)
LONG = panel_of(TRUTH[:, None])


@pytest.mark.parametrize("family", [GARCH_T, FHS_GJR, GJR_EVT, ES_CAVIAR], ids=lambda f: f.name)
def test_a_family_recovers_the_quantiles_of_its_own_process(family: RecursiveFamily) -> None:
    rows = np.arange(6_100, 7_000)
    said = family.fit(LONG.upto(6_100)).tails(LONG, rows, np.zeros(len(rows), dtype=np.int64), 1)
    var, es = student(6.0)
    for side in (DOWN, UP):
        for level, tolerance in ((0, 0.12), (2, 0.2)):
            true = SIGMA[rows + 1] * var[level]
            ratio = said.var[:, side, level] / true
            assert abs(np.log(np.median(ratio))) < tolerance
            assert abs(np.log(np.median(said.es[:, side, level] / (SIGMA[rows + 1] * es[level])))) < 1.5 * tolerance
            assert np.corrcoef(np.log(said.var[:, side, level]), np.log(true))[0, 1] > 0.8


@pytest.mark.parametrize("name", TAILS)
def test_no_family_looks_ahead_crosses_or_says_less_shortfall_than_quantile(name: str) -> None:
    rng = np.random.default_rng(5)
    returns = 0.01 * rng.standard_t(4, (8_000, 2))
    returns[3_000:3_050, 1] = np.nan
    close = 100 * np.exp(np.cumsum(np.nan_to_num(returns), axis=0))
    close[3_000:3_050, 1] = np.nan
    p = bars_of(close)
    model = TAILS[name].fit(p.upto(7_000))
    for horizon_h in (1, 4, 24):
        rows = np.arange(7_007, 7_900, horizon_h)
        audit(p, model, rows, horizon_h, name)
        said = model.tails(p, rows, np.ones(len(rows), dtype=np.int64), horizon_h)
        assert np.isfinite(said.var).all()
        assert (said.var > 0).all()
        assert (np.diff(said.var, axis=-1) >= 0).all()
        assert (np.diff(said.es, axis=-1) >= 0).all()
        assert (said.es >= said.var).all()


@pytest.mark.parametrize(
    "name", [name for name in TAILS if name not in ("pooled_tails", "served_tails_aci", "boosted_quantiles")]
)
def test_a_series_too_short_constant_or_absent_is_not_answered(name: str) -> None:
    close = panel_of(0.01 * np.random.default_rng(0).standard_normal((1_000, 3))).close.copy()
    close[:900, 0] = np.nan
    close[:, 1] = 5.0
    close[990:, 2] = np.nan
    p = bars_of(close)
    rows, assets = np.array([995, 995, 995, 980]), np.array([0, 1, 2, 2])
    said = TAILS[name].fit(p.upto(950)).tails(p, rows, assets, 1)
    assert np.isnan(said.var[:3]).all()
    assert np.isnan(said.es[:3]).all()
    assert np.isfinite(said.var[3]).all()


@given(
    st.lists(st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5), min_size=1, max_size=4),
    st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5),
)
def test_a_ladder_cannot_cross_whatever_it_is_made_of(var: list[list[float]], es: list[float]) -> None:
    rungs, shortfalls = ordered(np.array(var), np.array(es) + np.zeros((len(var), 1)))
    assert (np.diff(rungs, axis=-1) >= 0).all()
    assert (np.diff(shortfalls, axis=-1) >= 0).all()
    assert (shortfalls >= rungs).all()
    assert (rungs > 0).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 400))
def test_an_empirical_ladder_is_ordered_for_any_sample(seed: int, count: int) -> None:
    var, es = empirical(np.random.default_rng(seed).standard_cauchy(count))
    assert (np.diff(var) >= 0).all()
    assert (np.diff(es) >= 0).all()
    assert (es >= var).all()


def test_closed_form_ladders_are_those_of_their_law() -> None:
    draws = np.random.default_rng(1).standard_t(5, 2_000_000) * np.sqrt(3 / 5)
    var, es = student(5.0)
    seen_var, seen_es = empirical(draws)
    np.testing.assert_allclose(seen_var[:4], var[:4], rtol=0.02)
    np.testing.assert_allclose(seen_es[:4], es[:4], rtol=0.03)
    np.testing.assert_allclose(normal()[1][2], stats.norm.expect(lb=stats.norm.isf(0.01)) / 0.01, rtol=1e-6)


@pytest.mark.parametrize("xi", [-0.2, 0.05, 0.3, 0.6])
def test_peaks_are_fitted_as_scipys_own_likelihood_does(xi: float) -> None:
    peaks = stats.genpareto.rvs(xi, scale=2.0, size=800, random_state=7)
    mine = fit_pareto(peaks)
    shape, _, scale = stats.genpareto.fit(peaks, xi, floc=0, scale=2.0)
    mine_loss = -stats.genpareto.logpdf(peaks, mine.xi, scale=mine.beta).mean()
    assert mine_loss <= -stats.genpareto.logpdf(peaks, shape, scale=scale).mean() + 1e-6
    assert mine.xi == pytest.approx(shape, abs=5e-3)
    assert mine.beta == pytest.approx(scale, rel=1e-2)
    share = np.array([0.5, 0.1, 0.01])
    np.testing.assert_allclose(mine.quantile(share), stats.genpareto.isf(share, mine.xi, scale=mine.beta), rtol=1e-9)


def test_the_filter_is_the_recursion_written_out() -> None:
    returns = np.random.default_rng(2).standard_normal(300)
    returns[40:60] = np.nan
    model = Recursion(0.02, 0.10, 0.04, 0.85, 1, 0.3)
    s, slow = model.level, []
    for r in returns:
        if np.isnan(r):
            s = model.keep * s + (1 - model.keep) * model.level
        else:
            s = model.constant + model.keep * s + (model.down if r < 0 else model.up) * abs(r)
        slow.append(s)
    np.testing.assert_allclose(model.after(returns), slow, rtol=1e-12)


def test_the_profiled_caviar_loss_is_the_least_fz0_over_scale_and_shortfall() -> None:
    """What is not searched for must be what a search finds."""
    losses = np.random.default_rng(4).standard_t(4, 4_000)
    g = recursion_of(losses, 1.0).before(losses)
    z, tail = losses / g, 40
    profiled = shortfall_of(z, tail) + np.log(g).mean()

    def joint(s: float, k: float) -> float:
        return float(fz0(-losses, -s * g, -k * s * g, 0.01).mean())

    searched = min(joint(s, k) for s in np.linspace(2.5, 6.0, 141) for k in np.linspace(1.05, 2.5, 146))
    assert profiled <= searched + 1e-9
    assert profiled == pytest.approx(searched, abs=2e-3)


def test_bars_of_the_horizon_end_on_the_clock_and_hold_its_hours() -> None:
    p = panel_of(np.random.default_rng(6).standard_normal((500, 1)) * 0.01)
    rows = on_the_clock(p, 24)
    assert set((p.known_ms[rows] // HOUR_MS) % 24) == {0}
    hand = np.log(p.close[rows[1:], 0] / p.close[rows[:-1], 0])
    np.testing.assert_allclose(fit_bars(p, 24)[1:, 0], hand, rtol=1e-9)
    assert np.isnan(trailing(p, 24)[:24]).all()


def test_levels_are_as_deep_as_the_court_asks() -> None:
    assert tuple(RUNGS) == LEVELS


@pytest.mark.parametrize("name", TAILS)
def test_one_absurd_hour_widens_and_breaks_nothing(name: str) -> None:
    returns = 0.01 * np.random.default_rng(8).standard_t(5, (4_000, 2))
    before = panel_of(returns)
    returns[3_900, 0] = -3.0
    after = panel_of(returns)
    model, rows, assets = TAILS[name].fit(before.upto(3_800)), np.array([3_900]), np.array([0])
    calm, wild = model.tails(before, rows, assets, 1), model.tails(after, rows, assets, 1)
    assert np.isfinite(wild.var).all()
    assert (wild.es >= wild.var).all()
    assert (wild.var[0, DOWN] >= calm.var[0, DOWN]).all()


@pytest.mark.parametrize("name", TAILS)
def test_prices_in_another_unit_and_volumes_in_another_change_nothing(name: str) -> None:
    p = panel_of(0.01 * np.random.default_rng(9).standard_t(5, (4_000, 2)))
    columns = {column: 2.0**20 * getattr(p, column) for column in ("open", "high", "low", "close", "volume")}
    q = Panel(p.open_ms, p.assets, dvol=p.dvol, funding_8h=p.funding_8h, **columns)
    rows, assets = np.array([3_850, 3_900]), np.array([0, 1])
    one, other = (TAILS[name].fit(x.upto(3_800)).tails(x, rows, assets, 1) for x in (p, q))
    assert np.isfinite(one.var).all()
    np.testing.assert_allclose(other.var, one.var, rtol=1e-9)
    np.testing.assert_allclose(other.es, one.es, rtol=1e-9)


@pytest.mark.parametrize("name", TAILS)
def test_a_series_that_explodes_is_answered_in_order_and_wider_every_week(name: str) -> None:
    returns = 0.005 * np.random.default_rng(10).standard_t(5, (4_000, 2))
    returns[3_800:, 0] *= 2.0 ** (np.arange(200) / 50)
    p = panel_of(returns)
    rows, assets = np.array([3_800, 3_999 - 1]), np.zeros(2, dtype=np.int64)
    said = TAILS[name].fit(p.upto(3_790)).tails(p, rows, assets, 1)
    assert np.isfinite(said.var).all()
    assert (np.diff(said.var, axis=-1) >= 0).all()
    assert (said.es >= said.var).all()
    assert (said.var[1] > said.var[0]).all()
