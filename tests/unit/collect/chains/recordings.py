"""Where the recordings of chains lie, and how they are opened. Tests that need them say so with `needs_data`."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

DATA = os.environ.get("MARGRAVE_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="MARGRAVE_DATA does not point to the market history")


def recording(*parts: str | Path) -> Path:
    assert DATA is not None
    return Path(DATA).joinpath(*parts)


def opened(*parts: str | Path) -> Any:
    path = recording(*parts)
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def files(*parts: str, pattern: str) -> list[Path]:
    found = sorted(recording(*parts).glob(pattern))
    assert found, f"no {pattern} in {'/'.join(parts)}"
    return found


def opened_lines(*parts: str) -> list[Any]:
    """A file of one JSON object a line."""
    path = recording(*parts)
    raw = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines() if line]
