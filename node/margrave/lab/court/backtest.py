"""`margrave backtest`: a folder of history in, a report out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from margrave.errors import Fatal
from margrave.lab.court import history, report
from margrave.lab.court.answers import panel_digest
from margrave.lab.court.chamber import Case, Chamber, Ruling
from margrave.lab.court.chambers import CHAMBERS, called
from margrave.lab.court.engine import EngineName, engine
from margrave.lab.court.families import Listed, chosen, everyone, not_called
from margrave.lab.court.panel import Panel, no_panel, panel_of
from margrave.lab.court.report import Report
from margrave.lab.court.study import Say, Study, collect, paced, quick, subset, too_little
from margrave.lab.court.target import unmeasured
from margrave.lab.court.walk import ByHorizon

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


def backtest(
    wish: Wish, say: Say, among: Sequence[Listed] | None = None, sitting: Sequence[Chamber] = CHAMBERS
) -> Report:
    """Judge, resuming what `out` holds already, and write `report.json` there.

    Args:
        among: the families that may be called; all that are listed without.
        sitting: the chambers that may be.

    Raises:
        Fatal: no folder, an asset or a family that is not there, a look ahead, or nothing at all that could be judged.
    """
    listed, chambers = _called(wish.families, everyone() if among is None else among, sitting)
    absent = not_called() if among is None else ()
    for line in absent:
        say(line)
    found = history.read(wish.data, wish.assets)
    for line in found.left_out[:SAID_LEFT_OUT]:
        say(f"left out: {line}")
    if len(found.left_out) > SAID_LEFT_OUT:
        say(f"left out: {len(found.left_out) - SAID_LEFT_OUT} more; the report lists them")
    panel = panel_of(found) if found.stretches else no_panel()
    if wish.quick:
        panel = subset(panel)
    study = quick() if wish.quick else paced(Study(), panel)
    say(f"{len(panel.assets)} assets, {panel.hours} hours, {len(listed)} families, {len(chambers)} chambers")
    silent: list[str] = []
    answers = _walked(wish, panel, listed, study, say, silent)
    rulings = [_ruled(chamber, wish, panel, study, say) for chamber in chambers]
    say("judging")
    facts = report.facts(
        command=command(wish),
        data=wish.data.name,
        digest=panel_digest(panel),
        panel=panel,
        sources=sorted({f"{s.asset}: {s.source}" for s in found.stretches if s.asset in panel.assets}),
        left_out=(*found.left_out, *absent),
        study=study,
        called=listed,
    )
    judged = report.report(facts, panel, listed, answers, chambers=sitting, rulings=rulings, silent=silent)
    if not (judged.volatility or judged.tails or any(ruling.tables for ruling in rulings)):
        whys = [*silent, *(why for ruling in rulings for why in ruling.silent)]
        raise Fatal(f"nothing could be judged: {'; '.join(whys)}", advice="give a longer history without gaps")
    say(f"wrote {report.write(judged, wish.out)}")
    return judged


def _called(
    words: Sequence[str], among: Sequence[Listed], sitting: Sequence[Chamber]
) -> tuple[tuple[Listed, ...], tuple[Chamber, ...]]:
    kinds = [chamber.kind for chamber in sitting]
    rest = [word for word in words if word not in kinds]
    try:
        listed = chosen(rest, among) if rest or not words else ()
    except Fatal as error:
        raise Fatal(error.problem, advice=", ".join([error.advice, *kinds])) from None
    return listed, called(words, sitting)


def _walked(
    wish: Wish, panel: Panel, listed: Sequence[Listed], study: Study, say: Say, silent: list[str]
) -> Mapping[str, ByHorizon]:
    """Answers by family; what keeps them from being given is added to `silent`."""
    if not listed:
        return {}
    if not panel.assets:
        why: str | None = f"no bars (ts, open, high, low, close) of {history.LEAST_HOURS} hours in a row"
    else:
        why = too_little(panel)
    if why is None:
        where = engine(wish.engine, wish.workers or os.cpu_count() or 1)
        answers = collect(panel, listed, study, wish.out / ANSWERS, where, say, silent)
        if answers:
            return answers
        why = "no family had an hour to judge: each needs a longer past without a gap"
    say(f"not walked: {why}")
    silent.append(f"{' and '.join(sorted({x.kind for x in listed}, reverse=True))}: {why}")
    return {}


def _ruled(chamber: Chamber, wish: Wish, panel: Panel, study: Study, say: Say) -> Ruling:
    say(f"{chamber.kind}: {chamber.about}")
    try:
        ruling = chamber.judge(Case(wish.data, panel, study, wish.out / ANSWERS / chamber.kind, say))
    except Fatal:
        raise
    except Exception as error:  # an hour of the others' work must not be lost to one chamber's fault
        why = f"{chamber.kind} failed, which is a fault of it: {type(error).__name__}: {error}"
        ruling = Ruling(chamber.kind, chamber.kind, why, targets=unmeasured(chamber.goals, why), silent=(why,))
    for why in ruling.silent[:SAID_LEFT_OUT]:
        say(f"{chamber.kind} does not judge: {why}")
    return ruling


def command(wish: Wish) -> str:
    """The line that repeats the study, wherever the data lie."""
    parts = ["margrave backtest --data DIR"]
    parts += [f"--family {_quoted(name)}" for name in wish.families]
    parts += [f"--assets {','.join(wish.assets)}"] if wish.assets else []
    parts += ["--quick"] if wish.quick else []
    return " ".join(parts)


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name
