"""Families that forecast VaR and expected shortfall of both tails, one file each."""

from __future__ import annotations

from typing import Final

from margrave.lab.court.families import Role
from margrave.lab.court.families.tails.caviar import ES_CAVIAR
from margrave.lab.court.families.tails.combination import Combination
from margrave.lab.court.families.tails.conformal import Widened
from margrave.lab.court.families.tails.garch import EWMA_NORMAL, FAST_FHS, FHS_GJR, GARCH_T, GJR_EVT
from margrave.lab.court.families.tails.historical import HistoricalSimulation
from margrave.lab.court.families.tails.pooled import Pooled
from margrave.lab.court.family import TailFamily

POOLED: Final = Pooled()
OURS: Final = Combination(
    "tails", ((POOLED, ((1, 2.0), (4, 2.0), (24, 1.0))), (ES_CAVIAR, ((1, 1.0), (4, 1.0), (24, 1.0))))
)

FAMILIES: tuple[tuple[TailFamily, Role], ...] = (
    (HistoricalSimulation(), Role.BASELINE),
    (EWMA_NORMAL, Role.BASELINE),
    (GARCH_T, Role.BASELINE),
    (FHS_GJR, Role.BASELINE),
    (GJR_EVT, Role.BASELINE),
    (ES_CAVIAR, Role.REFERENCE),
    (Widened(FAST_FHS), Role.CANDIDATE),
    (POOLED, Role.CANDIDATE),
    (OURS, Role.CANDIDATE),
    (Widened(OURS), Role.OURS),
)
