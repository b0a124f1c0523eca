"""Any family of tails in the node's haste: rungs times a factor that follows the last residuals of one hour.

The rule is `score/drift.py`'s. Residuals are those of the family without its online widening, as in the node, where a
rule that watched what it had widened would feed on itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.tails.conformal import Widened, WidenedModel
from margrave.lab.court.family import DOWN, LEVELS, UP, TailModel, Tails
from margrave.lab.court.panel import Panel
from margrave.score import drift

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WARM_UP_H: Final = 250
"""Hours before the fit's end that the sums run over from nothing."""
HOUR: Final = 1


@dataclass(frozen=True)
class HastenedModel:
    widened: WidenedModel
    fit_row: int

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        said = self.widened.tails(panel, rows, assets, horizon_h)
        columns = np.unique(assets)
        start = max(min(self.fit_row - WARM_UP_H, int(rows.min()) if len(rows) else 0), 0)
        factors = haste(self.widened.inner, panel, np.arange(start, int(rows.max(initial=start)) + 1), columns)
        factor = factors[rows - start, np.searchsorted(columns, assets)][:, None, None]
        return Tails(said.var * factor, said.es * factor)


def haste(model: TailModel, panel: Panel, rows: Ints, assets: Ints) -> Floats:
    """(rows, assets): the factor that stands when each row's hour has closed; the rows follow each other."""
    pairs = np.repeat(rows, len(assets)), np.tile(assets, len(rows))
    var = model.tails(panel, *pairs, HOUR).var.reshape(len(rows), len(assets), 2, len(LEVELS))
    mean, rise, bars = np.zeros(len(assets)), np.zeros(len(assets)), np.zeros(len(assets), dtype=np.int64)
    found = np.ones((len(rows), len(assets)))
    for now, row in enumerate(rows):
        if now:
            before = var[now - 1]
            seen = drift.scores(panel.log_return[row, assets], before[:, DOWN], before[:, UP], np.array(LEVELS))
            known = np.isfinite(seen)
            size = np.where(known, np.minimum(np.abs(seen), drift.MOST_SCORE), 0.0)
            bars = bars + known
            step = (size - mean) / np.clip(bars, 1, drift.MEMORY_BARS)
            mean = np.where(known, mean + step, mean)
            moved = np.clip(rise + size - mean - drift.ALLOWANCE, 0.0, drift.MOST_SUM)
            rise = np.where(known, moved, rise)
        factor = np.minimum(np.exp(drift.HASTE * np.maximum(rise - drift.HASTE_FROM, 0.0)), drift.MOST_HASTE)
        found[now] = np.where(bars >= drift.LEAST_BARS, factor, 1.0)
    return found


@dataclass(frozen=True)
class Hastened:
    """Of a widened family; named after it."""

    widened: Widened

    @property
    def name(self) -> str:
        return f"{self.widened.name}_haste"

    @property
    def least_hours(self) -> int:
        return self.widened.least_hours

    def fit(self, past: Panel) -> HastenedModel:
        return HastenedModel(self.widened.fit(past), past.hours)
