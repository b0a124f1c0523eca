import numpy as np
import pytest

from margrave.lab.court.panel import Panel
from margrave.score.features.catalogue import VOLATILITY_NAMES
from train import export, nonsense, unlike_graph
from train.unlike import USED, fitted


def columns(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(count, len(VOLATILITY_NAMES)))
    for place, name in enumerate(VOLATILITY_NAMES):
        if name.startswith("has_"):
            found[:, place] = rng.uniform(size=count) < 0.8
    return found


def test_the_graph_says_what_the_formula_says() -> None:
    distance = fitted(columns(4_000, 0))
    asked = np.concatenate((columns(50, 1), 20.0 * columns(5, 2)))
    found = export.run(unlike_graph.graph(distance).SerializeToString(), {"columns": asked})
    np.testing.assert_allclose(found["unlike"], distance.distance(asked), rtol=1e-12)
    np.testing.assert_allclose(found["standard"], distance.standard(asked), rtol=1e-12, atol=1e-15)


def test_one_in_a_thousand_of_the_training_hours_lies_above_one() -> None:
    training = columns(20_000, 3)
    assert (fitted(training).distance(training) > 1).mean() == pytest.approx(0.001, abs=2e-4)


def test_two_inputs_that_go_together_are_strange_apart() -> None:
    training = columns(4_000, 4)
    a, b = (VOLATILITY_NAMES.index(name) for name in ("range_8h", "range_24h"))
    training[:, b] = training[:, a] + 0.05 * np.random.default_rng(5).normal(size=len(training))
    distance = fitted(training)
    together, apart = training[:1].copy(), training[:1].copy()
    together[0, [a, b]] = 2.0, 2.0
    apart[0, [a, b]] = 2.0, -2.0
    assert distance.distance(apart)[0] > 2 * distance.distance(together)[0]


def test_an_input_that_never_moved_in_training_breaks_nothing() -> None:
    training = columns(2_000, 6)
    training[:, VOLATILITY_NAMES.index(USED[0])] = 0.3
    assert np.isfinite(fitted(training).distance(columns(10, 7))).all()


@pytest.mark.parametrize("kind", sorted(nonsense.NONSENSE))
def test_nonsense_falsifies_the_last_hours_of_one_asset_and_nothing_before(kind: str) -> None:
    rng = np.random.default_rng(8)
    close = 100.0 * np.exp(np.cumsum(rng.normal(scale=0.01, size=(60, 3)), axis=0))
    panel = Panel(
        np.arange(60, dtype=np.int64) * 3_600_000,
        ("A", "B", "C"),
        open=close,
        high=close * 1.004,
        low=close * 0.996,
        close=close,
        volume=rng.uniform(1.0, 2.0, size=close.shape),
        dvol=np.full(close.shape, 0.6),
        funding_8h=np.full(close.shape, 1e-4),
    )
    false = nonsense.planted(panel, kind, 1, 12)
    changed = False
    for name in ("open", "high", "low", "close", "volume", "dvol", "funding_8h"):
        ours, theirs = getattr(false, name), getattr(panel, name)
        np.testing.assert_array_equal(ours[:48], theirs[:48])
        changed |= bool((ours[48:, 1] != theirs[48:, 1]).any())
    assert changed
