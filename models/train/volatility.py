"""volatility/1: the court's pooled regressions, fitted once to the training end and written as one small graph.

    log variance = log usual + mean over regressions of clip(b + ((x - mean) * gate / scale) w)

(`lab.court.families.volatility.pooled`: least squares on logarithms and QLIKE itself, on the last year and on the last
two.) Standardisation is folded into the weights: U = w / scale takes the inputs that are there, V = mean w / scale what
is missing of those that are not, so that an absent input counts as its average. Inputs as a node has them: the market
is BTC and ETH.

    MARGRAVE_DATA=... PYTHONPATH=node:models python -m train.volatility
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from margrave.errors import Fatal
from margrave.lab.court.comparison import diebold_mariano
from margrave.lab.court.families.volatility.pooled import FURTHEST, GATES, PooledModel, Regression, regressions_of
from margrave.lab.court.family import HORIZONS_H
from margrave.lab.court.judge_volatility import FLOOR
from margrave.lab.court.losses import qlike
from margrave.lab.court.panel import Panel
from margrave.score.features import releases
from margrave.score.features.catalogue import VERSION, VOLATILITY_NAMES
from margrave.score.features.volatility import Inputs, Market, inputs_of
from margrave.spans import YEAR_H
from train import dataset, export, judged
from train.har import INPUTS
from train.pool import Pool, command, pool
from train.recursions import LOG_VARIANCE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NAME: Final = "volatility/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.volatility"
GOLDEN_ROWS: Final = 48
LAST_H: Final = 3 * YEAR_H
"""Hours before the end that the inputs of a training are computed from: two years, and what the long level needs."""
GONE: Final = ("implied", "volume", "market", "long")
"""Sources that a node may have to do without; their bits are among the inputs."""

BODY: Final = """
    some = Gather <axis = 1> (columns, first_place)
    nothing = Mul (some, none)
    always = Add (nothing, unit)
    with_always = Concat <axis = 1> (columns, always)
    gates = Gather <axis = 1> (with_always, gate_places)
    there = Mul (columns, gates)
    of_inputs = MatMul (there, inputs_weights)
    of_means = MatMul (gates, means_weights)
    moved = Sub (of_inputs, of_means)
    said = Add (moved, constants)
    above = Max (said, lowest)
    bounded = Min (above, highest)
    relative = MatMul (bounded, shares)
    log_variance = Add (log_usual, relative)
"""


@dataclass(frozen=True, slots=True)
class Fitted:
    model: PooledModel
    inputs: Inputs
    panel: Panel


def fit(training: Panel) -> Fitted:
    """
    Raises:
        Fatal: some horizon has too few hours to learn from.
    """
    panel = training.since(max(0, training.hours - LAST_H))
    inputs = inputs_of(panel, market=Market.LEADERS)
    kept = np.arange(len(VOLATILITY_NAMES))
    found = {horizon_h: regressions_of(panel, inputs, kept, horizon_h) for horizon_h in HORIZONS_H}
    if silent := [horizon_h for horizon_h, regressions in found.items() if not regressions]:
        raise Fatal(
            f"too few hours to learn the next {silent[0]} h from",
            advice="point MARGRAVE_DATA at a folder with a longer history",
        )
    return Fitted(PooledModel(kept, found), inputs, panel)


def graph(model: PooledModel) -> onnx.ModelProto:
    every = [regression for horizon_h in HORIZONS_H for regression in model.regressions[horizon_h]]
    each = [len(model.regressions[horizon_h]) for horizon_h in HORIZONS_H]
    shares = np.repeat(np.eye(len(HORIZONS_H)) / each, each, axis=0)
    made = parser.parse_model(
        f'<ir_version: {export.IR_VERSION}, opset_import: ["" : {export.OPSET}]>\n'
        "volatility (double[batch, columns_n] columns, double[batch, horizons] log_usual)"
        f" => (double[batch, horizons] log_variance) {{ {BODY} }}"
    )
    constants: dict[str, NDArray[Any]] = {
        "first_place": np.array([0]),
        "gate_places": np.array(GATES),
        "none": np.array(0.0),
        "unit": np.array(1.0),
        "inputs_weights": np.stack([_slopes(regression) for regression in every], axis=1),
        "means_weights": np.stack([_slopes(regression) * regression.mean for regression in every], axis=1),
        "constants": np.array([regression.weights[0] for regression in every]),
        "lowest": np.array(-FURTHEST),
        "highest": np.array(FURTHEST),
        "shares": shares,
    }
    made.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return made


def _slopes(regression: Regression) -> Floats:
    return np.asarray(regression.weights[1:] / regression.scale)


def said(model: PooledModel, inputs: dict[str, NDArray[Any]]) -> Floats:
    """log variance (n, HORIZONS_H) as the court's own model has it."""
    relative = [model.log_of(inputs["columns"], horizon_h) for horizon_h in HORIZONS_H]
    return np.asarray(inputs["log_usual"] + np.stack(relative, axis=1))


def golden(fitted: Fitted) -> dict[str, NDArray[Any]]:
    """Rows of the training spread over time and assets, each source masked in some of them."""
    rows = np.linspace(fitted.panel.hours // 2, fitted.panel.hours - 1, 200).astype(np.int64)
    columns, log_usual = fitted.inputs.served(rows)
    there = np.isfinite(columns).all(axis=-1) & np.isfinite(log_usual).all(axis=-1)
    keep = np.linspace(0, int(there.sum()) - 1, GOLDEN_ROWS).astype(np.int64)
    columns, log_usual = columns[there][keep].copy(), log_usual[there][keep]
    for place, source in enumerate(GONE):
        columns[place :: 2 * len(GONE)] = without(columns[place :: 2 * len(GONE)], source)
    return {"columns": np.ascontiguousarray(columns), "log_usual": np.ascontiguousarray(log_usual)}


def without(columns: Floats, source: str) -> Floats:
    """As a node has them when a source is gone: zero under a zero bit."""
    found = columns.copy()
    bit = f"has_{source}"
    masked = [place for place, gate in enumerate(GATES) if gate == VOLATILITY_NAMES.index(bit)]
    found[..., [*masked, VOLATILITY_NAMES.index(bit)]] = 0.0
    return found


def ablations(model: PooledModel, found: Pool, prior: Floats) -> list[dict[str, Any]]:
    """What the loss does when a source is gone, on hours and on all assets after the training end."""
    panel = found.panel.since(max(0, found.end_row - LAST_H // 2))
    panel = panel.only([a for a in panel.assets if a in (*found.assets, *dataset.LEFT_OUT)])
    inputs = inputs_of(panel, market=Market.LEADERS, prior=prior)
    first = int(np.searchsorted(panel.known_ms, found.panel.known_ms[found.end_row]))
    rows: list[dict[str, Any]] = []
    for place, horizon_h in enumerate(HORIZONS_H):
        asked = np.arange(first, panel.hours - horizon_h, horizon_h)
        columns, log_usual = inputs.served(asked)
        realised = np.maximum(panel.realised(horizon_h)[asked], FLOOR)
        there = np.isfinite(realised) & np.isfinite(columns).all(axis=-1) & np.isfinite(log_usual).all(axis=-1)
        if not there.any():
            continue
        at = asked[np.nonzero(there)[0]]
        losses = {
            source: qlike(realised[there], np.exp(log_usual[there][:, place] + model.log_of(seen, horizon_h)))
            for source in ("", *GONE)
            for seen in (without(columns[there], source) if source else columns[there],)
        }
        for source in GONE:
            against = diebold_mariano(losses[source], losses[""], at)
            change = float(losses[source].mean() / losses[""].mean() - 1.0)
            rows.append(_ablation(source, horizon_h, change, f"DM t {against.t:.1f}, {int(there.sum())} pairs"))
    return rows


def _ablation(source: str, horizon_h: int, change: float, statistic: str) -> dict[str, Any]:
    return {"gone": source, "loss": "qlike", "horizon_h": horizon_h, "change": change, "statistic": statistic}


def card(fitted: Fitted, found: Pool, difference: float) -> dict[str, Any]:
    return {
        "name": NAME,
        "title": "Pooled volatility of the next hour, four hours, day and week",
        "what": (
            "Log variance of the returns ahead for any market: what is usual for its level, the hours of the New York "
            "week and the releases ahead, times four regressions on its own past, BTC's and ETH's, and implied "
            "volatility."
        ),
        "command": COMMAND,
        "features_version": VERSION,
        "trained_from": str(np.datetime64(int(fitted.panel.open_ms[0]), "ms").astype("datetime64[D]")),
        "trained_to": dataset.TRAIN_END,
        "assets": list(found.assets),
        "left_out": list(dataset.LEFT_OUT),
        "data_manifest_sha256": dataset.manifest_hash(found.folder),
        "tolerance": 1e-12,
        "parity": difference,
        "seeds": [],
        "horizons_h": list(HORIZONS_H),
        "columns": list(VOLATILITY_NAMES),
        "week_prior": fitted.inputs.factors.pooled.tolist(),
        "parameters": {
            f"{release.value}_{k}h": worth
            for release, worths in releases.USUAL.items()
            for k, worth in enumerate(worths)
        },
        "inputs": INPUTS,
        "outputs": [LOG_VARIANCE],
        "metrics": [],
        "ablations": ablations(fitted.model, found, fitted.inputs.factors.pooled),
        "limits": [
            "It needs four whole weeks of bars without a gap; before, the recursions speak.",
            f"A forecast stays within exp(±{FURTHEST:g}) of what is usual for the hours ahead.",
            "An absent input counts as its average: the ablations say what that costs.",
            "It learnt from assets that live: a coin that fails moves thousands of times what is usual.",
            "Of scheduled releases it knows the FOMC's decisions and the US consumer price index, as far as the lists "
            "in `score.features.releases` go; their worth is that of 2024, and was four times as much in 2022.",
            "Groups that no ablation supported are not among its inputs: funding, negative semivariance, the market "
            "of all assets, the calendar itself (families/volatility/README.md).",
        ],
    }


def main() -> None:
    found = pool(dataset.folder())
    fitted = fit(found.training)
    made, inputs = graph(fitted.model), golden(fitted)
    answered = export.run(made.SerializeToString(), inputs)["log_variance"]
    difference = float(np.abs(np.expm1(answered - said(fitted.model, inputs))).max())
    export.agreeing(NAME, "graph and numpy", difference, 1e-12)
    export.publish(made, inputs, card(fitted, found, difference), {})
    print(f"{NAME}: parity {difference:.1e}", flush=True)
    judged.write([NAME], found)


if __name__ == "__main__":
    command(main)
