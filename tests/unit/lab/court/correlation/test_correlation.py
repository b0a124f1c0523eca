"""Covariance families against what is known of simulated markets, and the chamber that judges them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from margrave.lab.court.chamber import Case
from margrave.lab.court.correlation import ENERGY, Correlation, legs
from margrave.lab.court.families.correlation import FAMILIES
from margrave.lab.court.families.correlation.baskets import MOST_HELD, drawn
from margrave.lab.court.families.correlation.dcc import correlation, fitted, recursed
from margrave.lab.court.families.correlation.ewma import Ewma, weighted
from margrave.lab.court.families.correlation.family import CovarianceFamily
from margrave.lab.court.families.correlation.speeds import AGES_H, SPEEDS_H, Speeds, Weights, state_of
from margrave.lab.court.panel import Panel
from margrave.lab.court.study import Study
from tests.unit.lab.court.tails.test_families import panel_of

Floats = NDArray[np.float64]


def market(hours: int, assets: int = 4, rho: float = 0.6, seed: int = 0) -> Panel:
    """Returns of 1 % an hour, all pairs equally correlated."""
    rng = np.random.default_rng(seed)
    common, own = rng.normal(size=(hours, 1)), rng.normal(size=(hours, assets))
    return panel_of(0.01 * (np.sqrt(rho) * common + np.sqrt(1 - rho) * own))


def simulated_dcc(bars: int, assets: int, news: float, keep: float, seed: int) -> Floats:
    """Engle (2002), eq. 17-18, drawn from."""
    rng = np.random.default_rng(seed)
    target = 0.5 * np.ones((assets, assets)) + 0.5 * np.eye(assets)
    q, found = target.copy(), np.empty((bars, assets))
    for t in range(bars):
        found[t] = np.linalg.cholesky(correlation(q)) @ rng.normal(size=assets)
        q = (1 - news - keep) * target + news * np.outer(found[t], found[t]) + keep * q
    return found


def test_an_ewma_is_its_recursion() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    state = start = np.array([1.0, 2.0, 3.0])
    for at, found in enumerate(weighted(values, 0.9, start)):
        state = 0.9 * state + 0.1 * values[at]
        np.testing.assert_allclose(found, state, rtol=1e-12)


def test_the_composite_likelihood_finds_what_a_dcc_was_drawn_with() -> None:
    found = np.array([fitted(simulated_dcc(4_000, 4, 0.05, 0.90, seed)) for seed in range(3)]).mean(axis=0)
    assert found[0] == pytest.approx(0.05, abs=0.02)
    assert found[1] == pytest.approx(0.90, abs=0.05)


def test_dccs_recursion_is_engles_bar_by_bar() -> None:
    z = simulated_dcc(40, 3, 0.06, 0.9, 1)
    target = correlation(z.T @ z / len(z))
    q = target
    for t, said in enumerate(recursed(z, target, 0.06, 0.9)):
        q = 0.04 * target + 0.06 * np.outer(z[t], z[t]) + 0.9 * q
        np.testing.assert_allclose(said, correlation(q), rtol=1e-10)


@pytest.mark.parametrize("family", [family for family, _ in FAMILIES], ids=lambda family: family.name)
def test_every_family_finds_a_steady_markets_covariance(family: CovarianceFamily) -> None:
    panel = market(9_000)
    rows = np.arange(8_400, 8_900, 24)
    said = family.fit(panel.upto(8_000)).covariance(panel, rows, 4)
    assert (np.linalg.eigvalsh(said) > 0).all()
    np.testing.assert_allclose(said, np.swapaxes(said, 1, 2), rtol=1e-12)
    pairs = correlation(said)[:, ~np.eye(4, dtype=bool)]
    assert float(pairs.mean()) == pytest.approx(0.6, abs=0.12)
    if not isinstance(family, Speeds) and family.name != "dcc_on_our_volatilities":
        # the drawn bars' ranges are not those of a diffusion, so only who sees closes alone knows their variance
        assert float(np.diagonal(said, axis1=1, axis2=2).mean()) == pytest.approx(4e-4, rel=0.25)


@pytest.mark.parametrize("family", [family for family, _ in FAMILIES], ids=lambda family: family.name)
def test_no_family_looks_ahead(family: CovarianceFamily) -> None:
    panel = market(7_000, seed=3)
    model, rows = family.fit(panel.upto(6_000)), np.array([6_203, 6_403])
    whole = model.covariance(panel, rows, 4)
    for place, row in enumerate(rows):
        alone = model.covariance(panel.upto(int(row) + 1), rows[place : place + 1], 4)[0]
        np.testing.assert_allclose(whole[place], alone, rtol=1e-9)


def test_learnt_weights_are_shares_whatever_the_coordinates() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        weights = Weights.of(rng.normal(scale=5.0, size=len(AGES_H) + len(SPEEDS_H) + 2))
        for share in (weights.ages, weights.speeds):
            assert (share >= 0).all()
            assert share.sum() == pytest.approx(1.0)


def test_every_speeds_correlation_has_a_unit_diagonal_and_is_no_less_than_nothing() -> None:
    panel = market(3_000, seed=6)
    state = state_of(panel, np.arange(1_000, 3_000, 200), 24)
    np.testing.assert_allclose(np.diagonal(state.correlations, axis1=2, axis2=3), 1.0, rtol=1e-12)
    assert (np.linalg.eigvalsh(state.correlations) > -1e-9).all()


def test_baskets_are_the_same_for_the_same_seed_and_hold_two_to_eight_assets() -> None:
    first, again, other = drawn(12, 20, 1), drawn(12, 20, 1), drawn(12, 20, 2)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    held = (first != 0).sum(axis=1)
    assert held.min() >= 2
    assert held.max() <= MOST_HELD
    np.testing.assert_allclose(np.abs(first).sum(axis=1), 1.0)
    assert ((first < 0).any(axis=1)).sum() > 3


def case(panel: Panel, folder: Path) -> Case:
    return Case(folder, panel, Study(), folder / "answers", lambda _: None)


def test_the_chamber_judges_pinball_and_energy_of_every_family(tmp_path: Path) -> None:
    found = Correlation().judge(case(market(11_000, 5, seed=7), tmp_path))
    (target,) = found.targets
    assert target.value is not None
    assert abs(target.value) < 0.2
    names = {row[2] for row in found.tables[0].rows}
    assert names == {family.name for family, _ in FAMILIES}
    assert {row[0] for row in found.tables[0].rows} == {"pinball 1.0%", "pinball 2.5%", ENERGY}
    rates = [row[8] for row in found.tables[0].rows if row[0] == "pinball 2.5%"]
    assert all(isinstance(rate, float) and 0.01 < rate < 0.05 for rate in rates)
    assert found.figures[0].svg.startswith("<svg")


@pytest.mark.parametrize(("hours", "assets"), [(0, 4), (2_000, 4), (14_000, 3)])
def test_too_few_hours_or_assets_are_said(tmp_path: Path, hours: int, assets: int) -> None:
    found = Correlation().judge(case(market(max(hours, 10), assets).upto(hours), tmp_path))
    assert found.silent
    assert found.targets[0].value is None


def test_holed_constant_and_pegged_assets_are_in_no_basket(tmp_path: Path) -> None:
    panel = market(14_000, 7, seed=8)
    changed = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close")}
    for values in changed.values():
        values[9_000, 0] = np.nan
        values[:, 1] = 1.0
        values[:, 2] = 1.0 + 1e-4 * (values[:, 2] / values[:, 2].mean() - 1.0)
    (leg, *_) = legs(replace(panel, **changed), 8_760)
    assert leg.panel.assets == ("D", "E", "F", "G")


def test_one_absurd_hour_leaves_a_covariance_a_covariance() -> None:
    panel = market(9_000, seed=9)
    changed = {name: getattr(panel, name).copy() for name in ("open", "high", "low", "close")}
    for values in changed.values():
        values[8_500, 1] *= 1e6
    broken = replace(panel, **changed)
    for family in (Ewma("ewma", 0.94), Speeds()):
        said = family.fit(broken.upto(8_000)).covariance(broken, np.array([8_510, 8_700]), 4)
        assert np.isfinite(said).all()
        assert (np.linalg.eigvalsh(correlation(said)) > -1e-9).all()
