"""`python -m margrave.lab.documents`: the parts of docs/ that are generated, between their markers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from margrave import lanes
from margrave.settings import PROJECT_ROOT

BEGIN: Final = "<!-- lanes: written by `python -m margrave.lab.documents` -->"
END: Final = "<!-- /lanes -->"
ARCHITECTURE: Final = PROJECT_ROOT / "docs" / "architecture.md"


def lanes_table() -> str:
    rows = ["| word | lane | name | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for row in lanes.table():
        unit = f"{row['unit']:g}" + (", excess-16384" if row["signed"] else "")
        rows.append(f"| {row['word']} | {row['lane']} | `{row['name']}` | {unit} | {row['meaning']} |")
    return "\n".join(rows)


def written(text: str) -> str:
    """The page with its table as the code has it now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{lanes_table()}\n{END}{after}"


def main(page: Path = ARCHITECTURE) -> None:
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
