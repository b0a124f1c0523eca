"""What would bring a score below a threshold: the figure found is the one, and where there is none, that is said."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.messages import Attributed
from margrave.score import calm
from margrave.score.attribution import Attribution
from margrave.score.coalitions import Input, World, world_of
from margrave.score.counterfactual import FURTHEST, Lever, Scene, counterfactual, fewest, scaled, worst
from tests.unit.score import real
from tests.unit.score.sample import CALM
from tests.unit.score.test_attribution import of_btc, sample, scored, seen, uncapped


@cache
def scene() -> Scene:
    return scene_of(world_of(*sample()), sample()[1].markets)


def scene_of(world: World, rows: object) -> Scene:
    return Scene.of(real.scorer(), world, {row.market: row for row in rows}, "BTC")  # type: ignore[attr-defined]


def test_with_every_figure_as_it_is_the_score_is_the_scorers_own() -> None:
    assert scene().score({}) == pytest.approx(uncapped(sample()[1].markets[0]), abs=1e-9)
    assert set(scene().figures) == set(Lever)


@settings(max_examples=25, deadline=None)
@given(lever=st.sampled_from(Lever), low=st.floats(0, 1), high=st.floats(0, 1))
def test_the_score_never_rises_on_the_way_to_a_levers_end(lever: Lever, low: float, high: float) -> None:
    near, far = sorted((low, high))
    assert scene().score({lever: FURTHEST[lever] ** far}) <= scene().score({lever: FURTHEST[lever] ** near}) + 1e-9


def test_at_the_figure_that_is_told_the_score_is_the_threshold() -> None:
    now = scene().score({})
    found = counterfactual(scene(), 0.9 * now, of_btc())
    assert not found.holds
    assert found.score == now
    able = {each.lever: each for each in found.alone if each.needed is not None}
    assert {Lever.TAIL, Lever.IMPLIED} <= set(able)
    implied = able[Lever.IMPLIED]
    assert implied.needed is not None
    assert scene().score({Lever.IMPLIED: implied.needed / implied.now}) == pytest.approx(0.9 * now, rel=1e-6)
    assert worst(scene().ladders["BTC"]) == able[Lever.TAIL].now
    assert found.together == ()


def test_a_score_that_is_below_needs_nothing() -> None:
    found = counterfactual(scene(), 2 * scene().score({}), of_btc())
    assert found.holds
    assert (found.alone, found.together, found.fewest) == ((), (), ())


def test_where_no_figure_alone_would_do_all_of_them_together_are_told_or_nothing_is() -> None:
    ends = scene().score({lever: FURTHEST[lever] for lever in scene().figures})
    alone = min(scene().score({lever: FURTHEST[lever]}) for lever in scene().figures)
    assert ends < alone
    between = counterfactual(scene(), (ends + alone) / 2, of_btc())
    assert all(each.needed is None for each in between.alone)
    assert {each.lever for each in between.together} == set(scene().figures)
    factors = {
        each.lever: each.needed / each.now
        for each in between.together
        if each.needed is not None and each.lever not in (Lever.TAIL, Lever.OTHERS)
    }
    assert len(factors) == 4
    assert counterfactual(scene(), 0.5 * ends, of_btc()).together == ()


def test_a_figure_that_nobody_told_is_no_lever() -> None:
    taken = scored(seen("BTC", depth_usd=None, collateral_ratio=None), seen("ETH"))
    bare = scene_of(world_of(*taken), taken[1].markets)
    assert set(bare.figures) == set(Lever) - {Lever.DEPTH, Lever.COLLATERAL}
    found = counterfactual(bare, 100.0, None)
    assert {each.lever for each in found.alone} == set(bare.figures)
    assert found.fewest == ()


def game(**values: float) -> Attribution:
    """Of three groups, named by the places of the coalition's players: "012" is all."""
    players = (Input.PATH, Input.BOOK, Input.OTHERS)
    told = np.array(
        [values.get("of" + "".join(str(i) for i in range(3) if mask >> i & 1), np.nan) for mask in range(8)]
    )
    parts = tuple(Attributed(name=each, points=0.0) for each in Input)
    return Attribution("BTC", calm.NAME, float(told[0]), float(told[-1]), parts, players, told)


def test_the_fewest_groups_are_the_fewest_and_of_those_the_ones_that_leave_least() -> None:
    told = game(of=1_000, of0=2_000, of1=3_000, of2=1_500, of01=4_500, of02=2_800, of12=2_500, of012=6_000)
    assert fewest(told, 7_000) == (Input.PATH,)  # left: 2,500 without the path, 2,800 without the book
    assert fewest(told, 2_600) == (Input.PATH,)
    assert fewest(told, 2_500) == (Input.PATH, Input.BOOK)  # left: the others' 1,500
    assert fewest(told, 1_200) == (Input.PATH, Input.BOOK, Input.OTHERS)
    assert fewest(told, 1_000) == ()


@given(factor=st.floats(0.01, 3))
def test_a_scaled_ladder_ascends_and_scales_back(factor: float) -> None:
    turned = scaled(CALM, factor)
    assert turned.down_q975 < turned.down_q995 < turned.down_es99 < turned.down_q9995 < turned.down_es999 < 1
    assert msgspec.structs.astuple(scaled(turned, 1 / factor)) == pytest.approx(msgspec.structs.astuple(CALM))
