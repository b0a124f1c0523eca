"""Order book levels from three numbers: a shape that is dense at the touch and as deep within 1 % as it should be."""

from __future__ import annotations

import math
from typing import Final

from margrave.lab.feed.tape import Quote

LEVELS: Final = 24
FARTHEST: Final = 0.012
"""Distance of the last level from the mid."""

Level = tuple[float, float]


def levels(quote: Quote, tick: float) -> tuple[list[Level], list[Level]]:
    """Bids and asks as (price on the tick, size in coins), from the best outwards; sizes grow with the distance."""
    near = max(quote.half_spread, tick / quote.mid)
    ratio = (max(FARTHEST, 4 * near) / near) ** (1 / (LEVELS - 1))
    distances = [near * ratio**i for i in range(LEVELS)]
    counted = sum(math.sqrt(d) for d in distances if d <= 0.01) or math.sqrt(distances[0])
    usd = [quote.depth_usd * math.sqrt(d) / counted for d in distances]
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for distance, amount in zip(distances, usd, strict=True):
        bid = round(math.floor(quote.mid * (1 - distance) / tick) * tick, 8)
        ask = round(math.ceil(quote.mid * (1 + distance) / tick) * tick, 8)
        bids[bid] = bids.get(bid, 0.0) + amount / quote.mid
        asks[ask] = asks.get(ask, 0.0) + amount / quote.mid
    return list(bids.items()), list(asks.items())


def tick_of(price: float) -> float:
    """A tick about a fifth of a basis point of the price: what venues list for Bitcoin and Ether."""
    return float(10 ** (math.floor(math.log10(price)) - 5) * 5) if price > 0 else 0.01
