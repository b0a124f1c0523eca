"""What several venues said of one coin at the same time, as ten-minute bars, out of public history.

The folders are those of the research data: `ohlcv_7venues_2025_2026`, `funding_7venues_2025_2026` and
`open_interest_7venues_2025_2026` (five venues have candles at any time). Candles are hourly; each hour becomes six
prices by walking open, first extreme, second extreme, close in straight lines, the low first where the hour rose. All
venues walk the same way, the median's, so that what parts them is what parted them at those four prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.messages import Bar
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BAR_MS: Final = 600_000
STEPS: Final = HOUR_MS // BAR_MS
HISTORY_H: Final = 210
"""Hourly candles before a run: what the guard wants, and some."""
OKX_CONTRACT: Final[Mapping[str, float]] = {"BTC": 0.01, "ETH": 0.1, "SOL": 1.0, "DOGE": 1_000.0, "HYPE": 0.1}
"""Coins in a contract, which is what its volumes count."""
HOURLY_FUNDING: Final = frozenset({"hyperliquid", "kraken", "dydx", "lighter"})
DEPTH_SHARE: Final = 0.01
"""Depth within 1 % of the mid as a share of a day's volume: no depth is in these data."""


@dataclass(frozen=True, slots=True)
class Tape:
    """One coin. Hours n, venues v: candles have shape (n, v, 5), open, high, low, close, volume in USD; NaN where a
    venue said nothing. Funding (n,) is a fraction per 8 hours, open interest (n,) USD, as they stood at each close."""

    coin: str
    opened_ms: Ints
    venues: tuple[str, ...]
    candles: Floats
    funding: Mapping[str, Floats]
    open_interest: Mapping[str, Floats]

    def complete(self, first: int, hours: int) -> tuple[int, ...]:
        """Columns of the venues that have every hour of a stretch and of the history before it."""
        part = self.candles[first - HISTORY_H : first + hours]
        return tuple(int(i) for i in np.flatnonzero(np.isfinite(part).all(axis=(0, 2))))

    def hour_of(self, time_ms: int) -> int:
        return int(np.searchsorted(self.opened_ms, time_ms))


def load(data: Path, coin: str) -> Tape:
    """Raises `Fatal` where the data are not there."""
    candles = _table(data / "ohlcv_7venues_2025_2026" / "candles.parquet", coin)
    venues = tuple(sorted(set(candles["venue"].tolist())))
    times = np.unique(candles["ts"])
    cube = np.full((len(times), len(venues), 5), np.nan)
    rows, columns = np.searchsorted(times, candles["ts"]), np.searchsorted(venues, candles["venue"])
    for k, name in enumerate(("open", "high", "low", "close", "volume")):
        cube[rows, columns, k] = candles[name]
    if "okx" in venues:
        cube[:, venues.index("okx"), 4] *= OKX_CONTRACT[coin]
    cube[:, :, 4] *= cube[:, :, 3]
    funding = _table(data / "funding_7venues_2025_2026" / "funding.parquet", coin)
    interest = _table(data / "open_interest_7venues_2025_2026" / "open_interest.parquet", coin)
    rates = _standing(funding, "funding_rate", times)
    return Tape(
        coin=coin,
        opened_ms=times,
        venues=venues,
        candles=cube,
        funding={who: rate * (8.0 if who in HOURLY_FUNDING else 1.0) for who, rate in rates.items()},
        open_interest=_standing(interest, "oi_usd", times),
    )


def single(opened_ms: Ints, candles: Floats, coin: str, like: Tape) -> Tape:
    """One venue's history as five: its candles with the others' real distances from their median, hour by hour.

    For crashes from before several venues' candles were at hand. What `like` lends is how far venues lie apart.
    """
    columns = like.complete(HISTORY_H, len(like.opened_ms) - HISTORY_H)
    apart = like.candles[:, columns, 3] / np.median(like.candles[:, columns, 3], axis=1)[:, None]
    rows = np.arange(len(opened_ms)) % len(apart)
    cube = np.repeat(candles[:, None, :], len(columns), axis=1)
    cube[:, :, :4] *= apart[rows][:, :, None]
    cube[:, :, 4] *= cube[:, :, 3] / len(columns)
    return Tape(coin, opened_ms, tuple(like.venues[i] for i in columns), cube, {}, {})


def walked(candles: Floats) -> Floats:
    """Six prices an hour, shape (6 n, v), from hourly candles (n, v, 5): the last of each six is the close.

    Time is spent in proportion to the way that the median venue goes, so that an hour that opens at its low does not
    stand still there.
    """
    open_, high, low, close = (candles[:, :, k] for k in range(4))
    rose = (np.median(close, axis=1) >= np.median(open_, axis=1))[:, None]
    points = np.stack([open_, np.where(rose, low, high), np.where(rose, high, low), close], axis=1)
    lengths = np.abs(np.diff(np.log(np.median(points, axis=2)), axis=1)) + 1e-12
    reached = np.concatenate([np.zeros((len(points), 1)), np.cumsum(lengths, axis=1)], axis=1)
    reached /= reached[:, -1:]
    path = np.empty((len(points), STEPS, points.shape[2]))
    for k in range(STEPS):
        share = (k + 1) / STEPS
        leg = np.minimum((reached[:, 1:3] < share).sum(axis=1), 2)
        hours = np.arange(len(points))
        along = (share - reached[hours, leg]) / (reached[hours, leg + 1] - reached[hours, leg])
        path[:, k] = points[hours, leg] + along[:, None] * (points[hours, leg + 1] - points[hours, leg])
    path[:, -1] = close
    return path.reshape(-1, points.shape[2])


def bars_of(opened_ms: Ints, candles: Floats) -> tuple[Bar, ...]:
    """One venue's candles, shape (n, 5), as the guard reads them."""
    return tuple(Bar(t, *row) for t, row in zip(opened_ms.tolist(), candles.tolist(), strict=True))


def _table(path: Path, coin: str) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise Fatal(f"no {path}", advice="set MARGRAVE_DATA to the folder with the market history")
    table = pq.read_table(path)
    table = table.filter(pc.equal(table["coin"], coin)).sort_by("ts")
    found = {name: table[name].to_numpy() for name in table.column_names}
    found["ts"] = found["ts"].astype("datetime64[ms]").astype(np.int64)
    if "venue" in found:
        found["venue"] = np.array(found["venue"].tolist())
    return found


def _standing(table: Mapping[str, NDArray[np.generic]], column: str, times: Ints) -> dict[str, Floats]:
    """Each source's last figure at every hour's close; NaN before its first."""
    found = {}
    for who in sorted(set(table["venue"].tolist())):
        own = table["venue"] == who
        at = np.searchsorted(table["ts"][own], times + HOUR_MS, side="right") - 1
        values = table[column][own].astype(np.float64)
        found[str(who)] = np.where(at >= 0, values[np.maximum(at, 0)], np.nan)
    return found
