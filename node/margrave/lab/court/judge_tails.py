"""VaR and expected shortfall of one horizon: losses, coverage, depth, PIT, and who beats whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from margrave.lab.court import coverage, losses, shortfall
from margrave.lab.court.family import DOWN, LEVELS, UP
from margrave.lab.court.hearing import Against, Agreed, Floats, Ints, agree, compared, date
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import Answers

SIDES: Final = {"down": DOWN, "up": UP}
MAIN: Final = 0.01
"""The level that families are compared and cells counted at."""
LEAST_CELL: Final = 250
"""Forecasts of one asset before its tests are counted: a year of days, as in Basel's traffic light."""
ACCEPTED: Final = 0.05
VAR, ES = 0, 1


@dataclass(frozen=True, slots=True)
class Cell:
    """One asset, tail and level; p-values, NaN where the test cannot answer."""

    asset: str
    count: int
    hits: int
    kupiec_p: float
    christoffersen_p: float
    dq_p: float

    @property
    def passes(self) -> bool:
        """Every test that could answer accepts."""
        return all(not p <= ACCEPTED for p in (self.kupiec_p, self.christoffersen_p, self.dq_p))


@dataclass(frozen=True, slots=True)
class Level:
    """One tail at one level, all assets pooled, and its cells."""

    p: float
    hit_rate: float
    kupiec_p: float
    """Pooled, as if assets were independent: too strict."""
    pinball_bp: float
    fz0: float
    z2: float
    z2_p: float
    cells: tuple[Cell, ...]
    """At `MAIN`: of assets with at least `LEAST_CELL` forecasts."""
    passing: float
    """Share of cells that pass all three tests; NaN without cells."""


@dataclass(frozen=True, slots=True)
class Tail:
    levels: tuple[Level, ...]
    mcs_p: float
    """By FZ0 at `MAIN`."""


@dataclass(frozen=True, slots=True)
class TailJudged:
    """One family at one horizon."""

    unanswered: int
    crossings: int
    """Pairs at which a deeper quantile lies above a shallower one."""
    es_below_var: int
    pit: tuple[tuple[float, float], ...]
    """(stated, found) probability of each interval between quantiles, from the lowest up."""
    pit_p: float
    sides: Mapping[str, Tail]


@dataclass(frozen=True, slots=True)
class TailVerdict:
    horizon_h: int
    pairs: int
    times: int
    begins: str
    ends: str
    families: Mapping[str, TailJudged]
    not_heard: Mapping[str, int]
    """Families that were silent on more than half of the pairs, and on how many."""
    against: tuple[Against, ...]


def judge(panel: Panel, answers: Mapping[str, Answers], horizon_h: int, baselines: Sequence[str]) -> TailVerdict | None:
    """`None` where no pair was answered by all."""
    agreed = agree(answers, len(panel.assets), sound)
    if not len(agreed):
        return None
    outcome, times = panel.outcome(horizon_h)[agreed.rows, agreed.assets], panel.known_ms[agreed.rows]
    known = [name for name in baselines if name in agreed.said]
    against: list[Against] = []
    mcs: dict[str, dict[str, float]] = {}
    for label, side in SIDES.items():
        loss = {name: _fz0(outcome, said, side, LEVELS.index(MAIN)) for name, said in agreed.said.items()}
        rows, mcs[label] = compared(loss, times, known, f"FZ0 {MAIN:.0%} {label}")
        against += rows
    return TailVerdict(
        horizon_h=horizon_h,
        pairs=len(agreed),
        times=len(np.unique(times)),
        begins=date(panel, int(agreed.rows[0])),
        ends=date(panel, int(agreed.rows[-1])),
        families={
            name: _judged(panel, agreed, outcome, said, name, {label: mcs[label][name] for label in SIDES}, horizon_h)
            for name, said in agreed.said.items()
        },
        not_heard={name: count for name, count in agreed.unanswered.items() if name not in agreed.said},
        against=tuple(against),
    )


def sound(said: Floats) -> np.ndarray:
    flat = said.reshape(len(said), -1)
    return np.asarray(np.isfinite(flat).all(axis=1) & (flat > 0).all(axis=1))


def _signed(outcome: Floats, said: Floats, side: int, level: int) -> tuple[Floats, Floats, Floats]:
    """(outcome, quantile, shortfall) as of a lower tail."""
    y = outcome if side == DOWN else -outcome
    return y, -said[:, VAR, side, level], -said[:, ES, side, level]


def _fz0(outcome: Floats, said: Floats, side: int, level: int) -> Floats:
    return losses.fz0(*_signed(outcome, said, side, level), LEVELS[level])


def _judged(
    panel: Panel,
    agreed: Agreed,
    outcome: Floats,
    said: Floats,
    name: str,
    mcs: Mapping[str, float],
    horizon_h: int,
) -> TailJudged:
    var, es = said[:, VAR], said[:, ES]
    pit, pit_p = _pit(outcome, var)
    return TailJudged(
        unanswered=agreed.unanswered[name],
        crossings=int((np.diff(var, axis=2) < 0).any(axis=(1, 2)).sum()),
        es_below_var=int((es < var).any(axis=(1, 2)).sum()),
        pit=pit,
        pit_p=pit_p,
        sides={
            label: Tail(
                tuple(_level(panel, agreed, outcome, said, side, level, horizon_h) for level in range(len(LEVELS))),
                mcs[label],
            )
            for label, side in SIDES.items()
        },
    )


def _level(panel: Panel, agreed: Agreed, outcome: Floats, said: Floats, side: int, level: int, horizon_h: int) -> Level:
    p = LEVELS[level]
    y, quantile, deep = _signed(outcome, said, side, level)
    hits = y < quantile
    cells = tuple(_cells(panel, agreed.assets, hits, quantile, p))
    # assets crash together, and hours of one day do: a day stays whole in the bootstrap, and there are fewer of them
    day = min(len(panel.assets) * max(24 // horizon_h, 1), len(y))
    depth = shortfall.z2_test(y, deep, hits, p, block=day)
    return Level(
        p=p,
        hit_rate=float(hits.mean()),
        kupiec_p=coverage.kupiec(int(hits.sum()), len(hits), p).p,
        pinball_bp=1e4 * float(losses.pinball(y, quantile, p).mean()),
        fz0=float(losses.fz0(y, quantile, deep, p).mean()),
        z2=shortfall.z2(y, deep, hits, p),
        z2_p=depth.p,
        cells=cells if p == MAIN else (),
        passing=float(np.mean([cell.passes for cell in cells])) if cells else float("nan"),
    )


def _cells(panel: Panel, assets: Ints, hits: np.ndarray, quantile: Floats, p: float) -> Iterator[Cell]:
    for place in np.unique(assets):
        mine = assets == place
        count = int(mine.sum())
        if count < LEAST_CELL:
            continue
        own = hits[mine]
        yield Cell(
            asset=panel.assets[place],
            count=count,
            hits=int(own.sum()),
            kupiec_p=coverage.kupiec(int(own.sum()), count, p).p,
            christoffersen_p=coverage.christoffersen(own, p).p,
            dq_p=coverage.dynamic_quantile(own, quantile[mine], p).p,
        )


def _pit(outcome: Floats, var: Floats) -> tuple[tuple[tuple[float, float], ...], float]:
    """The probability integral transform as far as quantiles tell it: which interval the outcome fell into."""
    below = [-var[:, DOWN, level] for level in reversed(range(len(LEVELS)))]
    above = [var[:, UP, level] for level in range(len(LEVELS))]
    place = sum((outcome > edge).astype(np.int64) for edge in (*below, *above))
    edges = [0.0, *reversed(LEVELS), *(1 - p for p in LEVELS), 1.0]
    stated = np.diff(edges)
    counts = np.bincount(np.asarray(place), minlength=len(stated))
    test = stats.chisquare(counts, stated * len(outcome))
    return tuple((float(s), float(c) / len(outcome)) for s, c in zip(stated, counts, strict=True)), float(test.pvalue)
