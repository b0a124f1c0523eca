"""Historical simulation: the quantiles of what happened, of every phase of the clock by its own bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.tails.ladder import RUNGS, ordered
from margrave.lab.court.families.tails.recursion import LEAST_BARS, trailing
from margrave.lab.court.family import LEVELS, Tails
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WINDOW: Final = 1_500
CHUNK: Final = 2_000
"""Pairs sorted at once: 24 MB."""


@dataclass(frozen=True)
class HistoricalSimulation:
    """Nothing is fitted: the last `WINDOW` bars of the horizon that end with the asked hour."""

    name: str = "historical_simulation"
    least_hours: int = 24 * 30

    def fit(self, past: Panel) -> HistoricalSimulation:  # noqa: ARG002 - nothing is fitted
        return self

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        returns = trailing(panel, horizon_h)
        var = np.full((len(rows), 2, len(LEVELS)), np.nan)
        es = var.copy()
        back = horizon_h * np.arange(WINDOW)
        for first in range(0, len(rows), CHUNK):
            pairs = slice(first, first + CHUNK)
            at = rows[pairs, None] - back
            seen = np.where(at >= 0, returns[np.maximum(at, 0), assets[pairs, None]], np.nan)
            for side, sign in enumerate((-1.0, 1.0)):
                var[pairs, side], es[pairs, side] = _of_rows(np.sort(sign * seen, axis=1))
        absent = ~np.isfinite(panel.close[rows, assets])
        var[absent], es[absent] = np.nan, np.nan
        return Tails(var, es)


def _of_rows(losses: Floats) -> tuple[Floats, Floats]:
    """`ladder.empirical` of each row, ascending with NaN last; rows with fewer than `LEAST_BARS` losses stay NaN."""
    counts = np.isfinite(losses).sum(axis=1)
    rank = np.clip((1.0 - RUNGS) * (counts[:, None] + 1.0), 1.0, np.maximum(counts, 1)[:, None]) - 1.0
    low = np.floor(rank).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0)[:, None])
    below = np.take_along_axis(losses, low, axis=1)
    var = below + (rank - low) * (np.take_along_axis(losses, high, axis=1) - below)
    excess = [np.nansum(np.maximum(losses - var[:, [k]], 0.0), axis=1) for k in range(len(RUNGS))]
    es = var + np.stack(excess, axis=1) / (np.maximum(counts, 1)[:, None] * RUNGS)
    var, es = ordered(var, es)
    few = (counts < LEAST_BARS) | ~((losses != 0.0) & np.isfinite(losses)).any(axis=1)
    var[few], es[few] = np.nan, np.nan
    return var, es
