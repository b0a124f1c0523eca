"""Writes a model into the registry: graph, golden outputs, card, evaluation; then opens it as the node would."""

from __future__ import annotations

import hashlib
import io
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec
import numpy as np
import onnx
import onnxruntime as ort

from margrave.errors import Fatal
from margrave.score.registry import Ablation, Arrays, Card, Metric, Model, open_model
from margrave.settings import REGISTRY

OPSET: Final = 20
IR_VERSION: Final = 10
PACKAGES: Final = ("numpy", "pandas", "scipy", "arch", "torch", "onnx", "onnxscript", "onnxruntime")


def versions() -> dict[str, str]:
    """What the training ran with."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def publish(graph: onnx.ModelProto, inputs: Arrays, card: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Model:
    """Write `models/registry/<card.name>/` and prove it.

    Args:
        graph: the checked ONNX model.
        inputs: golden inputs, by name; the golden outputs are what onnxruntime makes of them here.
        card: fields of `registry.Card` without the hashes and library versions.
        evaluation: the whole report, as it goes into evaluation.json.
    """
    onnx.checker.check_model(graph, full_check=True)
    folder = REGISTRY / card["name"]
    folder.mkdir(parents=True, exist_ok=True)
    content = graph.SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(content)
    reference = _reference(content, inputs)
    (folder / "reference.npz").write_bytes(reference)
    (folder / "evaluation.json").write_text(json.dumps(evaluation, indent=1) + "\n", encoding="utf-8")
    whole = msgspec.convert(
        {
            **card,
            "model_sha256": hashlib.sha256(content).hexdigest(),
            "reference_sha256": hashlib.sha256(reference).hexdigest(),
            "versions": versions(),
        },
        Card,
    )
    (folder / "card.toml").write_text(to_toml(whole), encoding="utf-8")
    return open_model(REGISTRY, whole.name)


def tensor(
    name: str, shape: Sequence[str], unit: str, meaning: str, low: float, high: float, dtype: str = "float64"
) -> dict[str, Any]:
    """A row of a card's inputs or outputs, as `score.registry.Tensor` reads it."""
    return {
        "name": name,
        "dtype": dtype,
        "shape": list(shape),
        "unit": unit,
        "meaning": meaning,
        "low": low,
        "high": high,
    }


def exists(name: str) -> bool:
    return (REGISTRY / name / "card.toml").is_file()


def read_card(name: str) -> Card:
    """
    Raises:
        Fatal: the model is not in the registry, or is not whole.
    """
    return open_model(REGISTRY, name).card


def revise(
    name: str,
    metrics: Sequence[Mapping[str, Any]],
    evaluation: Mapping[str, Any],
    ablations: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """New figures on the card of a published model; its graph and hashes stay, and so do ablations without new ones."""
    folder = REGISTRY / name
    card = read_card(name)
    revised = msgspec.structs.replace(
        card,
        metrics=msgspec.convert(metrics, tuple[Metric, ...]),
        ablations=card.ablations if ablations is None else msgspec.convert(ablations, tuple[Ablation, ...]),
    )
    (folder / "card.toml").write_text(to_toml(revised), encoding="utf-8")
    (folder / "evaluation.json").write_text(json.dumps(evaluation, indent=1) + "\n", encoding="utf-8")


def run(graph: bytes, inputs: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    """All outputs of a graph, on one thread."""
    return asker(graph)(inputs)


def parity(graph: onnx.ModelProto, inputs: Arrays, want: Mapping[str, np.ndarray[Any, Any]]) -> float:
    """Largest difference of a graph's outputs to those of what it was written from, relative to 1 + their magnitude."""
    found = run(graph.SerializeToString(deterministic=True), inputs)
    return max(float(np.max(np.abs(found[name] - values) / (1 + np.abs(values)))) for name, values in want.items())


def agreeing(name: str, both: str, difference: float, most: float) -> None:
    """
    Raises:
        Fatal: the graph and what it was written from differ by more, or by no number.
    """
    if not difference <= most:
        raise Fatal(f"{name}: {both} differ by {difference:.1e}, {most:.0e} allowed", advice="do not publish it")


def asker(graph: bytes) -> Callable[[Arrays], dict[str, np.ndarray[Any, Any]]]:
    """`run` for a graph that is asked often."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_outputs()]
    inputs_of = [node.name for node in session.get_inputs()]

    def ask(inputs: Arrays) -> dict[str, np.ndarray[Any, Any]]:
        return dict(zip(names, session.run(names, {name: inputs[name] for name in inputs_of}), strict=True))

    return ask


def to_toml(card: Card) -> str:
    """The card as TOML: scalars and lists first, then tables, then arrays of tables."""
    fields = msgspec.to_builtins(card)
    tables = {key: value for key, value in fields.items() if isinstance(value, dict)}
    rows = {key: value for key, value in fields.items() if isinstance(value, (list, tuple)) and _is_rows(value)}
    lines = [f"{key} = {_value(value)}" for key, value in fields.items() if key not in tables and key not in rows]
    for key, table in tables.items():
        lines += ["", f"[{key}]", *(f"{k} = {_value(v)}" for k, v in table.items())]
    for key, items in rows.items():
        for item in items:
            lines += ["", f"[[{key}]]", *(f"{k} = {_value(v)}" for k, v in item.items())]
    return "\n".join(lines) + "\n"


def _is_rows(value: Sequence[Any]) -> bool:
    return bool(value) and isinstance(value[0], dict)


def _value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        if sum(len(str(item)) for item in value) < 90:
            return "[" + ", ".join(_value(item) for item in value) + "]"
        return "[\n" + "".join(f"  {_value(item)},\n" for item in value) + "]"
    if isinstance(value, float):
        return repr(value) if np.isfinite(value) else str(value)  # TOML writes inf and nan as Python does
    return json.dumps(value, ensure_ascii=False)


def _reference(graph: bytes, inputs: Arrays) -> bytes:
    outputs = run(graph, inputs)
    buffer = io.BytesIO()
    arrays = {f"in_{k}": v for k, v in inputs.items()} | {f"out_{k}": v for k, v in outputs.items()}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
