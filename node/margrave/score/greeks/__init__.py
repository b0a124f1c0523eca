"""Greeks of options out of what the oracle publishes: plain, along the smile, and over the moves that the ladder tells.

`Options` is the door, `plain` Black's formula, `greeks` what is served. Columns in, columns out: a whole chain is one
call.
"""

from __future__ import annotations

from margrave.score.greeks.black import Greeks, plain
from margrave.score.greeks.options import Options, sides
from margrave.score.greeks.served import Served, greeks
from margrave.score.greeks.slopes import Smile, smile
from margrave.score.greeks.tails import Heavy, Moves, moves, over_moves

__all__ = [
    "Greeks",
    "Heavy",
    "Moves",
    "Options",
    "Served",
    "Smile",
    "greeks",
    "moves",
    "over_moves",
    "plain",
    "sides",
    "smile",
]
