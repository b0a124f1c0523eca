"""How far a market's inputs lie from anything that the models were trained on, and which of them lie far.

The distance is `unlike/1`'s (see its card): above 1 is beyond 99.9 % of the training hours. A candidate that no node
runs: the served tails carry a distance of their own (`forecast.Forecast.unlike`); this one also names the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.score.features.catalogue import VOLATILITY_NAMES
from margrave.score.registry import Model

Floats = NDArray[np.float64]

UNLIKE: Final = 1.0
NAMED: Final = 3
FAR_SD: Final = 4.0
"""An input this many standard deviations out is named."""

WATCHED: Final = ("volume_24h",)
"""Inputs whose days `drift` watches one by one, beside the distance. Levels of volatility and the share of it inside
the hour wander for weeks in quiet years too (1 to 7 findings a year each), and are not watched."""
WATCHED_SD: Final = 4.0
WATCHED_DISTANCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Unlike:
    """Of one market. Not finite where an input is not: refused."""

    distance: float
    far: tuple[str, ...]
    """Inputs more than `FAR_SD` from the centre, furthest first, `NAMED` at most."""
    figures: Mapping[str, float]
    """What `drift.Seen.features` takes: in [0, 1]; empty where the distance is not finite."""

    @property
    def strange(self) -> bool:
        return not self.distance <= UNLIKE


class Stranger:
    """Asks `unlike/1`."""

    def __init__(self, model: Model) -> None:
        """
        Raises:
            Fatal: the model is made for other columns, or says none of its inputs.
        """
        if model.card.columns != VOLATILITY_NAMES:
            raise Fatal(
                f"{model.name} is made for other columns than this node computes",
                advice="install the release that its card names, or choose another model",
            )
        meaning = next((tensor.meaning for tensor in model.card.outputs if tensor.name == "standard"), "")
        self.model = model
        self.used = tuple(meaning.partition(": ")[2].split(", "))
        if not set(WATCHED) <= set(self.used):
            raise Fatal(
                f"{model.name} does not say where {', '.join(sorted(set(WATCHED) - set(self.used)))} lies",
                advice="restore the model's folder from the release",
            )

    def of(self, columns: Floats) -> list[Unlike]:
        """
        Args:
            columns: (markets, VOLATILITY) as `served.serve` gives them.
        """
        if not len(columns):
            return []
        out = self.model.run({"columns": np.ascontiguousarray(columns)})
        rows = zip(out["unlike"], out["standard"], strict=True)
        return [self._one(float(distance), standard) for distance, standard in rows]

    def _one(self, distance: float, standard: Floats) -> Unlike:
        if not np.isfinite(distance):
            return Unlike(float("inf"), (), {})
        order = np.argsort(-np.abs(standard), kind="stable")[:NAMED]
        far = tuple(self.used[place] for place in order if abs(standard[place]) > FAR_SD)
        figures = {"unlike": min(distance / WATCHED_DISTANCE, 1.0)}
        for name in WATCHED:
            place = float(standard[self.used.index(name)])
            figures[name] = min(max(place / WATCHED_SD, -1.0), 1.0) / 2.0 + 0.5
        return Unlike(distance, far, figures)
