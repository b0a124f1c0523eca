"""`margrave backtest`: a folder of history in, a report out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from margrave.errors import Fatal
from margrave.lab.court import history, report
from margrave.lab.court.answers import panel_digest
from margrave.lab.court.engine import EngineName, engine
from margrave.lab.court.families import Listed, chosen, everyone
from margrave.lab.court.panel import panel_of
from margrave.lab.court.report import Report
from margrave.lab.court.study import Say, Study, collect, quick, subset

ANSWERS: Final = "answers"
SAID_LEFT_OUT: Final = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    data: Path
    out: Path
    families: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    quick: bool = False
    engine: EngineName = EngineName.LOCAL
    workers: int | None = None
    """None takes every core."""


def backtest(wish: Wish, say: Say, among: Sequence[Listed] | None = None) -> Report:
    """Judge, resuming what `out` holds already, and write `report.json` there.

    Args:
        among: the families that may be called; all that are listed without.

    Raises:
        Fatal: a folder without bars, an asset or a family that is not there, too little history, a look ahead.
    """
    called = chosen(wish.families, everyone() if among is None else among)
    if not called:
        raise Fatal("no family is listed", advice="list one in lab/court/families")
    found = history.read(wish.data, wish.assets)
    for line in found.left_out[:SAID_LEFT_OUT]:
        say(f"left out: {line}")
    if len(found.left_out) > SAID_LEFT_OUT:
        say(f"left out: {len(found.left_out) - SAID_LEFT_OUT} more; the report lists them")
    panel = panel_of(found)
    if wish.quick:
        panel = subset(panel)
    study = quick() if wish.quick else Study()
    say(f"{len(panel.assets)} assets, {panel.hours} hours, {len(called)} families")
    where = engine(wish.engine, wish.workers or os.cpu_count() or 1)
    answers = collect(panel, called, study, wish.out / ANSWERS, where, say)
    say("judging")
    facts = report.facts(
        command=command(wish),
        data=wish.data.name,
        digest=panel_digest(panel),
        panel=panel,
        sources=sorted({f"{s.asset}: {s.source}" for s in found.stretches if s.asset in panel.assets}),
        left_out=found.left_out,
        study=study,
        called=called,
    )
    judged = report.report(facts, panel, called, answers)
    say(f"wrote {report.write(judged, wish.out)}")
    return judged


def command(wish: Wish) -> str:
    """The line that repeats the study, wherever the data lie."""
    parts = ["margrave backtest --data DIR"]
    parts += [f"--family {_quoted(name)}" for name in wish.families]
    parts += [f"--assets {','.join(wish.assets)}"] if wish.assets else []
    parts += ["--quick"] if wish.quick else []
    return " ".join(parts)


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name
