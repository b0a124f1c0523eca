"""Where breaks are planted: fits spread over the judged hours, and families asked around each break.

A family is fitted before the break and never after it. It is asked on a copy, because models keep what they have
computed of a panel, and a panel with a planted break has the length of the true one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families import Role
from margrave.lab.court.families.tails import FAMILIES, SERVED
from margrave.lab.court.families.tails.conformal import Widened
from margrave.lab.court.families.tails.garch import FAST_FHS, GARCH_T
from margrave.lab.court.families.tails.hastened import Hastened
from margrave.lab.court.families.tails.historical import HistoricalSimulation
from margrave.lab.court.family import TailFamily, TailModel
from margrave.lab.court.panel import Panel
from margrave.spans import DAY_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PAST_H: Final = DAY_H * 540
"""What a fit sees: every family's window but the longest, and a tenth of the panel to copy."""
LEAST_PAST_H: Final = DAY_H * 180
AFTER_H: Final = DAY_H * 90
"""Hours after a fit that are asked about."""
BREAKS_D: Final = (2, 12, 22)
"""Days after a fit at which breaks are planted."""
BEFORE_H: Final = 720
"""Hours before a break that the detectors have run."""
MOST_FITS: Final = 3
LOOKED_AT: Final = 36
"""Hours of the panel that are tried for a fit: some lie in a hole of the history."""
MOST_ASSETS: Final = 6


def ours() -> tuple[TailFamily, TailFamily | None]:
    """(our family as it is judged but for its haste, the same without its online widening where it has one)."""
    family = next(family for family, role in FAMILIES if role is Role.OURS)
    family = family.widened if isinstance(family, Hastened) else family
    return family, family.inner if isinstance(family, Widened) else None


def families() -> dict[str, TailFamily]:
    """Who is asked after breaks, by name: ours, with and without widening, and what they are to be compared with."""
    mine, bare = ours()
    hasty = [Hastened(mine), Hastened(Widened(SERVED))] if isinstance(mine, Widened) else []
    asked = [*hasty, mine, *([bare] if bare else []), FAST_FHS, Widened(FAST_FHS), GARCH_T, HistoricalSimulation()]
    return {family.name: family for family in asked}


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of the panel around one fit: assets that have every bar of it."""

    panel: Panel
    fit_row: int

    def past(self) -> Panel:
        return self.panel.upto(self.fit_row)

    def fitted(self, family: TailFamily, past: Panel, horizons_h: Sequence[int]) -> TailModel:
        """Fitted at all horizons, having seen nothing but the past."""
        model = family.fit(past)
        last, assets = np.full(len(past.assets), past.hours - 1), np.arange(len(past.assets))
        for horizon_h in horizons_h:
            model.tails(past, last, assets, horizon_h)
        return model


def scenes(panel: Panel, first_row: int, most: int = MOST_FITS) -> list[Scene]:
    """At most so many, evenly over the hours from `first_row` on at which at least half as many assets are whole as at
    any; of one the last."""
    last = panel.hours - AFTER_H
    if last <= first_row:
        return []
    looked_at = np.unique(np.linspace(first_row, last, LOOKED_AT).astype(np.int64))
    found = [scene for scene in (scene_at(panel, int(row)) for row in looked_at) if scene is not None]
    best = max((len(scene.panel.assets) for scene in found), default=0)
    found = [scene for scene in found if 2 * len(scene.panel.assets) >= best]
    chosen = np.unique(np.linspace(len(found) - 1, 0, most).astype(np.int64)) if found else np.empty(0, np.int64)
    return [found[int(place)] for place in chosen]


def scene_at(panel: Panel, fit_row: int, after_h: int = AFTER_H) -> Scene | None:
    """With the assets that have the most bars before the fit; `None` where no asset is whole."""
    begin, end = max(fit_row - PAST_H, 0), min(fit_row + after_h, panel.hours)
    if fit_row - begin < LEAST_PAST_H or end - fit_row < BEFORE_H // 2:
        return None
    stretch = panel.between(begin, end)
    whole = stretch.age_h[-1] >= end - fit_row + LEAST_PAST_H
    order = np.argsort(-stretch.age_h[-1], kind="stable")
    chosen = [int(place) for place in order if whole[place]][:MOST_ASSETS]
    if not chosen:
        return None
    return Scene(stretch.only([panel.assets[place] for place in sorted(chosen)]), fit_row - begin)


def copied(model: TailModel, past: Panel) -> TailModel:
    """The fitted model without a memory of any panel but its past's."""
    found: TailModel = copy.deepcopy(model, {id(past): past})
    return found


def rungs(model: TailModel, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
    """(rows, assets, 2, levels): what a model says of all assets of a panel; of each panel ask a copy of its own."""
    count = len(panel.assets)
    said = model.tails(panel, np.repeat(rows, count), np.tile(np.arange(count), len(rows)), horizon_h).var
    return np.asarray(said.reshape(len(rows), count, *said.shape[1:]))


def breaks_of(scene: Scene) -> Iterator[int]:
    """Rows at which a break is planted."""
    for days in BREAKS_D:
        yield scene.fit_row + days * DAY_H
