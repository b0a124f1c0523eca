"""Attacks that happened, in the guard and in the two rules that most oracles use: median and volume-weighted mean.

Figures from the public post-mortems: Synthetix sKRW (2019-06-25), KiloEx (2025-04-14), Venus and LUNA (2022-05-12).
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

import pytest

from margrave.guard.snapshot import Memory
from margrave.messages import Snapshot
from margrave.verdicts import HoldReason, Rejection
from tests.unit.guard.sample import PERIOD_MS, T0_MS, VENUES, books, histories, judged

FAIR = dict(zip(VENUES, (100.0, 100.02, 99.98, 100.01, 99.99, 100.03, 99.97), strict=True))


def volume_mean(prices: Mapping[str, float], volumes: Mapping[str, float]) -> float:
    return sum(prices[v] * volumes[v] for v in prices) / sum(volumes[v] for v in prices)


EVEN = dict.fromkeys(VENUES, 1.0)


class Market:
    """Rounds of one market, one after the other, with the guard's memory."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.at_ms = T0_MS

    def round(self, prices: Mapping[str, float]) -> Snapshot:
        snapshot, self.memory = judged([*books(prices, self.at_ms), *histories(self.at_ms)], self.at_ms, self.memory)
        self.at_ms += PERIOD_MS
        return snapshot

    def price(self, prices: Mapping[str, float]) -> float:
        (market,) = self.round(prices).markets
        return market.price


def test_one_feed_a_thousand_times_too_high_moves_nothing() -> None:
    attacked = {**FAIR, "okx": 100_000.0}
    market = Market()
    fair = market.price(FAIR)
    assert abs(market.price(attacked) / fair - 1) < 3e-4
    assert volume_mean(attacked, EVEN) > 100 * fair


def test_two_of_seven_a_thousand_times_too_high_move_nothing_even_in_a_nodes_first_round() -> None:
    attacked = {**FAIR, "okx": 100_000.0, "kraken": 100_000.0}
    assert abs(Market().price(attacked) / 100 - 1) < 3e-4


def test_two_live_feeds_of_seven_with_one_wrong_by_a_thousand_are_not_averaged() -> None:
    """sKRW: the median of two is their mean. With fewer than three venues the guard publishes nothing."""
    attacked = {"okx": 100_000.0, "kraken": 100.0}
    market = Market()
    market.price(FAIR)
    (hold,) = market.round(attacked).holds
    assert hold.reason is HoldReason.TOO_FEW_SOURCES
    assert median(attacked.values()) > 500 * 100


def test_one_feed_that_anyone_can_write_is_out_after_the_first_write() -> None:
    """KiloEx: 100, then 10,000 in one transaction."""
    market = Market()
    market.price(FAIR)
    assert market.price({**FAIR, "okx": 1.0}) == pytest.approx(100, rel=3e-4)
    snapshot = market.round({**FAIR, "okx": 10_000.0})
    assert snapshot.markets[0].price == pytest.approx(100, rel=3e-4)
    assert [r.reason for r in snapshot.refusals] == [Rejection.BREAKER]


def test_a_slow_drip_by_the_venue_with_most_of_the_volume_stays_inside_the_honest_range() -> None:
    market = Market()
    volumes = {**EVEN, "binance": 14.0}  # 70 % of all
    for step in range(300):  # 25 hours
        prices = {**FAIR, "binance": 100.0 * (1 - 0.06 * step / 299)}
        price = market.price(prices)
        assert 99.97 <= price <= 100.03
    assert volume_mean(prices, volumes) < 96


def luna(alive: int) -> tuple[Market, Snapshot, Mapping[str, float]]:
    """Twelve hours of -18 % each in `alive` venues, whose quotes flicker, while the others repeat themselves."""
    market = Market()
    market.price(FAIR)
    for step in range(1, 145):
        level = 0.82 ** (step / 12) * (1 + 1e-4 * (step % 2))
        prices = {**FAIR, **{v: FAIR[v] * level for v in VENUES[:alive]}}
        snapshot = market.round(prices)
    return market, snapshot, prices


def test_three_frozen_feeds_of_seven_are_named_and_the_four_that_live_are_believed() -> None:
    _, snapshot, prices = luna(alive=4)
    assert snapshot.markets[0].price == pytest.approx(min(prices.values()), rel=1e-3)
    assert {r.source for r in snapshot.refusals if r.reason is Rejection.FROZEN} == set(VENUES[4:])
    assert {s.source for s in snapshot.markets[0].sources} == set(VENUES[:4])


def test_four_frozen_feeds_of_seven_are_a_hold_where_the_median_would_publish_the_dead_price() -> None:
    """LUNA at Venus and Blizz: 0.107 on the feed, 0.01 in the market."""
    _, snapshot, prices = luna(alive=3)
    (hold,) = snapshot.holds
    assert hold.reason is HoldReason.TOO_FEW_SOURCES
    assert all(f"{v} frozen" in hold.detail for v in VENUES[3:])
    assert median(prices.values()) > 9 * min(prices.values())


def test_three_liars_that_flicker_cannot_have_venues_of_a_pegged_market_called_frozen() -> None:
    market = Market()
    pegged = dict.fromkeys(VENUES, 1.0)
    for step in range(6):
        lies = dict.fromkeys(VENUES[:3], 1.02 * (1 + 1e-4 * step))
        snapshot = market.round({**pegged, **lies, "okx": 1.0 + 1e-5 * (step % 2)})
        assert all(m.price <= 1.00001 for m in snapshot.markets)


def test_half_the_venues_lying_alike_is_a_hold_and_not_a_compromise() -> None:
    four = dict(list(FAIR.items())[:4])
    market = Market()
    market.price(four)
    attacked = {**four, "binance": 150.0, "bybit": 150.0}
    (hold,) = market.round(attacked).holds
    assert hold.reason is HoldReason.TOO_FEW_SOURCES
    assert "binance breaker" in hold.detail
    assert median(attacked.values()) == pytest.approx(125, rel=1e-3)


def test_a_true_gap_is_wholly_in_within_one_round() -> None:
    market = Market()
    market.price(FAIR)
    gapped = {v: p * 0.82 for v, p in FAIR.items()}
    assert market.price(gapped) == pytest.approx(82.0, rel=3e-4)


def test_a_true_gap_passes_with_one_venue_down_and_one_lying() -> None:
    market = Market()
    market.price(FAIR)
    gapped = {v: p * 0.82 for v, p in FAIR.items() if v != "okx"}
    assert market.price({**gapped, "kraken": 140.0}) == pytest.approx(82.0, rel=3e-4)


def test_a_true_crash_in_steps_is_followed_without_lag() -> None:
    market = Market()
    for step in range(144):
        level = 0.61 ** (step / 143)
        assert market.price({v: p * level for v, p in FAIR.items()}) == pytest.approx(100 * level, rel=3e-4)


def test_a_venue_returns_after_an_outage_at_the_price_the_others_have_reached() -> None:
    market = Market()
    market.price(FAIR)
    without = {v: p * 1.3 for v, p in FAIR.items() if v != "okx"}
    for _ in range(12):
        market.round(without)
    snapshot = market.round({v: p * 1.3 for v, p in FAIR.items()})
    assert "okx" in {s.source for s in snapshot.markets[0].sources}
