"""Bars for tests: a seeded path with clustered volatility, and what can go wrong with it."""

from __future__ import annotations

import numpy as np

from margrave.messages import Bar, MarketSnapshot
from margrave.spans import HOUR_MS

START_MS = 1_700_000_000_000 // HOUR_MS * HOUR_MS


def bars(n: int = 720, seed: int = 1, price: float = 40_000.0, sigma: float = 0.006) -> tuple[Bar, ...]:
    """`n` gap-free hourly bars whose volatility drifts by a slow random walk, tails by a Student-t."""
    rng = np.random.default_rng(seed)
    level = sigma * np.exp(np.clip(np.cumsum(rng.normal(0, 0.05, n)), -1.5, 1.5))
    steps = level[:, None] * rng.standard_t(4, (n, 12)) / np.sqrt(24)
    path = price * np.exp(np.cumsum(steps.ravel()).reshape(n, 12))
    opens = np.concatenate([[price], path[:-1, -1]])
    highs, lows = np.maximum(path.max(axis=1), opens), np.minimum(path.min(axis=1), opens)
    volumes = 100 * np.exp(rng.normal(0, 0.4, n))
    rows = zip(opens, highs, lows, path[:, -1], volumes, strict=True)
    return tuple(Bar(START_MS + i * HOUR_MS, *map(float, row)) for i, row in enumerate(rows))


def snapshot(
    history: tuple[Bar, ...],
    market: str = "BTC",
    price: float | None = None,
    funding_8h: float | None = 1e-4,
    vol_index: float | None = 0.5,
) -> MarketSnapshot:
    """A guarded market with these bars; the index stands at the last close unless said."""
    return MarketSnapshot(
        market=market,
        price=price if price is not None else history[-1].close,
        sources=(),
        half_spread=None,
        depth_usd=None,
        perp_basis=None,
        funding_8h=funding_8h,
        open_interest_usd=None,
        vol_index=vol_index,
        collateral_ratio=None,
        bars=history,
        quotes=(),
        chain_age_s=None,
    )
