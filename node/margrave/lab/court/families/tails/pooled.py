"""Tails anchored on volatility, one model of all assets, fitted on the joint loss of VaR and ES.

    q = sigma exp(c + w x)        ES = k q

with sigma and the inputs x of `score.features.tails`, for each side and horizon, at 10, 5, 2.5 and 1 % together. As for
ES-CAViaR, c and k need not be searched for: at any w the joint FZ0 loss at its best c and k is ln ES_p(z) + mean(w x),
z the losses over sigma exp(w x). What remains is smooth in w and has a gradient:

    d / dw = mean x - sum of z x / sum of z over the tail

the inputs' mean over all hours against their mean where it hurt. A tail of a day's moves holds few days, and what moves
it is what moves that of four hours: slopes are fitted at 1 h and 4 h and lent to the day (`SLOPES`). Over a day the
scale is the geometric mean with that of `shared`, a recursion of other errors (`LINE`).

The rungs are each horizon's own: those of z over the whole scale, Pareto beyond the last well-filled one. Constants
times one scale cannot cross.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from margrave.lab.court.families.tails import shared
from margrave.lab.court.families.tails.deep import depth
from margrave.lab.court.families.tails.evt import tail_ladder
from margrave.lab.court.families.tails.shared import Shape, seen_of
from margrave.lab.court.family import DOWN, LEVELS, UP, Tails
from margrave.lab.court.panel import Panel
from margrave.score.features.measures import peers_of
from margrave.score.features.tails import State, state_of
from margrave.score.features.volatility import Market
from margrave.spans import YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pairs = tuple[Ints, Ints]
"""Rows and assets."""

SLOPES: Final = {1: (1, 4), 4: (1, 4), 24: (4,)}
"""At which horizons the slopes of each are fitted; of two, their mean."""
LINE: Final = {1: 1.0, 4: 1.0, 24: 2 / 3}
"""The line's weight in the log of the scale; the rest is the recursion's."""
SERVED_LEVELS: Final = (*LEVELS, 0.0005)
"""Of the rungs; the last is the node's 99.95 %, which the court does not judge."""
WINDOW_H: Final = 3 * YEAR_H
WARM_UP_H: Final = 24 * 90
"""Hours before the window that the filters need."""
MOST_PAIRS: Final = 60_000
LEAST_PAIRS: Final = 2_000
STEP_H: Final = {1: 1, 4: 1, 24: 4}
"""Hours between fitted outcomes. They overlap: each says something, though not as much as one that stands alone."""
LEAST_SPREAD: Final = 1e-9
LEAST_THERE: Final = 0.05
"""Share of the pairs that an input is known at."""
UNUSED: Final = ("funding_bp", "funding_bp_size", "day_sin", "day_cos", "week_sin", "week_cos")
"""Inputs that no test shows to help (README.md): the line does not look at them."""
CLIP_SD: Final = 4.0
RIDGE: Final = 2e-3
SETTLED: Final = 1e-7
"""Relative: the search ends where the loss moves by less."""
MOST_MOVED: Final = 2.0
"""Log units that inputs may move a scale."""
MOST_SAID: Final = 3.0
"""Log return: -95 %, or nineteenfold. What is further out is no forecast."""


@dataclass(frozen=True, slots=True)
class SideFit:
    """`weights` (inputs,); `var` and `es` (`SERVED_LEVELS`,) in units of the scale; the recursion, where it has a
    share."""

    weights: Floats
    var: Floats
    es: Floats
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class HorizonFit:
    centre: Floats
    spread: Floats
    sides: tuple[SideFit, SideFit]

    def standard(self, inputs: Floats) -> Floats:
        """(pairs, inputs): in standard deviations, clipped; what is missing sits at the centre."""
        return np.nan_to_num(np.clip((inputs - self.centre) / self.spread, -CLIP_SD, CLIP_SD), nan=0.0)


def sample(state: State, panel: Panel, horizon_h: int, first_row: int) -> Pairs | None:
    """Pairs to fit on: of peers, with an outcome; `None` where there are too few. A peg to money has tails of its own
    kind, and teaches nothing of the others'."""
    usable = np.isfinite(panel.outcome(horizon_h)) & np.isfinite(state.log_level)
    usable &= peers_of(np.exp(state.log_level + state.inputs[..., state.names.index("level_720")]))
    usable[:first_row] = False
    # Counted from the end, so that the newest outcomes are always in.
    on_step = (panel.hours - np.arange(panel.hours)) % STEP_H[horizon_h] == 0
    rows, assets = np.nonzero(usable & on_step[:, None])
    if len(rows) < LEAST_PAIRS:
        return None
    kept = np.linspace(0, len(rows) - 1, min(len(rows), MOST_PAIRS)).astype(np.int64)
    return rows[kept], assets[kept]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Standardised inputs (pairs, inputs); the anchor and the outcome (pairs,)."""

    pairs: Pairs
    x: Floats
    anchor: Floats
    outcome: Floats

    @classmethod
    def of(cls, state: State, panel: Panel, horizon_h: int, pairs: Pairs, frame: HorizonFit) -> _Drawn:
        anchor = state.log_anchor(*pairs, horizon_h)
        return cls(pairs, frame.standard(state.inputs[pairs]), anchor, panel.outcome(horizon_h)[pairs])

    def losses(self, side: int) -> Floats:
        return self.outcome if side == UP else -self.outcome

    def slopes(self, side: int) -> Floats:
        found = optimize.minimize(
            joint_loss,
            np.zeros(self.x.shape[1]),
            (self.losses(side) * np.exp(-self.anchor), self.x, self.x.mean(axis=0)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 100, "ftol": SETTLED},
        )
        return np.asarray(found.x)


def fitted(state: State, panel: Panel, first_row: int) -> dict[int, HorizonFit | None]:
    """Every horizon's, on rows from `first_row`; `None` where its outcomes, or those of its slopes, are too few."""
    pairs = {h: sample(state, panel, h, first_row) for h in SLOPES}
    shortest = pairs[min(SLOPES)]
    if shortest is None:
        return dict.fromkeys(SLOPES)
    frame = framed(state.inputs[shortest], np.array([name in UNUSED for name in state.names]))
    drawn = {h: _Drawn.of(state, panel, h, at, frame) for h, at in pairs.items() if at is not None}
    lent = {h for at in SLOPES.values() for h in at if h in drawn}
    slopes = {(h, side): drawn[h].slopes(side) for h in lent for side in (DOWN, UP)}
    found: dict[int, HorizonFit | None] = {}
    for horizon_h, at in SLOPES.items():
        if horizon_h not in drawn or not lent.issuperset(at):
            found[horizon_h] = None
            continue
        sides = [
            _side(panel, drawn[horizon_h], np.mean([slopes[h, side] for h in at], axis=0), horizon_h, side)
            for side in (DOWN, UP)
        ]
        found[horizon_h] = replace(frame, sides=(sides[DOWN], sides[UP]))
    return found


def framed(inputs: Floats, unused: NDArray[np.bool_]) -> HorizonFit:
    """Centre and spread of (pairs, inputs). An input that is not used, hardly ever was there or never moved has nothing
    to teach: an infinite spread makes it 0."""
    there = np.isfinite(inputs)
    count = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, inputs, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(there, (inputs - centre) ** 2, 0.0).sum(axis=0) / count)
    useful = ~unused & (spread > LEAST_SPREAD) & (there.mean(axis=0) > LEAST_THERE)
    return HorizonFit(np.where(useful, centre, 0.0), np.where(useful, spread, np.inf), (_UNFITTED, _UNFITTED))


_UNFITTED: Final = SideFit(np.empty(0), np.empty(0), np.empty(0))


def _side(panel: Panel, drawn: _Drawn, weights: Floats, horizon_h: int, side: int) -> SideFit:
    """With the slopes given: the recursion where it has a share, and the rungs of both together."""
    rows, assets = drawn.pairs
    log_scale, shape = drawn.anchor + moved(drawn.x, weights), None
    if LINE[horizon_h] < 1.0:
        shape = shared.fitted(panel, drawn.outcome, rows, assets, horizon_h, -1.0 if side == DOWN else 1.0)
    if shape is not None:
        log_scale = joined(log_scale, shape, panel, rows, assets, horizon_h)
    z = drawn.losses(side) * np.exp(-log_scale)
    return SideFit(weights, *tail_ladder(z, np.array(SERVED_LEVELS)), shape)


def joined(log_scale: Floats, shape: Shape, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Floats:
    """With the recursion's share; the line alone where the recursion's past is not whole."""
    log_other = np.log(seen_of(panel, horizon_h, shape.keep).scale(shape, rows, assets))
    line = LINE[horizon_h]
    return np.where(np.isfinite(log_other), line * log_scale + (1.0 - line) * log_other, log_scale)


def moved(x: Floats, weights: Floats) -> Floats:
    return np.asarray(np.clip(x @ weights, -MOST_MOVED, MOST_MOVED))


def joint_loss(
    weights: Floats, losses: Floats, x: Floats, mean_x: Floats, ridge: float = RIDGE
) -> tuple[float, Floats]:
    """The mean over `FITTED_AT` of FZ0 at its best constant and best ES, and its gradient; see the module."""
    value, tail, pull = depth(losses * np.exp(-(x @ weights)))
    slope = mean_x - pull @ x[tail]
    return value + float(mean_x @ weights) + ridge * float(weights @ weights), slope + 2.0 * ridge * weights


@dataclass
class PooledModel:
    """Answers any asset that has an anchor, seen in training or not."""

    past: Panel
    first_row: int
    market: Market
    fits: dict[int, HorizonFit | None] = field(default_factory=dict)

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        var = np.full((len(rows), 2, len(LEVELS)), np.nan)
        es = var.copy()
        fit = self.horizons().get(horizon_h)
        if fit is None:
            return Tails(var, es)
        cut = since(panel, self.first_row)
        state = derived(cut, self.market)
        mine = np.flatnonzero(rows >= self.first_row)
        at, columns = rows[mine] - self.first_row, assets[mine]
        x = fit.standard(state.inputs[at, columns])
        anchor = state.log_anchor(at, columns, horizon_h)
        for which in (DOWN, UP):
            side = fit.sides[which]
            log_scale = anchor + moved(x, side.weights)
            if side.shape is not None:
                log_scale = joined(log_scale, side.shape, cut, at, columns, horizon_h)
            scale = np.exp(log_scale)[:, None]
            var[mine, which] = np.minimum(scale * side.var[: len(LEVELS)], MOST_SAID)
            es[mine, which] = np.minimum(scale * side.es[: len(LEVELS)], MOST_SAID)
        return Tails(var, es)

    def horizons(self) -> dict[int, HorizonFit | None]:
        """Fitted when first asked for, from the past alone."""
        if not self.fits:
            start = min(WARM_UP_H, max(self.past.hours - self.first_row - WARM_UP_H, 0))
            cut = since(self.past, self.first_row)
            self.fits = fitted(derived(cut, self.market), cut, start)
        return self.fits


def since(panel: Panel, row: int) -> Panel:
    """Without the first `row` hours."""
    return panel.once(("since", row), lambda: panel.between(row, panel.hours)) if row else panel


def derived(panel: Panel, market: Market) -> State:
    return panel.once(("tail inputs", market), lambda: state_of(panel, market=market))


@dataclass(frozen=True)
class Pooled:
    """Whose mean the market inputs are: of all peers, as the court has them, or of the leaders, as a node has them."""

    name: str = "pooled_tails"
    market: Market = Market.PEERS
    least_hours: int = 24 * 30

    def fit(self, past: Panel) -> PooledModel:
        return PooledModel(past, max(past.hours - WINDOW_H - WARM_UP_H, 0), self.market)
