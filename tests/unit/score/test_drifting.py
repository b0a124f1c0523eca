"""Drift through the whole stage: flagged, then widened, then the baseline, and back; planted breaks and a real one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from margrave import lanes
from margrave.messages import Bar, MarketScores
from margrave.score import drift
from margrave.score.carried import Carried, hour_of
from margrave.score.scores import Scorer
from margrave.spans import HOUR_MS
from margrave.verdicts import DriftLevel, DriftReason
from tests.unit.score import real
from tests.unit.score.chains import data_dir
from tests.unit.score.rounds import lived_through
from tests.unit.score.sample import CALM, MARKETS, MODEL_SET, POLICY, Told
from tests.unit.score.sample import Forecaster as Telling

T0 = 1_700_000_000_000 // HOUR_MS * HOUR_MS
BEGAN_MS = 1_667_779_200_000
"""7 November 2022, 00:00 UTC."""
STEADY_H, BROKEN_H, CALM_H = 200, 60, 400


def walk(returns: np.ndarray) -> list[Bar]:
    closes = 100.0 * np.exp(np.cumsum(returns))
    return [Bar(T0 + h * HOUR_MS, c, c * 1.001, c * 0.999, c, 1.0) for h, c in enumerate(closes.tolist())]


def planted(times: float, seed: int = 3) -> list[Bar]:
    """Student-t hours whose scale is that of `CALM` for a while, `times` it, and again that of `CALM`."""
    scale = np.repeat([1.0, times, 1.0], [240 + STEADY_H, BROKEN_H, CALM_H])
    return walk(0.0035 * scale * np.random.default_rng(seed).standard_t(5, len(scale)))


def deaf() -> Scorer:
    """One whose models say the same whatever they hear."""
    return Scorer(Telling({"BTC": Told(market="BTC", hour=hour_of(CALM, 4))}), MARKETS, POLICY, MODEL_SET)


def levels_of(rows: list[MarketScores]) -> list[DriftLevel]:
    """Without repeats."""
    found = [rows[0].drift]
    for row in rows:
        if row.drift != found[-1]:
            found.append(row.drift)
    return found


def test_a_planted_break_flags_then_widens_then_falls_back_and_all_of_it_passes() -> None:
    rows = [row for row, _ in lived_through(deaf(), planted(3.0), 240)]
    assert {row.drift for row in rows[:STEADY_H]} == {DriftLevel.STEADY}
    broken = rows[STEADY_H : STEADY_H + BROKEN_H]
    assert levels_of(broken) == [DriftLevel.STEADY, DriftLevel.FLAGGED, DriftLevel.WIDENED, DriftLevel.BASELINE]
    assert all(DriftReason.RESIDUALS_WIDER in row.drift_reasons for row in broken if row.drift)
    after = levels_of(rows[STEADY_H + BROKEN_H :])
    assert after[-1] is DriftLevel.STEADY
    assert all(b in (a - 1, a + 1) for a, b in pairwise(after))


def test_every_level_is_trusted_less_and_said_on_the_wire_by_that() -> None:
    rows = [row for row, _ in lived_through(deaf(), planted(3.0), 240)]
    trusted = {
        level: {lanes.decode(row.words, "confidence") for row in rows if row.drift is level} for level in DriftLevel
    }
    assert all(max(trusted[b]) < min(trusted[a]) for a, b in pairwise(DriftLevel))


def test_widening_by_drift_comes_at_once_and_on_top_of_what_outcomes_have_taught() -> None:
    rows = [row for row, _ in lived_through(deaf(), planted(3.0), 240)]
    first = next(i for i, row in enumerate(rows) if row.drift is DriftLevel.WIDENED)
    for side in ("widening_down", "widening_up"):
        assert getattr(rows[first], side) > 1.1 * getattr(rows[first - 1], side)
    assert rows[first].ladder.down_es99 > 1.1 * rows[first - 1].ladder.down_es99


def test_the_baseline_is_asked_for_while_and_only_while_the_level_is_its_own() -> None:
    scorer = deaf()
    telling = scorer.forecaster
    assert isinstance(telling, Telling)
    asked = []
    for row, _ in lived_through(scorer, planted(3.0), 240):
        asked.append((row.drift is DriftLevel.BASELINE, telling.drifted == {"BTC"}))
    assert {(True, True), (False, False)} == set(asked)


def test_a_break_towards_calm_is_flagged_and_never_widens() -> None:
    rows = [row for row, _ in lived_through(deaf(), planted(0.2), 240)]
    assert DriftLevel.FLAGGED in {row.drift for row in rows}
    assert max(row.drift for row in rows[: STEADY_H + BROKEN_H]) is DriftLevel.FLAGGED


def test_a_feed_that_stands_still_climbs_all_levels_in_order() -> None:
    steady = planted(1.0)[: 240 + STEADY_H]
    last = steady[-1]
    frozen = [Bar(last.open_time_ms + h * HOUR_MS, *[last.close] * 4, 1.0) for h in range(1, 8)]
    rows = [row for row, _ in lived_through(deaf(), [*steady, *frozen], 240 + STEADY_H - 10)]
    assert levels_of(rows) == list(DriftLevel)
    assert rows[-1].drift_reasons == (DriftReason.FROZEN,)


def test_governances_widening_is_the_one_that_the_court_has_judged() -> None:
    assert POLICY.widening.on_drift == drift.WIDENING
    assert POLICY.widening.on_haste == drift.MOST_HASTE


# --- real models, real breaks ---------------------------------------------------------------------------------------


def real_hours(first: str, last: str) -> list[tuple[MarketScores, Carried]]:
    import pandas as pd

    table = pd.read_parquet(data_dir() / "ohlcv_binance_perp_1h").sort_values("ts")
    times = table.ts.dt.as_unit("ms").astype("int64").to_numpy()
    begin, end = (int(pd.Timestamp(day, tz="UTC").timestamp() * 1000) for day in (first, last))
    start, stop = np.searchsorted(times, [begin, end])
    fields = table[["open", "high", "low", "close", "volume"]].astype(np.float64).to_numpy()
    bars = [Bar(int(t), *map(float, row)) for t, row in zip(times, fields, strict=True)]
    return list(lived_through(real.scorer(), bars[start - 700 : stop], 700))


@pytest.mark.data
def test_the_fall_of_an_exchange_in_november_2022_is_flagged_then_widened_and_over_within_days() -> None:
    hours = real_hours("2022-11-01", "2022-11-19")
    before = [row for row, state in hours if state.judged_ms < BEGAN_MS]
    fall = [row for row, state in hours if state.judged_ms >= BEGAN_MS]
    assert max(row.drift for row in before) <= DriftLevel.FLAGGED  # for a day, by an hour of the 4th
    assert levels_of(fall)[:3] == [DriftLevel.STEADY, DriftLevel.FLAGGED, DriftLevel.WIDENED]
    assert fall[-1].drift is DriftLevel.STEADY
    assert max(row.ladder.down_es99 for row in fall) > 3 * before[-1].ladder.down_es99
    assert max(row.widening_down for row in fall) > drift.WIDENING
    assert min(row.confidence for row in fall) < 0.85 * before[-1].confidence


@pytest.mark.data
def test_a_quiet_month_is_not_flagged() -> None:
    assert {row.drift for row, _ in real_hours("2023-08-01", "2023-08-16")} == {DriftLevel.STEADY}
