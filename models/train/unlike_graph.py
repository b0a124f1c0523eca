"""The graph of `unlike/1`, and the same in numpy: centre, spread, a triangular root of the precision, one norm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from train.export import IR_VERSION, OPSET

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

NODES: Final[tuple[tuple[str, tuple[str, ...], str, dict[str, Any]], ...]] = (
    ("Shape", ("columns",), "shape", {"end": 1}),
    ("Concat", ("shape", "one_axis"), "ones_shape", {"axis": 0}),
    ("Expand", ("one", "ones_shape"), "ones", {}),
    ("Concat", ("columns", "ones"), "wide", {"axis": 1}),
    ("Gather", ("columns", "used"), "raw", {"axis": 1}),
    ("Gather", ("wide", "bits"), "bit", {"axis": 1}),
    ("Equal", ("bit", "zero"), "absent", {}),
    ("Sub", ("raw", "centre"), "centred", {}),
    ("Div", ("centred", "spread"), "scaled", {}),
    ("Clip", ("scaled", "low", "high"), "clipped", {}),
    ("Where", ("absent", "zero", "clipped"), "standard", {}),
    ("MatMul", ("standard", "root"), "white", {}),
    ("ReduceSumSquare", ("white", "last_axis"), "squared", {"keepdims": 0}),
    ("Sqrt", ("squared",), "norm", {}),
    ("Div", ("norm", "scale"), "unlike", {}),
)
"""(operator, inputs, output, attributes) in order. An input that is not finite comes out as not finite: refused."""


@dataclass(frozen=True, slots=True)
class Distance:
    used: Ints
    """(inputs,) places in the columns."""
    bits: Ints
    """(inputs,) places of their masks; one past the last column where there is none."""
    centre: Floats
    spread: Floats
    clip_sd: float
    root: Floats
    """(inputs, inputs): root root' is the precision."""
    scale: float

    def with_(self, **changes: Any) -> Distance:
        return replace(self, **changes)

    def there(self, columns: Floats) -> Flags:
        wide = np.concatenate((columns, np.ones((len(columns), 1))), axis=1)
        return np.asarray(wide[:, self.bits] != 0.0)

    def standard(self, columns: Floats) -> Floats:
        """(rows, inputs) in standard deviations, zero where absent."""
        scaled = (columns[:, self.used] - self.centre) / self.spread
        return np.where(self.there(columns), np.clip(scaled, -self.clip_sd, self.clip_sd), 0.0)

    def distance(self, columns: Floats) -> Floats:
        white = self.standard(columns) @ self.root
        return np.asarray(np.sqrt((white**2).sum(axis=1)) / self.scale)


def graph(distance: Distance) -> onnx.ModelProto:
    """Input `columns` (batch, columns), outputs `unlike` (batch,) and `standard` (batch, inputs), float64."""
    constants: dict[str, npt.NDArray[Any]] = {
        "one_axis": np.array([1], dtype=np.int64),
        "one": np.array([1.0]),
        "zero": np.array(0.0),
        "used": distance.used,
        "bits": distance.bits,
        "centre": distance.centre,
        "spread": distance.spread,
        "low": np.array(-distance.clip_sd),
        "high": np.array(distance.clip_sd),
        "root": distance.root,
        "last_axis": np.array([1], dtype=np.int64),
        "scale": np.array(distance.scale),
    }
    body = helper.make_graph(
        [helper.make_node(kind, list(inputs), [output], **more) for kind, inputs, output, more in NODES],
        "unlike",
        [helper.make_tensor_value_info("columns", TensorProto.DOUBLE, ["batch", None])],
        [
            helper.make_tensor_value_info("unlike", TensorProto.DOUBLE, ["batch"]),
            helper.make_tensor_value_info("standard", TensorProto.DOUBLE, ["batch", len(distance.used)]),
        ],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
