"""Windows of trades and liquidations: every one once, none from a time we did not listen to."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.collect.flows import (
    BUCKETS,
    LIQUIDATIONS_MS,
    REMEMBERED,
    TRADES_MS,
    LiquidationFlow,
    TradeFlow,
)
from margrave.collect.skew import BUCKET_MS, MAX_AHEAD_MS, Skew
from margrave.collect.skew import BUCKETS as SKEW_BUCKETS
from margrave.collect.stream import Liquidation, Trade

NOW_MS = 1_770_300_000_000


def trade(price: float, usd: float, *, buy: bool = True, at: int = NOW_MS, name: str = "") -> Trade:
    return Trade("BTCUSDT", False, at, price, usd, buy, name)


def trades() -> TradeFlow:
    flow = TradeFlow("binance", "BTC", "BTCUSDT", perpetual=False)
    flow.window.listen(NOW_MS - 10_000)
    return flow


def closed(usd: float, *, long: bool = True, at: int = NOW_MS) -> Liquidation:
    return Liquidation("BTCUSDT", at, long, 100.0, usd)


def liquidations() -> LiquidationFlow:
    flow = LiquidationFlow("binance", "BTC", "BTCUSDT")
    flow.window.listen(NOW_MS - 10_000)
    return flow


def test_a_window_says_what_was_bought_sold_and_at_which_prices() -> None:
    flow = trades()
    flow.add(trade(100.0, 200.0, at=NOW_MS - 5_000), NOW_MS)
    flow.add(trade(110.0, 110.0, buy=False, at=NOW_MS - 1_000), NOW_MS)
    flow.add(trade(90.0, 90.0, at=NOW_MS - 2_000), NOW_MS)
    said = flow.reading(NOW_MS)
    assert said is not None
    assert (said.count, said.buy_usd, said.sell_usd) == (3, 290.0, 110.0)
    assert (said.low, said.high, said.last) == (90.0, 110.0, 110.0)
    assert said.vwap == pytest.approx(400.0 / 4.0)
    assert said.from_ms <= NOW_MS - 5_000
    assert (said.venue_time_ms, said.seen_time_ms) == (NOW_MS - 1_000, NOW_MS)


def test_a_trade_that_is_said_again_counts_once() -> None:
    flow = trades()
    for _ in range(3):
        flow.add(trade(100.0, 50.0, name="7"), NOW_MS)
    flow.add(trade(100.0, 50.0, name="8"), NOW_MS)
    flow.add(trade(100.0, 50.0), NOW_MS)
    flow.add(trade(100.0, 50.0), NOW_MS)
    said = flow.reading(NOW_MS)
    assert said is not None
    assert (said.count, flow.window.repeats) == (4, 2)


def test_what_is_remembered_of_trades_is_bounded() -> None:
    flow = trades()
    for number in range(3 * REMEMBERED):
        flow.add(trade(100.0, 1.0, name=str(number)), NOW_MS)
    assert len(flow.window._recent.known) == len(flow.window._recent.order) == REMEMBERED


def test_trades_from_ahead_and_from_before_the_window_are_in_no_sum_and_counted() -> None:
    flow = trades()
    flow.add(trade(100.0, 1.0, at=NOW_MS + MAX_AHEAD_MS + 1), NOW_MS)
    flow.add(trade(100.0, 1.0, at=NOW_MS - TRADES_MS - 60_000), NOW_MS)
    assert flow.reading(NOW_MS) is None
    assert flow.window.untimely == 2


def test_after_a_hole_a_window_begins_again() -> None:
    flow = trades()
    flow.add(trade(100.0, 1.0), NOW_MS)
    flow.window.lose()
    assert flow.reading(NOW_MS) is None
    flow.add(trade(100.0, 1.0), NOW_MS)
    assert flow.reading(NOW_MS) is None
    flow.window.listen(NOW_MS + 1_000)
    flow.add(trade(101.0, 2.0, at=NOW_MS + 1_500), NOW_MS + 2_000)
    said = flow.reading(NOW_MS + 2_000)
    assert said is not None
    assert (said.count, said.buy_usd) == (1, 2.0)
    assert NOW_MS <= said.from_ms <= NOW_MS + 1_500


def test_no_liquidation_is_a_finding_and_not_listening_is_none() -> None:
    flow = liquidations()
    said = flow.reading(NOW_MS)
    assert said is not None
    assert (said.count, said.long_usd, said.short_usd, said.largest_usd) == (0, 0.0, 0.0, 0.0)
    assert (said.from_ms, said.venue_time_ms) == (NOW_MS - 10_000, NOW_MS)
    flow.window.lose()
    assert flow.reading(NOW_MS) is None


def test_liquidations_are_summed_by_side_and_the_largest_is_kept() -> None:
    flow = liquidations()
    for some in (closed(10.0), closed(30.0, long=False), closed(20.0, at=NOW_MS - 1), closed(10.0)):
        flow.add(some, NOW_MS)
    said = flow.reading(NOW_MS)
    assert said is not None
    assert (said.count, said.long_usd, said.short_usd, said.largest_usd) == (3, 30.0, 30.0, 30.0)
    assert flow.window.repeats == 1
    later = flow.reading(NOW_MS + LIQUIDATIONS_MS + 2 * LIQUIDATIONS_MS // BUCKETS)
    assert later is not None
    assert later.count == 0


@given(st.lists(st.tuples(st.integers(0, 2 * TRADES_MS), st.floats(1.0, 1e6), st.floats(0.01, 1e9)), max_size=60))
def test_a_window_holds_little_and_every_sum_is_of_the_window(said: list[tuple[int, float, float]]) -> None:
    flow, start_ms = TradeFlow("binance", "BTC", "BTCUSDT", perpetual=False), NOW_MS
    flow.window.listen(start_ms)
    now_ms = start_ms
    for after_ms, price, usd in sorted(said):
        now_ms = start_ms + after_ms
        flow.add(trade(price, usd, at=now_ms), now_ms)
    got = flow.reading(now_ms)
    assert len(flow.window._buckets) <= BUCKETS + 2
    inside = [(p, u) for after_ms, p, u in said if start_ms + after_ms >= now_ms - TRADES_MS]
    if not said:
        assert got is None
        return
    assert got is not None
    assert got.count >= len(inside)
    assert got.low <= got.vwap <= got.high
    assert got.from_ms <= got.venue_time_ms <= now_ms
    kept = [(p, u) for after_ms, p, u in said if start_ms + after_ms >= got.from_ms]
    assert got.count == len(kept)
    assert got.buy_usd == pytest.approx(sum(u for _, u in kept))
    assert msgspec.json.encode(got)


def test_the_least_lag_of_the_last_minutes_is_the_estimate_of_the_clocks() -> None:
    assert Skew().ms is None
    skew = Skew()
    for step, lag_ms in enumerate((400, 90, 5_000, 120)):
        skew.heard(lag_ms, NOW_MS + step)
    assert skew.ms == 90
    skew.heard(-599_950, NOW_MS + BUCKET_MS)
    assert skew.ms == -599_950
    skew.heard(75, NOW_MS + (SKEW_BUCKETS + 1) * BUCKET_MS)
    assert skew.ms == 75
