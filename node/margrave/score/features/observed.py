"""What is observed of a market in an hour besides its hourly bar: one record, from a snapshot or from history.

`None` is what nobody said. The same record is what a node has at an hour's close and what a study builds from years
of files, so that an input of `beside` means the same in both.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from margrave.messages import Bar, MarketSnapshot


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """Of one market at the end of one hour. Rates and shares are fractions, sizes US dollars."""

    garman_klass: float | None = None
    """Variance of the hour by its high, low, open and close: Garman and Klass (1980)."""
    parkinson: float | None = None
    """Parkinson (1980): by its range alone."""
    rogers_satchell: float | None = None
    """Rogers and Satchell (1991): right whatever the drift."""
    gap: float | None = None
    """ln(open / close before)."""
    gap_square: float | None = None
    body: float | None = None
    """ln(close / open)."""
    body_square: float | None = None
    finer_square: float | None = None
    """Sum of the squared log returns of the bars inside the hour, of half an hour or less."""
    finer_down: float | None = None
    """And of those below zero."""
    vol_index: float | None = None
    funding_8h: float | None = None
    basis: float | None = None
    """Perpetual over index or spot, less one."""
    open_interest_usd: float | None = None
    half_spread: float | None = None
    """Fraction of the mid."""
    depth_usd: float | None = None
    """Within 1 % of the mid, the thinner side."""
    imbalance: float | None = None
    """(bid - ask) / (bid + ask) of that depth."""
    slope_usd_per_bp: float | None = None
    bought_usd: float | None = None
    """In the hour, taken from the asks; and sold into the bids."""
    sold_usd: float | None = None
    vpin: float | None = None
    """As `vpin` has it at the end of the hour; left empty where `Recent` keeps it."""
    liquidated_long_usd: float | None = None
    """In the hour."""
    liquidated_short_usd: float | None = None
    peg: float | None = None
    """USD for one unit of the stablecoin furthest from a dollar."""
    supply_change_24h: float | None = None
    transfer_velocity: float | None = None
    long_short_ratio: float | None = None
    taker_ratio: float | None = None
    fear_greed: float | None = None
    """0 to 100."""
    news_tone: float | None = None
    """-1 to 1."""


FIELDS: Final = Observed.__struct_fields__


def from_snapshot(market: MarketSnapshot) -> Observed:
    """What a round's snapshot says of the hour that has just closed. A node reads no bars finer than an hour.

    Raises:
        IndexError: the snapshot has no bar.
    """
    traded = market.traded_usd_per_hour
    bought = None if traded is None or market.buy_share is None else traded * market.buy_share
    close_before = market.bars[-2].close if len(market.bars) > 1 else None
    return msgspec.structs.replace(
        of_bar(market.bars[-1], close_before),
        vol_index=market.vol_index,
        funding_8h=market.funding_8h,
        basis=market.perp_basis,
        open_interest_usd=market.open_interest_usd,
        half_spread=market.half_spread,
        depth_usd=market.depth_usd,
        imbalance=market.imbalance,
        slope_usd_per_bp=market.slope_usd_per_bp,
        bought_usd=bought,
        sold_usd=None if traded is None or bought is None else traded - bought,
        liquidated_long_usd=market.liquidated_long_usd_per_hour,
        liquidated_short_usd=market.liquidated_short_usd_per_hour,
        peg=market.peg,
        supply_change_24h=market.supply_change_24h,
        transfer_velocity=market.transfer_velocity,
        long_short_ratio=market.long_short_ratio,
        taker_ratio=market.taker_ratio,
        fear_greed=market.fear_greed,
        news_tone=market.news_tone,
    )


def of_bar(bar: Bar, close_before: float | None) -> Observed:
    """The high-low estimators' parts of one hour; a bar of the guard's, so its prices are sound."""
    up, down = math.log(bar.high / bar.open), math.log(bar.low / bar.open)
    body = math.log(bar.close / bar.open)
    gap = None if close_before is None else math.log(bar.open / close_before)
    return Observed(
        garman_klass=0.5 * (up - down) ** 2 - (2.0 * math.log(2.0) - 1.0) * body**2,
        parkinson=(up - down) ** 2 / (4.0 * math.log(2.0)),
        rogers_satchell=up * (up - body) + down * (down - body),
        gap=gap,
        gap_square=None if gap is None else gap**2,
        body=body,
        body_square=body**2,
    )
