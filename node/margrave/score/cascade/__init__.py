"""Liquidation cascades: how likely forced sales are to feed on themselves, and how far they would push the price.

`positions` holds who owes what against what, `fire_sale` what a shock makes of it: the simulator, a tool of its own
(`margrave cascade`), the baseline, and the teacher of the learned model. `message` is what is said of a market.
"""

from margrave.score.cascade.fire_sale import Depth, Law, Round, Waterfall, clear, simulate
from margrave.score.cascade.message import Cascade
from margrave.score.cascade.positions import CloseFactor, Positions, of_health

__all__ = [
    "Cascade",
    "CloseFactor",
    "Depth",
    "Law",
    "Positions",
    "Round",
    "Waterfall",
    "clear",
    "of_health",
    "simulate",
]
