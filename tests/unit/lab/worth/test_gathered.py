"""Series beside the bars are known by their columns, and stand where they were known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from margrave.lab.court.history import read
from margrave.lab.court.panel import Panel, panel_of
from margrave.lab.worth.gathered import gather
from tests.unit.lab.served.folders import put

START = datetime(2024, 1, 1, tzinfo=UTC)
HOURS = 24 * 21


def bars(count: int, minutes: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.004, count)))
    open_ = np.concatenate(([100.0], close[:-1]))
    return pd.DataFrame(
        {
            "ts": pd.date_range(START, periods=count, freq=f"{minutes}min").as_unit("ms"),
            "open": open_,
            "high": np.maximum(open_, close) * 1.001,
            "low": np.minimum(open_, close) * 0.999,
            "close": close,
            "volume": 10.0,
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(bars(HOURS, 60, 1), tmp_path, "some_perp", "BTCUSDT")
    put(bars(HOURS, 60, 2), tmp_path, "some_perp", "ETHUSDT")
    return tmp_path


def panel(folder: Path) -> Panel:
    return panel_of(read(folder))


def test_a_folder_of_bars_alone_has_nothing_beside_them(folder: Path) -> None:
    assert gather(folder, panel(folder)).fields == {}


def test_finer_bars_are_summed_over_whole_hours_and_their_volume_parted(folder: Path) -> None:
    finer = bars(HOURS * 4, 15, 3).drop(index=[41])
    put(finer, folder, "finer_perp", "BTCUSDT")
    fields = gather(folder, panel(folder)).fields
    squares = np.log(finer["close"] / finer["open"]).to_numpy() ** 2
    assert fields["finer_square"][3, 0] == pytest.approx(squares[12:16].sum())
    assert np.isnan(fields["finer_square"][10, 0]), "an hour that lacks a part is no hour"
    assert np.isnan(fields["finer_square"][:, 1]).all()
    both = fields["bought_usd"][400, 0] + fields["sold_usd"][400, 0]
    assert both == pytest.approx(10.0 * finer["close"].to_numpy()[1_599:1_603].sum(), rel=0.05)


def test_the_basis_is_the_perpetual_over_spot_and_never_of_two_things(folder: Path) -> None:
    spot = bars(HOURS, 60, 1)
    spot["close"] *= 0.999
    spot.loc[7, "close"] *= 2.0
    put(spot, folder, "some_spot", "BTCUSDT")
    basis = gather(folder, panel(folder)).fields["basis"]
    assert basis[5, 0] == pytest.approx(1 / 0.999 - 1)
    assert np.isnan(basis[7, 0])
    assert np.isnan(basis[:, 1]).all()


def test_a_days_figure_is_known_when_the_day_is_over_and_grows_old(folder: Path) -> None:
    days = pd.DataFrame({"date": [datetime(2024, 1, d, tzinfo=UTC).replace(tzinfo=None) for d in (1, 2)]})
    put(days.assign(fg_value=[20, 80]), folder, "moods", "fg")
    greed = gather(folder, panel(folder)).fields["fear_greed"][:, 0]
    assert np.isnan(greed[22])
    assert greed[23] == 20.0, "the hour that ends at midnight"
    assert greed[47] == 80.0
    assert np.isnan(greed[24 * 5])


def test_liquidations_are_dollars_an_hour_and_zero_between_them(folder: Path) -> None:
    times = [START + timedelta(hours=2, minutes=5), START + timedelta(hours=2, minutes=50), START + timedelta(hours=9)]
    rows = pd.DataFrame({"ts": pd.DatetimeIndex(times).as_unit("ms"), "liquidator": "x", "amount_usd": [1e3, 2e3, 5.0]})
    put(rows, folder, "forced", "all")
    seized = gather(folder, panel(folder)).fields["liquidated_long_usd"][:, 1]
    assert list(seized[2:5]) == [3e3, 0.0, 0.0]
    assert np.isnan(seized[1]), "before the file begins nothing is known"


def test_open_interest_is_one_venues_and_a_peg_the_one_furthest_from_a_dollar(folder: Path) -> None:
    hours = pd.date_range(START, periods=200, freq="h").as_unit("ms")
    long = pd.DataFrame({"ts": hours, "venue": "long", "coin": "BTC", "oi_usd": 5e9})
    short = pd.DataFrame({"ts": hours[:50], "venue": "short", "coin": "BTC", "oi_usd": 1e9})
    put(pd.concat([short, long]), folder, "interest", "oi")
    prices = [pd.DataFrame({"ts": hours, "symbol": s, "price_usd": p}) for s, p in (("USDC", 0.9), ("USDT", 1.01))]
    put(pd.concat([*prices, prices[0].assign(symbol="YFI", price_usd=9e3)]), folder, "tokens", "prices")
    fields = gather(folder, panel(folder)).fields
    assert fields["open_interest_usd"][10, 0] == 5e9
    assert fields["peg"][10, 1] == 0.9
    assert np.isnan(fields["peg"][300, 1])


def test_a_file_that_is_none_is_passed_over(folder: Path) -> None:
    (folder / "some_perp" / "torn.parquet").write_bytes(b"PAR1 no more")
    assert gather(folder, panel(folder)).fields == {}
