"""Who forecasts at-the-money volatility, skew and term slope, a day and a week ahead.

All are asked at every chain and know nothing after it: those that fit do so anew each day, on pairs whose outcome was
known by then. Everything is per asset and tenor; coefficients are shared by the tenors and assets of one quantity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.surface.indicators import HORIZONS_DAYS, Indicators
from margrave.score import surface_forecast
from margrave.score.registry import Card, Model
from margrave.spans import DAY_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

OUTCOME_WITHIN_MS: Final = DAY_MS // 6
"""How far from the horizon the chain that decides may lie."""
LEAST_PAIRS: Final = 100
REFIT_MS: Final = DAY_MS
SHARES: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
OVERTURNS: Final = 0.02
"""Of log mean square error, the mean of both halves."""
PLAIN: Final = 0.01
"""Of log mean square error: what a way more must gain."""
LEAST_SPAN_MS: Final = 28 * DAY_MS
WHOLE_WAY: Final = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
RIDGE: Final = 0.2
"""Of the mean square of a column; shrinks towards the last surface."""


def _choices() -> Floats:
    """Shape (choices, WAYS): nothing, one way, or two."""
    count = len(surface_forecast.WAYS)
    found = [np.zeros(count)]
    for first in range(count):
        for share in SHARES:
            one = np.zeros(count)
            one[first] = share
            found.append(one)
            for second in range(first + 1, count):
                for other in SHARES:
                    two = one.copy()
                    two[second] = other
                    found.append(two)
    return np.array(found)


@dataclass(frozen=True, slots=True)
class Pairs:
    """One quantity at one horizon, all assets and tenors, ascending in time; shape (n,) or (n, columns)."""

    quantity: str
    horizon_days: int
    asset: NDArray[np.str_]
    tenor: Ints
    as_of_ms: Ints
    due_ms: Ints
    """When the outcome was known."""
    last: Floats
    outcome: Floats
    """NaN where no chain was seen near the horizon."""
    ahead: Floats
    ways: Floats
    level: Floats
    """At-the-money volatility of the tenor: what a change is measured in when coefficients are shared."""
    moved: Floats
    """(n, 3): over the last day, log change of the 30-day volatility, log return of the underlying, and its size."""


class Forecaster(Protocol):
    @property
    def name(self) -> str: ...

    def forecast(self, pairs: Pairs) -> Floats:
        """Shape (n,); NaN where it has no answer."""
        ...


@dataclass(frozen=True)
class Last:
    name: str = "last surface"

    def forecast(self, pairs: Pairs) -> Floats:
        return pairs.last


@dataclass(frozen=True)
class Ahead:
    """What the chain itself says: forward volatility, and the skew of what will be as long."""

    name: str = "forward of the chain"

    def forecast(self, pairs: Pairs) -> Floats:
        return np.where(np.isfinite(pairs.ahead), pairs.ahead, pairs.last)


@dataclass(frozen=True)
class Fitted:
    """A ridge regression of the change on some columns, fitted on what was known."""

    name: str
    columns: tuple[str, ...]

    def forecast(self, pairs: Pairs) -> Floats:
        x = _columns(pairs, self.columns) / pairs.level[:, None]
        y = (pairs.outcome - pairs.last) / pairs.level
        found = pairs.last.copy()
        for start in range(int(pairs.as_of_ms[0]), int(pairs.as_of_ms[-1]) + 1, REFIT_MS):
            asked = (pairs.as_of_ms >= start) & (pairs.as_of_ms < start + REFIT_MS)
            known = (pairs.due_ms <= start) & np.isfinite(y) & np.isfinite(x).all(axis=1)
            if not asked.any() or known.sum() < LEAST_PAIRS:
                continue
            gram = x[known].T @ x[known]
            gram += RIDGE * np.diag(np.diag(gram)) + 1e-12 * np.eye(len(gram))
            found[asked] += np.nan_to_num(x[asked]) @ np.linalg.solve(gram, x[known].T @ y[known]) * pairs.level[asked]
        return found


@dataclass(frozen=True)
class Ours:
    """`surface_forecast` of the registry, as a node would ask it, where its card has not seen the outcome."""

    model: Model
    name: str = "surface_forecast"

    def forecast(self, pairs: Pairs) -> Floats:
        horizon = HORIZONS_DAYS.index(pairs.horizon_days)
        said = pairs.last + surface_forecast.change(self.model, pairs.quantity, pairs.ways)[:, horizon]
        asked = [unseen(self.model.card, str(a), int(t)) for a, t in zip(pairs.asset, pairs.as_of_ms, strict=True)]
        return np.where(asked, said, np.nan)


@dataclass(frozen=True)
class Searched:
    """The rule of `surface_forecast`, its shares searched for anew each day on what was known; the whole way to what
    the chain says lies ahead, which takes no history, in the first four weeks."""

    name: str = "its rule, searched as it goes"

    def forecast(self, pairs: Pairs) -> Floats:
        found = pairs.last.copy()
        for start in range(int(pairs.as_of_ms[0]), int(pairs.as_of_ms[-1]) + 1, REFIT_MS):
            asked = (pairs.as_of_ms >= start) & (pairs.as_of_ms < start + REFIT_MS)
            known = (pairs.due_ms <= start) & np.isfinite(pairs.outcome)
            if asked.any():
                enough = known.any() and np.ptp(pairs.as_of_ms[known]) >= LEAST_SPAN_MS
                found[asked] += pairs.ways[asked] @ (shares(pairs, known) if enough else WHOLE_WAY)
        return found


def shares(pairs: Pairs, known: Bools) -> Floats:
    """Shape (WAYS,): the whole way to what the chain says lies ahead, unless shares of one or two ways beat that in
    both halves of what is known, and in all by `OVERTURNS` at least; then the best of those. What the market itself
    says needs no history, and little history should not overturn it."""
    changes = (pairs.outcome - pairs.last)[known]
    made = changes[:, None] - pairs.ways[known] @ CHOICES.T
    ahead = changes - pairs.ways[known] @ WHOLE_WAY
    middle = np.median(pairs.as_of_ms[known])
    halves = (pairs.as_of_ms[known] <= middle, pairs.as_of_ms[known] > middle)
    if any(half.sum() < LEAST_PAIRS // 2 for half in halves):
        return WHOLE_WAY
    ratios = np.stack([(made[half] ** 2).mean(axis=0) / (ahead[half] ** 2).mean() for half in halves])
    merit = np.where((ratios < 1).all(axis=0), np.log(ratios).mean(axis=0), np.inf) + PLAIN * (CHOICES > 0).sum(axis=1)
    best = int(np.argmin(merit))
    return np.asarray(CHOICES[best]) if merit[best] < -OVERTURNS else WHOLE_WAY


def unseen(card: Card, asset: str, time_ms: int) -> bool:
    """A model is judged on other assets than its card names, and on times before and after its training."""
    first, last = (int(np.datetime64(day, "ms").astype(np.int64)) for day in (card.trained_from, card.trained_to))
    return asset not in card.assets or not first <= time_ms < last + DAY_MS


@dataclass(frozen=True)
class Mean:
    """The mean of others' answers."""

    of: tuple[Forecaster, ...]
    name: str = "mean of all"

    def forecast(self, pairs: Pairs) -> Floats:
        return np.asarray(np.mean([each.forecast(pairs) for each in self.of], axis=0))


CHOICES: Final = _choices()
FITTED: Final = (
    Fitted("mean reversion by tenor", ("long",)),
    Fitted("ridge on return, its size, and vol change", ("return", "size", "vol")),
    Fitted("ridge on all", ("ahead", "recent", "long", "return", "size", "vol")),
)


def pairs(series: Sequence[Indicators], quantity: str, horizon_days: int) -> Pairs:
    """Everything that may be asked of one quantity at one horizon."""
    parts = [_pairs(one, quantity, horizon_days) for one in series if len(one.as_of_ms)]
    columns = [np.concatenate([part[i] for part in parts]) for i in range(len(parts[0]))]
    order = np.argsort(columns[2], kind="stable")
    asset, tenor, as_of, due, last, outcome, ahead, ways, level, moved = (column[order] for column in columns)
    return Pairs(quantity, horizon_days, asset, tenor, as_of, due, last, outcome, ahead, ways, level, moved)


def _pairs(one: Indicators, quantity: str, horizon_days: int) -> tuple[NDArray[np.generic], ...]:
    place = HORIZONS_DAYS.index(horizon_days)
    values = {"atm": one.atm, "skew": one.skew, "slope": one.slope}[quantity]
    ahead = {"atm": one.atm_ahead, "skew": one.skew_ahead, "slope": one.slope_ahead}[quantity][:, :, place]
    tenors = values.shape[1]
    recent = surface_forecast.recent_mean(one.as_of_ms, values)
    long = surface_forecast.long_mean(values)
    inverted = np.repeat((one.atm[:, :1] > one.atm[:, -1:]), tenors, axis=1)
    due_row, due = _outcome_rows(one.as_of_ms, horizon_days)
    outcome = np.where((due_row >= 0)[:, None], values[due_row], np.nan)
    moved = np.repeat(_moved(one)[:, None, :], tenors, axis=1)
    flat = [
        np.full(values.size, one.asset),
        np.tile(np.arange(tenors), len(values)),
        np.repeat(one.as_of_ms, tenors),
        np.repeat(due, tenors),
        values.ravel(),
        outcome.ravel(),
        ahead.ravel(),
        surface_forecast.ways(
            values.ravel(), ahead.ravel(), recent.ravel(), long.ravel(), inverted.ravel().astype(np.bool_)
        ),
        one.atm[:, :tenors].ravel(),
        moved.reshape(-1, 3),
    ]
    there = np.isfinite(flat[4]) & np.isfinite(flat[8])
    return tuple(column[there] for column in flat)


def _outcome_rows(times_ms: Ints, horizon_days: int) -> tuple[Ints, Ints]:
    """(row nearest to a horizon later or -1, its time; far in the future where there is none)."""
    wanted = times_ms + horizon_days * DAY_MS
    right = np.clip(np.searchsorted(times_ms, wanted), 0, len(times_ms) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(np.abs(times_ms[left] - wanted) < np.abs(times_ms[right] - wanted), left, right)
    found = np.abs(times_ms[nearest] - wanted) <= OUTCOME_WITHIN_MS
    return np.where(found, nearest, -1), np.where(found, times_ms[nearest], np.iinfo(np.int64).max)


def _moved(one: Indicators) -> Floats:
    """(times, 3): over the last day, log change of the 30-day volatility; log return of the underlying; its size."""
    rows, _ = _outcome_rows(-one.as_of_ms[::-1], 1)
    before = np.where(rows[::-1] >= 0, len(rows) - 1 - rows[::-1], -1)
    known = before >= 0
    level = one.atm[:, 2]
    with np.errstate(invalid="ignore"):
        vol = np.where(known, np.log(level / level[before]), np.nan)
        made = np.where(known, np.log(one.underlying / one.underlying[before]), np.nan)
    return np.column_stack([vol, made, np.abs(made)])


def _columns(pairs: Pairs, names: Sequence[str]) -> Floats:
    held = {name: pairs.ways[:, i] for i, name in enumerate(surface_forecast.WAYS)}
    held |= {name: pairs.moved[:, i] * pairs.level for i, name in enumerate(("vol", "return", "size"))}
    return np.column_stack([held[name] for name in names])
