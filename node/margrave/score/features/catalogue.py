"""Every input of `hourly-2`: its name, its unit, what must be there to tell it, and how far back it looks.

`VOLATILITY` and `TAILS` are the columns of `volatility/1` and `tails/1`, in order. A volatility input whose source is
absent is zero and its `mask`, a column of its own, is zero too. A tail input that is absent is NaN, and the graph puts
it at the mean of its training. `log ratio` is the natural logarithm of a ratio of variances: 0.7 is twice as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

VERSION: Final = "hourly-2"

LEVEL_H: Final = 672
"""Four whole weeks: a level that has every hour of the week equally often."""
LEADERS: Final = ("BTC", "ETH")
"""The coins that the others follow. What a node that watches few markets calls the market is their mean."""
HORIZONS_H: Final = (1, 4, 24, 168)
"""Of the volatility models; the tail models' are the first three."""

RANGE_H: Final = (1, 4, 8, 24, 48, 168)
MARKET_H: Final = (1, 4, 24, 168)
SHAPE_H: Final = (24, 168)
RETURN_H: Final = (1, 4, 24, 168)
ROBUST_H: Final = 24
VOLUME_H: Final = (1, 4, 24)

SPANS_H: Final = (1, 3, 6, 24, 72, 168, 720)
"""Mean ages of the tail inputs' levels, which are exponentially weighted, plus one."""
ANCHOR_H: Final = 24
SLOW_H: Final = 720
MARKET_SPANS_H: Final = (1, 6, 24, 168)
DOWN_SPANS_H: Final = (24, 168)
TREND_SPANS_H: Final = (1, 6, 24, 168)
VOLUME_SPANS_H: Final = (1, 24, SLOW_H)


class Group(StrEnum):
    """What is left out together when an ablation asks what a source is worth."""

    RANGE = "range"
    MARKET = "market"
    LONG = "long"
    LEVERAGE = "leverage"
    SHAPE = "shape"
    VOLUME = "volume"
    IMPLIED = "implied"
    FUNDING = "funding"
    CALENDAR = "calendar"
    # what no published model reads: `beside`
    FINER = "finer bars"
    HIGH_LOW = "high-low estimators"
    FUNDING_MOVES = "funding level and change"
    BASIS = "basis"
    OPEN_INTEREST = "open interest"
    BOOK = "order book"
    FLOW = "taker flow"
    VPIN = "VPIN"
    LIQUIDATIONS = "liquidations"
    PEG = "stablecoin peg"
    STABLECOINS = "stablecoin transfers"
    CROWD = "positioning"
    GREED = "fear and greed"
    NEWS = "news tone"
    CROSS = "correlation and lead"
    IMPLIED_LEVEL = "implied level"
    CLOCK = "clock"


class Need(StrEnum):
    """What must be there; without it the input is masked."""

    BARS = "hourly bars"
    LEADERS = "the leaders' bars"
    LONG_HISTORY = "sixteen weeks of bars"
    VOLUME = "volume"
    VOL_INDEX = "an implied volatility index, its own or a leader's"
    FUNDING = "funding"
    CLOCK = "the clock"
    FINER_BARS = "bars of half an hour or less"
    INDEX = "a perpetual and its index"
    OPEN_INTEREST = "open interest"
    BOOK = "order books"
    TRADES = "trades with their taker"
    LIQUIDATIONS = "liquidations"
    PEG = "stablecoin prices"
    TRANSFERS = "stablecoin transfers and supply"
    ACCOUNTS = "accounts' ratios"
    SENTIMENT = "the sentiment index"
    NEWS = "headlines"


@dataclass(frozen=True, slots=True)
class Feature:
    name: str
    unit: str
    group: Group
    needs: tuple[Need, ...]
    window_h: int
    """Hours that it looks back; of an exponentially weighted one, its mean age and one. 0 looks at the clock only."""
    mask: str | None = None
    """The column that is zero where this one is absent; without one it is NaN, or always there."""


LOG_RATIO: Final = "log ratio"
SIGMAS: Final = "standard deviations"
SHARE: Final = "share"
BIT: Final = "bit"
_BARS: Final = (Need.BARS,)
_MARKET: Final = (Need.BARS, Need.LEADERS)


def _bit(name: str, group: Group, need: Need, window_h: int) -> Feature:
    return Feature(name, BIT, group, (need,), window_h)


def _volatility() -> tuple[Feature, ...]:
    long_h = 4 * LEVEL_H
    return (
        *(Feature(f"range_{h}h", LOG_RATIO, Group.RANGE, _BARS, LEVEL_H) for h in RANGE_H),
        *(Feature(f"market_{h}h", LOG_RATIO, Group.MARKET, _MARKET, LEVEL_H, "has_market") for h in MARKET_H),
        _bit("has_market", Group.MARKET, Need.LEADERS, LEVEL_H),
        Feature("level_to_long", LOG_RATIO, Group.LONG, (Need.LONG_HISTORY,), long_h, "has_long"),
        Feature("market_to_long", LOG_RATIO, Group.LONG, (Need.LONG_HISTORY, Need.LEADERS), long_h, "has_long"),
        _bit("has_long", Group.LONG, Need.LONG_HISTORY, long_h),
        *(Feature(f"fall_{h}h", SIGMAS, Group.LEVERAGE, _BARS, LEVEL_H) for h in RETURN_H),
        *(Feature(f"rise_{h}h", SIGMAS, Group.LEVERAGE, _BARS, LEVEL_H) for h in RETURN_H),
        Feature(f"robust_{ROBUST_H}h", LOG_RATIO, Group.SHAPE, _BARS, ROBUST_H),
        *(
            Feature(f"{what}_{h}h", unit, Group.SHAPE, _BARS, h)
            for h in SHAPE_H
            for what, unit in (("jump_share", SHARE), ("close_to_range", LOG_RATIO))
        ),
        *(Feature(f"volume_{h}h", LOG_RATIO, Group.VOLUME, (Need.VOLUME,), 168, "has_volume") for h in VOLUME_H),
        _bit("has_volume", Group.VOLUME, Need.VOLUME, 168),
        *(
            Feature(name, LOG_RATIO, Group.IMPLIED, (Need.VOL_INDEX,), window_h, "has_implied")
            for name, window_h in (
                ("implied_to_market", LEVEL_H),
                ("implied_to_level", LEVEL_H),
                ("implied_change_24h", 24),
            )
        ),
        _bit("has_implied", Group.IMPLIED, Need.VOL_INDEX, 24),
    )


def _tails() -> tuple[Feature, ...]:
    return (
        *(Feature(f"level_{s}", LOG_RATIO, Group.RANGE, _BARS, s) for s in SPANS_H if s != ANCHOR_H),
        *(Feature(f"market_{s}", LOG_RATIO, Group.MARKET, _MARKET, SLOW_H) for s in MARKET_SPANS_H),
        *(
            Feature(f"{what}_{s}", unit, Group.SHAPE, _BARS, s)
            for s in DOWN_SPANS_H
            for what, unit in (("down_share", SHARE), ("close_to_range", LOG_RATIO))
        ),
        *(
            Feature(f"{what}_{s}", SIGMAS, Group.LEVERAGE, _BARS, s)
            for s in TREND_SPANS_H
            for what in ("trend", "size")
        ),
        *(Feature(f"market_trend_{s}", SIGMAS, Group.MARKET, _MARKET, s) for s in (6, 24)),
        *(Feature(f"volume_{s}", LOG_RATIO, Group.VOLUME, (Need.VOLUME,), SLOW_H) for s in VOLUME_SPANS_H[:-1]),
        Feature("implied", LOG_RATIO, Group.IMPLIED, (Need.VOL_INDEX,), 168),
        Feature("implied_change", LOG_RATIO, Group.IMPLIED, (Need.VOL_INDEX,), 24),
        Feature("funding_bp", "basis points per 8 h", Group.FUNDING, (Need.FUNDING,), 9),
        Feature("funding_bp_size", "basis points per 8 h", Group.FUNDING, (Need.FUNDING,), 9),
        *(
            Feature(f"{turn}_{part}", "phase of the UTC clock", Group.CALENDAR, (Need.CLOCK,), 0)
            for turn in ("day", "week")
            for part in ("sin", "cos")
        ),
    )


VOLATILITY: Final = _volatility()
TAILS: Final = _tails()
VOLATILITY_NAMES: Final = tuple(feature.name for feature in VOLATILITY)
TAIL_NAMES: Final = tuple(feature.name for feature in TAILS)


def named(name: str) -> Feature:
    """Raises: KeyError."""
    return {feature.name: feature for feature in (*VOLATILITY, *TAILS)}[name]
