"""The attacks of the record, each as a change to what a node hears. Sizes multiply the log displacement.

Figures are those of the public post-mortems: Synthetix (2019-06-25), bZx (2020-02-18), Compound (2020-11-26), Venus and
Blizz (2022-05-12), Mango (2022-10-11), KiloEx (2025-04-14), Binance (2025-10-10).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

import numpy as np

from margrave.lab.gauntlet.feeds import Feeds
from margrave.lab.gauntlet.tape import Floats
from margrave.messages import Kind

SIZES: Final = (0.5, 1.0, 2.0)
BEGIN: Final = 15
"""Bars before an attack: two and a half hours, so that it begins inside an hour."""


class Sort(StrEnum):
    """What a row of the scoreboard is judged by."""

    LIE = "lie"  # the market is where it was: what is published must not move
    DRIFT = "drift"  # the same, slowly and everywhere: how far does it get before it is told?
    TRUTH = "truth"  # the market did move: what is published must be there at once
    FIGURE = "figure"  # a lie about another figure than the price


@dataclass(frozen=True, slots=True)
class Attack:
    name: str
    story: str
    sort: Sort
    make: Callable[[Feeds, float], Feeds]
    """(honest feeds, size) -> what is heard."""
    hours: int = 12
    figure: str = ""
    """The field of a snapshot that a `FIGURE` is about."""


def _times(
    feeds: Feeds,
    columns: Sequence[int],
    factors: Floats,
    *,
    truth: bool = False,
    volume: float = 1.0,
    silent: bool = True,
) -> Feeds:
    """Prices of some venues times `factors`, from `BEGIN` on; the last factor stays."""
    bars = len(feeds.prices)
    whole = np.ones(bars)
    whole[BEGIN : BEGIN + len(factors)] = factors[: bars - BEGIN]
    whole[BEGIN + len(factors) :] = factors[-1]
    prices = feeds.prices.copy()
    prices[:, list(columns)] *= whole[:, None]
    volumes = feeds.volumes_usd.copy()
    if not silent:
        moving = np.abs(np.log(whole)) > 0 if not truth else np.abs(np.diff(np.log(whole), prepend=0.0)) > 0
        volumes[np.flatnonzero(moving)] *= volume
    changed = dataclasses.replace(feeds, prices=prices, volumes_usd=volumes)
    return dataclasses.replace(changed, truth=feeds.truth * whole) if truth else changed


def _with(feeds: Feeds, *kinds: Kind) -> Feeds:
    """A chain that tells the truth."""
    return dataclasses.replace(feeds, anchors=dict.fromkeys(kinds, feeds.truth))


def _everyone(feeds: Feeds) -> list[int]:
    return list(range(len(feeds.venues)))


def _minority(feeds: Feeds) -> list[int]:
    """The most traded venues, as many as may lie: fewer than half."""
    return feeds.by_volume[: (len(feeds.venues) - 1) // 2]


def _up_and_back(log_peak: float, up: int, stay: int, back: int) -> Floats:
    """Factors that rise to a peak in `up` bars, stay, and come back in `back`."""
    rise = np.arange(1, up + 1) / up
    return np.exp(log_peak * np.concatenate([rise, np.ones(stay), 1 - np.arange(1, back + 1) / back]))


def few_live(feeds: Feeds, size: float) -> Feeds:
    """All but two venues fall silent, and one of the two is a thousand times too high for four hours."""
    left = feeds.by_volume[:2]
    heard = feeds.heard.copy()
    silent = [c for c in _everyone(feeds) if c not in left]
    heard[BEGIN : BEGIN + 24, silent] = False
    peak = np.full(24, 1000.0**size)
    return dataclasses.replace(_times(feeds, left[:1], np.append(peak, 1.0)), heard=heard)


def lead_venue(feeds: Feeds, size: float, *, log_move: float, bars: int, redeemed: bool = False) -> Feeds:
    """The most traded venue alone leaves, and comes back."""
    factors = np.append(np.full(bars, math.exp(log_move * size)), 1.0)
    changed = _times(feeds, [feeds.leader], factors)
    return _with(changed, Kind.REDEMPTION_VALUE) if redeemed else changed


def minority(feeds: Feeds, size: float) -> Feeds:
    return _times(feeds, _minority(feeds), _up_and_back(math.log(24) * size, 2, 2, 2))


def everyone(
    feeds: Feeds, size: float, *, log_move: float, profile: tuple[int, int, int], volume: float, redeemed: bool = False
) -> Feeds:
    """All venues at once, and back: what no rule on prices can tell from the truth."""
    factors = _up_and_back(log_move * size, *profile)
    changed = _times(feeds, _everyone(feeds), factors, volume=volume, silent=volume == 1.0)
    return _with(changed, Kind.REDEMPTION_VALUE) if redeemed else changed


def one_writable(feeds: Feeds, size: float) -> Feeds:
    """Anybody may write one feed: a sixteenth, then a hundred times that, and again."""
    low, high = (1 / 16) ** size, 6.25**size
    return _times(feeds, [feeds.leader], np.array([low, high, 1.0, low, high, 1.0]))


def drip(feeds: Feeds, size: float) -> Feeds:
    """The most traded venue walks 6 % down in 25 hours, and claims all the depth."""
    walk = np.exp(math.log(0.94) * size * np.arange(1, 151) / 150)
    depth = feeds.depth_usd.copy()
    depth[BEGIN:, feeds.leader] = depth[BEGIN:].sum(axis=1) * 20
    return dataclasses.replace(_times(feeds, [feeds.leader], walk), depth_usd=depth)


def shared_drip(feeds: Feeds, size: float) -> Feeds:
    """All venues, or the feed that they share, walk 12 % up in ten hours, while pools and other oracles stay."""
    walk = np.exp(math.log(1.12) * size * np.arange(1, 61) / 60)
    return _with(_times(feeds, _everyone(feeds), walk), Kind.SPOT_TWAP, Kind.ORACLE_PRICE)


def frozen(feeds: Feeds, size: float, *, majority: bool, fall: float, bars: int) -> Feeds:
    """The market falls; feeds of a majority, or of as many as stay a minority, repeat their last price with new
    stamps."""
    walk = np.exp(math.log(1 - fall) * size * np.arange(1, bars + 1) / bars)
    fallen = _times(feeds, _everyone(feeds), walk, truth=True, volume=5.0, silent=False)
    count = len(feeds.venues) // 2 + 1 if majority else len(feeds.venues) // 2
    prices = fallen.prices.copy()
    volumes = fallen.volumes_usd.copy()
    prices[BEGIN:, feeds.by_volume[:count]] = feeds.prices[BEGIN - 1, feeds.by_volume[:count]]
    volumes[BEGIN:, feeds.by_volume[:count]] = 0.0
    return dataclasses.replace(fallen, prices=prices, volumes_usd=volumes)


def two_liars(feeds: Feeds, size: float) -> Feeds:
    """Two venues say the same wrong thing for two hours, at a distance no band could call an accident."""
    return _times(feeds, feeds.by_volume[:2], np.append(np.full(12, 1.5**size), 1.0))


def true_fall(feeds: Feeds, size: float, *, fall: float, bars: int, volume: float) -> Feeds:
    """The market itself, everywhere, and it stays."""
    walk = np.exp(math.log(1 - fall) * size * np.arange(1, bars + 1) / bars)
    fallen = _times(feeds, _everyone(feeds), walk, truth=True, volume=volume, silent=volume == 1.0)
    if volume == 1.0:
        return fallen
    # positions close and volatility is bid, as they were on every such day
    whole = fallen.truth / feeds.truth
    return dataclasses.replace(
        fallen,
        vol_index=feeds.vol_index * whole**-0.8,
        open_interest={who: held * whole**1.5 for who, held in feeds.open_interest.items()},
    )


def volatility(feeds: Feeds, size: float) -> Feeds:
    lied = feeds.vol_index.copy()
    lied[BEGIN : BEGIN + 12] *= 3.0**size
    return dataclasses.replace(feeds, vol_index=lied)


def depth(feeds: Feeds, size: float) -> Feeds:
    """One venue shows a hundred times its depth: margin would shrink with a liquidity that is not there."""
    lied = feeds.depth_usd.copy()
    lied[BEGIN : BEGIN + 12, feeds.leader] *= 100.0**size
    return dataclasses.replace(feeds, depth_usd=lied)


def health(feeds: Feeds, size: float) -> Feeds:
    lied = feeds.collateral_ratio.copy()
    lied[BEGIN : BEGIN + 12] *= 4.0**size
    return dataclasses.replace(feeds, collateral_ratio=lied)


def interest(feeds: Feeds, size: float) -> Feeds:
    """The larger of the sources of open interest is a hundred times too high."""
    who = max(sorted(feeds.open_interest), key=lambda name: float(np.nanmean(feeds.open_interest[name])))
    lied = feeds.open_interest[who].copy()
    lied[BEGIN : BEGIN + 12] *= 100.0**size
    return dataclasses.replace(feeds, open_interest={**feeds.open_interest, who: lied})


_LN24: Final = math.log(24)

ATTACKS: Final = (
    Attack("few_live", "sKRW: two of the venues answer, one of them a thousand times too high", Sort.LIE, few_live),
    Attack(
        "lead_venue_up",
        "Compound DAI: the lead venue 30 % too high for an hour",
        Sort.LIE,
        partial(lead_venue, log_move=math.log(1.3), bars=6),
    ),
    Attack(
        "flash_loan",
        "bZx: one venue at twice the price for one bar",
        Sort.LIE,
        partial(lead_venue, log_move=math.log(2), bars=1),
    ),
    Attack("minority", "Mango: a minority of venues with most of the volume, x24 and back", Sort.LIE, minority),
    Attack(
        "everyone",
        "Mango: all venues, x24 in 20 minutes and back in another 40",
        Sort.LIE,
        partial(everyone, log_move=_LN24, profile=(2, 2, 2), volume=1.0),
    ),
    Attack(
        "everyone_loud",
        "the same with twenty times the volume, bought from oneself",
        Sort.LIE,
        partial(everyone, log_move=_LN24, profile=(2, 2, 2), volume=20.0),
    ),
    Attack(
        "attack_then_revert",
        "all venues +40 % for 20 minutes, nothing traded",
        Sort.LIE,
        partial(everyone, log_move=math.log(1.4), profile=(1, 1, 1), volume=1.0),
    ),
    Attack(
        "lead_venue_down",
        "USDe: the lead venue 35 % too low for 40 minutes",
        Sort.LIE,
        partial(lead_venue, log_move=math.log(0.65), bars=4, redeemed=True),
    ),
    Attack(
        "lead_venue_collapse",
        "wBETH: the lead venue 88.7 % too low for 40 minutes",
        Sort.LIE,
        partial(lead_venue, log_move=math.log(1 - 0.887), bars=4, redeemed=True),
    ),
    Attack(
        "wrapped_everywhere",
        "a wrapped asset 30 % off its redemption value on all venues, nothing traded",
        Sort.LIE,
        partial(everyone, log_move=math.log(0.7), profile=(1, 2, 1), volume=1.0, redeemed=True),
    ),
    Attack("one_writable", "KiloEx: one feed that anybody may write", Sort.LIE, one_writable),
    Attack("two_liars", "two venues agree on a price half as high again, for two hours", Sort.LIE, two_liars),
    Attack("slow_drip", "the lead venue walks 6 % down in 25 hours", Sort.LIE, drip, hours=30),
    Attack("shared_drip", "all venues walk 12 % up in ten hours, pools and oracles stay", Sort.DRIFT, shared_drip),
    Attack(
        "frozen_majority",
        "LUNA: most feeds frozen while the market loses 90.7 % in a day",
        Sort.TRUTH,
        partial(frozen, majority=True, fall=0.907, bars=144),
        hours=27,
    ),
    Attack(
        "frozen_half",
        "as many feeds frozen as are not a majority, while the market loses 20 % in four hours",
        Sort.TRUTH,
        partial(frozen, majority=False, fall=0.2, bars=24),
    ),
    Attack(
        "true_crash",
        "the market loses 39 % in twelve hours",
        Sort.TRUTH,
        partial(true_fall, fall=0.39, bars=72, volume=5.0),
        hours=15,
    ),
    Attack(
        "true_gap",
        "the market loses 18 % in one bar, and trades",
        Sort.TRUTH,
        partial(true_fall, fall=0.18, bars=1, volume=10.0),
    ),
    Attack(
        "true_gap_silent",
        "the same, with nothing but prices to show it",
        Sort.TRUTH,
        partial(true_fall, fall=0.18, bars=1, volume=1.0),
    ),
    Attack(
        "volatility_feed", "the only volatility index three times too high", Sort.FIGURE, volatility, figure="vol_index"
    ),
    Attack("depth_feed", "one venue shows a hundred times its depth", Sort.FIGURE, depth, figure="depth_usd"),
    Attack("health_feed", "accounts look four times better margined", Sort.FIGURE, health, figure="collateral_ratio"),
    Attack(
        "interest_feed",
        "one source of open interest a hundred times too high",
        Sort.FIGURE,
        interest,
        figure="open_interest_usd",
    ),
)
