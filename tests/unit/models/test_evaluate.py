from __future__ import annotations

import tomllib

import msgspec
import numpy as np
import pytest
from scipy import stats

from margrave.score.registry import Card, open_model
from train import evaluate, export


def said(factor: float, rows: int) -> evaluate.Said:
    """What a model says that knows returns to be Student's t with 5 degrees of freedom, times `factor`."""

    def quantile(p: float) -> float:
        return float(stats.t.isf(p, 5))

    def shortfall(p: float) -> float:
        q = quantile(p)
        return float(stats.t.pdf(q, 5)) * (5 + q * q) / (4 * p)

    side = [quantile(0.025), quantile(0.005), shortfall(0.01), quantile(0.0005), shortfall(0.001)]
    pair = [quantile(0.01), quantile(0.001)]
    ones = factor * np.ones((rows, 1))
    return evaluate.Said(
        ones * np.array(side + side), ones * np.array(pair + pair), factor * np.full(rows, (5 / 3) ** 0.5)
    )


def test_every_loss_is_smallest_at_the_truth_in_both_tails() -> None:
    y = np.random.default_rng(1).standard_t(5, 400_000)
    losses = [evaluate._losses(y, np.full_like(y, 5 / 3), said(factor, len(y))) for factor in (0.8, 1.0, 1.25)]
    for name in losses[0]:
        assert min(range(3), key=lambda k: losses[k][name].mean()) == 1, name


def test_hits_of_the_truth_are_as_many_as_it_says() -> None:
    y = np.random.default_rng(2).standard_t(5, 1_000_000)
    for name, hit in evaluate._hits(y, np.zeros(len(y)), said(1.0, len(y))).items():
        if "rate" in hit:
            assert hit["kupiec_p"] > 0.01, name
        else:
            assert hit["realised_over_stated"] == pytest.approx(1, abs=0.15), name


def test_a_card_survives_its_own_toml() -> None:
    card = open_model(export.REGISTRY, "tail_net/1").card
    assert msgspec.convert(tomllib.loads(export.to_toml(card)), Card) == card
