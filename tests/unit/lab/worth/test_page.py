"""The verdict follows from the figures, and the page names every input."""

from __future__ import annotations

import json

import pytest

from margrave.lab.worth_page import tables, verdict
from margrave.score.features.beside import BESIDE_NAMES
from margrave.score.features.catalogue import TAIL_NAMES, VOLATILITY_NAMES
from margrave.settings import PROJECT_ROOT
from margrave.spans import YEAR_MS


def cell(difference: float, p: float, last_ms: int = YEAR_MS, t: float = -1.0) -> dict[str, object]:
    return {"what": "4 h", "difference": difference, "t": t, "p_holm": p, "first_ms": 0, "last_ms": last_ms}


@pytest.mark.parametrize(
    ("cells", "published", "begins"),
    [
        ([cell(-1.0, 0.01)], True, "kept: helps at 4 h"),
        ([cell(-1.0, 0.2, t=-2.5)], True, "kept: leans that way at 4 h"),
        ([cell(-1.0, 0.2)], True, "unproven here"),
        ([cell(-1.0, 0.2, t=-2.5)], False, "left out: nothing"),
        ([cell(-1.0, 0.01)], False, "left out of this version; helps at 4 h"),
        ([cell(-1.0, 0.01), cell(1.0, 0.01)], False, "left out: hurts at 4 h"),
        ([cell(-1.0, 0.2)], False, "left out: nothing"),
        ([cell(-1.0, 0.001, YEAR_MS // 8)], False, "left out: 46 days are too short"),
    ],
)
def test_a_verdict_needs_a_significant_gain_and_a_long_enough_time(
    cells: list[dict[str, object]], published: bool, begins: str
) -> None:
    assert verdict(cells, published=published).startswith(begins)


def test_the_page_names_every_input() -> None:
    page = tables(json.loads((PROJECT_ROOT / "docs" / "features.json").read_bytes()))
    for name in (*VOLATILITY_NAMES, *TAIL_NAMES, *BESIDE_NAMES):
        assert f"`{name}`" in page
