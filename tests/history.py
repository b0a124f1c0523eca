"""The market history that MARGRAVE_DATA points to: what needs it is skipped where it is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

DATA: Final = os.environ.get("MARGRAVE_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="MARGRAVE_DATA does not point to the market history")


def recorded(*parts: str | Path) -> Path:
    """A file or folder of it, by its path there."""
    assert DATA is not None
    return Path(DATA).joinpath(*parts)
