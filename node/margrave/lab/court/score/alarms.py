"""Who rose before a crash, how early, and how often in vain.

Everybody who is asked gives a figure an hour (the score; volatility by two usual measures; the index of implied
volatility where there is one) and is alarmed while it lies above the 95 % quantile of its own last year. The regime is
alarmed from `ELEVATED` on. An alarm ends after a day without a reason for it, and is one alarm however long it lasts.

Apart from any threshold, average precision tells whether the hours before crashes have higher figures than other hours:
the figure over its own median of the last year, against whether half of a crash's fall lies within the next three days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from margrave.lab.court.panel import Panel
from margrave.lab.court.score.crashes import Crash
from margrave.spans import DAY_H, YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST_PAST_H: Final = 30 * DAY_H
ALARMED: Final = 0.95
RELEASE_H: Final = 24
AHEAD_H: Final = 72
"""An alarm that no crash follows within so many hours, nor while it stands, was in vain; and no lead is longer."""
HALF_LIFE_H: Final = 24
MONTH_H: Final = 30 * DAY_H
DRAWS: Final = 200
STRIDE_H: Final = 4
"""Hours between those that average precision is over."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Hours of one asset in which somebody was alarmed: from `begun` on, up to but without `ended`."""

    asset: int
    begun: int
    ended: int


@dataclass(frozen=True, slots=True)
class Lead:
    """What one was told before one crash; hours, None where no alarm stood by then."""

    to_half: int | None
    """From the alarm's beginning to half of the fall."""
    to_trough: int | None
    before_peak: bool
    """It stood before the fall began."""


@dataclass(frozen=True, slots=True)
class Record:
    """One signal's."""

    name: str
    years: float
    """Of markets in which it could have been alarmed."""
    on: float
    """Share of their hours in which it was."""
    leads: tuple[Lead, ...]
    """One a crash that happened while it could have been."""
    alarms: int
    in_vain: int

    @property
    def in_time(self) -> float:
        """Share of crashes that it was alarmed before half of; NaN of none."""
        return _share([lead.to_half is not None for lead in self.leads])

    @property
    def before_peak(self) -> float:
        return _share([lead.before_peak for lead in self.leads])

    @property
    def median_to_half_h(self) -> float:
        return _median([lead.to_half for lead in self.leads])

    @property
    def median_to_trough_h(self) -> float:
        return _median([lead.to_trough for lead in self.leads])

    @property
    def in_vain_a_year(self) -> float:
        return self.in_vain / self.years if self.years else float("nan")


@dataclass(frozen=True, slots=True)
class Precise:
    """Average precision over the same hours of all that are compared."""

    names: tuple[str, ...]
    value: tuple[float, ...]
    base: float
    """Of one that knows nothing: the share of hours before crashes."""
    hours: int
    over_best: tuple[float, float, float]
    """The first's over the best of the others': as found, and the 2.5 and 97.5 % quantiles over months drawn anew."""
    best: str


def usual_measures(panel: Panel) -> dict[str, Floats]:
    """(hours, assets) of each baseline; what only some assets have is NaN for the others."""
    squares = np.where(np.isfinite(panel.log_return), panel.log_return, 0.0) ** 2
    keep = 0.5 ** (1 / HALF_LIFE_H)
    smooth = np.sqrt(lfilter([1 - keep], [1, -keep], squares, axis=0))
    total = np.cumsum(np.concatenate((np.zeros((1, squares.shape[1])), squares)), axis=0)
    first = np.maximum(np.arange(panel.hours) + 1 - DAY_H, 0)
    realised = np.sqrt(total[1:] - total[first])
    there = panel.age_h > DAY_H
    return {
        "ewma volatility": np.where(there & (smooth > 0), smooth, np.nan),
        "realised volatility of a day": np.where(there & (realised > 0), realised, np.nan),
        "implied volatility index": panel.dvol,
    }


def own_year(figure: Floats, level: float) -> Floats:
    """(hours,) the quantile of the year before each hour, told anew each day; NaN with too little of it."""
    found = np.full(len(figure), np.nan)
    for day in range(0, len(figure), DAY_H):
        if not np.isfinite(figure[day : day + DAY_H]).any():
            continue
        past = figure[max(day - YEAR_H, 0) : day : STRIDE_H]
        past = past[np.isfinite(past)]
        if STRIDE_H * len(past) >= LEAST_PAST_H:
            found[day : day + DAY_H] = np.quantile(past, level)
    return found


def alarms_of(raised: Flags, asset: int) -> list[Alarm]:
    """(hours,) in which there was a reason, as alarms."""
    rows = np.flatnonzero(raised)
    if not len(rows):
        return []
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > RELEASE_H) + 1)
    return [Alarm(asset, int(run[0]), min(int(run[-1]) + RELEASE_H, len(raised))) for run in runs]


def record(name: str, raised: Flags, could: Flags, crashes: Sequence[Crash]) -> Record:
    """
    Args:
        raised: (hours, assets) with a reason for alarm; `could` in which there could have been one.
    """
    alarms = [alarm for asset in range(raised.shape[1]) for alarm in alarms_of(raised[:, asset], asset)]
    seen = [crash for crash in crashes if could[crash.peak, crash.asset]]
    on = sum(alarm.ended - alarm.begun for alarm in alarms)
    hours = int(could.sum())
    return Record(
        name=name,
        years=hours / YEAR_H,
        on=on / hours if hours else float("nan"),
        leads=tuple(lead(crash, alarms) for crash in seen),
        alarms=len(alarms),
        in_vain=sum(not any(_meant(alarm, crash) for crash in crashes) for alarm in alarms),
    )


def lead(crash: Crash, alarms: Sequence[Alarm]) -> Lead:
    """By the alarm that stood when half of the fall was done; the one of the trough where none did."""
    mine = [alarm for alarm in alarms if alarm.asset == crash.asset]
    half = next((alarm for alarm in mine if alarm.begun < crash.half < alarm.ended), None)
    trough = half or next((alarm for alarm in mine if alarm.begun < crash.trough < alarm.ended), None)
    return Lead(
        to_half=min(crash.half - half.begun, AHEAD_H) if half else None,
        to_trough=min(crash.trough - trough.begun, AHEAD_H) if trough else None,
        before_peak=any(alarm.begun <= crash.peak < alarm.ended for alarm in mine),
    )


def _meant(alarm: Alarm, crash: Crash) -> bool:
    """The crash comes within three days, or while the alarm stands; a fall that is under way is none in vain."""
    if alarm.asset != crash.asset:
        return False
    return alarm.begun <= crash.trough + DAY_H and crash.half <= max(alarm.begun + AHEAD_H, alarm.ended)


def precise(figures: Mapping[str, Floats], crashes: Sequence[Crash]) -> Precise | None:
    """Of the hours at which every figure is there, the first compared with the rest; `None` where no crash is ahead of
    any.

    Args:
        figures: (hours, assets) each, already over what is usual for the asset.
    """
    stack = np.stack(list(figures.values()))
    ahead, during = np.zeros((2, *stack.shape[1:]), dtype=np.bool_)
    for crash in crashes:
        ahead[max(crash.half - AHEAD_H, 0) : crash.half, crash.asset] = True
        during[crash.half : crash.trough + DAY_H, crash.asset] = True
    asked = np.isfinite(stack).all(axis=0) & ~(during & ~ahead)
    asked[np.arange(len(asked)) % STRIDE_H != 0] = False
    rows, assets = np.nonzero(asked)
    hit = ahead[rows, assets]
    if not hit.any():
        return None
    names = tuple(figures)
    order = [np.argsort(-part[rows, assets], kind="stable") for part in stack]
    whole = np.array([average_precision(hit[o], np.ones(len(o))) for o in order])
    rng = np.random.default_rng(0)
    months, month = np.unique(rows // MONTH_H, return_inverse=True)
    drawn = []
    for _ in range(DRAWS):
        weight = rng.multinomial(len(months), np.full(len(months), 1 / len(months)))[month].astype(np.float64)
        if (weight[hit] > 0).any():
            drawn.append([average_precision(hit[o], weight[o]) for o in order])
    best = 1 + int(np.argmax(whole[1:]))
    ratios = np.array(drawn)[:, 0] / np.array(drawn)[:, best]
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Precise(
        names=names,
        value=tuple(whole.tolist()),
        base=float(hit.mean()),
        hours=len(rows),
        over_best=(float(whole[0] / whole[best]), float(low), float(high)),
        best=names[best],
    )


def average_precision(hit: Flags, weight: Floats) -> float:
    """Of hours in falling order of a figure: the mean precision at the hits."""
    hits = np.cumsum(weight * hit)
    precision = hits / np.maximum(np.cumsum(weight), 1e-300)
    return float((precision * weight * hit).sum() / hits[-1])


def _share(flags: Sequence[bool]) -> float:
    return float(np.mean(flags)) if flags else float("nan")


def _median(hours: Sequence[int | None]) -> float:
    found = [hour for hour in hours if hour is not None]
    return float(np.median(found)) if found else float("nan")
