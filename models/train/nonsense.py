"""Feeds that lie, planted into real hours: what an unlike-training score is there to catch.

Each takes a panel that ends with the last true hour plus `hours` more, and returns it with one asset's last `hours`
made false. What no score of scale-free inputs can see is not planted: a feed that was in other units all along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.lab.court.panel import COLUMNS, Panel

Floats = npt.NDArray[np.float64]
Columns = dict[str, Floats]
"""By name, (hours, assets), to be written to."""
PRICES: Final = ("open", "high", "low", "close")


def _prices(columns: Columns, rows: slice, asset: int, factor: float | Floats) -> None:
    for name in PRICES:
        columns[name][rows, asset] *= factor


def frozen(columns: Columns, rows: slice, asset: int) -> None:
    """Every bar repeats the last true close."""
    close = columns["close"][rows.start - 1, asset]
    for name in PRICES:
        columns[name][rows, asset] = close


def cents(columns: Columns, rows: slice, asset: int) -> None:
    """Prices in cents from one hour on."""
    _prices(columns, rows, asset, 100.0)


def volume_in_contracts(columns: Columns, rows: slice, asset: int) -> None:
    columns["volume"][rows, asset] *= 1000.0


def funding_in_percent(columns: Columns, rows: slice, asset: int) -> None:
    columns["funding_8h"][rows, asset] = np.nan_to_num(columns["funding_8h"][rows, asset], nan=1e-4) * 100.0


def implied_in_percent(columns: Columns, rows: slice, _: int) -> None:
    """Volatility indices in percent instead of fractions, for everybody: most assets have none of their own."""
    columns["dvol"][rows] *= 100.0


def swapped(columns: Columns, rows: slice, asset: int) -> None:
    """Another asset's bars under this one's name."""
    other = (asset + 1) % columns["close"].shape[1]
    for name in (*PRICES, "volume"):
        columns[name][rows, asset] = columns[name][rows, other]


def spiked(columns: Columns, rows: slice, asset: int) -> None:
    """One hour whose high is a quarter too high, and every sixth hour after it again."""
    columns["high"][rows.start : rows.stop : 6, asset] *= 1.25


def bouncing(columns: Columns, rows: slice, asset: int) -> None:
    """Closes that jump between two venues a per cent apart."""
    length = rows.stop - rows.start
    apart = np.where(np.arange(length) % 2 == 0, 1.01, 0.99)
    for name in ("close", "open"):
        columns[name][rows, asset] *= apart
        apart = -(apart - 1.0) + 1.0
    columns["high"][rows, asset] *= 1.011
    columns["low"][rows, asset] *= 0.989


NONSENSE: Final[Mapping[str, Callable[[Columns, slice, int], None]]] = {
    "frozen": frozen,
    "cents": cents,
    "volume in contracts": volume_in_contracts,
    "funding in percent": funding_in_percent,
    "implied volatility in percent": implied_in_percent,
    "another asset's bars": swapped,
    "spiked highs": spiked,
    "bouncing closes": bouncing,
}


def planted(panel: Panel, kind: str, asset: int, hours: int) -> Panel:
    """The panel with its last `hours` of one asset made false."""
    columns = {name: getattr(panel, name).copy() for name in COLUMNS}
    NONSENSE[kind](columns, slice(panel.hours - hours, panel.hours), asset)
    return Panel(panel.open_ms, panel.assets, **columns)
