"""What a book is worth to somebody who must trade: depth by distance, slope, imbalance, and the cost of a size.

With mid m = (best bid + best ask) / 2 and a level's dollars u = price · size · unit (or size · unit where sizes are
dollars), for one side:

* depth(d) = Σ u over levels with |price - m| <= d · m
* imbalance = (D_bid - D_ask) / (D_bid + D_ask), D = depth(1 %)
* slope = least-squares slope of depth against distance over the bands, of the side with less depth at the last of them
* impact(Q): levels are taken from the best on until they hold Q dollars, the last one in part; with c = Σ u / price
  coins for Q dollars the mean price is Q / c, and impact = Q / c / m - 1 for a buyer, 1 - Q / c / m for a seller

What lies beyond the `horizon` of either side is not known whole. Bands beyond it are left out; depth within 1 % and
imbalance are then taken to the horizon, so that depth is a lower bound and the sides are compared over one distance;
a size that would reach beyond it has no impact. All of it is vectorised over levels; shapes are (levels,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.messages import DepthBand

BANDS_BP: Final = (5.0, 10.0, 25.0, 50.0, 100.0, 200.0)
NEAR: Final = 0.01
"""The distance within which depth is summed for the guard, as a share of the mid."""
_EDGE: Final = 1e-12
"""Relative slack of a distance, so that a level on a band's edge is inside in binary as it is in decimal."""

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Valued:
    """One side, best first: prices, and the dollars that each level holds."""

    prices: Column
    usd: Column
    horizon: float
    """The furthest price as far as which the side is known whole."""

    @classmethod
    def of(cls, prices: Column, sizes: Column, horizon: float, *, unit: float, sizes_in_usd: bool) -> Valued:
        """
        Args:
            unit: coins in one unit of size, or dollars where `sizes_in_usd`.
        """
        return cls(prices, sizes * unit if sizes_in_usd else prices * sizes * unit, horizon)


@dataclass(frozen=True, slots=True)
class Measures:
    """One book at one moment; see `margrave.messages.BookReading`."""

    bid: float
    ask: float
    bid_depth_usd: float
    ask_depth_usd: float
    bands: tuple[DepthBand, ...]
    imbalance: float | None
    slope_usd_per_bp: float | None
    impact_buy: float | None
    impact_sell: float | None

    @property
    def spread(self) -> float:
        """Fraction of the mid."""
        return 2.0 * (self.ask - self.bid) / (self.ask + self.bid)


def measure(bids: Valued, asks: Valued, reference_usd: float | None = None) -> Measures:
    """Measures of an uncrossed book with at least one level a side.

    Args:
        bids, asks: best first.
        reference_usd: the size whose cost is asked for; `None` asks for none.
    """
    bid, ask = float(bids.prices[0]), float(asks.prices[0])
    mid = (bid + ask) / 2
    reach = min(mid - bids.horizon, asks.horizon - mid) / mid
    bid_distance, bid_sum = _cumulated(1.0 - bids.prices / mid, bids.usd)
    ask_distance, ask_sum = _cumulated(asks.prices / mid - 1.0, asks.usd)
    near = min(NEAR, max(reach, 0.0))
    near_bid, near_ask = _depth(bid_distance, bid_sum, near), _depth(ask_distance, ask_sum, near)
    bands = tuple(
        DepthBand(bp, _depth(bid_distance, bid_sum, bp * 1e-4), _depth(ask_distance, ask_sum, bp * 1e-4))
        for bp in BANDS_BP
        if bp * 1e-4 <= reach * (1 + _EDGE)
    )
    return Measures(
        bid=bid,
        ask=ask,
        bid_depth_usd=_depth(bid_distance, bid_sum, NEAR),
        ask_depth_usd=_depth(ask_distance, ask_sum, NEAR),
        bands=bands,
        imbalance=(near_bid - near_ask) / (near_bid + near_ask) if near_bid + near_ask > 0 else None,
        slope_usd_per_bp=_slope(bands),
        impact_buy=_impact(asks, mid, reference_usd, 1.0),
        impact_sell=_impact(bids, mid, reference_usd, -1.0),
    )


def _cumulated(distance: Column, usd: Column) -> tuple[Column, Column]:
    """Distances ascending, and the depth as far as each; both begin with a zero, for «nothing»."""
    return np.concatenate(([0.0], distance)), np.concatenate(([0.0], np.cumsum(usd)))


def _depth(distance: Column, depth: Column, within: float) -> float:
    """Depth as far as a distance, that distance included."""
    return float(depth[np.searchsorted(distance, within * (1 + _EDGE), side="right") - 1])


def _slope(bands: tuple[DepthBand, ...]) -> float | None:
    """USD a basis point; `None` with fewer than two bands."""
    if len(bands) < 2:
        return None
    thin_bids = bands[-1].bid_usd <= bands[-1].ask_usd
    x = np.array([band.distance_bp for band in bands])
    y = np.array([band.bid_usd if thin_bids else band.ask_usd for band in bands])
    x -= x.mean()
    return max(float(x @ y / (x @ x)), 0.0)  # depth never falls with distance: less is rounding


def _impact(side: Valued, mid: float, reference_usd: float | None, sign: float) -> float | None:
    """How much worse than the mid the mean price of so many dollars is, fraction; `None` where the side, as far as it
    is known, holds less."""
    if reference_usd is None:
        return None
    filled = np.cumsum(side.usd)
    last = int(np.searchsorted(filled, reference_usd))
    if last == len(filled) or sign * float(side.prices[last]) > sign * side.horizon:
        return None
    taken = side.usd[: last + 1].copy()
    taken[last] = reference_usd - (filled[last - 1] if last else 0.0)
    coins = float(np.sum(taken / side.prices[: last + 1]))
    return max(sign * (reference_usd / coins / mid - 1.0), 0.0)
