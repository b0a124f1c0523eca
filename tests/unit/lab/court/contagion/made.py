"""A small folder in the layouts that the contagion chamber knows: positions, liquidations, a history, a pool."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
STAMP = pa.timestamp("ms", tz="UTC")
COINS = ("AAA", "BBB", "CCC", "DDD", "EEE")
DEBTS = ("USDC", "DAI", "USDT")


def table(folder: Path, name: str, columns: dict[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder / f"{name}.parquet"


def positions(folder: Path) -> None:
    """Three accounts on ten, five and one coin of 100 USD; the third owes more than it shows."""
    table(
        folder / "positions",
        "open",
        {
            "account": ["a", "a", "b", "c"],
            "collateral_symbol": ["wBTC", "wBTC", "wBTC", "wBTC"],
            "version": ["V3"] * 4,
            "borrowed_symbol": ["USDC", "DAI", "USDC", "USDC"],
            "borrow_balance_tokens": [400.0, 200.0, 100.0, 500.0],
            "btc_collateral_tokens": [10.0, 10.0, 5.0, 1.0],
        },
    )
    days = [MONDAY + timedelta(days=day) for day in (0, 1)]
    table(folder / "positions", "prices", {"date": days, "symbol": ["WBTC"] * 2, "price_usd": [90.0, 100.0]})


def liquidations(folder: Path, weeks: int = 30, seed: int = 4) -> None:
    """Some pairs nearly always, others now and then, more of them in busy weeks."""
    rng = np.random.default_rng(seed)
    pairs = [(a, b) for a in COINS for b in DEBTS]
    usual = np.array([0.9 if place % 4 == 0 else 0.15 for place in range(len(pairs))])
    rows = []
    for week in range(weeks):
        busy = 0.6 if week % 5 else 1.6
        for place, (a, b) in enumerate(pairs):
            if rng.random() < min(usual[place] * busy, 1.0):
                when = MONDAY + timedelta(weeks=week, hours=int(rng.integers(160)))
                rows.append((a, b, f"user{int(rng.integers(12))}", when, float(rng.lognormal(8, 1)) * 1e18))
    rows = [rows[int(place)] for place in rng.permutation(len(rows))]
    table(
        folder / "liquidations",
        "all",
        {
            "collateralReserve": [r[0] for r in rows],
            "principalReserve": [r[1] for r in rows],
            "user": [r[2] for r in rows],
            "ts": pa.array([r[3] for r in rows], STAMP),
            "amountUSDCollateral": [r[4] for r in rows],
        },
    )


def account(folder: Path) -> None:
    table(
        folder / "histories",
        "0x01_details",
        {
            "timestamp": [1, 2],
            "WETH_collateral (in USD)": [100.0, 120.0],
            "DAI_debt (in USD)": [60.0, 0.0],
            "totalCollateral (in USD)": [100.0, 120.0],
            "totalDebt (in USD)": [60.0, 0.0],
        },
    )


def pool(folder: Path) -> None:
    told = {
        "name": "two dollars",
        "tokens": [{"symbol": "USDC", "decimals": 6}, {"symbol": "DAI", "decimals": 18}],
        "balances": [5_000_000, 7 * 10**18],
    }
    (folder / "pools").mkdir(parents=True, exist_ok=True)
    (folder / "pools" / "pool.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "pools" / "broken.json").write_text("{", encoding="utf-8")


def prices(folder: Path, broken_h: int | None = 36 * 24, hours: int = 42 * 24) -> None:
    """A dollar that breaks, a coin that dies with it, and three that follow; irregular minutes, in no order."""
    rng = np.random.default_rng(8)
    common = 0.004 * rng.standard_t(4, size=hours)
    after = np.clip((np.arange(hours) - (broken_h or hours)) / 72, 0, 1)
    series = {"UUU": 1 + 0.002 * rng.standard_normal(hours) - 0.7 * after}
    for place, name in enumerate(COINS[:4]):
        own = 0.003 * rng.standard_t(4, size=hours)
        falls = (2.5 if place == 0 else 0.3) * after
        series[name] = 50 * np.exp(np.cumsum(common + own) - falls)
    stamps, symbols, values = [], [], []
    for name, close in series.items():
        for hour, value in enumerate(close):
            stamps.append(MONDAY + timedelta(hours=hour, minutes=int(rng.integers(60))))
            symbols.append(name)
            values.append(float(value))
    order = rng.permutation(len(stamps))
    table(
        folder / "prices",
        "hourly",
        {
            "ts": pa.array([stamps[int(i)] for i in order], STAMP),
            "symbol": [symbols[int(i)] for i in order],
            "price_usd": pa.array([values[int(i)] for i in order], pa.float32()),
        },
    )
