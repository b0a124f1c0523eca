"""Whatever the guard lets through of books, pools and lending protocols, there are figures, in their lanes, that no
protocol can talk below what venues show."""

from __future__ import annotations

import math
from typing import Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.lanes import BOXES, decode
from margrave.messages import HealthReading, MarketScores, MarketSnapshot, PoolReading
from margrave.score import addons
from margrave.score.model_set import ModelSet
from margrave.score.scores import Scorer
from margrave.score.systemic import BEYOND_ANY_BOOK, CEILING, FLOOR, Systemic
from margrave.spans import DAY_S
from tests.unit.score import real
from tests.unit.score.chains import AS_OF_MS
from tests.unit.score.sample import CALM, MARKETS, MODEL_SET, MPOR_S, POLICY, Forecaster, market, snapshot

SYSTEMIC: Final = ModelSet.of(POLICY, real.REGISTRY).systemic
SYSTEMIC_LANES: Final = ("cascade_probability", "cascade_size", "contagion", "score", "confidence")

usd = st.one_of(st.just(0.0), st.floats(1e-3, 1e13))
maybe_usd = st.one_of(st.none(), usd)


@st.composite
def healths(draw: st.DrawFn, protocol: str = "aave") -> HealthReading:
    """As the guard lets them through: ascending factors above zero, amounts from 0 to 10^13 in a bucket each."""
    edges = tuple(sorted(draw(st.sets(st.floats(1e-3, 1e3), max_size=9))))
    buckets = st.lists(usd, min_size=len(edges) + 1, max_size=len(edges) + 1).map(tuple)
    return HealthReading(
        source=f"{protocol}:1",
        market="BTC",
        instrument=protocol,
        venue_time_ms=AS_OF_MS,
        seen_time_ms=AS_OF_MS,
        protocol=protocol,
        edges=edges,
        debt_usd=draw(buckets),
        collateral_usd=draw(buckets),
        block=1,
    )


def pool(bid_usd: float, ask_usd: float) -> PoolReading:
    return PoolReading(
        source="pools:1",
        market="BTC",
        instrument="0x11",
        venue_time_ms=AS_OF_MS,
        seen_time_ms=AS_OF_MS,
        price=70_000.0,
        bid_depth_usd=bid_usd,
        ask_depth_usd=ask_usd,
        fee=0.003,
        block=1,
    )


snapshots = st.builds(
    market,
    depth_usd=maybe_usd,
    open_interest_usd=maybe_usd,
    half_spread=st.one_of(st.none(), st.floats(0, 0.02)),
    collateral_ratio=st.one_of(st.none(), st.floats(0, 1e6)),
    liquidated_long_usd_per_hour=maybe_usd,
    liquidated_short_usd_per_hour=maybe_usd,
    peg=st.one_of(st.none(), st.floats(1e-3, 1e3)),
    health=st.lists(healths() | healths("newcomer"), max_size=2, unique_by=lambda h: h.protocol).map(tuple),
    pools=st.lists(st.builds(pool, usd, usd), max_size=2).map(tuple),
)


def scored(taken: MarketSnapshot, systemic: Systemic = SYSTEMIC) -> MarketScores:
    scorer = Scorer(Forecaster(), MARKETS, POLICY, MODEL_SET, systemic)
    scores, _ = scorer.score(snapshot(taken, market("ETH")))
    assert scores.holds == ()
    return scores.markets[0]


@settings(max_examples=60)
@given(snapshots)
def test_every_lane_is_a_figure_in_its_box_and_above_what_venues_show(taken: MarketSnapshot) -> None:
    row = scored(taken)
    for lane in SYSTEMIC_LANES:
        assert math.isfinite(decode(row.words, lane))
        low, high = BOXES.get(lane, (0.0, math.inf))
        assert low <= decode(row.words, lane) <= high
    assert 0 <= row.cascade_probability_1h <= row.cascade_probability <= 1
    assert row.cascade_probability >= addons.either_side(BEYOND_ANY_BOOK, row.ladder, DAY_S, MPOR_S)
    alone = addons.contagion([taken, market("ETH")], {"BTC": row.ladder, "ETH": CALM})["BTC"].addon
    assert FLOOR * alone <= row.contagion <= CEILING * alone
    assert all(math.isfinite(path.loss) and path.loss >= 0 for path in row.contagion_paths)


@settings(max_examples=30)
@given(snapshots, st.sampled_from(["depth_usd", "open_interest_usd", "half_spread", "collateral_ratio"]))
def test_what_falls_silent_is_named_and_never_makes_the_node_surer(taken: MarketSnapshot, field: str) -> None:
    silent = msgspec.structs.replace(taken, **{field: None})
    before, after = scored(taken), scored(silent)
    assert field in after.masked
    assert after.confidence <= before.confidence
