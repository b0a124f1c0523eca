"""Walking forward: fit on what was known, forecast until the next refit, go on. Nobody sees ahead.

At each refit a family gets the panel cut at that hour, so that no target of its training reaches beyond: what others
call purging is the cut itself. Judged rows lie a horizon apart, so that outcomes do not overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.family import LEVELS, TailFamily, TailModel, Tails, VolatilityFamily, VolatilityModel
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REFIT_H: Final = 720
AUDITED_ROWS: Final = 6
AUDIT_TOLERANCE: Final = 1e-9


Pairs = Callable[[Ints], tuple[Ints, Ints]]
"""Judged rows -> (rows, assets) that are judged: see `judged`."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One fit and the rows that it is asked about."""

    fit_row: int
    """The family sees rows before this one."""
    rows: Ints


@dataclass(frozen=True, slots=True)
class Answers:
    """What a family said about the judged (row, asset) pairs of one horizon, in one order for all families."""

    rows: Ints
    assets: Ints
    said: Floats
    """Variances: (pairs,). Tails: (pairs, 2 of var and es, 2 sides, levels)."""


def legs(panel: Panel, first_row: int, horizon_h: int, refit_h: int = REFIT_H) -> Iterator[Leg]:
    """Rows a horizon apart whose outcome lies in the panel, in runs of one refit.

    Args:
        first_row: of the first forecast.
    """
    for fit_row in range(first_row, panel.hours - horizon_h, refit_h):
        end = min(fit_row + refit_h, panel.hours - horizon_h)
        # Judged rows fall on whole multiples of the horizon in time, whenever the history begins.
        rows = np.arange(fit_row, end)
        rows = rows[(panel.open_ms[rows] // 3_600_000 + 1) % horizon_h == 0]
        if len(rows):
            yield Leg(fit_row, rows)


def judged(panel: Panel, rows: Ints, least_hours: int, horizon_h: int) -> tuple[Ints, Ints]:
    """(rows, assets) that have enough past without a gap, and an outcome."""
    there = (panel.age_h[rows] >= least_hours) & np.isfinite(panel.outcome(horizon_h)[rows])
    places, assets = np.nonzero(there)
    return rows[places], assets.astype(np.int64)


def walk_volatility(
    panel: Panel,
    family: VolatilityFamily,
    todo: Sequence[Leg],
    horizon_h: int,
    pairs: Pairs,
) -> Answers:
    """Forecasts of one family at one horizon over all legs."""
    parts = []
    for leg in todo:
        model = family.fit(panel.upto(leg.fit_row))
        rows, assets = pairs(leg.rows)
        seen = panel.upto(int(leg.rows[-1]) + 1)
        said = model.variance(seen, leg.rows, horizon_h)
        parts.append((rows, assets, said[np.searchsorted(leg.rows, rows), assets]))
    return _joined(parts)


def walk_tails(panel: Panel, family: TailFamily, todo: Sequence[Leg], horizon_h: int, pairs: Pairs) -> Answers:
    """The same for tails."""
    parts = []
    for leg in todo:
        model = family.fit(panel.upto(leg.fit_row))
        rows, assets = pairs(leg.rows)
        tails = model.tails(panel.upto(int(leg.rows[-1]) + 1), rows, assets, horizon_h)
        parts.append((rows, assets, np.stack([tails.var, tails.es], axis=1)))
    return _joined(parts)


def audit(panel: Panel, model: VolatilityModel | TailModel, rows: Ints, horizon_h: int, name: str) -> None:
    """Ask some rows again with everything after them taken away: the answer must be the same.

    Raises:
        Fatal: it is not, so the model looks ahead.
    """
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, AUDITED_ROWS).astype(np.int64))]
    whole = _ask(model, panel, chosen, horizon_h)
    for place, row in enumerate(chosen):
        alone = _ask(model, panel.upto(int(row) + 1), np.array([row]), horizon_h)[0]
        if not np.allclose(alone, whole[place], rtol=AUDIT_TOLERANCE, atol=0.0, equal_nan=True):
            raise Fatal(
                f"{name} looks ahead: its forecast at hour {int(panel.open_ms[row])} changes with what comes after it",
                advice="give it only rows up to the one that is asked about",
            )


def _ask(model: VolatilityModel | TailModel, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
    """(rows, …) for all assets."""
    if hasattr(model, "variance"):
        return np.asarray(model.variance(panel, rows, horizon_h))
    count = len(panel.assets)
    pairs = np.repeat(rows, count), np.tile(np.arange(count), len(rows))
    tails: Tails = model.tails(panel, *pairs, horizon_h)
    return np.stack([tails.var, tails.es], axis=1).reshape(len(rows), count, 2, 2, len(LEVELS))


def _joined(parts: Sequence[tuple[Ints, Ints, Floats]]) -> Answers:
    if not parts:
        raise Fatal("no row is left to judge", advice="give a longer history, or start to judge earlier")
    return Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))
