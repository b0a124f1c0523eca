"""The surface's graphs compute what they were written from, and are what their cards say."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from margrave.score.registry import open_model
from margrave.score.surface_forecast import QUANTITIES, WAYS
from margrave.settings import REGISTRY
from train import surface_forecast, surface_prior, surface_start
from train.export import run
from train.surface_graph import Prior, graph
from train.surface_prior_card import NUMBERS


def questions(seen: int, asked: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "seen": np.column_stack(
            [random.uniform(-3, 3, seen), np.log(random.uniform(2, 200, seen)), random.choice([0.0, 0.25, 3.0], seen)]
        ),
        "log_ratio": random.normal(0, 0.05, seen),
        "noise": random.uniform(0.001, 0.05, seen),
        "asked": np.column_stack([random.uniform(-3, 3, asked), np.log(random.uniform(2, 200, asked))]),
    }


@pytest.fixture(scope="module")
def prior() -> Prior:
    return surface_prior.prior_of(surface_prior.START)


@pytest.mark.parametrize(("seen", "asked"), [(400, 60), (8, 1), (1, 300)])
def test_the_priors_graph_is_its_posterior(prior: Prior, seen: int, asked: int) -> None:
    inputs = questions(seen, asked)
    found, want = run(graph(prior).SerializeToString(), inputs), prior.posterior(inputs)
    for name in ("mean", "sd"):
        np.testing.assert_allclose(found[name], want[name], rtol=0, atol=1e-12)


def test_the_prior_in_the_registry_is_that_of_its_card(prior: Prior) -> None:
    model = open_model(REGISTRY, surface_prior.NAME)
    again = surface_prior.prior_of([model.card.parameters[name] for name in NUMBERS])
    inputs = questions(200, 40, seed=2)
    want = again.posterior(inputs)
    found = model.run(inputs)
    np.testing.assert_allclose(found["mean"], want["mean"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["sd"], want["sd"], rtol=0, atol=1e-12)


def test_features_lose_little_of_the_kernels_that_they_stand_for(prior: Prior) -> None:
    points = questions(1, 80)["asked"]
    features = prior.features(points)
    whole = sum(part.covariance(points, points) for part in prior.parts)
    lost = np.diag(whole) - (features**2).sum(axis=1)
    assert (lost > -1e-9).all()
    assert np.sqrt(lost.mean()) < 0.1 * np.sqrt(np.diag(whole).mean())


def test_nothing_seen_near_leaves_the_prior_and_a_quote_takes_it_away(prior: Prior) -> None:
    far = questions(1, 1)
    far["seen"] = np.array([[0.0, np.log(30.0), 10_000.0]])
    far["asked"] = np.array([[0.0, np.log(30.0)]])
    near = {**far, "seen": np.array([[0.0, np.log(30.0), 0.0]])}
    alone, told = prior.posterior(far), prior.posterior(near)
    assert alone["mean"][0] == pytest.approx(0.0, abs=1e-9)
    assert told["mean"][0] == pytest.approx(far["log_ratio"][0], rel=0.1)
    assert told["sd"][0] < 0.3 * alone["sd"][0]


def test_the_starts_graph_is_its_network() -> None:
    random = np.random.default_rng(1)
    sizes = ((85, 16), (16, 16), (16, 6))
    weights = {f"w{i}": random.normal(0, 0.3, size) for i, size in enumerate(sizes)}
    weights |= {f"b{i}": random.normal(0, 0.3, size[1]) for i, size in enumerate(sizes)}
    weights |= {"centre": random.normal(size=6), "scale": random.uniform(0.1, 1, 6), "levels": surface_start.LEVELS}
    cells = random.normal(0, 1, (9, 85))
    found = run(surface_start.graph(weights).SerializeToString(), {"cells": cells})["point"]
    np.testing.assert_allclose(found, surface_start.answer(weights, cells), rtol=0, atol=1e-12)


def test_the_forecasts_graph_multiplies_ways_by_shares() -> None:
    random = np.random.default_rng(2)
    shares = random.uniform(0, 1, (len(QUANTITIES), len(WAYS), 2))
    ways = random.normal(0, 0.05, (6, len(WAYS)))
    which = random.integers(0, len(QUANTITIES), 6)
    inputs = {"ways": ways, "quantity": np.eye(len(QUANTITIES))[which]}
    found = run(surface_forecast.graph(shares).SerializeToString(), inputs)["change"]
    np.testing.assert_allclose(found, np.einsum("nw,nwh->nh", ways, shares[which]), rtol=0, atol=1e-15)


def test_where_the_shares_are_zero_the_last_surface_is_the_forecast() -> None:
    model = open_model(REGISTRY, surface_forecast.NAME)
    nowhere = np.zeros((len(QUANTITIES), len(WAYS)))
    said = model.run({"ways": nowhere, "quantity": np.eye(len(QUANTITIES))})["change"]
    np.testing.assert_array_equal(said, 0.0)


def test_inputs_that_are_no_numbers_come_back_as_none_and_not_as_a_number(prior: Prior) -> None:
    inputs = questions(20, 3)
    inputs["log_ratio"] = np.full(20, np.nan)
    session = ort.InferenceSession(graph(prior).SerializeToString(), providers=["CPUExecutionProvider"])
    mean = np.asarray(session.run(["mean"], inputs)[0])
    assert np.isnan(mean).all()
