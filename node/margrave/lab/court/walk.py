"""Walking forward: fit on what was known, forecast until the next refit, go on. Nobody sees ahead.

At each refit a family gets the panel cut at that hour, so that no target of its training reaches beyond: what others
call purging is the cut itself. Judged rows lie a horizon apart, so that outcomes do not overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.family import LEVELS, TailFamily, TailModel, Tails, VolatilityFamily, VolatilityModel, fitted
from margrave.lab.court.panel import Panel
from margrave.spans import HOUR_MS, JULIAN_YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REFIT_H: Final = 720
MEMORY_H: Final = 5 * JULIAN_YEAR_H
"""A fit knows no more than the last five years: the longest memory that stands before the court is 1500 days, and a
study's cost grows with its length and not with its square."""
AUDITED_ROWS: Final = 6
AUDIT_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Leg:
    """One fit, and until when it is asked."""

    fit_row: int
    """The family sees rows before this one."""
    end_row: int
    """The next fit's; the last leg's is the end of the panel."""

    def rows(self, panel: Panel, horizon_h: int) -> Ints:
        """Rows a horizon apart, on whole multiples of it in time whenever the history begins; their outcome exists."""
        rows = np.arange(self.fit_row, min(self.end_row, panel.hours - horizon_h))
        return np.asarray(rows[(panel.open_ms[rows] // HOUR_MS + 1) % horizon_h == 0])


@dataclass(frozen=True, slots=True)
class Answers:
    """What a family said about the judged (row, asset) pairs of one horizon, in one order for all families."""

    rows: Ints
    assets: Ints
    said: Floats
    """Variances: (pairs,). Tails: (pairs, 2 of var and es, 2 sides, levels)."""


ByHorizon = Mapping[int, Answers]


def legs(panel: Panel, first_row: int, refit_h: int = REFIT_H) -> list[Leg]:
    """A leg every `refit_h` hours from the first forecast's row to the panel's end."""
    starts = range(first_row, panel.hours - 1, refit_h)
    return [Leg(start, min(start + refit_h, panel.hours)) for start in starts]


def judged(panel: Panel, rows: Ints, least_hours: int, horizon_h: int) -> tuple[Ints, Ints]:
    """(rows, assets) that have enough past without a gap, and an outcome."""
    there = (panel.age_h[rows] >= least_hours) & np.isfinite(panel.outcome(horizon_h)[rows])
    places, assets = np.nonzero(there)
    return rows[places], assets.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Room:
    """What one leg's families share: the past that they are fitted on and the hours that they are asked about, of the
    assets that are there by then and no longer back than `MEMORY_H`. What they derive from either they derive once."""

    panel: Panel
    leg: Leg
    first_row: int
    columns: Ints
    past: Panel
    seen: Panel

    def sit(
        self, family: VolatilityFamily | TailFamily, horizons_h: Sequence[int], *, least_hours: int | None = None
    ) -> ByHorizon:
        """See `sit`."""
        model = fitted(family, self.past)
        answers: dict[int, Answers] = {}
        for horizon_h in horizons_h:
            asked = self.leg.rows(self.panel, horizon_h)
            least = family.least_hours if least_hours is None else least_hours
            rows, assets = judged(self.panel, asked, least, horizon_h)
            if len(rows):
                here = rows - self.first_row, np.searchsorted(self.columns, assets)
                answers[horizon_h] = Answers(rows, assets, _said(model, self.seen, *here, horizon_h))
        return answers

    def audit(self, families: Sequence[tuple[VolatilityFamily | TailFamily, Sequence[int]]]) -> None:
        """Ask some rows again, of each family at its horizons, with everything after them taken away.

        Raises:
            Fatal: an answer changes, so that family looks ahead.
        """
        rows = _some(np.arange(self.leg.fit_row, self.leg.end_row) - self.first_row)
        asked = [(family.name, fitted(family, self.past), horizon_h) for family, own in families for horizon_h in own]
        whole = [_ask(model, self.seen, rows, horizon_h) for _, model, horizon_h in asked]
        for place, row in enumerate(rows):
            cut = self.seen.upto(int(row) + 1)
            for (name, model, horizon_h), said in zip(asked, whole, strict=True):
                _same(model, cut, said[place], horizon_h, name)


def room(panel: Panel, leg: Leg) -> Room:
    first = max(leg.fit_row - MEMORY_H, 0)
    seen = panel.between(first, leg.end_row)
    columns = np.flatnonzero(seen.present.any(axis=0))
    seen = seen.only([panel.assets[column] for column in columns])
    return Room(panel, leg, first, columns, seen.upto(leg.fit_row - first), seen)


def sit(
    panel: Panel,
    family: VolatilityFamily | TailFamily,
    leg: Leg,
    horizons_h: Sequence[int],
    *,
    least_hours: int | None = None,
    audited: bool = False,
) -> ByHorizon:
    """One fit, asked at every horizon; horizons without a judged pair are left out.

    Args:
        least_hours: bars without a gap that a judged asset has; `None` takes what the family needs.
        audited: ask some rows again without what follows them.

    Raises:
        Fatal: the family looks ahead.
    """
    here = room(panel, leg)
    answers = here.sit(family, horizons_h, least_hours=least_hours)
    if audited:
        here.audit([(family, horizons_h)])
    return answers


def walk(
    panel: Panel,
    family: VolatilityFamily | TailFamily,
    todo: Sequence[Leg],
    horizons_h: Sequence[int],
    *,
    least_hours: int | None = None,
) -> ByHorizon:
    """Every leg of one family, in this process; `study.collect` does the same on many, and resumes."""
    return joined([sit(panel, family, leg, horizons_h, least_hours=least_hours) for leg in todo])


def joined(parts: Sequence[ByHorizon]) -> ByHorizon:
    """The legs of one family, ascending, as one.

    Raises:
        Fatal: nothing was judged.
    """
    horizons_h = sorted({horizon_h for part in parts for horizon_h in part})
    if not horizons_h:
        raise Fatal("no row is left to judge", advice="give a longer history, or start to judge earlier")
    whole: dict[int, Answers] = {}
    for horizon_h in horizons_h:
        found = [part[horizon_h] for part in parts if horizon_h in part]
        whole[horizon_h] = Answers(*(np.concatenate([getattr(f, name) for f in found]) for name in Answers.__slots__))
    return whole


def _said(model: VolatilityModel | TailModel, seen: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Floats:
    if hasattr(model, "variance"):
        asked, places = np.unique(rows, return_inverse=True)
        return np.asarray(model.variance(seen, asked, horizon_h))[places, assets]
    tails: Tails = model.tails(seen, rows, assets, horizon_h)
    return np.stack([tails.var, tails.es], axis=1)


def audit(panel: Panel, model: VolatilityModel | TailModel, rows: Ints, horizon_h: int, name: str) -> None:
    """Ask some rows again with everything after them taken away: the answer must be the same.

    Raises:
        Fatal: it is not, so the model looks ahead.
    """
    chosen = _some(rows)
    whole = _ask(model, panel, chosen, horizon_h)
    for row, said in zip(chosen, whole, strict=True):
        _same(model, panel.upto(int(row) + 1), said, horizon_h, name)


def _some(rows: Ints) -> Ints:
    return rows[np.unique(np.linspace(0, len(rows) - 1, AUDITED_ROWS).astype(np.int64))]


def _same(model: VolatilityModel | TailModel, cut: Panel, said: Floats, horizon_h: int, name: str) -> None:
    """Whether the last hour of what is left is answered as it was with what followed it."""
    alone = _ask(model, cut, np.array([cut.hours - 1]), horizon_h)[0]
    # A graph in float32 says other last digits in another batch, and says so.
    tolerance = max(AUDIT_TOLERANCE, float(getattr(model, "rounding", 0.0)))
    if not np.allclose(alone, said, rtol=tolerance, atol=0.0, equal_nan=True):
        raise Fatal(
            f"{name} looks ahead: its forecast at hour {int(cut.open_ms[-1])} changes with what comes after it",
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
