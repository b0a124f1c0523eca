"""HAR: the next hours' variance as a line in the means of hours, days, weeks and months behind (Corsi 2009).

One regression an asset and horizon, weighted least squares with the square of the forecast as the errors' scale
(Patton and Sheppard 2015). Four forms stand before the court:

* HAR-WLS: squared returns only;
* log-HAR: logarithms of range variances, brought back to the mean of squared returns;
* LHAR+IV: with the negative returns behind (Corsi and Reno 2012) and implied variance;
* diurnal LHAR-IV: the same on range variance after division by the hour-of-week factor: the strongest baseline. It
  knows the week, and nothing of scheduled releases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.volatility import measures
from margrave.lab.court.family import HORIZONS_H, Ints
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]

WINDOWS_H: Final = (1, 4, 24, 168, measures.LEVEL_H)
LOSS_WINDOWS_H: Final = (1, 24, 168)
TRAIN_H: Final = 17_520
LEAST_ROWS: Final = 1_000
RIDGE: Final = 1e-6
NARROWEST, WIDEST = 0.1, 10.0
"""A forecast stays within these multiples of the first guess, the plain mean of the windows."""
NO_LESS: Final = 1e-6
"""Variances below this multiple of the level count as it where a logarithm is taken."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one form looks at; (hours, assets), or (hours, assets, columns)."""

    guess: Floats
    """Variance an hour, before the line: the scale that everything is divided by."""
    columns: Floats
    implied: Floats
    """Of the guess; NaN where nobody has an index."""
    factors: measures.WeekTable | None


@dataclass(frozen=True, slots=True)
class Line:
    """weights (columns,) on what is divided by the guess; `level` brings the mean to that of squared returns."""

    weights: Floats
    level: float

    def of(self, columns: Floats, *, log: bool) -> Floats:
        said = columns @ self.weights
        said = np.exp(said) if log else said
        return np.asarray(self.level * np.clip(said, NARROWEST, WIDEST))


@dataclass(frozen=True, slots=True)
class Har:
    name: str
    ranges: bool = False
    log: bool = False
    leverage: bool = False
    implied: bool = False
    diurnal: bool = False
    least_hours: int = measures.LEVEL_H + LEAST_ROWS + max(HORIZONS_H)

    def fit(self, past: Panel) -> HarModel:
        inputs = self.inputs_of(past)
        lines: dict[tuple[str, int, bool], Line] = {}
        for horizon_h in HORIZONS_H:
            target = self._target(past, inputs, horizon_h)
            calibration = self._share(past, inputs, past.realised(horizon_h), horizon_h)
            for place, asset in enumerate(past.assets):
                for with_implied in (False, True) if self.implied else (False,):
                    line = self._line(inputs, target[:, place], calibration[:, place], place, with_implied)
                    if line is not None:
                        lines[asset, horizon_h, with_implied] = line
        return HarModel(self, lines)

    def inputs_of(self, panel: Panel) -> Inputs:
        """Made once for all horizons."""
        return panel.once(("har inputs", self), lambda: self.inputs(panel))

    def inputs(self, panel: Panel) -> Inputs:
        hourly = measures.range_variance(panel) if self.ranges else panel.log_return**2
        returns, factors = panel.log_return, None
        if self.diurnal:
            factors = measures.WeekTable(panel, hourly, scheduled=False)
            hourly, returns = hourly / factors.now, returns / factors.now**0.5
        means = np.stack([measures.trailing_mean(hourly, window) for window in WINDOWS_H], axis=-1)
        guess = np.maximum(means[..., 1:].mean(axis=-1), np.finfo(float).tiny)
        columns = [means[..., place] / guess for place in range(len(WINDOWS_H))]
        if self.log:
            columns = [np.ones_like(guess), *(np.log(np.maximum(column, NO_LESS)) for column in columns)]
        if self.leverage:
            for window in LOSS_WINDOWS_H:
                mean = measures.trailing_mean(returns, window)
                columns.append(np.minimum(mean, 0.0) ** 2 * window / guess)
        return Inputs(guess, np.stack(columns, axis=-1), measures.implied_hourly(panel) / guess, factors)

    def _target(self, past: Panel, inputs: Inputs, horizon_h: int) -> Floats:
        """The variance of the hours ahead over the guess; the range's where the form measures ranges."""
        if not self.ranges:
            return self._share(past, inputs, past.realised(horizon_h), horizon_h)
        ranges = measures.range_variance(past)
        total = np.full(ranges.shape, np.nan)
        if past.hours > horizon_h:
            total[:-horizon_h] = horizon_h * measures.trailing_mean(ranges, horizon_h)[horizon_h:]
        return self._share(past, inputs, total, horizon_h)

    def _share(self, past: Panel, inputs: Inputs, total: Floats, horizon_h: int) -> Floats:
        return np.asarray(total / (inputs.guess * self.span(inputs, np.arange(past.hours), horizon_h)))

    @staticmethod
    def span(inputs: Inputs, rows: Ints, horizon_h: int) -> Floats:
        """How many usual hours the next hours are worth, (rows, assets)."""
        if inputs.factors is None:
            return np.full((len(rows), inputs.guess.shape[1]), float(horizon_h))
        return inputs.factors.ahead(rows, horizon_h)

    def _line(self, inputs: Inputs, target: Floats, realised: Floats, place: int, with_implied: bool) -> Line | None:
        columns = self._columns(inputs, place, with_implied)[-TRAIN_H:]
        target, realised = target[-TRAIN_H:], realised[-TRAIN_H:]
        whole = np.isfinite(columns).all(axis=1) & np.isfinite(target) & np.isfinite(realised)
        if int(whole.sum()) < LEAST_ROWS or not np.any(realised[whole]):
            return None
        x, y = columns[whole], target[whole]
        if self.log:
            y = np.log(np.maximum(y, NO_LESS))
        first = _solved(x, y, np.ones(len(y)))
        weights = first if self.log else _solved(x, y, 1.0 / np.clip(x @ first, NARROWEST, WIDEST) ** 2)
        said = Line(weights, 1.0).of(x, log=self.log)
        return Line(weights, float(np.mean(realised[whole] / said)))

    def _columns(self, inputs: Inputs, place: int, with_implied: bool) -> Floats:
        columns = inputs.columns[:, place]
        if not with_implied:
            return columns
        implied = inputs.implied[:, place, None]
        return np.concatenate((columns, np.log(implied) if self.log else implied), axis=1)


@dataclass(frozen=True, slots=True)
class HarModel:
    family: Har
    lines: Mapping[tuple[str, int, bool], Line]
    """By asset, horizon and whether implied variance is looked at."""

    def variance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        family, inputs = self.family, self.family.inputs_of(panel)
        found = np.full((len(rows), len(panel.assets)), np.nan)
        for place, asset in enumerate(panel.assets):
            for with_implied in (False, True):
                line = self.lines.get((asset, horizon_h, with_implied))
                if line is not None:
                    said = line.of(family._columns(inputs, place, with_implied)[rows], log=family.log)
                    found[:, place] = np.where(np.isfinite(said), said, found[:, place])
        return np.asarray(found * inputs.guess[rows] * family.span(inputs, rows, horizon_h))


def _solved(x: Floats, y: Floats, weight: Floats) -> Floats:
    gram = (x * weight[:, None]).T @ x
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.asarray(np.linalg.solve(gram, (x * weight[:, None]).T @ y))


HAR_WLS: Final = Har("har_wls")
LOG_HAR: Final = Har("log_har", ranges=True, log=True)
LHAR_IV: Final = Har("lhar_iv", leverage=True, implied=True)
DIURNAL_LHAR_IV: Final = Har("diurnal_lhar_iv", ranges=True, leverage=True, implied=True, diurnal=True)
