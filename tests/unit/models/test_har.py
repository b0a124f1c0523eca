"""HAR in the registry: the graph is the line, the line is the court's, and what is absent is said by another line."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from margrave.errors import Fatal
from margrave.lab.court.families.registered import Registered
from margrave.lab.court.families.registered_inputs import Pairs, returns
from margrave.lab.court.families.volatility.har import HAR_WLS, NARROWEST, WIDEST
from margrave.lab.court.walk import audit
from margrave.score.features import LONG_H
from margrave.score.features.volatility import Inputs, Market, inputs_of
from margrave.score.registry import open_model
from tests.unit.lab.court.families.test_registered import panel as unseen_panel
from tests.unit.lab.court.families.test_volatility import market
from train import export, har, pool

SPECS = {spec.name: spec for spec in har.SPECS}
WLS, LOG, LEVERAGE = SPECS


@cache
def made() -> Inputs:
    return inputs_of(market(), market=Market.PEERS)


def rows(name: str, at: np.ndarray | None = None) -> har.Rows:
    spec = SPECS[name]
    asked = np.arange(LONG_H, 3_200, 3) if at is None else at
    return har.gather(spec, market(), made(), asked, least=1)


@pytest.mark.parametrize("name", SPECS)
def test_the_graph_is_the_line(name: str) -> None:
    found = rows(name)
    graph, weights = har.build(SPECS[name], found)
    answered = export.run(graph.SerializeToString(), found.inputs)["log_variance"]
    assert np.abs(np.expm1(answered - har.said(SPECS[name], weights, found.inputs))).max() < 1e-12


def test_the_columns_of_har_wls_are_the_courts() -> None:
    asked = np.array([900, 1_700, 3_000])
    _, given = returns(None, market(), Pairs(asked, np.zeros(3, dtype=np.int64)))
    court = HAR_WLS.inputs(market())
    assert har.usual(dict(given))[:, 0] == pytest.approx(court.guess[asked, 0], rel=1e-12)
    assert WLS == "har_wls/1"
    assert SPECS[WLS].of(dict(given)) == pytest.approx(court.columns[asked, 0], rel=1e-12)


@pytest.mark.parametrize("name", SPECS)
def test_what_came_is_on_average_what_was_said(name: str) -> None:
    found = rows(name)
    weights = har.fit(SPECS[name], found)
    said = np.exp(har.said(SPECS[name], weights, found.inputs))
    assert (found.realised / said).mean(axis=0) == pytest.approx(np.ones(4), abs=0.02)


def test_without_an_index_the_line_that_never_saw_one_speaks() -> None:
    found = rows(LEVERAGE)
    _, weights = har.build(SPECS[LEVERAGE], found)
    model = har.graph(SPECS[LEVERAGE], weights).SerializeToString()
    masked = {key: value.copy() for key, value in found.inputs.items()}
    masked["columns"][:, -1] = 0.0
    masked["columns"][:, -2] = 0.0
    loud = {key: value.copy() for key, value in masked.items()}
    loud["columns"][:, -2] = 5.0  # what stands under a mask bit of zero is nobody's figure
    first, second = (export.run(model, given)["log_variance"] for given in (masked, loud))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, export.run(model, found.inputs)["log_variance"])


@pytest.mark.parametrize("name", SPECS)
def test_the_published_models_stay_within_their_bounds_whatever_they_are_given(name: str) -> None:
    model = open_model(export.REGISTRY, name)
    if name == WLS:
        inputs = {"returns_1h": np.zeros((2, LONG_H)), "bars": np.array([LONG_H, 199])}
        inputs["returns_1h"][1, -1] = -40.0
    else:
        wild = np.array([-5.0, 5.0])[:, None] * np.ones(len(model.card.columns))
        inputs = {"columns": wild, "log_usual": np.array([[-9.0, -8.0, -6.0, -4.0], [0.0, 1.0, 2.0, 4.0]])}
    said = model.run(inputs)["log_variance"]
    ratio = np.exp(said) / har.usual(inputs)
    assert np.isfinite(said).all()
    assert (ratio >= NARROWEST * (1 - 1e-12)).all()
    assert (ratio <= WIDEST * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", SPECS)
def test_before_the_court_they_speak_where_their_inputs_are_and_do_not_look_ahead(name: str) -> None:
    asked = np.arange(2_000, 2_400)
    model = Registered(name).fit(unseen_panel())
    said = model.variance(unseen_panel(), asked, 24)
    assert np.isfinite(said[:, 0]).all()
    audit(unseen_panel(), model, asked, 24, name)
    early = np.arange(300, 330)
    if name != WLS:
        assert np.isnan(model.variance(unseen_panel(), early, 24)).all()


def test_too_little_history_is_refused_with_the_count() -> None:
    with pytest.raises(Fatal, match="hours to train log_har/1 on, 1000 are needed") as caught:
        har.gather(SPECS[LOG], market(), made(), np.arange(900, 960))
    assert caught.value.advice


def test_a_name_that_nobody_has_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["har", "har_x/1"])
    with pytest.raises(SystemExit) as caught:
        pool.command(har.main)
    assert "har_x/1" in str(caught.value)
    assert "\n" not in str(caught.value)
