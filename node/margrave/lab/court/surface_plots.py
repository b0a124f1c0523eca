"""The surface chamber's drawings, in the court's style."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.surface import cells
from margrave.lab.court.families.surface.valuing import Valued
from margrave.lab.court.plots import side_by_side, svg
from margrave.lab.demo.plots import AMBER, BLUE, GREY, INK, PAPER, RED

Floats = NDArray[np.float64]

MOST_POINTS = 600
COLOURS = (BLUE, AMBER, GREY, RED)


def by_cell(grids: Mapping[str, Floats], most_points: float) -> str:
    """RMSE of each hidden cell in volatility points, names side by side; darker is worse."""
    figure, axes = side_by_side(len(grids), 2.1)
    edges, moves = cells.TENORS_DAYS, cells.MOVES
    for axis, (name, found) in zip(axes, grids.items(), strict=True):
        for row, column in np.ndindex(found.shape):
            value = float(found[row, column])
            if np.isfinite(value):
                shade = min(value / most_points, 1.0)
                axis.fill_between(
                    [column, column + 1], row, row + 1, color=AMBER, alpha=0.08 + 0.8 * shade, linewidth=0
                )
                axis.text(column + 0.5, row + 0.5, f"{value:.1f}", ha="center", va="center", color=INK, fontsize=6)
        axis.set_title(name, loc="left", color=INK, fontsize=8)
        axis.set_xlim(0, found.shape[1])
        axis.set_ylim(found.shape[0], 0)
        axis.set_xticks(np.arange(1, len(moves) - 1), [f"{m:g}" for m in moves[1:-1]])
        labels = [f"{low:g}-{high:.0f} d" for low, high in itertools.pairwise(edges)]
        axis.set_yticks(np.arange(len(labels)) + 0.5, labels if axis is axes[0] else [""] * len(labels))
        axis.set_xlabel("standard moves from the forward")
    return svg(figure)


def by_share(lines: Mapping[str, Sequence[float]], kinds: Sequence[str], ours: str | None) -> str:
    """RMSE in volatility points by how much is hidden, a line a name; the scale is logarithmic."""
    figure, (axis,) = side_by_side(1, 2.4)
    for place, (name, values) in enumerate(lines.items()):
        colour = BLUE if name == ours else COLOURS[1 + place % 3]
        axis.plot(np.arange(len(kinds)), values, color=colour, marker="o", markersize=3.5, linewidth=1.2)
        axis.text(len(kinds) - 0.95, values[-1], name, color=colour, fontsize=7, va="center")
    axis.axhline(0.8, color=GREY, linewidth=0.8, linestyle=":")
    axis.set_yscale("log")
    axis.set_yticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
    axis.minorticks_off()
    axis.set_xticks(np.arange(len(kinds)), list(kinds))
    axis.set_xlim(-0.3, len(kinds) + 0.8)
    axis.set_ylabel("vol points")
    return svg(figure)


def values(found: Valued) -> str:
    """Error of each fair volatility against its quote's half spread: inside the wedge we are between bid and ask."""
    figure, (axis,) = side_by_side(1, 2.4)
    shown = slice(None, None, max(len(found) // MOST_POINTS, 1))
    half, error = found.spread_points[shown] / 2, found.error_points[shown]
    most = float(np.quantile(half, 0.99)) + 0.1
    inside = np.abs(error) <= half
    for chosen, colour in ((inside, BLUE), (~inside, AMBER)):
        axis.plot(half[chosen], error[chosen], ".", color=colour, markersize=2.5, alpha=0.6)
    axis.fill_between([0, most], [0, -most], [0, most], color=GREY, alpha=0.15, linewidth=0)
    axis.axhline(0, color=PAPER, linewidth=0.6)
    axis.set_xlim(0, most)
    axis.set_ylim(-most, most)
    axis.set_xlabel("half the spread, vol points")
    axis.set_ylabel("ours less mid")
    return svg(figure)


def ahead(ratios: Mapping[str, Mapping[str, float]], ours: str | None) -> str:
    """RMSE over the last surface's, a column a quantity and horizon, a row a forecaster."""
    figure, axes = side_by_side(len(ratios), 1.9)
    names = list(next(iter(ratios.values())))
    for axis, (title, row) in zip(axes, ratios.items(), strict=True):
        for place, name in enumerate(names):
            value = row.get(name, float("nan"))
            if np.isfinite(value):
                axis.plot([value], [place], color=BLUE if name == ours else GREY, marker="o", markersize=4.2)
        axis.axvline(1.0, color=GREY, linewidth=0.8)
        axis.set_title(title, loc="left", color=INK, fontsize=8)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_yticks(np.arange(len(names)), names if axis is axes[0] else [""] * len(names))
        axis.locator_params(axis="x", nbins=3)
    return svg(figure)
