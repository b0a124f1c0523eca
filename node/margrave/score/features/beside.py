"""Inputs beside the published ones: named, masked, computed two ways that agree, and measured (docs/features.md).

A group of them enters a model when it is shown to help, and not before. Of each field of `Observed` three things are
asked: what it is now, what it was some hours ago, and its mean over the last hours; over years (`Years`) and from what
a node carries (`Recent`). An input that is absent is zero under its group's bit, as the volatility inputs are.

Sources: Parkinson (1980), Garman and Klass (1980), Rogers and Satchell (1991), Yang and Zhang (2000) for the high-low
estimators; Easley, Lopez de Prado and O'Hara (2012) for VPIN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from margrave.score.features.catalogue import BIT, LOG_RATIO, SHARE, Feature, Group, Need
from margrave.score.features.hours import Hours
from margrave.score.features.measures import lagged, trailing_mean
from margrave.score.features.vpin import vpin_of
from margrave.spans import DAY_H, HOUR_MS, WEEK_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LAGS_H: Final = (4, 24)
FAR: Final = 5.0
"""Logarithms of ratios are cut here, either way; other inputs at `MOST`."""
MOST: Final = 10.0
YANG_ZHANG_K: Final = 0.34 / (1.34 + (DAY_H + 1) / (DAY_H - 1))
FRIDAY_8H: Final = 4 * 24 + 8
"""Hours after Monday 0 h UTC at which most options expire."""
LEADER: Final = "BTC"

ARCSINH_BP: Final = "arcsinh of basis points"
_ROWS: Final[tuple[tuple[str, str, Group, Need, int], ...]] = (
    ("finer_to_range_1h", LOG_RATIO, Group.FINER, Need.FINER_BARS, 1),
    ("finer_to_range_24h", LOG_RATIO, Group.FINER, Need.FINER_BARS, 24),
    ("finer_down_share_24h", SHARE, Group.FINER, Need.FINER_BARS, 24),
    ("parkinson_24h", LOG_RATIO, Group.HIGH_LOW, Need.BARS, 24),
    ("rogers_satchell_24h", LOG_RATIO, Group.HIGH_LOW, Need.BARS, 24),
    ("yang_zhang_24h", LOG_RATIO, Group.HIGH_LOW, Need.BARS, 24),
    ("funding_level", "arcsinh of basis points per 8 h", Group.FUNDING_MOVES, Need.FUNDING, 9),
    ("funding_level_size", "its magnitude", Group.FUNDING_MOVES, Need.FUNDING, 9),
    ("funding_change_24h", "arcsinh of basis points per 8 h", Group.FUNDING_MOVES, Need.FUNDING, 24),
    ("funding_change_size_24h", "its magnitude", Group.FUNDING_MOVES, Need.FUNDING, 24),
    ("basis", ARCSINH_BP, Group.BASIS, Need.INDEX, 1),
    ("basis_size", "its magnitude", Group.BASIS, Need.INDEX, 1),
    ("basis_change_24h", ARCSINH_BP, Group.BASIS, Need.INDEX, 24),
    ("open_interest_change_4h", "log ratio of dollars", Group.OPEN_INTEREST, Need.OPEN_INTEREST, 4),
    ("open_interest_change_24h", "log ratio of dollars", Group.OPEN_INTEREST, Need.OPEN_INTEREST, 24),
    ("half_spread", "log of basis points", Group.BOOK, Need.BOOK, 1),
    ("depth_change_24h", "log ratio of dollars", Group.BOOK, Need.BOOK, 24),
    ("book_imbalance", "share", Group.BOOK, Need.BOOK, 1),
    ("book_imbalance_size", "its magnitude", Group.BOOK, Need.BOOK, 1),
    ("book_slope", "log of 1 % of slope over depth", Group.BOOK, Need.BOOK, 1),
    ("bought_share_1h", SHARE, Group.FLOW, Need.TRADES, 1),
    ("bought_share_24h", SHARE, Group.FLOW, Need.TRADES, 24),
    ("bought_share_size_24h", "its magnitude", Group.FLOW, Need.TRADES, 24),
    ("vpin", SHARE, Group.VPIN, Need.TRADES, 24),
    ("liquidated_1h", "log of 1 and thousands of dollars", Group.LIQUIDATIONS, Need.LIQUIDATIONS, 1),
    ("liquidated_24h", "log of 1 and thousands of dollars", Group.LIQUIDATIONS, Need.LIQUIDATIONS, 24),
    ("peg_distance", ARCSINH_BP, Group.PEG, Need.PEG, 1),
    ("peg_distance_24h", ARCSINH_BP, Group.PEG, Need.PEG, 24),
    ("supply_change_24h", "percent", Group.STABLECOINS, Need.TRANSFERS, 24),
    ("transfer_velocity", "log of supplies a day", Group.STABLECOINS, Need.TRANSFERS, 24),
    ("accounts_long_short", "log ratio of accounts", Group.CROWD, Need.ACCOUNTS, 1),
    ("taker_ratio", "log ratio of volumes", Group.CROWD, Need.ACCOUNTS, 1),
    ("fear_greed", "-1 to 1", Group.GREED, Need.SENTIMENT, 24),
    ("fear_greed_change_24h", "-1 to 1", Group.GREED, Need.SENTIMENT, 24),
    ("news_tone", "-1 to 1", Group.NEWS, Need.NEWS, 24),
    ("correlation_168h", "correlation with the leader's returns", Group.CROSS, Need.LEADERS, 168),
    ("led_168h", "correlation with the leader's returns an hour before", Group.CROSS, Need.LEADERS, 169),
    ("implied_volatility", "log of annual volatility", Group.IMPLIED_LEVEL, Need.VOL_INDEX, 1),
    ("weekend", BIT, Group.CLOCK, Need.CLOCK, 0),
    ("to_expiry", "weeks to Friday 8:00 UTC", Group.CLOCK, Need.CLOCK, 0),
    ("before_funding", BIT, Group.CLOCK, Need.CLOCK, 0),
)
_BITS: Final[Mapping[Group, str]] = {row[2]: f"has_{row[2].name.lower()}" for row in _ROWS if row[2] is not Group.CLOCK}
_NEEDS: Final = {row[2]: row[3] for row in _ROWS}
BESIDE: Final = (
    *(Feature(name, unit, group, (need,), window_h, _BITS.get(group)) for name, unit, group, need, window_h in _ROWS),
    *(Feature(bit, BIT, group, (_NEEDS[group],), 0) for group, bit in _BITS.items()),
)
BESIDE_NAMES: Final = tuple(feature.name for feature in BESIDE)


class Window(Protocol):
    """The fields of `Observed` around now; arrays of one shape, NaN where one is absent."""

    def now(self, name: str) -> Floats: ...

    def before(self, name: str, hours: int) -> Floats:
        """`hours` of `LAGS_H`."""
        ...

    def mean(self, name: str) -> Floats:
        """Over the last `DAY_H`; NaN unless all are there."""
        ...

    def with_leader(self, lead_h: int) -> Floats:
        """Correlation over a week of each one's hourly returns with the leader's `lead_h` hours before; NaN for the
        leader itself."""
        ...

    def open_ms(self) -> Ints:
        """Of the hour that is over."""
        ...


def columns_of(window: Window) -> dict[str, Floats]:
    """Every input by name, in the order of `BESIDE`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _prices(window) | _derivatives(window) | _book(window) | _chains(window) | _moods(window)
    masked: dict[str, Floats] = {}
    for group, bit in _BITS.items():
        parts = {row[0]: found[row[0]] for row in _ROWS if row[2] is group}
        there = np.logical_and.reduce([np.isfinite(part) for part in parts.values()])
        masked |= {name: np.where(there, part, 0.0) for name, part in parts.items()}
        masked[bit] = there.astype(np.float64)
    shape = masked["vpin"].shape
    masked |= {name: np.broadcast_to(part, shape) for name, part in _clock(window.open_ms()).items()}
    return {name: masked[name] for name in BESIDE_NAMES}


def _log(ratio: Floats) -> Floats:
    """NaN where nothing can be said, and cut where one of both is nothing."""
    return np.asarray(np.clip(np.log(ratio), -FAR, FAR))


def _cut(values: Floats) -> Floats:
    return np.asarray(np.clip(values, -MOST, MOST))


def _prices(window: Window) -> dict[str, Floats]:
    day = window.mean("garman_klass")
    finer = window.mean("finer_square")
    overnight = window.mean("gap_square") - window.mean("gap") ** 2
    inside = window.mean("body_square") - window.mean("body") ** 2
    unbiased = DAY_H / (DAY_H - 1)
    yang_zhang = unbiased * (overnight + YANG_ZHANG_K * inside) + (1.0 - YANG_ZHANG_K) * window.mean("rogers_satchell")
    return {
        "finer_to_range_1h": _log(window.now("finer_square") / window.now("garman_klass")),
        "finer_to_range_24h": _log(finer / day),
        "finer_down_share_24h": window.mean("finer_down") / finer - 0.5,
        "parkinson_24h": _log(window.mean("parkinson") / day),
        "rogers_satchell_24h": _log(window.mean("rogers_satchell") / day),
        "yang_zhang_24h": _log(yang_zhang / day),
        "correlation_168h": window.with_leader(0),
        "led_168h": window.with_leader(1),
    }


def _derivatives(window: Window) -> dict[str, Floats]:
    funding, basis = window.now("funding_8h") * 1e4, np.arcsinh(window.now("basis") * 1e4)
    moved = np.arcsinh(funding - window.before("funding_8h", 24) * 1e4)
    interest = window.now("open_interest_usd")
    forced = {
        hours: (read("liquidated_long_usd") + read("liquidated_short_usd")) / 1e3
        for hours, read in ((1, window.now), (24, window.mean))
    }
    return {
        "funding_level": np.arcsinh(funding),
        "funding_level_size": np.abs(np.arcsinh(funding)),
        "funding_change_24h": moved,
        "funding_change_size_24h": np.abs(moved),
        "basis": basis,
        "basis_size": np.abs(basis),
        "basis_change_24h": np.arcsinh((window.now("basis") - window.before("basis", 24)) * 1e4),
        **{f"open_interest_change_{h}h": _log(interest / window.before("open_interest_usd", h)) for h in LAGS_H},
        **{f"liquidated_{hours}h": np.log1p(size) for hours, size in forced.items()},
        "implied_volatility": _log(window.now("vol_index")),
    }


def _book(window: Window) -> dict[str, Floats]:
    depth, imbalance = window.now("depth_usd"), window.now("imbalance")
    bought, sold = window.now("bought_usd"), window.now("sold_usd")
    day_bought, day_sold = window.mean("bought_usd"), window.mean("sold_usd")
    share = day_bought / (day_bought + day_sold) - 0.5
    return {
        "half_spread": _log(window.now("half_spread") * 1e4),
        "depth_change_24h": _log(depth / window.before("depth_usd", 24)),
        "book_imbalance": imbalance,
        "book_imbalance_size": np.abs(imbalance),
        "book_slope": _log(100.0 * window.now("slope_usd_per_bp") / depth),
        "bought_share_1h": bought / (bought + sold) - 0.5,
        "bought_share_24h": share,
        "bought_share_size_24h": np.abs(share),
        "vpin": window.now("vpin"),
    }


def _chains(window: Window) -> dict[str, Floats]:
    return {
        "peg_distance": np.arcsinh(np.abs(window.now("peg") - 1.0) * 1e4),
        "peg_distance_24h": np.arcsinh(np.abs(window.mean("peg") - 1.0) * 1e4),
        "supply_change_24h": _cut(window.now("supply_change_24h") * 100.0),
        "transfer_velocity": _log(window.now("transfer_velocity")),
    }


def _moods(window: Window) -> dict[str, Floats]:
    greed = window.now("fear_greed") / 50.0 - 1.0
    return {
        "accounts_long_short": _log(window.now("long_short_ratio")),
        "taker_ratio": _log(window.now("taker_ratio")),
        "fear_greed": greed,
        "fear_greed_change_24h": (window.now("fear_greed") - window.before("fear_greed", 24)) / 50.0,
        "news_tone": window.now("news_tone"),
    }


def _clock(open_ms: Ints) -> dict[str, Floats]:
    """Of the hour that comes: UTC weekends, the weekly expiry, the venues' eight-hourly settlement at its end."""
    hour = np.asarray(open_ms // HOUR_MS + 1 + 72, dtype=np.int64) % WEEK_H
    return {
        "weekend": (hour >= 5 * 24).astype(np.float64),
        "to_expiry": ((FRIDAY_8H - hour) % WEEK_H) / WEEK_H,
        "before_funding": (hour % 8 == 7).astype(np.float64),
    }


# --- over years -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Years:
    """(hours, assets) by field; a field that is not among them is absent throughout."""

    times_ms: Ints
    assets: tuple[str, ...]
    fields: Mapping[str, Floats]
    log_return: Floats

    def now(self, name: str) -> Floats:
        absent = np.full(self.log_return.shape, np.nan)
        return self.fields.get(name, absent)

    def before(self, name: str, hours: int) -> Floats:
        return lagged(self.now(name), hours)

    def mean(self, name: str) -> Floats:
        return trailing_mean(self.now(name), DAY_H)

    def with_leader(self, lead_h: int) -> Floats:
        if LEADER not in self.assets:
            return np.full(self.log_return.shape, np.nan)
        place = self.assets.index(LEADER)
        own, leader = self.log_return, lagged(self.log_return[:, place : place + 1], lead_h)
        leader = np.broadcast_to(leader, own.shape)
        mean = {
            name: trailing_mean(values, WEEK_H)
            for name, values in {
                "x": np.where(np.isfinite(leader), own, np.nan),
                "y": np.where(np.isfinite(own), leader, np.nan),
                "xx": np.where(np.isfinite(leader), own**2, np.nan),
                "yy": np.where(np.isfinite(own), leader**2, np.nan),
                "xy": own * leader,
            }.items()
        }
        found = correlation(mean["x"], mean["y"], mean["xx"], mean["yy"], mean["xy"])
        found[:, place] = np.nan
        return found

    def open_ms(self) -> Ints:
        return self.times_ms[:, None]


def years_of(hours: Hours, fields: Mapping[str, Floats]) -> Years:
    """
    Args:
        fields: of `Observed`, (hours, assets) each, but for those that the bars tell and `vpin`.
    """
    with np.errstate(invalid="ignore"):
        up, down = np.log(hours.high / hours.open), np.log(hours.low / hours.open)
        body = np.log(hours.close / hours.open)
        gap = np.full(body.shape, np.nan)
        gap[1:] = np.log(hours.open[1:] / hours.close[:-1])
    told: dict[str, Floats] = {
        "garman_klass": 0.5 * (up - down) ** 2 - (2.0 * np.log(2.0) - 1.0) * body**2,
        "parkinson": (up - down) ** 2 / (4.0 * np.log(2.0)),
        "rogers_satchell": up * (up - body) + down * (down - body),
        "gap": gap,
        "gap_square": gap**2,
        "body": body,
        "body_square": body**2,
        "vol_index": hours.dvol,
        "funding_8h": hours.funding_8h,
    }
    if "bought_usd" in fields and "sold_usd" in fields:
        pairs = zip(fields["bought_usd"].T, fields["sold_usd"].T, strict=True)
        told["vpin"] = np.stack([vpin_of(hours.open_ms, *pair) for pair in pairs], axis=-1)
    return Years(hours.open_ms, hours.assets, told | dict(fields), gap + body)


def correlation(x: Floats, y: Floats, xx: Floats, yy: Floats, xy: Floats) -> Floats:
    """From means of values, squares and products; NaN where one does not move."""
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(xx - x**2, 0.0) * np.maximum(yy - y**2, 0.0)
        return np.asarray(np.where(variance > 0, np.clip((xy - x * y) / np.sqrt(variance), -1.0, 1.0), np.nan))
