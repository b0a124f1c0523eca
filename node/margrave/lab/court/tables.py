"""What every collection has in common: the clock, the names of instruments, and columns as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

QUOTES: Final = re.compile(r"[-_]?(USDT|USDC|BUSD|USD|PERP)$")


def asset_of(instrument: str) -> str:
    """`ETHUSDT`, `ETH-PERP`, `ETHUSD` -> `ETH`."""
    return QUOTES.sub("", instrument.upper()) or instrument.upper()


def by_instrument(table: pa.Table, stem: str) -> Iterator[tuple[str, str, pa.Table]]:
    key = "symbol" if "symbol" in table.column_names else "coin" if "coin" in table.column_names else None
    if key is None:
        yield stem, "", table
        return
    names = np.asarray(table[key].to_pylist(), dtype=object)
    venues = np.asarray(
        table["venue"].to_pylist() if "venue" in table.column_names else [""] * len(names), dtype=object
    )
    for name, venue in sorted({(str(n), str(v)) for n, v in zip(names, venues, strict=True)}):
        yield name, venue, table.filter(pa.array((names == name) & (venues == venue)))


def floats(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
