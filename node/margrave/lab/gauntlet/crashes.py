"""Days on which the market broke, out of histories of one venue: does the guard keep up, and does it cry wolf?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq

from margrave.errors import Fatal
from margrave.lab.gauntlet.tape import HISTORY_H, Tape, single
from margrave.spans import HOUR_MS


@dataclass(frozen=True, slots=True)
class Crash:
    name: str
    file: str
    """Below the data folder; hourly candles, or shorter ones that add up to hours."""
    start: str
    hours: int


CRASHES: Final = (
    Crash("BTC, 12 March 2020", "ohlcv_binance_perp_1h/BTCUSDT.parquet", "2020-03-12T00:00", 48),
    Crash("BTC, 19 May 2021", "ohlcv_binance_perp_1h/BTCUSDT.parquet", "2021-05-19T00:00", 36),
    Crash("DOGE, 19 May 2021", "ohlcv_binance_perp_1h_2020_2024/DOGEUSDT.parquet", "2021-05-19T00:00", 36),
    Crash("LUNA, May 2022", "ohlcv_binance_spot_1h_2021_2023/LUNAUSDT.parquet", "2022-05-09T00:00", 80),
    Crash("UST, May 2022", "ohlcv_binance_spot_15m_stress/USTUSDT.parquet", "2022-05-09T00:00", 72),
    Crash("SOL, November 2022", "ohlcv_binance_perp_1h_2020_2024/SOLUSDT.parquet", "2022-11-08T00:00", 60),
)


def tape_of(data: Path, crash: Crash, like: Tape) -> Tape:
    """Raises `Fatal` where the file is not there, or does not reach back far enough."""
    path = data / crash.file
    if not path.is_file():
        raise Fatal(f"no {path}", advice="set MARGRAVE_DATA to the folder with the market history")
    table = pq.read_table(path).sort_by("ts")
    times = table["ts"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    fields = np.stack(
        [table[n].to_numpy().astype(np.float64) for n in ("open", "high", "low", "close", "volume")], axis=1
    )
    start_ms = int(np.datetime64(crash.start, "ms").astype(np.int64))
    opened = start_ms + HOUR_MS * np.arange(-HISTORY_H, crash.hours, dtype=np.int64)
    hours = np.full((len(opened), 5), np.nan)
    at = (times - opened[0]) // HOUR_MS
    for row in np.unique(at[(at >= 0) & (at < len(opened))]).tolist():
        part = fields[at == row]
        hours[row] = (part[0, 0], part[:, 1].max(), part[:, 2].min(), part[-1, 3], part[:, 4].sum())
    if not np.isfinite(hours).all():
        missing = int((~np.isfinite(hours).all(axis=1)).sum())
        raise Fatal(f"{path} lacks {missing} hours about {crash.start}", advice="choose another stretch of it")
    return single(opened, hours, crash.name, like)
