"""Geometry: lines break where values are missing, steps hold, scales contain what they show."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.lab.demo import charts
from margrave.lab.demo.record import Summary
from margrave.lab.demo.series import columns

from . import sample

NAN = float("nan")
X = np.array([0.0, 250.0, 500.0, 750.0])


def test_a_line_breaks_where_a_value_is_missing() -> None:
    assert charts.line_path(X, np.array([1.0, 2.0, NAN, 4.0])) == "M0 1L250 2M750 4H1000"


def test_a_step_holds_until_the_next_round_and_the_last_to_the_end() -> None:
    assert charts.step_path(X, np.array([1.0, 2.0, NAN, 4.0])) == "M0 1H250V2H500M750 4H1000"


def test_an_area_goes_along_the_upper_edge_and_back_along_the_lower() -> None:
    low, high = np.array([9.0, 8.0, NAN, NAN]), np.array([1.0, 2.0, NAN, NAN])
    assert charts.area_path(X, low, high) == "M0 1H250V2H500V8H250V9H0Z"


def test_dots_are_lines_without_length_at_the_finite_values_only() -> None:
    assert charts.dots_path(X, np.array([NAN, 2.0, NAN, 4.0])) == "M250 2h0M750 4h0"


def test_nothing_is_drawn_of_a_column_without_values() -> None:
    drawing = charts.Drawing(X, charts.Scale(0, 1), str)
    empty = np.full(4, NAN)
    drawing.add("price", "line", empty, "price")
    drawing.band("corridor", empty, empty, "corridor")
    drawing.breaches(np.array([1]), empty, "breach")
    assert drawing.marks == []


@given(st.lists(st.floats(-1e7, 1e7) | st.just(NAN), min_size=1, max_size=30))
def test_a_fitted_scale_keeps_every_value_and_every_tick_inside_the_box(values: list[float]) -> None:
    column = np.array(values)
    scale, ticks = charts.fit([column], str)
    heights = scale(column[np.isfinite(column)])
    assert ((heights >= -1e-6) & (heights <= charts.BOX + 1e-6)).all()
    assert all(-1e-6 <= tick.at <= 100 + 1e-6 for tick in ticks)


def test_a_scale_with_a_floor_starts_there() -> None:
    scale, ticks = charts.fit([np.array([40.0, 90.0])], lambda value: f"{value:g}", floor=0.0)
    assert scale(np.array([0.0]))[0] == charts.BOX
    assert [tick.text for tick in ticks] == ["0", "25", "50", "75"]


@pytest.mark.parametrize("rounds", [1, 2, 60, 500])
def test_rounds_fill_the_time_axis_from_left_to_right(rounds: int) -> None:
    run = columns(sample.run(rounds=rounds, silent_rounds=(), markets=("BTC",)))
    assert charts.positions(run) == pytest.approx(np.arange(rounds) * charts.BOX / rounds)


@pytest.mark.parametrize("rounds", [1, 2, 60, 500])
def test_time_ticks_are_few_ascending_and_dated(rounds: int) -> None:
    ticks = charts.time_ticks(columns(sample.run(rounds=rounds, silent_rounds=(), markets=("BTC",))))
    places = [tick.at for tick in ticks]
    assert 1 <= len(ticks) <= 9
    assert places == sorted(places)
    assert places[-1] <= 100
    assert re.match(r"\d+ \w{3}", ticks[0].text)


def test_midnight_is_written_as_a_date(summary: Summary) -> None:
    texts = [tick.text for tick in charts.time_ticks(columns(summary))]
    assert texts[:4] == ["4 Feb 12:00", "16:00", "20:00", "5 Feb"]


def test_the_legend_names_what_matters_most_first(summary: Summary) -> None:
    run = columns(summary)
    panels = charts.market_panels(run, run.markets[0], np.full((4, 60), NAN), "4 h")
    assert [panel.legend[0].role for panel in panels] == [
        *("price", "forecast", "realised", "score"),
        *("cascade", "contagion", "requirement"),
    ]


def test_every_readout_has_one_text_a_round(summary: Summary) -> None:
    run = columns(summary)
    members = np.full((4, 60), 100.0)
    for panel in charts.market_panels(run, run.markets[0], members, "4 h"):
        assert [len(mark.values) for mark in panel.legend] == [60] * len(panel.legend)


def test_the_members_readout_is_the_range_of_what_they_signed() -> None:
    members = np.array([[1_000.0, NAN], [1_250.0, NAN], [900.0, NAN]])
    assert charts.spread(members) == ("900 to 1,250", "–")
