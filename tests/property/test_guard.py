"""The guard's laws, over whatever readings a venue could send."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.guard.snapshot import Memory
from margrave.messages import AnyReading, Kind
from tests.unit.guard.sample import PERIOD_MS, T0_MS, VENUES, book, books, histories, judged, scalar

HISTORY = histories()
FAIR = dict(zip(VENUES, (100.0, 100.02, 99.98, 100.01, 99.99, 100.03, 99.97), strict=True))

anything = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(1e-8, 1e10),
    st.floats(90, 110),
)
times = st.integers(T0_MS - 400_000, T0_MS + 10_000)


@st.composite
def a_reading(draw: st.DrawFn) -> AnyReading:
    source = draw(st.sampled_from([*VENUES, "chain:1", "stranger"]))
    if draw(st.booleans()):
        return scalar(source, draw(st.sampled_from(list(Kind))), draw(anything), draw(times))
    return book(
        source,
        draw(anything),
        draw(times),
        perpetual=draw(st.booleans()),
        spread=draw(st.floats(-0.01, 0.05)),
        depth_usd=draw(st.floats(0, 1e9)),
    )


readings = st.lists(a_reading(), max_size=25)


@settings(deadline=None)
@given(readings, st.randoms(use_true_random=False))
def test_the_order_of_readings_and_repeats_change_nothing(given_: list[AnyReading], random: object) -> None:
    all_ = [*given_, *HISTORY]
    shuffled = [*all_, *given_]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert judged(shuffled) == judged(all_)


@settings(deadline=None)
@given(readings)
def test_every_market_is_either_vouched_for_or_held_and_every_number_is_finite(given_: list[AnyReading]) -> None:
    snapshot, memory = judged([*given_, *HISTORY])
    assert len(snapshot.markets) + len(snapshot.holds) == 1
    for market in snapshot.markets:
        optional = (market.half_spread, market.depth_usd, market.perp_basis, market.funding_8h, market.vol_index)
        assert all(math.isfinite(x) for x in (market.price, *(o for o in optional if o is not None)))
        assert market.price > 0
        assert len(market.sources) >= 3
    assert all(v.value > 0 for v in memory.venues)


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(VENUES[:3]), st.floats(1e-6, 1e9)), min_size=1, max_size=4),
    st.lists(st.floats(-0.02, 0.02), min_size=4, max_size=4),
    st.floats(0, 1e12),
)
def test_three_liars_of_seven_never_move_the_price_out_of_the_honest_range(
    rounds: list[dict[str, float]], walk: list[float], claimed_depth: float
) -> None:
    """Over several rounds, with any prices and any depth, while the honest venues walk."""
    memory, level, at_ms = Memory(), 1.0, T0_MS
    for lies, step in zip(rounds, walk, strict=False):
        level *= 1 + step
        honest = {v: p * level for v, p in FAIR.items() if v not in VENUES[:3]}
        lying = [book(v, p, at_ms, depth_usd=claimed_depth) for v, p in lies.items()]
        snapshot, memory = judged([*books(honest, at_ms), *lying, *HISTORY], at_ms, memory)
        for market in snapshot.markets:
            assert min(honest.values()) * (1 - 1e-12) <= market.price <= max(honest.values()) * (1 + 1e-12)
        at_ms += PERIOD_MS


@settings(deadline=None)
@given(readings)
def test_judging_is_repeatable_and_leaves_its_inputs_alone(given_: list[AnyReading]) -> None:
    _, memory = judged([*books(FAIR), *HISTORY])
    before = (list(given_), memory)
    first = judged([*given_, *HISTORY], T0_MS, memory)
    assert judged([*given_, *HISTORY], T0_MS, memory) == first
    assert repr((given_, memory)) == repr(before)
