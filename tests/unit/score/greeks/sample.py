"""A chain of options of all kinds on a made surface."""

from __future__ import annotations

import msgspec
import numpy as np

from margrave.messages import Surface
from margrave.score.greeks import Options
from tests.unit.score.chains import TRUE

SURFACE = TRUE
FORWARD = 70_000.0


def chain(forward: float = FORWARD) -> Options:
    """Calls and puts two standard moves out, from three days to half a year; nowhere on a tenor, where theta bends."""
    days = np.repeat([3.0, 6.0, 21.0, 75.0, 170.0], 18)
    moves = np.tile(np.repeat(np.linspace(-2.0, 2.0, 9), 2), 5)
    years = days / 365
    strike = FORWARD * np.exp(moves * 0.55 * np.sqrt(years))
    return Options(forward, strike, years, np.arange(len(days)) % 2 == 0)


def lifted(surface: Surface, by: float) -> Surface:
    """All of its volatilities times `by`; the smile's shape stays."""
    return msgspec.structs.replace(
        surface,
        total_vol_7d=surface.total_vol_7d * by,
        total_vol_30d=surface.total_vol_30d * by,
        total_vol_90d=surface.total_vol_90d * by,
    )
