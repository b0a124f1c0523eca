"""Where the recordings of chains lie, and how they are opened."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from tests.history import recorded


def opened(*parts: str | Path) -> Any:
    path = recorded(*parts)
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def files(*parts: str, pattern: str) -> list[Path]:
    found = sorted(recorded(*parts).glob(pattern))
    assert found, f"no {pattern} in {'/'.join(parts)}"
    return found


def opened_lines(*parts: str) -> list[Any]:
    """A file of one JSON object a line."""
    path = recorded(*parts)
    raw = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines() if line]
