"""docs/features.md: every input by name, and what each group was worth where the data could tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from margrave.score.features.beside import BESIDE
from margrave.score.features.catalogue import TAILS, VOLATILITY, Feature
from margrave.spans import DAY_MS

HELPS_P: Final = 0.05
"""Holm-adjusted over all cells of the table."""
LEANS_T: Final = -1.96
"""One cell alone, unadjusted: enough to keep what is published, not to take in what is not."""
SHORT_DAYS: Final = 180
CELLS: Final = ("1 h", "4 h", "24 h", "tail down", "tail up")


def tables(figures: Mapping[str, Any]) -> str:
    """
    Args:
        figures: docs/features.json, as `python -m margrave.lab.worth` writes it.
    """
    parts = [
        "### What the published inputs are worth",
        _worth(figures["cells"], published=True),
        "### What the others would add",
        _worth(figures["cells"], published=False),
        _absent(figures),
        "### Inputs of the volatility models",
        _catalogue(VOLATILITY),
        "### Inputs of the tail models",
        _catalogue(TAILS),
        "### Inputs that no published model reads",
        _catalogue(BESIDE),
    ]
    return "\n\n".join(part for part in parts if part)


def verdict(cells: Sequence[Mapping[str, Any]], *, published: bool) -> str:
    """What follows from a group's cells."""
    helps = [cell["what"] for cell in cells if cell["difference"] < 0 and cell["p_holm"] < HELPS_P]
    hurts = [cell["what"] for cell in cells if cell["difference"] > 0 and cell["p_holm"] < HELPS_P]
    days = max((cell["last_ms"] - cell["first_ms"]) / DAY_MS for cell in cells)
    if days < SHORT_DAYS:
        return f"left out: {days:.0f} days are too short to tell"
    if published:
        if helps:
            return f"kept: helps at {', '.join(helps)}"
        leans = [cell["what"] for cell in cells if cell["t"] < LEANS_T]
        return (
            f"kept: leans that way at {', '.join(leans)}" if leans else "unproven here: its family's ablations decide"
        )
    if helps and not hurts:
        return f"left out of this version; helps at {', '.join(helps)}: a candidate"
    return "left out: " + (f"hurts at {', '.join(hurts)}" if hurts else "nothing shows that it helps")


def _worth(cells: Iterable[Mapping[str, Any]], *, published: bool) -> str:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        if cell["published"] == published:
            groups.setdefault(cell["group"], []).append(cell)
    heads = [f"QLIKE {what}" if what.endswith("h") else f"FZ0 1 %, 4 h, {what}" for what in CELLS]
    rows = [f"| group | {' | '.join(heads)} | assets, days | verdict |", "| --- |" + " ---: |" * 6 + " --- |"]
    for group, mine in groups.items():
        by_what = {cell["what"]: cell for cell in mine}
        shown = " | ".join(_shown(by_what[what]) if what in by_what else "" for what in CELLS)
        most = max(mine, key=lambda cell: cell["last_ms"] - cell["first_ms"])
        span = f"{most['assets']}, {_day(most['first_ms'])} to {_day(most['last_ms'])}"
        rows.append(f"| {group} | {shown} | {span} | {verdict(mine, published=published)} |")
    return "\n".join(rows)


def _shown(cell: Mapping[str, Any]) -> str:
    size = f"{cell['difference']:+.2f} %" if cell["what"].endswith("h") else f"{cell['difference']:+.4f}"
    mark = "**" if cell["p_holm"] < HELPS_P else ""
    return f"{mark}{size}{mark} ({cell['t']:+.1f})"


def _absent(figures: Mapping[str, Any]) -> str:
    if not figures["absent"]:
        return ""
    return f"Nothing in the development data, or too little to fit on: {', '.join(figures['absent'])}. Left out."


def _catalogue(features: Sequence[Feature]) -> str:
    rows = ["| input | unit | group | needs | looks back | mask |", "| --- | --- | --- | --- | ---: | --- |"]
    rows += [
        f"| `{f.name}` | {f.unit} | {f.group.value} | {', '.join(f.needs)} | {f'{f.window_h} h' if f.window_h else ''} "
        f"| {f'`{f.mask}`' if f.mask else ''} |"
        for f in features
    ]
    return "\n".join(rows)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
