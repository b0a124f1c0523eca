"""Quantile gradient boosting (LightGBM): what trees make of the inputs that `pooled` takes a line in.

The 5 % and 1 % quantiles of each side's losses over the anchor, one booster each for all assets. What lies between and
beyond them, and every ES, follows from the losses themselves: constants times the two, put in order, so that nothing
crosses. Good quantiles do not make a good ES, and losses that the trees have seen lie nearer to them than those that
come: the rungs are made of the newest tenth, which they have not seen.

Boosting takes seconds and changes little in a month. It is fitted on what was known at the last turn of a half-year,
and the fits that legs of one half-year share are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.answers import panel_digest
from margrave.lab.court.families.tails.ladder import empirical, ordered
from margrave.lab.court.families.tails.pooled import WARM_UP_H, derived, sample, since
from margrave.lab.court.family import DOWN, LEVELS, UP, Tails
from margrave.lab.court.panel import Panel
from margrave.score.features.volatility import Market
from margrave.spans import YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME: Final = "boosted_quantiles"
SHALLOW, DEEP = 0.05, 0.01
WINDOW_H: Final = 3 * YEAR_H
LEAST_H: Final = YEAR_H
"""A half-year's turn that leaves fewer hours is not waited for: the fit takes all that is known."""
MOST_PAIRS: Final = 24_000
FRESH: Final = 0.1
"""Share of the pairs, the newest, that the rungs are made of and no tree sees."""
ROUNDS: Final = 60
SETTINGS: Final[dict[str, Any]] = {
    "objective": "quantile",
    "learning_rate": 0.08,
    "num_leaves": 8,
    "min_data_in_leaf": 300,
    "feature_fraction": 0.6,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
DECIMALS: Final = 6
"""Of an input: a tree would split on the rounding of one that stands still."""
LEAST_SHARE: Final = 0.3
"""Of the pooled quantile: trees that saw a quiet corner do not say less."""


def installed() -> bool:
    return find_spec("lightgbm") is not None


@dataclass(frozen=True)
class Side:
    """Two boosters, the pooled quantiles that bound them, and what the rungs are of the two."""

    shallow: Any
    deep: Any
    least: tuple[float, float]
    between: Floats
    """(levels,) weight of the deep quantile in the log of the rung's base: 0 at 5 %, 1 from 1 % on."""
    var: Floats
    """(levels,) of the base."""
    es: Floats

    def said(self, x: Floats) -> tuple[Floats, Floats]:
        """(pairs, levels) both, over the anchor."""
        shallow = np.maximum(np.asarray(self.shallow.predict(x)), LEAST_SHARE * self.least[0])
        deep = np.maximum(np.asarray(self.deep.predict(x)), np.maximum(shallow, LEAST_SHARE * self.least[1]))
        base = np.exp((1 - self.between) * np.log(shallow)[:, None] + self.between * np.log(deep)[:, None])
        return ordered(base * self.var, base * self.es)


Fit = tuple[Side, Side]


@dataclass
class BoostedModel:
    past: Panel
    fits: dict[int, Fit | None] = field(default_factory=dict)

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        var = np.full((len(rows), 2, len(LEVELS)), np.nan)
        es = var.copy()
        if horizon_h not in self.fits:
            self.fits[horizon_h] = _fitted(_Past(panel_digest(self.past), self.past), horizon_h)
        fit = self.fits[horizon_h]
        if fit is None:
            return Tails(var, es)
        state = derived(panel, Market.PEERS)
        log_anchor = state.log_anchor(rows, assets, horizon_h)
        known = np.isfinite(log_anchor)
        x = state.inputs[rows[known], assets[known]].round(DECIMALS)
        if len(x):
            scale = np.exp(log_anchor[known])[:, None]
            for which in (DOWN, UP):
                quantiles, shortfalls = fit[which].said(x)
                var[known, which], es[known, which] = scale * quantiles, scale * shortfalls
        return Tails(var, es)


@dataclass(frozen=True)
class Boosted:
    name: str = NAME
    least_hours: int = 24 * 30

    def fit(self, past: Panel) -> BoostedModel:
        turn = int(np.searchsorted(past.known_ms, last_turn_ms(past), side="right"))
        return BoostedModel(past.upto(turn) if turn >= LEAST_H else past)


def last_turn_ms(past: Panel) -> int:
    """The last 1 January or 1 July, 0 h, that was over when the past ends."""
    months = np.datetime64(int(past.known_ms[-1]), "ms").astype("datetime64[M]").astype(np.int64)
    return int(np.datetime64(int(months // 6 * 6), "M").astype("datetime64[ms]").astype(np.int64))


@dataclass(frozen=True)
class _Past:
    """Known by its digest."""

    digest: str
    panel: Panel = field(compare=False)


@lru_cache(maxsize=6)
def _fitted(past: _Past, horizon_h: int) -> Fit | None:
    panel = since(past.panel, max(past.panel.hours - WINDOW_H - WARM_UP_H, 0))
    state = derived(panel, Market.PEERS)
    pairs = sample(state, panel, horizon_h, min(WARM_UP_H, max(panel.hours - WARM_UP_H, 0)))
    if pairs is None:
        return None
    some = np.linspace(0, len(pairs[0]) - 1, min(len(pairs[0]), MOST_PAIRS)).astype(np.int64)
    rows, assets = pairs[0][some], pairs[1][some]
    moves = panel.outcome(horizon_h)[rows, assets] * np.exp(-state.log_anchor(rows, assets, horizon_h))
    x = state.inputs[rows, assets].round(DECIMALS)
    return _side(x, -moves), _side(x, moves)


def _side(x: Floats, losses: Floats) -> Side:
    seen = len(x) - int(FRESH * len(x))
    shallow, deep = (_booster(x[:seen], losses[:seen], p) for p in (SHALLOW, DEEP))
    pooled, _ = empirical(losses)
    at = {p: place for place, p in enumerate(LEVELS)}
    reach = np.log(pooled / pooled[at[SHALLOW]]) / np.log(pooled[at[DEEP]] / pooled[at[SHALLOW]])
    between = np.clip(reach, 0.0, 1.0)
    one = Side(
        shallow,
        deep,
        (float(pooled[at[SHALLOW]]), float(pooled[at[DEEP]])),
        between,
        np.ones(len(LEVELS)),
        np.ones(len(LEVELS)),
    )
    bases, _ = one.said(x[seen:])
    rungs = [empirical(losses[seen:] / bases[:, place]) for place in range(len(LEVELS))]
    return Side(
        shallow,
        deep,
        one.least,
        between,
        np.array([var[place] for place, (var, _) in enumerate(rungs)]),
        np.array([es[place] for place, (_, es) in enumerate(rungs)]),
    )


def _booster(x: Floats, losses: Floats, p: float) -> Any:
    import lightgbm

    data = lightgbm.Dataset(x, losses, params={"max_bin": SETTINGS["max_bin"], "verbosity": -1})
    return lightgbm.train({**SETTINGS, "alpha": 1.0 - p}, data, num_boost_round=ROUNDS)
