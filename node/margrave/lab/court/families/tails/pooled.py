"""Tails anchored on volatility, one model of all assets, fitted on the joint loss of VaR and ES.

    q = sigma exp(c + w x)        ES = k q

with sigma and the inputs x of `state`, for each side and horizon, at 10, 5, 2.5 and 1 % together. As for ES-CAViaR, c
and k need not be searched for: at any w the joint FZ0 loss at its best c and k is ln ES_p(z) + mean(w x), z the losses
over sigma exp(w x). What remains is smooth in w and has a gradient:

    d / dw = mean x - sum of z x / sum of z over the tail

the inputs' mean over all hours against their mean where it hurt. The rungs are those of z, Pareto beyond the last
well-filled one: constants times one scale, which cannot cross.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from margrave.lab.court.families.tails.evt import tail_ladder
from margrave.lab.court.families.tails.state import State, state_of
from margrave.lab.court.family import DOWN, LEVELS, UP, Tails
from margrave.lab.court.panel import COLUMNS, Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FITTED_AT: Final = (0.10, 0.05, 0.025, 0.01)
WINDOW_H: Final = 24 * 365 * 3
WARM_UP_H: Final = 24 * 90
"""Hours before the window that the filters need."""
MOST_PAIRS: Final = 60_000
LEAST_PAIRS: Final = 2_000
STEP_H: Final = {1: 1, 4: 1, 24: 4}
"""Hours between fitted outcomes. They overlap: each says something, though not as much as one that stands alone."""
CLIP_SD: Final = 4.0
RIDGE: Final = {1: 2e-4, 4: 2e-4, 24: 2e-4}
MOST_MOVED: Final = 2.0
"""Log units that inputs may move a scale."""


@dataclass(frozen=True, slots=True)
class SideFit:
    weights: Floats
    var: Floats
    es: Floats


@dataclass(frozen=True, slots=True)
class HorizonFit:
    centre: Floats
    spread: Floats
    sides: tuple[SideFit, SideFit]

    def standard(self, inputs: Floats) -> Floats:
        """(pairs, inputs): in standard deviations, clipped; what is missing sits at the centre."""
        return np.nan_to_num(np.clip((inputs - self.centre) / self.spread, -CLIP_SD, CLIP_SD), nan=0.0)


def fitted(state: State, panel: Panel, horizon_h: int, first_row: int) -> HorizonFit | None:
    """On rows from `first_row`; `None` where there are too few."""
    outcome = panel.outcome(horizon_h)
    usable = np.isfinite(outcome) & np.isfinite(state.log_level)
    usable[:first_row] = False
    # Counted from the end, so that the newest outcomes are always in.
    on_step = (panel.hours - np.arange(panel.hours)) % STEP_H.get(horizon_h, 1) == 0
    rows, assets = np.nonzero(usable & on_step[:, None])
    if len(rows) < LEAST_PAIRS:
        return None
    kept = np.linspace(0, len(rows) - 1, min(len(rows), MOST_PAIRS)).astype(np.int64)
    rows, assets = rows[kept], assets[kept]
    inputs = state.inputs[rows, assets]
    there = np.isfinite(inputs)
    count = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, inputs, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(there, (inputs - centre) ** 2, 0.0).sum(axis=0) / count)
    # An input that hardly ever was there, or never moved, has nothing to teach: infinite spread makes it 0.
    spread = np.where((spread > 1e-9) & (there.mean(axis=0) > 0.05), spread, np.inf)
    empty = HorizonFit(np.where(np.isfinite(spread), centre, 0.0), spread, _UNFITTED)
    x = empty.standard(inputs)
    ridge = RIDGE.get(horizon_h, 1e-3)
    z = outcome[rows, assets] / np.exp(state.log_anchor(rows, assets, horizon_h))
    return replace(empty, sides=(_side(-z, x, ridge), _side(z, x, ridge)))


_NOTHING: Final = SideFit(np.empty(0), np.empty(0), np.empty(0))
_UNFITTED: Final = (_NOTHING, _NOTHING)


def _side(losses: Floats, x: Floats, ridge: float) -> SideFit:
    """Of losses in anchors."""
    best = optimize.minimize(
        joint_loss,
        np.zeros(x.shape[1]),
        args=(losses, x, x.mean(axis=0), ridge),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 60},
    )
    return SideFit(best.x, *tail_ladder(losses * np.exp(-moved(x, best.x))))


def moved(x: Floats, weights: Floats) -> Floats:
    return np.asarray(np.clip(x @ weights, -MOST_MOVED, MOST_MOVED))


def joint_loss(weights: Floats, losses: Floats, x: Floats, mean_x: Floats, ridge: float = 0.0) -> tuple[float, Floats]:
    """The mean over `FITTED_AT` of FZ0 at its best constant and best ES, and its gradient; see the module."""
    z = losses * np.exp(-(x @ weights))
    deepest = len(z) - int(max(FITTED_AT) * len(z))
    tail = np.argpartition(z, deepest)[deepest:]
    tail = tail[np.argsort(-z[tail], kind="stable")]
    ends = [int(p * len(z)) for p in FITTED_AT]
    sums = np.cumsum(z[tail])
    # Each loss pulls by its share of every tail that it is in.
    pull = np.zeros(len(tail))
    value = float(mean_x @ weights)
    for end in ends:
        value += float(np.log(sums[end - 1] / end)) / len(ends)
        pull[:end] += z[tail[:end]] / sums[end - 1] / len(ends)
    slope = mean_x - pull @ x[tail]
    return value + ridge * float(weights @ weights), slope + 2.0 * ridge * weights


@dataclass
class PooledModel:
    """Answers any asset that has an anchor, seen in training or not."""

    past: Panel
    first_row: int
    fits: dict[int, HorizonFit | None] = field(default_factory=dict)
    states: dict[int, State] = field(default_factory=dict)

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        var = np.full((len(rows), 2, len(LEVELS)), np.nan)
        es = var.copy()
        if horizon_h not in self.fits:
            start = min(WARM_UP_H, max(self.past.hours - self.first_row - WARM_UP_H, 0))
            cut = _from(self.past, self.first_row)
            self.fits[horizon_h] = fitted(self._state(self.past), cut, horizon_h, start)
        fit = self.fits[horizon_h]
        if fit is None:
            return Tails(var, es)
        state = self._state(panel)
        mine = np.flatnonzero(rows >= self.first_row)
        at, columns = rows[mine] - self.first_row, assets[mine]
        x = fit.standard(state.inputs[at, columns])
        anchor = state.log_anchor(at, columns, horizon_h)
        for side in (DOWN, UP):
            scale = np.exp(anchor + moved(x, fit.sides[side].weights))[:, None]
            var[mine, side], es[mine, side] = scale * fit.sides[side].var, scale * fit.sides[side].es
        return Tails(var, es)

    def _state(self, panel: Panel) -> State:
        """The last two that were asked for are kept: the past's own, and that of the panel under question."""
        if panel.hours not in self.states:
            if len(self.states) > 1:
                self.states.pop(max(self.states))
            self.states[panel.hours] = state_of(_from(panel, self.first_row))
        return self.states[panel.hours]


def _from(panel: Panel, row: int) -> Panel:
    """Without the first `row` hours."""
    return Panel(panel.open_ms[row:], panel.assets, **{name: getattr(panel, name)[row:] for name in COLUMNS})


@dataclass(frozen=True)
class Pooled:
    name: str = "pooled_tails"
    least_hours: int = 24 * 30

    def fit(self, past: Panel) -> PooledModel:
        return PooledModel(past, max(past.hours - WINDOW_H - WARM_UP_H, 0))
