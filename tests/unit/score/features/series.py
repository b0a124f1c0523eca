"""Hours to compute inputs from: drawn ones with holes, and the real ones."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from margrave.messages import Bar
from margrave.score.features.hours import Grid, Hour, Hours
from margrave.spans import HOUR_MS
from tests.history import recorded

PRICES = ("open", "high", "low", "close")
FIRST_MS = 1_640_995_200_000
"""2022-01-01, a Saturday."""


def prior(seed: int = 0) -> np.ndarray:
    """A pooled hour-of-week table."""
    table = np.exp(0.3 * np.random.default_rng(seed).standard_normal(168))
    return table / table.mean()


def drawn(count: int, seed: int = 1, assets: tuple[str, ...] = ("BTC", "DOGE", "ETH")) -> Grid:
    """Heavy-tailed hours whose variance comes and goes; BTC alone has an index, and nobody but DOGE lacks funding."""
    rng = np.random.default_rng(seed)
    shape = (count, len(assets))
    sigma = 0.006 * np.exp(np.cumsum(0.03 * rng.standard_normal(shape), axis=0) - 0.02)
    step = sigma * rng.standard_t(4, shape)
    close = 100.0 * np.exp(np.cumsum(np.clip(step, -0.3, 0.3), axis=0))
    open_ = np.vstack([close[:1], close[:-1]]) * np.exp(1e-4 * rng.standard_normal(shape))
    reach = np.abs(sigma * rng.standard_normal(shape))
    return Grid(
        FIRST_MS + HOUR_MS * np.arange(count, dtype=np.int64),
        assets,
        open_,
        np.maximum(open_, close) * np.exp(reach),
        np.minimum(open_, close) * np.exp(-reach),
        close,
        np.exp(rng.normal(3.0, 1.0, shape)),
        np.where(np.array(assets) == "BTC", np.exp(rng.normal(-0.5, 0.1, shape)), np.nan),
        np.where(np.array(assets) != "DOGE", rng.normal(1e-4, 2e-4, shape), np.nan),
    )


def with_holes(whole: Hours, holes: list[tuple[int, int, int]], silent: list[tuple[int, int]]) -> Grid:
    """Without bars of an asset at (first row, count, asset), and without a volume at (row, asset)."""
    columns = {f.name: np.array(getattr(whole, f.name), copy=True) for f in fields(Grid) if f.name != "assets"}
    for row, count, asset in holes:
        for name in (*PRICES, "volume", "dvol", "funding_8h"):
            columns[name][row : row + count, asset] = np.nan
    for row, asset in silent:
        columns["volume"][row, asset] = np.nan
    return Grid(assets=whole.assets, **columns)


def hour(hours: Hours, row: int, asset: int) -> Hour | None:
    """As a node gets it; `None` where there is no bar."""
    prices = [float(getattr(hours, name)[row, asset]) for name in PRICES]
    if not np.isfinite(prices).all():
        return None
    beside = [float(getattr(hours, name)[row, asset]) for name in ("dvol", "funding_8h")]
    index, funding = (value if np.isfinite(value) else None for value in beside)
    bar = Bar(int(hours.open_ms[row]), *prices, float(hours.volume[row, asset]))
    return Hour(bar=bar, vol_index=index, funding_8h=funding)


def real(assets: list[str], first: str, last: str) -> Hours:
    """From the folder that MARGRAVE_DATA names."""
    from margrave.lab.court.history import read
    from margrave.lab.court.panel import panel_of

    whole = panel_of(read(recorded(), assets))
    edges = [np.datetime64(day, "ms").astype(np.int64) for day in (first, last)]
    begin, end = np.searchsorted(whole.open_ms, edges)
    return Grid(
        assets=whole.assets,
        **{f.name: getattr(whole, f.name)[begin:end] for f in fields(Grid) if f.name != "assets"},
    )
