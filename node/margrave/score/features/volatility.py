"""The inputs of the volatility models: the same for every asset, in units that mean the same for all.

Everything is relative to the asset's level, its mean range variance of four weeks after division by the hour-of-week
factor. `Moments` are the means that the inputs are made of; years of a panel and a node's carried state come to them
by different ways, and to the inputs by one.

The market is BTC and ETH: what every node can watch. It is also the better market (families/volatility/README.md).

Sources: leverage from Corsi and Renò (2012); bipower variation from Barndorff-Nielsen and Shephard (2004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.score.features.catalogue import (
    HORIZONS_H,
    LEADERS,
    LEVEL_H,
    MARKET_H,
    RANGE_H,
    RETURN_H,
    ROBUST_H,
    SHAPE_H,
    VOLATILITY,
    VOLATILITY_NAMES,
    VOLUME_H,
    Group,
)
from margrave.score.features.clock import MONDAY_H, week_of
from margrave.score.features.hours import Hours
from margrave.score.features.measures import (
    implied_log,
    lagged,
    log_return,
    mean_over,
    peers_of,
    range_variance,
    trailing_mean,
)
from margrave.score.features.week import WeekTable
from margrave.spans import HOUR_MS, WEEK_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FAR: Final = 5.0
"""Logarithms of ratios are cut here, either way."""
LONG_WEEKS: Final = (4, 8, 12)
"""The long level is the mean of the level and of those that ended so many weeks before this one: sixteen weeks."""

FLAT: Final = 1e-3
"""Of the day's mean: an hour that moved less counts as this where a logarithm is taken."""

NAMES: Final = VOLATILITY_NAMES
GROUPS: Final = {
    group.value: names for group in Group if (names := tuple(f.name for f in VOLATILITY if f.group is group))
}


class Market(StrEnum):
    """Whose mean is the market's."""

    PEERS = "peers"  # all assets that are there, but coins pegged to money
    LEADERS = "leaders"  # BTC and ETH, as a node that watches few markets has it
    EITHER = "either"  # the leaders, and the peers at hours when neither of them is there


@dataclass(frozen=True, slots=True)
class Moments:
    """Assets on the last axis; NaN where one's past is too short. Variances are divided by the hour-of-week factor,
    returns by its root."""

    ranges: Mapping[int, Floats]
    """Mean range variance by hours behind, `RANGE_H`."""
    logs: Floats
    """Mean log of the last hours' range variances over their mean, `mean_log`."""
    level: Floats
    """Mean range variance of `LEVEL_H`; NaN where nothing moved."""
    long: Floats
    returns: Mapping[int, Floats]
    squares: Mapping[int, Floats]
    beside: Mapping[int, Floats]
    """Mean of |return| times the |return| before."""
    volume: Mapping[int, Floats]
    """Divided by the root of the hour-of-week factor."""
    implied: Floats
    """Log variance an hour, by the asset's own index; and as it stood a day before."""
    implied_before: Floats


def columns_of(moments: Moments, who: Flags) -> dict[str, Floats]:
    """Every input by name; who makes the market: shape as the moments, or to be broadcast."""
    level = moments.level
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {f"range_{h}h": _log(moments.ranges[h] / level) for h in RANGE_H}
        columns |= _market(columns, who)
        columns |= _long(moments, who)
        columns |= _leverage(moments)
        columns |= _shape(moments)
        columns |= _volume(moments)
        columns |= _implied(moments, who, columns["range_24h"])
    return columns


def _log(ratio: Floats) -> Floats:
    return np.asarray(np.clip(np.log(ratio), -FAR, FAR))


def _market(columns: Mapping[str, Floats], who: Flags) -> dict[str, Floats]:
    """For everybody the same."""
    own = {h: columns[f"range_{h}h"] for h in MARKET_H}
    parts = {f"market_{h}h": np.where(np.isfinite(own[h]), mean_over(own[h], who), np.nan) for h in MARKET_H}
    return _masked(parts, "has_market")


def _long(moments: Moments, who: Flags) -> dict[str, Floats]:
    """The level beside the mean of itself and of those before it: what is high comes back."""
    own = np.clip(np.log(moments.level / moments.long), -FAR, FAR)
    market = np.broadcast_to(mean_over(own, who), own.shape)
    return _masked({"level_to_long": own, "market_to_long": np.where(np.isfinite(market), market, own)}, "has_long")


def _leverage(moments: Moments) -> dict[str, Floats]:
    found = {}
    for h in RETURN_H:
        moved = np.clip(moments.returns[h] * np.sqrt(h / moments.level), -FAR, FAR)
        found[f"fall_{h}h"], found[f"rise_{h}h"] = np.maximum(-moved, 0.0), np.maximum(moved, 0.0)
    return found


def _shape(moments: Moments) -> dict[str, Floats]:
    found = {f"robust_{ROBUST_H}h": np.where(np.isfinite(moments.level), moments.logs, np.nan)}
    for h in SHAPE_H:
        total = np.where(moments.squares[h] > 0, moments.squares[h], np.nan)
        found[f"jump_share_{h}h"] = np.clip(1.0 - np.pi / 2 * moments.beside[h] / total, -1.0, 1.0)
        found[f"close_to_range_{h}h"] = _log(total / moments.ranges[h])
    return found


def _volume(moments: Moments) -> dict[str, Floats]:
    parts = {f"volume_{h}h": _log(moments.volume[h] / moments.volume[WEEK_H]) for h in VOLUME_H}
    return _masked(parts, "has_volume")


def _implied(moments: Moments, who: Flags, day: Floats) -> dict[str, Floats]:
    """By the asset's own index, else by the mean of the market's."""
    now, before = (_or_mean(values, who) for values in (moments.implied, moments.implied_before))
    own = now - np.log(moments.level)
    parts = {
        "implied_to_market": np.clip(own - day, -FAR, FAR),
        "implied_to_level": np.clip(own, -FAR, FAR),
        "implied_change_24h": np.clip(now - before, -1.0, 1.0),
    }
    return _masked(parts, "has_implied")


def _or_mean(log_variance: Floats, who: Flags) -> Floats:
    mean = np.log(mean_over(np.exp(log_variance), who))
    return np.where(np.isfinite(log_variance), log_variance, mean)


def _masked(parts: dict[str, Floats], bit: str) -> dict[str, Floats]:
    there = np.logical_and.reduce([np.isfinite(part) for part in parts.values()])
    return {name: np.where(there, part, 0.0) for name, part in parts.items()} | {bit: there.astype(np.float64)}


# --- over years -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of one panel. `columns` are (hours, assets) each, in the order of `NAMES`."""

    level: Floats
    ranges: Floats
    """Range variance of each hour, as it was."""
    peers: Flags
    """Whom the pooled families learn from."""
    factors: WeekTable
    columns: tuple[Floats, ...]

    def at(self, rows: Ints, horizon_h: int) -> tuple[Floats, Floats]:
        """(rows, assets, NAMES), NaN where an asset's past is too short; and the usual variance of the hours ahead."""
        found = np.stack([column[rows] for column in self.columns], axis=-1)
        return found, np.asarray(self.factors.ahead(rows, horizon_h) * self.level[rows])

    def served(self, rows: Ints) -> tuple[Floats, Floats]:
        """What `volatility/1` takes: columns (rows, assets, NAMES), and log of the usual variance of the hours ahead
        (rows, assets, HORIZONS_H)."""
        found = np.stack([column[rows] for column in self.columns], axis=-1)
        usual = np.stack([self.factors.ahead(rows, h) for h in HORIZONS_H], axis=-1) * self.level[rows][..., None]
        return found, np.log(usual)


def inputs_of(hours: Hours, *, market: Market = Market.EITHER, prior: Floats | None = None) -> Inputs:
    """
    Args:
        prior: the pooled hour-of-week table, as a node has it; `None` learns it on the way.
    """
    ranges = range_variance(hours)
    factors = WeekTable(hours, ranges, prior)
    moments = moments_of(hours, ranges, factors)
    peers = peers_of(moments.level)
    who = market_of(hours.assets, market, peers, np.isfinite(moments.level)) & np.isfinite(hours.close)
    columns = columns_of(moments, who)
    return Inputs(moments.level, ranges, peers, factors, tuple(columns[name] for name in NAMES))


def market_of(assets: tuple[str, ...], market: Market, peers: Flags, known: Flags) -> Flags:
    """(hours, assets): who makes the market at each hour; `known`: whose past is long enough."""
    leaders = np.broadcast_to(are_leaders(assets), known.shape)
    if market is Market.EITHER:
        return np.asarray(np.where((leaders & known).any(axis=1, keepdims=True), leaders, peers))
    return leaders if market is Market.LEADERS else peers


def are_leaders(assets: tuple[str, ...]) -> Flags:
    """(assets,)."""
    return np.array([asset in LEADERS for asset in assets], dtype=np.bool_)


def moments_of(hours: Hours, ranges: Floats, factors: WeekTable) -> Moments:
    usual, returns = ranges / factors.now, log_return(hours) / factors.now**0.5
    level = trailing_mean(usual, LEVEL_H)
    level = np.where(level > 0, level, np.nan)
    squares, size = returns**2, np.abs(returns)
    beside, volume = size * lagged(size, 1), hours.volume / factors.now**0.5
    implied = implied_log(hours)
    return Moments(
        ranges={h: trailing_mean(usual, h) for h in RANGE_H},
        logs=mean_log([lagged(usual, back) for back in range(ROBUST_H)]),
        level=level,
        long=_long_level(level, hours.open_ms),
        returns={h: trailing_mean(returns, h) for h in RETURN_H},
        squares={h: trailing_mean(squares, h) for h in SHAPE_H},
        beside={h: trailing_mean(beside, h) for h in SHAPE_H},
        volume={h: trailing_mean(volume, h) for h in (*VOLUME_H, WEEK_H)},
        implied=implied,
        implied_before=lagged(implied, 24),
    )


def mean_log(usual: Sequence[Floats] | Floats) -> Floats:
    """Mean over the first axis of ln(variance / their mean), <= 0: far below zero where one hour made the day, which
    is gone tomorrow. NaN where one is missing or nothing moved."""
    mean = sum(usual[1:], usual[0]) / len(usual)
    mean = np.where(mean > 0, mean, np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(sum(np.log(np.maximum(one / mean, FLAT)) for one in usual) / len(usual))


def _long_level(level: Floats, open_ms: Ints) -> Floats:
    weeks = week_of(open_ms)
    if not len(weeks):
        return level
    place = weeks - weeks[0] + max(LONG_WEEKS)
    ends = np.full((int(place[-1]) + 1, level.shape[1]), np.nan)
    last = (open_ms // HOUR_MS - MONDAY_H) % WEEK_H == WEEK_H - 1
    ends[place[last]] = level[last]
    return np.asarray(sum((ends[place - back] for back in LONG_WEEKS), level) / (1 + len(LONG_WEEKS)))
