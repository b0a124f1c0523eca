"""The gauntlet itself: that its attacks are what they say, that its rules are the rules, and that the guard stands."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from margrave.lab.gauntlet import rules, tape
from margrave.lab.gauntlet.attacks import ATTACKS, BEGIN, SIZES, Attack, Sort
from margrave.lab.gauntlet.feeds import Feeds, cut
from margrave.lab.gauntlet.scoreboard import MOST, score
from margrave.lab.gauntlet.tape import BAR_MS, HISTORY_H, STEPS, Tape
from margrave.lab.gauntlet_page import tables
from margrave.settings import POLICY_FILE, load_policy
from margrave.spans import HOUR_MS

POLICY = load_policy(POLICY_FILE).guard
LIES = [attack for attack in ATTACKS if attack.sort in (Sort.LIE, Sort.FIGURE)]
BY_NAME = {attack.name: attack for attack in ATTACKS}
START_MS = 1_770_206_400_000
DATA = Path(os.environ.get("MARGRAVE_DATA", ""))


def walk(seed: int = 3, hours: int = HISTORY_H + 40) -> Tape:
    """Five venues about one random walk of half a per cent an hour; the first trades most."""
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.005 * draw.standard_normal(hours)))
    open_ = np.append(100.0, close[:-1])
    wick = np.exp(0.002 * draw.random((2, hours)))
    one = np.stack([open_, np.maximum(open_, close) * wick[0], np.minimum(open_, close) / wick[1], close], axis=1)
    apart = np.exp(1e-4 * draw.standard_normal((hours, 5, 1)))
    volume = np.array([7e8, 1e8, 9e7, 8e7, 3e7]) * np.exp(0.2 * draw.standard_normal((hours, 5)))
    candles = np.concatenate([one[:, None, :] * apart, volume[:, :, None]], axis=2)
    opened = START_MS + HOUR_MS * np.arange(-HISTORY_H, hours - HISTORY_H, dtype=np.int64)
    interest = 4e9 * np.exp(0.002 * np.cumsum(draw.standard_normal(hours)))
    return Tape(
        coin="BTC",
        opened_ms=opened,
        venues=("binance", "bybit", "dydx", "kraken", "okx"),
        candles=candles,
        funding={venue: np.full(hours, 1e-4) for venue in ("binance", "bybit", "okx")},
        open_interest={"hyperliquid": interest, "lighter": interest / 10},
    )


TAPE = walk()


def honest(attack: Attack) -> Feeds:
    return cut(TAPE, START_MS, attack.hours)


def test_six_prices_an_hour_end_where_the_candle_ends_and_touch_its_extremes_in_order() -> None:
    path = tape.walked(TAPE.candles)
    assert path.shape == (6 * len(TAPE.opened_ms), 5)
    assert np.array_equal(path[5::6], TAPE.candles[:, :, 3])
    hours = path.reshape(-1, 6, 5)
    assert (hours <= TAPE.candles[:, None, :, 1] * (1 + 1e-9)).all()
    assert (hours >= TAPE.candles[:, None, :, 2] * (1 - 1e-9)).all()


def test_what_is_heard_at_a_bar_holds_nothing_of_later_bars() -> None:
    feeds = honest(BY_NAME["true_gap"])
    other = BY_NAME["true_gap"].make(feeds, 1.0)
    for (_, before), (_, after), _ in zip(feeds.rounds(), other.rounds(), range(BEGIN), strict=False):
        assert before == after


def test_the_rounds_are_ten_minutes_apart_and_every_reading_is_a_second_old() -> None:
    times = []
    for now_ms, readings in honest(BY_NAME["true_gap"]).rounds():
        times.append(now_ms)
        assert {now_ms - r.venue_time_ms for r in readings} == {1_000}
    assert np.diff(times).tolist() == [BAR_MS] * (12 * STEPS - 1)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_changes_nothing_before_it_begins_and_something_after(attack: Attack) -> None:
    feeds = honest(attack)
    attacked = attack.make(feeds, 1.0)
    for field in ("prices", "volumes_usd", "heard", "truth", "depth_usd", "vol_index", "collateral_ratio"):
        assert np.array_equal(getattr(feeds, field)[:BEGIN], getattr(attacked, field)[:BEGIN])
    changed = [
        field
        for field in ("prices", "heard", "depth_usd", "vol_index", "collateral_ratio")
        if not np.array_equal(getattr(feeds, field), getattr(attacked, field))
    ]
    assert changed or attacked.open_interest is not feeds.open_interest
    moved = not np.allclose(attacked.truth, feeds.truth)
    assert moved == (attack.sort is Sort.TRUTH)


@pytest.mark.parametrize("attack", LIES, ids=lambda attack: attack.name)
@pytest.mark.parametrize("size", SIZES)
def test_no_lie_is_published_unflagged_for_more_than_a_tenth(attack: Attack, size: float) -> None:
    feeds = honest(attack)
    attacked = attack.make(feeds, size)
    found = score(attack, attacked, rules.guard(attacked, POLICY), rules.guard(feeds, POLICY))
    assert found.damage <= MOST


@pytest.mark.parametrize("name", ["true_crash", "true_gap", "true_gap_silent"])
@pytest.mark.parametrize("size", SIZES)
def test_a_true_move_is_in_within_its_bar_and_its_risk_in_full(name: str, size: float) -> None:
    attack = BY_NAME[name]
    attacked = attack.make(honest(attack), size)
    ours, median = rules.guard(attacked, POLICY), rules.median(attacked)
    found = score(attack, attacked, ours, median)
    assert found.latency == 0
    assert not ours.held.any()
    assert (ours.es99 / median.es99).min() > 0.95


@pytest.mark.parametrize("size", SIZES)
def test_most_feeds_frozen_is_flagged_within_two_bars_and_until_the_end(size: float) -> None:
    attack = BY_NAME["frozen_majority"]
    published = rules.guard(attack.make(honest(attack), size), POLICY)
    assert published.flagged[BEGIN + 2 :].all()


@pytest.mark.parametrize("size", SIZES)
def test_a_lie_that_all_venues_share_is_told_before_it_is_three_per_cent_off(size: float) -> None:
    attack = BY_NAME["shared_drip"]
    attacked = attack.make(honest(attack), size)
    published = rules.guard(attacked, POLICY)
    off = np.abs(np.log(published.price / attacked.truth))
    assert off.max() > 0.03
    assert published.flagged[off > 0.03].all()


def test_half_of_the_feeds_frozen_costs_nothing() -> None:
    attack = BY_NAME["frozen_half"]
    attacked = attack.make(honest(attack), 1.0)
    published = rules.guard(attacked, POLICY)
    assert np.abs(np.log(published.price / attacked.truth)).max() < 0.012


def test_the_attacks_hurt_the_rules_that_most_oracles_use() -> None:
    """Otherwise the scoreboard would show nothing."""
    hurt = {"volume_mean": set(), "median": set()}
    for attack in ATTACKS:
        if attack.sort is Sort.LIE:
            attacked = attack.make(honest(attack), 1.0)
            for name, rule in (("volume_mean", rules.volume_mean), ("median", rules.median)):
                if score(attack, attacked, rule(attacked), rule(honest(attack))).damage > 2:
                    hurt[name].add(attack.name)
    assert {"few_live", "lead_venue_up", "flash_loan", "minority", "everyone", "one_writable"} <= hurt["volume_mean"]
    assert {"few_live", "everyone", "everyone_loud", "attack_then_revert"} <= hurt["median"]


def test_an_undisturbed_walk_is_never_flagged() -> None:
    published = rules.guard(cut(walk(seed=11), START_MS, 36), POLICY)
    assert not published.flagged.any()


def test_a_mean_and_a_median_are_what_they_are() -> None:
    feeds = honest(BY_NAME["true_gap"])
    assert np.array_equal(rules.median(feeds).price, np.median(feeds.prices, axis=1))
    weights = feeds.volumes_usd.mean(axis=0)
    assert np.allclose(rules.volume_mean(feeds).price, (feeds.prices * weights).sum(axis=1) / weights.sum())


def test_expected_shortfall_is_that_of_a_flat_history_and_rises_with_the_running_move() -> None:
    closes, ranges = np.log(np.full(120, 100.0)), np.zeros(120)
    assert rules.es99(closes, ranges, 100.0) == 0
    # one running hour of -18 % in a day's half-life: 2 ln 2 / 48 of its square, four hours of it
    weight = 1 / sum(0.5 ** (k / 24) for k in range(120))
    expected = -np.expm1(-2.665 * 2 * np.sqrt(weight) * abs(np.log(0.82)))
    assert rules.es99(closes, ranges, 82.0) == pytest.approx(expected)


def test_the_page_names_every_attack_layer_and_target() -> None:
    told = {"damage": 1.0, "damage_flagged": 2.0, "price_error": 0.0, "flagged": 3, "latency": 0}
    row = {
        "attack": "true_gap",
        "story": "a gap",
        "sort": "truth",
        "size": 1.0,
        "coin": "BTC",
        "start": "",
        "venues": 5,
    }
    page = tables(
        {
            "board": [{**row, "rules": dict.fromkeys(("volume_mean", "median", "guard"), told)}],
            "ablation": [
                {
                    "layer": "breaker",
                    "worse_without": {"x": {"with": told, "without": {**told, "damage": 9.0}}},
                    "better_alone": {},
                }
            ],
            "quiet": {"BTC": {"bars": 1_000, "flagged": 1, "held": 0, "venues_refused": 4}},
            "crashes": [],
            "targets": [{"name": "a target", "value": 1.0, "unit": "x", "target": 1.1, "holds": True}],
        }
    )
    assert "| `true_gap`: a gap | 1.00× | 1.00× | **1.00×** (1.00) | 2.00× | 0.000 | 3 | 0 |" in page
    assert "| `breaker` | `x` 1.00× / 9.00× | nothing here |" in page
    assert "| a target | 1 x | 1.1 | met |" in page


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "ohlcv_7venues_2025_2026").is_dir(), reason="MARGRAVE_DATA names no market history")
@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_on_five_real_venues_no_lie_of_the_record_is_published_unflagged_for_more_than_a_tenth(coin: str) -> None:
    real = tape.load(DATA, coin)
    worst = {}
    for attack in LIES:
        feeds = cut(real, 1_770_854_400_000, attack.hours)  # 2026-02-12
        assert len(feeds.venues) == 5
        attacked = attack.make(feeds, 1.0)
        worst[attack.name] = score(attack, attacked, rules.guard(attacked, POLICY), rules.guard(feeds, POLICY)).damage
    assert {name: damage for name, damage in worst.items() if damage > MOST} == {}
