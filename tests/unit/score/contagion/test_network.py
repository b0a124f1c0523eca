"""The network of the registry: names, order and units do not matter, and it keeps to the clearing on any graph."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.lab.court.contagion import drawn
from margrave.lab.court.contagion.ranking import spearman
from margrave.score import addons
from margrave.score.contagion import network, overlap
from margrave.score.contagion.graph import Drawing, NodeKind, shocks
from margrave.score.contagion.message import World
from margrave.score.contagion.served import Contagions
from margrave.score.registry import Model, open_model
from margrave.settings import REGISTRY
from tests.unit.score.contagion.test_served import LADDERS, health, three
from tests.unit.score.sample import scaled

seeds = st.integers(0, 2**31)
makes = st.sampled_from([*drawn.SEEN.values(), *drawn.UNSEEN.values()])
FLOAT32 = 2e-4
"""Sums of float32 in another order, through a dozen rounds in which what is sold out hangs on a thousandth."""


@cache
def model() -> Model:
    return open_model(REGISTRY, "contagion/1")


@given(seeds, st.sampled_from([drawn.debtors, drawn.core, drawn.hubs, drawn.rings]), st.integers(6, 40))
@settings(max_examples=25, deadline=None)
def test_relabelling_changes_nothing(seed: int, make: drawn.Maker, nodes: int) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, nodes)
    shock = drawn.shocked(rng, graph, 2)
    order = rng.permutation(len(graph))
    moved = network.losses(model(), graph.relabelled(list(order)), shock[:, order])
    assert moved == pytest.approx(network.losses(model(), graph, shock)[:, order], abs=FLOAT32)


@given(seeds, makes, st.integers(-20, 20))
@settings(max_examples=25, deadline=None)
def test_another_unit_of_money_changes_no_share(seed: int, make: drawn.Maker, power: int) -> None:
    """By powers of two, which round nothing: what is asked of the network is then the same to the last bit."""
    rng = np.random.default_rng(seed)
    graph = make(rng, 25)
    shock = drawn.shocked(rng, graph, 2)
    there = network.losses(model(), graph.scaled(2.0**power), shock)
    assert (there == network.losses(model(), graph, shock)).all()


@given(seeds, makes)
@settings(max_examples=25, deadline=None)
def test_no_loss_is_below_the_shock_alone_nor_beyond_everything(seed: int, make: drawn.Maker) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, 25)
    shock = drawn.shocked(rng, graph, 3)
    said = network.losses(model(), graph, shock)
    assert (said >= overlap.direct(graph, shock) - FLOAT32).all()
    assert (said <= 1).all()


@pytest.mark.parametrize("make", drawn.UNSEEN.values(), ids=drawn.UNSEEN)
def test_graphs_of_makes_and_sizes_that_it_never_saw_are_ordered_as_clearing_orders_them(make: drawn.Maker) -> None:
    rng = np.random.default_rng(77)
    found = []
    for nodes in (30, 250):
        graph = make(rng, nodes)
        shock = drawn.shocked(rng, graph, 12)
        true = overlap.clear(graph, shock).loss
        said = network.losses(model(), graph, shock)
        found += [value for a, b in zip(said, true, strict=True) if (value := spearman(a, b)) is not None]
    assert np.mean(found) > 0.95


def test_a_graph_without_edges_and_one_node_have_answers() -> None:
    draw = Drawing()
    draw.node("only", NodeKind.ASSET, outside=2.0)
    graph = draw.done()
    assert network.losses(model(), graph, shocks(graph, [{"only": 0.25}, {}])).tolist() == [[0.25], [0.0]]


def test_where_nothing_is_lost_nothing_is_said_to_be_lost() -> None:
    rng = np.random.default_rng(3)
    graph = drawn.lending(rng, 60)
    sound = graph.own >= 0
    said = network.losses(model(), graph, np.zeros((1, len(graph))))
    assert (said[0, sound] == overlap.clear(graph, np.zeros(len(graph))).loss[0, sound].round(6)).all()


def test_worlds_that_are_told_together_are_each_told_what_they_are_told_alone() -> None:
    held, other = (health("ETH"), health("ETH", "newcomer", 0.2)), (health("ETH", near=3.0),)
    wild = {name: scaled(ladder, 1.7) for name, ladder in LADDERS.items()}
    asked = [
        (three(health=held), LADDERS), (three(health=other), LADDERS), (three(health=held), wild), (three(), wild),
        (three(health=held, peg=0.9), LADDERS), (three(health=(health("ETH", scale=-1.0),)), LADDERS),
    ]  # fmt: skip
    worlds = [World(markets, ladders, addons.contagion(markets, ladders)) for markets, ladders in asked]
    for told in (Contagions(model()), Contagions(None)):
        for (markets, ladders), together in zip(asked, told.forecasts(worlds), strict=True):
            alone = told.forecast(markets, ladders)
            assert {name: of.masked for name, of in together.items()} == {name: of.masked for name, of in alone.items()}
            for name, contagion in together.items():
                assert contagion.addon == pytest.approx(alone[name].addon, abs=FLOAT32)
                assert contagion.rank == pytest.approx(alone[name].rank, abs=FLOAT32)


def test_a_round_that_it_speaks_of_is_marked_as_learnt_and_near_exact_clearing() -> None:
    markets = three(health=(health("ETH"), health("ETH", "newcomer", 0.2)))
    said, exact = Contagions(model()).forecast(markets, LADDERS), Contagions(None).forecast(markets, LADDERS)
    for name, contagion in said.items():
        assert contagion.learned
        assert contagion.masked == ()
        assert contagion.addon == pytest.approx(exact[name].addon, abs=0.002)
        assert contagion.rank == pytest.approx(exact[name].rank, abs=0.02)
