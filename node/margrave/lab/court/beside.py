"""What was known beside the prices: implied volatility and funding, each value from the time at which it was known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from margrave.lab.court.tables import asset_of, by_instrument, floats
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_PERCENT: Final = 3.0
"""An implied volatility index around less than this is a fraction: nothing has ever been as calm as 3 % a year."""
STALE_FUNDING_MS: Final = 9 * HOUR_MS


@dataclass(slots=True)
class Known:
    """Values by the time at which they were known, ascending; each is stale after `stale_ms`."""

    times_ms: Ints
    values: Floats
    stale_ms: int

    def at(self, now_ms: Ints) -> Floats:
        """The last known at each time, NaN where that is stale."""
        if not len(self.times_ms):
            return np.full(len(now_ms), np.nan)
        place = np.searchsorted(self.times_ms, now_ms, side="right") - 1
        seen = self.values[np.maximum(place, 0)]
        fresh = (place >= 0) & (now_ms - self.times_ms[np.maximum(place, 0)] <= self.stale_ms)
        return np.where(fresh, seen, np.nan)


def implied(file: Path, column: str) -> Iterator[tuple[str, Known]]:
    """An index's values are candles by their opening: the close is known when they end."""
    for instrument, _, rows in by_instrument(pq.read_table(file), file.stem):
        times, values = _series(rows, column)
        if not len(times):
            continue
        step_ms = int(np.median(np.diff(times))) if len(times) > 1 else HOUR_MS
        unit = 100.0 if float(np.median(values)) >= LEAST_PERCENT else 1.0
        yield asset_of(instrument), Known(times + step_ms, values / unit, 2 * step_ms)


def fundings(file: Path) -> Iterator[tuple[str, Known]]:
    for instrument, _, rows in by_instrument(pq.read_table(file), file.stem):
        times, values = _series(rows, "funding_rate")
        if len(times):
            hours = float(np.median(np.diff(times))) / HOUR_MS if len(times) > 1 else 8.0
            yield asset_of(instrument), Known(times, values * 8.0 / min(max(round(hours), 1), 24), STALE_FUNDING_MS)


def _series(rows: pa.Table, column: str) -> tuple[Ints, Floats]:
    """(times, finite values), ascending; of repeated times the last."""
    rows = rows.filter(rows["ts"].is_valid())
    times = np.asarray(rows["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()), dtype=np.int64)
    values = floats(rows, column)
    kept = np.flatnonzero(np.isfinite(values))
    kept = kept[np.argsort(times[kept], kind="stable")]
    times, values = times[kept], values[kept]
    last = np.append(times[1:] != times[:-1], True)[: len(times)]
    return times[last], values[last]


def by_step(parts: Sequence[Known]) -> list[Known]:
    """The finest first, those of one step as one: a day's value stands in where there is no hour's."""
    steps = sorted({part.stale_ms for part in parts})
    return [merged([part for part in parts if part.stale_ms == step]) for step in steps]


def first_of(found: Sequence[Floats], hours: int) -> Floats:
    first = np.full(hours, np.nan)
    for values in found:
        first = np.where(np.isfinite(first), first, values)
    return first


def merged(parts: Sequence[Known]) -> Known:
    """All parts by time; of several at one time the median, because one venue's is that venue's."""
    if not parts:
        return Known(np.empty(0, dtype=np.int64), np.empty(0), 0)
    times = np.concatenate([part.times_ms for part in parts])
    values = np.concatenate([part.values for part in parts])
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    # venues settle within the same minute, not the same millisecond; all of it is known when the last has
    _, first = np.unique(times // 60_000, return_index=True)
    groups: list[Any] = np.split(values, first[1:])
    last = np.append(first[1:], len(times)) - 1
    return Known(times[last], np.array([float(np.median(g)) for g in groups if len(g)]), parts[0].stale_ms)
