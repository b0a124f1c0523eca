"""Where debts would be liquidated, told from prices alone: history shows who was liquidated, and of those who were not
only one day's snapshot.

The reconstruction is causal and has four numbers. Every hour a unit of debt is opened at that hour's price with a
health factor drawn from a lognormal law; it is liquidated at the price that takes its health to one; it is repaid with
a half-life. A low sweeps what it passes: those debts are liquidated or were topped up before. What remains below the
price, by distance, is what the inputs call the mass. It knows nothing of how much debt there is in all, and of what
accounts do to avert it: it is a clock of how long ago prices were last here, and says so on the card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

STEP: Final = 0.005
"""Of the grid, in log price."""
WARM_H: Final = 24 * 60
"""Hours before the reconstruction is believed: until then the first low sweeps everything."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How borrowers are taken to behave."""

    opened_at: float = 1.7
    """Median health factor when a debt is opened."""
    spread: float = 0.35
    """Standard deviation of its logarithm."""
    least: float = 1.05
    half_life_h: float = 24.0 * 60


def mass_below(close: Floats, low: Floats, edges: Floats, habits: Habits | None = None) -> Floats:
    """Share of all debt that would be liquidated by a fall to one of some health factors.

    Args:
        close, low: (hours,) of one asset, USD; NaN where it has no bar, and the book stands still.
        edges: (edges,) health factors, at least one, ascending.

    Returns:
        (hours, edges) shares of the debt with a health factor below each edge once the hour is over; NaN in the first
        `WARM_H` hours with a bar.
    """
    habits = habits or Habits()
    there = np.isfinite(close) & np.isfinite(low)
    found = np.full((len(close), len(edges)), np.nan)
    if there.sum() <= WARM_H:
        return found
    at = np.log(close)
    bottom = float(np.nanmin(np.log(low))) - math.log(habits.opened_at) - 4 * habits.spread
    grid = np.arange(bottom, float(np.nanmax(at)) + STEP, STEP)
    debt = np.zeros(len(grid))
    # the law on a grid of its own, laid under each hour's price to the nearest step
    depth = np.arange(0.0, math.log(habits.opened_at) + 4 * habits.spread, STEP)
    law = stats.norm.pdf(depth, math.log(habits.opened_at), habits.spread) * (depth >= math.log(habits.least))
    law = law[::-1] / law.sum()
    kept, reach = 0.5 ** (1.0 / habits.half_life_h), np.log(edges)
    lived = 0
    for row in np.flatnonzero(there):
        debt *= kept
        swept = int((math.log(low[row]) - bottom) / STEP)
        debt[swept + 1 :] = 0.0
        top = int((at[row] - bottom) / STEP) + 1
        debt[max(top - len(law), 0) : top] += law[-min(top, len(law)) :]
        lived += 1
        if lived > WARM_H:
            total = np.cumsum(debt)
            # of the step in which an edge lies, its part
            place = (at[row] - reach - bottom) / STEP
            below = np.interp(place, np.arange(len(grid)), total)
            found[row] = (total[-1] - below) / total[-1]
    return found
