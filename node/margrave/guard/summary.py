"""What many books, trades and observers say, as one figure each; `None` where nobody said it, never a default."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final, TypedDict

from margrave.guard.agreement import capped_sum, median_or_none
from margrave.guard.gathered import Gathered
from margrave.messages import BookReading, DepthBand, HealthReading, Kind, NoticeReading, PoolReading
from margrave.spans import HOUR_MS

SHORTEST_WINDOW_MS: Final = 60_000
"""A window shorter than this is not stretched to an hour from what it holds: one trade would be a flood."""


class OfBooks(TypedDict):
    depth_bands: tuple[DepthBand, ...]
    imbalance: float | None
    slope_usd_per_bp: float | None
    impact_buy: float | None
    impact_sell: float | None


class OfFlows(TypedDict):
    traded_usd_per_hour: float | None
    buy_share: float | None
    liquidated_long_usd_per_hour: float | None
    liquidated_short_usd_per_hour: float | None


class OfObservers(TypedDict):
    oracle_price: float | None
    redemption_value: float | None
    peg: float | None
    long_short_ratio: float | None
    top_long_short_ratio: float | None
    taker_ratio: float | None
    option_open_interest_usd: float | None
    delivery_price: float | None
    base_fee_wei: float | None
    supply_change_24h: float | None
    transfer_velocity: float | None
    health_at_risk: float | None
    fear_greed: float | None
    funding_positioning: float | None
    news_tone: float | None
    health: tuple[HealthReading, ...]
    pools: tuple[PoolReading, ...]
    notices: tuple[NoticeReading, ...]


def of_books(books: Sequence[BookReading]) -> OfBooks:
    """Depth by distance is summed with each venue capped, at the distances that all who give bands have; the other
    measures are medians over venues."""
    banded = [{band.distance_bp: band for band in book.bands} for book in books if book.bands]
    shared = sorted(set.intersection(*(set(bands) for bands in banded))) if banded else []
    return OfBooks(
        depth_bands=tuple(
            DepthBand(
                distance,
                capped_sum([bands[distance].bid_usd for bands in banded]) or 0.0,
                capped_sum([bands[distance].ask_usd for bands in banded]) or 0.0,
            )
            for distance in shared
        ),
        imbalance=_median_said([book.imbalance for book in books]),
        slope_usd_per_bp=_median_said([book.slope_usd_per_bp for book in books]),
        impact_buy=_median_said([book.impact_buy for book in books]),
        impact_sell=_median_said([book.impact_sell for book in books]),
    )


def of_flows(market: Gathered, now_ms: int) -> OfFlows:
    """USD an hour, from each window's beginning to now, summed over venues and markets, each capped."""
    trades = [said for perpetual in (False, True) for _, said in sorted(market.trades.get(perpetual, {}).items())]
    bought = capped_sum([said.buy_usd * _hourly(said.from_ms, now_ms) for said in trades])
    sold = capped_sum([said.sell_usd * _hourly(said.from_ms, now_ms) for said in trades])
    traded = None if bought is None or sold is None else bought + sold
    closed = market.liquidations
    return OfFlows(
        traded_usd_per_hour=traded,
        buy_share=bought / traded if bought is not None and traded else None,
        liquidated_long_usd_per_hour=capped_sum([said.long_usd * _hourly(said.from_ms, now_ms) for said in closed]),
        liquidated_short_usd_per_hour=capped_sum([said.short_usd * _hourly(said.from_ms, now_ms) for said in closed]),
    )


def of_observers(market: Gathered) -> OfObservers:
    """Medians over who says so; of several stablecoins the one furthest from a dollar."""
    pegs = market.values(Kind.PEG)
    return OfObservers(
        oracle_price=median_or_none(market.values(Kind.ORACLE_PRICE)),
        redemption_value=median_or_none(market.values(Kind.REDEMPTION_VALUE)),
        peg=max(pegs, key=lambda peg: (abs(peg - 1), peg)) if pegs else None,
        long_short_ratio=median_or_none(market.values(Kind.LONG_SHORT_RATIO)),
        top_long_short_ratio=median_or_none(market.values(Kind.TOP_LONG_SHORT_RATIO)),
        taker_ratio=median_or_none(market.values(Kind.TAKER_RATIO)),
        option_open_interest_usd=capped_sum(market.values(Kind.OPTION_OPEN_INTEREST)),
        delivery_price=median_or_none(market.values(Kind.DELIVERY_PRICE)),
        base_fee_wei=median_or_none(market.values(Kind.BASE_FEE)),
        supply_change_24h=median_or_none(market.values(Kind.SUPPLY_CHANGE_24H)),
        transfer_velocity=median_or_none(market.values(Kind.TRANSFER_VELOCITY)),
        health_at_risk=max(market.values(Kind.HEALTH_AT_RISK), default=None),
        fear_greed=median_or_none(market.values(Kind.FEAR_GREED)),
        funding_positioning=median_or_none(market.values(Kind.FUNDING_POSITIONING)),
        news_tone=median_or_none(market.values(Kind.NEWS_TONE)),
        health=tuple(market.health),
        pools=tuple(market.pools),
        notices=tuple(market.notices),
    )


def _hourly(from_ms: int, now_ms: int) -> float:
    return HOUR_MS / max(now_ms - from_ms, SHORTEST_WINDOW_MS)


def _median_said(values: Sequence[float | None]) -> float | None:
    said = [value for value in values if value is not None]
    return median(said) if said else None
