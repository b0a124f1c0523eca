"""`hourly-1`: what the first models saw, used over years for training and on the last row for serving.

Every column at row t is a function of the last `LONG_H` hours up to the close of bar t, and of nothing else. Sums over
windows are built by doubling, so a row has the same bits whether it is computed inside ten years of history or from
the few hundred bars that a node holds.

Sources: range variance from Garman and Klass (1980), with the opening gap added; negative semivariance from
Barndorff-Nielsen, Kinnebrock and Shephard (2010); bipower variation from Barndorff-Nielsen and Shephard (2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.errors import Rejected
from margrave.messages import Bar, MarketSnapshot
from margrave.score.features.clock import new_york_hour_of_week
from margrave.spans import HOUR_MS, YEAR_H
from margrave.verdicts import Rejection

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

VERSION: Final = "hourly-1"
LONG_H: Final = 672
"""Four whole weeks: the level that everything is measured against has every hour of the week equally often."""
MIN_BARS: Final = 200
"""Below this the 168-hour windows are not full. Between this and LONG_H + 1 the level uses what there is, and
`history` says so."""
VARIANCE_FLOOR: Final = 1e-10
"""Per hour; 0.1 bp of movement. Prices are stored with seven digits, so less is rounding."""
FLAT_WINDOW: Final = 24
FLAT_SHARE: Final = 0.5

_RANGE_H: Final = (1, 2, 4, 8, 24, 72, 168)
_RETURN_H: Final = (1, 4, 24, 168)
_SHAPE_H: Final = (24, 168)
_WEEK_HARMONICS: Final = (1, 2, 6, 7, 8, 14, 21)
"""Of the 168-hour week: 1, 2 the days; 7, 14, 21 the hours; 6, 8 let the hours differ between weekday and weekend."""

NAMES: Final[tuple[str, ...]] = (
    *(f"range_{h}h" for h in _RANGE_H),
    *(f"close_to_range_{h}h" for h in _SHAPE_H),
    *(f"negative_share_{h}h" for h in _SHAPE_H),
    *(f"jump_share_{h}h" for h in _SHAPE_H),
    "largest_move_24h",
    *(f"return_{h}h" for h in _RETURN_H),
    "volume_4h",
    "volume_24h",
    "funding",
    "implied_to_168h",
    "implied_to_level",
    "history",
    *(f"week_{part}{k}" for k in _WEEK_HARMONICS for part in ("sin", "cos")),
    "has_volume",
    "has_funding",
    "has_implied",
)
MASKS: Final = {
    "has_volume": ("volume_4h", "volume_24h"),
    "has_funding": ("funding",),
    "has_implied": ("implied_to_168h", "implied_to_level"),
}
"""A group is zero wherever its bit is zero; the bit is a column of its own, so absent is never read as average."""


@dataclass(frozen=True, slots=True)
class History:
    """Gap-free hourly bars of one market and what else was known at each bar's close; absent values are NaN.

    All arrays have shape (n,). Prices in USD, volume in any constant unit, funding a fraction per 8 h, the volatility
    index an annual fraction.
    """

    open_time_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    funding_8h: Floats
    vol_index: Floats


@dataclass(frozen=True, slots=True)
class Table:
    """Features of one market: `columns` has shape (n, len(NAMES)); rows before `MIN_BARS` are NaN.

    `log_level` (n,) is the log of the mean hourly range variance over `LONG_H`; `log_return` (n,) is the hourly log
    return, NaN in row 0.
    """

    columns: Floats
    log_level: Floats
    log_return: Floats
    range_variance: Floats


def from_snapshot(market: MarketSnapshot) -> History:
    """The serving history: funding and the volatility index are known now, that is, on the last row only."""
    n = len(market.bars)
    return from_bars(market.bars, _on_last_row(market.funding_8h, n), _on_last_row(market.vol_index, n))


def from_bars(bars: Sequence[Bar], funding_8h: Floats, vol_index: Floats) -> History:
    rows = np.array([(b.open, b.high, b.low, b.close, b.volume) for b in bars], dtype=np.float64).reshape(-1, 5)
    times = np.array([b.open_time_ms for b in bars], dtype=np.int64)
    columns = np.ascontiguousarray(rows.T)
    return History(times, columns[0], columns[1], columns[2], columns[3], columns[4], funding_8h, vol_index)


def compute(history: History) -> Table:
    """All features of all rows.

    Raises:
        Rejected: a price is not finite or not positive, a bar contradicts itself, the bars have a gap, or more than
            half of the last day's bars did not move at all (a frozen feed looks like calm).
    """
    _refuse_broken(history)
    n = len(history.close)
    log_close = np.log(history.close)
    log_return = np.full(n, np.nan)
    log_return[1:] = np.diff(log_close)
    variance = _range_variance(history)
    if n < MIN_BARS:
        return Table(np.full((n, len(NAMES)), np.nan), np.full(n, np.nan), log_return, variance)

    # The first bar has no previous close: every window starts at the second.
    returns, v = log_return[1:], variance[1:]
    hours = np.minimum(np.arange(1, n), LONG_H)
    level = np.maximum(_trailing_sum(v, LONG_H) / hours, VARIANCE_FLOOR)
    squares = returns * returns
    columns = [
        *_range_columns(v, level),
        *_shape_columns(returns, squares, v),
        *_return_columns(returns, level),
        *_volume_columns(history.volume[1:]),
        *_rate_columns(history, squares, level),
        hours / LONG_H,
        *_week_columns(history.open_time_ms[1:]),
        _has_volume(history.volume[1:]),
        np.isfinite(history.funding_8h[1:]).astype(np.float64),
        _has_implied(history.vol_index[1:]),
    ]
    table = np.full((n, len(NAMES)), np.nan)
    table[1:] = np.column_stack(columns)
    table[: MIN_BARS - 1] = np.nan
    log_level = np.full(n, np.nan)
    log_level[MIN_BARS - 1 :] = np.log(level)[MIN_BARS - 2 :]
    return Table(table, log_level, log_return, variance)


def masked(row: Floats) -> tuple[str, ...]:
    """Names of the inputs that one feature row (len(NAMES),) says are absent."""
    return tuple(bit.removeprefix("has_") for bit in MASKS if row[NAMES.index(bit)] == 0.0)


def _on_last_row(value: float | None, n: int) -> Floats:
    column = np.full(n, np.nan)
    if n and value is not None:
        column[-1] = value
    return column


def _refuse_broken(history: History) -> None:
    prices = np.stack([history.open, history.high, history.low, history.close])
    if not np.isfinite(prices).all():
        raise Rejected(Rejection.NOT_FINITE, "a bar has a price that is not a number")
    if not (prices > 0).all():
        raise Rejected(Rejection.NOT_POSITIVE, "a bar has a price of zero or less")
    if (history.high < prices.max(axis=0)).any() or (history.low > prices.min(axis=0)).any():
        raise Rejected(Rejection.OUT_OF_RANGE, "a bar's high or low does not contain its open and close")
    if (np.diff(history.open_time_ms) != HOUR_MS).any():
        raise Rejected(Rejection.MALFORMED, "the hourly bars have a gap, a repeat or are not ascending")
    last_day = (history.high == history.low)[-FLAT_WINDOW:]
    if last_day.size and last_day.mean() > FLAT_SHARE:
        raise Rejected(Rejection.FROZEN, f"{last_day.sum()} of the last {last_day.size} bars did not move at all")


def _range_variance(history: History) -> Floats:
    """Garman-Klass variance per hour plus the squared gap from the previous close; at least zero. Shape (n,)."""
    spread = np.log(history.high / history.low)
    body = np.log(history.close / history.open)
    gap = np.zeros_like(body)
    gap[1:] = np.log(history.open[1:] / history.close[:-1])
    return np.asarray(0.5 * spread**2 - (2 * np.log(2) - 1) * body**2 + gap**2, dtype=np.float64)


def _trailing_sum(x: Floats, window: int) -> Floats:
    """Sum of the last `window` values, fewer at the start. By doubling: the same bits wherever the series begins."""
    total, covered, power, width = np.zeros_like(x), 0, x, 1
    while True:
        if window & width:
            total = total + _lag(power, covered)
            covered += width
        width *= 2
        if width > window:
            return total
        power = power + _lag(power, width // 2)


def _lag(x: Floats, steps: int) -> Floats:
    return np.concatenate([np.zeros(min(steps, len(x))), x[: max(len(x) - steps, 0)]])


def _log_mean(x: Floats, window: int, floor: float) -> Floats:
    return np.asarray(np.log(np.maximum(_trailing_sum(x, window) / window, floor)), dtype=np.float64)


def _range_columns(v: Floats, level: Floats) -> list[Floats]:
    return [_log_mean(v, h, VARIANCE_FLOOR) - np.log(level) for h in _RANGE_H]


def _shape_columns(returns: Floats, squares: Floats, v: Floats) -> list[Floats]:
    magnitude = np.abs(returns)
    neighbours = magnitude * _lag(magnitude, 1)
    negative = np.where(returns < 0, squares, 0.0)
    close_to_range, negative_share, jump_share = [], [], []
    for h in _SHAPE_H:
        total = np.maximum(_trailing_sum(squares, h), h * VARIANCE_FLOOR)
        close_to_range.append(np.log(total / h) - _log_mean(v, h, VARIANCE_FLOOR))
        negative_share.append(_trailing_sum(negative, h) / total - 0.5)
        bipower = np.pi / 2 * h / (h - 1) * _trailing_sum(neighbours, h)
        jump_share.append(np.clip(1 - bipower / total, -1, 1))
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.zeros(23), magnitude]), 24)
    day = np.maximum(_trailing_sum(squares, 24), 24 * VARIANCE_FLOOR)
    return [*close_to_range, *negative_share, *jump_share, windows.max(axis=1) / np.sqrt(day)]


def _return_columns(returns: Floats, level: Floats) -> list[Floats]:
    return [np.clip(_trailing_sum(returns, h) / np.sqrt(h * level), -10, 10) for h in _RETURN_H]


def _known(volume: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(volume) & (np.nan_to_num(volume, nan=-1.0) >= 0))


def _has_volume(volume: Floats) -> Floats:
    known = _known(volume)
    whole = _trailing_sum(np.where(known, 0.0, 1.0), 168) == 0
    traded = _trailing_sum(np.where(known, volume, 0.0), 4) > 0
    return np.asarray(whole & traded, dtype=np.float64)


def _volume_columns(volume: Floats) -> list[Floats]:
    has = _has_volume(volume) > 0
    clean = np.where(_known(volume), volume, 0.0)
    week = np.where(has, _trailing_sum(clean, 168) / 168, 1.0)
    ratios = [np.where(has, _trailing_sum(clean, h) / h, week) / week for h in (4, 24)]
    return [np.clip(np.log(np.maximum(ratio, 1e-6)), -6, 6) for ratio in ratios]


def _has_implied(vol_index: Floats) -> Floats:
    return np.asarray(np.isfinite(vol_index) & (np.nan_to_num(vol_index) > 0), dtype=np.float64)


def _rate_columns(history: History, squares: Floats, level: Floats) -> list[Floats]:
    """Funding in basis points per 8 h, compressed; log implied over realised volatility, by week and by level."""
    funding = np.where(np.isfinite(history.funding_8h[1:]), history.funding_8h[1:], 0.0)
    has = _has_implied(history.vol_index[1:]) > 0
    implied = np.log(np.where(has, history.vol_index[1:], 1.0))
    week = 0.5 * (_log_mean(squares, 168, VARIANCE_FLOOR) + np.log(YEAR_H))
    long = 0.5 * (np.log(level) + np.log(YEAR_H))
    return [
        np.arcsinh(funding * 1e4),
        np.where(has, np.clip(implied - week, -4, 4), 0.0),
        np.where(has, np.clip(implied - long, -4, 4), 0.0),
    ]


def _week_columns(open_time_ms: Ints) -> list[Floats]:
    """Phase of the week at the *next* bar, the first of the horizon."""
    phase = 2 * np.pi / 168 * new_york_hour_of_week(open_time_ms + HOUR_MS)
    return [wave(k * phase) for k in _WEEK_HARMONICS for wave in (np.sin, np.cos)]
