"""Health distributions of lending protocols: sound by themselves, not stale, not gone from one round to the next."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.guard.snapshot import Memory
from margrave.messages import AnyReading, HealthReading, MarketSnapshot, Snapshot
from margrave.verdicts import Doubt, Rejection
from tests.unit.guard.sample import PERIOD_MS, T0_MS, VENUES, books, histories, judged, refusals_of

HISTORIES = histories()


def health(
    debt_usd: tuple[float, ...] = (0.0, 1e7, 9e8),
    at_ms: int = T0_MS,
    *,
    protocol: str = "aave",
    edges: tuple[float, ...] = (1.0, 1.5),
) -> HealthReading:
    return HealthReading(
        source=f"{protocol}:1",
        market="BTC",
        instrument=protocol,
        venue_time_ms=at_ms,
        seen_time_ms=at_ms,
        protocol=protocol,
        edges=edges,
        debt_usd=debt_usd,
        collateral_usd=tuple(2 * debt for debt in debt_usd),
        block=1,
    )


def round_(
    *said: HealthReading, at_ms: int = T0_MS, memory: Memory | None = None, price: float = 70_000.0
) -> tuple[Snapshot, Memory]:
    prices = dict.fromkeys(VENUES, price * (1 + 1e-05 * (at_ms // PERIOD_MS % 2)))
    readings: list[AnyReading] = [*books(prices, at_ms), *HISTORIES]
    return judged([*readings, *said], at_ms, memory)


def only(snapshot: Snapshot) -> MarketSnapshot:
    (market,) = snapshot.markets
    return market


amounts = st.one_of(
    st.floats(max_value=-1e-9), st.floats(min_value=1.001e13), st.just(math.nan), st.just(math.inf), st.just(-math.inf)
)


@given(amounts, st.integers(0, 2))
def test_a_debt_that_is_none_is_refused_and_counted(bad: float, place: int) -> None:
    debt = [0.0, 1e7, 9e8]
    debt[place] = bad
    snapshot, _ = round_(health(tuple(debt)))
    assert only(snapshot).health == ()
    (refusal,) = refusals_of(snapshot, "aave:1")
    assert refusal.reason in (Rejection.NOT_FINITE, Rejection.OUT_OF_RANGE)


@pytest.mark.parametrize(
    ("edges", "debt_usd", "reason"),
    [
        ((1.5, 1.0), (0.0, 1.0, 1.0), Rejection.MALFORMED),
        ((1.0, 1.0), (0.0, 1.0, 1.0), Rejection.MALFORMED),
        ((1.0,), (0.0, 1.0, 1.0), Rejection.MALFORMED),
        ((-1.0, 1.0), (0.0, 1.0, 1.0), Rejection.NOT_POSITIVE),
        ((math.nan, 1.0), (0.0, 1.0, 1.0), Rejection.NOT_FINITE),
    ],
)
def test_health_factors_that_part_no_buckets_are_refused(
    edges: tuple[float, ...], debt_usd: tuple[float, ...], reason: Rejection
) -> None:
    snapshot, _ = round_(health(debt_usd, edges=edges))
    assert only(snapshot).health == ()
    assert [r.reason for r in refusals_of(snapshot, "aave:1")] == [reason]


def test_a_protocol_seen_for_the_first_time_is_heard_beside_the_others() -> None:
    _, memory = round_(health())
    snapshot, _ = round_(
        health(at_ms=T0_MS + PERIOD_MS),
        health((0.0, 2e8, 0.0), T0_MS + PERIOD_MS, protocol="newcomer"),
        at_ms=T0_MS + PERIOD_MS,
        memory=memory,
    )
    assert [h.protocol for h in only(snapshot).health] == ["aave", "newcomer"]
    assert only(snapshot).doubts == ()


def test_positions_of_three_hours_ago_are_no_positions() -> None:
    snapshot, _ = round_(health(at_ms=T0_MS - 3 * 3_600_000))
    assert only(snapshot).health == ()
    assert [r.reason for r in refusals_of(snapshot, "aave:1")] == [Rejection.STALE]


@pytest.mark.parametrize("then_usd", [(0.0, 1e7, 3e8), (0.0, 0.0, 0.0)], ids=["most", "all"])
def test_debt_that_is_gone_from_one_round_to_the_next_is_masked_and_told(then_usd: tuple[float, ...]) -> None:
    """The lie that would make a book look safe: two thirds of the debt is simply not shown."""
    _, memory = round_(health(), health(protocol="spark"))
    at_ms = T0_MS + PERIOD_MS
    snapshot, after = round_(health(then_usd, at_ms), health(at_ms=at_ms, protocol="spark"), at_ms=at_ms, memory=memory)
    assert [h.protocol for h in only(snapshot).health] == ["spark"]
    assert [d.reason for d in only(snapshot).doubts] == [Doubt.MASKED_LEVEL]
    assert [r.reason for r in refusals_of(snapshot, "aave:1")] == [Rejection.BREAKER]
    at_ms += PERIOD_MS
    back, _ = round_(health(at_ms=at_ms), at_ms=at_ms, memory=after)
    assert [h.protocol for h in only(back).health] == ["aave"]


def test_borrowers_that_a_node_only_now_finds_are_no_jump() -> None:
    _, memory = round_(health())
    at_ms = T0_MS + PERIOD_MS
    snapshot, _ = round_(health((0.0, 1e7, 9e9), at_ms), at_ms=at_ms, memory=memory)
    assert [h.protocol for h in only(snapshot).health] == ["aave"]
    assert only(snapshot).doubts == ()


def test_debt_that_falls_with_the_price_is_believed() -> None:
    _, memory = round_(health())
    at_ms = T0_MS + PERIOD_MS
    snapshot, _ = round_(health((0.0, 1e8, 4e8), at_ms), at_ms=at_ms, memory=memory, price=62_000.0)
    assert [h.protocol for h in only(snapshot).health] == ["aave"]
