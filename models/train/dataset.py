"""The pooled development series: hourly bars of many perpetuals, spliced, cut at gaps, with features and outcomes.

`MARGRAVE_DATA` points to the folder with the series (parquet, one folder a collection, `MANIFEST.sha256` beside them).
The split is by time with a purged week between the parts, and four assets are left out of training altogether.
It was fixed before any model was fitted.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from margrave.score import features
from margrave.score.features import Floats, History, Ints
from margrave.spans import HOUR_MS

HORIZON_H: Final = 4
"""The margin period of risk that the models are made for, in hours."""

RETURNS_H: Final = features.LONG_H
"""Hourly returns that a recursion is given."""

LOG_CAP: Final = float(np.log(3.0))
"""Largest log move over the horizon that a model states: -67 %, +200 %. The pooled series hold -54 % and +125 %."""

LEFT_OUT: Final = ("APT", "FIL", "GRT", "LINK")
"""Assets that no model sees in training or selection."""

TRAIN_END: Final = "2024-01-01"
VALIDATION: Final = ("2024-01-08", "2024-06-10")
TEST_START: Final = "2024-06-17"

_RECENT: Final = "ohlcv_binance_perp_30m_2023_2026"
_SPLICE: Final = "2023-01-01"


@dataclass(frozen=True, slots=True)
class Series:
    """One gap-free stretch of one asset.

    `table` is what the node would compute. About the next HORIZON_H bars: `outcome` (n,) is the simple return,
    `outcome_variance` (n,) the sum of range variances and `outcome_squares` (n,) of squared log returns; NaN where the
    stretch ends first.
    """

    asset: str
    history: History
    table: features.Table
    outcome: Floats
    outcome_variance: Floats
    outcome_squares: Floats

    @property
    def close_ms(self) -> Ints:
        """When each row is known."""
        return self.history.open_time_ms + HOUR_MS

    def rows(self, part: str) -> npt.NDArray[np.bool_]:
        """Which rows belong to `train`, `validation` or `test`: features known and outcome inside the part."""
        start, end = _bounds(part)
        inside = (self.close_ms >= start) & (self.close_ms + HORIZON_H * HOUR_MS <= end)
        return np.asarray(inside & np.isfinite(self.outcome) & np.isfinite(self.table.log_level))


def folder() -> Path:
    """Where the series lie.

    Raises:
        SystemExit: MARGRAVE_DATA is not set or has no manifest.
    """
    path = Path(os.environ.get("MARGRAVE_DATA", ""))
    if not (path / "MANIFEST.sha256").is_file():
        sys.exit("MARGRAVE_DATA does not point to the market history — set it to the folder that holds MANIFEST.sha256")
    return path


def model_inputs(series: Series, rows: Ints) -> dict[str, npt.NDArray[np.generic]]:
    """What the node would feed a model at some rows of a series, by input name: `asked.batch` in bulk, and hourly-1."""
    padded = np.concatenate([np.zeros(RETURNS_H), np.nan_to_num(series.table.log_return)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, RETURNS_H)
    return {
        "features": series.table.columns[rows].astype(np.float32),
        "log_level": series.table.log_level[rows].astype(np.float32),
        "returns_1h": np.ascontiguousarray(windows[rows + 1]),
        "bars": np.minimum(rows, RETURNS_H).astype(np.int64),
    }


def manifest_hash(data: Path) -> str:
    """SHA-256 of the manifest, which holds the SHA-256 of every file: one line that names the data exactly."""
    return hashlib.sha256((data / "MANIFEST.sha256").read_bytes()).hexdigest()


def load(data: Path) -> list[Series]:
    """Every stretch of every asset, early spot of BTC and ETH first."""
    stretches: list[Series] = []
    for asset in ("BTC", "ETH"):
        early = _bars(data / "ohlcv_binance_spot_1h_2017_2020" / f"{asset}USDT.parquet")
        stretches.extend(_series(asset, early.loc[: pd.Timestamp("2020-10-23", tz="UTC")], data))
    for asset in assets(data):
        stretches.extend(_series(asset, _spliced(asset, data), data))
    return stretches


def assets(data: Path) -> list[str]:
    hourly = {p.name.removesuffix("USDT.parquet") for p in (data / "ohlcv_binance_perp_1h_2020_2024").glob("*")}
    recent = {p.name.removesuffix("USDT.parquet") for p in (data / _RECENT).glob("*")}
    return sorted(hourly | recent)


def _bounds(part: str) -> tuple[int, int]:
    start, end = {
        "train": ("2017-01-01", TRAIN_END),
        "validation": VALIDATION,
        "test": (TEST_START, "2100-01-01"),
    }[part]
    return _ms(start), _ms(end)


def _ms(day: str) -> int:
    return int(pd.Timestamp(day, tz="UTC").value // 1_000_000)


def _bars(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path).set_index("ts")[["open", "high", "low", "close", "volume"]].astype("float64")


def _spliced(asset: str, data: Path) -> pd.DataFrame:
    """Hourly bars to the end of 2022, then half-hourly bars joined in pairs; whichever exists."""
    hourly = data / "ohlcv_binance_perp_1h_2020_2024" / f"{asset}USDT.parquet"
    halves = data / _RECENT / f"{asset}USDT.parquet"
    if not halves.exists():
        return _bars(hourly)
    recent = _joined(_bars(halves))
    if not hourly.exists():
        return recent
    return pd.concat([_bars(hourly).loc[: pd.Timestamp(_SPLICE, tz="UTC") - pd.Timedelta("1h")], recent])


def _joined(halves: pd.DataFrame) -> pd.DataFrame:
    hours = halves.resample("1h")
    bars = hours.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    return bars[hours["close"].count() == 2]


def _series(asset: str, bars: pd.DataFrame, data: Path) -> Iterator[Series]:
    bars = bars[~bars.index.duplicated()]
    breaks = np.flatnonzero(np.diff(_times_ms(bars)) != HOUR_MS) + 1
    for stretch in np.split(np.arange(len(bars)), breaks):
        if len(stretch) > features.MIN_BARS + HORIZON_H:
            yield _one(asset, bars.iloc[stretch], data)


def _one(asset: str, bars: pd.DataFrame, data: Path) -> Series:
    history = History(
        open_time_ms=_times_ms(bars),
        open=bars["open"].to_numpy(),
        # float32 rounding of the archive can leave the high a hair under the open or close
        high=bars[["open", "high", "close"]].max(axis=1).to_numpy(),
        low=bars[["open", "low", "close"]].min(axis=1).to_numpy(),
        close=bars["close"].to_numpy(),
        volume=bars["volume"].to_numpy(),
        funding_8h=_known_at_close(_funding(asset, data), pd.DatetimeIndex(bars.index), pd.Timedelta("9h")),
        vol_index=_known_at_close(_implied(asset, data), pd.DatetimeIndex(bars.index), pd.Timedelta("2h")),
    )
    table = features.compute(history)
    outcome = np.full(len(bars), np.nan)
    outcome[:-HORIZON_H] = history.close[HORIZON_H:] / history.close[:-HORIZON_H] - 1
    return Series(
        asset, history, table, outcome, _ahead(table.range_variance), _ahead(np.nan_to_num(table.log_return) ** 2)
    )


def _ahead(hourly: Floats) -> Floats:
    """Sum over the horizon that begins after each row."""
    total = np.full(len(hourly), np.nan)
    total[:-HORIZON_H] = np.lib.stride_tricks.sliding_window_view(hourly, HORIZON_H).sum(axis=1)[1:]
    return total


def _times_ms(bars: pd.DataFrame) -> Ints:
    return np.asarray(pd.DatetimeIndex(bars.index).as_unit("ms").asi8, dtype=np.int64)


def _known_at_close(values: pd.Series | None, opens: pd.DatetimeIndex, fresh_for: pd.Timedelta) -> Floats:
    """The last value published at or before each bar's close, NaN when it is older than `fresh_for`."""
    if values is None:
        return np.full(len(opens), np.nan)
    closes = opens + pd.Timedelta("1h")
    return np.asarray(values.reindex(closes, method="ffill", tolerance=fresh_for).to_numpy(), dtype=np.float64)


def _funding(asset: str, data: Path) -> pd.Series | None:
    for collection in ("funding_binance_8h_2019_2026", "funding_binance_8h_2024_2025"):
        path = data / collection / f"{asset}USDT.parquet"
        if path.exists():
            return pd.read_parquet(path).set_index("ts")["funding_rate"]
    return None


def _implied(asset: str, data: Path) -> pd.Series | None:
    """Deribit's volatility index, as a fraction, at the close of each hour; the archive has Bitcoin's only."""
    path = data / f"dvol_{asset.lower()}_1h_2021_2025" / f"{asset}.parquet"
    if not path.exists():
        return None
    hourly = pd.read_parquet(path).set_index("ts")["close"] / 100
    hourly.index = hourly.index + pd.Timedelta("1h")
    return hourly
