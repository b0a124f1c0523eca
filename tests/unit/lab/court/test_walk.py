"""The walk forward: a family sees the past only, and one that looks ahead is caught."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from margrave.errors import Fatal
from margrave.lab.court.family import LEVELS, Tails
from margrave.lab.court.panel import COLUMNS, Panel
from margrave.lab.court.walk import audit, judged, legs, sit, walk
from margrave.spans import HOUR_MS


def panel(hours: int = 3_000, assets: int = 3, seed: int = 0) -> Panel:
    close = 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, (hours, assets)), axis=0))
    nothing = np.full(close.shape, np.nan)
    columns = dict.fromkeys(COLUMNS, close) | {"dvol": nothing, "funding_8h": nothing}
    return Panel(np.arange(hours, dtype=np.int64) * HOUR_MS, tuple("ABC"[:assets]), **columns)


@dataclass(frozen=True)
class Mean:
    """The mean of squared returns: of all the past at the fit, or, where it cheats, of the hours to come."""

    name: str = "mean"
    least_hours: int = 100
    cheats: bool = False
    seen: tuple[int, ...] = ()

    def fit(self, past: Panel) -> Mean:
        return replace(self, seen=(past.hours,))

    def variance(self, panel: Panel, rows: np.ndarray, horizon_h: int) -> np.ndarray:
        if self.cheats:
            return np.nan_to_num(panel.realised(horizon_h)[rows])
        squares = np.nan_to_num(panel.log_return) ** 2
        return horizon_h * np.cumsum(squares, axis=0)[rows] / (rows[:, None] + 1)

    def tails(self, panel: Panel, rows: np.ndarray, assets: np.ndarray, horizon_h: int) -> Tails:
        sigma = self.variance(panel, rows, horizon_h)[np.arange(len(rows)), assets] ** 0.5
        var = sigma[:, None, None] * np.linspace(1.6, 3.1, len(LEVELS))[None, None, :] * np.ones((1, 2, 1))
        return Tails(var, 1.2 * var)


@dataclass(frozen=True)
class TailsOnly:
    """The tails of `Mean`, as a family without variances."""

    mean: Mean = field(default_factory=Mean)
    name: str = "mean's tails"
    least_hours: int = 100

    def fit(self, past: Panel) -> TailsOnly:
        return self

    def tails(self, panel: Panel, rows: np.ndarray, assets: np.ndarray, horizon_h: int) -> Tails:
        return self.mean.tails(panel, rows, assets, horizon_h)


@dataclass(frozen=True)
class Smuggler:
    """Centres its forecast within what it is shown: no row's own, and a mistake that is easily made."""

    name: str = "smuggler"
    least_hours: int = 100

    def fit(self, past: Panel) -> Smuggler:
        return self

    def variance(self, panel: Panel, rows: np.ndarray, horizon_h: int) -> np.ndarray:
        squares = np.nan_to_num(panel.log_return) ** 2
        return horizon_h * np.broadcast_to(squares.mean(axis=0), (len(rows), len(panel.assets)))


def test_judged_outcomes_never_overlap_and_lie_on_the_clock() -> None:
    for horizon_h in (1, 4, 24):
        p = panel()
        rows = np.concatenate([leg.rows(p, horizon_h) for leg in legs(p, 500)])
        assert set(np.diff(rows)) == {horizon_h}
        assert set((rows + 1) % horizon_h) == {0}
        assert rows[-1] + horizon_h < 3_000


def test_each_leg_is_fitted_on_what_lies_before_it() -> None:
    p = panel()
    for leg in legs(p, 500):
        rows = leg.rows(p, 4)
        assert leg.fit_row <= rows[0]
        assert rows[-1] < leg.fit_row + 720


def test_a_family_sees_the_past_only() -> None:
    fitted: list[int] = []

    class Spy(Mean):
        def fit(self, past: Panel) -> Mean:
            fitted.append(past.hours)
            return super().fit(past)

    p, todo = panel(), legs(panel(), 500)
    walk(p, Spy(), todo, (1, 4, 24))
    assert fitted == [leg.fit_row for leg in todo], "one fit a refit serves all horizons"


def test_answers_are_the_models_own_at_the_judged_pairs() -> None:
    p = panel()
    for horizon_h, found in walk(p, Mean(), legs(p, 500), (4, 24)).items():
        again = Mean().variance(p, found.rows, horizon_h)[np.arange(len(found.rows)), found.assets]
        np.testing.assert_allclose(found.said, again, rtol=1e-12)
    tails = walk(p, TailsOnly(), legs(p, 500), (4,))[4]
    assert tails.said.shape == (len(tails.rows), 2, 2, len(LEVELS))


def test_a_sitting_that_is_audited_finds_who_looks_ahead() -> None:
    p = panel()
    leg = legs(p, 500)[1]
    sit(p, Mean(), leg, (1, 4), audited=True)
    with pytest.raises(Fatal, match="looks ahead"):
        sit(p, Smuggler(), leg, (1, 4), audited=True)


def test_pairs_after_a_gap_wait_until_there_is_past_enough() -> None:
    p = panel()
    columns = {name: getattr(p, name).copy() for name in COLUMNS}
    for column in columns.values():
        column[1_000:1_010, 1] = np.nan
    gapped = Panel(p.open_ms, p.assets, **columns)
    rows, assets = judged(gapped, np.arange(900, 1_300), 100, 4)
    silent = set(range(900, 1_300)) - set(rows[assets == 1].tolist())
    assert silent == set(range(996, 1_109))
    assert set(rows[assets == 0].tolist()) == set(range(900, 1_300))


def test_a_planted_look_ahead_is_caught() -> None:
    p = panel()
    rows = np.arange(500, 900)
    audit(p, Mean(), rows, 4, "honest")
    with pytest.raises(Fatal, match="looks ahead"):
        audit(p, Mean(cheats=True), rows, 4, "cheat")


def test_a_planted_look_ahead_in_tails_is_caught() -> None:
    rows = np.arange(500, 900)
    audit(panel(), TailsOnly(), rows, 4, "honest")
    with pytest.raises(Fatal, match="looks ahead"):
        audit(panel(), TailsOnly(Mean(cheats=True)), rows, 4, "cheat")


def test_a_history_too_short_is_said() -> None:
    p = panel(300)
    with pytest.raises(Fatal, match="longer history"):
        walk(p, Mean(), legs(p, 500), (4,))
