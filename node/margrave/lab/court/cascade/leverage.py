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
from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class Told:
    """What prices alone tell of one asset's borrowers."""

    below: Floats
    """(hours, edges) share of the debt with a health factor below each edge, once the hour is over."""
    swept: Floats
    """(hours,) share of the debt that the hour's low passed."""


def told(close: Floats, low: Floats, edges: Sequence[float], habits: Habits | None = None) -> Told:
    """
    Args:
        close, low: (hours,) of one asset, USD; NaN where it has no bar, and the debts stand still.
        edges: health factors, at least one, ascending.

    Returns:
        NaN where there is no bar, and in the first `WARM_H` hours.
    """
    habits = habits or Habits()
    there = np.isfinite(close) & np.isfinite(low) & (low > 0)
    below, swept = np.full((len(close), len(edges)), np.nan), np.full(len(close), np.nan)
    if there.sum() <= WARM_H:
        return Told(below, swept)
    at, lowest = np.log(np.where(there, close, 1.0)), np.log(np.where(there, low, 1.0))
    furthest = math.log(habits.opened_at) + 4 * habits.spread
    bottom = float(lowest[there].min()) - furthest
    grid = np.arange(math.ceil((float(at[there].max()) - bottom) / STEP) + 2)
    # the law by distance below the price, nearest last, as it lies on the grid
    distance = np.arange(0.0, furthest, STEP)
    law = stats.norm.pdf(distance, math.log(habits.opened_at), habits.spread) * (distance >= math.log(habits.least))
    law = law[::-1] / law.sum()
    debt, kept, reach = np.zeros(len(grid)), 0.5 ** (1.0 / habits.half_life_h), np.log(np.asarray(edges))
    for lived, row in enumerate(np.flatnonzero(there)):
        debt *= kept
        passed = int((lowest[row] - bottom) / STEP) + 1
        gone, all_before = float(debt[passed:].sum()), float(debt.sum())
        debt[passed:] = 0.0
        top = int((at[row] - bottom) / STEP) + 1
        debt[max(top - len(law), 0) : top] += law[-min(top, len(law)) :]
        if lived >= WARM_H:
            total = np.cumsum(debt)
            still = np.interp((at[row] - reach - bottom) / STEP, grid, total)
            below[row] = (total[-1] - still) / total[-1]
            swept[row] = gone / all_before
    return Told(below, swept)


RESPONSE_HALF_LIFE_H: Final = 24.0 * 180
USUAL_RESPONSE: Final = 0.1
WORTH: Final = 0.02
"""Swept debt that the usual response counts as much as: a book of which little was seen yet answers like others."""


def response(swept: Floats, liquidated: Floats) -> Floats:
    """(hours,) what part of swept debt was really liquidated, of late, as known once each hour is over.

    What the reconstruction cannot know, how much is borrowed, how many top up in time, and what one call may seize, is
    read off what happened: liquidations over deposits, over swept debt, both fading with a half-life.

    Args:
        liquidated: (hours,) share of the book's deposits; NaN where nobody saw, and the response stands still.
    """
    kept = 0.5 ** (1.0 / RESPONSE_HALF_LIFE_H)
    found, seen = np.empty(len(swept)), np.isfinite(swept) & np.isfinite(liquidated)
    happened = expected = 0.0
    for row in range(len(swept)):
        if seen[row]:
            happened = happened * kept + float(liquidated[row])
            expected = expected * kept + float(swept[row])
        found[row] = (happened + USUAL_RESPONSE * WORTH) / (expected + WORTH)
    return found
