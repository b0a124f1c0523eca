"""Price paths on a grid of minutes: bridges between known points, and the hourly candles that a path makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from margrave.messages import Bar
from margrave.spans import HOUR_MS, MINUTE_MS

Floats = NDArray[np.float64]
MINUTES_A_YEAR = 365 * 24 * 60


@dataclass(frozen=True, slots=True)
class MinutePath:
    """Prices at whole minutes from `start_ms`, a whole hour; in between the logarithm is linear."""

    start_ms: int
    prices: Floats
    candles: Floats
    """Shape (hours, 5): open, high, low, close, volume in coins of each whole hour."""

    def at(self, t_ms: int) -> float:
        """Price at any moment; the ends of the grid hold beyond them."""
        place = min(max((t_ms - self.start_ms) / MINUTE_MS, 0.0), len(self.prices) - 1.0)
        i = min(int(place), len(self.prices) - 2)
        share = place - i
        return float(self.prices[i] ** (1 - share) * self.prices[i + 1] ** share)

    def bars(self, since_ms: int, t_ms: int) -> Sequence[Bar]:
        """Candles that open at or after `since_ms`; the one that holds `t_ms` is as far as it has run."""
        running = min((t_ms - self.start_ms) // HOUR_MS, len(self.candles) - 1)
        first = max(0, -(-(since_ms - self.start_ms) // HOUR_MS))
        closed = [Bar(self.start_ms + h * HOUR_MS, *map(float, self.candles[h])) for h in range(first, running)]
        return closed if running < first else [*closed, self._running(running, t_ms)]

    def _running(self, hour: int, t_ms: int) -> Bar:
        open_ms = self.start_ms + hour * HOUR_MS
        minutes = min((t_ms - open_ms) // MINUTE_MS, 59)
        so_far = self.prices[hour * 60 : hour * 60 + minutes + 1]
        last = self.at(t_ms)
        share = min((t_ms - open_ms) / HOUR_MS, 1.0)
        return Bar(
            open_time_ms=open_ms,
            open=float(so_far[0]),
            high=max(float(so_far.max()), last),
            low=min(float(so_far.min()), last),
            close=last,
            volume=float(self.candles[hour, 4]) * share,
        )


def minute_grid(start_ms: int, end_ms: int) -> NDArray[np.int64]:
    """Whole minutes from `start_ms` to the end of the hour that holds `end_ms`, both ends included."""
    hours = -(-(end_ms - start_ms) // HOUR_MS)
    return np.asarray(start_ms + np.arange(hours * 60 + 1, dtype=np.int64) * MINUTE_MS)


def bridge(grid: NDArray[np.int64], known: Sequence[tuple[int, float]], steps: Floats) -> Floats:
    """Prices on the grid that pass through every known point.

    A random walk with the given log steps (one a minute, the first is not used), from which the straight line between
    its own values at the known points is taken away: a Brownian bridge in the logarithm.
    """
    walk = np.concatenate(([0.0], np.cumsum(steps[1:])))
    times = np.array([t for t, _ in known], dtype=np.int64)
    logs = np.log(np.array([price for _, price in known], dtype=np.float64))
    at_known = np.interp(times, grid, walk)
    return np.asarray(np.exp(np.interp(grid, times, logs) + walk - np.interp(grid, times, at_known)))


def candles_of(prices: Floats, volumes: Floats) -> Floats:
    """Hourly open, high, low, close of a minute path that begins and ends on whole hours; volumes as given."""
    hours = (len(prices) - 1) // 60
    inside = prices[: hours * 60].reshape(hours, 60)
    opens, closes = inside[:, 0], prices[60 : hours * 60 + 1 : 60]
    highs = np.maximum(inside.max(axis=1), closes)
    lows = np.minimum(inside.min(axis=1), closes)
    return np.column_stack((opens, highs, lows, closes, volumes[:hours]))


def inside_candle(candle: Floats, noise: Floats, rises: bool, turns: tuple[int, int]) -> Floats:
    """Sixty minutes that begin at the open, touch low and high, end towards the close, and never leave the range.

    Args:
        candle: open, high, low, close.
        noise: 61 standard normal steps, the same for every venue, so that venues move together.
        rises: the low is touched first (a rising hour), else the high.
        turns: the two minutes, ascending within 1..59, of the first and the second extreme.
    """
    open_, high, low, close = (float(x) for x in candle[:4])
    first, second = (low, high) if rises else (high, low)
    knots = np.array([0, turns[0], turns[1], 60])
    values = np.log(np.array([open_, first, second, close]))
    minutes = np.arange(61)
    walk = np.cumsum(noise) - noise[0]
    wobble = (walk - np.interp(minutes, knots, walk[knots])) * (np.log(high / low) / 40)
    path = np.exp(np.interp(minutes, knots, values) + wobble)
    return np.asarray(np.clip(path, low, high)[:60])
