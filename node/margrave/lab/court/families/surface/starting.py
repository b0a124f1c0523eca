"""Calibration: an optimiser alone, from a plain start and from the last surface; a polish from those and from a
learned start.

The optimiser alone is SciPy's; the learned start is one pass of a small network over the chain's cells; the polish is
the node's own search. All are timed on whole chains and on a quarter of their quotes, and compared by
the loss that the node's optimiser minimises.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from margrave.lab.court.families.surface import cells
from margrave.lab.court.families.surface.cells import Shot
from margrave.lab.court.families.surface.forecasting import unseen
from margrave.messages import Surface
from margrave.score import surface
from margrave.score.descent import ROBUST_SCALE
from margrave.score.registry import Model
from margrave.score.surface import Sample
from margrave.spans import YEAR_DAYS

Floats = NDArray[np.float64]

FAMILY: Final = "surface_start"
SPARSE: Final = 0.25
"""Share of the quotes that is left of a sparse chain."""
REPEATS: Final = 3
"""Of each timing; the least counts, because a busy machine only ever adds."""
WORSE: Final = 1e-3
"""Relative: a loss higher than the best by more is worse."""
SEED: Final = 17

Calibrator = Callable[[Sample, Surface | None], Surface]


@dataclass(frozen=True, slots=True)
class Started:
    """One calibrator on one kind of chain."""

    name: str
    quotes: str
    milliseconds: float
    """Median over chains."""
    rmse_points: float
    """Median of the fit's own error against the quotes used."""
    loss: float
    """Mean over the best of all calibrators' loss, chain by chain."""
    worse: float
    """Share of chains where it ends more than `WORSE` above the best."""
    chains: int


def cells_in(sample: Sample) -> Floats:
    """Shape (1 + 2 * 42,): ln of the level, then of each cell ln of the mean volatility over the level, and whether the
    cell has a quote. Cells are of standard moves by the level itself, which needs no fit."""
    near = np.abs(sample.log_moneyness) <= np.median(np.abs(sample.log_moneyness))
    level = float(np.median(sample.vol[near]))
    tenor = np.digitize(sample.years * YEAR_DAYS, cells.TENORS_DAYS) - 1
    move = np.digitize(sample.log_moneyness / (level * np.sqrt(sample.years)), cells.MOVES) - 1
    rows, columns = len(cells.TENORS_DAYS) - 1, cells.COLUMNS
    inside = (tenor >= 0) & (tenor < rows) & (move >= 0) & (move < columns)
    place = (tenor * columns + move)[inside]
    count = np.bincount(place, minlength=rows * columns)
    total = np.bincount(place, weights=np.log(sample.vol[inside] / level), minlength=rows * columns)
    return np.concatenate(([np.log(level)], total / np.maximum(count, 1), count > 0))


def optimiser(sample: Sample, begin: Floats) -> Floats:
    """SciPy's trust-region reflective search of the same loss, from `begin` on."""
    found = least_squares(
        surface.residuals,
        begin,
        jac=surface.jacobian,
        args=(sample,),
        loss="soft_l1",
        f_scale=ROBUST_SCALE,
        xtol=1e-7,
        ftol=1e-7,
        max_nfev=60,
    )
    return np.asarray(found.x)


def calibrators(model: Model | None) -> Mapping[str, Calibrator]:
    """All that are compared, the node's own first."""

    def plainly(sample: Sample, _: Surface | None) -> Surface:
        return surface.fitted(sample)

    def optimised(sample: Sample, last: Surface | None) -> Surface:
        return _published(optimiser(sample, surface.start(sample, last)), sample)

    def optimised_plainly(sample: Sample, _: Surface | None) -> Surface:
        return optimised(sample, None)

    found: dict[str, Calibrator] = {
        "the node's: polish, last surface": surface.fitted,
        "polish, plain start": plainly,
        "optimiser, last surface": optimised,
        "optimiser, plain start": optimised_plainly,
    }
    if model is not None:
        known = model

        def learned(sample: Sample, _: Surface | None) -> Surface:
            return _published(surface.polished(sample, _start(known, sample)), sample)

        def raw(sample: Sample, _: Surface | None) -> Surface:
            return _published(_start(known, sample), sample)

        found |= {"learned start, polish": learned, "learned start alone": raw}
    return found


def started(shots: Mapping[str, Sequence[Shot]], model: Model | None, most: int = 24) -> tuple[Started, ...]:
    """Every calibrator, on whole and on sparse chains that the model has not seen."""
    asked: list[tuple[Shot, Shot]] = []
    for asset, found in shots.items():
        later = [
            (shot, before)
            for shot, before in cells.pairs(found)
            if before is not None and (model is None or unseen(model.card, asset, shot.as_of_ms))
        ]
        asked += [(shot, before) for shot, before in later[:: max(len(later) // most, 1)] if before is not None]
    rows: list[Started] = []
    for words, share in (("all", 1.0), (f"{SPARSE:.0%}", SPARSE)):
        table: dict[str, list[tuple[float, float, float]]] = {}
        for shot, before in asked:
            sample = _thinned(shot, share)
            if sample is not None:
                for name, calibrator in calibrators(model).items():
                    table.setdefault(name, []).append(_timed(calibrator, sample, before.surface))
        if not table:
            continue
        losses = np.array([[row[2] for row in timed] for timed in table.values()])
        over = losses / losses.min(axis=0)
        for place, (name, timed) in enumerate(table.items()):
            milliseconds, rmse, _ = np.array(timed).T
            rows.append(
                Started(
                    name,
                    words,
                    float(np.median(milliseconds)),
                    100 * float(np.median(rmse)),
                    float(over[place].mean()),
                    float((over[place] > 1 + WORSE).mean()),
                    len(timed),
                )
            )
    return tuple(rows)


def _thinned(shot: Shot, share: float) -> Sample | None:
    random = np.random.default_rng([SEED, shot.as_of_ms])
    kept = random.random(len(shot.sample.vol)) < share
    few = kept.sum() < surface.MIN_QUOTES or len(np.unique(shot.sample.years[kept])) < 2
    return None if few else cells.part(shot.sample, kept)


def _timed(calibrator: Calibrator, sample: Sample, last: Surface) -> tuple[float, float, float]:
    """(milliseconds, the fit's error, its loss)."""
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = calibrator(sample, last)
        took.append(time.perf_counter() - began)
    # the point is asked for again from the published numbers, so that all are weighed alike
    error = surface.vols(found, sample.log_moneyness, sample.years) - sample.vol
    return 1e3 * min(took), found.rmse_vol, surface.soft_loss(error / sample.error * sample.weight)


def _start(model: Model, sample: Sample) -> Floats:
    said = np.asarray(model.run({"cells": cells_in(sample)[None, :]})["point"][0])
    return said if np.isfinite(said).all() else surface.start(sample, None)


def _published(x: Floats, sample: Sample) -> Surface:
    return surface.published(x, sample, 0.0)
