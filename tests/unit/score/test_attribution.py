"""What each input adds to a score: the axioms, the models' own mixtures, the reference, and the hash that is signed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import permutations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.messages import Attributed, MarketHold, MarketScores, MarketSnapshot, Scores, Snapshot, Surface
from margrave.mirror.typed_data import UNEXPLAINED
from margrave.score import calm
from margrave.score.attribution import (
    MOST_MARKETS,
    Attribution,
    attributed,
    attributions_hash,
    base_of,
    calm_world,
    explained,
    finer,
    shapley,
    subsets,
)
from margrave.score.carried import Carried, widened
from margrave.score.cascade.served import Cascades
from margrave.score.coalitions import FIELDS, TOLD, Coalition, Game, Input, PathPart, World, mixed, world_of
from margrave.score.contagion.served import Contagions
from margrave.score.registry import open_model
from margrave.score.scores import Scorer
from margrave.score.systemic import Systemic
from margrave.settings import REGISTRY
from margrave.spans import HOUR_MS
from margrave.verdicts import DriftLevel, HoldReason
from tests.unit.score import history, real
from tests.unit.score.chains import TRUE
from tests.unit.score.sample import MARKETS, MODEL_SET, POLICY, Forecaster, market, snapshot

SURFACES = {"BTC": TRUE, "ETH": TRUE}
LIVED = 3
"""Hours that the sample's markets learn from: a cold start's seventy-two would only cost time."""
Round = tuple[Snapshot, Scores, dict[str, Carried]]


@cache
def bars(name: str) -> tuple[history.Bar, ...]:
    seed, sigma = (3, 0.007) if name == "BTC" else (4, 0.009)
    return history.bars(673 + LIVED, seed=seed, sigma=sigma)


def seen(name: str, **changes: object) -> MarketSnapshot:
    told = msgspec.structs.replace(
        history.snapshot(bars(name), name),
        half_spread=3e-4,
        depth_usd=8e6,
        open_interest_usd=3e9,
        collateral_ratio=1.8,
    )
    return msgspec.structs.replace(told, **changes)


def scored(*markets: MarketSnapshot, surfaces: Mapping[str, Surface] = SURFACES) -> Round:
    at_ms = markets[0].bars[-1].open_time_ms + HOUR_MS
    taken = msgspec.structs.replace(snapshot(*markets), as_of_ms=at_ms, round=at_ms // 300_000)
    scores, carried = real.scorer().score(taken, surfaces)
    assert not scores.holds
    return taken, scores, carried


@cache
def sample() -> Round:
    return scored(seen("BTC"), seen("ETH"))


@cache
def worlds() -> tuple[World, World]:
    now = world_of(*sample())
    return now, calm_world(real.scorer(), now)


@cache
def of_btc() -> Attribution:
    found = attributed(real.scorer(), "BTC", *worlds(), calm.NAME)
    assert found is not None
    return found


def uncapped(row: MarketScores) -> float:
    return math.fsum(reason.points for reason in row.reasons)


def points(found: Attribution) -> dict[str, float]:
    return {part.name: part.points for part in found.parts}


# --- the axioms -------------------------------------------------------------------------------------------------------

games = st.integers(1, 4).flatmap(
    lambda players: st.lists(st.floats(-1e4, 1e4), min_size=1 << players, max_size=1 << players).map(np.array)
)


def by_definition(values: np.ndarray) -> list[float]:
    """The mean over all orders of coming in of what each adds when it comes."""
    players = range(int(values.size).bit_length() - 1)
    found = [0.0] * len(players)
    for order in permutations(players):
        here = 0
        for player in order:
            found[player] += (values[here | 1 << player] - values[here]) / math.factorial(len(players))
            here |= 1 << player
    return found


@given(values=games)
def test_values_are_shapleys_and_sum_to_the_whole(values: np.ndarray) -> None:
    found = shapley(values)
    assert found == pytest.approx(by_definition(values), abs=1e-8)
    assert found.sum() == pytest.approx(values[-1] - values[0], abs=1e-8)


@given(values=games, new=st.floats(-1e3, 1e3))
def test_who_adds_the_same_to_everybody_gets_that_and_who_adds_nothing_gets_nothing(
    values: np.ndarray, new: float
) -> None:
    joined = np.concatenate([values, values + new])
    assert shapley(joined)[-1] == pytest.approx(new, abs=1e-8)
    assert shapley(joined)[:-1] == pytest.approx(shapley(values), abs=1e-8)


@given(values=st.lists(st.floats(-1e4, 1e4), min_size=4, max_size=4))
def test_who_does_the_same_gets_the_same(values: list[float]) -> None:
    """Players 0 and 1 are told apart by nothing: a coalition's value follows from how many of them it has."""
    game = np.array([values[0], *[values[1]] * 2, values[2], values[3], *[values[0]] * 2, values[1]])
    found = shapley(game)
    assert found[0] == pytest.approx(found[1], abs=1e-8)


# --- on a score -------------------------------------------------------------------------------------------------------


def test_every_field_of_a_snapshot_belongs_to_one_group_or_to_none_by_name() -> None:
    grouped = [field for fields in FIELDS.values() for field in fields]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) | TOLD == set(MarketSnapshot.__struct_fields__)
    assert not TOLD & set(grouped)
    assert list(FIELDS) == list(Input)


def test_the_parts_sum_to_the_score_less_the_references_and_both_are_the_scorers_own() -> None:
    found, (row, _) = of_btc(), sample()[1].markets
    assert sum(points(found).values()) == pytest.approx(found.total - found.base, abs=1e-9)
    assert found.total == pytest.approx(uncapped(row), abs=1e-9)
    quiet = worlds()[1]
    alone = msgspec.structs.replace(sample()[0], markets=tuple(facts.market for facts in quiet.values()))
    surfaces = dict.fromkeys(quiet, calm.CALM.surface)
    states = {name: facts.carried for name, facts in quiet.items()}
    assert found.base == pytest.approx(uncapped(real.scorer().score(alone, surfaces, states)[0].markets[0]), rel=0.02)


@settings(max_examples=6, deadline=None)
@given(
    depth_usd=st.none() | st.floats(1e4, 1e9),
    open_interest_usd=st.none() | st.floats(1e6, 1e11),
    collateral_ratio=st.none() | st.floats(1.0, 5.0),
    half_spread=st.none() | st.floats(0, 0.01),
    moved=st.floats(0.9, 1.1),
    vol_index=st.none() | st.floats(0.2, 3.0),
)
def test_the_parts_sum_to_the_difference_whatever_is_told_or_not(moved: float, **told: float | None) -> None:
    price = bars("BTC")[-1].close * moved
    taken, scores, carried = scored(seen("BTC", price=price, **told), seen("ETH"))
    told_again = explained(real.scorer(), taken, scores, carried, ["BTC"])
    row, other = told_again.markets
    assert other.attribution == ()
    assert abs(sum(part.points for part in row.attribution) - (uncapped(row) - base_of(row))) < 1e-6
    now = world_of(taken, scores, carried)
    quiet = calm_world(real.scorer(), now)
    again = attributed(real.scorer(), "BTC", now, quiet, calm.NAME)
    assert again is not None
    assert base_of(row) == pytest.approx(again.base, abs=1e-6)


def test_a_group_that_is_as_in_the_reference_adds_exactly_nothing() -> None:
    now, quiet = worlds()
    like = replace(
        now["BTC"],
        market=msgspec.structs.replace(
            now["BTC"].market, **{field: getattr(quiet["BTC"].market, field) for field in FIELDS[Input.BOOK]}
        ),
        surface=calm.CALM.surface,
    )
    found = attributed(real.scorer(), "BTC", {**now, "BTC": like}, quiet, calm.NAME)
    assert found is not None
    assert points(found)[Input.BOOK] == 0
    assert Input.BOOK not in found.players


def test_a_world_against_itself_adds_nothing_anywhere() -> None:
    now, _ = worlds()
    found = attributed(real.scorer(), "BTC", now, now, "itself")
    assert found is not None
    assert found.players == ()
    assert found.base == found.total
    assert set(points(found).values()) == {0.0}


def test_the_order_of_markets_changes_nothing() -> None:
    now, quiet = worlds()
    turned = [dict(reversed(list(world.items()))) for world in (now, quiet)]
    found = attributed(real.scorer(), "BTC", *turned, calm.NAME)
    assert found is not None
    assert points(found) == pytest.approx(points(of_btc()), abs=1e-6)


def test_what_nobody_tells_of_a_book_adds_to_the_score() -> None:
    unknown = scored(seen("BTC", depth_usd=None, half_spread=None), seen("ETH"))
    row = explained(real.scorer(), *unknown, ["BTC"]).markets[0]
    assert {part.name: part.points for part in row.attribution}[Input.BOOK] > 50


def test_more_of_a_figure_that_the_score_rises_with_adds_more() -> None:
    low, high = (
        explained(real.scorer(), *scored(seen("BTC", open_interest_usd=usd), seen("ETH")), ["BTC"]).markets[0]
        for usd in (1e8, 1e10)
    )
    told = [{part.name: part.points for part in row.attribution}[Input.OPEN_INTEREST] for row in (low, high)]
    assert told[0] < 0 < told[1]


def test_a_score_that_is_capped_is_explained_as_it_was_before() -> None:
    price = bars("BTC")[-1].close * 0.84
    row = explained(real.scorer(), *scored(seen("BTC", price=price), seen("ETH")), ["BTC"]).markets[0]
    assert row.score == 10_000
    assert base_of(row) + sum(part.points for part in row.attribution) == pytest.approx(uncapped(row), abs=1e-6)
    assert uncapped(row) > 10_000


def test_a_market_that_was_not_scored_before_has_no_account_of_its_move() -> None:
    now, _ = worlds()
    before = {name: replace(facts, surface=None) for name, facts in now.items()}
    assert attributed(real.scorer(), "BTC", now, before, "before") is None
    assert attributed(real.scorer(), "BTC", now, {"ETH": now["ETH"]}, "before") is None


def test_where_the_models_refuse_a_mixture_nothing_is_told() -> None:
    class Refusing(Forecaster):
        def forecasts(self, worlds: object) -> list[list[MarketHold]]:  # type: ignore[override]
            hold = MarketHold(market="BTC", reason=HoldReason.UNLIKE_TRAINING, detail="")
            return [[hold for _ in markets] for markets, _ in worlds]  # type: ignore[attr-defined]

    scorer = Scorer(Refusing(), MARKETS, POLICY, MODEL_SET)
    taken = snapshot(market())
    scores, carried = scorer.score(taken, SURFACES)
    assert explained(scorer, taken, scores, carried, ["BTC"]) == scores


def test_a_round_of_very_many_markets_is_not_explained() -> None:
    names = [f"M{i}" for i in range(MOST_MARKETS + 1)]
    scorer = Scorer(Forecaster(), dict.fromkeys(names, MARKETS["BTC"]), POLICY, MODEL_SET)
    taken = snapshot(*(market(name, quotes=()) for name in names))
    scores, carried = scorer.score(taken, dict.fromkeys(names, TRUE))
    assert explained(scorer, taken, scores, carried, names) == scores


# --- the mixtures -----------------------------------------------------------------------------------------------------


def test_all_groups_together_are_the_present_and_none_are_the_reference() -> None:
    now, quiet = worlds()
    whole, none = (mixed(now["BTC"], quiet["BTC"], frozenset(each)) for each in (Input, ()))
    assert whole.market == now["BTC"].market
    assert whole.surface == now["BTC"].surface
    assert whole.carried.running == now["BTC"].carried.running
    assert none.carried == quiet["BTC"].carried
    told = {field: getattr(now["BTC"].market, field) for field in TOLD}
    assert none.market == msgspec.structs.replace(quiet["BTC"].market, **told)


def one_by_one(scorer: Scorer, coalition: Coalition, now: World, reference: World) -> float:
    """The value of a coalition by the whole round of it, nothing shared with any other."""
    around = now if Input.OTHERS in coalition else reference
    world = {name: mixed(now[name], reference[name], coalition) if name == "BTC" else around[name] for name in around}
    markets = [facts.market for facts in world.values()]
    states = {name: facts.carried for name, facts in world.items()}
    ladders = {}
    for said in scorer.forecaster.forecast(markets, states):
        assert not isinstance(said, MarketHold)
        ladders[said.market] = widened(said.ladder, states[said.market], scorer.policy.widening)
    cascades = scorer.systemic.cascades(markets, ladders, scorer.policy.round.mpor_s)
    contagions = scorer.systemic.contagions(markets, ladders)
    surface = world["BTC"].surface
    assert surface is not None
    composed = scorer.composed(world["BTC"].market, ladders["BTC"], surface, cascades["BTC"], contagions["BTC"])
    return math.fsum(reason.points for reason in composed.scored.reasons)


def learnt() -> Systemic:
    cascade, contagion = (open_model(REGISTRY, name) for name in ("cascade/1", "contagion/1"))
    return Systemic(Cascades(cascade), Contagions(contagion))


@pytest.mark.parametrize("drifted", [False, True])
@pytest.mark.parametrize(
    ("systemic", "apart"),
    [(Systemic(contagion_model=Contagions(None)), 1e-6), (learnt(), 1e-2)],
    ids=["cleared exactly", "learnt, in float32"],
)
def test_what_coalitions_share_in_one_batch_is_what_each_comes_to_alone(
    systemic: Systemic, apart: float, *, drifted: bool
) -> None:
    scorer = Scorer(real.forecaster(), MARKETS, POLICY, real.scorer().model_set, systemic)
    now, quiet = (dict(world) for world in worlds())
    now["BTC"] = replace(
        now["BTC"],
        market=msgspec.structs.replace(now["BTC"].market, health=quiet["ETH"].market.health, peg=0.97, depth_usd=2e6),
    )
    if drifted:
        drift = msgspec.structs.replace(now["BTC"].carried.drift, level=DriftLevel.BASELINE)
        now["BTC"] = replace(now["BTC"], carried=msgspec.structs.replace(now["BTC"].carried, drift=drift))
    game = Game(scorer, "BTC", now, quiet)
    random = np.random.default_rng(7)
    everything = subsets(game.players)
    asked = [everything[int(place)] for place in random.integers(len(everything), size=24)]
    asked += [frozenset({Input.OTHERS, PathPart.MOVES}), frozenset({PathPart.CLOSES, PathPart.RANGE, Input.BOOK})]
    values = game.values(asked)
    assert values is not None
    for coalition, value in zip(asked, values, strict=True):
        assert value == pytest.approx(one_by_one(scorer, coalition, now, quiet), abs=apart), sorted(coalition)


def test_all_parts_of_a_path_are_the_path() -> None:
    game = Game(real.scorer(), "BTC", *worlds())
    beside = frozenset(Input) - {Input.PATH}
    values = game.values(
        [beside | {Input.PATH}, beside | frozenset(PathPart), frozenset({Input.PATH}), frozenset(PathPart)]
    )
    assert values is not None
    assert values[0] == pytest.approx(values[1], abs=1e-3)
    assert values[2] == pytest.approx(values[3], abs=1e-3)


def test_the_parts_of_the_path_sum_to_what_the_path_adds() -> None:
    found = finer(real.scorer(), "BTC", *worlds())
    assert [part.name for part in found] == list(PathPart)
    assert sum(part.points for part in found) == pytest.approx(points(of_btc())[Input.PATH], abs=1e-2)
    assert {part.name: part.points for part in found}[PathPart.RUNNING] == 0


# --- the hash ---------------------------------------------------------------------------------------------------------


def rows() -> list[tuple[int, MarketScores]]:
    taken = explained(real.scorer(), *sample(), ["BTC", "ETH"])
    return list(enumerate(taken.markets))


def test_the_hash_is_of_the_points_and_not_of_the_order_they_come_in() -> None:
    told = rows()
    assert len(attributions_hash(told)) == 32
    assert attributions_hash(told) == attributions_hash(told[::-1])
    assert attributions_hash(told) == attributions_hash(rows())
    assert attributions_hash(told) != attributions_hash(told[:1])
    assert attributions_hash([(i, msgspec.structs.replace(row, attribution=())) for i, row in told]) == UNEXPLAINED


@pytest.mark.parametrize("turned", ["points", "name", "id", "base"])
def test_a_millionth_of_a_point_elsewhere_is_another_explanation(turned: str) -> None:
    (place, row), other = rows()
    first, *rest = row.attribution
    if turned == "points":
        row = msgspec.structs.replace(row, attribution=(Attributed(name=first.name, points=first.points + 2e-6), *rest))
    elif turned == "name":
        row = msgspec.structs.replace(row, attribution=(Attributed(name="another", points=first.points), *rest))
    elif turned == "base":
        reason = row.reasons[0]
        moved = msgspec.structs.replace(reason, points=reason.points + 2e-6)
        row = msgspec.structs.replace(row, reasons=(moved, *row.reasons[1:]))
    else:
        place = 7
    assert attributions_hash([(place, row), other]) != attributions_hash(rows())


def test_the_hash_is_as_documented() -> None:
    (_, row), _ = rows()
    plain = msgspec.structs.replace(
        row, attribution=(Attributed(name="price path", points=1.5), Attributed(name="order books", points=-0.25))
    )
    from eth_utils.crypto import keccak

    base = round((uncapped(row) - 1.25) * 1_000_000)
    text = f'["calm/1",[3,{base},[["price path",1500000],["order books",-250000]]]]'
    assert attributions_hash([(3, plain)]) == keccak(text=text)


def test_coalitions_come_in_the_order_of_their_masks() -> None:
    assert subsets([Input.PATH, Input.BOOK]) == [
        frozenset(),
        frozenset({Input.PATH}),
        frozenset({Input.BOOK}),
        frozenset({Input.PATH, Input.BOOK}),
    ]
