"""volatility/1: the graph is the court's pooled model, what is masked counts as its average, it can be made again."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest

from margrave.errors import Fatal
from margrave.lab.court.families.registered import Registered
from margrave.lab.court.family import HORIZONS_H
from margrave.score.features.catalogue import VERSION, VOLATILITY_NAMES
from margrave.score.registry import open_model
from margrave.settings import REGISTRY
from tests.history import needs_data
from tests.unit.lab.court.families.test_volatility import market
from train import dataset, export, pool, volatility


@cache
def fitted() -> volatility.Fitted:
    return volatility.fit(market())


def test_the_graph_is_the_courts_model_whatever_is_masked() -> None:
    found = fitted()
    inputs = volatility.golden(found)
    answered = export.run(volatility.graph(found.model).SerializeToString(), inputs)["log_variance"]
    assert answered.shape == (volatility.GOLDEN_ROWS, len(HORIZONS_H))
    assert np.abs(np.expm1(answered - volatility.said(found.model, inputs))).max() < 1e-12
    bits = [VOLATILITY_NAMES.index(f"has_{source}") for source in volatility.GONE]
    assert (inputs["columns"][:, bits] == 0.0).any(axis=0).all(), "each source is gone in some golden row"


@pytest.mark.parametrize(("source", "horizon_h"), list(product(("implied", "volume"), HORIZONS_H)))
def test_a_source_that_is_gone_counts_as_its_average(source: str, horizon_h: int) -> None:
    found = fitted()
    columns = volatility.golden(found)["columns"]
    columns = columns[(columns[:, VOLATILITY_NAMES.index(f"has_{source}")] > 0)]
    masked = volatility.without(columns, source)
    assert not np.array_equal(columns, masked)
    moved = found.model.log_of(masked, horizon_h) - found.model.log_of(columns, horizon_h)
    assert np.abs(moved).max() < 1.0
    again = volatility.without(masked, source)
    np.testing.assert_array_equal(found.model.log_of(again, horizon_h), found.model.log_of(masked, horizon_h))


def test_no_input_however_wild_carries_a_forecast_out_of_its_bounds() -> None:
    found = fitted()
    rng = np.random.default_rng(0)
    inputs = {
        "columns": rng.choice([-1e9, -20.0, 0.0, 20.0, 1e9], (64, len(VOLATILITY_NAMES))),
        "log_usual": np.full((64, 4), -9.0),
    }
    answered = export.run(volatility.graph(found.model).SerializeToString(), inputs)["log_variance"]
    assert np.abs(answered + 9.0).max() <= volatility.FURTHEST + 1e-9


def test_a_row_that_is_not_known_is_answered_by_nothing() -> None:
    found = fitted()
    inputs = {"columns": np.full((2, len(VOLATILITY_NAMES)), np.nan), "log_usual": np.full((2, 4), np.nan)}
    assert np.isnan(export.run(volatility.graph(found.model).SerializeToString(), inputs)["log_variance"]).all()


def test_too_short_a_history_is_refused_in_one_line() -> None:
    with pytest.raises(Fatal, match="too few hours"):
        volatility.fit(market().upto(800))


def test_what_is_published_answers_the_courts_panel_with_the_inputs_of_a_node() -> None:
    card = open_model(REGISTRY, volatility.NAME).card
    assert card.columns == VOLATILITY_NAMES
    assert card.features_version == VERSION
    assert card.horizons_h == HORIZONS_H
    assert {ablation.gone for ablation in card.ablations} == set(volatility.GONE)
    assert Registered(volatility.NAME).name == volatility.NAME


@pytest.mark.data
@needs_data
def test_the_training_command_makes_the_published_file_again() -> None:
    found = volatility.fit(pool.pool(dataset.folder()).training)
    made = export.asker(volatility.graph(found.model).SerializeToString())
    inputs = volatility.golden(found)
    again = made(inputs)["log_variance"]
    published = open_model(REGISTRY, volatility.NAME).run(inputs)["log_variance"]
    np.testing.assert_allclose(again, published, atol=1e-9)
