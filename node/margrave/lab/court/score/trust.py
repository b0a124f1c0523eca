"""Whether the confidence beside the score is honest: what the ladder is worth where it says that it trusts itself less.

Of the doubts that make it up a history knows two: inputs that nobody supplied, and inputs unlike the training data. The
registry's main model is asked on hours that it has not seen, as the folder has them, and once more where implied
volatility and funding are known, with either or both taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court import losses
from margrave.lab.court.families.registered import CHUNK
from margrave.lab.court.families.registered_inputs import Pairs, inputs
from margrave.lab.court.family import DOWN, UP
from margrave.lab.court.panel import Panel
from margrave.lab.court.score.calibration import worst
from margrave.lab.court.score.told import MAIN, MPOR_H, POINTS, simple
from margrave.score import composite
from margrave.score.registry import Model, open_model
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEVEL: Final = 0.01
LEAST_AGE_H: Final = 720
LEAST_HOURS: Final = 500
"""Of a group of forecasts, before its tail is looked at: ten in it, both sides together."""
TIERS: Final = (1.0, 0.97, 0.94, 0.0)
"""Confidence from which on, falling: nothing missing, one input missing, two, and what is unlike the training data."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """Forecasts that lie a margin period apart."""

    what: str
    confidence: float
    """Mean, of the two doubts that a history knows."""
    forecasts: int
    hits: float
    """Share of outcomes beyond either quantile: 2 % if they are right."""
    ratio: float
    """Mean of the worst 1 % of straddle losses over the price part: one if it is right."""
    pinball_bp: float
    """Of both quantiles, mean."""


@dataclass(frozen=True, slots=True)
class _Said:
    pairs: Pairs
    var: Floats
    """(n, 2) log moves."""
    price: Floats
    confidence: Floats

    def only(self, which: Flags) -> _Said:
        at = np.flatnonzero(which)
        return _Said(self.pairs.only(at), self.var[at], self.price[at], self.confidence[at])


def trusted(panel: Panel, registry: Path) -> tuple[list[Trusted], list[Trusted]] | str:
    """(as the folder has its inputs, by confidence; with inputs taken away), or why not.

    Raises:
        Fatal: the model is not in the registry, or is not whole.
    """
    model = open_model(registry, MAIN)
    unseen_ms = int(np.datetime64(model.card.unseen_from, "ms").astype(np.int64))
    rows = np.flatnonzero((panel.known_ms >= unseen_ms) & (panel.known_ms // HOUR_MS % MPOR_H == 0))
    there = (panel.age_h[rows] >= LEAST_AGE_H) & np.isfinite(panel.outcome(MPOR_H)[rows])
    places, assets = np.nonzero(there)
    if len(places) < LEAST_HOURS:
        return f"confidence: {len(places)} forecasts on hours that {model.name} has not seen, {LEAST_HOURS} wanted"
    pairs = Pairs(rows[places], assets.astype(np.int64))
    said = _asked(model, panel, pairs)
    tiers = []
    for high, low in zip((np.inf, *TIERS), TIERS, strict=False):
        within = said.only((said.confidence < high) & (said.confidence >= low))
        if len(within.pairs) >= LEAST_HOURS:
            tiers.append(_judged(panel, within, _tier(low)))
    both = np.isfinite(panel.dvol[pairs.rows, pairs.assets]) & np.isfinite(panel.funding_8h[pairs.rows, pairs.assets])
    mine = pairs.only(np.flatnonzero(both))
    if len(mine) < LEAST_HOURS:
        return tiers, []
    return tiers, [_judged(panel, _asked(model, lacking, mine), what) for what, lacking in _without(panel).items()]


def _tier(low: float) -> str:
    return f"{low:g} and more" if low else "less"


def _without(panel: Panel) -> Mapping[str, Panel]:
    nothing = np.full(panel.close.shape, np.nan)
    return {
        "all there": panel,
        "without implied volatility": replace(panel, dvol=nothing),
        "without funding": replace(panel, funding_8h=nothing),
        "without either": replace(panel, dvol=nothing, funding_8h=nothing),
    }


def _asked(model: Model, panel: Panel, pairs: Pairs) -> _Said:
    at, level = model.card.tails_h.index(MPOR_H), model.card.levels.index(LEVEL)
    far = model.card.levels.index(0.001)
    kept, var, es, deep, unlike = [], [], [], [], []
    for piece in np.array_split(np.arange(len(pairs)), -(-len(pairs) // CHUNK)):
        known, given = inputs(model.card, panel, pairs.only(piece))
        if not known.any():
            continue
        out = model.run({name: values[known] for name, values in given.items()})
        kept.append(piece[known])
        var.append(out["var"][:, at, :, level])
        es.append(out["es"][:, at, :, level])
        deep.append(out["es"][:, at, :, far])
        unlike.append(out["unlike"])
    if not kept:
        none = np.empty(0)
        return _Said(pairs.only(np.empty(0, dtype=np.int64)), np.empty((0, 2)), none, none)
    mine = pairs.only(np.concatenate(kept))
    price = composite.price_points(
        composite.straddle_shortfall(simple(np.concatenate(es)), simple(np.concatenate(deep)))
    )
    missing = np.isnan(panel.dvol[mine.rows, mine.assets]) * 1 + np.isnan(panel.funding_8h[mine.rows, mine.assets]) * 1
    strange = composite.FLOOR + (1 - composite.FLOOR) / np.maximum(np.concatenate(unlike), 1.0)
    return _Said(mine, np.concatenate(var), price, np.asarray(composite.MASKED**missing * strange))


def _judged(panel: Panel, said: _Said, what: str) -> Trusted:
    moved = panel.outcome(MPOR_H)[said.pairs.rows, said.pairs.assets]
    lost = composite.straddle_losses(np.expm1(moved)) * POINTS
    down, up = -said.var[:, DOWN], -said.var[:, UP]
    return Trusted(
        what=what,
        confidence=float(said.confidence.mean()),
        forecasts=len(moved),
        hits=float((moved < down).mean() + (-moved < up).mean()),
        ratio=worst(lost / said.price),
        pinball_bp=1e4
        * float((losses.pinball(moved, down, LEVEL).mean() + losses.pinball(-moved, up, LEVEL).mean()) / 2),
    )
