"""A small lending protocol on a random walk with crashes, as the files that a folder of history has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from margrave.spans import HOUR_MS

START_MS = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp() * 1_000)
DEPOSITS_USD = 1e9


def prices(hours: int, seed: int = 5) -> np.ndarray:
    """Closes: calm, with a fall of a few hours every six days that half comes back."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0.0, 0.003, hours)
    for start in range(24 * 9, hours - 30, 24 * 6):
        moves[start : start + 4] -= rng.uniform(0.01, 0.04)
        moves[start + 6 : start + 20] += 0.002
    return np.asarray(50_000.0 * np.exp(np.cumsum(moves - moves.mean())))


def liquidated(close: np.ndarray) -> np.ndarray:
    """USD an hour, of debts that were opened at every hour's price and liquidated 6 % to 30 % below."""
    found = np.zeros(len(close))
    levels = np.empty(0)
    rng = np.random.default_rng(7)
    for hour, price in enumerate(close):
        fallen = levels >= price
        found[hour] = 3e5 * fallen.sum()
        levels = np.append(levels[~fallen], price * (1 - rng.uniform(0.06, 0.3)))[-2_000:]
    return found


def stamps(hours: np.ndarray) -> pa.Array:
    return pa.array(START_MS + hours * HOUR_MS, pa.int64()).cast(pa.timestamp("ms", tz="UTC"))


def write(folder: Path, name: str, columns: dict[str, object]) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)


def bars(folder: Path, asset: str, close: np.ndarray) -> None:
    opened = np.append(close[:1], close[:-1])
    write(
        folder,
        f"bars/{asset}USDT.parquet",
        {
            "ts": stamps(np.arange(len(close))),
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": np.full(len(close), 1_000.0),
        },
    )


def liquidations(folder: Path, name: str, usd: np.ndarray, symbol: str = "wBTC", version: str = "V3") -> None:
    hours = np.flatnonzero(usd)
    write(
        folder,
        name,
        {
            "ts": stamps(hours),
            "liquidatee": [f"0x{hour:040x}" for hour in hours],
            "collateral_symbol": [symbol] * len(hours),
            "version": [version] * len(hours),
            "amount_usd": usd[hours],
        },
    )


def days(folder: Path, usd: np.ndarray, symbol: str = "wBTC", version: str = "V3", told: float = 1.0) -> None:
    daily = usd[: len(usd) // 24 * 24].reshape(-1, 24).sum(axis=1)
    first = np.datetime64(START_MS, "ms")
    write(
        folder,
        "days/market.parquet",
        {
            "date": pa.array(first + np.arange(len(daily)) * np.timedelta64(1, "D")),
            "version": [version] * len(daily),
            "asset_symbol": [symbol] * len(daily),
            "total_deposit_usd": np.full(len(daily), DEPOSITS_USD),
            "daily_liquidate_usd": told * daily,
        },
    )
