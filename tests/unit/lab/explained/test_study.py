"""Explanations are put to the test as the page says: in the order that they name, against all others, and drawn."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.lab.explained.__main__ import main
from margrave.lab.explained.study import FIRST_H, TELLING, _curve, _deletion, _sampled, _stability
from margrave.score.attribution import shapley
from margrave.score.coalitions import Input
from tests.unit.lab.served.folders import halves, hourly, put

games = st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=8).map(np.array)


@given(values=games)
def test_the_mean_over_all_orders_is_that_of_every_order_played(values: np.ndarray) -> None:
    played = []
    for order in permutations(range(3)):
        mask, left = 7, []
        for player in order[:-1]:
            mask &= ~(1 << player)
            left.append(abs(values[mask] - values[0]))
        played.append(left)
    assert _curve(values, np.zeros(3)).any_order == pytest.approx(np.mean(played, axis=0))


def test_who_names_the_input_that_matters_leaves_nothing_at_once() -> None:
    values = np.array([10.0, 110.0, 10.0, 110.0, 11.0, 111.0, 11.0, 111.0])  # player 0: 100, player 2: 1
    curve = _curve(values, shapley(values))
    assert curve.explained == pytest.approx([1.0, 0.0])
    misled = _curve(values, np.array([0.0, 1.0, 2.0]))
    assert misled.explained == pytest.approx([100.0, 100.0])
    assert _deletion([curve]).ratio > 10 > 1 > _deletion([misled]).ratio


@given(values=games)
def test_sampled_orders_come_to_the_exact_values(values: np.ndarray) -> None:
    found = _sampled(values, 3, np.random.default_rng(1))
    assert found.sum() == pytest.approx(values[-1] - values[0], abs=1e-6)
    spread = np.ptp(values)
    assert np.abs(found - shapley(values)).max() <= 0.35 * spread + 1e-9


def test_ranks_that_never_change_have_a_tau_of_one_and_small_inputs_can_be_left_aside() -> None:
    same = [np.array([5.0, -3.0, 1.0]), np.array([6.0, -4.0, 2.0])]
    assert _stability([same]).mean == 1.0
    jitter = TELLING / 10
    noisy = [np.array([5.0, -3.0, jitter, 2 * jitter]), np.array([6.0, -4.0, 2 * jitter, jitter])]
    assert _stability([noisy]).mean < 1.0
    assert _stability([noisy], telling=True).mean == 1.0


def test_hours_of_a_folder_are_explained_and_what_they_add_up_to_stands_beside_the_command(tmp_path: Path) -> None:
    put(hourly(halves(FIRST_H + 30, 3)), tmp_path, "some_perp", "BTCUSDT")
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "explain.json"), "--hours", "2"]) == 0
    said = json.loads((tmp_path / "explain.json").read_bytes())
    assert said["command"] == "python -m margrave.lab.explained --data DIR --asset BTC --hours 2"
    assert said["hours"] == 2
    assert said["largest_error_points"] < 1e-6
    assert said["group_ratio"] == pytest.approx(said["groups"]["any_order_points"] / said["groups"]["explained_points"])
    assert said["mean_points"][Input.BOOK] == said["mean_points"][Input.LENDING] == 0
    assert said["references"]["pairs"] > 0


def test_a_folder_without_the_asset_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(hourly(halves(FIRST_H, 3)), tmp_path, "some_perp", "BTCUSDT")
    for asset in ("BTC", "DOGE"):
        assert main(["--data", str(tmp_path), "--asset", asset]) == 1
        assert f"too few hours of {asset} — name one of BTC with --asset" in capsys.readouterr().err
