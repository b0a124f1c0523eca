"""What the court found of cascade/1, on its card and in its evaluation: one look at what came after it was chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from margrave.lab.court.cascade.answers import OURS
from margrave.lab.court.cascade.chamber import BASELINES, CascadeChamber
from margrave.lab.court.chamber import Case, Ruling
from margrave.lab.court.panel import Panel
from margrave.lab.court.study import Study
from train import export

NAME: Final = "cascade/1"
MEASURES: Final = ("AUROC", "AUPRC", "Brier, 1e-4", "ECE")
TESTED: Final = "AUROC"


def judged(data: Path, panel: Panel) -> Ruling:
    return CascadeChamber().judge(Case(data, panel, Study(), data, print))


def write(ruling: Ruling) -> None:
    export.revise(NAME, list(metrics(ruling)), evaluation(ruling))


def metrics(ruling: Ruling) -> Iterator[dict[str, Any]]:
    """Ours, then how much less the others part what happens from what does not, with DeLong's test."""
    for table in ruling.tables:
        if not table.title.startswith("Cascades foreseen"):
            continue
        part = table.title.removeprefix("Cascades foreseen, ")
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        us = {row["horizon, h"]: row for row in rows if row[""] == OURS}
        for row in rows:
            hours = row["horizon, h"]
            if row[""] != OURS and row[""] not in BASELINES:
                continue
            for measure in MEASURES:
                value, mine = row[measure], us[hours][measure]
                if not isinstance(value, float) or not isinstance(mine, float):
                    continue
                if row[""] == OURS:
                    yield {"name": f"{measure}, {hours} h", "part": part, "value": round(value, 6)}
                elif measure == TESTED:
                    yield {
                        "name": f"{measure}, {hours} h",
                        "part": part,
                        "value": round(mine - value, 6),
                        "against": str(row[""]),
                        "statistic": f"DeLong z {row['ours over it, DeLong z']:.1f}",
                    }


def evaluation(ruling: Ruling) -> dict[str, Any]:
    return {
        "summary": ruling.summary,
        "tables": [
            {"title": t.title, "columns": list(t.columns), "rows": [list(row) for row in t.rows], "note": t.note}
            for t in ruling.tables
        ],
        "targets": [
            {"name": t.name, "target": t.target, "value": t.value, "verdict": t.verdict, "note": t.note}
            for t in ruling.targets
        ],
        "silent": list(ruling.silent),
    }
