"""Breaks planted into a real past: from one hour on the market is another one, and by how much is known.

What came before the break stays as it was, so a model fitted before it meets the break as it would meet a real one:
with its filters full of the old regime.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.panel import COLUMNS, Panel

Floats = NDArray[np.float64]

_Change = Callable[[Floats, Floats], Floats]

PRICES = ("open", "high", "low", "close")


def louder(panel: Panel, row: int, factor: float) -> Panel:
    """Every log price move after `row`, inside hours and between them, times `factor`; of all assets at once."""
    return _moved(panel, row, lambda moves, _: moves * factor)


def leaning(panel: Panel, row: int, per_hour: Floats) -> Panel:
    """After `row` each asset's log price drifts by `per_hour`, (assets,), on top of what it did."""
    return _moved(panel, row, lambda moves, hours: moves + hours * per_hour)


def frozen(panel: Panel, row: int) -> Panel:
    """After `row` every bar repeats the close of `row`, without volume: a feed that stands still."""
    columns = {name: getattr(panel, name).copy() for name in COLUMNS}
    for name in PRICES:
        there = np.isfinite(columns[name][row + 1 :])
        columns[name][row + 1 :] = np.where(there, panel.close[row], np.nan)
    columns["volume"][row + 1 :] = np.where(np.isfinite(columns["volume"][row + 1 :]), 0.0, np.nan)
    return Panel(panel.open_ms, panel.assets, **columns)


def _moved(panel: Panel, row: int, change: _Change) -> Panel:
    """Log prices after `row`, counted from its close, through `change(moves, hours since)`."""
    columns = {name: getattr(panel, name) for name in COLUMNS}
    hours = np.arange(1, panel.hours - row, dtype=np.float64)[:, None]
    with np.errstate(invalid="ignore"):
        start = np.log(panel.close[row])
        for name in PRICES:
            later = start + change(np.log(columns[name][row + 1 :]) - start, hours)
            columns[name] = np.concatenate((columns[name][: row + 1], np.exp(later)))
    return Panel(panel.open_ms, panel.assets, **columns)
