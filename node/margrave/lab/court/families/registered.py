"""A model of the registry before the court: trained once, elsewhere, and asked through onnxruntime as a node asks it.

Nothing is fitted here. It speaks of hours after everything that it was trained on or chosen by (its card's
`unseen_from`) and is silent before, so that what the court reads of it is about hours that it has not seen. What stands
in the answers' keys is the hash of its files: another file is another family.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families import Kind
from margrave.lab.court.families.registered_inputs import Pairs, inputs
from margrave.lab.court.families.registered_ladders import from_ladder
from margrave.lab.court.family import LEVELS, Tails
from margrave.lab.court.panel import Panel
from margrave.score.features import MIN_BARS
from margrave.score.registry import Card, Model, open_model
from margrave.settings import REGISTRY
from margrave.spans import HOUR_S

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FLOAT32_ROUNDING: Final = 1e-4
"""Relative, of what float32 graphs say after `exp`, from one batch to another."""
CHUNK: Final = 4_096
"""Pairs asked at once: 22 MB of returns."""


@dataclass(frozen=True)
class Registered:
    """`family/version` of a registry, as a family of volatility or of tails."""

    model: str
    kind: Kind = Kind.VOLATILITY
    registry: Path = REGISTRY
    least_hours: int = MIN_BARS

    @property
    def name(self) -> str:
        """A model that speaks of both kinds is called twice, and two families have two names."""
        return self.model if self.kind is Kind.VOLATILITY else f"{self.model} tails"

    def __repr__(self) -> str:
        """What the answers follow from; wherever the registry lies."""
        return f"Registered({self.model!r}, {self.kind.value!r}, {digest(self.registry / self.model)})"

    def fit(self, past: Panel) -> RegisteredVolatility | RegisteredTails:  # noqa: ARG002 - it was fitted before
        """
        Raises:
            Fatal: the model is not in the registry, or is not whole.
        """
        model = _opened(self.registry, self.model)
        return RegisteredVolatility(model) if self.kind is Kind.VOLATILITY else RegisteredTails(model)


@dataclass(frozen=True)
class RegisteredVolatility:
    model: Model

    @property
    def rounding(self) -> float:
        return rounding_of(self.model.card)

    def variance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        found = np.full((len(rows), len(panel.assets)), np.nan)
        if horizon_h not in variance_horizons_h(self.model.card):
            return found
        count = len(panel.assets)
        pairs = Pairs(np.repeat(rows, count), np.tile(np.arange(count), len(rows)))
        for at, out in _asked(self.model, panel, pairs):
            found.reshape(-1)[at] = _variance(self.model.card, out, horizon_h)
        return found


@dataclass(frozen=True)
class RegisteredTails:
    model: Model

    @property
    def rounding(self) -> float:
        return rounding_of(self.model.card)

    def tails(self, panel: Panel, rows: Ints, assets: Ints, horizon_h: int) -> Tails:
        var = np.full((len(rows), 2, len(LEVELS)), np.nan)
        es = var.copy()
        if horizon_h in tail_horizons_h(self.model.card):
            for at, out in _asked(self.model, panel, Pairs(rows, assets)):
                var[at], es[at] = _tails(self.model.card, out, horizon_h)
        return Tails(var, es)


def rounding_of(card: Card) -> float:
    return FLOAT32_ROUNDING if any(tensor.dtype == "float32" for tensor in card.outputs) else 0.0


def variance_horizons_h(card: Card) -> tuple[int, ...]:
    """Empty where the model says nothing of variance."""
    return card.horizons_h or _only(card, "sigma")


def tail_horizons_h(card: Card) -> tuple[int, ...]:
    return card.tails_h or _only(card, "ladder")


def digest(folder: Path) -> str:
    """SHA-256 of what answers follow from: graph and card. Of a folder that is not there: that."""
    found = hashlib.sha256()
    for name in ("model.onnx", "card.toml"):
        path = folder / name
        found.update(path.read_bytes() if path.is_file() else b"absent")
    return found.hexdigest()


def _only(card: Card, output: str) -> tuple[int, ...]:
    there = any(tensor.name == output for tensor in card.outputs)
    return (card.horizon_s // HOUR_S,) if there and card.horizon_s else ()


@cache
def _opened(registry: Path, name: str) -> Model:
    return open_model(registry, name)


def _asked(model: Model, panel: Panel, pairs: Pairs) -> list[tuple[Ints, dict[str, Floats]]]:
    """(places of the pairs that could be asked, the graph's outputs for them), piece by piece."""
    unseen_ms = int(np.datetime64(model.card.unseen_from, "ms").astype(np.int64))
    later = np.flatnonzero(panel.known_ms[pairs.rows] >= unseen_ms)
    found = []
    for piece in np.array_split(later, -(-len(later) // CHUNK)) if len(later) else ():
        known, given = inputs(model.card, panel, pairs.only(piece))
        if known.any():
            found.append((piece[known], model.run({name: values[known] for name, values in given.items()})))
    return found


def _variance(card: Card, out: dict[str, Floats], horizon_h: int) -> Floats:
    if "log_variance" in out:
        return np.asarray(np.exp(out["log_variance"][:, card.horizons_h.index(horizon_h)]))
    return np.asarray(out["sigma"] ** 2)


def _tails(card: Card, out: dict[str, Floats], horizon_h: int) -> tuple[Floats, Floats]:
    if "var" in out:
        place, levels = card.tails_h.index(horizon_h), [card.levels.index(p) for p in LEVELS]
        return out["var"][:, place][..., levels], out["es"][:, place][..., levels]
    return from_ladder(out["ladder"], out["es_quantiles"])
