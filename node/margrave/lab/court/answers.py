"""Answers on disk, one small file a family and refit, so that a study that was cut off goes on where it stopped.

A file's name holds the hash of everything that its answers follow from: the panel's own numbers, the leg and horizons,
the family's settings, and the source of every module of Margrave that the family, its members and its functions are
from or that those import. Whatever changes, the file is simply not found.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from margrave.lab.court.family import TailFamily, VolatilityFamily
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import Answers, ByHorizon, Leg

PACKAGE: Final = "margrave"
WALK: Final = "margrave.lab.court.walk"


@dataclass(frozen=True, slots=True)
class Sitting:
    """One task: a family, a leg, and what it is asked."""

    family: VolatilityFamily | TailFamily
    leg: Leg
    horizons_h: tuple[int, ...]
    audited: bool


@dataclass(frozen=True)
class Store:
    """A folder of answers about one panel."""

    folder: Path
    panel_digest: str

    def path(self, sitting: Sitting) -> Path:
        settings = f"{settings_of(sitting.family)}|{sitting.leg}|{sitting.horizons_h}|{sitting.audited}"
        code = code_digest(*sorted(modules_of(sitting.family)))
        key = hashlib.sha256(f"{self.panel_digest}|{settings}|{code}".encode()).hexdigest()[:16]
        name = re.sub(r"[^a-z0-9]+", "-", sitting.family.name.lower()).strip("-")
        return self.folder / f"{name}-{sitting.leg.fit_row:06d}-{key}.npz"

    def find(self, sitting: Sitting) -> ByHorizon | None:
        """What was answered before; `None` where nothing was, or the file was cut off in the writing."""
        try:
            with self.path(sitting).open("rb") as file, np.load(file, allow_pickle=False) as held:
                return {
                    horizon_h: Answers(*(held[f"{name}_{horizon_h}"] for name in Answers.__slots__))
                    for horizon_h in held["horizons_h"].tolist()
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def keep(self, sitting: Sitting, answers: ByHorizon) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(sitting)
        columns = {"horizons_h": np.array(sorted(answers), dtype=np.int64)}
        for horizon_h, answer in answers.items():
            columns |= {f"{name}_{horizon_h}": getattr(answer, name) for name in Answers.__slots__}
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **columns)
        unfinished.replace(path)


def panel_digest(panel: Panel) -> str:
    """SHA-256 of the numbers that are judged, whichever files they came from."""
    digest = hashlib.sha256()
    for field in fields(panel):
        part = getattr(panel, field.name)
        digest.update(field.name.encode())
        digest.update(" ".join(part).encode() if field.name == "assets" else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def settings_of(family: VolatilityFamily | TailFamily) -> str:
    """As `repr`, which says of a function where it lies in one process's memory: that is nothing to remember it by."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(family))


def modules_of(part: object) -> set[str]:
    """Of Margrave, that a family's class, its members and its functions are from."""
    if isinstance(part, tuple | list):
        return {name for each in part for name in modules_of(each)}
    module = str(getattr(part if callable(part) else type(part), "__module__", ""))
    found = {module} if module.split(".")[0] != "builtins" else set()
    if is_dataclass(part):
        found |= {name for field in fields(part) for name in modules_of(getattr(part, field.name))}
    return found


@cache
def code_digest(*modules: str) -> str:
    """SHA-256 of the sources of modules, of the walk, and of all that they import of Margrave."""
    digest = hashlib.sha256()
    for source in sorted(_sources((*modules, WALK))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _sources(modules: Sequence[str]) -> set[Path]:
    found: set[Path] = set()
    seen: set[str] = set()
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        source = _source(name)
        if source is None:
            continue
        found.add(source)
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
                # `from package import module` names a file too
                todo += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def _source(module: str) -> Path | None:
    try:
        spec = find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None and spec.has_location else None
