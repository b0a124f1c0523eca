"""Volatility families: recursions against slow loops and `arch`, no look ahead, masks, any unit of price."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from arch import arch_model

from margrave.lab.court.families import volatility
from margrave.lab.court.families.registered import Registered
from margrave.lab.court.families.volatility import egarch, garch
from margrave.lab.court.families.volatility.measures import (
    LEVEL_H,
    WeekTable,
    latest,
    range_variance,
    stretches,
    trailing_mean,
)
from margrave.lab.court.families.volatility.recursions import Recursion
from margrave.lab.court.family import HORIZONS_H
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import audit
from margrave.spans import HOUR_MS

BEGINS_H = 500_640
"""In 2027: models of the registry speak of no hour that they may have seen."""
FAMILIES = {family.name: family for family, _ in volatility.FAMILIES}
FITTED = [name for name, family in FAMILIES.items() if not isinstance(family, Registered)]
ASSETS = ("BUSY", "CALM", "NEW")
HOURS = 3_400
STARTS_AT = 900
GAP = slice(300, 310)


def garch_returns(hours: int, seed: int) -> np.ndarray:
    """Hourly, annual volatility about 100 %."""
    rng, h, found = np.random.default_rng(seed), 1.0, np.empty(hours)
    for t in range(hours):
        found[t] = h**0.5 * rng.standard_t(5) * 0.6**0.5
        h = 0.03 + (0.08 + 0.06 * (found[t] < 0)) * found[t] ** 2 + 0.86 * h
    return 0.01 * found


@cache
def market() -> Panel:
    """Three assets, louder in the American afternoon; one has a gap, one is listed late, implied volatility for one."""
    rng = np.random.default_rng(7)
    returns = np.stack([garch_returns(HOURS, seed) for seed in range(3)], axis=1)
    returns *= np.where(np.arange(HOURS) % 24 > 15, 1.4, 0.8)[:, None]
    close = 100 * np.exp(np.cumsum(returns, axis=0))
    opened = np.concatenate((np.full((1, 3), 100.0), close[:-1]))
    reach = 0.5 * np.abs(returns) + np.abs(rng.normal(0, 0.003, returns.shape))
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(reach),
        "low": np.minimum(opened, close) * np.exp(-reach),
        "close": close,
        "volume": np.exp(rng.normal(3, 0.3, returns.shape)),
        "dvol": np.where(np.arange(3) == 0, 0.9 + 0.1 * np.sin(np.arange(HOURS) / 300)[:, None], np.nan),
        "funding_8h": np.where(np.arange(3) < 2, rng.normal(1e-4, 1e-4, returns.shape), np.nan),
    }
    for column in columns.values():
        column[GAP, 1] = np.nan
        column[:STARTS_AT, 2] = np.nan
    return Panel((BEGINS_H + np.arange(HOURS, dtype=np.int64)) * HOUR_MS, ASSETS, **columns)


@cache
def model(name: str):
    return FAMILIES[name].fit(market().upto(3_000))


def test_the_recursion_is_the_loop_that_it_stands_for() -> None:
    recursion, returns = Recursion(2e-4, 0.1, 0.3, 0.85), garch_returns(400, 3)
    h, slow = recursion.mean, []
    for r in returns:
        weight = recursion.shock * (1 + recursion.skew if r < 0 else 1 - recursion.skew)
        h = (1 - 0.95) * recursion.mean + weight * r * r + recursion.keep * h
        slow.append(h)
    assert recursion.run(returns) == pytest.approx(np.array(slow), rel=1e-12)
    path = [slow[-1]]
    for _ in range(23):
        path.append(0.05 * recursion.mean + 0.95 * path[-1])
    assert recursion.ahead(np.array([slow[-1]]), 24)[0] == pytest.approx(sum(path), rel=1e-12)


def test_the_likelihood_has_the_gradient_that_it_says() -> None:
    returns = garch_returns(1_000, 4) / 0.01
    free = np.array([0.1, 3.0, -2.0, 0.2, 1.0])
    value, gradient = garch._loss(free, returns)
    assert np.isfinite(value)
    for place, step in enumerate(1e-6 * np.eye(5)):
        slope = (garch._loss(free + step, returns)[0] - garch._loss(free - step, returns)[0]) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("skewed", [False, True])
def test_garch_is_as_likely_as_what_arch_fits(skewed: bool) -> None:
    returns = garch_returns(4_000, 5)
    unit = returns / np.sqrt(np.mean(returns**2))
    theirs = arch_model(unit, mean="Zero", p=1, o=int(skewed), q=1, dist="t", rescale=False).fit(disp="off")
    mine = garch.fitted(returns, skewed=skewed)
    # the two start the recursion differently: worth a fraction of one unit of log likelihood
    assert mine.log_likelihood == pytest.approx(theirs.loglikelihood, abs=1.0)
    gains = mine.recursion.shock * (1 - mine.recursion.skew)
    assert gains == pytest.approx(theirs.params["alpha[1]"], abs=0.01)
    assert mine.recursion.keep == pytest.approx(theirs.params["beta[1]"], abs=0.02)
    assert mine.nu == pytest.approx(theirs.params["nu"], rel=0.02)


def test_egarch_is_as_likely_as_what_arch_fits() -> None:
    returns = garch_returns(3_000, 6)
    unit = returns / np.sqrt(np.mean(returns**2))
    options = {"mean": "Zero", "vol": "EGARCH", "p": 1, "o": 1, "q": 1, "dist": "t", "rescale": False}
    theirs = arch_model(unit, **options).fit(disp="off")
    mine = egarch.fitted(returns)
    parameters = np.array([mine.omega, mine.alpha, mine.gamma, mine.beta, mine.nu])
    ours = egarch.log_likelihood(parameters, unit)
    assert ours >= egarch.log_likelihood(theirs.params.to_numpy(), unit) - 0.05
    assert ours == pytest.approx(theirs.loglikelihood, abs=1.0)


def test_egarch_filters_as_its_formula_says() -> None:
    recursion, returns = egarch.Exponential(0.01, 0.2, -0.05, 0.96, 5.0, 1e-4, 0.02), garch_returns(300, 8)
    log_h, slow = 0.01, []
    for r in returns / 0.01:
        error = r / np.exp(0.5 * log_h)
        log_h = 0.01 + 0.2 * (abs(error) - (2 / np.pi) ** 0.5) - 0.05 * error + 0.96 * log_h
        slow.append(log_h)
    assert recursion.run(returns) == pytest.approx(np.array(slow), rel=1e-9, abs=1e-12)
    assert recursion.ahead(np.array(slow[-1:]), 1)[0] == pytest.approx(1e-4 * np.exp(slow[-1]), rel=1e-12)


def test_a_trailing_mean_is_the_mean_and_stops_at_gaps() -> None:
    values = np.random.default_rng(0).normal(size=(200, 2))
    values[50, 1] = np.nan
    for window in (1, 7, 24, 100):
        found = trailing_mean(values, window)
        for row in (window - 2, window - 1, 49, 50, 120, 199):
            if row < window - 1:
                assert row < 0 or np.isnan(found[row]).all()
            else:
                expected = values[row - window + 1 : row + 1].mean(axis=0)
                np.testing.assert_allclose(found[row], expected, rtol=1e-12)


def test_stretches_are_the_runs_without_a_gap() -> None:
    found = [(asset, run.start, run.stop) for asset, run in stretches(market())]
    assert found == [(0, 0, HOURS), (1, 0, GAP.start), (1, GAP.stop, HOURS), (2, STARTS_AT, HOURS)]
    assert latest(market(), 1, 100_000) == slice(GAP.stop + 1, HOURS)
    assert np.isfinite(market().log_return[latest(market(), 1, 100_000), 1]).all()


def test_the_week_table_finds_the_louder_hours_and_sums_over_those_to_come() -> None:
    panel = market()
    table = WeekTable(panel, range_variance(panel))
    hours = np.arange(HOURS) % 24
    late = np.arange(HOURS) > LEVEL_H + 8 * 168
    assert table.now[late & (hours > 16)].mean() > 1.3 * table.now[late & (hours < 14)].mean()
    rows = np.array([2_000, 2_001, 3_000])
    assert table.ahead(rows, 168) == pytest.approx(168.0, rel=1e-9)
    same_week = table.now[rows[:, None] + np.arange(1, 5)].sum(axis=1)
    assert table.ahead(rows, 4) == pytest.approx(same_week, rel=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("horizon_h", HORIZONS_H)
def test_no_family_looks_ahead(name: str, horizon_h: int) -> None:
    audit(market(), model(name), np.arange(3_000, 3_200), horizon_h, name)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_speaks_of_what_it_knows_and_of_nothing_else(name: str) -> None:
    rows = np.array([100, 305, 3_100])
    said = model(name).variance(market(), rows, 24)
    assert said.shape == (3, 3)
    assert np.isfinite(said[2]).all()
    assert (said[2] > 0).all()
    assert np.isnan(said[1, 1]), "in a gap"
    assert np.isnan(said[:2, 2]).all(), "before the listing"
    true = market().realised(24)[rows[2]]
    assert (said[2] / true < 20).all()
    assert (said[2] / true > 0.05).all()


@pytest.mark.parametrize("name", FITTED)
def test_an_asset_too_short_to_fit_is_not_spoken_of_and_harms_nobody(name: str) -> None:
    short = market().upto(STARTS_AT + 400)
    rows = np.array([short.hours - 1])
    # the pooled families know others by then, those that fit each asset alone know the long ones at most
    said = FAMILIES[name].fit(short).variance(short, rows, 4)
    assert np.isnan(said[0, 2])


@pytest.mark.parametrize("name", FAMILIES)
def test_an_asset_that_does_not_move_is_not_spoken_of_or_positive(name: str) -> None:
    panel = market()
    columns = {column: getattr(panel, column).copy() for column in ("open", "high", "low", "close")}
    for column in columns.values():
        column[:, 0] = 100.0
    still = replace(panel, **columns)
    said = FAMILIES[name].fit(still.upto(3_000)).variance(still, np.arange(3_000, 3_100), 4)
    assert not np.isinf(said).any()
    assert np.isnan(said[:, 0]).all() or (said[:, 0] >= 0).all()
    assert (said[:, 1:] > 0).all()


@pytest.mark.parametrize("scale", [0.3, 2.5])
@pytest.mark.parametrize("name", FAMILIES)
def test_returns_of_another_size_make_variances_of_its_square(name: str, scale: float) -> None:
    """Raising prices to a power multiplies every log return; the coin's price itself means nothing."""
    panel = market()
    prices = {column: 7.0 * getattr(panel, column) ** scale for column in ("open", "high", "low", "close")}
    scaled = replace(panel, **prices, dvol=panel.dvol * scale)
    rows = np.arange(3_000, 3_050)
    said = FAMILIES[name].fit(scaled.upto(3_000)).variance(scaled, rows, 24)
    # where a likelihood is climbed, both climbs end near the top, not on the same spot
    np.testing.assert_allclose(said, scale**2 * model(name).variance(panel, rows, 24), rtol=1e-3)
