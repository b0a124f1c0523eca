"""Random baskets, the same for everybody who draws with the same seed."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_HELD: Final = 2
MOST_HELD: Final = 8


def drawn(assets: int, count: int, seed: int) -> Floats:
    """(count, assets): two to eight assets each, long or short, of gross weight one."""
    rng = np.random.default_rng(seed)
    found = np.zeros((count, assets))
    for row in found:
        held = rng.choice(assets, int(rng.integers(LEAST_HELD, min(MOST_HELD, assets) + 1)), replace=False)
        row[held] = rng.dirichlet(np.ones(len(held))) * rng.choice([-1.0, 1.0], len(held))
    return found
