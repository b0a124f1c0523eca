"""HAR as models of the registry: one regression for every market, in units of what is usual for it.

* har_wls/1: the mean squared returns of the last 1, 4, 24, 168 and 672 hours (Corsi 2009), by weighted least squares
  with the square of the forecast as the errors' scale (Patton and Sheppard 2015);
* log_har/1: logarithms of the range variances of hourly-2, which are divided by the hour-of-week factor, brought back
  to the mean of the squared returns;
* diurnal_lhar_iv/1: the same ranges, not their logarithms, with the falls behind (Corsi and Reno 2012) and implied
  variance: the court's strongest baseline, as far as it can be pooled.

The court's fourth, LHAR+IV without the hour of the week, has no pooled form of its own here: it is diurnal_lhar_iv/1
with less. Graphs are float64; what is absent is zero, and the weights of the line without implied variance are used
where there is none.

    MARGRAVE_DATA=... PYTHONPATH=node:models python -m train.har [NAME ...]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.lab.court.families.registered_inputs import Pairs, returns
from margrave.lab.court.families.volatility.har import NARROWEST, WIDEST, _solved
from margrave.lab.court.family import HORIZONS_H
from margrave.lab.court.panel import Panel
from margrave.score import features
from margrave.score.features.catalogue import VERSION, VOLATILITY_NAMES
from margrave.score.features.volatility import Inputs, Market, inputs_of
from train import dataset, export, judged
from train.har_graph import FALLS, IMPLIED, LEVERAGE_BODY, LOG_BODY, RANGES, WINDOWS_H, Spec, graph, guess_weights
from train.pool import Pool, command, pool
from train.recursions import INPUTS as RETURN_INPUTS
from train.recursions import LOG_VARIANCE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STRIDE_H: Final = 5
"""Every so many hours are trained on: five divides neither a day nor a week."""
RETURNS_STRIDE_H: Final = 25
"""And of a model that is given 672 returns a row."""
LEAST_PAIRS: Final = 1_000
GOLDEN_ROWS: Final = 24
NO_LESS: Final = 1e-6
MOST_UNUSUAL: Final = 50.0
"""Times what is usual. An hour of a coin that fails is thousands of times that, and one such hour would be the line."""
TRAIN_H: Final = 26_280
"""Three years."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Training or golden rows, and what came: variances ahead (n, HORIZONS_H), squared returns and range."""

    inputs: dict[str, NDArray[Any]]
    realised: Floats
    ranged: Floats


def build(spec: Spec, rows: Rows) -> tuple[onnx.ModelProto, Floats]:
    """(graph, weights (lines, horizons, k)): of two lines the second has no implied variance."""
    weights = fit(spec, rows)
    return graph(spec, weights), weights


# --- rows -------------------------------------------------------------------------------------------------------------


def gather(spec: Spec, panel: Panel, made: Inputs, rows: Ints, least: int = LEAST_PAIRS) -> Rows:
    """Of every peer at the rows.

    Raises:
        Fatal: they are fewer than `least`.
    """
    there = made.peers[rows] & (panel.age_h[rows] > features.LONG_H)
    ahead = [(panel.realised(h)[rows], _range_ahead(made.ranges, h)[rows]) for h in HORIZONS_H]
    for realised, ranged in ahead:
        there = there & np.isfinite(realised) & np.isfinite(ranged)
    if spec.columns:
        columns, log_usual = made.served(rows)
        columns = columns[..., [VOLATILITY_NAMES.index(name) for name in spec.columns]]
        there = there & np.isfinite(columns).all(axis=-1) & np.isfinite(log_usual).all(axis=-1)
        given = {"columns": columns[there], "log_usual": log_usual[there]}
    else:
        at, assets = np.nonzero(there)
        _, given = returns(None, panel, Pairs(rows[at], assets.astype(np.int64)))
    realised, ranged = (np.stack([part[which][there] for part in ahead], axis=1) for which in (0, 1))
    if len(realised) < least:
        raise Fatal(
            f"{len(realised)} hours to train {spec.name} on, {least} are needed",
            advice="point MARGRAVE_DATA at a folder with a longer history",
        )
    return Rows(dict(given), realised, ranged)


def _range_ahead(ranges: Floats, horizon_h: int) -> Floats:
    total = np.full(ranges.shape, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(ranges[1:], horizon_h, axis=0)
    total[: len(windows)] = windows.sum(axis=-1)
    return total


def training_rows(spec: Spec, panel: Panel) -> Ints:
    stride_h = STRIDE_H if spec.columns else RETURNS_STRIDE_H
    last = panel.hours - max(HORIZONS_H) - 1
    return np.arange(max(features.LONG_H, last - TRAIN_H), last, stride_h)


# --- the line ---------------------------------------------------------------------------------------------------------


def usual(inputs: dict[str, NDArray[Any]]) -> Floats:
    """(n, HORIZONS_H), what the line's answer is multiplied by."""
    if "log_usual" in inputs:
        return np.asarray(np.exp(inputs["log_usual"]))
    return _guess(inputs)[:, None] * np.array(HORIZONS_H, dtype=np.float64)


def fit(spec: Spec, rows: Rows) -> Floats:
    x, scale = spec.of(rows.inputs), usual(rows.inputs)
    lines = [(x, np.ones(len(x), dtype=np.bool_))]
    if spec.with_implied:
        has = rows.inputs["columns"][:, spec.columns.index(IMPLIED[1])] > 0
        lines = [(x, has), (x * np.append(np.ones(x.shape[1] - 1), 0.0), np.ones(len(x), dtype=np.bool_))]
    target = rows.realised if not spec.columns else rows.ranged
    return np.stack(
        [
            np.stack([_line(spec, c[use], (target / scale)[use, h], (rows.realised / scale)[use, h]) for h in range(4)])
            for c, use in lines
        ]
    )


def _line(spec: Spec, x: Floats, y: Floats, realised: Floats) -> Floats:
    """Weights whose answers have the mean of the squared returns; both in units of what is usual, and capped."""
    y, realised = np.minimum(y, MOST_UNUSUAL), np.minimum(realised, MOST_UNUSUAL)
    free = x.any(axis=0)
    weights = np.zeros(x.shape[1])
    seen = x[:, free]
    if spec.log:
        weights[free] = _solved(seen, np.log(np.maximum(y, NO_LESS)), np.ones(len(y)))
        said = np.exp(np.clip(x @ weights, np.log(NARROWEST), np.log(WIDEST)))
        weights[0] += np.log(np.mean(realised / said))
        return weights
    first = _solved(seen, y, np.ones(len(y)))
    weights[free] = _solved(seen, y, 1.0 / np.clip(seen @ first, NARROWEST, WIDEST) ** 2)
    return np.asarray(weights * np.mean(realised / np.clip(x @ weights, NARROWEST, WIDEST)))


def said(spec: Spec, weights: Floats, inputs: dict[str, NDArray[Any]]) -> Floats:
    """log variance (n, HORIZONS_H) as the graph has it."""
    answers = np.einsum("nk,lhk->lnh", spec.of(inputs), weights)
    whole = answers[0]
    if spec.with_implied:
        has = inputs["columns"][:, spec.columns.index(IMPLIED[1])] > 0
        whole = np.where(has[:, None], answers[0], answers[1])
    if spec.log:
        whole = np.exp(np.clip(whole, np.log(NARROWEST), np.log(WIDEST)))
    return np.asarray(np.log(np.clip(whole, NARROWEST, WIDEST) * usual(inputs)))


def _means(inputs: dict[str, NDArray[Any]]) -> Floats:
    """Mean squared returns (n, WINDOWS_H); of a window that is longer than what there is, of what there is."""
    squares = inputs["returns_1h"] ** 2
    real = np.arange(squares.shape[1]) >= squares.shape[1] - inputs["bars"][:, None]
    sums = np.stack([np.where(real, squares, 0.0)[:, -h:].sum(axis=1) for h in WINDOWS_H], axis=1)
    return np.asarray(sums / np.stack([real[:, -h:].sum(axis=1) for h in WINDOWS_H], axis=1))


def _guess(inputs: dict[str, NDArray[Any]]) -> Floats:
    return np.asarray(np.maximum(_means(inputs) @ guess_weights(), features.VARIANCE_FLOOR))


def _wls(inputs: dict[str, NDArray[Any]]) -> Floats:
    return np.asarray(_means(inputs) / _guess(inputs)[:, None])


def _log_ranges(inputs: dict[str, NDArray[Any]]) -> Floats:
    return np.concatenate((np.ones((len(inputs["columns"]), 1)), inputs["columns"]), axis=1)


def _leverage(inputs: dict[str, NDArray[Any]]) -> Floats:
    """One (the level itself), ranges over the level, squared falls in its units, implied over the level: last."""
    columns = inputs["columns"]
    ranges, falls = columns[:, : len(RANGES)], columns[:, len(RANGES) : len(RANGES) + len(FALLS)]
    implied, has = columns[:, -2], columns[:, -1]
    return np.column_stack((np.ones(len(columns)), np.exp(ranges), falls**2, np.where(has > 0, np.exp(implied), 0.0)))


RANGE_LIMITS: Final = ("It needs four whole weeks of bars without a gap; before, the recursions speak.",)

SPECS: Final = (
    Spec(
        "har_wls/1",
        "HAR of squared returns, weighted least squares, pooled",
        "The variance ahead as a line in the mean squared returns of an hour, four, a day, a week and four weeks.",
        (),
        _wls,
        "",
        log=False,
        limits=("Close-to-close returns only: it sees no range inside an hour and no hour of the day.",),
    ),
    Spec(
        "log_har/1",
        "HAR of the logarithms of diurnal range variances, pooled",
        "The logarithm of the variance ahead, relative to what is usual for the hours ahead, as a line in those of an "
        "hour, four, a day and a week.",
        RANGES,
        _log_ranges,
        LOG_BODY,
        log=True,
        limits=RANGE_LIMITS,
    ),
    Spec(
        "diurnal_lhar_iv/1",
        "Leverage HAR with implied variance on diurnal range variances, pooled",
        "Relative to what is usual for the hours ahead: a line in the range variances of an hour, four, a day and a "
        "week, the squared falls of an hour, a day and a week, and implied variance where an index is there.",
        (*RANGES, *FALLS, *IMPLIED),
        _leverage,
        LEVERAGE_BODY,
        log=False,
        limits=RANGE_LIMITS,
    ),
)


# --- what goes into the registry --------------------------------------------------------------------------------------


def golden(spec: Spec, panel: Panel, made: Inputs) -> dict[str, NDArray[Any]]:
    rows = training_rows(spec, panel)
    found = gather(spec, panel, made, rows[np.linspace(0, len(rows) - 1, 60).astype(np.int64)], least=GOLDEN_ROWS)
    keep = np.linspace(0, len(found.realised) - 1, GOLDEN_ROWS).astype(np.int64)
    return {name: np.ascontiguousarray(values[keep]) for name, values in found.inputs.items()}


def card(spec: Spec, weights: Floats, trained: Pool, made: Inputs, difference: float) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "what": spec.what,
        "command": f"MARGRAVE_DATA=… PYTHONPATH=node:models python -m train.har {spec.name}",
        "features_version": VERSION if spec.columns else features.VERSION,
        **trained.said,
        "tolerance": 1e-12,
        "parity": difference,
        "seeds": [],
        "horizons_h": list(HORIZONS_H),
        "columns": list(spec.columns),
        "week_prior": made.factors.pooled.tolist() if spec.columns else [],
        "parameters": {
            f"w{k}_{horizon_h}h{'' if line == 0 else '_without_implied'}": float(weights[line, place, k])
            for line in range(len(weights))
            for place, horizon_h in enumerate(HORIZONS_H)
            for k in range(weights.shape[2])
        },
        "inputs": INPUTS if spec.columns else RETURN_INPUTS,
        "outputs": [LOG_VARIANCE],
        "metrics": [],
        "limits": [
            *spec.limits,
            f"A forecast stays within {NARROWEST:g} and {WIDEST:g} of what is usual for the hours ahead.",
        ],
    }


INPUTS: Final[list[dict[str, Any]]] = [
    {
        "name": "columns",
        "dtype": "float64",
        "shape": ["batch", "columns"],
        "unit": "as the features say",
        "meaning": "features by name and order of the card's `columns`, zero where one is absent",
        "low": -6.0,
        "high": 6.0,
    },
    {
        "name": "log_usual",
        "dtype": "float64",
        "shape": ["batch", "4"],
        "unit": "log of squared log return",
        "meaning": "usual variance of the next 1, 4, 24 and 168 h: the level times the hour-of-week factors ahead",
        "low": -25.0,
        "high": 5.0,
    },
]


def main() -> None:
    wanted = sys.argv[1:]
    if unknown := sorted(set(wanted) - {spec.name for spec in SPECS}):
        raise Fatal(f"no model here is called {', '.join(unknown)}", advice=f"{', '.join(s.name for s in SPECS)} are")
    found = pool(dataset.folder())
    trained = found.training
    made = inputs_of(trained, market=Market.LEADERS)
    called = [spec for spec in SPECS if not wanted or spec.name in wanted]
    for spec in called:
        model, weights = build(spec, gather(spec, trained, made, training_rows(spec, trained)))
        inputs = golden(spec, trained, made)
        answered = export.run(model.SerializeToString(), inputs)["log_variance"]
        difference = float(np.abs(np.expm1(answered - said(spec, weights, inputs))).max())
        export.agreeing(spec.name, "graph and numpy", difference, 1e-12)
        export.publish(model, inputs, card(spec, weights, found, made, difference), {})
        print(f"{spec.name}: parity {difference:.1e}", flush=True)
    judged.write([spec.name for spec in called], found)


if __name__ == "__main__":
    command(main)
