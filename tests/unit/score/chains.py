"""Option chains made from a known surface, and the real ones where the market history is at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from margrave.messages import OptionQuote, Surface
from margrave.score import black76, surface
from margrave.spans import DAY_MS

AS_OF_MS = 1_770_206_400_000
EXPIRIES_DAYS = (1.0, 3.0, 7.0, 14.0, 28.0, 56.0, 84.0, 140.0)
TRUE = Surface(
    total_vol_7d=0.085,
    total_vol_30d=0.165,
    total_vol_90d=0.28,
    rho=-0.25,
    wing=1.1,
    decay=0.35,
    rmse_vol=0.0,
    quotes_used=100,
)


def made(
    truth: Surface = TRUE,
    *,
    index: float = 70_000.0,
    basis: float = 0.05,
    days: Sequence[float] = EXPIRIES_DAYS,
    strikes_each: int = 21,
    half_spread_vol: float = 0.004,
    noise_vol: float = 0.0,
    seed: int = 1,
) -> list[OptionQuote]:
    """Calls and puts at strikes within three standard deviations, bid and ask about the surface's own price."""
    random = np.random.default_rng(seed)
    quotes: list[OptionQuote] = []
    for d in days:
        years = d / 365
        forward = index * (1 + basis * years)
        reach = 3 * truth.total_vol_30d / np.sqrt(30 / 365) * np.sqrt(years)
        k = np.linspace(-reach, reach, strikes_each)
        sigma = surface.vols(truth, k, np.full_like(k, years)) + noise_vol * random.standard_normal(len(k))
        for is_call in (True, False):
            side = np.full(len(k), is_call)
            low, high = (
                black76.price(k, (sigma + shift) * np.sqrt(years), side)
                for shift in (-half_spread_vol, half_spread_vol)
            )
            quotes += [
                OptionQuote(
                    AS_OF_MS + round(d * DAY_MS),
                    float(forward * np.exp(k[i])),
                    is_call,
                    forward,
                    float(low[i]),
                    float(high[i]),
                    float(sigma[i]),
                    1.0,
                )
                for i in range(len(k))
            ]
    return quotes


def data_dir() -> Path:
    """Where the market history lies; skips the test where it is not at hand."""
    root = os.environ.get("MARGRAVE_DATA")
    if not root or not (Path(root) / "deribit_option_chain_snapshots_2026").is_dir():
        pytest.skip("needs the market history: set MARGRAVE_DATA to its folder")
    return Path(root)


def recorded(month: str, currency: str, every: int) -> Iterator[tuple[int, float, list[OptionQuote]]]:
    """(time, index price, quotes) of each `every`-th recorded Deribit chain of a month."""
    import pandas as pd

    path = data_dir() / "deribit_option_chain_snapshots_2026" / f"{month}.parquet"
    table = pd.read_parquet(path)
    table = table[table.currency == currency]
    minutes = table.ts.dt.floor("1min")
    for minute in sorted(minutes.unique())[::every]:
        rows = table[minutes == minute]
        if len(rows) < 50:
            continue
        expiry_ms = rows.expiry.dt.as_unit("ms").astype("int64")
        quotes = [
            OptionQuote(
                int(row[0]),
                float(row[1]),
                row[2] == "C",
                float(row[3]),
                _known(row[4]),
                _known(row[5]),
                _iv(row[6]),
                0.0,
            )
            for row in zip(
                expiry_ms, rows.strike, rows.option_type, rows.underlying, rows.bid, rows.ask, rows.mark_iv, strict=True
            )
        ]
        as_of_ms = int(rows.ts.max().value // 1_000_000)
        yield as_of_ms, float(rows.index_price.median()), quotes


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _iv(value: float) -> float | None:
    return float(value) if np.isfinite(value) and value > 0 else None
