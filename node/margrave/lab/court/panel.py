"""All assets on one hourly grid: what families are fitted on and asked from.

A matrix a column of bars, (hours, assets), NaN where an asset has no bar: filters then run over all assets at once, and
what one asset's forecast may use of the others lies beside it. Row t holds the hour that opens at `open_ms[t]`; it is
known at `open_ms[t]` + 1 h and not before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.history import Found, Stretch
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

KEPT: Final = 32
"""Derived things that a panel keeps: what the families of one leg share, and no leg's worth of memory more."""

Thing = TypeVar("Thing")

COLUMNS = ("open", "high", "low", "close", "volume", "dvol", "funding_8h")


@dataclass(frozen=True)
class Panel:
    """See the module. Frozen, and its arrays are not to be written to."""

    open_ms: Ints
    assets: tuple[str, ...]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    dvol: Floats
    """The asset's own implied volatility, fraction; NaN where it has none."""
    funding_8h: Floats

    @property
    def hours(self) -> int:
        return len(self.open_ms)

    @property
    def known_ms(self) -> Ints:
        return self.open_ms + HOUR_MS

    def upto(self, row: int) -> Panel:
        """The first `row` hours: what is known when the last of them is over."""
        return self.between(0, row)

    def between(self, first: int, end: int) -> Panel:
        """The hours of rows `first` to `end`, that one left out."""
        columns = {name: getattr(self, name)[first:end] for name in COLUMNS}
        return Panel(self.open_ms[first:end], self.assets, **columns)

    def once(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """What follows from this panel alone, made when it is first asked for; the last `KEPT` things are kept.

        Args:
            key: says what it is among all that anybody makes of a panel.
        """
        if key not in self._derived:
            self._derived[key] = make()
        self._derived.move_to_end(key)
        if len(self._derived) > KEPT:
            self._derived.popitem(last=False)
        return cast(Thing, self._derived[key])

    @cached_property
    def _derived(self) -> OrderedDict[Hashable, object]:
        return OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Another process is sent what there is to know, and derives the rest itself."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def since(self, row: int) -> Panel:
        """Without the first `row` hours."""
        return Panel(self.open_ms[row:], self.assets, **{name: getattr(self, name)[row:] for name in COLUMNS})

    def only(self, assets: Sequence[str]) -> Panel:
        places = [self.assets.index(asset) for asset in assets]
        columns = {name: getattr(self, name)[:, places] for name in COLUMNS}
        return Panel(self.open_ms, tuple(assets), **columns)

    @cached_property
    def log_return(self) -> Floats:
        """ln(close / previous close), NaN at the first hour of a stretch."""
        found = np.full(self.close.shape, np.nan)
        found[1:] = np.log(self.close[1:] / self.close[:-1])
        return found

    @cached_property
    def present(self) -> Flags:
        """Whether an asset has a bar."""
        return np.asarray(np.isfinite(self.close))

    @cached_property
    def age_h(self) -> Ints:
        """Bars since the last gap, this one included; 0 where there is none."""
        row = np.arange(1, self.hours + 1, dtype=np.int64)[:, None]
        return np.asarray(row - np.maximum.accumulate(np.where(self.present, 0, row), axis=0))

    def realised(self, horizon_h: int) -> Floats:
        """Sum of squared hourly log returns over the `horizon_h` hours after each row; NaN where one is missing."""
        return self.once(("realised", horizon_h), lambda: self._ahead(self.log_return**2, horizon_h))

    def outcome(self, horizon_h: int) -> Floats:
        """Log return over the `horizon_h` hours after each row."""
        return self.once(("outcome", horizon_h), lambda: self._ahead(self.log_return, horizon_h))

    def _ahead(self, hourly: Floats, horizon_h: int) -> Floats:
        total = np.full(hourly.shape, np.nan)
        if self.hours > horizon_h:
            windows = np.lib.stride_tricks.sliding_window_view(hourly[1:], horizon_h, axis=0)
            total[: self.hours - horizon_h] = windows.sum(axis=-1)
        total.flags.writeable = False
        return total


def panel_of(found: Found, *, least_hours: int = 0) -> Panel:
    """All stretches on one grid, assets by name; those with fewer hours in all than `least_hours` are left out.

    Raises:
        Fatal: nothing is left.
    """
    hours: dict[str, int] = {}
    for stretch in found.stretches:
        hours[stretch.asset] = hours.get(stretch.asset, 0) + len(stretch)
    assets = tuple(sorted(asset for asset, count in hours.items() if count >= least_hours))
    if not hours:
        raise Fatal("there are no bars", advice="point --data at a folder of Parquet files: ts, open, high, low, close")
    if not assets:
        raise Fatal(f"no asset has {least_hours} hours", advice="give a longer history, or judge shorter horizons")
    mine = [stretch for stretch in found.stretches if stretch.asset in assets]
    first = min(int(s.open_ms[0]) for s in mine)
    last = max(int(s.open_ms[-1]) for s in mine)
    open_ms = np.arange(first, last + HOUR_MS, HOUR_MS, dtype=np.int64)
    columns = {name: np.full((len(open_ms), len(assets)), np.nan) for name in COLUMNS}
    for stretch in mine:
        _lay(columns, stretch, assets.index(stretch.asset), (int(stretch.open_ms[0]) - first) // HOUR_MS)
    return Panel(open_ms, assets, **columns)


def no_panel() -> Panel:
    """Of a folder without bars: no hours and no assets."""
    return Panel(np.empty(0, dtype=np.int64), (), **{name: np.empty((0, 0)) for name in COLUMNS})


def _lay(columns: dict[str, Floats], stretch: Stretch, place: int, row: int) -> None:
    for name, column in columns.items():
        column[row : row + len(stretch), place] = getattr(stretch, name)
