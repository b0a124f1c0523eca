"""Folders of bars that are drawn: half hours, and hours made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

START = datetime(2024, 1, 1, tzinfo=UTC)


def halves(hours: int, seed: int, sigma: float | np.ndarray = 0.004) -> pd.DataFrame:
    """(2 * hours) bars; `sigma` is an hour's, one or (hours,)."""
    rng = np.random.default_rng(seed)
    each = np.repeat(np.broadcast_to(np.asarray(sigma, dtype=float), hours), 2) / np.sqrt(2)
    close = 100.0 * np.exp(np.cumsum(each * rng.standard_normal(2 * hours)))
    return framed(close, 30)


def framed(close: np.ndarray, minutes: int) -> pd.DataFrame:
    open_ = np.concatenate((close[:1], close[:-1]))
    return pd.DataFrame(
        {
            "ts": pd.date_range(START, periods=len(close), freq=f"{minutes}min").as_unit("ms"),
            "open": open_,
            "high": np.maximum(open_, close) * 1.0005,
            "low": np.minimum(open_, close) * 0.9995,
            "close": close,
            "volume": 10.0,
        }
    )


def hourly(finer: pd.DataFrame) -> pd.DataFrame:
    by = finer.groupby(finer["ts"].dt.floor("h"))
    columns = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    return by.agg(columns).reset_index()


def put(frame: pd.DataFrame, folder: Path, collection: str, name: str) -> None:
    (folder / collection).mkdir(exist_ok=True)
    frame.to_parquet(folder / collection / f"{name}.parquet")
