"""The whole study on a small market: what can be asked is asked once, and what cannot is said."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import msgspec
import numpy as np

from margrave.lab.court.panel import Panel
from margrave.lab.worth.study import WHATS, study
from margrave.score.features import volatility
from margrave.score.features.beside import BESIDE
from tests.unit.score.features.series import drawn


def test_every_group_is_asked_once_and_those_without_a_source_are_named(tmp_path: Path) -> None:
    grid = drawn(4_800)
    panel = Panel(**{f.name: getattr(grid, f.name) for f in fields(Panel)})
    lines: list[str] = []
    worth = study(tmp_path, panel, lines.append)
    asked = [(cell.group, cell.what, cell.published) for cell in worth.cells]
    assert len(asked) == len(set(asked))
    assert {group for group, what, published in asked if published and what == "4 h"} == set(volatility.GROUPS)
    assert {what for _, what, _ in asked} == {what for what, _, _ in WHATS}
    assert {"order book", "basis", "open interest", "news tone", "VPIN"} <= set(worth.absent)
    assert "clock" not in worth.absent
    assert set(worth.absent) <= {feature.group.value for feature in BESIDE}
    assert all(np.isfinite(cell.t) and 0.0 <= cell.p <= cell.p_holm <= 1.0 for cell in worth.cells)
    assert msgspec.json.decode(msgspec.json.encode(worth))["absent"] == list(worth.absent)
    assert len(lines) == len(worth.cells) + 2
