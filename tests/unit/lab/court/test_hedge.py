"""The chamber of hedging: losses by hand, tails, a folder judged whole, and folders with too little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from margrave.lab.court import history
from margrave.lab.court.chamber import Case, Ruling
from margrave.lab.court.hedge import chamber
from margrave.lab.court.hedge.chamber import Hedging, hear, lively
from margrave.lab.court.hedge.episodes import Episodes, Kind, cvar, episodes, hedged, unhedged
from margrave.lab.court.hedge.rivals import CLOCK, CLOCKS_H, COSTS, OURS, UNHEDGED, WW, Rule, bounds, losses
from margrave.lab.court.hedge.verdicts import LEAST_SPANS, SPAN_DAYS, by_year, judged
from margrave.lab.court.panel import Panel, no_panel, panel_of
from margrave.lab.court.study import quick
from margrave.score.hedge import Hedger
from margrave.score.hedge.market import GAPS_H, LEAST_HOURS, LEVELS_H, state_of
from margrave.score.registry import open_model
from margrave.spans import DAY_MS
from tests.unit.lab.court.test_history import bars, put

CALL, PUT = Kind(48, 1.0, True), Kind(48, 1.0, False)


def sold(spot: np.ndarray) -> Episodes:
    """Of one life, at a state that is usual throughout."""
    life, paths = len(spot) - 1, spot.shape[1]
    return Episodes(
        spot, np.full((life, paths, len(LEVELS_H)), -9.8), np.zeros((life, paths, len(GAPS_H))),
        np.full((life, paths), 0.7), np.arange(paths) * DAY_MS, np.full(paths, "AAA"),
    )  # fmt: skip


def walks(life: int, paths: int, seed: int = 0, vol: float = 0.7) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0.0, vol / np.sqrt(8_760), (life, paths))
    return np.exp(np.concatenate([np.zeros((1, paths)), np.cumsum(steps - vol**2 / 2 / 8_760, axis=0)]))


def panel(
    tmp_path: Path, hours: int = 9_000, start: str = "2023-01-01", assets: tuple[str, ...] = ("AAA", "BBB")
) -> Panel:
    for seed, asset in enumerate(assets):
        frame = bars(hours, start=pd.Timestamp(start, tz="UTC"), price=1.0, seed=seed)
        for column in ("open", "high", "low", "close"):
            frame[column] = frame[column] ** 4  # as lively as a coin
        put(tmp_path, f"ohlcv_any_1h/{asset}USDT", frame)
    return panel_of(history.read(tmp_path))


def ruled(tmp_path: Path, found: Panel) -> Ruling:
    return Hedging().judge(Case(tmp_path, found, quick(), tmp_path / "answers", print))


def test_a_loss_is_the_payoff_less_premium_and_gains_and_every_trade_is_counted() -> None:
    path = np.array([[1.0], [1.1], [1.2]])
    one = replace(sold(path), vol=np.full((2, 1), 0.7))
    kind = Kind(2, 1.0, True)
    premium = 0.2 - unhedged(one, kind)[0]
    loss, traded = hedged(one, kind, np.array([[0.5], [0.8]]))
    # gains 0.5 x 0.1 and 0.8 x 0.1; traded 0.5 at 1.0, 0.3 at 1.1 and the whole 0.8 at 1.2
    assert loss[0] == pytest.approx(0.2 - premium - 0.13)
    assert traded[0] == pytest.approx(0.5 + 0.33 + 0.96)


def test_a_put_and_a_call_of_one_strike_lose_alike_before_costs() -> None:
    found = sold(walks(48, 50))
    holdings = np.random.default_rng(1).random((48, 50))
    np.testing.assert_allclose(hedged(found, CALL, holdings)[0], hedged(found, PUT, holdings)[0], atol=1e-12)


def test_hedging_every_hour_at_the_true_volatility_leaves_little() -> None:
    found = sold(walks(336, 400))
    all_losses = losses(found, Kind(336, 1.0, True), Hedger(None))
    clocked = all_losses[Rule(CLOCK, "1 h, vol of the hour"), COSTS[0]]
    open_loss = all_losses[Rule(UNHEDGED), COSTS[0]]
    assert abs(float(open_loss.mean())) < 0.02
    assert float(clocked.std()) < 0.1 * float(open_loss.std())


def test_dearer_trades_lose_more_under_every_rule_that_trades() -> None:
    found = losses(sold(walks(48, 30)), CALL, Hedger(None))
    for rule, cost in found:
        if rule.sort == CLOCK and cost == COSTS[0]:
            assert (found[rule, COSTS[1]] > found[rule, cost]).all()


def test_the_tail_is_the_mean_of_the_worst_and_the_last_of_them_counts_in_part() -> None:
    worst_first = np.arange(100, 0, -1.0)
    assert cvar(worst_first) == pytest.approx(98.0)
    assert cvar(np.arange(1.0, 31.0)) == pytest.approx((30.0 + 0.5 * 29.0) / 1.5)
    assert cvar(worst_first, np.where(worst_first > 98, 0.0, 1.0)) == pytest.approx(
        (98 + 97 + 96 + 95 + 0.9 * 94) / 4.9
    )


def test_episodes_are_sold_at_every_hour_of_the_day_and_know_only_what_was(tmp_path: Path) -> None:
    found = panel(tmp_path, 4_000, assets=("AAA",))
    (one,) = episodes(found, 168, 49, 0, 1 << 53)
    assert len(set(one.sold_ms // 3_600_000 % 24)) == 24
    row = int(np.searchsorted(found.known_ms, one.sold_ms[5]))
    np.testing.assert_allclose(one.spot[:, 5], found.close[row : row + 169, 0] / found.close[row, 0])
    state = state_of(*(getattr(found, name)[: row + 11, 0] for name in ("open", "high", "low", "close")))
    np.testing.assert_allclose(one.levels[10, 5], state.levels[-1])
    np.testing.assert_allclose(one.gaps[10, 5], state.gaps[-1])


def test_a_gap_parts_the_episodes(tmp_path: Path) -> None:
    frame = bars(4_000, start=pd.Timestamp("2023-01-01", tz="UTC"))
    put(tmp_path, "ohlcv_any_1h/AAAUSDT", frame.drop(index=range(2_000, 2_003)))
    found = panel_of(history.read(tmp_path))
    (one,) = episodes(found, 168, 7, 0, 1 << 53)
    opened = (one.sold_ms - int(found.open_ms[0])) // 3_600_000 - 1
    assert not ((opened > 2_000 - 168) & (opened < 2_003 + LEAST_HOURS - 1)).any()
    assert (opened < 1_800).any()
    assert (opened > 2_700).any()


def test_the_policy_is_asked_the_same_in_batches_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, hedger = sold(walks(48, 20)), Hedger(open_model(chamber.REGISTRY, chamber.MODEL))
    whole = bounds(found, CALL, hedger, 0.001)
    monkeypatch.setattr("margrave.lab.court.hedge.rivals.BATCH", 37)
    for part, all_ in zip(bounds(found, CALL, hedger, 0.001), whole, strict=True):
        np.testing.assert_allclose(part, all_, atol=1e-6)


def test_coins_pegged_to_money_are_left_out(tmp_path: Path) -> None:
    still = bars(2_000, start=pd.Timestamp("2023-01-01", tz="UTC"), seed=7)
    for column in ("open", "high", "low", "close"):
        still[column] = still[column] ** 0.01
    put(tmp_path, "ohlcv_any_1h/USDUSDT", still)
    rest, pegged = lively(panel(tmp_path, 2_000))
    assert pegged == ["USD"]
    assert rest.assets == ("AAA", "BBB")


def test_a_folder_is_judged_whole(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, panel(tmp_path))
    assert [target.name for target in ruling.targets] == [goal.name for goal in Hedging().goals]
    # without a trend or a jump a clock may have no loss in its tail in some draw, and then there is no interval
    measured = [target for target in ruling.targets if "interval" not in target.name]
    assert [(t.name, t.value, t.note) for t in measured if t.value is None or t.value <= 0.2] == []
    tails = ruling.tables[0]
    assert len(tails.rows) == 3 * len(COSTS)
    assert {len(row) for row in tails.rows} == {len(tails.columns)}
    assert ruling.figures[0].svg.startswith("<svg")
    assert ruling.tables[1].rows[0][1] <= ruling.tables[1].rows[-1][1]  # type: ignore[operator]


def test_hours_that_the_policy_was_made_on_are_shown_and_measure_no_target(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, panel(tmp_path, 9_000, "2019-01-01"))
    assert all(target.value is None for target in ruling.targets)
    assert {row[2] for row in ruling.tables[0].rows} == {"yes"}
    assert "2023-01-01" in ruling.silent[0]


def test_folders_with_too_little_are_silent(tmp_path: Path) -> None:
    for found in (no_panel(), panel(tmp_path, 900)):
        ruling = ruled(tmp_path, found)
        assert ruling.silent
        assert len(ruling.targets) == len(Hedging().goals)


def test_a_missing_policy_is_said(tmp_path: Path) -> None:
    found = Hedging(registry=tmp_path).judge(
        Case(tmp_path, panel(tmp_path, 2_000), quick(), tmp_path / "answers", print)
    )
    assert "model" in found.silent[0] or "card" in found.silent[0]


def heard(
    ours: np.ndarray, clock: np.ndarray, days: np.ndarray
) -> dict[Kind, tuple[dict[tuple[Rule, float], np.ndarray], np.ndarray]]:
    rules = {Rule(OURS): ours, Rule(CLOCK, "1 h"): clock, Rule(CLOCK, "2 h"): clock + 0.01}
    rules |= {Rule(sort): clock for sort in (WW, "band", UNHEDGED)}
    return {CALL: ({(rule, cost): values for rule, values in rules.items() for cost in COSTS}, days * DAY_MS)}


def test_a_smaller_tail_is_a_ratio_below_one_with_an_interval_around_it() -> None:
    rng = np.random.default_rng(0)
    clock, days = rng.gamma(1.0, 0.02, 3_000), np.sort(rng.integers(0, 700, 3_000))
    (first, _), summaries = judged(heard(0.8 * clock, clock, days))
    against = first.against[CLOCK]
    assert against.rule == Rule(CLOCK, "1 h")
    assert against.ratio == pytest.approx(0.8)
    assert against.low == pytest.approx(0.8)
    assert summaries[CLOCK, COSTS[0]].ratio == pytest.approx(0.8)


def test_one_crash_makes_the_interval_wide_and_few_spans_make_none() -> None:
    rng = np.random.default_rng(1)
    days = np.sort(rng.integers(0, 24 * SPAN_DAYS, 4_000))
    clock, ours = rng.gamma(1.0, 0.01, 4_000), rng.gamma(1.0, 0.01, 4_000)
    crash = days // SPAN_DAYS == 5
    crashed = judged(heard(ours, np.where(crash, clock + 0.3, clock), days))[0][0].against[CLOCK]
    assert crashed.ratio < 0.3
    assert crashed.high > 0.8
    short = days < (LEAST_SPANS - 1) * SPAN_DAYS
    few = judged(heard(ours[short], clock[short], days[short]))[0][0].against[CLOCK]
    assert np.isnan(few.low)
    assert np.isfinite(few.ratio)


def test_years_stand_apart_and_a_year_of_few_sales_is_left_out() -> None:
    days = np.concatenate([np.arange(365), 365 + np.arange(50)])
    clock = np.linspace(0.01, 0.05, len(days))
    losses_, times = heard(0.5 * clock, clock, days)[CALL]
    (only,) = by_year(losses_, times, COSTS[0])
    assert (only.year, only.episodes) == (1970, 365)
    assert only.ratio == pytest.approx(0.5)


def test_every_clock_and_every_band_is_among_the_rivals() -> None:
    rules = {rule for rule, _ in losses(sold(walks(48, 3)), CALL, Hedger(None))}
    assert sum(rule.sort == CLOCK for rule in rules) == 2 * len(CLOCKS_H)
    assert {rule.sort for rule in rules} == {OURS, UNHEDGED, CLOCK, WW, "band"}


def test_assets_are_heard_together(tmp_path: Path) -> None:
    found = hear(panel(tmp_path, 2_000), 168, [Kind(168, 1.0, True)], Hedger(None))
    ((losses_, times),) = found.values()
    assert {len(values) for values in losses_.values()} == {len(times)}
    assert len(times) == 2 * len(np.unique(times))
