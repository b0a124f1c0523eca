"""Scales that follow returns by one linear recursion, and the tails that are constants times such a scale.

    s[t] = constant + keep s[t - 1] + (down 1{r < 0} + up 1{r >= 0}) |r|^power        scale = s^(1 / power)

EWMA, GARCH and GJR-GARCH are this with power 2, the asymmetric CAViaR with power 1. It is linear in its inputs, so
one call of a C filter runs it over all bars of all phases of the clock.

A horizon of h hours is fitted on bars of h hours. Bars that end at any hour are answered: every phase of the clock is
a series of its own that the same parameters run over. Where a bar is missing the recursion is fed what leaves it at
its long-run level, so that it decays to that level over a gap and starts from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from margrave.lab.court.family import DOWN, LEVELS, UP, Tails
from margrave.lab.court.panel import Panel
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WINDOW: Final = {1: 6_000, 4: 3_000, 24: 1_500}
"""Bars of a fit by horizon: 250, 500 and 1500 days. A longer memory meets another market."""
LEAST_BARS: Final = 250
"""Fewer horizon bars than that fit nothing."""
LEAST_MOVES: Final = 0.5
"""Share of bars with a move that a series needs: one that stands still has no scale."""


@dataclass(frozen=True, slots=True)
class Recursion:
    """See the module. `level` is the long-run mean of s, where it starts and where gaps lead."""

    constant: float
    down: float
    up: float
    keep: float
    power: int
    level: float

    def after(self, returns: Floats) -> Floats:
        """The scale for the bar that follows each; bars on the first axis, shape of `returns`, NaN is a gap."""
        size = np.abs(returns) ** self.power
        fed = self.constant + np.where(returns < 0.0, self.down, self.up) * size
        fed = np.where(np.isfinite(returns), fed, (1.0 - self.keep) * self.level)
        start = np.full((1, *returns.shape[1:]), self.keep * self.level)
        s, _ = lfilter([1.0], [1.0, -self.keep], fed, axis=0, zi=start)
        return np.asarray(s ** (1.0 / self.power))

    def before(self, returns: Floats) -> Floats:
        """The scale that was forecast for each bar; (bars,)."""
        return np.concatenate(([self.level ** (1.0 / self.power)], self.after(returns)[:-1]))


@dataclass(frozen=True, slots=True)
class Side:
    """One tail: losses in units of the scale, (levels,), and the least that is ever said, in log return."""

    scale: Recursion
    var: Floats
    es: Floats
    least_var: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))
    least_es: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))


Sides = tuple[Side, Side]
FitBars = Callable[[Floats], Sides]
"""(bars of the horizon of one asset, oldest first, NaN at gaps) -> its two tails."""


def trailing(panel: Panel, horizon_h: int) -> Floats:
    """(hours, assets): the log return over the `horizon_h` hours that end with each row."""
    found = np.full(panel.close.shape, np.nan)
    if panel.hours > horizon_h:
        found[horizon_h:] = panel.outcome(horizon_h)[:-horizon_h]
    return found


def on_the_clock(panel: Panel, horizon_h: int) -> Ints:
    """Rows whose end is a whole multiple of the horizon in time: what models are fitted on and judged at."""
    return np.flatnonzero((panel.open_ms // HOUR_MS + 1) % horizon_h == 0)


def fit_bars(past: Panel, horizon_h: int) -> Floats:
    """(bars, assets): the last `WINDOW` bars of the horizon."""
    rows = on_the_clock(past, horizon_h)
    return trailing(past, horizon_h)[rows[-WINDOW.get(horizon_h, 1_500) :]]


def enough(bars: Floats) -> bool:
    """Whether one asset's bars can be fitted."""
    there = bars[np.isfinite(bars)]
    return len(there) >= LEAST_BARS and float((there != 0.0).mean()) >= LEAST_MOVES


@dataclass
class RecursiveModel:
    """Each asset by its own recursions; an asset that could not be fitted is answered with NaN.

    Horizons are fitted when first asked about, from the past alone.
    """

    past: Panel
    fit: FitBars
    fitted: dict[int, dict[str, Sides]] = field(default_factory=dict)

    def sides(self, horizon_h: int) -> dict[str, Sides]:
        if horizon_h not in self.fitted:
            bars = fit_bars(self.past, horizon_h)
            self.fitted[horizon_h] = {
                asset: self.fit(bars[:, place])
                for place, asset in enumerate(self.past.assets)
                if enough(bars[:, place])
            }
        return self.fitted[horizon_h]

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        var = np.full((len(rows), 2, len(LEVELS)), np.nan)
        es = var.copy()
        fitted = self.sides(horizon_h)
        bars = phased(trailing(panel, horizon_h), horizon_h)
        for place in np.unique(assets):
            sides = fitted.get(panel.assets[place])
            mine = np.flatnonzero(assets == place)
            if sides is None:
                continue
            for which in (DOWN, UP):
                side = sides[which]
                scale = side.scale.after(bars[:, :, place]).reshape(-1)[rows[mine], None]
                var[mine, which] = np.maximum(scale * side.var, side.least_var)
                es[mine, which] = np.maximum(scale * side.es, side.least_es)
        unknown = ~np.isfinite(panel.close[rows, assets])
        var[unknown], es[unknown] = np.nan, np.nan
        return Tails(var, es)


def phased(values: Floats, horizon_h: int) -> Floats:
    """(hours, assets) -> (bars, phases, assets): row t at [t // h, t % h], the end filled with NaN."""
    missing = -len(values) % horizon_h
    filled = np.concatenate((values, np.full((missing, values.shape[1]), np.nan)))
    return filled.reshape(-1, horizon_h, values.shape[1])


@dataclass(frozen=True)
class RecursiveFamily:
    """A family by the function that fits one asset's bars."""

    name: str
    fit_bars: FitBars
    least_hours: int = 24 * 30

    def fit(self, past: Panel) -> RecursiveModel:
        return RecursiveModel(past, self.fit_bars)
