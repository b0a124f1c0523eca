"""Families that forecast variance, one file each, and what they are before the court."""

from __future__ import annotations

from typing import Final, cast

from margrave.lab.court.families import Role
from margrave.lab.court.families.registered import Registered
from margrave.lab.court.families.volatility.combination import OURS
from margrave.lab.court.families.volatility.egarch import Egarch
from margrave.lab.court.families.volatility.ewma import ASYMMETRIC_EWMA, EWMA
from margrave.lab.court.families.volatility.garch import GARCH_T, GJR_GARCH_T
from margrave.lab.court.families.volatility.har import DIURNAL_LHAR_IV, HAR_WLS, LHAR_IV, LOG_HAR
from margrave.lab.court.families.volatility.pooled import POOLED
from margrave.lab.court.family import VolatilityFamily

FAMILIES: Final[tuple[tuple[VolatilityFamily, Role], ...]] = (
    (EWMA, Role.CANDIDATE),
    (ASYMMETRIC_EWMA, Role.BASELINE),
    (GARCH_T, Role.BASELINE),
    (GJR_GARCH_T, Role.CANDIDATE),
    (Egarch(), Role.CANDIDATE),
    (HAR_WLS, Role.BASELINE),
    (LOG_HAR, Role.BASELINE),
    (LHAR_IV, Role.BASELINE),
    (DIURNAL_LHAR_IV, Role.BASELINE),
    (POOLED, Role.CANDIDATE),
    (cast(VolatilityFamily, Registered("volatility/1")), Role.CANDIDATE),
    (cast(VolatilityFamily, Registered("lstm/1")), Role.CANDIDATE),
    (OURS, Role.OURS),
)
