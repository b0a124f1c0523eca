"""Chains in files, as a folder of history holds them: made from a surface that moves a little from one to the next."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from margrave.messages import OptionQuote
from margrave.spans import HOUR_MS
from tests.unit.score.chains import AS_OF_MS, TRUE, made


def quotes_at(step: int, *, every_h: float = 6.0, seed: int = 0) -> tuple[int, list[OptionQuote]]:
    """(time, quotes) of the step-th chain."""
    random = np.random.default_rng(seed)
    level = np.exp(np.cumsum(0.03 * random.standard_normal(step + 1))[-1])
    truth = msgspec.structs.replace(
        TRUE,
        total_vol_7d=TRUE.total_vol_7d * level,
        total_vol_30d=TRUE.total_vol_30d * level**0.7,
        total_vol_90d=TRUE.total_vol_90d * level**0.5,
    )
    time_ms = AS_OF_MS + round(step * every_h * HOUR_MS)
    moved = made(truth, noise_vol=0.001, seed=step)
    return time_ms, [msgspec.structs.replace(q, expiry_ms=q.expiry_ms + time_ms - AS_OF_MS) for q in moved]


def put(folder: Path, chains: list[tuple[int, list[OptionQuote]]], asset: str = "BTC", name: str = "any_chain") -> Path:
    """Written in the columns of chain snapshots."""
    rows = [(time, q) for time, quotes in chains for q in quotes]
    stamp = pa.timestamp("ms", tz="UTC")
    table = pa.table(
        {
            "ts": pa.array([t for t, _ in rows], type=stamp),
            "currency": [asset] * len(rows),
            "option_type": ["C" if q.is_call else "P" for _, q in rows],
            "strike": [q.strike for _, q in rows],
            "expiry": pa.array([q.expiry_ms for _, q in rows], type=stamp),
            "bid": [q.bid for _, q in rows],
            "ask": [q.ask for _, q in rows],
            "mark_iv": pa.array([q.mark_iv for _, q in rows], type=pa.float64()),
            "underlying": [q.forward for _, q in rows],
            "open_interest": [q.open_interest for _, q in rows],
            "index_price": [70_000.0] * len(rows),
        }
    )
    path = folder / name / f"{asset}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path
