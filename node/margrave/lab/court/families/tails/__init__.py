"""Families that forecast VaR and expected shortfall of both tails, one file each."""

from __future__ import annotations

from typing import Final

from margrave.lab.court.families import Role
from margrave.lab.court.families.tails import boosted
from margrave.lab.court.families.tails.caviar import ES_CAVIAR
from margrave.lab.court.families.tails.combination import Combination
from margrave.lab.court.families.tails.conformal import Widened
from margrave.lab.court.families.tails.garch import EWMA_NORMAL, FAST_FHS, FHS_GJR, GARCH_T, GJR_EVT
from margrave.lab.court.families.tails.historical import HistoricalSimulation
from margrave.lab.court.families.tails.pooled import Pooled
from margrave.lab.court.family import TAIL_HORIZONS_H, TailFamily
from margrave.score.features.volatility import Market

POOLED: Final = Pooled()
SERVED: Final = Pooled("served_tails", Market.LEADERS)
"""What a node runs (`tails/1` of the registry), but fitted anew as the others are."""
OURS: Final = Combination(
    "tails",
    (
        (POOLED, tuple((horizon_h, 3.0) for horizon_h in TAIL_HORIZONS_H)),
        (ES_CAVIAR, tuple((horizon_h, 1.0) for horizon_h in TAIL_HORIZONS_H)),
    ),
)


def families() -> tuple[tuple[TailFamily, Role], ...]:
    """All that can be called here."""
    listed: list[tuple[TailFamily, Role]] = [
        (HistoricalSimulation(), Role.BASELINE),
        (EWMA_NORMAL, Role.BASELINE),
        (GARCH_T, Role.BASELINE),
        (FHS_GJR, Role.BASELINE),
        (GJR_EVT, Role.BASELINE),
        (ES_CAVIAR, Role.REFERENCE),
        (Widened(FAST_FHS), Role.CANDIDATE),
        (POOLED, Role.CANDIDATE),
        (Widened(SERVED), Role.CANDIDATE),
        (OURS, Role.CANDIDATE),
        (Widened(OURS), Role.OURS),
    ]
    if boosted.installed():
        listed.insert(-3, (boosted.Boosted(), Role.CANDIDATE))
    return tuple(listed)


def not_called() -> tuple[str, ...]:
    """In plain words, who cannot be called here and what to do."""
    if boosted.installed():
        return ()
    return (f"{boosted.NAME} is not called: lightgbm is not installed; pip install 'margrave[lab]'",)


FAMILIES: Final = families()
