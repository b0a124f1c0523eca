"""Any family of tails under the node's online widening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.tails.recursion import trailing
from margrave.lab.court.family import LEVELS, TailFamily, TailModel, Tails, fitted
from margrave.lab.court.panel import Panel
from margrave.score import conformal

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WARM_UP: Final = 250
"""Bars of the horizon before the fit's end that the factors run over from one: in the sample the model is right, so
they need no longer."""


@dataclass(frozen=True)
class WidenedModel:
    inner: TailModel
    fit_row: int

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        """Each phase of the clock has factors of its own: they start a warm-up before the fit, at a row that does not
        depend on what is asked."""
        var = np.full((len(rows), 2, len(LEVELS)), np.nan)
        es = var.copy()
        returns = trailing(panel, horizon_h)
        columns = np.unique(assets)
        place = np.searchsorted(columns, assets)
        first = self.fit_row - WARM_UP * horizon_h
        for phase in np.unique(rows % horizon_h):
            mine = np.flatnonzero(rows % horizon_h == phase)
            start = max(first + (phase - first) % horizon_h, int(phase))
            bars = np.arange(min(start, int(rows[mine].min())), int(rows[mine].max()) + 1, horizon_h)
            said = self._widened(panel, returns, bars, columns, horizon_h)
            at = (rows[mine] - bars[0]) // horizon_h
            var[mine], es[mine] = said.var[at, place[mine]], said.es[at, place[mine]]
        return Tails(var, es)

    def _widened(self, panel: Panel, returns: Floats, bars: Ints, columns: Ints, horizon_h: int) -> Tails:
        """(bars, assets, 2, rungs)."""
        pairs = np.repeat(bars, len(columns)), np.tile(columns, len(bars))
        inner = self.inner.tails(panel, *pairs, horizon_h)
        shape = (len(bars), len(columns), 2, len(LEVELS))
        var, es = inner.var.reshape(shape), inner.es.reshape(shape)
        log_factor, levels = np.zeros(shape[1:]), np.array(LEVELS)
        sides = np.array([-1.0, 1.0])
        for now, row in enumerate(bars):
            if now:
                loss = returns[row, columns][:, None, None] * sides[:, None]
                known = np.isfinite(loss) & np.isfinite(var[now - 1])
                moved = conformal.step(log_factor, loss > var[now - 1], levels)
                log_factor = np.where(known, moved, log_factor)
            var[now], es[now] = conformal.widened(log_factor, var[now], es[now])
        return Tails(var, es)


@dataclass(frozen=True)
class Widened:
    """Of a family; named after it."""

    inner: TailFamily

    @property
    def name(self) -> str:
        return f"{self.inner.name}_aci"

    @property
    def least_hours(self) -> int:
        return self.inner.least_hours

    def fit(self, past: Panel) -> WidenedModel:
        return WidenedModel(fitted(self.inner, past), past.hours)
