"""The graph of tails: what `lab.court.families.tails.pooled` computes, in float64.

    ln s = log_anchor + clip(w x)                                    x standardised, clipped, 0 where NaN
    ln s = 2/3 of that + 1/3 ln (level sqrt(h) + down sum + up sum)  where a recursion has a share (24 h)
    VaR = s rungs, ES = s deeper rungs

for each horizon and side. The rungs ascend as constants, so that none crosses at any input and no ES lies under its
VaR. A market whose anchor is NaN is answered with NaN; the node holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray
from onnx import numpy_helper

from margrave.lab.court.families.tails.pooled import CLIP_SD, LINE, MOST_MOVED, MOST_SAID, HorizonFit
from margrave.lab.court.families.tails.shared import SEEN_H, Shape
from margrave.lab.court.family import DOWN, TAIL_HORIZONS_H, UP
from train import export

Floats = NDArray[np.float64]

UNLIKE_CLIP_SD: Final = 8.0
"""Where the distance from the training data stops: it must still see what the forecast no longer follows."""

Fits = Mapping[int, HorizonFit]


def graph(fits: Fits, precision: Floats, unlike_scale: float) -> onnx.ModelProto:
    """
    Args:
        fits: of every horizon of `TAIL_HORIZONS_H`.
        precision: (inputs, inputs), of the standardised inputs; zero where an input counts nothing.
        unlike_scale: the distance that is 1.
    """
    recursions = {(h, side): fits[h].sides[side].shape for h in TAIL_HORIZONS_H for side in (DOWN, UP)}
    body = f"""
        <ir_version: {export.IR_VERSION}, opset_import: ["" : {export.OPSET}]>
        tails (double[batch, inputs] columns, double[batch, horizons] log_anchor, double[batch, hours] returns_1h)
            => (double[batch, horizons, two, levels] var, double[batch, horizons, two, levels] es,
                double[batch] unlike)
        {{
            last = Constant <value_ints: ints = [-1]> ()
            first = Constant <value_ints: ints = [1]> ()
            absent = IsNaN (columns)
            apart = Sub (columns, centre)
            standard = Div (apart, spread)
            far = Clip (standard, far_low, far_high)
            wide = Where (absent, none, far)
            x = Clip (wide, near_low, near_high)

            free = MatMul (x, weights)
            bound = Clip (free, least_moved, most_moved)
            by_side = Reshape (bound, sides_shape)
            anchor = Unsqueeze (log_anchor, last)
            line = Add (anchor, by_side)

            size = Abs (returns_1h)
            level = ReduceMean <keepdims = 1> (size, first)
            unmoved = Sub (level, level)
            {"".join(_news(*key) for key, shape in recursions.items() if shape is not None)}
            others = Concat <axis = 1> ({", ".join(_entry(*key, shape) for key, shape in recursions.items())})
            others_by_side = Reshape (others, sides_shape)
            of_line = Mul (line, line_share)
            of_others = Mul (others_by_side, other_share)
            both = Add (of_line, of_others)
            moving = Greater (level, none)
            moving_by_side = Unsqueeze (moving, last)
            log_scale = Where (moving_by_side, both, line)

            scale = Exp (log_scale)
            scale_column = Unsqueeze (scale, last)
            free_var = Mul (scale_column, var_rungs)
            free_es = Mul (scale_column, es_rungs)
            var_beyond = Greater (free_var, most_said)
            var = Where (var_beyond, most_said, free_var)
            es_beyond = Greater (free_es, most_said)
            es = Where (es_beyond, most_said, free_es)

            leaned = MatMul (wide, precision)
            squares = Mul (leaned, wide)
            square = ReduceSum <keepdims = 0> (squares, first)
            distance = Sqrt (square)
            unlike = Div (distance, unlike_scale)
        }}
    """
    model = onnx.parser.parse_model(body)  # Where and not Min: some runtimes' Min turns NaN into the bound
    frame = fits[TAIL_HORIZONS_H[0]]
    share = np.array([[LINE[h] if recursions[h, side] is not None else 1.0 for side in (DOWN, UP)] for h in fits])
    constants: dict[str, Any] = {
        "none": 0.0,
        "centre": frame.centre,
        "spread": frame.spread,
        "near_low": -CLIP_SD,
        "near_high": CLIP_SD,
        "far_low": -UNLIKE_CLIP_SD,
        "far_high": UNLIKE_CLIP_SD,
        "weights": np.stack([side.weights for h in TAIL_HORIZONS_H for side in fits[h].sides], axis=1),
        "least_moved": -MOST_MOVED,
        "most_moved": MOST_MOVED,
        "line_share": share,
        "other_share": 1.0 - share,
        "var_rungs": np.stack([[side.var for side in fits[h].sides] for h in TAIL_HORIZONS_H]),
        "es_rungs": np.stack([[side.es for side in fits[h].sides] for h in TAIL_HORIZONS_H]),
        "most_said": MOST_SAID,
        "precision": precision,
        "unlike_scale": unlike_scale,
    }
    shapes: dict[str, list[int]] = {"sides_shape": [-1, len(TAIL_HORIZONS_H), 2]}
    for (horizon_h, side), shape in recursions.items():
        if shape is not None:
            constants |= _weights(horizon_h, side, shape)
            shapes[f"bars_{horizon_h}_{side}"] = [-1, SEEN_H // horizon_h, horizon_h]
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=np.float64), name))
    for name, dims in shapes.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(dims, dtype=np.int64), name))
    return model


def _news(horizon_h: int, side: int) -> str:
    """The recursion's scale as a sum of products over bars of the horizon, the newest last."""
    key = f"{horizon_h}_{side}"
    return f"""
            grouped_{key} = Reshape (returns_1h, bars_{key})
            moves_{key} = ReduceSum <keepdims = 0> (grouped_{key}, last)
            rises_{key} = Relu (moves_{key})
            turned_{key} = Neg (moves_{key})
            falls_{key} = Relu (turned_{key})
            up_{key} = MatMul (rises_{key}, up_weights_{key})
            down_{key} = MatMul (falls_{key}, down_weights_{key})
            usual_{key} = Mul (level, root_{key})
            news_{key} = Add (up_{key}, down_{key})
            whole_{key} = Add (usual_{key}, news_{key})
            log_{key} = Log (whole_{key})"""


def _entry(horizon_h: int, side: int, shape: Shape | None) -> str:
    return "unmoved" if shape is None else f"log_{horizon_h}_{side}"


def _weights(horizon_h: int, side: int, shape: Shape) -> dict[str, Any]:
    key, count = f"{horizon_h}_{side}", SEEN_H // horizon_h
    fading = (1.0 - shape.keep) * shape.keep ** np.arange(count)[::-1, None]
    return {
        f"up_weights_{key}": shape.up * fading,
        f"down_weights_{key}": shape.down * fading,
        f"root_{key}": np.sqrt(horizon_h),
    }
