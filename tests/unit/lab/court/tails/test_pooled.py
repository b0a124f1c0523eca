"""The pooled tails: their loss is the joint one, their gradient its slope, and an asset never seen is answered."""

from __future__ import annotations

import numpy as np
import pytest

from margrave.lab.court.families.tails import POOLED
from margrave.lab.court.families.tails.combination import Combination
from margrave.lab.court.families.tails.deep import FITTED_AT
from margrave.lab.court.families.tails.garch import EWMA_NORMAL, FAST_FHS
from margrave.lab.court.families.tails.ladder import student
from margrave.lab.court.families.tails.pooled import Pooled, joint_loss
from margrave.lab.court.families.tails.state import state_of
from margrave.lab.court.family import DOWN, UP
from margrave.lab.court.losses import fz0
from tests.unit.lab.court.tails.test_families import bars_of, garch, panel_of


def test_the_profiled_loss_is_the_least_joint_fz0_and_its_gradient_the_slope() -> None:
    rng = np.random.default_rng(0)
    x, losses = rng.standard_normal((4_000, 3)), rng.standard_t(5, 4_000)
    w = np.array([0.1, -0.2, 0.05])
    value, slope = joint_loss(w, losses, x, x.mean(axis=0), ridge=0.0)
    scale = np.exp(x @ w)
    searched = [
        min(
            float(fz0(-losses, -s * scale, -k * s * scale, p).mean())
            for s in np.linspace(1.2, 5.0, 77)
            for k in np.linspace(1.05, 2.2, 47)
        )
        for p in FITTED_AT
    ]
    assert value == pytest.approx(np.mean(searched), abs=2e-3)
    for k in range(3):
        nudge = 1e-6 * np.eye(3)[k]
        above, below = (joint_loss(at, losses, x, x.mean(axis=0), ridge=0.0)[0] for at in (w + nudge, w - nudge))
        numeric = (above - below) / 2e-6
        assert slope[k] == pytest.approx(numeric, abs=1e-5)


def test_the_quantiles_of_a_known_process_are_found_also_for_an_asset_that_was_never_seen() -> None:
    draws = [garch(7_001, seed) for seed in (1, 2, 3, 4)]
    returns, sigma = (np.stack(part, axis=1) for part in zip(*draws, strict=True))
    close = panel_of(returns * np.array([1.0, 3.0, 0.5, 2.0])).close.copy()
    known = close.copy()
    known[:6_000, 3] = np.nan
    p = bars_of(known)
    rows = np.arange(6_800, 7_000)
    var, es = student(6.0)
    model = Pooled().fit(bars_of(close[:, :3]).upto(6_800))
    for asset, units in ((1, 3.0), (3, 2.0)):
        q = p if asset == 3 else p.only(p.assets[:3])
        said = (Pooled().fit(p.upto(6_100)) if asset == 3 else model).tails(q, rows, np.full(len(rows), asset), 1)
        true = units * sigma[rows + 1, asset]
        for side in (DOWN, UP):
            assert abs(np.log(np.median(said.var[:, side, 0] / (true * var[0])))) < 0.2
            assert abs(np.log(np.median(said.es[:, side, 2] / (true * es[2])))) < 0.3
            assert np.corrcoef(np.log(said.var[:, side, 0]), np.log(true))[0, 1] > 0.6


def test_a_peg_is_not_answered_and_too_short_a_past_answers_nobody() -> None:
    rng = np.random.default_rng(1)
    returns = 0.01 * rng.standard_t(5, (4_000, 3))
    returns[:, 2] = 1e-8 * np.sign(returns[:, 2])
    p, rows = panel_of(returns), np.full(3, 3_900)
    said = Pooled().fit(p.upto(3_800)).tails(p, rows, np.arange(3), 1)
    assert np.isfinite(said.var[:2]).all()
    assert np.isnan(said.var[2]).all()
    short = Pooled().fit(p.upto(1_000)).tails(p, rows, np.arange(3), 1)
    assert np.isnan(short.var).all()


def test_what_is_usual_at_an_hour_of_the_week_is_learnt_and_known_before_it_comes() -> None:
    hours = np.arange(168 * 40)
    busy = np.where(hours % 24 == 14, 3.0, 1.0)
    p = panel_of(0.01 * busy[:, None] * np.random.default_rng(2).standard_normal((len(hours), 4)))
    state = state_of(p)
    rows = 168 * 20 + 24 * np.arange(100) + 13
    assets = np.zeros(100, dtype=np.int64)
    apart = state.log_anchor(rows, assets, 1) - state.log_anchor(rows - 3, assets, 1)
    assert 1.8 < np.exp(np.median(apart)) < 3.5
    np.testing.assert_allclose(state_of(p.upto(6_000)).week.now, state.week.now[:6_000], rtol=1e-9)


def test_a_combination_is_the_weighted_geometric_mean_and_of_those_that_answer() -> None:
    p = panel_of(0.01 * np.random.default_rng(3).standard_t(5, (3_000, 2)))
    members = (EWMA_NORMAL, ((1, 2.0), (4, 1.0))), (FAST_FHS, ((1, 1.0),)), (POOLED, ((1, 5.0),))
    rows, assets = np.array([2_900, 2_901]), np.array([0, 1])
    past = p.upto(1_600)
    said = Combination("both", members).fit(past).tails(p, rows, assets, 1)
    one, two, none = (family.fit(past).tails(p, rows, assets, 1) for family, _ in members)
    assert np.isnan(none.var).all()
    np.testing.assert_allclose(said.var, one.var ** (2 / 3) * two.var ** (1 / 3))
    np.testing.assert_allclose(said.es, one.es ** (2 / 3) * two.es ** (1 / 3))
