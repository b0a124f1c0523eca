"""lstm/1 as published: quantiles that cannot cross, answers that stay in bounds, whatever the series.

Its training needs torch, which is not installed where these run; what it was trained to is held by its golden outputs.
"""

from __future__ import annotations

import numpy as np
import pytest

from margrave.lab.court.families.registered import FLOAT32_ROUNDING, RegisteredVolatility
from margrave.lab.court.family import HORIZONS_H
from margrave.score.registry import Model, open_model
from margrave.settings import REGISTRY

HOURS = 672


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(REGISTRY, "lstm/1")


def asked(model: Model, returns_1h: np.ndarray, bars: int = HOURS) -> dict[str, np.ndarray]:
    return model.run({"returns_1h": returns_1h, "bars": np.full(len(returns_1h), bars, dtype=np.int64)})


@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.01, 0.3, 50.0])
def test_quantiles_ascend_whatever_came_before(model: Model, size: float) -> None:
    drawn = size * np.random.default_rng(0).standard_t(2.5, (200, HOURS))
    out = asked(model, drawn)
    assert out["quantiles"].shape == (200, len(HORIZONS_H), 3)
    assert (np.diff(out["quantiles"], axis=2) > 0).all()


def test_a_longer_horizon_and_a_louder_market_have_more_variance(model: Model) -> None:
    drawn = 0.01 * np.random.default_rng(1).standard_normal((50, HOURS))
    quiet, loud = (asked(model, drawn * times)["log_variance"] for times in (1.0, 3.0))
    assert (np.diff(quiet, axis=1) > 0).all()
    np.testing.assert_allclose(loud - quiet, 2 * np.log(3.0), atol=1e-3, err_msg="it knows no unit")


def test_a_series_that_stands_still_or_explodes_is_answered_with_something_finite(model: Model) -> None:
    still, wild = np.zeros((1, HOURS)), np.zeros((1, HOURS))
    wild[0, -1] = 40.0
    for series in (still, wild):
        out = asked(model, series)
        assert all(np.isfinite(values).all() for values in out.values())


def test_hours_before_the_first_bar_count_for_nothing_in_the_level(model: Model) -> None:
    drawn = 0.01 * np.random.default_rng(2).standard_normal((1, HOURS))
    drawn[0, : HOURS - 200] = 0.0
    short = asked(model, drawn, bars=200)["log_variance"]
    whole = asked(model, 0.01 * np.random.default_rng(3).standard_normal((1, HOURS)))["log_variance"]
    assert np.abs(short - whole).max() < 1.0


def test_its_card_says_what_it_is_and_that_nothing_serves_it(model: Model) -> None:
    assert model.card.horizons_h == HORIZONS_H
    assert model.card.parity is not None
    assert model.card.parity <= 1e-5
    assert "the node does not run it" in model.card.what


def test_the_court_allows_its_last_digits_and_no_more(model: Model) -> None:
    drawn = 0.01 * np.random.default_rng(4).standard_normal((300, HOURS))
    together = np.exp(asked(model, drawn)["log_variance"])
    alone = np.exp(np.concatenate([asked(model, drawn[row : row + 1])["log_variance"] for row in range(0, 300, 30)]))
    assert RegisteredVolatility(model).rounding == FLOAT32_ROUNDING
    np.testing.assert_allclose(alone, together[::30], rtol=FLOAT32_ROUNDING / 5)
    assert RegisteredVolatility(open_model(REGISTRY, "volatility/1")).rounding == 0.0
