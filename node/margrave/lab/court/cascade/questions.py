"""What is asked, hour by hour: each book's inputs as they were known, and what came of it.

An hour is known once it is over. A cascade within h hours: what is liquidated in the h hours after it comes to
`inputs.CASCADE` of the deposits last told, or more. Where nobody tells deposits, the `UNTOLD` quantile of the book's
own earlier days with a liquidation (of `LEAST_DAYS_H` hours at least) stands for that share. The rule was chosen on
what came before 2024; no model was judged on later hours by another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.cascade.books import Book
from margrave.lab.court.cascade.leverage import response, told
from margrave.lab.court.panel import Panel
from margrave.score.cascade.inputs import (
    CASCADE,
    EDGES,
    HORIZONS_H,
    LEAST_SCALE,
    MOST_OVER_DEPTH,
    MOST_SCALE,
    UNKNOWN_OVER_DEPTH,
)
from margrave.spans import DAY_H, HOUR_MS, YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

UNTOLD: Final = 0.8
LEAST_DAYS_H: Final = 30
HALF_LIVES_H: Final = (3.0, 12.0, 48.0, 168.0, 720.0, 8760.0)
DEPTH_OF_VOLUME: Final = 0.05
"""Depth within 1 % as a share of a typical hour's traded value: history keeps no books, and this stands for them."""
VOLUME_H: Final = 720.0
BORROWED_BEFORE_H: Final = YEAR_H
"""Of the prices before the first liquidation, what debts can still come from."""


@dataclass(frozen=True, slots=True)
class Questions:
    """A row an hour and book, ordered by book, then time."""

    book: Ints
    """Which of the books."""
    known_ms: Ints
    mass: Floats
    """(rows, edges), of deposits: what of them a fall would liquidate."""
    ranges: Floats
    """(rows, half-lives): log of the mean hourly variance."""
    over_depth: Floats
    """(rows, 1)"""
    funding: Floats
    """Fraction per 8 hours, zero where nobody tells it."""
    cascade: Floats
    """(rows, horizons): one, zero, or NaN where what followed was not seen."""
    liquidated: Floats
    """(rows, horizons): share of the deposits."""
    fall: Floats
    """(rows, horizons): log fall to the lowest price within the horizon, none is zero."""

    def __len__(self) -> int:
        return len(self.book)

    def only(self, rows: Flags | Ints) -> Questions:
        return Questions(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def ask(books: Sequence[Book], panel: Panel) -> Questions:
    """Every hour of every book whose inputs are known and of which at least one horizon was seen."""
    first = min((int(np.flatnonzero(book.liquidated_usd)[0]) for book in books if book.events), default=0)
    past = max(first - BORROWED_BEFORE_H, 0)
    panel = panel.since(past)
    asked = [_of_book(place, book.since(past), panel) for place, book in enumerate(books)]
    return (
        Questions(**{f.name: np.concatenate([getattr(one, f.name) for one in asked]) for f in fields(Questions)})
        if asked
        else _nothing()
    )


def scales(ranges: Floats, weights: Mapping[int, Sequence[float]]) -> Floats:
    """(rows, horizons): how far the price is forecast to fall, where no ladder is published.

    exp(c + sum of weights times log standard deviations over several half-lives); the weights of one horizon sum to
    one, so that a price that always moves twice as much is always forecast to.

    Args:
        weights: horizon in hours -> (c, a weight a half-life).
    """
    found = [np.exp(weights[h][0] + 0.5 * ranges @ np.asarray(weights[h][1:])) for h in HORIZONS_H]
    clipped: Floats = np.clip(np.stack(found, axis=1), LEAST_SCALE, MOST_SCALE)
    return clipped


def _of_book(place: int, book: Book, panel: Panel) -> Questions:
    column = panel.assets.index(book.asset)
    close, low = panel.close[:, column], panel.low[:, column]
    reconstructed = panel.once(("borrowers", book.asset), lambda: told(close, low, EDGES))
    happened = np.where(book.seen, book.liquidated_usd, np.nan)
    deposits = book.deposits_usd if np.isfinite(book.deposits_usd).any() else _stand_in(happened)
    share = happened / deposits
    mass = np.clip(reconstructed.below * response(reconstructed.swept, share)[:, None], 0.0, 1.0)
    ranges = panel.once(("log ranges", book.asset), lambda: _ranges(panel, column))
    typical = _faded(panel.volume[:, column] * close, VOLUME_H)
    over = np.where(typical > 0, deposits / np.maximum(DEPTH_OF_VOLUME * typical, 1.0), UNKNOWN_OVER_DEPTH)
    ahead = [_ahead(happened, h) / deposits for h in HORIZONS_H]
    fall = [_fall(close, low, h) for h in HORIZONS_H]
    liquidated, falls = np.stack(ahead, axis=1), np.stack(fall, axis=1)
    known = np.isfinite(mass).all(axis=1) & np.isfinite(ranges).all(axis=1) & np.isfinite(over)
    seen = np.isfinite(liquidated) & np.isfinite(falls)
    rows = np.flatnonzero(known & seen.any(axis=1))
    return Questions(
        book=np.full(len(rows), place),
        known_ms=panel.open_ms[rows] + HOUR_MS,
        mass=mass[rows],
        ranges=ranges[rows],
        over_depth=np.minimum(over[rows], MOST_OVER_DEPTH)[:, None],
        funding=np.nan_to_num(panel.funding_8h[rows, column]),
        cascade=np.where(seen, liquidated >= CASCADE, np.nan)[rows],
        liquidated=np.where(seen, liquidated, np.nan)[rows],
        fall=np.where(seen, falls, np.nan)[rows],
    )


def _stand_in(happened: Floats) -> Floats:
    """Deposits such that `CASCADE` of them is the `UNTOLD` quantile of earlier days with a liquidation."""
    usd = np.nan_to_num(happened)
    days = np.convolve(usd, np.ones(DAY_H))[: len(usd)]
    found, threshold = np.full(len(usd), np.nan), np.nan
    earlier = np.flatnonzero(days > 0)
    hours = np.cumsum(usd > 0)
    for row in range(len(usd)):
        if row % DAY_H == 0 and hours[row] >= LEAST_DAYS_H:
            threshold = float(np.quantile(days[earlier[: np.searchsorted(earlier, row, side="right")]], UNTOLD))
        found[row] = threshold
    return found / CASCADE


def _ranges(panel: Panel, column: int) -> Floats:
    """(hours, half-lives): half Garman and Klass's (1980) range variance, half the squared return."""
    opened, high, low, close = (getattr(panel, name)[:, column] for name in ("open", "high", "low", "close"))
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = 0.5 * np.log(high / low) ** 2 - (2 * np.log(2) - 1) * np.log(close / opened) ** 2
    hourly = 0.5 * np.maximum(inside, 0.0) + 0.5 * np.nan_to_num(panel.log_return[:, column]) ** 2
    found = np.stack([_faded(hourly, half_life) for half_life in HALF_LIVES_H], axis=1)
    with np.errstate(divide="ignore"):
        return np.where(found > 0, np.log(found), np.nan)


def _faded(hourly: Floats, half_life_h: float) -> Floats:
    """Exponentially weighted mean of what is there; where nothing is, what it was."""
    kept, above, below = 0.5 ** (1.0 / half_life_h), 0.0, 0.0
    found = np.full(len(hourly), np.nan)
    for row, value in enumerate(hourly.tolist()):
        if np.isfinite(value):
            above, below = above * kept + value, below * kept + 1.0
        if below:
            found[row] = above / below
    return np.where(np.isfinite(hourly), found, np.nan)


def _ahead(happened: Floats, horizon_h: int) -> Floats:
    """(hours,) the sum over the `horizon_h` hours after each; NaN where one was not seen."""
    found = np.full(len(happened), np.nan)
    if len(happened) > horizon_h:
        windows = np.lib.stride_tricks.sliding_window_view(happened[1:], horizon_h)
        found[: len(happened) - horizon_h] = windows.sum(axis=1)
    return found


def _fall(close: Floats, low: Floats, horizon_h: int) -> Floats:
    found = np.full(len(close), np.nan)
    if len(close) > horizon_h:
        lowest = np.lib.stride_tricks.sliding_window_view(low[1:], horizon_h).min(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[: len(close) - horizon_h] = np.maximum(np.log(close[: len(close) - horizon_h] / lowest), 0.0)
    return found


def _nothing() -> Questions:
    none = np.empty((0, len(HORIZONS_H)))
    return Questions(
        book=np.empty(0, dtype=np.int64),
        known_ms=np.empty(0, dtype=np.int64),
        mass=np.empty((0, len(EDGES))),
        ranges=np.empty((0, len(HALF_LIVES_H))),
        over_depth=np.empty((0, 1)),
        funding=np.empty(0),
        cascade=none,
        liquidated=none,
        fall=none,
    )
