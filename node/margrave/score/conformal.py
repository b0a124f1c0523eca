"""Online conformal widening: each rung of VaR and ES times a factor that follows how often the rung was passed.

After each outcome the log of a rung's factor moves by GAMMA (1{passed} - p): up by almost GAMMA at a hit, down by a
little at each quiet bar (adaptive conformal inference, Gibbs and Candès 2021, as a factor instead of a level). As long
as the factor stays inside its bounds, the share of hits over T bars is within RANGE / (GAMMA T) of p, whatever the
market does and however wrong the model is: that is arithmetic and needs no assumption. Deep rungs take shorter steps
(`share`), and their bound is as much wider.

Of a horizon of h hours an outcome comes every hour, and h of them overlap: each then moves the factor by GAMMA / h, so
that a day of outcomes moves it as much as those of one phase of the clock would, and it follows their mean.

Outside the model's graph: the factor is state, and the node keeps it in its journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GAMMA: Final = 0.03
FULL_FROM: Final = 0.025
"""Rungs beyond this level move by less, as the root of their level: a hit there is rarer, and one that took the whole
step would say more of chance than of the model. On ten assets in 2022-07 to 2023-06 widening then costs .007 and .005
of FZ0 at 1 %, down and up at 4 h, and not .008 twice. The 5 % rungs are moved as ever."""
LEAST_LOG: Final = -0.35
"""A factor of 0.7: quiet times may not talk a rung down without end before the next break."""
MOST_LOG: Final = 1.4
"""A factor of 4: beyond that the model is wrong, which is for drift detection to say."""


@dataclass(frozen=True, slots=True)
class Widening:
    """The state of one asset, horizon and side: a log factor a rung. What the journal keeps.

    `levels` are tail probabilities, descending, as the rungs are.
    """

    levels: tuple[float, ...]
    log_factor: tuple[float, ...]
    bars: int = 0

    @classmethod
    def none(cls, levels: tuple[float, ...]) -> Widening:
        return cls(levels, (0.0,) * len(levels))

    def said(self, var: Floats, es: Floats) -> tuple[Floats, Floats]:
        """The ladder with the factors on it; (rungs,) both, ordered again."""
        return widened(np.asarray(self.log_factor), var, es)

    def after(
        self, loss: float, said_var: Floats, *, gamma: float = GAMMA, bounds: tuple[float, float] | None = None
    ) -> Widening:
        """When the outcome of a forecast is known.

        Args:
            loss: positive is a loss of this side; one that is not finite changes nothing.
            said_var: the quantiles that `said` gave for it.
            gamma: GAMMA / h where outcomes of h hours come every hour.
            bounds: of the log factors, where governance sets them closer than `LEAST_LOG` and `MOST_LOG`.
        """
        if not np.isfinite(loss) or not np.isfinite(said_var).all():
            return self
        low, high = bounds or (LEAST_LOG, MOST_LOG)
        moved = step(np.asarray(self.log_factor), loss > said_var, np.asarray(self.levels), gamma)
        moved = np.clip(moved, max(low, LEAST_LOG), min(high, MOST_LOG))
        return Widening(self.levels, tuple(float(value) for value in moved), self.bars + 1)


def step(log_factor: Floats, hits: Flags, levels: Floats, gamma: float = GAMMA) -> Floats:
    """The factors after one bar; any shape with rungs on the last axis."""
    return np.asarray(np.clip(log_factor + gamma * share(levels) * (hits - levels), LEAST_LOG, MOST_LOG))


def share(levels: Floats) -> Floats:
    """Of GAMMA, that a rung of each level moves by."""
    return np.asarray(np.minimum(np.sqrt(levels / FULL_FROM), 1.0))


def widened(log_factor: Floats, var: Floats, es: Floats) -> tuple[Floats, Floats]:
    """Rungs on the last axis; factors that differ by rung could cross them, so the ladder is ordered again."""
    factor = np.exp(log_factor)
    var = np.maximum.accumulate(var * factor, axis=-1)
    return var, np.maximum(np.maximum.accumulate(es * factor, axis=-1), var)
