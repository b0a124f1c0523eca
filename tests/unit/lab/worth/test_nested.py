"""A group that helps is found, noise is not, and nobody is fitted on what it is judged by."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from margrave.lab.worth.nested import LEAST_PAIRS, Pairs, compared, generalised, joint_loss, legs


def pairs(count: int = 9_000, seed: int = 0, planted: float = 0.5, horizon_h: int = 4) -> Pairs:
    """Three assets; the variance follows one base input, and the group's input as much as is planted."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(0, count * horizon_h // 3, horizon_h), 3)
    base, added = rng.standard_normal((len(rows), 2)), rng.standard_normal((len(rows), 1))
    sigma = 0.01 * np.exp(0.5 * (0.6 * base[:, 0] + planted * added[:, 0]))
    shock = rng.standard_t(6, len(rows)) / np.sqrt(1.5)
    assets = np.tile(np.arange(3), len(rows) // 3)
    usual = np.full(len(rows), 1e-4)
    return Pairs(rows, assets, base, added, usual, (sigma * shock) ** 2, np.ones(len(rows), dtype=np.bool_))


def returns(planted: float) -> Pairs:
    one = pairs(planted=planted)
    rng = np.random.default_rng(1)
    signed = np.sqrt(one.outcome) * rng.choice([-1.0, 1.0], len(one.outcome))
    return Pairs(one.rows, one.assets, one.base, one.added, np.sqrt(one.usual), signed, one.judged)


def test_a_planted_input_is_found_in_variance_and_in_both_tails() -> None:
    found = compared(pairs(), 4)
    assert found is not None
    assert found[0].mean < 0
    assert found[0].t < -4
    for side in (-1, 1):
        tail = compared(returns(0.8), 4, tail=side)
        assert tail is not None
        assert tail[0].mean < 0
        assert tail[0].t < -3


def test_noise_is_worth_nothing() -> None:
    ts = [found[0].t for seed in range(12) if (found := compared(pairs(seed=seed, planted=0.0), 4)) is not None]
    assert len(ts) == 12
    assert sum(t < -1.96 for t in ts) <= 1, "useless inputs cost a little, and rarely seem to help"


def test_an_absent_input_is_borne() -> None:
    one = pairs()
    one.base[::3, 0] = np.nan
    found = compared(one, 4)
    assert found is not None
    assert np.isfinite(found[0].t)


def test_what_is_fitted_on_is_over_before_what_is_judged_begins() -> None:
    rows = np.repeat(np.arange(0, 24 * 900, 4), 2)
    seen = np.zeros(len(rows), dtype=np.int64)
    for fit, judge in legs(rows, 24):
        assert rows[fit].max() + 24 < rows[judge].min()
        seen += judge
    assert seen.max() == 1, "and every hour is judged once"
    assert seen[-2] == 1


def test_too_few_pairs_are_no_comparison() -> None:
    assert compared(pairs(count=LEAST_PAIRS // 2), 4) is None


def test_the_generalised_model_has_the_mean_of_what_it_was_fitted_on() -> None:
    one = pairs()
    target = one.outcome / one.usual
    weights = generalised(one.base, target)
    assert np.mean(target / np.exp(weights[0] + one.base @ weights[1:])) == pytest.approx(1.0, rel=1e-6)
    assert weights[1] == pytest.approx(0.6, abs=0.15)


def test_the_joint_loss_has_the_slope_that_it_says() -> None:
    rng = np.random.default_rng(3)
    x, losses = rng.standard_normal((3_000, 3)), rng.standard_t(5, 3_000)
    weights = np.array([0.1, -0.2, 0.05])
    slope = approx_fprime(weights, lambda w: joint_loss(w, losses, x)[0], 1e-7)
    assert joint_loss(weights, losses, x)[1] == pytest.approx(slope, abs=1e-4)
