"""The price at half past, which no hourly bar tells: of finer bars that lie in the same folder and agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from margrave.lab.court.history import PRICES, Stretch
from margrave.lab.court.tables import asset_of, by_instrument, floats
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HALF_MS: Final = HOUR_MS // 2
AGREE: Final = 1e-3
"""Log price: two series whose hours close further apart are not of one thing, and a move from one to the other none."""


def half_past(folder: Path, stretches: Sequence[Stretch]) -> list[Floats]:
    """Of each stretch (hours,): the price half an hour after each hour's opening, NaN where nobody tells it.

    A file that cannot be read is passed over: the court says so of bars.
    """
    found = [np.full(len(stretch), np.nan) for stretch in stretches]
    wanted = {stretch.asset for stretch in stretches}
    for file in sorted(folder.rglob("*.parquet")):
        try:
            names = set(pq.read_schema(file).names)
            if not {"ts", "volume", *PRICES} <= names:
                continue
            table = pq.read_table(file, columns=["ts", "close", *sorted({"venue", "symbol", "coin"} & names)])
            finer = [
                (asset_of(instrument), *_closes(rows))
                for instrument, _, rows in by_instrument(table, file.stem)
                if asset_of(instrument) in wanted
            ]
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        for asset, times, closes in finer:
            for place, stretch in enumerate(stretches):
                if stretch.asset == asset:
                    found[place] = np.where(np.isfinite(found[place]), found[place], _of(stretch, times, closes))
    return found


def _closes(rows: pa.Table) -> tuple[Ints, Floats]:
    """When each bar ended, ascending, and its close; nothing of bars that do not make half hours."""
    rows = rows.filter(rows["ts"].is_valid())
    times = np.asarray(rows["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()), dtype=np.int64)
    times, last = np.unique(times[::-1], return_index=True)
    step_ms = int(np.median(np.diff(times))) if len(times) > 1 else 0
    if step_ms < 1 or HALF_MS % step_ms:
        return times[:0], np.empty(0)
    return times + step_ms, floats(rows, "close")[::-1][last]


def _of(stretch: Stretch, ends: Ints, closes: Floats) -> Floats:
    """Where the finer bars close the hour as the stretch does, and the half hour lies in the hour's range."""
    if not len(ends):
        return np.full(len(stretch), np.nan)
    half, whole = (_at(stretch.open_ms + after, ends, closes) for after in (HALF_MS, HOUR_MS))
    agree = np.abs(whole / stretch.close - 1) <= AGREE
    inside = (half >= stretch.low * (1 - AGREE)) & (half <= stretch.high * (1 + AGREE))
    return np.where(agree & inside, half, np.nan)


def _at(times: Ints, ends: Ints, closes: Floats) -> Floats:
    place = np.minimum(np.searchsorted(ends, times), len(ends) - 1)
    return np.where(ends[place] == times, closes[place], np.nan)
