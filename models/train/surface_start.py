"""Trains `surface_start`: SSVI's six numbers out of a chain's cells in one pass, where the polish begins.

    MARGRAVE_DATA=DIR PYTHONPATH=node:models python -m train.surface_start      (needs torch)

Chains are simulated: strikes, expiries and spreads of a real chain up to `TRAINED_TO`, any share of it missing; a
surface drawn from the real fits' own distribution, spread half as wide again; noise of the size that SSVI leaves.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
from numpy.typing import NDArray

from margrave.lab.court import chains
from margrave.lab.court.families.surface import cells, starting
from margrave.lab.court.families.surface.cells import Shot
from margrave.score import surface
from margrave.score.surface import Sample
from train import dataset, export
from train.export import publish, tensor
from train.pool import command
from train.surface_prior import TRAINED_FROM, TRAINED_TO

Floats = NDArray[np.float64]

NAME: Final = f"{starting.FAMILY}/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.surface_start"
SEED: Final = 3
SIMULATED: Final = 24_000
CHECKED: Final = 2_000
HIDDEN: Final = 64
EPOCHS: Final = 60
BATCH: Final = 256
WIDER: Final = 1.5
LEAST_KEPT: Final = 0.1
NOISE: Final = 0.03
"""Relative, of one quote: what SSVI leaves of real smiles."""
REACH: Final = 6.0
"""Standard deviations of the drawn points within which the answer stays."""


@dataclass(frozen=True, slots=True)
class Points:
    """Where real fits lie in R^6, after the level is taken out of the first three."""

    mean: Floats
    root: Floats
    """(6, 6), of the covariance, widened."""


def relative(x: Floats, level: float) -> Floats:
    """Of a point of R^6: its first number less ln of the level, the next two less twice that."""
    return np.asarray(x - np.log(level) * LEVELS)


LEVELS: Final = np.array([1.0, 2.0, 2.0, 0.0, 0.0, 0.0])


def points(shots: Sequence[Shot]) -> Points:
    rows = np.stack([relative(surface.start(s.sample, s.surface), level_of(s.sample)) for s in shots])
    covariance = np.cov(rows.T) * WIDER**2 + 1e-3 * np.eye(6)
    return Points(rows.mean(axis=0), np.linalg.cholesky(covariance))


def level_of(sample: Sample) -> float:
    return float(np.exp(starting.cells_in(sample)[0]))


def simulated(shots: Sequence[Shot], count: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """(cells (count, 85), points less their level (count, 6))."""
    drawn = points(shots)
    inputs, answers = [], []
    while len(inputs) < count:
        sample = shots[int(random.integers(len(shots)))].sample
        kept = random.random(len(sample.vol)) < random.uniform(LEAST_KEPT, 1.0)
        if kept.sum() < surface.MIN_QUOTES or len(np.unique(sample.years[kept])) < 2:
            continue
        part = cells.part(sample, kept)
        x = drawn.mean + drawn.root @ random.standard_normal(6)
        truth = surface.published(x + np.log(level_of(sample)) * LEVELS, part, 0.0)
        vol = surface.vols(truth, part.log_moneyness, part.years)
        noisy = vol * np.exp(NOISE * random.standard_normal(len(vol)))
        made = replace(part, vol=noisy)
        found = starting.cells_in(made)
        inputs.append(found)
        answers.append(relative(surface.start(made, truth), float(np.exp(found[0]))))
    return np.array(inputs), np.array(answers)


def trained(inputs: Floats, answers: Floats) -> dict[str, Floats]:
    """Weights of the network, by name; torch is needed here only."""
    import torch

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    centre, scale = answers.mean(axis=0), answers.std(axis=0)
    x = torch.tensor(inputs, dtype=torch.float32)
    y = torch.tensor((answers - centre) / scale, dtype=torch.float32)
    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.Tanh(),
        torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.Tanh(),
        torch.nn.Linear(HIDDEN, 6),
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    order = np.random.default_rng(SEED)
    for epoch in range(EPOCHS):
        for rows in np.array_split(order.permutation(len(x)), max(len(x) // BATCH, 1)):
            optimiser.zero_grad()
            loss = torch.nn.functional.smooth_l1_loss(net(x[rows]), y[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: {loss.item():.4f}", flush=True)
    layers = [net[0], net[2], net[4]]
    named = {f"w{i}": layer.weight.detach().double().numpy().T for i, layer in enumerate(layers)}
    named |= {f"b{i}": layer.bias.detach().double().numpy() for i, layer in enumerate(layers)}
    return {**named, "centre": centre, "scale": scale, "levels": LEVELS}


def answer(weights: Mapping[str, Floats], inputs: Floats) -> Floats:
    """What the graph computes: points of R^6, shape (n, 6)."""
    hidden = np.tanh(np.tanh(inputs @ weights["w0"] + weights["b0"]) @ weights["w1"] + weights["b1"])
    told = np.clip(hidden @ weights["w2"] + weights["b2"], -REACH, REACH)
    return np.asarray(told * weights["scale"] + weights["centre"] + inputs[:, :1] * weights["levels"])


def graph(weights: Mapping[str, Floats]) -> onnx.ModelProto:
    body = f"""
        <ir_version: {export.IR_VERSION}, opset_import: ["" : {export.OPSET}]>
        surface_start (double[batch, eighty_five] cells) => (double[batch, six] point)
        {{
            first = Constant <value_ints: ints = [1]> ()
            a0 = MatMul (cells, w0)
            a1 = Add (a0, b0)
            a2 = Tanh (a1)
            a3 = MatMul (a2, w1)
            a4 = Add (a3, b1)
            a5 = Tanh (a4)
            a6 = MatMul (a5, w2)
            a7 = Add (a6, b2)
            told = Clip (a7, low, high)
            scaled = Mul (told, scale)
            centred = Add (scaled, centre)
            level = Slice (cells, zero_i, one_i, first)
            raised = Mul (level, levels)
            point = Add (centred, raised)
        }}
    """
    model = onnx.parser.parse_model(body)
    constants: dict[str, NDArray[Any]] = {
        **weights, "low": np.array(-REACH), "high": np.array(REACH), "zero_i": np.array([0]), "one_i": np.array([1]),
    }  # fmt: skip
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


def card(known: Mapping[str, Sequence[Shot]], manifest: str, checked: float, parity: float) -> dict[str, Any]:
    days = [
        str(np.datetime64(s[i].as_of_ms, "ms").astype("datetime64[D]")) for s in known.values() if s for i in (0, -1)
    ]
    shape = ["batch", str(1 + 2 * 6 * cells.COLUMNS)]
    return {
        "name": NAME,
        "title": "Where the calibration of a chain begins",
        "what": "Six unconstrained numbers of an SSVI surface from a chain's cells in one pass; to be polished.",
        "command": COMMAND,
        "horizon_s": 0,
        "features_version": "surface-cells-1",
        "trained_from": min(days),
        "trained_to": max(days),
        "assets": [asset for asset, shots in known.items() if shots],
        "left_out": [],
        "data_manifest_sha256": manifest,
        "tolerance": 1e-12,
        "parity": parity,
        "seeds": [SEED],
        "parameters": {"wider": WIDER, "noise": NOISE, "rmse_simulated": checked},
        "inputs": [tensor("cells", shape, "ln of ratios, and masks", "families.surface.starting.cells_in", -4.0, 4.0)],
        "outputs": [tensor("point", ["batch", "6"], "unconstrained", "of score.surface's R^6", -50.0, 50.0)],
        "metrics": [],
        "limits": [
            "A start, not an answer: its surface alone is off by several volatility points.",
            "The node does not use it: it has the last surface, from which the same polish takes no longer.",
        ],
    }


def main() -> None:
    data, began = dataset.folder(), time.monotonic()
    first, until = (int(day.timestamp() * 1000) for day in (TRAINED_FROM, TRAINED_TO))
    shots = {asset: cells.shots(found)[0] for asset, found in chains.read(data).by_asset.items()}
    known = {asset: [s for s in found if first <= s.as_of_ms < until] for asset, found in shots.items()}
    random = np.random.default_rng(SEED)
    every = [shot for found in known.values() for shot in found]
    weights = trained(*simulated(every, SIMULATED, random))
    inputs, answers = simulated(every, CHECKED, random)
    told = answer(weights, inputs) - inputs[:, :1] * LEVELS
    checked = float(np.sqrt(np.mean(((told - answers) / weights["scale"]) ** 2)))
    parity = export.parity(graph(weights), {"cells": inputs}, {"point": answer(weights, inputs)})
    bare = card(known, dataset.manifest_hash(data), checked, parity)
    model = publish(graph(weights), {"cells": inputs[:16]}, bare, {})
    rows = starting.started(shots, model)
    report = {"calibrators": [{k: getattr(row, k) for k in row.__slots__} for row in rows], "rmse_simulated": checked}
    metrics = [
        {"name": f"{what}, {row.name}, {row.quotes} quotes", "part": f"{row.chains} later chains", "value": value}
        for row in rows
        for what, value in (("share of chains that end worse than the best", row.worse), ("ms", row.milliseconds))
    ]
    publish(graph(weights), {"cells": inputs[:16]}, bare | {"metrics": metrics}, report)
    for row in rows:
        print(row)
    print(f"wrote {NAME}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    command(main)
