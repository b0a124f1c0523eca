"""The guard's laws, over whatever readings a venue could send."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.guard.snapshot import Memory
from margrave.messages import (
    EVERY_MARKET,
    AnyReading,
    HealthReading,
    Kind,
    LiquidationsReading,
    NoticeReading,
    PoolReading,
    TradesReading,
)
from tests.unit.guard.sample import PERIOD_MS, T0_MS, VENUES, book, books, histories, judged, scalar

HISTORY = histories()
FAIR = dict(zip(VENUES, (100.0, 100.02, 99.98, 100.01, 99.99, 100.03, 99.97), strict=True))

anything = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(1e-8, 1e10),
    st.floats(90, 110),
)
times = st.integers(T0_MS - 400_000, T0_MS + 10_000)


def another_reading(source: str, at_ms: int) -> st.SearchStrategy[AnyReading]:
    """Flows, pools, health and notices with whatever numbers."""
    said = {
        "source": st.just(source),
        "market": st.sampled_from(["BTC", EVERY_MARKET, "DOGE"]),
        "instrument": st.sampled_from(["x", "y"]),
        "venue_time_ms": st.just(at_ms),
        "seen_time_ms": st.just(at_ms),
    }
    several = st.lists(anything, max_size=4).map(tuple)
    return st.one_of(
        st.builds(
            TradesReading,
            **said,
            perpetual=st.booleans(),
            from_ms=st.integers(at_ms - 10**7, at_ms),
            count=st.integers(-1, 100),
            buy_usd=anything,
            sell_usd=anything,
            low=anything,
            high=anything,
            last=anything,
            vwap=anything,
        ),
        st.builds(
            LiquidationsReading,
            **said,
            from_ms=st.integers(at_ms - 10**7, at_ms),
            count=st.integers(0, 9),
            long_usd=anything,
            short_usd=anything,
            largest_usd=anything,
        ),
        st.builds(
            HealthReading,
            **said,
            protocol=st.just("p"),
            edges=several,
            debt_usd=several,
            collateral_usd=several,
            block=st.integers(0, 9),
        ),
        st.builds(
            PoolReading,
            **said,
            price=anything,
            bid_depth_usd=anything,
            ask_depth_usd=anything,
            fee=st.just(0.003),
            block=st.integers(0, 9),
        ),
        st.builds(NoticeReading, **said, topic=st.sampled_from(["a.b", "c"]), text=st.text(max_size=5)),
    )


@st.composite
def a_reading(draw: st.DrawFn) -> AnyReading:
    source = draw(st.sampled_from([*VENUES, "chain:1", "stranger"]))
    if draw(st.booleans()):
        return draw(another_reading(source, draw(times)))
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
        figures = msgspec.structs.asdict(market).values()
        assert all(math.isfinite(figure) for figure in figures if isinstance(figure, float))
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
@given(st.lists(readings, min_size=2, max_size=4))
def test_what_is_remembered_of_anything_is_finite_bounded_and_survives_being_written_down(
    rounds: list[list[AnyReading]],
) -> None:
    memory, at_ms = Memory(), T0_MS
    for given_ in rounds:
        _, memory = judged([*given_, *books(FAIR, at_ms), *HISTORY], at_ms, memory)
        again = msgspec.json.decode(msgspec.json.encode(memory), type=Memory)
        assert again == memory
        assert len(memory.venues) <= len(VENUES)
        (market,) = memory.markets
        assert all(math.isfinite(level.value) for level in market.levels)
        assert len(market.path) <= len(rounds)
        at_ms += PERIOD_MS


@settings(deadline=None)
@given(readings)
def test_judging_is_repeatable_and_leaves_its_inputs_alone(given_: list[AnyReading]) -> None:
    _, memory = judged([*books(FAIR), *HISTORY])
    before = (list(given_), memory)
    first = judged([*given_, *HISTORY], T0_MS, memory)
    assert judged([*given_, *HISTORY], T0_MS, memory) == first
    assert repr((given_, memory)) == repr(before)
