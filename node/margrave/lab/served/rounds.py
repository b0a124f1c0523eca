"""Hours of a history as a node meets them: closed bars and a price, and nothing beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from margrave.lab.court.history import Stretch
from margrave.messages import Bar, MarketSnapshot
from margrave.score.features.catalogue import LEVEL_H

FIRST_H: Final = LEVEL_H + 2
"""Closed bars of the first round: four whole weeks behind the newest hour, and none that a node that begins would live
through first."""
SEEN_H: Final = 700
"""Of every later one: some more, as the guard keeps them."""


def bars_of(stretch: Stretch) -> list[Bar]:
    fields = (stretch.open, stretch.high, stretch.low, stretch.close, stretch.volume)
    columns = [stretch.open_ms.tolist(), *(field.tolist() for field in fields)]
    return [Bar(*row) for row in zip(*columns, strict=True)]


def round_of(asset: str, bars: Sequence[Bar], price: float) -> MarketSnapshot:
    """A round without option chain, implied volatility, funding or depth: the models run without what is not there."""
    return MarketSnapshot(
        market=asset,
        price=price,
        sources=(),
        half_spread=None,
        depth_usd=None,
        perp_basis=None,
        funding_8h=None,
        open_interest_usd=None,
        vol_index=None,
        collateral_ratio=None,
        bars=tuple(bars),
        quotes=(),
        chain_age_s=None,
    )
