"""Whether a score means the same everywhere: what the reference straddle lost over what its price part said.

The price part is an expected shortfall at 1 %, so the mean of the worst 1 % of losses over it is one: in any market,
any year, and at any height of the score. Losses of every hour count, whose margin periods overlap: they say more than
those a margin period apart, though not four times as much.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.panel import Panel
from margrave.lab.court.score.told import Told, outcomes
from margrave.score import composite

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

TAIL: Final = 0.01
LEAST_H: Final = 4_380
"""Of a year of one market, before its ratio is one: half of it, with some forty hours in the tail."""
TENTHS: Final = 10
CHOSEN_BEFORE: Final = 2023
"""The published map of the price part was chosen on the years before."""
PEGGED: Final = 0.1
"""Of the middle score of all assets: what scores less in its middle is pegged to money, and nobody writes options on
it. It is shown and not counted."""


@dataclass(frozen=True, slots=True)
class Cell:
    asset: str
    year: int
    hours: int
    ratio: float
    pegged: bool


@dataclass(frozen=True, slots=True)
class Tenth:
    """Hours by the height of the price part."""

    said: float
    """Mean points."""
    found: float
    """Mean of the worst 1 % of losses, points."""
    ratio: float


@dataclass(frozen=True, slots=True)
class Part:
    """Hours of one part of the history, with the published map of the price part and without."""

    what: str
    hours: int
    mapped: float
    raw: float
    mapped_tenths: tuple[float, float]
    """Lowest and highest ratio of the tenths; `raw_tenths` the same without the map."""
    raw_tenths: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Calibrated:
    hours: int
    pooled: float
    """Of all hours of assets that are not pegged."""
    cells: tuple[Cell, ...]
    tenths: tuple[Tenth, ...]
    parts: tuple[Part, ...]

    @property
    def counted(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if not cell.pegged)


def calibrated(panel: Panel, told: Told, left_out: Collection[str] = ()) -> Calibrated | None:
    """`None` where no hour has both a score and an outcome.

    Args:
        left_out: assets that the map was not chosen by.
    """
    losses = outcomes(panel)
    over = losses / told.price
    there = np.isfinite(over)
    if not there.any():
        return None
    middle = np.array([np.median(told.price[rows, place]) for place, rows in enumerate(there.T) if rows.any()])
    least = PEGGED * float(np.median(middle))
    pegged = np.array([bool(rows.any() and np.median(told.price[rows, k]) < least) for k, rows in enumerate(there.T)])
    counted = there & ~pegged
    return Calibrated(
        hours=int(counted.sum()),
        pooled=worst(over[counted]),
        cells=tuple(_cells(panel, over, there, pegged)),
        tenths=_tenths(told.price[counted], losses[counted]) if counted.sum() >= TENTHS / TAIL else (),
        parts=tuple(_parts(panel, told.price, losses, counted, left_out)),
    )


def worst(values: Floats) -> float:
    """The mean of the largest 1 %; NaN of none."""
    if not len(values):
        return float("nan")
    count = max(round(TAIL * len(values)), 1)
    return float(np.partition(values, len(values) - count)[-count:].mean())


def years_of(panel: Panel) -> Ints:
    """(hours,) of the close of each."""
    return np.asarray(panel.known_ms.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970)


def _cells(panel: Panel, over: Floats, there: Flags, pegged: Flags) -> Iterator[Cell]:
    years = years_of(panel)
    for year in np.unique(years):
        rows = years == year
        for place, asset in enumerate(panel.assets):
            mine = over[rows, place][there[rows, place]]
            if len(mine) >= LEAST_H:
                yield Cell(asset, int(year), len(mine), worst(mine), bool(pegged[place]))


def _parts(panel: Panel, price: Floats, losses: Floats, counted: Flags, left_out: Collection[str]) -> Iterator[Part]:
    early, out = years_of(panel) < CHOSEN_BEFORE, np.array([asset in left_out for asset in panel.assets])
    for what, rows, columns in (
        (f"chosen by: before {CHOSEN_BEFORE}", early, ~out),
        (f"from {CHOSEN_BEFORE} on", ~early, ~out),
        (f"from {CHOSEN_BEFORE} on, assets left out", ~early, out),
    ):
        mine = counted & rows[:, None] & columns
        said, lost = price[mine], losses[mine]
        if len(said) < LEAST_H:
            continue
        raw = (said / composite.PRICE_SCALE) ** (1 / composite.PRICE_POWER)
        with_map, without = ([tenth.ratio for tenth in _tenths(points, lost)] for points in (said, raw))
        yield Part(
            what, len(said), worst(lost / said), worst(lost / raw),
            (min(with_map), max(with_map)), (min(without), max(without)),
        )  # fmt: skip


def _tenths(said: Floats, losses: Floats) -> tuple[Tenth, ...]:
    edges = np.quantile(said, np.arange(1, TENTHS) / TENTHS)
    of = np.searchsorted(edges, said, side="right")
    rows = [(said[of == place], losses[of == place]) for place in range(TENTHS)]
    return tuple(Tenth(float(points.mean()), worst(lost), worst(lost / points)) for points, lost in rows if len(points))


def falls(tenths: tuple[Tenth, ...]) -> int:
    """How often a higher tenth of the score lost less than the one below it."""
    found = [tenth.found for tenth in tenths]
    return sum(after < before for before, after in pairwise(found))
