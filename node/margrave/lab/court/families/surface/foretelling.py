"""Who says where at-the-money volatility, skew and slope go, against the last surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from margrave.lab.court.comparison import diebold_mariano
from margrave.lab.court.families.surface import forecasting
from margrave.lab.court.families.surface.cells import Shot
from margrave.lab.court.families.surface.forecasting import FITTED, Ahead, Forecaster, Last, Mean, Ours, Pairs, Searched
from margrave.lab.court.families.surface.indicators import HORIZONS_DAYS, TENORS_DAYS, indicators
from margrave.score.registry import Model
from margrave.score.surface_forecast import QUANTITIES
from margrave.spans import DAY_MS, HOUR_MS

LEAST_CHAINS: Final = 30
"""Of one asset, for its forecasts to be judged."""
LEAST_TIMES: Final = 15
"""Outcomes at different times, for an error to be stated."""
WARM_UP_MS: Final = 2 * DAY_MS
"""From an asset's first chain, before anybody is asked."""


@dataclass(frozen=True, slots=True)
class Row:
    """One forecaster of one quantity at one horizon."""

    ratio: float
    """RMSE over the last surface's."""
    rmse_points: float
    t: float
    times: int


@dataclass(frozen=True, slots=True)
class Foretold:
    rows: Mapping[tuple[str, int], Mapping[str, Row]]
    """By quantity and horizon in days, by name."""
    tenors: tuple[tuple[str, float, float, float, float], ...]
    """(quantity, horizon, tenor, the last surface's RMSE in points, ours over it)."""
    ours: str | None
    silent: tuple[str, ...]


def foretold(shots: Mapping[str, Sequence[Shot]], model: Model | None) -> Foretold:
    """Everybody at every quantity and horizon, on the same pairs.

    The registry's rule is ours where the chains are others than it was found on; elsewhere the same rule, searched anew
    each day, is, and the report says so.
    """
    series = [indicators(found) for found in shots.values() if len(found) >= LEAST_CHAINS]
    if not series:
        why = f"no asset has {LEAST_CHAINS} chains in a row: what comes after them is not judged"
        return Foretold({}, (), None, (why,))
    silent = []
    everyone: list[Forecaster] = [Last(), Ahead(), *FITTED, Searched()]
    everyone.append(Mean(tuple(everyone)))
    ours: Forecaster = Searched()
    if model is not None:
        registered = Ours(model)
        probe = forecasting.pairs(series, QUANTITIES[0], HORIZONS_DAYS[0])
        if np.isfinite(registered.forecast(probe)).mean() > 0.5:
            ours = registered
            everyone.append(registered)
        else:
            silent.append(
                f"{model.card.name} was found on these chains: its rule, searched anew each day, stands for it"
            )
    rows: dict[tuple[str, int], dict[str, Row]] = {}
    tenors: list[tuple[str, float, float, float, float]] = []
    for quantity in QUANTITIES:
        for horizon in HORIZONS_DAYS:
            pairs = forecasting.pairs(series, quantity, horizon)
            said = {each.name: each.forecast(pairs) for each in everyone}
            judged = _warm(pairs) & np.isfinite(pairs.outcome) & np.isfinite(said[ours.name])
            if len(np.unique(pairs.as_of_ms[judged])) < LEAST_TIMES:
                silent.append(f"{quantity} {horizon} d ahead: fewer than {LEAST_TIMES} times have an outcome")
                continue
            rows[quantity, horizon] = {
                name: _row(pairs, values, judged & np.isfinite(values)) for name, values in said.items()
            }
            tenors += _by_tenor(pairs, said[ours.name], judged)
    return Foretold(rows, tuple(tenors), ours.name, tuple(silent))


def _warm(pairs: Pairs) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = np.zeros(len(pairs.as_of_ms), dtype=np.bool_)
    for asset in np.unique(pairs.asset):
        mine = pairs.asset == asset
        found[mine] = pairs.as_of_ms[mine] >= pairs.as_of_ms[mine].min() + WARM_UP_MS
    return found


def _row(pairs: Pairs, said: forecasting.Floats, judged: forecasting.Bools) -> Row:
    error, base = (said - pairs.outcome)[judged], (pairs.last - pairs.outcome)[judged]
    # both assets' chains are minutes apart at most: one time
    times = pairs.as_of_ms[judged] // HOUR_MS
    distinct = np.unique(times)
    step_h = float(np.median(np.diff(distinct))) if len(distinct) > 1 else 24.0
    lags = int(np.ceil(pairs.horizon_days * 24 / max(step_h, 1.0)))
    found = diebold_mariano(error**2, base**2, times, lags)
    rmse = float(np.sqrt(np.mean(error**2)))
    return Row(rmse / float(np.sqrt(np.mean(base**2))), 100 * rmse, found.t, found.times)


def _by_tenor(
    pairs: Pairs, said: forecasting.Floats, judged: forecasting.Bools
) -> list[tuple[str, float, float, float, float]]:
    found = []
    for place in np.unique(pairs.tenor[judged]):
        mine = judged & (pairs.tenor == place)
        base = float(np.sqrt(np.mean((pairs.last - pairs.outcome)[mine] ** 2)))
        ours = float(np.sqrt(np.mean((said - pairs.outcome)[mine] ** 2)))
        days = float(pairs.horizon_days)
        found.append((pairs.quantity, days, TENORS_DAYS[int(place)], 100 * base, ours / base if base else float("nan")))
    return found
