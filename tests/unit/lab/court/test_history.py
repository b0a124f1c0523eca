"""What a folder of Parquet files holds, whatever its names; and what it does not hold is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from margrave.errors import Fatal
from margrave.lab.court.history import LEAST_HOURS, Stretch, asset_of, read
from margrave.spans import HOUR_MS

START = pd.Timestamp("2024-01-01", tz="UTC")


def bars(
    hours: int, *, start: pd.Timestamp = START, freq: str = "1h", price: float = 100.0, seed: int = 0
) -> pd.DataFrame:
    times = pd.date_range(start, periods=hours, freq=freq)
    close = price * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.002, hours)))
    open_ = np.concatenate(([price], close[:-1]))
    wide = 1.001
    frame = {
        "ts": times,
        "open": open_,
        "high": np.maximum(open_, close) * wide,
        "low": np.minimum(open_, close) / wide,
    }
    return pd.DataFrame(frame | {"close": close, "volume": np.ones(hours)})


def put(folder: Path, name: str, frame: pd.DataFrame) -> None:
    path = folder / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path)


def only(folder: Path) -> Stretch:
    (stretch,) = read(folder).stretches
    return stretch


@pytest.mark.parametrize(
    ("name", "asset"),
    [
        ("ETHUSDT", "ETH"),
        ("BTC-PERP", "BTC"),
        ("BTCUSD", "BTC"),
        ("wBETHUSDT", "WBETH"),
        ("SOL", "SOL"),
        ("USD", "USD"),
    ],
)
def test_an_instrument_names_its_asset(name: str, asset: str) -> None:
    assert asset_of(name) == asset


def test_short_bars_become_whole_hours(tmp_path: Path) -> None:
    quarters = bars(4 * 400, freq="15min")
    put(tmp_path, "any_perp_15m/XYZUSDT", quarters.drop(index=[4 * 10 + 1]))
    assert len(only(tmp_path)) == 400 - 10 - 1, "the hour that lacks a quarter is none, and ten hours before it too few"
    put(tmp_path, "any_perp_15m/XYZUSDT", quarters)
    stretch = only(tmp_path)
    first = quarters.iloc[:4]
    assert (stretch.asset, len(stretch)) == ("XYZ", 400)
    assert (stretch.open[0], stretch.close[0]) == (first["open"].iloc[0], first["close"].iloc[3])
    assert (stretch.high[0], stretch.low[0], stretch.volume[0]) == (first["high"].max(), first["low"].min(), 4.0)


def test_a_gap_ends_a_stretch_and_nothing_is_filled(tmp_path: Path) -> None:
    put(tmp_path, "perp/XYZUSDT", bars(1_000).drop(index=[500]))
    first, second = read(tmp_path).of("XYZ")
    assert (len(first), len(second)) == (500, 499)
    assert second.open_ms[0] - first.open_ms[-1] == 2 * HOUR_MS


def test_perpetuals_that_continue_each_other_are_one_stretch_and_spot_is_not(tmp_path: Path) -> None:
    whole = bars(1_200)
    put(tmp_path, "perp_a/XYZUSDT", whole.iloc[:700])
    put(tmp_path, "perp_b/XYZUSDT", whole.iloc[650:1_200])
    assert len(only(tmp_path)) == 1_200
    put(tmp_path, "spot_c/XYZUSDT", bars(1_700).iloc[1_200:])
    assert [len(s) for s in read(tmp_path).of("XYZ")] == [1_200, 500]


def test_perpetuals_that_stand_apart_in_price_are_not_joined(tmp_path: Path) -> None:
    put(tmp_path, "perp_a/XYZUSDT", bars(700))
    put(tmp_path, "perp_b/XYZUSDT", bars(600, start=START + pd.Timedelta("700h"), price=150.0))
    assert [len(s) for s in read(tmp_path).of("XYZ")] == [700, 600]


def test_instruments_in_columns_are_parted_by_venue(tmp_path: Path) -> None:
    one, two = bars(400), bars(500, price=5.0, seed=2)
    frame = pd.concat(
        [one.assign(venue="a", coin="ONE"), two.assign(venue="a", coin="TWO"), one.assign(venue="b", coin="ONE")]
    )
    put(tmp_path, "ohlcv_many/candles", frame.sample(frac=1.0, random_state=1))
    found = read(tmp_path)
    assert found.assets == ("ONE", "TWO")
    assert [len(s) for s in found.of("ONE")] == [400]


def test_bars_that_are_no_prices_are_dropped_and_said(tmp_path: Path) -> None:
    bad = bars(800)
    bad.loc[0, "close"], bad.loc[1, "low"], bad.loc[2, "high"] = np.nan, -1.0, bad.loc[2, "low"] / 2
    put(tmp_path, "perp/XYZUSDT", pd.concat([bad, bad.iloc[[700]]]))
    found = read(tmp_path)
    assert [len(s) for s in found.stretches] == [797]
    assert any("3 bars that are no prices" in said for said in found.left_out)


def test_bars_longer_than_an_hour_and_short_histories_are_said_and_not_guessed(tmp_path: Path) -> None:
    put(tmp_path, "perp_4h/LONGUSDT", bars(900, freq="4h"))
    put(tmp_path, "perp/SHORTUSDT", bars(LEAST_HOURS - 1))
    put(tmp_path, "perp/XYZUSDT", bars(LEAST_HOURS))
    found = read(tmp_path)
    assert found.assets == ("XYZ",)
    assert any("LONGUSDT: bars of 4 hours" in said for said in found.left_out)
    assert any("SHORT: no" in said for said in found.left_out)


def test_what_was_known_beside_is_never_from_the_future(tmp_path: Path) -> None:
    put(tmp_path, "perp/XYZUSDT", bars(600))
    times = pd.date_range(START, periods=600, freq="1h")
    put(tmp_path, "dvol_xyz_1h/XYZ", pd.DataFrame({"ts": times, "close": np.arange(600.0)}))
    funding = pd.DataFrame({"ts": times[::8], "funding_rate": np.arange(75) / 1e4})
    put(tmp_path, "funding_any/XYZUSDT", funding)
    stretch = only(tmp_path)
    np.testing.assert_allclose(stretch.dvol, np.arange(600) / 100.0)
    assert stretch.funding_8h[6] == 0.0
    assert stretch.funding_8h[8] == pytest.approx(1e-4)


def test_hourly_funding_is_scaled_and_old_figures_are_masked(tmp_path: Path) -> None:
    put(tmp_path, "perp/XYZUSDT", bars(600))
    times = pd.date_range(START, periods=300, freq="1h")
    put(tmp_path, "funding_any/rates", pd.DataFrame({"ts": times, "venue": "v", "coin": "XYZ", "funding_rate": 1e-5}))
    stretch = only(tmp_path)
    assert stretch.funding_8h[10] == pytest.approx(8e-5)
    assert np.isnan(stretch.funding_8h[320:]).all()


def test_an_index_of_implied_volatility_is_never_taken_for_a_price(tmp_path: Path) -> None:
    """It has prices' columns but no volume, and hours that the bars lack."""
    put(tmp_path, "perp/XYZUSDT", bars(600))
    index = bars(1_200, price=60.0).drop(columns="volume")
    put(tmp_path, "volatility/dvol_hourly/XYZ", index)
    put(tmp_path, "some_index/XYZ", index)
    found = read(tmp_path)
    (stretch,) = found.stretches
    assert len(stretch) == 600
    np.testing.assert_allclose(stretch.dvol, index["close"].iloc[:600] / 100.0)
    assert any("XYZ: prices without a volume" in said for said in found.left_out)


def test_a_days_index_stands_in_where_there_is_no_hours(tmp_path: Path) -> None:
    put(tmp_path, "perp/XYZUSDT", bars(600))
    days = pd.date_range(START, periods=25, freq="1D")
    put(tmp_path, "implied/XYZ", pd.DataFrame({"ts": days, "dvol": 50.0}).sample(frac=1.0, random_state=0))
    hours = pd.date_range(START, periods=100, freq="1h")
    put(tmp_path, "fractions/XYZ", pd.DataFrame({"ts": hours, "dvol": 0.8}))
    stretch = only(tmp_path)
    assert (stretch.dvol[:100] == 0.8).all()
    assert (stretch.dvol[110:] == 0.5).all()


def test_another_unit_ends_a_stretch_and_a_typing_error_is_no_bar(tmp_path: Path) -> None:
    prices = ["open", "high", "low", "close"]
    moved, spiked = bars(1_000), bars(1_000)
    moved.loc[400:, prices] *= 1e6
    spiked.loc[400, ["high", "close"]] *= 1e9
    put(tmp_path, "perp/MOVEDUSDT", moved)
    put(tmp_path, "perp/SPIKEDUSDT", spiked)
    found = read(tmp_path)
    assert [len(s) for s in found.of("MOVED")] == [400, 600]
    assert [len(s) for s in found.of("SPIKED")] == [400, 599]
    assert max(float(np.abs(np.diff(np.log(s.close))).max()) for s in found.stretches) < 0.1


def test_a_crash_is_no_other_unit(tmp_path: Path) -> None:
    crashed = bars(1_000)
    crashed.loc[500:, ["open", "high", "low", "close"]] /= 20.0
    put(tmp_path, "perp/XYZUSDT", crashed)
    assert len(only(tmp_path)) == 1_000


def test_a_series_that_stands_still_and_one_that_explodes_are_no_markets_and_said(tmp_path: Path) -> None:
    prices = ["open", "high", "low", "close"]
    still, wild = bars(600), bars(600)
    path = np.exp(np.cumsum(np.random.default_rng(0).normal(0, 1.0, 600)))
    for name in prices:
        still[name], wild[name] = 1.0, path
    put(tmp_path, "perp/STILLUSDT", still)
    put(tmp_path, "perp/WILDUSDT", wild)
    put(tmp_path, "perp/XYZUSDT", bars(600))
    found = read(tmp_path)
    assert found.assets == ("XYZ",)
    assert any("STILL: 100% of its hours stand still" in said for said in found.left_out)
    assert any("WILD: a typical hour moves" in said for said in found.left_out)


def test_bars_off_the_clock_are_said_and_milliseconds_are_forgiven(tmp_path: Path) -> None:
    late = bars(600)
    late["ts"] += pd.to_timedelta(np.where(np.arange(600) % 2, 5, 0), unit="ms")
    put(tmp_path, "perp/LATEUSDT", late)
    put(tmp_path, "perp/HALFUSDT", bars(600, start=START + pd.Timedelta("30min")))
    nameless = bars(600)
    nameless.loc[599, "ts"] = pd.NaT
    put(tmp_path, "perp/NAMELESSUSDT", nameless)
    found = read(tmp_path)
    assert {s.asset: len(s) for s in found.stretches} == {"LATE": 600, "NAMELESS": 599}
    assert any("600 bars that do not begin on the clock" in said for said in found.left_out)


def test_times_that_are_none_are_said(tmp_path: Path) -> None:
    put(tmp_path, "perp/XYZUSDT", bars(600))
    put(tmp_path, "perp/BADUSDT", bars(600).assign(ts="yesterday"))
    found = read(tmp_path)
    assert found.assets == ("XYZ",)
    assert any(said.startswith("BADUSDT") for said in found.left_out)


@pytest.mark.parametrize("shape", ["nothing", "no folder", "unknown asset"])
def test_a_folder_that_cannot_serve_is_one_clear_line(tmp_path: Path, shape: str) -> None:
    if shape == "unknown asset":
        put(tmp_path, "perp/XYZUSDT", bars(600))
    with pytest.raises(Fatal, match="—"):
        read(tmp_path if shape != "no folder" else tmp_path / "none", ["ABC"])


def test_a_broken_file_is_left_out_by_name(tmp_path: Path) -> None:
    put(tmp_path, "perp/XYZUSDT", bars(600))
    (tmp_path / "perp" / "BADUSDT.parquet").write_bytes(b"PAR1 no")
    found = read(tmp_path)
    assert found.assets == ("XYZ",)
    assert any(said.startswith("BADUSDT") for said in found.left_out)
