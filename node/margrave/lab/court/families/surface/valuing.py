"""Fair value of single options against the quotes that were kept back: the error, and how honest its interval is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.lab.court.families.surface import cells
from margrave.lab.court.families.surface.cells import Shot
from margrave.lab.court.families.surface.completion import SsviRefit
from margrave.lab.court.families.surface.forecasting import unseen
from margrave.score import fair_value, surface
from margrave.score.registry import Model
from margrave.spans import YEAR_DAYS

Floats = NDArray[np.float64]

KEPT_BACK: Final = 0.1
"""Share of the quotes of every chain."""
MOST_SHOTS: Final = 60
SEED: Final = 13


@dataclass(frozen=True, slots=True)
class Valued:
    """Columns over all options kept back; shape (n,)."""

    days: Floats
    moves: Floats
    error_points: Floats
    """Ours less the quoted mid, in volatility points."""
    surface_points: Floats
    """The same of the SSVI surface alone, fitted to the same quotes."""
    spread_points: Floats
    """Ask less bid."""
    width_points: Floats
    """Of our interval."""
    within: NDArray[np.bool_]
    """The mid lies in our interval."""

    def __len__(self) -> int:
        return len(self.days)


def valued(shots: Mapping[str, Sequence[Shot]], model: Model, most: int = MOST_SHOTS) -> Valued:
    """Every tenth quote of chains that the model has not seen, valued from the others of the same chain."""
    rows: list[Floats] = []
    for asset, found in shots.items():
        later = [shot for shot in found if unseen(model.card, asset, shot.as_of_ms)]
        for shot in later[:: max(len(later) // most, 1)]:
            random = np.random.default_rng([SEED, shot.as_of_ms])
            back = shot.sample.two_sided & (shot.cell >= 0) & (random.random(len(shot.cell)) < KEPT_BACK)
            if back.any():
                rows.append(_one(shot, back, model))
    table = np.concatenate(rows) if rows else np.empty((0, 7))
    days, moves, error, alone, spread, width, within = table.T
    return Valued(days, moves, error, alone, spread, width, within > 0)


def _one(shot: Shot, back: NDArray[np.bool_], model: Model) -> Floats:
    left = cells.part(shot.sample, ~back)
    k, years, mid = shot.sample.log_moneyness[back], shot.sample.years[back], shot.sample.vol[back]
    try:
        said = fair_value.from_sample(model, left, k, years)
    except Rejected:
        return np.empty((0, 7))
    refit = SsviRefit().fill(cells.Hole(shot, None, back))
    alone = np.full_like(mid, np.nan) if refit is None else refit.vol[back]
    flat = surface.vols(shot.surface, np.zeros_like(k), years) * np.sqrt(years)
    within = (said.low <= mid) & (mid <= said.high)
    return np.column_stack(
        [
            years * YEAR_DAYS,
            k / flat,
            100 * (said.vol - mid),
            100 * (alone - mid),
            200 * shot.half_spread[back],
            100 * (said.high - said.low),
            within,
        ]
    )
