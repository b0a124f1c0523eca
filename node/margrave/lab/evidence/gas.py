"""Gas of the contracts' main operations, committed under contracts/gas-snapshots and compared within one per cent.

The figures come from contracts/test/gas: each operation is a transaction of its own (forge's isolation), so everything
it touches is cold, as on a chain. `scripts/bench gas` measures whole publications on a node; these are for noticing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from margrave.chain.artifacts import CONTRACTS_DIR
from margrave.errors import Fatal
from margrave.lab.evidence.workshop import PROJECT, forge

SNAPSHOTS: Final = CONTRACTS_DIR / "gas-snapshots"
TOLERANCE: Final = 0.01
Figures = Mapping[str, Mapping[str, int]]
"""Gas by group (a file) and operation."""


def measure() -> Figures:
    """Run contracts/test/gas and read what it wrote.

    Raises:
        Fatal: A test of it fails.
    """
    with tempfile.TemporaryDirectory(prefix=".gas-", dir=PROJECT / "contracts") as name:
        folder = Path(name)
        settings = {"FOUNDRY_PROFILE": "gas", "FOUNDRY_SNAPSHOTS": str(folder.relative_to(PROJECT))}
        done = forge("test", "--root", ".", settings=settings)
        if done.returncode != 0:
            raise Fatal(f"contracts/test/gas fails: {(done.stdout + done.stderr)[-900:]}", advice="mend it first")
        return _read(folder)


def committed() -> Figures:
    return _read(SNAPSHOTS)


def write(measured: Figures) -> None:
    SNAPSHOTS.mkdir(exist_ok=True)
    for stale in SNAPSHOTS.glob("*.json"):
        stale.unlink()
    for group, figures in measured.items():
        text = json.dumps(dict(sorted(figures.items(), key=lambda item: _natural(item[0]))), indent=2) + "\n"
        (SNAPSHOTS / f"{group}.json").write_text(text, encoding="utf-8")


def changes(before: Figures, after: Figures) -> list[str]:
    """A line for each figure that moved by more than the tolerance, came or went."""
    lines: list[str] = []
    for group in sorted({*before, *after}):
        old, new = before.get(group, {}), after.get(group, {})
        for name in sorted({*old, *new}, key=_natural):
            was, now = old.get(name), new.get(name)
            if was is None or now is None:
                lines.append(
                    f"{group} · {name}: {was if now is None else now} {'is gone' if now is None else 'is new'}"
                )
            elif abs(now - was) > TOLERANCE * was:
                lines.append(f"{group} · {name}: {was} → {now} ({(now - was) / was:+.1%})")
    return lines


def _read(folder: Path) -> Figures:
    return {
        path.stem: {name: int(value) for name, value in json.loads(path.read_text(encoding="utf-8")).items()}
        for path in sorted(folder.glob("*.json"))
    }


def _natural(name: str) -> tuple[str, int]:
    words = name.rpartition(" ")
    return (words[0], int(words[2])) if words[2].isdigit() else (name, 0)
