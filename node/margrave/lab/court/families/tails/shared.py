"""One asymmetric recursion for all assets: ES-CAViaR whose parameters no market has to be fitted for.

    s = level sqrt(h) + (1 - keep) sum over i < N of keep^i (down r-[i] + up r+[i])

over the last N bars of h hours in 672, r- and r+ the sizes of falls and rises; the level is the mean size of an hour's
return in the same 672 hours. So a market is known from the returns that a node holds, and a sum of products is all that
its graph computes. keep, down and up by the joint loss (`deep`), one set for each side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.signal import lfilter

from margrave.lab.court.families.tails.deep import depth
from margrave.lab.court.families.tails.recursion import phased, trailing
from margrave.lab.court.panel import Panel
from margrave.score.features.measures import trailing_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEEN_H: Final = 672
KEEPS: Final = (0.6, 0.7, 0.8, 0.88, 0.94)
MOST_PAIRS: Final = 30_000
BOUNDS: Final = (-9.0, 4.0)
"""Of the logs of down and up."""


@dataclass(frozen=True, slots=True)
class Shape:
    keep: float
    down: float
    up: float


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one horizon and keep, (hours, assets) each: level sqrt(h), and the two sums. NaN where 672 hours are not
    whole."""

    level: Floats
    falls: Floats
    rises: Floats

    def scale(self, shape: Shape, rows: Ints, assets: Ints) -> Floats:
        falls, rises = shape.down * self.falls[rows, assets], shape.up * self.rises[rows, assets]
        return np.asarray(self.level[rows, assets] + falls + rises)


def seen_of(panel: Panel, horizon_h: int, keep: float) -> Seen:
    """Made once for both sides."""
    return panel.once(("news", horizon_h, keep), lambda: _seen_of(panel, horizon_h, keep))


def _seen_of(panel: Panel, horizon_h: int, keep: float) -> Seen:
    bars = phased(trailing(panel, horizon_h), horizon_h)
    count = SEEN_H // horizon_h
    level = np.sqrt(horizon_h) * trailing_mean(np.abs(panel.log_return), SEEN_H)
    sums = []
    for size in (np.where(bars < 0, -bars, 0.0), np.where(bars > 0, bars, 0.0)):
        total = lfilter([1.0 - keep], [1.0, -keep], size, axis=0)
        # what is older than the window is taken out again
        total[count:] -= keep**count * total[:-count]
        sums.append(total.reshape(-1, bars.shape[2])[: panel.hours])
    there = np.isfinite(level) & (level > 0)
    return Seen(*(np.where(there, part, np.nan) for part in (level, *sums)))


def fitted(panel: Panel, outcome: Floats, rows: Ints, assets: Ints, horizon_h: int, sign: float) -> Shape | None:
    """
    Args:
        outcome: (pairs,) log returns that followed (rows, assets).
        sign: -1 fits falls, 1 rises.
    """
    some = np.linspace(0, len(rows) - 1, min(len(rows), MOST_PAIRS)).astype(np.int64)
    rows, assets, losses = rows[some], assets[some], sign * outcome[some]
    best: tuple[float, Shape] | None = None
    for keep in KEEPS:
        seen = seen_of(panel, horizon_h, keep)
        parts = np.stack([part[rows, assets] for part in (seen.falls, seen.rises)], axis=1)
        level = seen.level[rows, assets]
        there = np.isfinite(level)
        if not there.any():
            return None
        parts, z = parts[there] / level[there, None], losses[there] / level[there]
        found = optimize.minimize(
            _loss, np.zeros(2), (parts, z), jac=True, method="L-BFGS-B", bounds=[BOUNDS] * 2, options={"ftol": 1e-7}
        )
        if best is None or found.fun < best[0]:
            best = float(found.fun), Shape(keep, *(float(value) for value in np.exp(found.x)))
    return best[1] if best else None


def _loss(logs: Floats, parts: Floats, z: Floats) -> tuple[float, Floats]:
    moved = parts * np.exp(logs)
    scale = 1.0 + moved.sum(axis=1)
    value, tail, pull = depth(z / scale)
    slopes = moved / scale[:, None]
    return value + float(np.log(scale).mean()), slopes.mean(axis=0) - pull @ slopes[tail]
