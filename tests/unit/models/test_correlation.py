import numpy as np
import pytest

from margrave.lab.court.families.correlation.speeds import AGES_H, SPEEDS_H, Weights
from margrave.score.registry import open_model
from margrave.settings import REGISTRY
from train import export
from train.correlation import HORIZONS_H, covariance, graph


def inputs(assets: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(len(SPEEDS_H) + 1, assets, assets + 3))
    products = factors @ np.swapaxes(factors, 1, 2)
    root = np.sqrt(np.diagonal(products, axis1=1, axis2=2))
    return {
        "log_levels": rng.uniform(-12.0, -8.0, size=(assets, len(AGES_H))),
        "log_usual": rng.uniform(1.0, 3.0, size=(assets, len(HORIZONS_H))),
        "correlations": products / root[:, :, None] / root[:, None, :],
    }


@pytest.mark.parametrize("assets", [1, 2, 9])
def test_the_graph_says_what_the_family_says_of_any_number_of_assets(assets: int) -> None:
    rng = np.random.default_rng(assets)
    weights = {h: Weights.of(rng.normal(size=len(AGES_H) + len(SPEEDS_H) + 2)) for h in HORIZONS_H}
    asked = inputs(assets, assets)
    found = export.run(graph(weights).SerializeToString(), asked)["covariance"]
    np.testing.assert_allclose(found, covariance(weights, asked), rtol=1e-12)


def test_what_the_published_model_says_is_a_covariance() -> None:
    model = open_model(REGISTRY, "correlation/1")
    found = model.run(inputs(6, 3))["covariance"]
    assert (np.linalg.eigvalsh(found) > 0).all()
    np.testing.assert_allclose(found, np.swapaxes(found, 1, 2), rtol=1e-12)


def test_the_published_weights_are_shares() -> None:
    parameters = open_model(REGISTRY, "correlation/1").card.parameters
    for h in HORIZONS_H:
        for kind in ("age", "speed"):
            share = [value for name, value in parameters.items() if name.startswith(kind) and name.endswith(f"_{h}h")]
            assert sum(share) == pytest.approx(1.0)
            assert min(share) >= 0


def test_an_input_that_is_no_number_is_no_covariance() -> None:
    asked = inputs(3, 4)
    asked["log_levels"][1, 0] = np.nan
    found = open_model(REGISTRY, "correlation/1").run(asked)["covariance"]
    assert np.isnan(found[:, 1]).all()
    assert np.isfinite(found[:, 0, 2]).all()
