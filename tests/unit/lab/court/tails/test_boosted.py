"""Boosted tails: fitted at the turn of a half-year, ordered at any input, the same every time, and not called without
LightGBM."""

from __future__ import annotations

import numpy as np
import pytest

from margrave.lab.court.families import tails
from margrave.lab.court.families.tails.boosted import Boosted, last_turn_ms
from margrave.lab.court.families.tails.ladder import student
from margrave.lab.court.family import DOWN, UP
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import audit
from tests.unit.lab.court.tails.test_families import garch, panel_of

DRAWS = [garch(12_001, seed) for seed in (1, 2, 3)]
RETURNS, SIGMA = (np.stack(part, axis=1) for part in zip(*DRAWS, strict=True))
PANEL = panel_of(RETURNS * np.array([1.0, 3.0, 0.5]))
"""From 1970-01-01 on, 500 days."""


@pytest.fixture(scope="module")
def model() -> object:
    return Boosted().fit(PANEL.upto(11_000))


def test_the_quantiles_of_a_known_process_are_found_and_never_cross(model) -> None:
    rows = np.arange(11_000, 11_900)
    var, es = student(6.0)
    for asset, units in ((0, 1.0), (1, 3.0)):
        said = model.tails(PANEL, rows, np.full(len(rows), asset), 1)
        true = units * SIGMA[rows + 1, asset]
        assert (np.diff(said.var, axis=-1) >= 0).all()
        assert (np.diff(said.es, axis=-1) >= 0).all()
        assert (said.es >= said.var).all()
        for side in (DOWN, UP):
            assert abs(np.log(np.median(said.var[:, side, 0] / (true * var[0])))) < 0.2
            assert abs(np.log(np.median(said.es[:, side, 2] / (true * es[2])))) < 0.4
            assert np.corrcoef(np.log(said.var[:, side, 0]), np.log(true))[0, 1] > 0.5


def test_it_does_not_look_ahead(model) -> None:
    audit(PANEL, model, np.arange(11_007, 11_900, 4), 4, "boosted")


def test_it_is_fitted_on_what_was_known_at_the_turn_of_the_half_year() -> None:
    assert np.datetime64(last_turn_ms(PANEL.upto(11_000)), "ms") == np.datetime64("1971-01-01")
    assert Boosted().fit(PANEL.upto(11_000)).past.hours == 365 * 24
    assert Boosted().fit(PANEL.upto(9_000)).past.hours == 365 * 24
    assert Boosted().fit(PANEL.upto(8_000)).past.hours == 8_000


def test_two_fits_say_the_same(model) -> None:
    rows, assets = np.arange(11_000, 11_050), np.zeros(50, dtype=np.int64)
    again = Boosted().fit(panel_of(RETURNS * np.array([1.0, 3.0, 0.5])).upto(10_500))
    np.testing.assert_array_equal(model.tails(PANEL, rows, assets, 1).var, again.tails(PANEL, rows, assets, 1).var)


def test_too_short_a_past_and_an_hour_without_inputs_are_not_answered(model) -> None:
    rows, assets = np.array([1_100, 1_100]), np.array([0, 1])
    assert np.isnan(Boosted().fit(PANEL.upto(1_000)).tails(PANEL, rows, assets, 1).var).all()
    holed = PANEL.close.copy()
    holed[10_900, 0] = np.nan
    columns = {name: getattr(PANEL, name) for name in ("open", "high", "low", "volume", "dvol", "funding_8h")}
    p = Panel(PANEL.open_ms, PANEL.assets, close=holed, **columns)
    said = model.tails(p, np.array([11_000, 11_000]), np.array([0, 1]), 1).var
    assert np.isnan(said[0]).all()
    assert np.isfinite(said[1]).all()


def test_without_lightgbm_it_is_not_called_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails.boosted, "installed", lambda: False)
    assert "boosted_quantiles" not in [family.name for family, _ in tails.families()]
    assert any("boosted_quantiles" in line and "lightgbm" in line for line in tails.not_called())
    monkeypatch.setattr(tails.boosted, "installed", lambda: True)
    assert "boosted_quantiles" in [family.name for family, _ in tails.families()]
    assert not tails.not_called()
