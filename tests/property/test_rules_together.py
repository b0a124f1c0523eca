"""Guard, score and decide in a row: what a node would sign depends on what was said and on nothing else."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from margrave import lanes
from margrave.decide.report import decide
from margrave.guard.snapshot import Memory, take
from margrave.messages import AnyReading, ChainState, Kind, Report
from margrave.score.scores import Scorer
from margrave.settings import Settings
from tests.unit.decide import sample as on_chain
from tests.unit.guard.sample import MARKETS, PERIOD_MS, T0_MS, VENUES, book, chain, flat_bars, history, scalar
from tests.unit.score.chains import AS_OF_MS, made
from tests.unit.score.sample import Forecaster

assert T0_MS == AS_OF_MS
POLICY = on_chain.POLICY
SETTINGS: Settings = on_chain.settings_of(1).model_copy(update={"markets": MARKETS})
STATE: ChainState = on_chain.state_of(on_chain.onchain(), block_time_s=T0_MS // 1_000)
PRICES = dict(zip(VENUES, (70_000, 70_005, 70_010, 69_990, 69_995, 70_002, 69_998), strict=True))
LIARS, HONEST = VENUES[:3], VENUES[3:]
COMMON: list[AnyReading] = [
    *(history(v, flat_bars(240)) for v in HONEST),
    chain(made(index=70_000.0)),
    scalar("chain:1", Kind.COLLATERAL_RATIO, 2.0),
]


def signed(readings: list[AnyReading]) -> Report:
    snapshot, _ = take(T0_MS // PERIOD_MS, T0_MS, readings, MARKETS, POLICY.guard, Memory())
    scores, _ = Scorer(Forecaster(), MARKETS, POLICY, on_chain.MODEL_SET).score(snapshot)
    report = decide(scores, STATE, SETTINGS, T0_MS + 1_000)
    assert isinstance(report, Report)
    return report


def said(source: str, price: float, depth_usd: float, spread: float) -> list[AnyReading]:
    return [
        book(source, price, depth_usd=depth_usd, spread=spread),
        scalar(source, Kind.FUNDING_8H, 1e-4),
        scalar(source, Kind.OPEN_INTEREST, 2e9),
    ]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32))
def test_the_order_of_arrival_does_not_reach_the_words(seed: int) -> None:
    readings = [*COMMON, *(r for v, p in PRICES.items() for r in said(v, p, 5e6, 2e-4))]
    shuffled = list(readings)
    random.Random(seed).shuffle(shuffled)
    assert signed(shuffled) == signed(readings)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(1.0, 1e9), st.floats(1e4, 1e13), st.floats(0, 0.02)),
        min_size=3,
        max_size=3,
    )
)
def test_three_liars_of_seven_sign_no_price_outside_the_honest_range_and_no_cheaper_liquidity_than_double(
    lies: list[tuple[float, float, float]],
) -> None:
    """Depth is a sum, so liars can claim to add to it: never more than twice the median venue each."""
    honest = [r for v in HONEST for r in said(v, PRICES[v], 5e6, 2e-4)]
    lying = [r for v, lie in zip(LIARS, lies, strict=True) for r in said(v, *lie)]
    alone = signed([*COMMON, *honest]).rows[0].words
    words = signed([*COMMON, *honest, *lying]).rows[0].words
    fair = [PRICES[v] for v in HONEST]
    assert min(fair) - 1e-6 <= lanes.price_usd(words) <= max(fair) + 1e-6
    assert lanes.decode(words, "liquidity") >= lanes.decode(alone, "liquidity") / 2.5
    for lane in ("down_es99", "up_es99", "total_vol_30d", "vol_up"):
        assert lanes.raw(words, lane) == lanes.raw(alone, lane)
