"""What a hedge needs to know of a market, from its closed hourly bars and nothing else.

Log levels of variance by age, of which a forecast over any remaining life is made, and how far the price lies from its
own recent means: large hours are taken back in part by the next ones, and who follows every one of them pays for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from margrave.messages import Bar
from margrave.score.features.measures import inner_variance
from margrave.spans import HOUR_MS, YEAR_H

Floats = NDArray[np.float64]

LEVELS_H: Final = (6.0, 24.0, 96.0, 4_320.0)
"""Half-lives of the variance levels; the last is what is usual for the market."""
GAPS_H: Final = (2.0, 6.0, 24.0, 96.0)
"""Half-lives of the means of the log price."""
LEAST_HOURS: Final = 672
"""Closed bars below which a state is not known: four weeks, what a node fetches when it begins."""
FLOOR: Final = 1e-9
"""Variance an hour that nothing traded is below: a deviation of 0.3 % a year."""

LIVES_H: Final = (6.0, 24.0, 72.0, 168.0, 336.0, 720.0)
LIFE_WEIGHTS: Final = np.array(
    [
        [0.026, 0.521, 0.036, 0.148],
        [0.076, 0.393, 0.235, 0.034],
        [0.108, 0.232, 0.388, 0.000],
        [0.097, 0.210, 0.152, 0.165],
        [0.101, 0.198, 0.036, 0.255],
        [0.092, 0.130, 0.105, 0.174],
    ]
)
"""(lives, log scale and the weights of all levels but the last, which has the rest). Least QLIKE on BTC and ETH before
2021 (`train.hedge_vol` makes them again); between two lives they are interpolated in the logarithm of the life."""


@dataclass(frozen=True, slots=True)
class MarketState:
    """Of one market after each hour. NaN where too little was seen: an answer with a remark, and not an error."""

    levels: Floats
    """(..., LEVELS_H) log variance an hour."""
    gaps: Floats
    """(..., GAPS_H) log price less its mean."""

    def at(self, rows: NDArray[np.int64]) -> MarketState:
        return MarketState(self.levels[rows], self.gaps[rows])


def state_of(opens: Floats, highs: Floats, lows: Floats, closes: Floats) -> MarketState:
    """States after each of some consecutive hours, shape (hours,) all; NaN before `LEAST_HOURS` of them.

    An hour's variance is half the square of its return and half the range estimate of Garman and Klass (J. Business 53,
    1980) with the step from the last close: each is unbiased, and the second is less noisy.
    """
    hours = len(closes)
    before = np.concatenate((opens[:1], closes[:-1]))
    inside = inner_variance(opens, highs, lows, closes) + np.log(opens / before) ** 2
    variance = 0.5 * inside + 0.5 * np.log(closes / before) ** 2
    price = np.log(closes)
    levels = np.stack([np.log(np.maximum(_mean(variance, age), FLOOR)) for age in LEVELS_H], axis=1)
    gaps = np.stack([price - _mean(price - price[0], age) - price[0] for age in GAPS_H], axis=1)
    young = np.arange(hours) < LEAST_HOURS - 1
    levels[young], gaps[young] = np.nan, np.nan
    return MarketState(levels, gaps)


def state_of_bars(bars: Sequence[Bar]) -> MarketState:
    """Shape (1, ...) after the last of a market's closed bars; NaN where they are few, broken or not consecutive."""
    opened = np.array([bar.open_time_ms for bar in bars], dtype=np.int64)
    prices = np.array([(bar.open, bar.high, bar.low, bar.close) for bar in bars], dtype=np.float64).reshape(-1, 4)
    whole = len(bars) >= LEAST_HOURS and bool((np.diff(opened) == HOUR_MS).all())
    if not whole or not np.isfinite(prices).all() or prices.min() <= 0 or (prices[:, 1] < prices[:, 2]).any():
        return unknown(1)
    opens, highs, lows, closes = prices.T
    return state_of(opens, highs, lows, closes).at(np.array([len(bars) - 1]))


def unknown(count: int) -> MarketState:
    """Of markets of which nothing is known."""
    return MarketState(np.full((count, len(LEVELS_H)), np.nan), np.full((count, len(GAPS_H)), np.nan))


def forecast_vol(levels: Floats, hours_left: Floats) -> Floats:
    """Annualised volatility over the rest of a life.

    Args:
        levels: (n, LEVELS_H).
        hours_left: (n,) or one for all; beyond `LIVES_H` as at its ends.
    """
    lives = np.log(np.clip(hours_left, LIVES_H[0], LIVES_H[-1]))
    knots = np.log(np.array(LIVES_H))
    weights = [np.interp(lives, knots, column) for column in LIFE_WEIGHTS.T]
    usual = levels[..., -1]
    log_variance = weights[0] + usual
    for place, weight in enumerate(weights[1:]):
        log_variance = log_variance + weight * (levels[..., place] - usual)
    return np.asarray(np.exp(0.5 * log_variance) * np.sqrt(YEAR_H))


def _mean(values: Floats, half_life_h: float) -> Floats:
    """Exponentially weighted over what there is so far, weights that sum to one."""
    keep = 0.5 ** (1.0 / half_life_h)
    found: Floats = lfilter([1.0], [1.0, -keep], values) / lfilter([1.0], [1.0, -keep], np.ones(len(values)))
    return found
