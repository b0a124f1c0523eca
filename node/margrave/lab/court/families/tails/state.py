"""What the pooled tail models see of an hour: a range-based anchor of volatility and scale-free inputs beside it.

The anchor is the mean hourly variance of the last day, each hour divided by what is usual for its hour of the week,
times what is usual for the hours to come. Everything is trailing: what is usual is known at the week's beginning. A
missing input is NaN here; the model puts it at the mean of its training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from margrave.lab.court.families.volatility.measures import WeekTable, peers_of
from margrave.lab.court.history import HOUR_MS
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPANS_H: Final = (1, 3, 6, 24, 72, 168, 720)
ANCHOR_H: Final = 24
LEAST_VARIANCE: Final = 1e-10
"""An hour of 0.001 %: what stands below that all day long is a peg or a halted market, and not answered."""
WEEK_H: Final = 168


@dataclass(frozen=True, slots=True)
class State:
    """Shapes (hours, assets[, inputs])."""

    log_level: Floats
    """Of the mean hourly variance, the hour of the week taken out."""
    week: WeekTable
    """What is usual at an hour of the New York week."""
    inputs: Floats
    names: tuple[str, ...]

    def log_anchor(self, rows: Ints, assets: Ints, horizon_h: int) -> Floats:
        """ln sigma over the `horizon_h` hours that follow each pair; NaN for one without a level."""
        asked, place = np.unique(rows, return_inverse=True)
        usual = self.week.ahead(asked, horizon_h)[place, assets]
        return np.asarray(0.5 * (np.log(usual) + self.log_level[rows, assets]))


def state_of(panel: Panel) -> State:
    r = panel.log_return
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = _range_variance(panel)
        week = WeekTable(panel, variance)
        flat = variance / week.now
        level = {span: np.log(_mean(flat, span)) for span in SPANS_H}
        base = level[ANCHOR_H]
        peers = peers_of(np.exp(level[720]))
        squares = r**2 / week.now
        found: dict[str, Floats] = {f"level_{s}": level[s] - base for s in SPANS_H if s != ANCHOR_H}
        for span in (1, 6, 24, 168):
            apart = level[span] - level[720]
            found[f"market_{span}"] = np.broadcast_to(_across(np.where(peers, apart, np.nan))[:, None], r.shape)
        for span in (24, 168):
            down = _mean(np.where(r < 0, squares, np.where(np.isfinite(r), 0.0, np.nan)), span)
            found[f"down_share_{span}"] = down / _mean(squares, span)
            found[f"close_to_range_{span}"] = np.log(_mean(squares, span)) - level[span]
        for span in (1, 6, 24, 168):
            found[f"trend_{span}"] = _mean(r, span) * span**0.5 / np.exp(0.5 * base)
            found[f"size_{span}"] = np.abs(found[f"trend_{span}"])
        found["market_trend_6"] = np.broadcast_to(_across(np.where(peers, found["trend_6"], np.nan))[:, None], r.shape)
        found["market_trend_24"] = np.broadcast_to(
            _across(np.where(peers, found["trend_24"], np.nan))[:, None], r.shape
        )
        traded = np.where(panel.volume > 0, np.log(panel.volume), np.nan)
        slow = _mean(traded, 720)
        for span in (1, 24):
            found[f"volume_{span}"] = _mean(traded, span) - slow
        found |= _beside(panel, level)
    hour = (panel.open_ms // HOUR_MS + 1) % WEEK_H
    for name, turn in (("day", 24.0), ("week", 168.0)):
        for part, wave in (("sin", np.sin), ("cos", np.cos)):
            found[f"{name}_{part}"] = np.broadcast_to(wave(2 * np.pi * hour / turn)[:, None], r.shape)
    sound = (base > np.log(LEAST_VARIANCE)) & panel.present & (panel.age_h >= 720)
    inputs = np.stack([np.where(np.isfinite(v), v, np.nan) for v in found.values()], axis=-1)
    return State(np.where(sound, base, np.nan), week, inputs, tuple(found))


def _beside(panel: Panel, level: dict[int, Floats]) -> dict[str, Floats]:
    """Implied volatility of whoever has one, as the market's; funding of the asset itself."""
    shape = panel.close.shape
    implied = _across(np.log(panel.dvol**2 / 8766.0))
    realised = _across(np.where(np.isfinite(panel.dvol), level[WEEK_H], np.nan))
    change = np.full(len(implied), np.nan)
    change[24:] = implied[24:] - implied[:-24]
    funding = np.clip(panel.funding_8h * 1e4, -30.0, 30.0)
    return {
        "implied": np.broadcast_to((implied - realised)[:, None], shape),
        "implied_change": np.broadcast_to(change[:, None], shape),
        "funding": funding,
        "funding_size": np.abs(funding),
    }


def _range_variance(panel: Panel) -> Floats:
    """Garman and Klass (1980), no less than a tenth of Parkinson's (1980), which it is a correction of."""
    reach = np.log(panel.high / panel.low) ** 2
    body = np.log(panel.close / panel.open) ** 2
    parkinson = reach / (4.0 * np.log(2.0))
    whole = np.maximum(0.5 * reach - (2.0 * np.log(2.0) - 1.0) * body, 0.1 * parkinson)
    return np.asarray(whole + 0.01 * body + 1e-14)


def _mean(values: Floats, span: int) -> Floats:
    """Exponentially weighted over what there is, mean age `span` - 1 hours; NaN where there never was anything."""
    keep = 1.0 - 1.0 / span
    there = np.isfinite(values)
    total = lfilter([1.0], [1.0, -keep], np.where(there, values, 0.0), axis=0)
    weight = lfilter([1.0], [1.0, -keep], there.astype(np.float64), axis=0)
    return np.asarray(np.where(weight > 1e-6, total / np.maximum(weight, 1e-6), np.nan))


def _across(values: Floats) -> Floats:
    """(hours,): mean over the assets that have one."""
    there = np.isfinite(values)
    count = there.sum(axis=1)
    return np.asarray(np.where(count > 0, np.where(there, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan))
