"""The crashes of a history, found by a rule and not from a list.

A crash is a fall within a day, from its highest close, of as much as `SIGMAS` standard deviations of a day of the year
before, or of `LEAST` where that is less and still `AT_LEAST_SIGMAS`. So a stablecoin that loses two cents has crashed,
and a small coin that loses a tenth has not. Falls less than three days apart are one crash, from the highest close
before its first hour to the lowest after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.panel import Panel
from margrave.spans import DAY_H, YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIGMAS: Final = 5.0
AT_LEAST_SIGMAS: Final = 4.0
LEAST: Final = -float(np.log(0.85))
"""Log move: 15 %."""
LEAST_PAST_H: Final = 30 * DAY_H
APART_H: Final = 72
MOST_SAID: Final = 10.0
"""Log move: what falls further was no price."""


@dataclass(frozen=True, slots=True)
class Crash:
    """Rows of a panel: `peak` < `half` <= `trough`."""

    asset: int
    peak: int
    half: int
    """The first hour that closed at or below half of the fall (in logs)."""
    trough: int
    fall: float
    """From peak to trough, as a share of the peak."""


def crashes(panel: Panel) -> list[Crash]:
    """By asset and time."""
    return [crash for asset in range(len(panel.assets)) for crash in _of(panel, asset)]


def _of(panel: Panel, asset: int) -> list[Crash]:
    with np.errstate(invalid="ignore", divide="ignore"):
        log = np.log(panel.close[:, asset])
    fell = highest(log, DAY_H) - log
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero(fell >= least_fall(panel.log_return[:, asset]))
    found = []
    for run in np.split(rows, np.flatnonzero(np.diff(rows) > APART_H) + 1) if len(rows) else ():
        first, last = int(run[0]), int(run[-1])
        begin = max(first - DAY_H, 0)
        peak = begin + int(np.nanargmax(log[begin:first]))
        trough = first + int(np.nanargmin(log[first : last + 1]))
        whole = log[peak] - log[trough]
        if not 0 < whole < MOST_SAID:
            continue
        half = peak + int(np.flatnonzero(log[peak : trough + 1] <= log[peak] - whole / 2)[0])
        found.append(Crash(asset, peak, half, trough, float(-np.expm1(-whole))))
    return found


def least_fall(log_return: Floats) -> Floats:
    """(hours,) log move that is a crash at each hour, by the year that ended a day before; NaN without a past."""
    known = np.isfinite(log_return)
    total, count = (
        np.concatenate(([0.0], np.cumsum(part))) for part in (np.where(known, log_return, 0.0) ** 2, known * 1.0)
    )
    end = np.maximum(np.arange(len(log_return)) - DAY_H + 1, 0)
    begin = np.maximum(end - YEAR_H, 0)
    hours = count[end] - count[begin]
    with np.errstate(invalid="ignore", divide="ignore"):
        sigma = np.sqrt(DAY_H * (total[end] - total[begin]) / hours)
    fall = np.minimum(SIGMAS * sigma, np.maximum(LEAST, AT_LEAST_SIGMAS * sigma))
    return np.where((hours >= LEAST_PAST_H) & (sigma > 0), fall, np.nan)


def highest(log: Floats, hours: int) -> Floats:
    """(hours,) of the last `hours` before each and itself; NaN where it has no price or none before it."""
    padded = np.concatenate((np.full(hours, np.nan), log))
    windows = np.lib.stride_tricks.sliding_window_view(padded, hours + 1)
    found = np.where(np.isfinite(windows), windows, -np.inf).max(axis=1)
    return np.where(np.isfinite(log) & np.isfinite(found), found, np.nan)
