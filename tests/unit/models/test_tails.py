"""tails/1: the graph is the court's family, its ladder cannot cross, and the same data give the same bytes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.errors import Fatal
from margrave.score.features.catalogue import TAIL_NAMES, TAILS, Group
from tests.unit.lab.court.tails.test_families import garch, panel_of
from train import export, tails
from train.tails_graph import graph

RETURNS = np.stack([garch(9_000, seed)[0] for seed in (1, 2, 3)], axis=1)
PANEL = panel_of(RETURNS * np.array([1.0, 2.0, 0.5]))
ROWS, ASSETS = np.repeat(np.arange(7_000, 8_900, 100), 3), np.tile([0, 1, 2], 19)


@cache
def built() -> tails.Built:
    return tails.build(PANEL.upto(8_000))


@cache
def content() -> bytes:
    return graph(built().fits, built().precision, built().unlike_scale).SerializeToString(deterministic=True)


def test_the_graph_says_what_the_courts_family_says() -> None:
    assert tails.parity(built(), content(), PANEL, ROWS, ASSETS) <= 1e-12


def test_the_same_data_give_the_same_bytes() -> None:
    again = tails.build(panel_of(RETURNS * np.array([1.0, 2.0, 0.5])).upto(8_000))
    assert graph(again.fits, again.precision, again.unlike_scale).SerializeToString(deterministic=True) == content()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-50, 50) | st.just(float("nan")), min_size=len(TAIL_NAMES), max_size=len(TAIL_NAMES)),
    st.floats(-12, 1),
    st.floats(0, 0.5),
    st.integers(0, 1_000),
)
def test_no_input_makes_a_rung_cross_or_an_es_lie_under_its_var(
    columns: list[float], anchor: float, size: float, seed: int
) -> None:
    returns = size * np.random.default_rng(seed).standard_t(3, (1, 672))
    given_ = {"columns": np.array([columns]), "log_anchor": np.full((1, 3), anchor), "returns_1h": returns}
    out = export.run(content(), given_)
    assert np.isfinite(out["var"]).all()
    assert (np.diff(out["var"], axis=-1) >= 0).all()
    assert (np.diff(out["es"], axis=-1) >= 0).all()
    assert (out["es"] >= out["var"]).all()
    assert (out["var"] > 0).all()
    assert (out["es"] <= 3.0).all()


def test_a_market_without_an_anchor_is_not_answered_and_disturbs_no_other() -> None:
    whole = tails.inputs(PANEL, ROWS[:3], ASSETS[:3])
    alone = export.run(content(), whole)
    broken = {name: values.copy() for name, values in whole.items()}
    broken["columns"][1], broken["log_anchor"][1] = np.nan, np.nan
    beside = export.run(content(), broken)
    assert np.isnan(beside["var"][1]).all()
    assert np.isnan(beside["es"][1]).all()
    np.testing.assert_array_equal(beside["var"][[0, 2]], alone["var"][[0, 2]])


def test_an_absent_source_stands_at_the_mean_of_its_training() -> None:
    given_ = tails.inputs(PANEL, ROWS[:1], ASSETS[:1])
    place = [TAIL_NAMES.index(one.name) for one in TAILS if one.group is Group.VOLUME]
    absent, usual = ({name: values.copy() for name, values in given_.items()} for _ in range(2))
    absent["columns"][:, place] = np.nan
    usual["columns"][:, place] = built().fits[1].centre[place]
    np.testing.assert_allclose(export.run(content(), absent)["var"], export.run(content(), usual)["var"], rtol=1e-12)


def test_what_lies_far_from_the_training_data_is_told_by_its_distance() -> None:
    given_ = tails.inputs(PANEL, ROWS, ASSETS)
    near = export.run(content(), given_)["unlike"]
    far = given_["columns"].copy()
    far[:, TAIL_NAMES.index("level_720")] += 6 * built().fits[1].spread[TAIL_NAMES.index("level_720")]
    assert np.median(near) < 0.7
    assert (export.run(content(), {**given_, "columns": far})["unlike"] > near).all()


def test_too_short_a_history_trains_nothing() -> None:
    with pytest.raises(Fatal, match="too few outcomes"):
        tails.build(PANEL.upto(1_200))
