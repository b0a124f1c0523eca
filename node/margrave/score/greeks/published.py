"""What a reader of the contract has: surface and ladder out of a market's two words, to the size of a lane's count."""

from __future__ import annotations

import msgspec

from margrave import lanes
from margrave.lanes import ASCENDING, Words
from margrave.messages import Ladder, Surface
from margrave.score.greeks.slopes import checked


def surface_of(words: Words) -> Surface:
    """The lanes say nothing of how well it fitted: error and count of quotes are zero.

    Raises:
        Rejected: the words were never published, or hold no surface.
    """
    of = {name: lanes.decode(words, name) for name in ("total_vol_7d", "total_vol_30d", "total_vol_90d", "basis")}
    surface = Surface(
        **of,
        rho=lanes.decode(words, "ssvi_rho"),
        wing=lanes.decode(words, "ssvi_wing"),
        decay=lanes.decode(words, "ssvi_decay"),
        rmse_vol=0.0,
        quotes_used=0,
    )
    checked(surface)
    return surface


def ladder_of(words: Words) -> Ladder:
    down, up, _ = ASCENDING
    return msgspec.convert({name: lanes.decode(words, name) for name in (*down, *up)}, Ladder)
