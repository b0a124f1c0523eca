"""What the pooled families look at: one set of trailing inputs for every asset, in units that mean the same for all.

Everything is relative to the asset's level, its mean range variance of four weeks after division by the hour-of-week
factor. An input whose source is absent is zero, and a column beside it says that it is absent.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.volatility.measures import (
    LEVEL_H,
    WeekTable,
    implied_hourly,
    lagged,
    peers_of,
    range_variance,
    trailing_mean,
)
from margrave.lab.court.family import Ints
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]

RANGE_H: Final = (1, 2, 4, 8, 12, 24, 48, 96, 168)
MARKET_H: Final = (1, 4, 24, 168)
SHAPE_H: Final = (24, 168)
RETURN_H: Final = (1, 4, 24, 168)
LEVELS: Final = 4
"""Levels, four weeks each, that make the long level."""
LEADERS: Final = ("BTC", "ETH")
LEADERS_H: Final = (4, 24)
FAR: Final = 5.0
"""Logarithms of ratios are cut here, either way."""

GROUPS: Final = {
    "range": tuple(f"range_{h}h" for h in RANGE_H),
    "market": tuple(f"market_{h}h" for h in MARKET_H),
    "long": ("level_to_long", "market_to_long", "has_long"),
    "leaders": (*(f"{asset}_{h}h" for h in LEADERS_H for asset in LEADERS), *(f"has_{asset}" for asset in LEADERS)),
    "leverage": (*(f"fall_{h}h" for h in RETURN_H), *(f"rise_{h}h" for h in RETURN_H)),
    "shape": tuple(f"{what}_{h}h" for h in SHAPE_H for what in ("negative_share", "jump_share", "close_to_range")),
    "volume": ("volume_4h", "volume_24h", "has_volume"),
    "implied": ("implied_to_market", "implied_to_level", "implied_change_24h", "has_implied"),
    "funding": ("funding", "funding_size", "has_funding"),
    "calendar": ("hours_ahead",),
}
NAMES: Final = tuple(name for names in GROUPS.values() for name in names)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Of one panel. `columns` are (hours, assets) each, in the order of `NAMES` without the calendar's."""

    level: Floats
    ranges: Floats
    """Range variance of each hour, as it was."""
    peers: NDArray[np.bool_]
    """Whom the market is made of and the pooled families learn from."""
    factors: WeekTable
    columns: tuple[Floats, ...]

    def at(self, rows: Ints, horizon_h: int) -> tuple[Floats, Floats]:
        """(rows, assets, NAMES), NaN where an asset's past is too short; and the usual variance of the hours ahead."""
        span = self.factors.ahead(rows, horizon_h)
        calendar = np.log(span / horizon_h)
        found = np.stack([*(column[rows] for column in self.columns), calendar], axis=-1)
        return found, np.asarray(span * self.level[rows])


_last: tuple[weakref.ref[Panel], Inputs] | None = None


def inputs_of(panel: Panel) -> Inputs:
    """The inputs of a panel; those of the last panel asked about are kept, because every horizon asks."""
    global _last
    if _last is not None and _last[0]() is panel:
        return _last[1]
    found = _computed(panel)
    _last = weakref.ref(panel), found
    return found


def _computed(panel: Panel) -> Inputs:
    ranges = range_variance(panel)
    factors = WeekTable(panel, ranges)
    usual, returns = ranges / factors.now, panel.log_return / factors.now**0.5
    level = trailing_mean(usual, LEVEL_H)
    level = np.where(level > 0, level, np.nan)
    peers = peers_of(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {f"range_{h}h": _log(trailing_mean(usual, h) / level) for h in RANGE_H}
        columns |= {f"market_{h}h": _market(columns[f"range_{h}h"], peers) for h in MARKET_H}
        columns |= _long(level, peers)
        columns |= _leaders(panel, columns)
        columns |= _leverage(returns, level)
        columns |= _shape(returns, usual)
        columns |= _volume(panel)
        columns |= _implied(panel, level, columns["range_24h"])
        columns |= _funding(panel)
    return Inputs(level, ranges, peers, factors, tuple(columns[name] for name in NAMES if name in columns))


def _log(ratio: Floats) -> Floats:
    return np.asarray(np.clip(np.log(ratio), -FAR, FAR))


def _market(own: Floats, peers: NDArray[np.bool_]) -> Floats:
    """The mean over the peers that are there, for everybody."""
    there = np.isfinite(own) & peers
    mean = np.where(there, own, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return np.asarray(np.where(np.isfinite(own), mean[:, None], np.nan))


def _long(level: Floats, peers: NDArray[np.bool_]) -> dict[str, Floats]:
    """The level beside the mean of itself and of those before it: what is high comes back."""
    long = sum((lagged(level, place * LEVEL_H) for place in range(1, LEVELS)), level) / LEVELS
    own = np.clip(np.log(level / long), -FAR, FAR)
    return _masked({"level_to_long": own, "market_to_long": _market(own, peers)}, "has_long")


def _leaders(panel: Panel, columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """What the coins that the others follow did, for everybody."""
    found: dict[str, Floats] = {}
    for asset in LEADERS:
        nothing = np.full(panel.close.shape, np.nan)
        parts = {f"{asset}_{h}h": nothing for h in LEADERS_H}
        if asset in panel.assets:
            place = panel.assets.index(asset)
            parts = {f"{asset}_{h}h": _spread(columns[f"range_{h}h"][:, place], panel) for h in LEADERS_H}
        found |= _masked(parts, f"has_{asset}")
    return found


def _spread(one: Floats, panel: Panel) -> Floats:
    return np.repeat(one[:, None], len(panel.assets), axis=1)


def _leverage(returns: Floats, level: Floats) -> dict[str, Floats]:
    found = {}
    for h in RETURN_H:
        moved = np.clip(trailing_mean(returns, h) * np.sqrt(h / level), -FAR, FAR)
        found[f"fall_{h}h"], found[f"rise_{h}h"] = np.maximum(-moved, 0.0), np.maximum(moved, 0.0)
    return found


def _shape(returns: Floats, usual: Floats) -> dict[str, Floats]:
    squares, size = returns**2, np.abs(returns)
    negative, beside = np.where(returns < 0, squares, 0.0 * squares), size * lagged(size, 1)
    found = {}
    for h in SHAPE_H:
        total = trailing_mean(squares, h)
        total = np.where(total > 0, total, np.nan)
        found[f"negative_share_{h}h"] = trailing_mean(negative, h) / total - 0.5
        found[f"jump_share_{h}h"] = np.clip(1.0 - np.pi / 2 * trailing_mean(beside, h) / total, -1.0, 1.0)
        found[f"close_to_range_{h}h"] = _log(total / trailing_mean(usual, h))
    return found


def _volume(panel: Panel) -> dict[str, Floats]:
    week = trailing_mean(panel.volume, 168)
    parts = {f"volume_{h}h": _log(trailing_mean(panel.volume, h) / week) for h in (4, 24)}
    return _masked(parts, "has_volume")


def _implied(panel: Panel, level: Floats, market: Floats) -> dict[str, Floats]:
    implied = np.log(implied_hourly(panel))
    own = implied - np.log(level)
    parts = {
        "implied_to_market": np.clip(own - market, -FAR, FAR),
        "implied_to_level": np.clip(own, -FAR, FAR),
        "implied_change_24h": np.clip(implied - lagged(implied, 24), -1.0, 1.0),
    }
    return _masked(parts, "has_implied")


def _funding(panel: Panel) -> dict[str, Floats]:
    rate = np.arcsinh(panel.funding_8h * 1e4)
    return _masked({"funding": rate, "funding_size": np.abs(rate)}, "has_funding")


def _masked(parts: dict[str, Floats], bit: str) -> dict[str, Floats]:
    there = np.logical_and.reduce([np.isfinite(part) for part in parts.values()])
    return {name: np.where(there, part, 0.0) for name, part in parts.items()} | {bit: there.astype(np.float64)}
