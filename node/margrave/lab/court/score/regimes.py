"""The regime of every hour of a panel: `score.regime` lived through, market by market."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.panel import Panel
from margrave.score.regime import ORDER, Regarded, RegimeState, step
from margrave.spans import JULIAN_YEAR_H
from margrave.verdicts import Regime

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Spent:
    """What markets have spent in one regime."""

    regime: Regime
    share: float
    """Of the hours."""
    entered_a_year: float
    """How often a market comes to it, from below or above."""
    mean_h: float
    """How long it then stays."""


def lived(panel: Panel, points: Floats) -> Ints:
    """(hours, assets): index into `ORDER`, `UNKNOWN` where there is no score. Of score and funding: a panel knows
    neither liquidations nor drift."""
    found = np.full(points.shape, UNKNOWN, dtype=np.int64)
    known_ms = panel.known_ms.tolist()
    place = {regime: at for at, regime in enumerate(ORDER)}
    for asset in range(points.shape[1]):
        rows = np.flatnonzero(np.isfinite(points[:, asset]))
        funding = [None if np.isnan(value) else value for value in panel.funding_8h[rows, asset].tolist()]
        state = RegimeState()
        for row, score, paid in zip(rows.tolist(), points[rows, asset].tolist(), funding, strict=True):
            state = step(state, Regarded(now_ms=known_ms[row], score=score, funding_8h=paid))
            found[row, asset] = place[state.regime]
    return found


def spent(regimes: Ints) -> list[Spent]:
    hours = int((regimes != UNKNOWN).sum())
    found = []
    for place, regime in enumerate(ORDER):
        within = regimes == place
        begun = within & ~np.concatenate((np.zeros((1, within.shape[1]), dtype=np.bool_), within[:-1]))
        entered, inside = int(begun.sum()), int(within.sum())
        found.append(
            Spent(
                regime=regime,
                share=inside / hours if hours else float("nan"),
                entered_a_year=entered / hours * JULIAN_YEAR_H if hours else float("nan"),
                mean_h=inside / entered if entered else float("nan"),
            )
        )
    return found
