from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from train import stress

N = 400_000


def said(sigma: np.ndarray, width: float) -> np.ndarray:
    """A normal ladder, `width` times as wide as it should be, in simple returns."""
    q = {p: width * float(stats.norm.isf(p)) for p in (0.025, 0.005, 0.0005)}
    es = {p: width * float(stats.norm.pdf(stats.norm.isf(p))) / p for p in (0.01, 0.001)}
    side = np.array([q[0.025], q[0.005], es[0.01], q[0.0005], es[0.001]])
    moves = np.outer(sigma, side)
    return np.concatenate([-np.expm1(-moves), np.expm1(moves)], axis=1)


@pytest.fixture(scope="module")
def market() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    sigma = np.exp(rng.normal(-4, 0.5, N))
    return sigma, np.expm1(sigma * rng.normal(size=N))


def test_a_right_ladder_is_right_in_stress(market: tuple[np.ndarray, np.ndarray]) -> None:
    sigma, outcome = market
    found = stress.block(outcome, said(sigma, 1.0), sigma)
    assert found["rows"] == pytest.approx(stress.TOP_SHARE * N, rel=0.01)
    assert found["sigma_from"] == pytest.approx(np.quantile(sigma, 0.98), rel=1e-3)
    assert found["variance"] == pytest.approx(1, abs=0.05)
    assert found["down"]["q975_rate"] == pytest.approx(0.025, abs=0.005)
    assert found["up"]["q995_rate"] == pytest.approx(0.005, abs=0.003)
    # mean beyond the 2.5 % quantile over the mean beyond the 1 % quantile of a normal: 2.34 / 2.67
    assert found["down"]["beyond_q975_over_es99"] == pytest.approx(0.88, abs=0.03)


def test_a_ladder_twice_too_wide_at_the_top_alone_shows_in_stress_and_hardly_in_the_average(
    market: tuple[np.ndarray, np.ndarray],
) -> None:
    sigma, outcome = market
    top = sigma >= np.quantile(sigma, 0.98)
    ladder = np.where(top[:, None], said(sigma, 2.0), said(sigma, 1.0))
    found = stress.block(outcome, ladder, np.where(top, 2 * sigma, sigma))
    assert found["variance"] == pytest.approx(0.25, abs=0.02)
    assert found["down"]["q975_rate"] < 0.001
    assert (-outcome > ladder[:, 0]).mean() == pytest.approx(0.025, abs=0.001)


def test_a_block_without_a_row_beyond_says_zero(market: tuple[np.ndarray, np.ndarray]) -> None:
    sigma, _ = market
    found = stress.block(np.zeros(N), said(sigma, 1.0), sigma)
    assert found["down"]["beyond_q975_over_es99"] == 0
    assert found["variance"] == 0


def test_a_crisis_is_its_months_training_rows_and_no_others() -> None:
    hour = 3_600_000
    start = 1_583_020_800_000  # 2020-03-01
    close_ms = np.array([start - hour, start, start + 31 * 24 * hour - 1, start + 31 * 24 * hour])
    training = np.array([True, True, True, True])
    assert stress.crisis_rows(close_ms, training, "2020-03").tolist() == [False, True, True, False]
    assert not stress.crisis_rows(close_ms, ~training, "2020-03").any()


def test_a_crisis_gives_each_published_market_its_own_worst() -> None:
    asset = np.array(["BTC", "SOL", "BTC"])
    ladder = np.tile(np.arange(10) / 100, (3, 1)) * np.array([[1.0], [3.0], [2.0]])
    found = stress.crisis(asset, np.array([-0.1, -0.4, 0.2]), ladder, np.full(3, 0.05))
    realised = np.log(0.9) ** 2 + np.log(1.2) ** 2
    assert found["BTC"] == pytest.approx({"es99_largest": 0.04, "worst_loss": 0.1, "variance": realised / 0.005})
    assert found["all"]["es99_largest"] == pytest.approx(0.06)
    assert found["all"]["worst_loss"] == pytest.approx(0.4)
    assert "ETH" not in found
