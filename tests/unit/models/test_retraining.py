"""The small models of the registry come out of their data again. Needs MARGRAVE_DATA: the history of the cards."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from margrave.score.features.volatility import Inputs, Market, inputs_of
from margrave.score.registry import open_model
from train import dataset, export, har, recursions
from train.pool import Pool, pool

DATA = Path(os.environ.get("MARGRAVE_DATA", ""))
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not (DATA / "MANIFEST.sha256").is_file(), reason="MARGRAVE_DATA does not hold market history"),
    pytest.mark.xdist_group("retraining"),  # one worker reads the history once
]
HARS = {spec.name: spec for spec in har.SPECS if spec.columns}
RECURSIONS = {spec.name: spec for spec in recursions.SPECS if spec.name.startswith("ewma")}
NEAR = 1e-6
"""Relative, of every number in the graph: optimisers stop a hair apart on another machine."""


@cache
def history() -> Pool:
    card = open_model(export.REGISTRY, "ewma/1").card
    if dataset.manifest_hash(DATA) != card.data_manifest_sha256:
        pytest.skip("MARGRAVE_DATA holds another history than the models were trained on")
    return pool(DATA)


@cache
def made() -> Inputs:
    return inputs_of(history().training, market=Market.LEADERS)


def assert_the_published(name: str, graph: onnx.ModelProto) -> None:
    published = onnx.load(export.REGISTRY / name / "model.onnx")
    found, wanted = (
        {each.name: numpy_helper.to_array(each) for each in model.graph.initializer} for model in (graph, published)
    )
    assert [node.op_type for node in graph.graph.node] == [node.op_type for node in published.graph.node]
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert np.allclose(found[key], values, rtol=NEAR, atol=NEAR * np.abs(values).max(initial=0.0)), key


@pytest.mark.parametrize("name", RECURSIONS)
def test_the_exponential_weights_come_out_again(name: str) -> None:
    assert_the_published(name, recursions.build(RECURSIONS[name], history().training).graph)


@pytest.mark.parametrize("name", HARS)
def test_the_lines_come_out_again(name: str) -> None:
    spec, trained = HARS[name], history().training
    rows = har.gather(spec, trained, made(), har.training_rows(spec, trained))
    assert_the_published(name, har.build(spec, rows)[0])


def test_what_was_trained_on_is_what_the_cards_say() -> None:
    for name in (*RECURSIONS, *HARS):
        card = open_model(export.REGISTRY, name).card
        assert card.assets == history().assets
        assert card.trained_from == history().trained_from
        assert not set(card.assets) & set(dataset.LEFT_OUT)
