"""The score: a fixed meaning, parts that add up, and a direction for every input."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from margrave.messages import Ladder, SourcePrice, Surface
from margrave.score import addons, composite
from margrave.score.addons import VolShock
from margrave.score.cascade import Cascade
from margrave.score.composite import Scored
from margrave.score.contagion import Contagion
from tests.unit.score.chains import TRUE
from tests.unit.score.sample import CALM, MPOR_S, market, scaled

FITTED = msgspec.structs.replace(TRUE, rmse_vol=0.03)


def composed(
    ladder: Ladder = CALM,
    surface: Surface = FITTED,
    *,
    depth_usd: float | None = 1e8,
    ratio: float | None = 2.0,
    interest: float | None = 1e10,
    contagion: float = 0.003,
) -> Scored:
    return composite.compose(
        "BTC",
        MPOR_S,
        1e6,
        ladder,
        surface,
        addons.vol_shock(ladder, MPOR_S),
        addons.liquidity(1e6, 1e-4, depth_usd),
        addons.cascade(ladder, MPOR_S, ratio, interest, depth_usd),
        Contagion(addon=contagion),
    )


def test_the_reference_straddle_loses_what_its_gamma_says_on_a_small_move_and_the_move_on_a_large_one() -> None:
    total = 0.6 * math.sqrt(30 / 365)
    gamma = 2 * math.exp(-(total**2) / 8) / math.sqrt(2 * math.pi) / total
    assert composite.straddle_loss(0.01) == pytest.approx(gamma * 0.01**2 / 2 + 0.01 * 0.0686, rel=0.05)
    assert composite.straddle_loss(0.0) == 0.0
    assert composite.straddle_loss(-0.9) == pytest.approx(0.9 - 0.1370, abs=1e-3)


@pytest.mark.parametrize("freedom", [3.0, 4.0, 8.0])
@pytest.mark.parametrize("lean", [0.7, 1.0])
def test_the_shortfall_of_the_straddle_is_that_of_the_worst_of_both_sides(freedom: float, lean: float) -> None:
    """Against every outcome of a Student law, sorted."""
    t = stats.t(freedom).ppf((np.arange(400_000) + 0.5) / 400_000)
    moves = np.expm1(0.01 * np.where(t < 0, t, lean * t))
    losses = np.sort(composite.straddle_losses(moves))[-4_000:]
    sides = np.sort(np.stack((-moves, moves), axis=1), axis=0)
    said = composite.straddle_shortfall(sides[-4_000:].mean(axis=0), sides[-400:].mean(axis=0))
    assert float(said) == pytest.approx(float(losses.mean()), rel=0.08)


def test_a_tail_on_one_side_alone_is_the_loss_there() -> None:
    one = composite.straddle_shortfall(np.array([0.1, 0.0]), np.array([0.1, 0.0]))
    assert float(one) == pytest.approx(composite.straddle_loss(-0.1), rel=1e-6)
    assert float(composite.straddle_shortfall(np.zeros(2), np.zeros(2))) == pytest.approx(0.0, abs=1e-9)


def test_many_shortfalls_at_once_are_each_their_own() -> None:
    rng = np.random.default_rng(0)
    near = rng.uniform(0.001, 0.3, (5, 3, 2))
    far = near * rng.uniform(1, 3, (5, 3, 2))
    at_once = composite.straddle_shortfall(near, far)
    assert at_once.shape == (5, 3)
    for place in np.ndindex(5, 3):
        assert float(composite.straddle_shortfall(near[place], far[place])) == pytest.approx(at_once[place], rel=1e-12)


moves = st.floats(0, 0.3)
"""Three of them together are a fall that can be: nothing falls by more than all of it."""


@given(st.tuples(moves, moves, moves, moves), st.integers(0, 3), moves)
def test_no_shortfall_that_rises_lowers_the_straddles(
    rungs: tuple[float, float, float, float], which: int, more: float
) -> None:
    """Any one of the four alone, as long as the deeper shortfall is the larger."""
    near, far = np.array(rungs[:2]), np.array(rungs[:2]) + np.array(rungs[2:])
    before = composite.straddle_shortfall(near, far)
    (near if which < 2 else far)[which % 2] += more
    near = np.minimum(near, far)
    assert composite.straddle_shortfall(near, far) >= before - 1e-9


def test_the_price_part_is_the_calibrated_shortfall_and_both_rise_together() -> None:
    shortfalls = np.array([0.0, 0.001, 0.01, 0.05, 0.3])
    points = composite.price_points(shortfalls)
    assert points[0] == 0
    assert (np.diff(points) > 0).all()
    # where the map and the ladder say the same
    same = composite.PRICE_SCALE ** (1 / (1 - composite.PRICE_POWER))
    assert composite.price_points(np.array(same * 0.15 / 10_000)) == pytest.approx(same)
    assert 500 < same < 3_000


def test_the_score_is_the_loss_in_basis_points_of_the_standard_margin() -> None:
    none = Cascade(probability=0.0, probability_1h=0.0, size=0.0, buffer=1.0)
    quiet = composite.compose(
        "BTC", MPOR_S, 1e6, CALM, FITTED, VolShock(up=0.0, down=0.0), 0.0, none, Contagion(addon=0.0)
    )
    sides = np.array([CALM.down_es99, CALM.up_es99]), np.array([CALM.down_es999, CALM.up_es999])
    assert quiet.score == pytest.approx(float(composite.price_points(composite.straddle_shortfall(*sides))))
    assert quiet.points == quiet.score
    even = Cascade(probability=0.5, probability_1h=0.1, size=0.03, buffer=0.01)
    shocked = composite.compose(
        "BTC", MPOR_S, 1e6, CALM, FITTED, VolShock(up=0.1, down=0.0), 0.003, even, Contagion(addon=0.006)
    )
    added = 0.79788 * FITTED.total_vol_30d * 0.1 + 0.003 + 0.015 + 0.006
    assert shocked.score - quiet.score == pytest.approx(added / 0.15 * 10_000, rel=1e-4)


def test_every_reason_is_a_sentence_with_its_numbers_largest_first() -> None:
    reasons = composed().reasons
    assert [r.name for r in reasons] == ["volatility", "price", "contagion", "liquidity", "cascade"]
    sentences = {r.name: r.sentence for r in reasons}
    assert sentences["price"] in ("BTC can lose 3.4% in 4 hours (1 % tail)", "BTC can gain 3.2% in 4 hours (1 % tail)")
    assert sentences["liquidity"] == "closing 1,000,000 USD would cost 0.06%"
    assert sentences["contagion"] == "stress in other markets can add 0.30%"
    assert "now 58%, can rise by 8% of itself in 4 hours" in sentences["volatility"]
    assert sentences["cascade"].startswith("accounts withstand a move of 8%; liquidations beyond it, ")


def test_a_cascade_that_a_model_sees_is_not_told_by_a_buffer() -> None:
    seen = Cascade(probability=0.25, probability_1h=0.1, size=0.03, buffer=0.5, learned=True)
    shock, contagion = addons.vol_shock(CALM, MPOR_S), Contagion(addon=0.0)
    told = composite.compose("BTC", MPOR_S, 1e6, CALM, FITTED, shock, 0.0, seen, contagion)
    (sentence,) = (r.sentence for r in told.reasons if r.name == "cascade")
    assert sentence == "a cascade of liquidations, 25.0% likely within a day, would move the index by another 3.0%"


def test_a_crash_eats_the_whole_margin_and_the_reasons_still_say_by_how_much() -> None:
    crash = composed(scaled(CALM, 8), depth_usd=2e6, ratio=1.1)
    assert crash.score == 10_000
    assert crash.points == math.fsum(r.points for r in crash.reasons) > 10_000


factors = st.floats(0.02, 12)
depths = st.floats(1e4, 1e10)


@given(factors, st.floats(0.05, 1.4), depths, st.floats(0, 10), st.floats(0, 1e12), st.floats(0, 0.1))
def test_the_reasons_sum_to_the_score_up_to_the_cap(
    factor: float, vol: float, depth: float, ratio: float, interest: float, contagion: float
) -> None:
    surface = msgspec.structs.replace(FITTED, total_vol_30d=vol)
    found = composed(
        scaled(CALM, factor), surface, depth_usd=depth, ratio=ratio, interest=interest, contagion=contagion
    )
    assert 0 <= found.score <= 10_000
    assert abs(min(sum(r.points for r in found.reasons), 10_000) - found.score) < 1e-6
    assert [r.points for r in found.reasons] == sorted((r.points for r in found.reasons), reverse=True)
    assert min(r.points for r in found.reasons) >= 0


@given(factors, factors)
def test_a_wider_tail_never_lowers_the_score(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert composed(scaled(CALM, low)).score <= composed(scaled(CALM, high)).score


@given(st.floats(0.01, 1.5), st.floats(0.01, 1.5))
def test_higher_implied_volatility_never_lowers_the_score(a: float, b: float) -> None:
    low, high = (msgspec.structs.replace(FITTED, total_vol_30d=v) for v in sorted((a, b)))
    assert composed(surface=low).score <= composed(surface=high).score


@given(depths, depths)
def test_a_thinner_book_never_lowers_the_score(a: float, b: float) -> None:
    thin, deep = sorted((a, b))
    assert composed(depth_usd=deep).score <= composed(depth_usd=thin).score


@given(st.floats(0, 10), st.floats(0, 10))
def test_more_leverage_never_lowers_the_score(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert composed(ratio=high).score <= composed(ratio=low).score


@given(st.floats(0, 12), st.floats(0, 12))
def test_a_larger_move_never_costs_the_reference_straddle_less(a: float, b: float) -> None:
    near, far = sorted((a, b))
    assert 0 <= composite.straddle_loss(near) <= composite.straddle_loss(far) + 1e-15


# --- confidence -----------------------------------------------------------------------------------------------------


def confident(**changes: object) -> float:
    asked: dict[str, object] = {"unlike": 0.5, "masked": (), "fallback": False, "surface": TRUE, "expected": 5}
    asked |= {k: v for k, v in changes.items() if k in asked}
    seen = market(**{k: v for k, v in changes.items() if k not in asked})  # type: ignore[arg-type]
    return composite.confidence(
        seen,
        asked["expected"],  # type: ignore[arg-type]
        asked["surface"],  # type: ignore[arg-type]
        asked["unlike"],  # type: ignore[arg-type]
        asked["masked"],  # type: ignore[arg-type]
        fallback=bool(asked["fallback"]),
    )


def test_all_sources_a_fresh_chain_and_a_perfect_fit_are_full_confidence() -> None:
    assert confident() == 1.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"expected": 10}, 0.5),
        ({"chain_age_s": 1_800.0}, 0.8),
        ({"chain_age_s": None}, 0.6),
        ({"surface": msgspec.structs.replace(TRUE, rmse_vol=0.2 * 0.165 / math.sqrt(30 / 365))}, 0.8),
        ({"unlike": 2.0}, 0.8),
        ({"fallback": True}, 0.8),
        ({"masked": ("depth_usd", "funding_8h")}, 0.97**2),
    ],
)
def test_each_doubt_has_its_price(change: dict[str, object], expected: float) -> None:
    assert confident(**change) == pytest.approx(expected)


def test_all_doubts_at_once_stay_above_zero() -> None:
    one = (SourcePrice(source="okx", price=1.0, weight=1.0, distance_bp=0.0, age_s=0.0),) * 3
    worst = confident(
        sources=one,
        chain_age_s=None,
        surface=msgspec.structs.replace(TRUE, rmse_vol=9.0),
        unlike=1e9,
        fallback=True,
        masked=("a",) * 10,
    )
    assert 0.05 < worst < 0.1
