"""Clearing and DebtRank on published and hand-worked systems, and the laws that hold of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from margrave.errors import Rejected
from margrave.lab.court.contagion import drawn
from margrave.score.contagion import debtrank, overlap
from margrave.score.contagion.clearing import cleared, of_graph
from margrave.score.contagion.graph import Drawing, Evidence, Exposures, NodeKind

seeds = st.integers(0, 2**31)
makes = st.sampled_from([*drawn.SEEN.values(), *drawn.UNSEEN.values()])
debts = st.sampled_from([drawn.debtors, drawn.core, drawn.hubs, drawn.rings])


def owing(*edges: tuple[str, str, float], means: dict[str, float], owed: dict[str, float] | None = None) -> Exposures:
    draw = Drawing()
    for name, usd in means.items():
        draw.node(name, NodeKind.VENUE, outside=usd, owed=(owed or {}).get(name, 0.0))
    for src, dst, usd in edges:
        draw.edge(src, dst, usd, Evidence.BORROWED)
    return draw.done()


# --- Eisenberg and Noe ------------------------------------------------------------------------------------------------


def test_of_all_clearing_vectors_the_greatest_is_found() -> None:
    """Eisenberg and Noe's example of many: two who owe each other one and have nothing. Any (t, t) clears."""
    found = cleared(np.array([[0.0, 1.0], [1.0, 0.0]]), np.zeros(2))
    assert found.paid == pytest.approx([1.0, 1.0])
    assert not found.defaulted.any()


def test_a_chain_of_defaults_is_worked_by_hand_wave_by_wave() -> None:
    """A owes B 10 and has 4; B owes C 8 and has 2; C owes D 5 and has 1. A pays 4, B 6, C all 5 of its 7."""
    graph = owing(("A", "B", 10), ("B", "C", 8), ("C", "D", 5), means={"A": 4.0, "B": 2.0, "C": 1.0, "D": 0.0})
    found = of_graph(graph, np.zeros(4))
    assert found.paid == pytest.approx([4.0, 6.0, 5.0, 0.0])
    assert found.defaulted.tolist() == [True, True, False, False]
    assert found.waves == 2


def test_a_cycle_of_three_is_worked_by_hand() -> None:
    """Each owes the next 12; A has 3 and owes 3 to nobody here, B and C have nothing: a default of A's comes round.

    x = A's payment of what it owes in all: x = 3 + y, of which 12/15 go to B, who passes it on whole, and so does C:
    x = 3 + 0.8 x, x = 15. All pay. With 2 instead of 3: x = 2 + 0.8 x = 10, so two thirds.
    """
    edges = (("A", "B", 12.0), ("B", "C", 12.0), ("C", "A", 12.0))
    whole = of_graph(owing(*edges, means={"A": 3.0, "B": 0.0, "C": 0.0}, owed={"A": 3.0}), np.zeros(3))
    assert not whole.defaulted.any()
    short = of_graph(owing(*edges, means={"A": 2.0, "B": 0.0, "C": 0.0}, owed={"A": 3.0}), np.zeros(3))
    assert short.ratio == pytest.approx([2 / 3, 2 / 3, 2 / 3])


def test_a_default_that_costs_something_takes_more_than_one_that_does_not() -> None:
    """Rogers and Veraart: A owes B 10 and has 8; half of it is left to who defaults."""
    liabilities = np.array([[0.0, 10.0], [0.0, 0.0]])
    assert cleared(liabilities, np.array([8.0, 0.0])).paid[0] == pytest.approx(8.0)
    assert cleared(liabilities, np.array([8.0, 0.0]), of_means=0.5).paid[0] == pytest.approx(4.0)


@given(seeds, debts, st.integers(3, 25))
@settings(max_examples=30, deadline=None)
def test_the_clearing_vector_is_the_linear_programme_s(seed: int, make: drawn.Maker, nodes: int) -> None:
    """Eisenberg and Noe, lemma 4: it is the largest total payment that nobody's means forbid."""
    rng = np.random.default_rng(seed)
    graph = make(rng, nodes)
    shock = drawn.shocked(rng, graph, 1)[0]
    assume(graph.claims.max() > 0)
    liabilities = np.zeros((len(graph), len(graph)))
    np.add.at(liabilities, (graph.dst, graph.src), graph.amounts / graph.claims[graph.src])
    limits, means = graph.claims / graph.claims.max(), graph.outside * (1 - shock) / graph.claims.max()
    bounds = [(0.0, float(limit)) for limit in limits]
    best = linprog(-np.ones(len(graph)), A_ub=np.eye(len(graph)) - liabilities, b_ub=means, bounds=bounds)
    assert of_graph(graph, shock).paid / graph.claims.max() == pytest.approx(best.x, abs=1e-7)


@pytest.mark.parametrize(
    ("liabilities", "means"),
    [
        ([[0, -1], [0, 0]], [1, 1]),
        ([[0, 1], [0, 0]], [1, np.nan]),
        ([[1, 1], [0, 0]], [1, 1]),
        ([[0, 1], [0, 0]], [-1, 1]),
    ],
)
def test_debts_that_are_none_are_refused(liabilities: list[list[float]], means: list[float]) -> None:
    with pytest.raises(Rejected):
        cleared(np.array(liabilities, dtype=float), np.array(means, dtype=float))


# --- forced sales -----------------------------------------------------------------------------------------------------


def test_a_forced_sale_is_worked_by_hand() -> None:
    """100 of coins against a debt of 80 to a pool; sold out between falls of 10 and 30 %; the e-fold depth is 160.

    The coin falls by s and then by what is sold: 80 of the 100 cover the debt, so all sold is exp(-80 / 160).
    At a fall of 10 % nothing is sold. Above 30 % everything is: value = 0.6 exp(-0.5), and the pool loses what the
    coins lack of 80.
    """
    draw = Drawing()
    draw.node("coin", NodeKind.ASSET, outside=1_000.0, depth=160.0)
    draw.node("account", NodeKind.ACCOUNTS, band=(0.1, 0.3))
    draw.node("pool", NodeKind.PROTOCOL)
    draw.edge("coin", "account", 100.0, Evidence.COLLATERAL)
    draw.edge("account", "pool", 80.0, Evidence.BORROWED)
    graph = draw.done()
    shock = np.array([[0.1, 0.0, 0.0], [0.4, 0.0, 0.0]])
    found = overlap.clear(graph, shock)
    assert found.settled
    assert found.loss[0] == pytest.approx([0.1, 0.1, 0.0], abs=1e-9)
    value = 0.6 * np.exp(-0.5)
    assert found.loss[1] == pytest.approx([1 - value, 1 - value, 1 - 100 * value / 80], abs=1e-9)


@given(seeds, makes, st.integers(8, 40))
@settings(max_examples=30, deadline=None)
def test_iteration_ends_where_the_textbook_s_way_ends(seed: int, make: drawn.Maker, nodes: int) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, nodes)
    shock = drawn.shocked(rng, graph, 2)
    at_once = overlap.clear(graph, shock)
    for row, losses in zip(shock, at_once.loss, strict=True):
        assert overlap.settle(graph, row).loss[0] == pytest.approx(losses, abs=1e-6)


@given(seeds, debts, st.integers(3, 30))
@settings(max_examples=30, deadline=None)
def test_without_prices_it_is_eisenberg_and_noe_s(seed: int, make: drawn.Maker, nodes: int) -> None:
    rng = np.random.default_rng(seed)
    graph = make(rng, nodes)
    shock = drawn.shocked(rng, graph, 1)
    assert overlap.clear(graph, shock).value[0] == pytest.approx(of_graph(graph, shock[0]).ratio, abs=1e-7)


# --- DebtRank ---------------------------------------------------------------------------------------------------------


def test_debtrank_of_a_chain_and_of_a_cycle_is_worked_by_hand() -> None:
    """Means of 10 each; A owes B 4, B owes C 5, C owes A 2. A is hit by 50 %: B's distress is 0.2, C's 0.1.

    On the first path 0.02 returns to A and goes no further. Linear DebtRank goes on: the rounds are a geometric sum
    with ratio 0.4 * 0.5 * 0.2 = 0.04.
    """
    owed = {"A": 10.0, "B": 5.0, "C": 13.0}
    graph = owing(("A", "B", 4), ("B", "C", 5), ("C", "A", 2), means={"A": 22.0, "B": 16.0, "C": 20.0}, owed=owed)
    assert graph.own == pytest.approx([10.0, 10.0, 10.0])
    shock = np.array([5 / 22, 0.0, 0.0])
    assert debtrank.first_path(graph, shock)[0] == pytest.approx([0.52, 0.2, 0.1])
    assert debtrank.linear(graph, shock)[0] == pytest.approx(np.array([0.5, 0.2, 0.1]) / 0.96)
    began = debtrank.began(graph, shock)
    weights = graph.size / graph.size.sum()
    found = debtrank.ranked(graph, debtrank.first_path(graph, shock), began)
    assert found[0] == pytest.approx(0.02 * weights[0] + 0.2 * weights[1] + 0.1 * weights[2])


@given(seeds, debts, st.integers(3, 30), st.floats(1.0, 5.0))
@settings(max_examples=30, deadline=None)
def test_thinner_means_never_lower_debtrank(seed: int, make: drawn.Maker, nodes: int, factor: float) -> None:
    """Every claim grows against the means that stand behind it."""
    rng = np.random.default_rng(seed)
    graph = make(rng, nodes)
    hit = np.zeros(len(graph))
    hit[int(rng.integers(len(graph)))] = 1.0
    less = Exposures(
        graph.names, graph.kinds, graph.outside, graph.owed + graph.own.clip(0) * (1 - 1 / factor), graph.depth,
        graph.forced, graph.band, graph.src, graph.dst, graph.amounts, graph.evidence,
    )  # fmt: skip
    assert (debtrank.linear(less, hit) >= debtrank.linear(graph, hit) - 1e-9).all()
