"""Finds the shares of `surface_forecast`: how far the surface's summary goes which way in a day and in a week.

    MARGRAVE_DATA=DIR PYTHONPATH=node:models python -m train.surface_forecast

For each quantity and horizon a share of at most two ways that lowers the error in both halves of the history, or none:
then the last surface is the forecast, and the card says so. The search is that of the court's own family, which shows
what it is worth when it is made anew each day on the past alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
from numpy.typing import NDArray

from margrave.lab.court import chains
from margrave.lab.court.families.surface import cells, forecasting
from margrave.lab.court.families.surface.forecasting import FITTED, Ahead, Last, Pairs, Searched
from margrave.lab.court.families.surface.indicators import HORIZONS_DAYS, Indicators, indicators
from margrave.score.surface_forecast import QUANTITIES, RECENT_DAYS, WAYS
from train import dataset, export
from train.export import publish, tensor
from train.pool import command

Floats = NDArray[np.float64]

NAME: Final = "surface_forecast/1"
FIRST_MS: Final = int(datetime(2025, 12, 30, tzinfo=UTC).timestamp() * 1000)
"""Single chains of earlier years are no series."""
LEAST_CHAINS: Final = 40
COMMAND: Final = "MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.surface_forecast"


def graph(found: Floats) -> onnx.ModelProto:
    """Changes (n, 2) from ways (n, WAYS) and a one-hot quantity (n, 3); `found` of shape (3, WAYS, 2)."""
    body = f"""
        <ir_version: {export.IR_VERSION}, opset_import: ["" : {export.OPSET}]>
        surface_forecast (double[batch, five] ways, double[batch, three] quantity) => (double[batch, two] change)
        {{
            last = Constant <value_ints: ints = [2]> ()
            rows = Constant <value_ints: ints = [1]> ()
            flat = MatMul (quantity, shares)
            shaped = Reshape (flat, shape)
            column = Unsqueeze (ways, last)
            parts = Mul (shaped, column)
            change = ReduceSum <keepdims = 0> (parts, rows)
        }}
    """
    model = onnx.parser.parse_model(body)
    constants = {
        "shares": found.reshape(len(QUANTITIES), -1),
        "shape": np.array([-1, len(WAYS), len(HORIZONS_DAYS)], dtype=np.int64),
    }
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


def fitted(series: list[Indicators]) -> Floats:
    """Shape (QUANTITIES, WAYS, HORIZONS)."""
    found = np.zeros((len(QUANTITIES), len(WAYS), len(HORIZONS_DAYS)))
    for row, quantity in enumerate(QUANTITIES):
        for place, horizon in enumerate(HORIZONS_DAYS):
            pairs = forecasting.pairs(series, quantity, horizon)
            found[row, :, place] = forecasting.shares(pairs, np.isfinite(pairs.outcome))
    return found


def report(series: list[Indicators], found: Floats) -> dict[str, Any]:
    """RMSE over the last surface's: in-sample of the shares, walking forward of the rule and of the others."""
    told: dict[str, Any] = {}
    for row, quantity in enumerate(QUANTITIES):
        for place, horizon in enumerate(HORIZONS_DAYS):
            pairs = forecasting.pairs(series, quantity, horizon)
            base = rmse(pairs, Last().forecast(pairs))
            rows = {"last surface, vol points": 100 * base}
            rows["in-sample"] = rmse(pairs, pairs.last + pairs.ways @ found[row, :, place]) / base
            for each in (Ahead(), *FITTED, Searched()):
                rows[each.name] = rmse(pairs, each.forecast(pairs)) / base
            told[f"{quantity}, {horizon} d"] = rows
    return told


def rmse(pairs: Pairs, said: Floats) -> float:
    return float(np.sqrt(np.nanmean((said - pairs.outcome) ** 2)))


def card(found: Floats, series: list[Indicators], told: dict[str, Any], manifest: str) -> dict[str, Any]:
    days = [str(np.datetime64(int(t), "ms").astype("datetime64[D]")) for s in series for t in s.as_of_ms[[0, -1]]]
    still = [
        f"{quantity} at {horizon} d"
        for row, quantity in enumerate(QUANTITIES)
        for place, horizon in enumerate(HORIZONS_DAYS)
        if not found[row, :, place].any()
    ]
    return {
        "name": NAME,
        "title": "Where at-the-money volatility, skew and term slope go",
        "what": (
            "Changes of the at-the-money volatility, of the skew of 25 % delta and of the slope to the next tenor over "
            "one day and seven: shares of the ways to what the chain itself says lies ahead, to the recent mean and, "
            "where the term structure is inverted, to the long mean."
        ),
        "command": COMMAND,
        "horizon_s": 86_400,
        "features_version": "surface-ways-1",
        "trained_from": min(days),
        "trained_to": max(days),
        "assets": [s.asset for s in series],
        "left_out": [],
        "data_manifest_sha256": manifest,
        "tolerance": 1e-12,
        "seeds": [],
        "parameters": {
            "recent_half_life_days": RECENT_DAYS,
            **{
                f"{quantity}_{horizon}d_{way}": float(found[row, column, place])
                for row, quantity in enumerate(QUANTITIES)
                for place, horizon in enumerate(HORIZONS_DAYS)
                for column, way in enumerate(WAYS)
                if found[row, column, place]
            },
        },
        "inputs": [
            tensor(
                "ways",
                ["batch", str(len(WAYS))],
                "volatility",
                "score.surface_forecast.ways, in order: " + ", ".join(WAYS),
                -2.0,
                2.0,
            ),
            tensor("quantity", ["batch", str(len(QUANTITIES))], "one of three is 1", ", ".join(QUANTITIES), -2.0, 2.0),
        ],
        "outputs": [
            tensor("change", ["batch", "2"], "volatility", "expected change in one day and in seven", -2.0, 2.0)
        ],
        "metrics": [
            {
                "name": f"RMSE ratio, {of}, {name}",
                "part": "2025-12-30 to 2026-02-28" + (", in-sample" if name == "in-sample" else ", walking forward"),
                "value": float(value),
            }
            for of, rows in told.items()
            for name, value in rows.items()
            if name in ("in-sample", Searched().name)
        ],
        "limits": [
            *([f"The last surface is the forecast, because nothing beat it: {', '.join(still)}."] if still else []),
            "Two months of two assets with one crisis in the middle: the shares at 7 d rest on that crisis, and on the "
            "weeks before it no way was better than the last surface by more than a hundredth.",
            "The shares were found on all of that history: their own figures there are in-sample, and what the same "
            "search is worth on the past alone stands beside them.",
            "It says nothing of tenors below 7 or above 90 days.",
        ],
    }


def main() -> None:
    data = dataset.folder()
    series = [
        indicators(seen)
        for found in chains.read(data).by_asset.values()
        if len(seen := cells.shots([c for c in cells.regular(found) if c.as_of_ms >= FIRST_MS])[0]) >= LEAST_CHAINS
    ]
    found = fitted(series)
    told = report(series, found)
    for of, rows in told.items():
        print(of, {name: round(value, 3) for name, value in rows.items()})
    golden = {
        "ways": np.random.default_rng(0).normal(0, 0.05, (12, len(WAYS))),
        "quantity": np.tile(np.eye(len(QUANTITIES)), (4, 1)),
    }
    want = np.einsum("nw,nwh->nh", golden["ways"], found[golden["quantity"].argmax(axis=1)])
    full = card(found, series, told, dataset.manifest_hash(data))
    publish(graph(found), golden, full | {"parity": export.parity(graph(found), golden, {"change": want})}, told)
    print(f"wrote {NAME}")


if __name__ == "__main__":
    command(main)
