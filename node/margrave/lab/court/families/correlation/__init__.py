"""Families that forecast the covariance of all assets at once, one file each."""

from __future__ import annotations

from typing import Final

from margrave.lab.court.families import Role
from margrave.lab.court.families.correlation.dcc import Dcc
from margrave.lab.court.families.correlation.ewma import Ewma
from margrave.lab.court.families.correlation.family import CovarianceFamily
from margrave.lab.court.families.correlation.mixed import Mixed
from margrave.lab.court.families.correlation.speeds import Speeds

OURS: Final = Speeds()

FAMILIES: Final[tuple[tuple[CovarianceFamily, Role], ...]] = (
    (Ewma("ewma_094", 0.94), Role.BASELINE),
    (Ewma("ewma_097", 0.97), Role.BASELINE),
    (Dcc(), Role.BASELINE),
    (Mixed(), Role.CANDIDATE),
    (OURS, Role.OURS),
)
