from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.lab.feed.path import MinutePath, bridge, candles_of, inside_candle, minute_grid
from margrave.spans import HOUR_MS, MINUTE_MS

START = 1_770_300_000_000
GRID = minute_grid(START, START + 3 * HOUR_MS)
KNOWN = [(START, 100.0), (START + 90 * MINUTE_MS, 80.0), (START + 180 * MINUTE_MS, 90.0)]


def path() -> MinutePath:
    prices = bridge(GRID, KNOWN, np.random.default_rng(7).standard_normal(len(GRID)) * 1e-3)
    return MinutePath(START, prices, candles_of(prices, np.array([60.0, 60.0, 60.0])))


def test_a_bridge_passes_through_every_known_point() -> None:
    for t_ms, price in KNOWN:
        assert path().at(t_ms) == pytest.approx(price, rel=1e-12)


def test_between_known_points_a_bridge_wanders() -> None:
    straight = bridge(GRID, KNOWN, np.zeros(len(GRID)))
    assert float(np.abs(np.log(path().prices / straight)).max()) > 1e-3


def test_outside_its_grid_a_path_keeps_its_ends() -> None:
    assert path().at(START - HOUR_MS) == pytest.approx(100)
    assert path().at(START + 9 * HOUR_MS) == pytest.approx(90)


def test_candles_hold_their_hour_and_join_without_a_gap() -> None:
    bars = path().bars(START, START + 3 * HOUR_MS - 1)
    assert [bar.open_time_ms for bar in bars] == [START, START + HOUR_MS, START + 2 * HOUR_MS]
    assert bars[0].close == bars[1].open
    assert bars[1].low <= 80.0 + 1e-9
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


def test_the_running_candle_knows_nothing_of_the_rest_of_its_hour() -> None:
    early = path().bars(START + HOUR_MS, START + HOUR_MS + 10 * MINUTE_MS)
    assert len(early) == 1
    seen = path().prices[60:71]
    assert (early[0].high, early[0].low) == (pytest.approx(seen.max()), pytest.approx(seen.min()))
    assert early[0].close == pytest.approx(path().at(START + HOUR_MS + 10 * MINUTE_MS))
    assert early[0].volume == pytest.approx(10.0)


def test_no_candle_is_made_of_the_future() -> None:
    assert path().bars(START + 2 * HOUR_MS, START + HOUR_MS + 1) == []


@given(
    ends=st.tuples(st.floats(90, 110), st.floats(90, 110)),
    margins=st.tuples(st.floats(1e-6, 5), st.floats(1e-6, 5)),
    seed=st.integers(0, 2**32 - 1),
    turns=st.tuples(st.integers(1, 58), st.integers(1, 58)).filter(lambda t: t[0] < t[1]),
)
def test_minutes_stay_inside_their_candle_and_touch_both_extremes(
    ends: tuple[float, float], margins: tuple[float, float], seed: int, turns: tuple[int, int]
) -> None:
    high, low = max(ends) + margins[0], min(ends) - margins[1]
    candle = np.array([ends[0], high, low, ends[1]])
    noise = np.random.default_rng(seed).standard_normal(61)
    minutes = inside_candle(candle, noise, ends[1] > ends[0], turns)
    assert len(minutes) == 60
    assert minutes[0] == pytest.approx(ends[0])
    assert float(minutes.max()) == pytest.approx(high, rel=1e-12)
    assert float(minutes.min()) == pytest.approx(low, rel=1e-12)
    assert float(minutes.max()) <= high
    assert float(minutes.min()) >= low
