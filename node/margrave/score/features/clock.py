"""The clock that the activity of all crypto markets follows: the week as New York has it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.spans import HOUR_MS, WEEK_H

Ints = npt.NDArray[np.int64]

MONDAY_H: Final = 96
"""The first Monday of 1970, hours after the epoch."""


def week_of(open_ms: Ints) -> Ints:
    """Weeks since that Monday, UTC. What is usual in an hour is learnt at their beginnings."""
    return np.asarray((open_ms // HOUR_MS - MONDAY_H) // WEEK_H, dtype=np.int64)


def new_york_hour_of_week(open_time_ms: Ints) -> Ints:
    """Hour of the week, Monday 0 h = 0, on the New York clock.

    Daylight saving by the rule in force since 2007 (second Sunday of March to first Sunday of November, 2 h local):
    a table of time zones would be one more thing that differs between machines.
    """
    times = open_time_ms.astype("datetime64[ms]")
    years = times.astype("datetime64[Y]")
    starts = _nth_sunday(years, month=3, nth=2) + np.timedelta64(7, "h")
    ends = _nth_sunday(years, month=11, nth=1) + np.timedelta64(6, "h")
    summer = (times >= starts) & (times < ends)
    local_h = open_time_ms // HOUR_MS - np.where(summer, 4, 5)
    return np.asarray((local_h + 72) % WEEK_H, dtype=np.int64)  # 1 January 1970 was a Thursday


def _nth_sunday(years: npt.NDArray[np.datetime64], month: int, nth: int) -> npt.NDArray[np.datetime64]:
    first = (years.astype("datetime64[M]") + np.timedelta64(month - 1, "M")).astype("datetime64[D]")
    weekday = (first.astype(np.int64) + 3) % 7  # Monday 0
    days = ((6 - weekday) % 7 + 7 * (nth - 1)).astype("timedelta64[D]")
    return np.asarray((first + days).astype("datetime64[h]"))
