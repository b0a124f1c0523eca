"""How hedge/1 is trained, in small: twice the same, better than where it began, and the graph says what torch does."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which the node and its tests do without")

import torch

from margrave.lab.court.hedge.rivals import COSTS
from margrave.score.hedge.served import COLUMNS
from tests.unit.models.test_hedge import series
from train import export, hedge_paths
from train.hedge_learn import Cell, cells, learn, ratios
from train.hedge_net import Bands
from train.torch_export import ROWS, to_onnx

STEPS = 10


def made() -> list[Cell]:
    sold = hedge_paths.sales([series(1_500, seed) for seed in range(3)], 72, 25, "made")
    return cells("made", sold, ((1.0, True), (0.9, False)), COSTS)


def learnt(seed: int) -> tuple[Bands, list[int]]:
    looked: list[int] = []
    return learn(made(), STEPS, seed, lambda step, _: looked.append(step), STEPS // 2), looked


def asked(count: int = 64) -> torch.Tensor:
    rng, low, high = np.random.default_rng(0), (-0.3, 1.0, 0.2, 0.0), (0.3, 720.0, 2.0, 0.005)
    state = rng.normal(0.0, 0.2, (count, len(COLUMNS) - len(low)))
    return torch.tensor(np.column_stack([rng.uniform(low, high, (count, len(low))), state]), dtype=torch.float32)


def test_the_same_hours_and_seed_make_the_same_network_and_another_seed_another() -> None:
    (first, looked), (second, _), (other, _) = learnt(1), learnt(1), learnt(2)
    assert looked == [STEPS // 2, STEPS]
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(first.first.weight, other.first.weight)


def test_learning_leaves_a_smaller_tail_than_where_it_began() -> None:
    before, after = (ratios(net, made()) for net in (Bands(), learnt(1)[0]))
    assert before.keys() == after.keys()
    assert sum(after.values()) < sum(before.values())


@pytest.mark.filterwarnings("ignore::FutureWarning:copyreg")  # torch's exporter, of torch
def test_the_graph_answers_as_the_network_does() -> None:
    pytest.importorskip("onnxscript", reason="torch writes graphs with onnxscript")
    net, columns = learnt(1)[0].eval(), asked()
    net.guarded = True
    graph = to_onnx(net, (columns,), ("columns",), ("lower", "upper"), ({0: ROWS},))
    with torch.no_grad():
        lower, upper = net(columns)
    wanted = {"lower": lower.numpy(), "upper": upper.numpy()}
    assert export.parity(graph, {"columns": columns.numpy()}, wanted) < 1e-5
