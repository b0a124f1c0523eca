"""The model registry: a folder a model, each file named by its hash, each model proven to compute what its card says.

::

    models/registry/<family>/<version>/
        model.onnx       the graph
        card.toml        what it is, what it was trained on, how it did, what it must not be used for
        reference.npz    golden inputs (`in_*`) and outputs (`out_*`)
        evaluation.json  the full report behind the card's metrics

The attack here is a swapped or truncated file, by mistake or on purpose: what runs is built from the very bytes that
were hashed, and nothing runs before its golden outputs came out right on this machine.
"""

from __future__ import annotations

import hashlib
import io
import re
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from eth_utils.crypto import keccak
from msgspec import Meta

from margrave.errors import Fatal
from margrave.spans import WEEK_H

Arrays = Mapping[str, npt.NDArray[np.generic]]

_NAME: Final = re.compile(r"^[a-z0-9_]+/[a-z0-9.]*[a-z0-9]$")
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Hours = Annotated[int, Meta(ge=1, le=24 * 366)]
Level = Annotated[float, Meta(gt=0.0, lt=0.5)]
Positive = Annotated[float, Meta(gt=0.0)]
_RESTORE: Final = "restore the folder from the release, or set [models] in policy.toml to one that is whole"


class Tensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input or output of a graph; `low` and `high` bound what it was trained on (inputs) or can say (outputs)."""

    name: str
    dtype: Literal["float32", "float64", "int64"]
    shape: tuple[str, ...]
    unit: str
    meaning: str
    low: float
    high: float


class Metric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One figure on data the model has not seen; with `against`, the difference to that model."""

    name: str
    part: str
    value: float
    against: str = ""
    statistic: str = ""


class Ablation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the loss does when a source is gone: masked in a model that was trained with it, as a node meets it."""

    gone: str
    loss: str
    horizon_h: Hours
    change: float
    """Of the mean loss: a fraction of it for QLIKE, a difference for FZ0."""
    statistic: str = ""


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model says about itself; see docs/models.md for the cards as a table.

    The types and bounds here are the schema of card.toml: a card that breaks one is refused with the field's name.
    """

    name: Annotated[str, Meta(pattern=_NAME.pattern)]
    title: str
    what: str
    command: str
    features_version: str
    trained_from: Day
    trained_to: Day
    """Nothing at or after the beginning of this day was trained on."""
    assets: tuple[str, ...]
    left_out: tuple[str, ...]
    data_manifest_sha256: Sha256
    model_sha256: Sha256
    reference_sha256: Sha256
    tolerance: Positive
    """Largest difference to the golden outputs, relative to 1 + their magnitude."""
    chosen_to: Day | None = None
    """Nothing at or after the beginning of this day was looked at to choose anything; without it, `trained_to`."""
    horizon_s: Annotated[int, Meta(ge=0)] = 0
    """The one horizon of `sigma` and `ladder`, where a model has these outputs."""
    horizons_h: tuple[Hours, ...] = ()
    """Of the last axis of the output `log_variance` (batch, horizons), natural logarithms."""
    tails_h: tuple[Hours, ...] = ()
    """Of the outputs `var` and `es` (batch, horizons, down and up, levels): log returns, positive magnitudes."""
    levels: tuple[Level, ...] = ()
    """Tail probabilities of the last axis of `var` and `es`, descending."""
    columns: tuple[str, ...] = ()
    """What the input `columns` (batch, columns) holds, in order: names of `margrave.score.features`."""
    week_prior: tuple[Positive, ...] = ()
    """(168,) the pooled hour-of-week table of the features, New York Monday 0 h first, mean one; what a market of which
    nothing is known yet begins with."""
    parity: float | None = None
    """Largest difference between the graph and what it was written from (numpy, arch or torch), relative to 1 + its
    magnitude."""
    seeds: tuple[int, ...]
    versions: dict[str, str]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    parameters: dict[str, float]
    metrics: tuple[Metric, ...]
    limits: tuple[str, ...]
    ablations: tuple[Ablation, ...] = ()

    def __post_init__(self) -> None:
        if len(self.week_prior) not in (0, WEEK_H):
            raise ValueError(f"week_prior has {len(self.week_prior)} hours, a week has {WEEK_H}")
        if list(self.levels) != sorted(self.levels, reverse=True):
            raise ValueError("levels do not descend")
        if bool(self.tails_h) != bool(self.levels):
            raise ValueError("tails_h and levels go together")

    @property
    def unseen_from(self) -> str:
        """The day from whose beginning on nothing was seen in training or in choosing."""
        return max(self.trained_to, self.chosen_to or self.trained_to)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model that has proven itself on this machine; `run` is a pure function of its inputs."""

    card: Card
    session: ort.InferenceSession

    @property
    def name(self) -> str:
        return self.card.name

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[np.float64]]:
        """One batched run. `inputs` may hold more than the graph takes; outputs come back as float64, by name."""
        wanted = {tensor.name: inputs[tensor.name] for tensor in self.card.inputs}
        names = [tensor.name for tensor in self.card.outputs]
        found = self.session.run(names, wanted)
        return {name: np.asarray(value, dtype=np.float64) for name, value in zip(names, found, strict=True)}


def open_model(registry_dir: Path, name: str) -> Model:
    """Load `family/version` and prove it.

    Raises:
        Fatal: the name is not `family/version`; a file is missing or unreadable; the card is not a card or belongs to
            another model; a hash differs; the graph does not load; or the golden outputs do not come out.
    """
    if not _NAME.fullmatch(name):
        raise Fatal(f"model name {name!r} is not family/version", advice="write it like tail_net/1 in policy.toml")
    folder = registry_dir / name
    card = _card(folder / "card.toml", name)
    graph = _verified(folder / "model.onnx", card.model_sha256)
    reference = _verified(folder / "reference.npz", card.reference_sha256)
    model = Model(card, _session(folder / "model.onnx", graph, card))
    _prove(folder / "reference.npz", model, reference)
    return model


def model_set_hash(models: Sequence[Model]) -> bytes:
    """The 32 bytes that governance approves: Keccak-256 over `name NUL sha256(model.onnx)` of the models, by name.

    The card's words and the golden outputs are left out on purpose: a corrected sentence is not another model.
    """
    rows = sorted({model.name: model.card.model_sha256 for model in models}.items())
    return keccak(b"".join(name.encode() + b"\0" + bytes.fromhex(sha) for name, sha in rows))


def _card(path: Path, name: str) -> Card:
    text = _bytes(path)
    try:
        card = msgspec.convert(tomllib.loads(text.decode("utf-8")), Card)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise Fatal(f"{path} is not a model card: {error}", advice=_RESTORE) from error
    if card.name != name:
        raise Fatal(f"{path} is the card of {card.name}, not of {name}", advice=_RESTORE)
    return card


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fatal(f"{path}: {error.strerror or error}", advice=_RESTORE) from error


def _verified(path: Path, expected: str) -> bytes:
    content = _bytes(path)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise Fatal(f"{path}: SHA-256 is {found[:16]}…, its card says {expected[:16]}…", advice=_RESTORE)
    return content


def _session(path: Path, graph: bytes, card: Card) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One thread and hardware-independent rewrites only: members' figures should differ by rounding, not by machine.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4  # what it would print is in the exception
    try:
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no base
        raise Fatal(f"{path} does not load: {str(error).splitlines()[0]}", advice=_RESTORE) from error
    for kind, tensors, nodes in (
        ("inputs", card.inputs, session.get_inputs()),
        ("outputs", card.outputs, session.get_outputs()),
    ):
        if {tensor.name for tensor in tensors} != {node.name for node in nodes}:
            names = sorted(node.name for node in nodes)
            raise Fatal(f"{path}: its {kind} are {names}, not what its card says", advice=_RESTORE)
    return session


def _prove(path: Path, model: Model, content: bytes) -> None:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            golden = {key: archive[key] for key in archive.files}
        found = model.run({key.removeprefix("in_"): golden[key] for key in golden if key.startswith("in_")})
        expected = {tensor.name: golden[f"out_{tensor.name}"] for tensor in model.card.outputs}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise Fatal(
            f"{path} does not hold golden inputs and outputs of {model.name}: {error}", advice=_RESTORE
        ) from error
    for name, want in expected.items():
        if found[name].shape != want.shape or not np.isfinite(found[name]).all():
            raise Fatal(f"{model.name}: output {name} is not what {path} says", advice=_RESTORE)
        error_size = float(np.max(np.abs(found[name] - want) / (1 + np.abs(want))))
        if not error_size <= model.card.tolerance:
            raise Fatal(
                f"{model.name}: {name} differs by {error_size:.1e} from its golden outputs, allowed "
                f"{model.card.tolerance:.0e}",
                advice="this machine's onnxruntime computes something else: install the locked requirements",
            )
