"""What the models see: one definition, named and versioned, for training, the court and the node.

`hourly-2` is what models are made for now: `catalogue` names it, `volatility` and `tails` compute it over years of
many assets, `running` hour by hour, `served` for a round's markets, and the tests hold the two to 1e-9 of each other.
`beside` (with `observed`, `recent`, `vpin`) is the rest of what a snapshot says of a market, which no published model
reads: docs/features.md says why. `hourly_1` is what `tail_net/1` and `gjr_garch_t/1` were made for; its names are this
package's.
"""

from margrave.score.features.clock import new_york_hour_of_week
from margrave.score.features.hourly_1 import (
    LONG_H,
    MASKS,
    MIN_BARS,
    NAMES,
    VARIANCE_FLOOR,
    VERSION,
    Floats,
    History,
    Ints,
    Table,
    compute,
    from_bars,
    from_snapshot,
    masked,
)

__all__ = [
    "LONG_H",
    "MASKS",
    "MIN_BARS",
    "NAMES",
    "VARIANCE_FLOOR",
    "VERSION",
    "Floats",
    "History",
    "Ints",
    "Table",
    "compute",
    "from_bars",
    "from_snapshot",
    "masked",
    "new_york_hour_of_week",
]
