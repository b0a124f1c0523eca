"""The exported recursion against a loop in numpy, against `arch`, and a refit on a small sample."""

from __future__ import annotations

import numpy as np
import pytest
from arch import arch_model
from scipy import integrate, stats

from margrave.score.registry import open_model
from train import export
from train.gjr_garch_t import fit_asset, pooled, student
from train.gjr_graph import Recursion, Tail, filter_variance, graph

RECURSION = Recursion(alpha=0.06, gamma=0.04, beta=0.88)
TAIL = Tail(nu=3.6, scale=0.7)


def simulated(recursion: Recursion, n: int, seed: int, level: float = 1e-4, nu: float = 5.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(nu, n) / np.sqrt(nu / (nu - 2))
    returns, h = np.empty(n), level
    for t in range(n):
        returns[t] = np.sqrt(h) * shocks[t]
        impulse = (recursion.alpha + recursion.gamma * (returns[t] < 0)) * returns[t] ** 2
        h = level * (1 - recursion.persistence) + impulse + recursion.beta * h
    return returns


def answered(recursion: Recursion, returns: np.ndarray, bars: int | None = None) -> dict[str, np.ndarray]:
    inputs = {
        "returns_1h": returns[None, :],
        "bars": np.array([len(returns) if bars is None else bars], dtype=np.int64),
    }
    return export.run(graph(recursion, TAIL).SerializeToString(), inputs)


@pytest.mark.parametrize("n", [199, 672, 3000])
def test_the_weighted_sum_is_the_recursion(n: int) -> None:
    returns = simulated(RECURSION, n, seed=1)
    path = answered(RECURSION, returns)["variance_path"][0]
    expected = filter_variance(RECURSION, returns)[-1]
    assert path[0] == pytest.approx(expected, rel=1e-12)


def test_padding_before_the_first_bar_changes_nothing() -> None:
    returns = simulated(RECURSION, 300, seed=2)
    padded = np.concatenate([np.full(372, 0.5), returns])  # what lies in the padding must not matter
    alone, among = answered(RECURSION, returns), answered(RECURSION, padded, bars=300)
    for name in alone:
        assert among[name] == pytest.approx(alone[name], rel=1e-12)


def test_the_variance_path_is_archs_forecast_for_the_same_parameters() -> None:
    """Variance targeting is off by choosing returns' own mean square as the level that arch's omega implies."""
    returns = simulated(RECURSION, 3000, seed=3)
    omega = float(np.mean(returns**2)) * (1 - RECURSION.persistence)
    model = arch_model(returns, mean="Zero", vol="GARCH", p=1, o=1, q=1, dist="t", rescale=False)
    fixed = model.fix([omega, RECURSION.alpha, RECURSION.gamma, RECURSION.beta, 5.0])
    expected = fixed.forecast(horizon=4, reindex=False).variance.to_numpy()[0]
    found = answered(RECURSION, returns)
    assert found["variance_path"][0] == pytest.approx(expected, rel=1e-12)
    assert found["sigma"][0] == pytest.approx(np.sqrt(expected.sum()), rel=1e-12)


def test_a_refit_finds_the_parameters_it_was_simulated_with() -> None:
    truth = Recursion(alpha=0.05, gamma=0.08, beta=0.85)
    found = fit_asset(simulated(truth, 20_000, seed=4))
    assert found["converged"] == 1
    assert found["alpha"] == pytest.approx(truth.alpha, abs=0.03)
    assert found["gamma"] == pytest.approx(truth.gamma, abs=0.05)
    assert found["beta"] == pytest.approx(truth.beta, abs=0.05)
    assert found["nu"] == pytest.approx(5, abs=1)


def test_pooling_takes_medians_of_what_converged_and_keeps_a_level() -> None:
    fits = {
        "A": {"alpha": 0.1, "gamma": 0.0, "beta": 0.9, "nu": 4, "converged": 1},
        "B": {"alpha": 0.1, "gamma": 0.0, "beta": 0.95, "nu": 4, "converged": 1},
        "C": {"alpha": 9.0, "gamma": 9.0, "beta": 9.0, "nu": 4, "converged": 0},
    }
    found = pooled(fits)
    assert found.alpha == pytest.approx(0.1)
    assert found.persistence == pytest.approx(0.995)


def test_the_shortfall_of_the_student_t_is_the_mean_beyond_its_quantile() -> None:
    q = stats.t.isf(0.01, TAIL.nu)
    mean, _ = integrate.quad(lambda x: x * stats.t.pdf(x, TAIL.nu), q, np.inf)
    assert TAIL.shortfall(0.01) == pytest.approx(TAIL.scale * mean / 0.01, rel=1e-6)
    assert (np.diff(TAIL.rungs()) > 0).all()


def test_the_published_card_names_the_parameters_that_the_graph_computes_with() -> None:
    model = open_model(export.REGISTRY, "gjr_garch_t/1")
    recursion = Recursion(*(model.card.parameters[name] for name in ("alpha", "gamma", "beta")))
    returns = simulated(recursion, 672, seed=5)
    found = model.run({"returns_1h": returns[None, :], "bars": np.array([672], dtype=np.int64)})
    assert found["variance_path"][0, 0] == pytest.approx(filter_variance(recursion, returns)[-1], rel=1e-12)


def test_with_a_pull_the_ladder_grows_with_a_power_of_sigma_below_one() -> None:
    returns = simulated(RECURSION, 300, seed=6)
    both = np.stack([returns, 3 * returns])
    pulled = Tail(nu=3.6, scale=0.7, pull=0.1, pivot=0.02)
    inputs = {"returns_1h": both, "bars": np.array([300, 300], dtype=np.int64)}
    out = export.run(graph(RECURSION, pulled).SerializeToString(), inputs)
    assert out["sigma"][1] == pytest.approx(3 * out["sigma"][0], rel=1e-12)
    moves = -np.log1p(-out["ladder"][:, :5])
    assert moves[0] == pytest.approx(pulled.rungs() * out["sigma"][0] ** 0.9 * 0.02**0.1, rel=1e-12)
    assert moves[1] / moves[0] == pytest.approx(3**0.9, rel=1e-12)


def test_a_students_tail_and_its_pull_are_found_again() -> None:
    rng = np.random.default_rng(7)
    sigma = np.exp(rng.normal(-4, 0.6, 200_000))
    pivot = np.exp(np.log(sigma).mean())
    moves = 0.7 * sigma * (pivot / sigma) ** 0.12 * rng.standard_t(3.5, len(sigma))
    found = student(moves, sigma)
    assert found.nu == pytest.approx(3.5, abs=0.1)
    assert found.scale == pytest.approx(0.7, abs=0.01)
    assert found.pull == pytest.approx(0.12, abs=0.01)
    assert found.pivot == pytest.approx(pivot)
