"""Greeks over the ladder's moves: the ladder is kept, small moves give the slopes, tails change what tails change."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.errors import Rejected
from margrave.lanes import Words
from margrave.messages import Ladder
from margrave.score.greeks import Moves, Options, greeks, moves, over_moves
from margrave.score.greeks.published import ladder_of, surface_of
from tests.unit.decide.sample import words
from tests.unit.score.greeks.sample import SURFACE, chain
from tests.unit.score.sample import CALM


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    sides = {}
    for side in ("down", "up"):
        rung = draw(st.floats(0.002, 0.1))
        for name in ("q975", "q995", "es99", "q9995", "es999"):
            sides[f"{side}_{name}"] = rung
            rung *= draw(st.floats(1.0, 1.6))
    return Ladder(**sides)


@settings(max_examples=100, deadline=None)
@given(ladders())
def test_a_ladder_becomes_a_distribution_without_drift(ladder: Ladder) -> None:
    found = moves(ladder)
    assert found.probability.sum() == pytest.approx(1.0)
    assert (found.probability > 0).all()
    assert float(found.probability @ found.returns) == pytest.approx(0.0, abs=1e-15)
    assert (np.diff(found.returns) >= -1e-12).all()
    assert found.returns[0] > -1


def test_the_ladders_shortfalls_are_the_means_of_its_tails() -> None:
    found = moves(CALM)
    drift = found.returns[0] + CALM.down_es999
    tail = found.returns[:2] - drift
    share = found.probability[:2]
    assert float(-tail @ share / share.sum()) == pytest.approx(CALM.down_es99)
    assert found.returns[-1] - drift == pytest.approx(CALM.up_es999)


def test_over_small_moves_they_are_the_slopes() -> None:
    options = chain()
    here = greeks(SURFACE, options)
    told = moves(CALM)
    tiny = Moves(told.returns * 1e-3, told.probability)
    found = over_moves(options, here.vol, here.vol_by_log_forward, tiny)
    np.testing.assert_allclose(found.delta, here.adjusted.delta, atol=1e-4)
    np.testing.assert_allclose(found.vega, here.plain.vega, rtol=1e-3, atol=1e-3)
    still = over_moves(options, here.vol, np.zeros(len(options)), tiny)
    near = np.abs(here.plain.delta) > 0.01
    np.testing.assert_allclose(still.gamma[near], here.plain.gamma[near], rtol=1e-2)


def test_no_other_delta_leaves_less_variance_over_the_moves() -> None:
    options, told = chain(), moves(CALM)
    here = greeks(SURFACE, options, moves=told)
    logs = np.log1p(told.returns)
    value = np.array(
        [
            greeks(
                SURFACE,
                Options(options.forward * np.exp(step), options.strike, options.years, options.is_call),
                here.vol + here.vol_by_log_forward * step,
            ).plain.price
            for step in logs
        ]
    )
    move = told.returns[:, None] * options.forward

    def left(delta: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        error = value - delta * move
        mean = told.probability @ error
        return np.asarray(told.probability @ (error - mean) ** 2)

    least = left(here.hedge)
    for step in (-0.01, 0.01):
        assert (left(here.hedge + step) > least).all()
    assert (least <= left(here.adjusted.delta) + 1e-9).all()


def test_a_heavier_lower_tail_sells_more_of_what_is_convex() -> None:
    at_money = Options(70_000.0, 70_000.0, 2 / 365, True)
    lopsided = msgspec.structs.replace(
        CALM, down_q975=0.022, down_q995=0.037, down_es99=0.045, down_q9995=0.07, down_es999=0.09
    )
    vol = np.array([0.5])
    even, heavy = (over_moves(at_money, vol, np.zeros(1), moves(x)).delta[0] for x in (CALM, lopsided))
    assert heavy < even


@pytest.mark.parametrize(
    "wrong",
    [
        {"down_q975": 0.0},
        {"up_q995": 0.001},
        {"down_es999": float("nan")},
        {"down_es999": 1.2},
    ],
)
def test_what_is_no_ladder_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Rejected, match="ladder"):
        moves(msgspec.structs.replace(CALM, **wrong))


def test_a_reader_of_the_two_words_computes_the_same() -> None:
    told = words()
    surface, ladder = surface_of(told), ladder_of(told)
    assert msgspec.structs.asdict(ladder) == pytest.approx(msgspec.structs.asdict(CALM))
    for name, value in (("rho", -0.25), ("wing", 1.1), ("decay", 0.35), ("total_vol_30d", 0.165), ("basis", 0.05)):
        assert getattr(surface, name) == pytest.approx(value, abs=1e-4)
    exact = greeks(SURFACE, chain(), moves=moves(CALM))
    read = greeks(surface, chain(), moves=moves(ladder))
    np.testing.assert_allclose(read.hedge, exact.hedge, atol=1e-4)


def test_words_that_were_never_published_are_refused() -> None:
    with pytest.raises(Rejected, match="the surface"):
        surface_of(Words(risk=0, market=0))
