"""Trains `correlation/1`: the covariance of all assets 4 and 24 hours ahead, from levels and correlations by age.

The family is `margrave.lab.court.families.correlation.speeds`; this fits its dozen weights once, to the training end,
writes them as a graph in float64 and judges that graph's weights on the months after, on the training assets and on
those left out, against EWMA and DCC fitted up to the same day.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from margrave.lab.court import correlation, history
from margrave.lab.court.correlation import HORIZONS_H, Heard, Leg
from margrave.lab.court.families.correlation import FAMILIES, OURS
from margrave.lab.court.families.correlation.baskets import drawn
from margrave.lab.court.families.correlation.speeds import AGES_H, SPEEDS_H, SpeedsModel, State, Weights, state_of
from margrave.lab.court.panel import Panel, panel_of
from margrave.score.features.catalogue import VERSION
from margrave.spans import HOUR_MS
from train import dataset, export
from train.export import IR_VERSION, OPSET, tensor
from train.pool import ms

Floats = npt.NDArray[np.float64]

NAME: Final = "correlation/1"
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.correlation"
SEED: Final = 1
PAST_H: Final = correlation.PAST_H
BASELINES: Final = ("ewma_094", "ewma_097", "dcc_garch_t")


@dataclass(frozen=True)
class Published:
    """A family that was fitted once."""

    weights: Mapping[int, Weights]
    name: str = "correlation_1"

    def fit(self, past: Panel) -> SpeedsModel:
        return SpeedsModel(past, dict(self.weights))


def main() -> None:
    data = dataset.folder()
    known = [asset for asset in dataset.assets(data) if asset not in dataset.LEFT_OUT]
    training = _whole(data, known, dataset.TRAIN_END, 0)
    model = OURS.fit(training)
    weights = {horizon_h: model.weights(horizon_h) for horizon_h in HORIZONS_H}
    report = {
        part: judged(_whole(data, assets, *dataset.VALIDATION), Published(weights))
        for part, assets in (("test", known), ("test, assets left out", list(dataset.LEFT_OUT)))
    }
    state = state_of(training, np.array([training.hours - 1]), HORIZONS_H[0])
    usual = np.stack([state_of(training, np.array([training.hours - 1]), h).log_usual[0] for h in HORIZONS_H], axis=1)
    golden = {"log_levels": state.levels[0].T, "log_usual": usual, "correlations": state.correlations[0]}
    built = graph(weights)
    said = export.run(built.SerializeToString(), golden)["covariance"]
    parity = float(np.max(np.abs(said - covariance(weights, golden)) / (1 + np.abs(said))))
    evaluation = {"parity": parity, "parts": report}
    found = export.publish(built, golden, _card(weights, training, data, evaluation), evaluation)
    print(f"{found.name}: parity {parity:.1e}", file=sys.stderr)


def covariance(weights: Mapping[int, Weights], inputs: Mapping[str, Floats]) -> Floats:
    """What the graph computes, by the family's own code: (horizons, assets, assets)."""
    parts = []
    for place, horizon_h in enumerate(HORIZONS_H):
        state = State(inputs["log_levels"].T[None], inputs["correlations"][None], inputs["log_usual"][:, place][None])
        deviations = state.deviations(weights[horizon_h])[0]
        parts.append(state.mixed(weights[horizon_h])[0] * np.outer(deviations, deviations))
    return np.stack(parts)


def graph(weights: Mapping[int, Weights]) -> onnx.ModelProto:
    """Inputs `log_levels` (assets, ages), `log_usual` (assets, horizons), `correlations` (speeds and one, assets,
    assets); output `covariance` (horizons, assets, assets). All float64."""
    ages = np.stack([weights[h].ages for h in HORIZONS_H], axis=1)
    speeds = np.stack([weights[h].speeds for h in HORIZONS_H])[:, :, None, None]
    scale = np.array([weights[h].log_scale for h in HORIZONS_H])
    constants: dict[str, npt.NDArray[Any]] = {
        "ages": ages,
        "speeds": speeds,
        "scale": scale,
        "half": np.array(0.5),
        "first": np.array([0], dtype=np.int64),
        "second": np.array([1], dtype=np.int64),
        "third": np.array([2], dtype=np.int64),
    }
    nodes = [
        helper.make_node("MatMul", ["log_levels", "ages"], ["level"]),
        helper.make_node("Add", ["level", "log_usual"], ["ahead"]),
        helper.make_node("Add", ["ahead", "scale"], ["log_variance"]),
        helper.make_node("Mul", ["log_variance", "half"], ["log_deviation"]),
        helper.make_node("Exp", ["log_deviation"], ["by_asset"]),
        helper.make_node("Transpose", ["by_asset"], ["deviation"], perm=[1, 0]),
        helper.make_node("Unsqueeze", ["deviation", "third"], ["column"]),
        helper.make_node("Unsqueeze", ["deviation", "second"], ["row"]),
        helper.make_node("Mul", ["column", "row"], ["scales"]),
        helper.make_node("Unsqueeze", ["correlations", "first"], ["each"]),
        helper.make_node("Mul", ["each", "speeds"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "second"], ["mixed"], keepdims=0),
        helper.make_node("Mul", ["mixed", "scales"], ["covariance"]),
    ]
    ask, double = helper.make_tensor_value_info, TensorProto.DOUBLE
    body = helper.make_graph(
        nodes,
        "correlation",
        [
            ask("log_levels", double, ["assets", len(AGES_H)]),
            ask("log_usual", double, ["assets", len(HORIZONS_H)]),
            ask("correlations", double, [len(SPEEDS_H) + 1, "assets", "assets"]),
        ],
        [ask("covariance", double, [len(HORIZONS_H), "assets", "assets"])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def judged(panel: Panel, ours: Published) -> list[dict[str, Any]]:
    """Losses over the best baseline's, by horizon and loss, with t."""
    leg = Leg(panel, PAST_H, drawn(len(panel.assets), correlation.BASKETS, SEED))
    families = [*(family for family, _ in FAMILIES if family.name in BASELINES), ours]
    rows: list[dict[str, Any]] = []
    for horizon_h in HORIZONS_H:
        heard = Heard()
        correlation.hear(leg, horizon_h, families, heard)
        for loss, by_family in heard.losses.items():
            mean = {name: float(np.concatenate(parts).mean()) for name, parts in by_family.items()}
            best = min(BASELINES, key=mean.__getitem__)
            against, _ = correlation.judged(heard, loss, BASELINES)
            row = next(a for a in against if (a.family, a.other) == (ours.name, best))
            ratio = mean[ours.name] / mean[best]
            rows.append(
                {"loss": loss, "horizon_h": horizon_h, "best": best, "ratio": ratio, "t": row.t, "n": row.times}
            )
    return rows


def _whole(data: Path, assets: list[str], begins: str, ends: str | int) -> Panel:
    """Assets that have every bar from `PAST_H` before a day to another, or to the day itself."""
    panel = panel_of(history.read(data, assets))
    first = (ms(begins) - int(panel.open_ms[0])) // HOUR_MS
    last = first if isinstance(ends, int) else (ms(ends) - int(panel.open_ms[0])) // HOUR_MS
    stretch = panel.between(first - PAST_H, last)
    here = [asset for place, asset in enumerate(stretch.assets) if stretch.present[:, place].all()]
    return stretch.only(here[: correlation.MOST_ASSETS])


def _card(weights: Mapping[int, Weights], training: Panel, data: Path, report: dict[str, Any]) -> dict[str, Any]:
    parameters = {f"log_scale_{h}h": weights[h].log_scale for h in HORIZONS_H}
    for h in HORIZONS_H:
        parameters |= {f"age_{age}_{h}h": float(w) for age, w in zip(AGES_H, weights[h].ages, strict=True)}
        speeds = (*map(str, SPEEDS_H), "mean")
        parameters |= {f"speed_{speed}_{h}h": float(w) for speed, w in zip(speeds, weights[h].speeds, strict=True)}
    shape = [str(len(SPEEDS_H) + 1), "assets", "assets"]

    return {
        "name": NAME,
        "title": "Covariance of several speeds",
        "what": (
            "The covariance of any assets' log returns over the next 4 and 24 hours: range-based volatilities, and a "
            "mean of correlations of four speeds and of one in which all pairs are alike."
        ),
        "command": COMMAND,
        "features_version": VERSION,
        "trained_from": str(np.datetime64(int(training.open_ms[0]), "ms").astype("datetime64[D]")),
        "trained_to": dataset.TRAIN_END,
        "assets": list(training.assets),
        "left_out": list(dataset.LEFT_OUT),
        "data_manifest_sha256": dataset.manifest_hash(data),
        "tolerance": 1e-12,
        "parity": report["parity"],
        "seeds": [SEED],
        "parameters": parameters,
        "inputs": [
            tensor(
                "log_levels", ["assets", str(len(AGES_H))], "log variance an hour",
                f"exponentially weighted range variance, hour of the week taken out, of ages {AGES_H} hours",
                -25.0, 0.0,
            ),
            tensor(
                "log_usual", ["assets", str(len(HORIZONS_H))], "log hours",
                f"what is usual for the {HORIZONS_H} hours ahead, by the hour of the week", -3.0, 6.0,
            ),
            tensor(
                "correlations", shape, "1",
                f"of hourly returns in those units, of ages {SPEEDS_H} hours; the last of the mean of all pairs",
                -1.0, 1.0,
            ),
        ],
        "outputs": [
            tensor(
                "covariance", [str(len(HORIZONS_H)), "assets", "assets"], "squared log return",
                f"over the next {HORIZONS_H} hours", -1.0, 10.0,
            ),
        ],
        "metrics": [
            {
                "name": f"{row['loss']}, {row['horizon_h']} h, ratio to the best of EWMA and DCC",
                "part": part,
                "value": row["ratio"],
                "statistic": f"{row['best']}, DM t {row['t']:.1f}, {row['n']} times",
            }
            for part, rows in report["parts"].items()
            for row in rows
        ],
        "limits": [
            *(
                f"Fitted once, {part}: mean pinball {_mean_ratio(rows):.3f} of the best baseline's; 0.97 is asked."
                for part, rows in report["parts"].items()
            ),
            "Most of its gain over DCC is its volatilities': DCC's correlations on them lose half a per cent.",
            "A covariance, not a law: tails are the caller's, from past standardised outcomes.",
            "Stress correlations are not in it: what happens when all fall together is a question of contagion.",
            "Log returns of a basket are taken as the weighted sum of its assets'.",
        ],
    }  # fmt: skip


def _mean_ratio(rows: list[dict[str, Any]]) -> float:
    return float(np.mean([row["ratio"] for row in rows if row["loss"] != correlation.ENERGY]))


if __name__ == "__main__":
    main()
