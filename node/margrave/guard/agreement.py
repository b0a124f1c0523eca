"""One price from many venues, such that a minority of them cannot move it where no honest venue is.

A weight cap against the venue that claims all the depth, a median against the liar, a MAD band against the outlier
(two-sigma filters fail exactly when needed: the outlier widens sigma), and at the end an order statistic that holds
whatever the filters did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from margrave.settings import GuardPolicy

BP: Final = 1e-4
DEPTH_CAP: Final = 2.0
"""A venue counts for at most this many times the median venue when depths or open interests are summed."""


@dataclass(frozen=True, slots=True)
class VenuePrice:
    """The one price an independent venue contributes."""

    source: str
    price: float
    depth_usd: float | None
    age_s: float


@dataclass(frozen=True, slots=True)
class Agreement:
    price: float
    weights: Mapping[str, float]
    """Of the venues kept; they sum to one."""
    outliers: Mapping[str, str]
    """Source -> how far out it was."""


def agree(venues: Sequence[VenuePrice], believed: Sequence[VenuePrice], policy: GuardPolicy) -> Agreement:
    """The agreed price of the `believed` among all `venues` whose readings are sound by themselves.

    The weighted median of those within the MAD band, held inside the middle order statistics of *all* venues: with n
    venues of which fewer than half lie, the middle one (two, for even n) is within the honest range, whatever honest
    venue the other rules were tricked into dropping.

    Layers that are switched off leave out the band, the cap, or the order statistics.

    Raises:
        ValueError: nobody is believed.
    """
    layers = policy.layers
    center = median(v.price for v in believed)
    allowed = max(policy.mad_multiple * _mad([v.price for v in believed], center), policy.mad_floor_bp * BP * center)
    if not layers.outliers:
        allowed = math.inf
    kept = [v for v in believed if abs(v.price - center) <= allowed]
    outliers = {
        v.source: f"{(v.price / center - 1) / BP:+.0f} bp from the median, {allowed / center / BP:.0f} bp allowed"
        for v in believed
        if abs(v.price - center) > allowed
    }
    weights = capped_weights([v.depth_usd for v in kept], policy.weight_cap if layers.weight_cap else 1.0)
    price = weighted_median([v.price for v in kept], weights)
    low, high = middle([v.price for v in venues]) if layers.middle else (price, price)
    return Agreement(
        price=min(max(price, low), high),
        weights={v.source: w for v, w in zip(kept, weights, strict=True)},
        outliers=outliers,
    )


def middle(values: Sequence[float]) -> tuple[float, float]:
    """The middle order statistics: equal for an odd count, the two about the median for an even one."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value at which half of the weight is reached; the mean of two where exactly half lies on each side."""
    half = sum(weights) / 2
    ordered = sorted(zip(values, weights, strict=True))
    reached = 0.0
    for position, (value, weight) in enumerate(ordered):
        reached += weight
        if abs(reached - half) <= 1e-12 * half and position + 1 < len(ordered):
            return (value + ordered[position + 1][0]) / 2
        if reached > half:
            return value
    return ordered[-1][0]


def capped_weights(depths_usd: Sequence[float | None], cap: float) -> list[float]:
    """Shares by depth, none above `cap` (equal shares where fewer than 1/cap venues are left); they sum to one.

    A venue that shows no book weighs as the median of those that do. What the cap takes goes to the others in
    proportion, so the order of the shares is the order of the depths.
    """
    count = len(depths_usd)
    shown = [d for d in depths_usd if d is not None and d > 0]
    usual = median(shown) if shown else 1.0
    sizes = [d if d is not None and d > 0 else usual for d in depths_usd]
    if count * cap <= 1:
        return [1 / count] * count
    capped: set[int] = set()
    while True:
        free = 1 - cap * len(capped)
        rest = sum(s for i, s in enumerate(sizes) if i not in capped)
        over = {i for i, s in enumerate(sizes) if i not in capped and s / rest * free > cap}
        if not over:
            return [cap if i in capped else s / rest * free for i, s in enumerate(sizes)]
        capped |= over


def capped_sum(amounts: Sequence[float]) -> float | None:
    """A total no single venue can inflate: each counts for at most `DEPTH_CAP` times the median."""
    if not amounts:
        return None
    limit = DEPTH_CAP * median(amounts)
    return sum(min(a, limit) for a in amounts)


def median_or_none(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _mad(values: Sequence[float], center: float) -> float:
    return median(abs(v - center) for v in values)
