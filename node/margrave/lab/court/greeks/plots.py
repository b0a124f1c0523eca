"""The greeks chamber's drawing, in the court's style."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np

from margrave.lab.court.greeks.against import DELTAS, TENORS_DAYS, Ratios, grid
from margrave.lab.court.plots import side_by_side, svg
from margrave.lab.demo.plots import AMBER, BLUE, INK

MOST_ASSETS: Final = 4
FULL_AT: Final = 0.5
"""Distance from one at which a shade is full."""


def by_bucket(found: Ratios, assets: Sequence[str]) -> str:
    """Ratio of variances of each bucket, assets side by side; blue is below one, amber above."""
    shown = assets[:MOST_ASSETS]
    figure, axes = side_by_side(len(shown), 2.3)
    deltas = [f"{low:.2g}-{high:.2g}" for low, high in itertools.pairwise(DELTAS)]
    tenors = [f"{low:g}-{high:g} d" for low, high in itertools.pairwise(TENORS_DAYS)]
    for axis, asset in zip(axes, shown, strict=True):
        cells = grid(found, asset)
        for row, column in np.ndindex(cells.shape):
            value = float(cells[row, column])
            if np.isfinite(value):
                colour = BLUE if value <= 1 else AMBER
                shade = min(abs(value - 1) / FULL_AT, 1.0)
                axis.fill_between(
                    [column, column + 1], row, row + 1, color=colour, alpha=0.05 + 0.7 * shade, linewidth=0
                )
                axis.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=INK, fontsize=6)
        axis.grid(False)
        axis.set_title(asset, loc="left", color=INK, fontsize=8)
        axis.set_xlim(0, cells.shape[1])
        axis.set_ylim(cells.shape[0], 0)
        axis.set_xticks(np.arange(len(tenors)) + 0.5, tenors)
        axis.set_yticks(np.arange(len(deltas)) + 0.5, deltas if axis is axes[0] else [""] * len(deltas))
        if axis is axes[0]:
            axis.set_ylabel("call delta")
    return svg(figure)
