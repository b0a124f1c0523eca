from __future__ import annotations

import tomllib

import msgspec
import numpy as np
import pytest
from scipy import stats

from margrave.score.registry import Card, open_model
from train import evaluate, export


def test_kupiec_is_certain_of_the_right_rate_and_refuses_double_of_it() -> None:
    assert evaluate.kupiec(25, 1000, 0.025) == pytest.approx(1)
    assert evaluate.kupiec(50, 1000, 0.025) < 1e-4
    # Kupiec (1995): with 255 days at 1 %, up to 6 exceptions are accepted at 5 %, 7 are not, and none at all is refused
    assert evaluate.kupiec(6, 255, 0.01) > 0.05 > evaluate.kupiec(7, 255, 0.01)
    assert evaluate.kupiec(0, 255, 0.01) < 0.05


def test_fz0_is_smallest_at_the_true_quantile_and_shortfall() -> None:
    y = np.random.default_rng(1).standard_t(5, 400_000)
    q = stats.t.isf(0.01, 5)
    es = stats.t.pdf(q, 5) * (5 + q * q) / (4 * 0.01)

    def loss(a: float, b: float) -> float:
        return float(evaluate.fz0(y, np.full_like(y, a * q), np.full_like(y, b * es), 0.01).mean())

    assert all(loss(1, 1) < loss(a, b) for a, b in ((0.9, 1), (1.1, 1), (1, 0.9), (1, 1.1)))


def test_pinball_is_smallest_at_the_true_quantile() -> None:
    y = np.random.default_rng(2).normal(size=200_000)
    q = float(stats.norm.isf(0.025))
    losses = [evaluate.pinball(y, np.full_like(y, k * q), 0.025).mean() for k in (0.9, 1.0, 1.1)]
    assert losses[1] == min(losses)


def test_a_difference_shared_by_all_assets_at_one_time_counts_once() -> None:
    rng = np.random.default_rng(3)
    by_time = rng.normal(0.1, 1, 500)
    times = np.arange(500)
    alone = evaluate.diebold_mariano(by_time, times)
    copied = evaluate.diebold_mariano(np.tile(by_time, 20), np.tile(times, 20))
    assert copied == pytest.approx(alone)
    assert evaluate.diebold_mariano(-by_time, times) == pytest.approx(-alone)


def test_a_card_survives_its_own_toml() -> None:
    card = open_model(export.REGISTRY, "tail_net/1").card
    assert msgspec.convert(tomllib.loads(export.to_toml(card)), Card) == card
