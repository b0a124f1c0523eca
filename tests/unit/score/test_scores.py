"""The stage's one call: words that mean what they say, or a hold that says why not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave import lanes
from margrave.errors import Rejected
from margrave.lanes import ASCENDING, LANES
from margrave.messages import Ladder, MarketHold, MarketScores, Scores, Snapshot, Surface
from margrave.mirror.limits import is_coherent, policy_words, within_bounds
from margrave.score.scores import Scorer, carried, quantise, relative_error
from margrave.verdicts import HoldReason, Rejection
from tests.unit.score import real
from tests.unit.score.chains import AS_OF_MS, TRUE
from tests.unit.score.sample import (
    CALM,
    MARKETS,
    MODEL_SET,
    POLICY,
    Forecaster,
    Told,
    market,
    scaled,
    snapshot,
)

BOUNDS = policy_words(POLICY.limits.lanes, POLICY.limits.max_price_move)


def scorer(**told: Told | MarketHold) -> Scorer:
    return Scorer(Forecaster(told), MARKETS, POLICY, MODEL_SET)


def scored(scorer: Scorer, taken: Snapshot, surfaces: Mapping[str, Surface] | None = None) -> Scores:
    """Of a node that has learnt nothing yet."""
    scores, _ = scorer.score(taken, surfaces)
    return scores


def only(scores: Scores) -> MarketScores:
    assert scores.holds == ()
    (row,) = scores.markets
    return row


def held(scores: Scores) -> MarketHold:
    assert scores.markets == ()
    (hold,) = scores.holds
    return hold


def test_a_sound_market_is_scored_and_its_words_decode_to_its_figures() -> None:
    scores = scored(scorer(), snapshot(market()))
    row = only(scores)
    assert scores.model_set == MODEL_SET
    assert lanes.price_usd(row.words) == 70_000
    figures = {
        **msgspec.structs.asdict(row.ladder),
        **{
            name: getattr(row, name) for name in ("vol_up", "vol_down", "liquidity", "contagion", "score", "confidence")
        },
        "cascade_probability": row.cascade_probability,
        "cascade_size": row.cascade_size,
        "total_vol_30d": row.surface.total_vol_30d,
        "ssvi_rho": row.surface.rho,
        "ssvi_wing": row.surface.wing,
        "basis": row.basis,
    }
    for name, figure in figures.items():
        assert lanes.decode(row.words, name) == pytest.approx(figure, abs=LANES[name].unit / 2 + 1e-12), name


def test_the_contract_would_take_the_words_of_a_calm_market_and_of_a_crash() -> None:
    for factor in (0.3, 1, 4):
        told = Told(market="BTC", ladder=scaled(CALM, factor))
        row = only(scored(scorer(BTC=told), snapshot(market())))
        assert within_bounds(row.words, BOUNDS)
        assert is_coherent(row.words)


def test_scoring_is_repeatable_to_the_bit_and_leaves_its_inputs_alone() -> None:
    taken = snapshot(market(), market("ETH"))
    before = msgspec.json.encode(taken)
    surfaces = {"BTC": TRUE}
    first = scored(scorer(), taken, surfaces)
    assert scored(scorer(), taken, surfaces) == first
    assert msgspec.json.encode(taken) == before
    assert surfaces == {"BTC": TRUE}


def test_the_guards_holds_are_carried_along() -> None:
    guards = MarketHold(market="ETH", reason=HoldReason.TOO_FEW_SOURCES, detail="2 of 3 venues needed agree")
    scores = scored(scorer(), snapshot(market(), holds=[guards]))
    assert scores.holds == (guards,)
    assert [m.market for m in scores.markets] == ["BTC"]


def test_a_market_the_models_refuse_is_held_and_the_other_is_scored() -> None:
    refusal = MarketHold(market="BTC", reason=HoldReason.UNLIKE_TRAINING, detail="neither model answers")
    scores = scored(scorer(BTC=refusal), snapshot(market(), market("ETH")))
    assert scores.holds == (refusal,)
    assert [m.market for m in scores.markets] == ["ETH"]


def test_no_markets_are_no_scores() -> None:
    scores = scored(scorer(), snapshot())
    assert (scores.markets, scores.holds) == ((), ())


# --- surfaces -------------------------------------------------------------------------------------------------------


def test_without_a_chain_and_without_a_past_there_is_no_surface() -> None:
    hold = held(scored(scorer(), snapshot(market(quotes=(), chain_age_s=None))))
    assert (hold.reason, hold.detail) == (HoldReason.NO_SURFACE, "no option chain")


def test_a_chain_of_a_few_quotes_is_no_surface_and_says_how_many_are_needed() -> None:
    hold = held(scored(scorer(), snapshot(market(quotes=market().quotes[:5]))))
    assert hold.reason is HoldReason.NO_SURFACE
    assert hold.detail.endswith("options are usable, 8 needed")


def test_without_a_chain_the_last_surface_is_carried_on_with_growing_doubt() -> None:
    known = only(scored(scorer(), snapshot(market())))
    blind = snapshot(market(quotes=(), chain_age_s=None))
    row = only(scored(scorer(), blind, {"BTC": known.surface}))
    assert row.surface.quotes_used == 0
    assert row.surface.rmse_vol > known.surface.rmse_vol
    assert row.surface.total_vol_30d == known.surface.total_vol_30d
    assert row.basis == known.basis
    assert row.confidence < known.confidence


def test_a_surface_is_carried_for_days_and_not_for_a_week() -> None:
    surface, rounds = TRUE, 0
    while relative_error(surface) <= 0.30:
        surface, rounds = carried(surface, 300), rounds + 1
    assert 3 < rounds * 300 / 86_400 < 5
    hold = held(scored(scorer(), snapshot(market(quotes=(), chain_age_s=None)), {"BTC": surface}))
    assert hold.reason is HoldReason.NO_SURFACE
    assert hold.detail == "no option chain, and the last surface is by now uncertain by 30% of itself"


def test_doubt_grows_with_the_square_root_of_time_however_it_is_cut() -> None:
    once = carried(TRUE, 3_600)
    often = TRUE
    for _ in range(12):
        often = carried(often, 300)
    assert often.rmse_vol == pytest.approx(once.rmse_vol)


def test_a_chain_that_no_surface_fits_is_as_good_as_none() -> None:
    quotes = market().quotes
    torn = tuple(
        msgspec.structs.replace(q, bid=None, ask=None, mark_iv=0.2 if i % 2 else 3.0) for i, q in enumerate(quotes)
    )
    hold = held(scored(scorer(), snapshot(market(quotes=torn))))
    assert hold.reason is HoldReason.NO_SURFACE
    assert "off its quotes, 30% allowed" in hold.detail
    assert only(scored(scorer(), snapshot(market(quotes=torn)), {"BTC": TRUE})).surface.quotes_used == 0


def test_times_to_expiry_count_from_when_the_chain_was_quoted() -> None:
    fresh = only(scored(scorer(), snapshot(market())))
    an_hour_on = msgspec.structs.replace(snapshot(market(chain_age_s=3_600.0)), as_of_ms=AS_OF_MS + 3_600_000)
    assert only(scored(scorer(), an_hour_on)).surface == fresh.surface


# --- quantising -----------------------------------------------------------------------------------------------------


def figures(**changes: float) -> dict[str, float]:
    calm = {name: 0.1 for name, lane in LANES.items() if not lane.stamped}
    return {**calm, **changes}


def test_a_figure_that_no_lane_can_hold_is_a_hold_and_not_the_largest_lane() -> None:
    told = Told(market="BTC", ladder=scaled(CALM, 80))
    hold = held(scored(scorer(BTC=told), snapshot(market())))
    assert hold.reason is HoldReason.NOT_REPRESENTABLE
    assert "exceeds 15 bits" in hold.detail


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"down_es99": 0.2}, Rejection.OUT_OF_RANGE),
        ({"total_vol_90d": 0.05}, Rejection.OUT_OF_RANGE),
        ({"ssvi_wing": 2.1}, Rejection.OUT_OF_RANGE),
        ({"score": -1.0}, Rejection.OUT_OF_RANGE),
        ({"up_es999": math.nan}, Rejection.OUT_OF_RANGE),
        ({"basis": math.nan}, Rejection.NOT_FINITE),
        ({"basis": 2.0}, Rejection.OUT_OF_RANGE),
        ({"liquidity": -0.01}, Rejection.OUT_OF_RANGE),
    ],
)
def test_incoherent_figures_are_refused(change: dict[str, float], reason: Rejection) -> None:
    with pytest.raises(Rejected) as refused:
        quantise(figures(**change), 70_000)
    assert refused.value.reason is reason


@given(
    st.lists(st.floats(0, 3.2), min_size=5, max_size=5).map(sorted),
    st.lists(st.floats(0, 3.2), min_size=5, max_size=5).map(sorted),
    st.lists(st.floats(0, 1.6), min_size=3, max_size=3).map(sorted),
    st.floats(1e-8, 9e10),
)
def test_rounding_keeps_every_chain_ascending_and_every_figure_within_half_a_unit(
    down: list[float], up: list[float], vols: list[float], price: float
) -> None:
    chains = dict(zip((name for chain in ASCENDING for name in chain), [*down, *up, *vols], strict=True))
    words = quantise(figures(**chains), price)
    for chain in ASCENDING:
        counts = [lanes.raw(words, name) for name in chain]
        assert all(a <= b for a, b in pairwise(counts))
    for name, figure in chains.items():
        assert abs(lanes.decode(words, name) - figure) <= LANES[name].unit / 2 * (1 + 1e-9)
    assert lanes.price_usd(words) == pytest.approx(price, abs=0.51e-8, rel=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    st.floats(0.05, 6),
    st.one_of(st.none(), st.floats(0, 1e12)),
    st.one_of(st.none(), st.floats(0, 100)),
    st.one_of(st.none(), st.floats(0, 1e12)),
    st.one_of(st.none(), st.floats(0, 0.02)),
    st.floats(0, 50),
)
def test_any_optional_inputs_give_words_the_contract_can_hold(
    factor: float,
    depth: float | None,
    ratio: float | None,
    interest: float | None,
    spread: float | None,
    unlike: float,
) -> None:
    seen = market(
        depth_usd=depth, collateral_ratio=ratio, open_interest_usd=interest, half_spread=spread, perp_basis=None
    )
    told = Told(market="BTC", ladder=scaled(CALM, factor), unlike=unlike, fallback=unlike > 1)
    row = only(scored(scorer(BTC=told), snapshot(seen), {"BTC": TRUE}))
    assert is_coherent(row.words)
    assert lanes.decode(row.words, "confidence") > 0
    assert abs(min(sum(r.points for r in row.reasons), 10_000) - row.score) < 1e-6


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["tail", "depth_usd", "collateral_ratio", "open_interest_usd", "half_spread"]),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.floats(0.1, 5),
)
def test_more_risk_in_any_input_never_lowers_the_score_of_a_round(
    field: str, how_much: tuple[float, float], tail: float
) -> None:
    """End to end: snapshot and forecast in, published score out; everything else held."""
    points = []
    for risk in sorted(how_much):
        given_ = {
            "depth_usd": 10 ** (9 - 5 * risk),
            "collateral_ratio": 5 - 5 * risk,
            "open_interest_usd": 1e12 * risk,
            "half_spread": 0.02 * risk,
        }
        seen = market(quotes=(), chain_age_s=None, **({} if field == "tail" else {field: given_[field]}))
        told = Told(market="BTC", ladder=scaled(CALM, tail * (1 + 3 * risk) if field == "tail" else tail))
        row = only(scored(scorer(BTC=told), snapshot(seen), {"BTC": TRUE}))
        points.append(math.fsum(reason.points for reason in row.reasons))
    assert points[0] <= points[1] + 1e-9


def test_the_real_forecaster_fits_the_protocol() -> None:
    row = only(scored(real.scorer(), snapshot(market())))
    assert isinstance(row.ladder, Ladder)
    assert isinstance(row.surface, Surface)
    assert is_coherent(row.words)
