"""The inputs of the tail models: a range-based anchor of volatility and scale-free inputs beside it.

The anchor is the mean hourly variance of the last day, each hour divided by what is usual for its hour of the week,
times what is usual for the hours to come. Means are exponentially weighted over what there is, so that a gap costs
what was in it and no more. A missing input is NaN here; the graph puts it at the mean of its training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from margrave.score.features.catalogue import (
    ANCHOR_H,
    DOWN_SPANS_H,
    LEVEL_H,
    MARKET_SPANS_H,
    SLOW_H,
    SPANS_H,
    TAIL_NAMES,
    TREND_SPANS_H,
    VOLUME_SPANS_H,
)
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
from margrave.score.features.volatility import Market, are_leaders
from margrave.score.features.week import WeekTable
from margrave.spans import HOUR_MS, WEEK_H

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

HORIZONS_H: Final = (1, 4, 24)
LEAST_VARIANCE: Final = 1e-10
"""An hour of 0.001 %: what stands below that all day long is a peg or a halted market, and not answered."""
LEAST_WEIGHT: Final = 1e-6
"""A mean of which only so much is left after a gap is none."""
MOST_FUNDING_BP: Final = 30.0

SERIES: Final = (
    *(("ranges", span) for span in SPANS_H),
    *(("squares", span) for span in DOWN_SPANS_H),
    *(("negative", span) for span in DOWN_SPANS_H),
    *(("returns", span) for span in TREND_SPANS_H),
    *(("volume", span) for span in VOLUME_SPANS_H),
)
"""What is averaged, and its mean age and one in hours: a row of `sums_of` each."""
KEEPS: Final = np.array([1.0 - 1.0 / span for _, span in SERIES])


def fed(usual: Floats, log_return: Floats, factor: Floats, volume: Floats) -> dict[str, Floats]:
    """What an hour adds to its means; NaN adds nothing. `usual` is its range variance over the hour's factor."""
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = log_return**2 / factor
        return {
            "ranges": usual,
            "squares": squares,
            "negative": np.where(log_return < 0, squares, 0.0 * squares),
            "returns": log_return,
            "volume": np.log(np.where(volume > 0, volume, np.nan)),
        }


@dataclass(frozen=True, slots=True)
class Moments:
    """Assets on the last axis."""

    means: Mapping[tuple[str, int], Floats]
    """By `SERIES`."""
    implied: Floats
    """Log variance an hour, by the asset's own index; and as it stood a day before."""
    implied_before: Floats
    funding_8h: Floats
    sound: Flags
    """There now, and the last four weeks without a gap."""
    close_ms: Floats
    """When the hour was over, Unix ms; to be broadcast over the assets."""


def columns_of(moments: Moments, who: Flags) -> tuple[Floats, Floats]:
    """(…, assets, TAILS) and the log level (…, assets), NaN where an asset is not answered."""
    means = moments.means
    with np.errstate(invalid="ignore", divide="ignore"):
        level = {span: np.log(means["ranges", span]) for span in SPANS_H}
        base = level[ANCHOR_H]
        found = {f"level_{span}": level[span] - base for span in SPANS_H if span != ANCHOR_H}
        found |= {f"market_{span}": mean_over(level[span] - level[SLOW_H], who) for span in MARKET_SPANS_H}
        for span in DOWN_SPANS_H:
            found[f"down_share_{span}"] = means["negative", span] / means["squares", span]
            found[f"close_to_range_{span}"] = np.log(means["squares", span]) - level[span]
        for span in TREND_SPANS_H:
            found[f"trend_{span}"] = means["returns", span] * span**0.5 / np.exp(0.5 * base)
            found[f"size_{span}"] = np.abs(found[f"trend_{span}"])
        found |= {f"market_trend_{span}": mean_over(found[f"trend_{span}"], who) for span in (6, 24)}
        for span in VOLUME_SPANS_H[:-1]:
            found[f"volume_{span}"] = means["volume", span] - means["volume", SLOW_H]
        found |= _implied(moments, level[WEEK_H], who)
    funding = np.clip(moments.funding_8h * 1e4, -MOST_FUNDING_BP, MOST_FUNDING_BP)
    found |= {"funding_bp": funding, "funding_bp_size": np.abs(funding)}
    for name, turn in (("day", 24.0), ("week", float(WEEK_H))):
        phase = 2.0 * np.pi * ((moments.close_ms / HOUR_MS) % WEEK_H) / turn
        found |= {f"{name}_sin": np.sin(phase), f"{name}_cos": np.cos(phase)}
    columns = np.stack([np.broadcast_to(found[name], base.shape) for name in TAIL_NAMES], axis=-1)
    sound = moments.sound & (base > np.log(LEAST_VARIANCE))
    return np.where(np.isfinite(columns), columns, np.nan), np.where(sound, base, np.nan)


def _implied(moments: Moments, week: Floats, who: Flags) -> dict[str, Floats]:
    """Of whoever has an index, as the market's, beside how much the same moved in the last week."""
    now, before = mean_over(moments.implied, who), mean_over(moments.implied_before, who)
    realised = mean_over(np.where(np.isfinite(moments.implied), week, np.nan), who)
    return {"implied": now - realised, "implied_change": now - before}


# --- over years -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """Shapes (hours, assets[, inputs])."""

    log_level: Floats
    """Of the mean hourly variance, the hour of the week taken out."""
    week: WeekTable
    """What is usual at an hour of the New York week."""
    inputs: Floats
    names: tuple[str, ...] = TAIL_NAMES

    def log_anchor(self, rows: Ints, assets: Ints, horizon_h: int) -> Floats:
        """ln sigma over the `horizon_h` hours that follow each pair; NaN for one without a level."""
        asked, place = np.unique(rows, return_inverse=True)
        usual = self.week.ahead(asked, horizon_h)[place, assets]
        return np.asarray(0.5 * (np.log(usual) + self.log_level[rows, assets]))


def state_of(hours: Hours, *, market: Market = Market.PEERS, prior: Floats | None = None) -> State:
    """
    Args:
        prior: the pooled hour-of-week table, as a node has it; `None` learns it on the way.
    """
    ranges = range_variance(hours)
    week = WeekTable(hours, ranges, prior)
    moments = moments_of(hours, ranges, week)
    who = peers_of(moments.means["ranges", SLOW_H]) if market is Market.PEERS else are_leaders(hours.assets)
    # who is gone is remembered by means that no longer move, and is nobody's market
    inputs, log_level = columns_of(moments, who & np.isfinite(hours.close))
    return State(log_level, week, inputs)


def moments_of(hours: Hours, ranges: Floats, week: WeekTable) -> Moments:
    totals, weights = sums_of(hours, ranges, week)
    implied = implied_log(hours)
    return Moments(
        means={key: mean_of(total, weight) for key, total, weight in zip(SERIES, totals, weights, strict=True)},
        implied=implied,
        implied_before=lagged(implied, 24),
        funding_8h=hours.funding_8h,
        sound=np.isfinite(trailing_mean(ranges, LEVEL_H)),
        close_ms=(hours.open_ms + HOUR_MS).astype(np.float64)[:, None],
    )


def sums_of(hours: Hours, ranges: Floats, week: WeekTable) -> tuple[list[Floats], list[Floats]]:
    """Weighted sums and their weights by `SERIES`, (hours, assets) each."""
    with np.errstate(invalid="ignore"):
        of_hour = fed(ranges / week.now, log_return(hours), week.now, hours.volume)
    totals, weights = [], []
    for (name, _), keep in zip(SERIES, KEEPS, strict=True):
        there = np.isfinite(of_hour[name])
        totals.append(np.asarray(lfilter([1.0], [1.0, -keep], np.where(there, of_hour[name], 0.0), axis=0)))
        weights.append(np.asarray(lfilter([1.0], [1.0, -keep], there.astype(np.float64), axis=0)))
    return totals, weights


def mean_of(total: Floats, weight: Floats) -> Floats:
    """NaN where there never was anything, or long ago."""
    return np.asarray(np.where(weight > LEAST_WEIGHT, total / np.maximum(weight, LEAST_WEIGHT), np.nan))
