"""The registry's ladder at the time of a chain, for assets whose bars the folder holds as well."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from margrave.errors import Fatal, Rejected
from margrave.lab.court.families.registered import RegisteredTails
from margrave.lab.court.family import DOWN, LEVELS, UP, TailModel
from margrave.lab.court.greeks.held import Floats
from margrave.lab.court.panel import Panel
from margrave.messages import Ladder
from margrave.score.greeks import Moves, moves
from margrave.score.registry import open_model
from margrave.settings import REGISTRY
from margrave.spans import HOUR_MS

MODEL: Final = "tails/1"
MPOR_H: Final = 4
MOST_AGE_H: Final = 2
"""Of the last bar when a hedge is set."""


@dataclass(frozen=True)
class Ladders:
    """`held.Ladders`: asks the model at the last bar before each chain."""

    panel: Panel
    model: TailModel

    def __call__(self, asset: str, at_ms: int) -> Moves | None:
        if asset not in self.panel.assets:
            return None
        row = int(np.searchsorted(self.panel.known_ms, at_ms, side="right")) - 1
        if row < 0 or at_ms - self.panel.known_ms[row] > MOST_AGE_H * HOUR_MS:
            return None
        place = self.panel.assets.index(asset)
        said = self.model.tails(self.panel, np.array([row]), np.array([place]), MPOR_H)
        try:
            return moves(_ladder(said.var[0], said.es[0]))
        except Rejected:  # a model that is silent there: NaN is no ladder
            return None


def ladders(panel: Panel, registry: Path = REGISTRY) -> Ladders | str:
    """The ladders, or why there are none."""
    if not panel.hours:
        return "no bars: nothing tells the moves that deltas could be taken over"
    try:
        return Ladders(panel, RegisteredTails(open_model(registry, MODEL)))
    except Fatal as error:
        return f"{MODEL}: {error}"


def _ladder(var: Floats, es: Floats) -> Ladder:
    """From (2, LEVELS) of log returns. The court has no quantile at 0.05 %: the one at 0.1 % stands between the
    shortfalls in its place, and no move is made of it."""
    rungs: dict[str, float] = {}
    for name, side in (("down", DOWN), ("up", UP)):
        q975, q995, far = (float(var[side, LEVELS.index(p)]) for p in (0.025, 0.005, 0.001))
        es99, es999 = (float(es[side, LEVELS.index(p)]) for p in (0.01, 0.001))
        logs = np.maximum.accumulate([q975, q995, es99, max(far, es99), es999])
        logs[3] = min(logs[3], max(es999, es99))
        simple = -np.expm1(-logs) if side == DOWN else np.expm1(logs)
        rungs |= dict(zip((f"{name}_{rung}" for rung in RUNGS), map(float, np.sort(simple)), strict=True))
    return Ladder(**rungs)


RUNGS: Final = ("q975", "q995", "es99", "q9995", "es999")
