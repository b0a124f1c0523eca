"""Trains `contagion`: distress of every node of an exposure graph, as full clearing would say it.

    MARGRAVE_DATA=DIR PYTHONPATH=node:models python -m train.contagion      (needs torch)

The teacher is `margrave.score.contagion.overlap.clear`; the graphs are drawn at random, of the makes `drawn.SEEN` only
and of up to 120 nodes. The folder's graphs, and the makes `drawn.UNSEEN`, are looked at once, for the card.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
import torch
from torch import Tensor

from margrave.errors import Fatal
from margrave.lab.court.contagion import drawn, found, ranking
from margrave.score.contagion import network, overlap
from margrave.score.registry import Model
from train import dataset, export
from train.contagion_net import BLOCKS, HIDDEN, ROUNDS, Network
from train.export import tensor
from train.pool import command
from train.torch_export import to_onnx

NAME: Final = f"{network.FAMILY}/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.contagion"
SEED: Final = 11
BATCHES: Final = 200
GRAPHS: Final = 10
"""In a batch, of sizes spread evenly in the logarithm."""
NODES: Final = (8, 160)
SCENARIOS: Final = 8
EPOCHS: Final = 14
RATE: Final = 5e-3
LEAST: Final = 1e-3
TOO_FAR: Final = 2.0
INPUTS: Final = ("shock", "nodes", "src", "dst", "stake", "press")
DRAWN_ON: Final = "1970-01-01"
"""No history was trained on: the registry wants a day, and this is before all."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A batch of graphs as one; `down` is what every claim lost where the clearing ends, (nodes, scenarios)."""

    told: tuple[Tensor, ...]
    down: Tensor


def lesson(rng: np.random.Generator) -> Lesson:
    makers = list(drawn.SEEN.values())
    sizes = np.exp(rng.uniform(*np.log(NODES), size=GRAPHS)).astype(int)
    graphs = [makers[int(rng.integers(len(makers)))](rng, int(size)) for size in sizes]
    shock = np.concatenate([drawn.shocked(rng, graph, SCENARIOS) for graph in graphs], axis=1)
    whole = drawn.together(graphs)
    down = 1 - overlap.clear(whole, shock).value
    return Lesson(tensors(network.tensors(whole, shock)), torch.from_numpy(down.T.astype(np.float32)))


def tensors(told: Mapping[str, Any]) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(told[name])) for name in INPUTS)


def trained(lessons: Sequence[Lesson]) -> Network:
    torch.manual_seed(SEED)
    net = Network()
    steps = torch.optim.Adam(net.parameters(), lr=RATE)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(steps, EPOCHS * len(lessons), RATE / 50)
    order = np.random.default_rng(SEED)
    for epoch in range(EPOCHS):
        sum_of = 0.0
        for place in order.permutation(len(lessons)):
            one = lessons[int(place)]
            loss = torch.stack([off(landed, one.down) for landed in net.walked(*one.told)[1]]).sum()
            steps.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            steps.step()
            slower.step()
            sum_of += loss.item()
        print(f"epoch {epoch + 1}/{EPOCHS}, loss {sum_of / len(lessons):.5f}", flush=True)
    return net.eval()


def off(said: Tensor, true: Tensor) -> Tensor:
    """Absolute error, and that of roots: small losses are ordered too. A leap too far counts more than one too short:
    the rounds that follow make up for this one, and may never come back from that."""
    rooted = torch.sqrt(said + LEAST) - torch.sqrt(true + LEAST)
    both = rooted.abs() + (said - true).abs()
    return torch.where(said > true, TOO_FAR * both, both).mean()


def graph_of(net: Network) -> onnx.ModelProto:
    nodes, scenarios = torch.export.Dim("nodes", min=2), torch.export.Dim("scenarios", min=1)
    edges = torch.export.Dim("edges", min=1)
    axes: tuple[dict[int, Any], ...] = (
        {0: nodes, 1: scenarios}, {0: nodes}, {0: edges}, {0: edges}, {0: edges}, {0: edges},
    )  # fmt: skip
    return to_onnx(net, tensors(golden()), INPUTS, ("loss",), axes)


def golden() -> dict[str, Any]:
    """A graph with all that there can be: sales, debts, assets that fall together, cycles."""
    rng = np.random.default_rng(SEED)
    graph = drawn.markets(rng, 40)
    return network.tensors(graph, drawn.shocked(rng, graph, 6))


def metrics(ranked: ranking.Ranked) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for kind, by_method in ranked.scores.items():
        for method in (ranking.NETWORK, ranking.BROKEN_OFF):
            scored = by_method[method]
            told = [
                ("Spearman of losses beyond the shock", scored.beyond), ("mean absolute error of loss", scored.error),
            ]  # fmt: skip
            rows += [
                {"name": name if method == ranking.NETWORK else f"{name}, {method}", "part": kind,
                 "value": float(np.mean(values))}
                for name, values in told
                if values
            ]  # fmt: skip
    return rows


def card(manifest: str, parity: float, rows: Sequence[Mapping[str, Any]], most_nodes: int) -> dict[str, Any]:
    return {
        "name": NAME,
        "title": "Distress through an exposure graph",
        "what": (
            "What every node of a graph of debts, holdings and forced sales loses under a shock, as clearing to the "
            f"fixed point would say it: {BLOCKS * ROUNDS} rounds of message passing with {BLOCKS - 1} learnt leaps "
            "between, of any number of nodes, edges and scenarios."
        ),
        "command": COMMAND,
        "features_version": "exposures-1",
        "trained_from": DRAWN_ON,
        "trained_to": DRAWN_ON,
        "assets": [],
        "left_out": [],
        "data_manifest_sha256": manifest,
        "tolerance": 1e-4,
        "parity": parity,
        "seeds": [SEED],
        "parameters": {
            "blocks": BLOCKS, "rounds_a_block": ROUNDS, "hidden": HIDDEN, "batches": BATCHES, "epochs": EPOCHS,
            "graphs": BATCHES * GRAPHS, "most_nodes_trained": NODES[1], "most_nodes_judged": most_nodes,
        },
        "inputs": [
            tensor("shock", ["nodes", "scenarios"], "share", "of what it has outside, lost at once", 0.0, 1.0,
                   "float32"),
            tensor("nodes", ["nodes", "7"], "share of what it has",
                   "outside, own, claims, priced, forced, and the losses between which it is sold out",
                   -1e3, 1e3, "float32"),
            tensor("src", ["edges"], "place", "whose distress", 0.0, 1e9, "int64"),
            tensor("dst", ["edges"], "place", "hurts whom", 0.0, 1e9, "int64"),
            tensor("stake", ["edges"], "share", "of what the target has", 0.0, 1e3, "float32"),
            tensor("press", ["edges"], "log price", "how far the source falls if the target is sold out", 0.0, 1e3,
                   "float32"),
        ],
        "outputs": [
            tensor("loss", ["nodes", "scenarios"], "share", "of what a node had that is gone", 0.0, 1.0, "float32"),
        ],
        "metrics": rows,
        "limits": [
            "Trained on graphs drawn at random, none of them real: what it knows is the clearing, not the world.",
            "It is no more right than its teacher: liquidations at once, at one depth, by one rule.",
            "Near a tipping point a leap can land beyond it, and say a collapse that does not come, or the reverse.",
            "More debt never lowers a loss in the clearing; here nothing proves it.",
            "Where the clearing settles within a dozen rounds, breaking it off there is as good; the leaps gain where "
            "it does not. Of the folder's graphs it ranks two kinds worse than .95: see the metrics.",
            "Iterating the clearing itself, all scenarios as one array, takes no more than a few times as long.",
        ],
    }  # fmt: skip


def report_of(ranked: ranking.Ranked) -> dict[str, Any]:
    return {
        kind: {
            name: {
                "spearman": float(np.mean(scored.whole)) if scored.whole else None,
                "spearman_beyond_the_shock": float(np.mean(scored.beyond)) if scored.beyond else None,
                "mean_absolute_error": float(np.mean(scored.error)),
            }
            for name, scored in by_method.items()
        }
        for kind, by_method in ranked.scores.items()
    }


def main() -> None:
    torch.set_num_threads(1)
    data, began = dataset.folder(), time.monotonic()
    rng = np.random.default_rng(SEED)
    net = trained([lesson(rng) for _ in range(BATCHES)])
    graph = graph_of(net)
    with torch.no_grad():
        want = {"loss": net(*tensors(golden())).numpy()}
    parity = export.parity(graph, golden(), want)
    if not parity < 1e-5:
        raise Fatal(f"the graph differs from the network by {parity:.0e}", advice="look at the exporter's version")
    manifest = dataset.manifest_hash(data)
    model: Model = export.publish(graph, golden(), card(manifest, parity, [], NODES[1]), {})
    graphs, _ = found.read(data)
    ranked = ranking.ranked(model, graphs, quick=False, say=print, textbook=False)
    most = max(size for sizes in ranked.nodes.values() for size in sizes)
    bare = card(manifest, parity, metrics(ranked), most)
    export.publish(graph, golden(), bare, {"spearman": report_of(ranked)})
    for row in bare["metrics"]:
        print(f"{row['part']:<60} {row['name']:<60} {row['value']:.4f}")
    print(f"wrote {NAME}, parity {parity:.1e}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    command(main)
