"""A torch module as a graph of the registry: only what computes, nothing of the machine that it was written on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from train import export

ROWS = torch.export.Dim("batch", min=1, max=100_000)
"""The free first axis of most graphs."""


def to_onnx(
    net: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: tuple[dict[int, Any], ...],
) -> onnx.ModelProto:
    """
    Args:
        net: in evaluation mode.
        example: one input of each; a free axis is at least two long in it, or torch takes its length for a constant.
        inputs: names, in the order of `example`.
        outputs: names, in the order that the module returns them.
        axes: of each input, its free axes and their dimensions.
    """
    program = torch.onnx.export(
        net,
        example,
        dynamo=True,
        opset_version=export.OPSET,
        verbose=False,
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=axes,
    )
    model: onnx.ModelProto = program.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    return model
