"""The training table against what a node would compute, on the real series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from margrave.messages import Bar
from margrave.score import features
from margrave.score.asked import BASELINE_H, Row, batch, log_closes
from margrave.score.features.served import serve
from margrave.score.registry import open_model
from margrave.settings import REGISTRY
from margrave.spans import WEEK_MS
from tests.history import needs_data, recorded
from train import dataset

pytestmark = [
    pytest.mark.data,
    needs_data,
]


@pytest.fixture(scope="module")
def series() -> dataset.Series:
    """Bitcoin's longest stretch: it alone has funding and implied volatility."""
    data = dataset.folder()
    stretches = dataset._series("BTC", dataset._spliced("BTC", data), data)
    return max(stretches, key=lambda s: len(s.close_ms))


def served(series: dataset.Series, row: int, bars: int) -> Row:
    """What a node would make of it had it held the last `bars` bars at this row's close."""
    history, first = series.history, row + 1 - bars
    columns = (history.open, history.high, history.low, history.close, history.volume)
    held = tuple(
        Bar(int(history.open_time_ms[i]), *(float(column[i]) for column in columns)) for i in range(first, row + 1)
    )
    return Row("BTC", np.diff(log_closes(held))[-BASELINE_H:], None)


@pytest.mark.parametrize("row", [2_500, 9_999, 20_000, 30_001])
@pytest.mark.parametrize("bars", [720, features.LONG_H + 1])
def test_training_and_serving_see_the_same_bits(series: dataset.Series, row: int, bars: int) -> None:
    asked = batch([served(series, row, bars)], serve([], np.ones(168))).arrays
    trained = dataset.model_inputs(series, np.array([row]))
    for name in ("returns_1h", "bars"):
        assert np.array_equal(asked[name], trained[name]), name


def test_the_future_is_not_in_a_row(series: dataset.Series) -> None:
    end = 15_000
    past = features.History(
        *(getattr(series.history, name)[:end] for name in features.History.__slots__)  # type: ignore[arg-type]
    )
    assert np.array_equal(features.compute(past).columns[: end - 1], series.table.columns[: end - 1], equal_nan=True)


def test_funding_and_implied_volatility_are_those_published_by_the_close(series: dataset.Series) -> None:
    data = dataset.folder()
    dvol = pd.read_parquet(data / "dvol_btc_1h_2021_2025" / "BTC.parquet").set_index("ts")["close"] / 100
    row = 20_000
    closes = pd.Timestamp(int(series.close_ms[row]), unit="ms", tz="UTC")
    assert series.history.vol_index[row] == pytest.approx(dvol[closes - pd.Timedelta("1h")])


def test_the_outcome_is_the_return_of_the_next_four_bars(series: dataset.Series) -> None:
    close = series.history.close
    assert series.outcome[1000] == pytest.approx(close[1004] / close[1000] - 1)
    squares = np.diff(np.log(close[1000:1005])) ** 2
    assert series.outcome_squares[1000] == pytest.approx(squares.sum())
    assert np.isnan(series.outcome[-4:]).all()


def test_the_parts_are_disjoint_and_a_week_apart(series: dataset.Series) -> None:
    train, validation, test = (series.rows(part) for part in ("train", "validation", "test"))
    assert not (train & validation).any()
    assert not (validation & test).any()
    week = WEEK_MS
    ms = series.close_ms
    assert ms[validation].min() - ms[train].max() >= week
    assert ms[test].min() - ms[validation].max() >= week


def test_half_hours_join_to_the_hours_that_the_venue_published() -> None:
    data = dataset.folder()
    joined = dataset._joined(dataset._bars(data / dataset._RECENT / "ETHUSDT.parquet"))
    hourly = dataset._bars(data / "ohlcv_binance_perp_1h_2020_2024" / "ETHUSDT.parquet")
    common = joined.index.intersection(hourly.index)
    assert len(common) > 10_000
    prices = ["open", "high", "low", "close"]
    assert np.allclose(joined.loc[common, prices], hourly.loc[common, prices], rtol=1e-6)


def test_the_cards_name_the_data_that_lies_here() -> None:
    for name in ("gjr_garch_t/1", "tail_net/1"):
        card = open_model(REGISTRY, name).card
        assert card.data_manifest_sha256 == dataset.manifest_hash(recorded())
        assert not set(card.assets) & set(card.left_out)


def test_a_full_window_is_as_long_as_the_graph_reads(series: dataset.Series) -> None:
    assert len(served(series, 12_000, 720).returns) == BASELINE_H == dataset.RETURNS_H
