"""A jump that all venues make: in at once where witnessed, in with a doubt where not, held where it is ruinous."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec
import pytest

from margrave.guard.jumps import own_twap, volume_ratio
from margrave.guard.snapshot import Memory
from margrave.messages import AnyReading, BarsReading, Kind, MarketSnapshot, PoolReading, Snapshot
from margrave.spans import HOUR_MS, MINUTE_MS
from margrave.verdicts import Doubt, HoldReason
from tests.unit.guard.sample import FAIR, PERIOD_MS, T0_MS, VENUES, book, books, flat_bars, history, judged, scalar


class Market:
    """Rounds of one market, thirty-five ordinary minutes first."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.at_ms = T0_MS
        for step in range(7):
            self.round(dict.fromkeys(VENUES, 100 + 0.01 * (step % 2)))

    def round(self, prices: Mapping[str, float], *said: AnyReading, volume: float = 9.0) -> Snapshot:
        """`volume` is the pace of the running hour; nine is usual."""
        bars = histories(self.at_ms, volume)
        beside = [msgspec.structs.replace(r, venue_time_ms=self.at_ms, seen_time_ms=self.at_ms) for r in said]
        snapshot, self.memory = judged([*books(prices, self.at_ms), *bars, *beside], self.at_ms, self.memory)
        self.at_ms += PERIOD_MS
        return snapshot

    def all_at(self, price: float, *said: AnyReading, volume: float = 9.0) -> Snapshot:
        return self.round(
            dict.fromkeys(VENUES, price * (1 + 1e-5 * (self.at_ms // PERIOD_MS % 3))), *said, volume=volume
        )


def histories(at_ms: int, running_volume: float) -> list[AnyReading]:
    bars = flat_bars(240, at_ms, price=100.0)
    share = max(at_ms % HOUR_MS, HOUR_MS // 12) / HOUR_MS
    running = msgspec.structs.replace(
        bars[-1], open_time_ms=bars[-1].open_time_ms + HOUR_MS, volume=running_volume * share
    )
    return [history(v, (*bars, running), at_ms) for v in VENUES]


def only(snapshot: Snapshot) -> MarketSnapshot:
    (market,) = snapshot.markets
    return market


def reasons(snapshot: Snapshot) -> list[Doubt]:
    return [doubt.reason for doubt in only(snapshot).doubts]


def test_an_ordinary_move_raises_no_doubt() -> None:
    assert reasons(Market().all_at(106.0)) == []


@pytest.mark.parametrize("price", [82.0, 90.0, 120.0, 140.0])
def test_a_gap_that_nothing_but_prices_shows_is_in_at_once_and_in_full_with_a_doubt(price: float) -> None:
    snapshot = Market().all_at(price)
    assert only(snapshot).price == pytest.approx(price, rel=1e-4)
    assert reasons(snapshot) == [Doubt.UNWITNESSED_JUMP]
    assert "1.0 times the usual volume" in only(snapshot).doubts[0].detail


def test_three_venues_are_enough_for_a_true_gap() -> None:
    market = Market()
    for _ in range(3):
        market.round(dict.fromkeys(VENUES[:3], 100.001))
    snapshot = market.round(dict.fromkeys(VENUES[:3], 82.0))
    assert only(snapshot).price == pytest.approx(82.0)


def test_a_gap_that_was_traded_is_in_without_a_doubt() -> None:
    assert reasons(Market().all_at(82.0, volume=90.0)) == []


def test_a_witness_must_be_as_loud_as_the_move() -> None:
    assert reasons(Market().all_at(90.0, volume=30.0)) == []
    assert reasons(Market().all_at(70.0, volume=30.0)) == [Doubt.UNWITNESSED_JUMP]


def test_two_figures_that_answered_stand_for_volume() -> None:
    market = Market()
    said = [scalar("deribit", Kind.VOL_INDEX, 0.5), scalar("okx", Kind.OPEN_INTEREST, 1e9)]
    market.all_at(100.0, *said)
    answered = [scalar("deribit", Kind.VOL_INDEX, 0.75), scalar("okx", Kind.OPEN_INTEREST, 0.7e9)]
    assert reasons(market.all_at(82.0, *answered)) == []


def test_open_interest_in_dollars_that_only_follows_the_price_is_no_witness() -> None:
    market = Market()
    market.all_at(100.0, scalar("okx", Kind.OPEN_INTEREST, 1e9), scalar("deribit", Kind.VOL_INDEX, 0.5))
    said = [scalar("okx", Kind.OPEN_INTEREST, 0.82e9), scalar("deribit", Kind.VOL_INDEX, 0.75)]
    assert Doubt.UNWITNESSED_JUMP in reasons(market.all_at(82.0, *said))


def test_perpetuals_and_pools_that_went_along_are_witnesses() -> None:
    market = Market()
    perpetuals = [book(v, 82.0, perpetual=True) for v in VENUES[:3]]
    pool = PoolReading(
        source="chain:1",
        market="BTC",
        instrument="pool",
        venue_time_ms=0,
        seen_time_ms=0,
        price=82.1,
        bid_depth_usd=1e6,
        ask_depth_usd=1e6,
        fee=0.003,
        block=1,
    )
    assert reasons(market.all_at(82.0, *perpetuals, pool)) == []


def test_volume_alone_is_no_witness_where_more_is_gained_than_it_costs() -> None:
    rich = scalar("okx", Kind.OPEN_INTEREST, 1e12)
    market = Market()
    market.all_at(100.0, rich)
    snapshot = market.all_at(82.0, rich, volume=90.0)
    assert reasons(snapshot) == [Doubt.UNWITNESSED_JUMP, Doubt.CHEAP_TO_MOVE]
    assert only(snapshot).price == pytest.approx(82.0, rel=1e-4)


def test_a_move_beyond_all_measure_is_held_with_its_numbers() -> None:
    """Mango, 2022-10-11: x24 in twenty minutes on every venue that had it."""
    market = Market()
    for price in (490.0, 2_400.0):
        (hold,) = market.all_at(price).holds
        assert hold.reason is HoldReason.UNCONFIRMED_JUMP
    assert "+2299.9% from the half hour before" in hold.detail
    assert "1.0 times the usual volume" in hold.detail


def test_who_comes_back_finds_the_market_where_it_was() -> None:
    market = Market()
    market.all_at(2_400.0)
    snapshot = market.all_at(100.0)
    assert only(snapshot).price == pytest.approx(100.0, rel=1e-4)
    assert reasons(snapshot) == []


def test_a_move_beyond_all_measure_is_believed_once_it_has_lasted_an_hour() -> None:
    market = Market()
    rounds = [market.all_at(2_400.0) for _ in range(14)]
    held = [bool(snapshot.holds) for snapshot in rounds]
    assert held == [True] * 12 + [False] * 2
    assert only(rounds[12]).price == pytest.approx(2_400.0, rel=1e-4)
    assert reasons(rounds[13]) == []


def test_a_move_beyond_all_measure_that_everything_witnesses_is_in_at_once() -> None:
    """LUNA, 2022-05: halved within minutes, on hundreds of times the usual volume."""
    snapshot = Market().all_at(45.0, volume=900.0)
    assert only(snapshot).price == pytest.approx(45.0, rel=1e-4)


def test_a_doubt_ends_after_half_an_hour_of_staying() -> None:
    market = Market()
    doubted = [bool(reasons(market.all_at(82.0))) for _ in range(8)]
    assert doubted == [True] * 6 + [False] * 2


def test_a_jump_that_goes_back_raises_no_second_doubt() -> None:
    market = Market()
    market.all_at(140.0)
    assert reasons(market.all_at(100.0)) == []


def test_a_wrapped_asset_far_from_its_redemption_value_waits_like_a_move_beyond_all_measure() -> None:
    market = Market()
    redeemed = scalar("chain:1", Kind.REDEMPTION_VALUE, 100.0)
    market.all_at(100.0, redeemed)
    (hold,) = market.all_at(75.0, redeemed).holds
    assert hold.reason is HoldReason.UNCONFIRMED_JUMP
    assert "off its redemption value of 100" in hold.detail


def test_a_first_round_has_nothing_to_measure_against() -> None:
    snapshot, memory = judged([*books(FAIR), *histories(T0_MS, 9.0)])
    assert only(snapshot).doubts == ()
    assert [m.path for m in memory.markets] == [((T0_MS, 100.0),)]


def test_the_own_average_weighs_each_price_by_the_time_it_stood() -> None:
    path = [(T0_MS - 60 * MINUTE_MS, 50.0), (T0_MS - 20 * MINUTE_MS, 100.0), (T0_MS - 10 * MINUTE_MS, 160.0)]
    assert own_twap(path, T0_MS) == pytest.approx((10 * 50 + 10 * 100 + 10 * 160) / 30)
    assert own_twap(path[:1], T0_MS) == 50.0
    assert own_twap(path, T0_MS + HOUR_MS) is None
    assert own_twap([], T0_MS) is None


def test_after_hours_without_a_price_the_first_is_as_good_as_any() -> None:
    market = Market()
    market.at_ms += 5 * HOUR_MS
    snapshot = market.all_at(45.0)
    assert only(snapshot).price == pytest.approx(45.0, rel=1e-4)
    assert reasons(snapshot) == []


def test_wash_trades_on_two_venues_of_seven_are_no_volume() -> None:
    from margrave.guard.gathered import Gathered

    def ratio(readings: Iterable[AnyReading]) -> float | None:
        found = Gathered(histories={r.source: r for r in readings if isinstance(r, BarsReading)})
        return volume_ratio(found, T0_MS + 30 * MINUTE_MS, 3)

    usual, wild = histories(T0_MS + 30 * MINUTE_MS, 9.0), histories(T0_MS + 30 * MINUTE_MS, 1_800.0)
    assert ratio([*wild[:2], *usual[2:]]) == pytest.approx(1.0)
    assert ratio(wild) == pytest.approx(200.0)
    assert ratio(wild[:2]) is None


def test_the_price_of_a_held_round_is_nowhere_remembered() -> None:
    market = Market()
    before = market.memory.markets[0].path
    market.all_at(2_400.0)
    (after,) = market.memory.markets
    assert all(math.isclose(price, 100.0, rel_tol=1e-3) for _, price in after.path)
    assert after.path == before
    assert after.waiting is not None


def test_an_hour_with_a_jump_that_went_back_is_told_as_disbelieved_once_it_has_closed() -> None:
    market = Market()
    jumped_ms = market.at_ms
    assert only(market.all_at(82.0)).disbelieved == ()  # its hour has not closed
    for _ in range(12):
        last = only(market.all_at(100.0))
    assert last.disbelieved == (jumped_ms // HOUR_MS * HOUR_MS,)
    assert last.disbelieved[0] in {bar.open_time_ms for bar in last.bars}
