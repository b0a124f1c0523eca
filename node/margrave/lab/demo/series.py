"""A recorded run as columns: what page and pictures both draw. Missing values are NaN, so that lines break there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from margrave.lab.demo.record import Breach, MarketRow, Realised, Summary

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
NOWHERE: Final = -1


@dataclass(frozen=True, slots=True)
class MarketSeries:
    """One market over the rounds of a run. Every array has one entry a round, in the order of `Summary.rounds`."""

    market: str
    price: Floats
    sigma_forecast: Floats
    """A recorded zero means that no node told its forecast: missing."""
    sigma_realised: Floats
    """Over the MPOR that begins at the round."""
    sigma_implied: Floats
    down_es99: Floats
    """Negative: a return."""
    up_es99: Floats
    move: Floats
    """Return of the index over the MPOR that begins at the round."""
    corridor_low: Floats
    """USD: what the round one MPOR earlier called its expected shortfall, where there was such a round."""
    corridor_high: Floats
    score: Floats
    cascade: Floats
    """Probability within a day, as a fraction; within the hour `cascade_1h`; the fall that it would add `impact`."""
    cascade_1h: Floats
    impact: Floats
    contagion: Floats
    requirement: Floats
    static_requirement: Floats
    breach_starts: Indices
    """Rounds whose MPOR ended outside their expected shortfall."""
    breach_ends: Indices
    """The rounds at which those MPORs ended, where the run lasted that long."""

    @property
    def present(self) -> bool:
        return bool(np.isfinite(self.price).any())

    @property
    def drawdown(self) -> float:
        """Largest fall from an earlier high, as a fraction; zero where there is no price."""
        price = self.price[np.isfinite(self.price)]
        return float(np.max(1.0 - price / np.maximum.accumulate(price))) if price.size else 0.0


@dataclass(frozen=True, slots=True)
class RunSeries:
    rounds: tuple[int, ...]
    times_ms: npt.NDArray[np.int64]
    period_ms: int
    markets: tuple[MarketSeries, ...]
    requirement: Floats
    """Over all markets, USD; NaN where one of them was not on chain: half a sum is no sum."""
    static_requirement: Floats

    @property
    def end_ms(self) -> int:
        """When the last round's figures would have been replaced; zero without rounds."""
        return int(self.times_ms[-1]) + self.period_ms if self.times_ms.size else 0

    @property
    def share_of_static(self) -> float:
        """Average requirement over the average of the fixed grid, over the rounds that have both; NaN without any."""
        both = np.isfinite(self.requirement) & np.isfinite(self.static_requirement)
        static = float(self.static_requirement[both].sum())
        return float(self.requirement[both].sum()) / static if static > 0 else float("nan")


def columns(summary: Summary) -> RunSeries:
    """Turn a run's rows into columns, in time order."""
    times_ms = np.array([row.time_ms for row in summary.rounds], dtype=np.int64)
    markets = tuple(_market(summary, market, times_ms) for market in summary.markets)
    return RunSeries(
        rounds=tuple(row.round for row in summary.rounds),
        times_ms=times_ms,
        period_ms=summary.period_s * 1000,
        markets=markets,
        requirement=_total([series.requirement for series in markets], len(summary.rounds)),
        static_requirement=_total([series.static_requirement for series in markets], len(summary.rounds)),
    )


def _market(summary: Summary, market: str, times_ms: npt.NDArray[np.int64]) -> MarketSeries:
    rows = [row.markets.get(market) for row in summary.rounds]
    index_of = {row.round: index for index, row in enumerate(summary.rounds)}
    price = _column(rows, lambda row: row.price_usd)
    down = -_column(rows, lambda row: row.down_es99)
    up = _column(rows, lambda row: row.up_es99)
    origin = _origins(times_ms, summary.mpor_s * 1000, summary.period_s * 500)
    realised = [row for row in summary.realised if row.market == market]
    starts = _breach_starts([breach for breach in summary.breaches if breach.market == market], index_of)
    return MarketSeries(
        market=market,
        price=price,
        sigma_forecast=_column(rows, lambda row: row.sigma_forecast or np.nan),
        sigma_realised=_outcomes(realised, index_of, len(rows), lambda row: row.sigma),
        sigma_implied=_column(rows, lambda row: row.sigma_implied_30d or np.nan),
        down_es99=down,
        up_es99=up,
        move=_outcomes(realised, index_of, len(rows), lambda row: row.move),
        corridor_low=_carried(price * (1.0 + down), origin),
        corridor_high=_carried(price * (1.0 + up), origin),
        score=_column(rows, lambda row: row.score),
        cascade=_column(rows, lambda row: _or_nan(row.cascade_probability)),
        cascade_1h=_column(rows, lambda row: _or_nan(row.cascade_probability_1h)),
        impact=_column(rows, lambda row: _or_nan(row.cascade_size)),
        contagion=_column(rows, lambda row: _or_nan(row.contagion)),
        requirement=_column(rows, lambda row: row.requirement_usd),
        static_requirement=_column(rows, lambda row: row.static_requirement_usd),
        breach_starts=starts,
        breach_ends=np.flatnonzero(np.isin(origin, starts)) if starts.size else starts,
    )


def _column(rows: list[MarketRow | None], value: Callable[[MarketRow], float]) -> Floats:
    return np.array([np.nan if row is None else value(row) for row in rows], dtype=np.float64)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _outcomes(
    realised: list[Realised], index_of: dict[int, int], rounds: int, value: Callable[[Realised], float | None]
) -> Floats:
    column = np.full(rounds, np.nan)
    for row in realised:
        outcome = value(row)
        if outcome is not None and row.round in index_of:
            column[index_of[row.round]] = outcome
    return column


def _origins(times_ms: npt.NDArray[np.int64], mpor_ms: int, tolerance_ms: float) -> Indices:
    """For each round, the index of the round one MPOR earlier, or NOWHERE."""
    origins = np.full(times_ms.size, NOWHERE, dtype=np.intp)
    for index, time_ms in enumerate(times_ms):
        nearest = int(np.argmin(np.abs(times_ms - (time_ms - mpor_ms))))
        if abs(int(times_ms[nearest]) - int(time_ms) + mpor_ms) <= tolerance_ms:
            origins[index] = nearest
    return origins


def _carried(values: Floats, origin: Indices) -> Floats:
    carried = np.full(values.size, np.nan)
    known = origin != NOWHERE
    carried[known] = values[origin[known]]
    return carried


def _breach_starts(breaches: list[Breach], index_of: dict[int, int]) -> Indices:
    return np.array(sorted({index_of[breach.round] for breach in breaches if breach.round in index_of}), dtype=np.intp)


def _total(columns_: list[Floats], rounds: int) -> Floats:
    ever_present = [column for column in columns_ if np.isfinite(column).any()]
    return np.sum(ever_present, axis=0) if ever_present else np.full(rounds, np.nan)
