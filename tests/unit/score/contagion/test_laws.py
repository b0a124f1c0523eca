"""What holds of every graph: names and units do not matter, and nothing that makes things worse lowers a loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.errors import Rejected
from margrave.lab.court.contagion import drawn
from margrave.score.contagion import debtrank, overlap
from margrave.score.contagion.graph import Drawing, Evidence, Exposures, Floats, NodeKind, shocks
from margrave.verdicts import Rejection

seeds = st.integers(0, 2**31)
makes = st.sampled_from([*drawn.SEEN.values(), *drawn.UNSEEN.values()])
Measure = Callable[[Exposures, Floats], Floats]
measures = st.sampled_from([lambda g, s: overlap.clear(g, s).loss, debtrank.linear, debtrank.first_path])


def edited(graph: Exposures, **changes: Floats) -> Exposures:
    fields = {name: changes.get(name, getattr(graph, name)) for name in ("outside", "owed", "depth", "band")}
    return Exposures(
        graph.names, graph.kinds, fields["outside"], fields["owed"], fields["depth"], graph.forced, fields["band"],
        graph.src, graph.dst, graph.amounts, graph.evidence,
    )  # fmt: skip


@given(seeds, makes, measures, st.integers(6, 40))
@settings(max_examples=40, deadline=None)
def test_relabelling_changes_nothing(seed: int, make: drawn.Maker, measure: Measure, nodes: int) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, nodes)
    shock = drawn.shocked(rng, graph, 2)
    order = rng.permutation(len(graph))
    moved = measure(graph.relabelled(list(order)), shock[:, order])
    assert moved == pytest.approx(measure(graph, shock)[:, order], abs=1e-8)


@given(seeds, makes, measures, st.floats(1e-6, 1e6))
@settings(max_examples=40, deadline=None)
def test_another_unit_of_money_scales_losses_and_nothing_else(
    seed: int, make: drawn.Maker, measure: Measure, factor: float
) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, 20)
    shock = drawn.shocked(rng, graph, 2)
    scaled = graph.scaled(factor)
    assert measure(scaled, shock) == pytest.approx(measure(graph, shock), abs=1e-8)
    there = np.maximum(graph.assets, graph.claims) > 0
    assert scaled.size[there] == pytest.approx(graph.size[there] * factor)


@given(seeds, makes, st.floats(0.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_more_debt_never_lowers_anybody_s_loss(seed: int, make: drawn.Maker, more: float) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, 25)
    shock = drawn.shocked(rng, graph, 3)
    owed = graph.owed + more * rng.random(len(graph)) * graph.size * (~graph.priced)
    assert (overlap.clear(edited(graph, owed=owed), shock).loss >= overlap.clear(graph, shock).loss - 1e-7).all()


@given(seeds, makes, st.floats(0.01, 1.0))
@settings(max_examples=40, deadline=None)
def test_a_thinner_book_never_lowers_anybody_s_loss(seed: int, make: drawn.Maker, factor: float) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, 25)
    shock = drawn.shocked(rng, graph, 3)
    thin = overlap.clear(edited(graph, depth=graph.depth * factor), shock)
    assert (thin.loss >= overlap.clear(graph, shock).loss - 1e-7).all()


@given(seeds, makes, measures, st.floats(0.0, 1.0))
@settings(max_examples=40, deadline=None)
def test_a_larger_shock_never_lowers_anybody_s_loss(
    seed: int, make: drawn.Maker, measure: Measure, share: float
) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, 25)
    shock = drawn.shocked(rng, graph, 3)
    assert (measure(graph, shock) >= measure(graph, shock * share) - 1e-7).all()


def test_a_node_apart_keeps_its_own_loss_and_passes_none_on() -> None:
    draw = Drawing()
    for name in ("a", "b", "alone"):
        draw.node(name, NodeKind.VENUE, outside=10.0, owed=5.0)
    draw.edge("a", "b", 3.0, Evidence.BORROWED)
    graph = draw.done()
    found = overlap.clear(graph, shocks(graph, [{"alone": 1.0}]))
    assert found.loss[0].tolist() == [0.0, 0.0, 1.0]


def test_a_graph_of_nothing_and_one_without_edges_have_answers() -> None:
    assert overlap.clear(Drawing().done(), np.zeros((1, 0))).loss.shape == (1, 0)
    draw = Drawing()
    draw.node("only", NodeKind.ASSET, outside=1.0)
    graph = draw.done()
    assert overlap.clear(graph, np.array([0.25])).loss == np.array([[0.25]])


def test_edges_of_the_same_ends_and_evidence_are_added_and_counted() -> None:
    draw = Drawing()
    draw.node("a", NodeKind.ASSET, outside=1.0)
    draw.node("b", NodeKind.PROTOCOL)
    draw.edge("a", "b", 1.0, Evidence.POOLED)
    draw.edge("a", "b", 2.0, Evidence.POOLED)
    draw.edge("a", "b", 4.0, Evidence.WRAPPED)
    graph = draw.done()
    assert (graph.merged, graph.amounts.tolist(), graph.assets[1]) == (1, [3.0, 4.0], 7.0)


@pytest.mark.parametrize("usd", [-1.0, float("nan"), float("inf")])
def test_an_edge_that_is_no_amount_is_refused_with_its_ends(usd: float) -> None:
    draw = Drawing()
    draw.node("a", NodeKind.VENUE)
    draw.node("b", NodeKind.VENUE)
    draw.edge("a", "b", usd, Evidence.BORROWED)
    with pytest.raises(Rejected, match="a -> b"):
        draw.done()


def test_who_owes_itself_and_an_edge_to_nobody_are_refused() -> None:
    itself, nobody = Drawing(), Drawing()
    for draw in (itself, nobody):
        draw.node("a", NodeKind.VENUE)
    itself.edge("a", "a", 1.0, Evidence.BORROWED)
    with pytest.raises(Rejected, match="itself"):
        itself.done()
    nobody.edge("a", "new", 1.0, Evidence.BORROWED)
    with pytest.raises(Rejected, match="nobody described"):
        nobody.done()


@pytest.mark.parametrize(("share", "nodes"), [(-0.1, 2), (1.5, 2), (float("nan"), 2), (0.1, 3)])
def test_a_shock_that_is_no_share_is_refused(share: float, nodes: int) -> None:
    draw = Drawing()
    draw.node("a", NodeKind.VENUE)
    draw.node("b", NodeKind.VENUE)
    with pytest.raises(Rejected) as refused:
        overlap.clear(draw.done(), np.full(nodes, share))
    assert refused.value.reason in (Rejection.OUT_OF_RANGE, Rejection.MALFORMED)
