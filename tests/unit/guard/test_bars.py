"""The hourly history that venues agree on."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margrave.guard.bars import MAX_BARS, consensus, witnesses
from margrave.messages import Bar
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.unit.guard.sample import T0_MS, flat_bars

NOW_MS = T0_MS + 600_000
"""Ten past: the hour that began at T0 is still running."""
THREE = {"a": flat_bars(50), "b": flat_bars(50), "c": flat_bars(50)}


def test_venues_that_agree_give_their_own_bars() -> None:
    bars, refused = consensus(THREE, NOW_MS, 3)
    assert bars == flat_bars(50)
    assert refused == {}


def test_a_running_bar_is_left_out() -> None:
    running = Bar(T0_MS, 70_000, 71_000, 69_000, 70_500, 1.0)
    bars, _ = consensus({s: (*b, running) for s, b in THREE.items()}, NOW_MS, 3)
    assert bars[-1].open_time_ms == T0_MS - HOUR_MS


def test_one_venue_cannot_write_history() -> None:
    wild = tuple(msgspec.structs.replace(b, open=9e4, high=9.1e4, low=8.9e4, close=9e4) for b in THREE["a"])
    bars, _ = consensus({**THREE, "d": wild}, NOW_MS, 3)
    assert max(b.close for b in bars) < 75_000
    bars, _ = consensus({"a": THREE["a"], "b": THREE["b"]}, NOW_MS, 3)
    assert bars == ()


def test_two_liars_of_seven_cannot_add_hours_that_the_others_do_not_serve() -> None:
    honest = {f"honest{i}": flat_bars(50) for i in range(5)}
    lying = {f"liar{i}": (*flat_bars(100, price=9e4)[:50], *flat_bars(50)) for i in range(2)}
    bars, _ = consensus({**honest, **lying}, NOW_MS, 2)
    assert bars == flat_bars(50)


@pytest.mark.parametrize(("venues", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 5), (10, 7)])
def test_more_than_half_must_witness_and_two_thirds_where_a_third_could_lie(venues: int, needed: int) -> None:
    assert witnesses(venues) == needed
    assert needed > 2 * ((venues - 1) // 3)


def test_a_gap_cuts_off_what_lies_before_it() -> None:
    holed = {s: b[:20] + b[21:] for s, b in THREE.items()}
    bars, _ = consensus(holed, NOW_MS, 3)
    assert bars == flat_bars(50)[21:]


def test_a_hole_in_one_venue_of_four_is_filled_by_the_others() -> None:
    bars, _ = consensus({**THREE, "d": THREE["a"][:20] + THREE["a"][21:]}, NOW_MS, 3)
    assert len(bars) == 50


def test_history_may_end_an_hour_late_and_no_later() -> None:
    assert len(consensus({s: b[:-1] for s, b in THREE.items()}, NOW_MS, 3)[0]) == 49
    assert consensus({s: b[:-2] for s, b in THREE.items()}, NOW_MS, 3)[0] == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"close": math.nan}, Rejection.NOT_FINITE),
        ({"low": 0.0, "open": 0.0}, Rejection.NOT_POSITIVE),
        ({"volume": -1.0}, Rejection.NOT_POSITIVE),
        ({"high": 1.0}, Rejection.OUT_OF_RANGE),
        ({"high": 1e8}, Rejection.OUT_OF_RANGE),
        ({"open_time_ms": T0_MS - HOUR_MS + 1}, Rejection.MALFORMED),
    ],
)
def test_an_unsound_bar_is_dropped_and_counted(change: dict[str, object], reason: Rejection) -> None:
    bad = (*THREE["a"][:-1], msgspec.structs.replace(THREE["a"][-1], **change))
    bars, refused = consensus({**THREE, "d": bad}, NOW_MS, 3)
    assert bars == flat_bars(50)
    assert refused == {"d": {reason: 1}}


def test_no_more_history_than_the_limit_is_kept() -> None:
    long = flat_bars(MAX_BARS + 50)
    assert len(consensus({"a": long, "b": long, "c": long}, NOW_MS, 3)[0]) == MAX_BARS


def test_no_history_at_all_is_no_error() -> None:
    assert consensus({}, NOW_MS, 3) == ((), {})
    assert consensus({"a": ()}, NOW_MS, 1) == ((), {})


@st.composite
def one_bar(draw: st.DrawFn) -> Bar:
    low = draw(st.floats(1, 100))
    high = draw(st.floats(low, low * 5))
    open_, close = draw(st.floats(low, high)), draw(st.floats(low, high))
    return Bar(T0_MS - HOUR_MS, open_, high, low, close, draw(st.floats(0, 1e6)))


@given(st.lists(one_bar(), min_size=3, max_size=7), st.randoms())
def test_medians_keep_a_bar_a_bar_whatever_the_order_of_venues(bars: list[Bar], random: object) -> None:
    names = [f"v{i}" for i in range(len(bars))]
    found, _ = consensus({n: (b,) for n, b in zip(names, bars, strict=True)}, NOW_MS, 3)
    again, _ = consensus({n: (b,) for n, b in zip(names, reversed(bars), strict=True)}, NOW_MS, 3)
    assert found == again
    (bar,) = found
    assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    assert min(b.close for b in bars) <= bar.close <= max(b.close for b in bars)


def test_an_hour_that_the_largest_venue_lacks_does_not_look_dead() -> None:
    sizes = {"a": 1_000.0, "b": 10.0, "c": 8.0, "d": 1.0}
    venues = {s: tuple(msgspec.structs.replace(b, volume=size) for b in flat_bars(50)) for s, size in sizes.items()}
    venues["a"] = (*venues["a"][:-5], *venues["a"][-4:])
    bars, _ = consensus(venues, NOW_MS, 3)
    assert len(bars) == 50
    assert {b.volume for b in bars} == {9.0}


def test_half_against_half_believes_those_nearer_to_where_the_market_was() -> None:
    def last(factor: float) -> tuple[Bar, ...]:
        *before, end = flat_bars(50)
        prices = {name: getattr(end, name) * factor for name in ("open", "high", "low", "close")}
        return (*before, msgspec.structs.replace(end, **prices))

    venues = {"a": last(1.0), "b": last(1.0), "c": last(1.5), "d": last(1.5)}
    assert consensus(venues, NOW_MS, 3)[0] == flat_bars(50)
    assert consensus({s: last(1.5) for s in venues}, NOW_MS, 3)[0] == last(1.5)


def test_an_hour_of_times_twenty_four_was_a_market_and_leaves_no_gap() -> None:
    wild = tuple(msgspec.structs.replace(b, high=b.high * 24) for b in flat_bars(50))
    bars, refused = consensus(dict.fromkeys("abcd", wild), NOW_MS, 3)
    assert bars == wild
    assert refused == {}
