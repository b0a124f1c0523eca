"""`python -m margrave.lab.documents`: the parts of docs/ that are generated, between their markers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from margrave import lanes
from margrave.lab import gauntlet_page, worth_page
from margrave.lab.gas_page import tables
from margrave.lab.sources_page import sources_page
from margrave.settings import PROJECT_ROOT

ARCHITECTURE: Final = PROJECT_ROOT / "docs" / "architecture.md"
GAS: Final = PROJECT_ROOT / "docs" / "gas.md"
SOURCES: Final = PROJECT_ROOT / "docs" / "sources.md"
GAS_FIGURES: Final = PROJECT_ROOT / "contracts" / "gas.json"
GUARD: Final = PROJECT_ROOT / "docs" / "guard.md"
GUARD_FIGURES: Final = PROJECT_ROOT / "docs" / "gauntlet.json"
FEATURES: Final = PROJECT_ROOT / "docs" / "features.md"
FEATURE_FIGURES: Final = PROJECT_ROOT / "docs" / "features.json"


def lanes_table() -> str:
    rows = ["| word | lane | name | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for row in lanes.table():
        unit = f"{row['unit']:g}" + (", excess-16384" if row["signed"] else "")
        rows.append(f"| {row['word']} | {row['lane']} | `{row['name']}` | {unit} | {row['meaning']} |")
    return "\n".join(rows)


def gas_tables() -> str:
    """What the committed run of the gas benchmark measured."""
    return "\n" + tables(json.loads(GAS_FIGURES.read_bytes())) + "\n"


def guard_tables() -> str:
    """What the committed run of the gauntlet measured."""
    return "\n" + gauntlet_page.tables(json.loads(GUARD_FIGURES.read_bytes())) + "\n"


def feature_tables() -> str:
    """What the committed run of `margrave.lab.worth` measured, and the inputs by name."""
    return "\n" + worth_page.tables(json.loads(FEATURE_FIGURES.read_bytes())) + "\n"


Part = tuple[str, str, Callable[[], str]]
PARTS: Final[Mapping[Path, Part]] = {
    ARCHITECTURE: (
        "<!-- lanes: written by `python -m margrave.lab.documents` -->",
        "<!-- /lanes -->",
        lanes_table,
    ),
    GAS: (
        "<!-- gas: written by `python -m margrave.lab.documents` from contracts/gas.json -->",
        "<!-- /gas -->",
        gas_tables,
    ),
    SOURCES: (
        "<!-- sources: written by `python -m margrave.lab.documents` from the adapters -->",
        "<!-- /sources -->",
        lambda: f"\n{sources_page()}\n",
    ),
    GUARD: (
        "<!-- gauntlet: written by `python -m margrave.lab.documents` from docs/gauntlet.json -->",
        "<!-- /gauntlet -->",
        guard_tables,
    ),
    FEATURES: (
        "<!-- features: written by `python -m margrave.lab.documents` from docs/features.json -->",
        "<!-- /features -->",
        feature_tables,
    ),
}
"""What is generated of each page, and between which markers."""


def written(page: Path, text: str) -> str:
    """The page with its generated part as the code has it now."""
    begin, end, made = PARTS[page]
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{made()}\n{end}{after}"


def main() -> None:
    for page in PARTS:
        page.write_text(written(page, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
