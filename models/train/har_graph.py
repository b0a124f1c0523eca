"""Graphs of the HARs: lines in float64 over squared returns, or over the columns of hourly-2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from margrave.lab.court.families.volatility.har import NARROWEST, WIDEST
from margrave.lab.court.family import HORIZONS_H
from margrave.score import features
from train import export
from train.gjr_graph import SQUARES

Floats = NDArray[np.float64]

WINDOWS_H: Final = (1, 4, 24, 168, 672)
RANGES: Final = ("range_1h", "range_4h", "range_24h", "range_168h")
FALLS: Final = ("fall_1h", "fall_24h", "fall_168h")
IMPLIED: Final = ("implied_to_level", "has_implied")


@dataclass(frozen=True, slots=True)
class Spec:
    name: str
    title: str
    what: str
    columns: tuple[str, ...]
    """Of hourly-2; empty for a model that looks at returns."""
    of: Callable[[dict[str, NDArray[Any]]], Floats]
    """The line's columns (n, k) from the graph's inputs."""
    body: str
    """And the same as ONNX: from the inputs to `columns_x` (batch, k)."""
    log: bool
    limits: tuple[str, ...]

    @property
    def with_implied(self) -> bool:
        return IMPLIED[0] in self.columns


FROM_RETURNS: Final = f"""{SQUARES}
    sums = MatMul (known_square, windows)
    known_double = Cast <to = 11> (known)
    counts = MatMul (known_double, windows)
    means = Div (sums, counts)
    longer = MatMul (means, guess_weights)
    guess = Max (longer, floor)
    columns_x = Div (means, guess)
    usual = Mul (guess, hours_ahead)
"""
FROM_COLUMNS: Final = """
    usual = Exp (log_usual)
"""
LINE: Final = """
    answers = MatMul (columns_x, weights)
    above = Max (answers, narrowest)
    bounded = Min (above, widest)
"""
LOG_LINE: Final = """
    answers = MatMul (columns_x, weights)
    log_above = Max (answers, log_narrowest)
    log_bounded = Min (log_above, log_widest)
    bounded = Exp (log_bounded)
"""
IMPLIED_LINE: Final = """
    with = MatMul (columns_x, weights)
    without = MatMul (columns_x, weights_without)
    has_column = Gather <axis = 1> (columns, has_place)
    has = Greater (has_column, none)
    answers = Where (has, with, without)
    above = Max (answers, narrowest)
    bounded = Min (above, widest)
"""
LOG_BODY: Final = """
    constant = Gather <axis = 1> (columns, has_place)
    nothing = Mul (constant, none)
    ones = Add (nothing, one_double)
    columns_x = Concat <axis = 1> (ones, columns)
"""
LEVERAGE_BODY: Final = """
    constant = Gather <axis = 1> (columns, has_place)
    nothing = Mul (constant, none)
    ones = Add (nothing, one_double)
    log_ranges = Gather <axis = 1> (columns, range_places)
    ranges = Exp (log_ranges)
    falls = Gather <axis = 1> (columns, fall_places)
    squared_falls = Mul (falls, falls)
    log_implied = Gather <axis = 1> (columns, implied_place)
    implied_free = Exp (log_implied)
    there = Greater (constant, none)
    implied = Where (there, implied_free, none)
    columns_x = Concat <axis = 1> (ones, ranges, squared_falls, implied)
"""


def graph(spec: Spec, weights: Floats) -> onnx.ModelProto:
    given = "double[batch, columns_n] columns, double[batch, horizons] log_usual"
    given = given if spec.columns else "double[batch, hours] returns_1h, int64[batch] bars"
    line = IMPLIED_LINE if spec.with_implied else LOG_LINE if spec.log else LINE
    family = spec.name.split("/")[0]
    body = f"""{FROM_COLUMNS if spec.columns else FROM_RETURNS}{spec.body}{line}
        variance = Mul (bounded, usual)
        log_variance = Log (variance)"""
    model = parser.parse_model(
        f'<ir_version: {export.IR_VERSION}, opset_import: ["" : {export.OPSET}]>\n'
        f"{family} ({given}) => (double[batch, horizons] log_variance) {{ {body} }}"
    )
    back = np.arange(features.LONG_H)[::-1, None]
    constants: dict[str, Any] = {
        "none": 0.0,
        "one_double": 1.0,
        "floor": features.VARIANCE_FLOOR,
        "narrowest": NARROWEST,
        "widest": WIDEST,
        "log_narrowest": np.log(NARROWEST),
        "log_widest": np.log(WIDEST),
        "weights": weights[0].T,
        "weights_without": weights[-1].T,
        "windows": (back < np.array(WINDOWS_H)).astype(np.float64),
        "guess_weights": guess_weights()[:, None],
        "hours_ahead": np.array(HORIZONS_H, dtype=np.float64),
        "has_place": np.array([spec.columns.index(IMPLIED[1])] if spec.with_implied else [0]),
        "range_places": np.array([spec.columns.index(name) for name in RANGES if name in spec.columns]),
        "fall_places": np.array([spec.columns.index(name) for name in FALLS if name in spec.columns]),
        "implied_place": np.array([spec.columns.index(IMPLIED[0])] if spec.with_implied else [0]),
    }
    used = {each for node in model.graph.node for each in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(
            np.asarray(value) if np.asarray(value).dtype == np.int64 else np.asarray(value, dtype=np.float64), key
        )
        for key, value in constants.items()
        if key in used
    )
    return model


def guess_weights() -> Floats:
    return np.append(0.0, np.full(len(WINDOWS_H) - 1, 1.0 / (len(WINDOWS_H) - 1)))
