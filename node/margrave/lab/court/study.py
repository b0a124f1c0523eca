"""A study: who is asked what, from which hour on, and the collecting of the answers, resumed where it was cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from margrave.errors import Fatal
from margrave.lab.court.answers import Sitting, Store, panel_digest
from margrave.lab.court.engine import Engine, Fault
from margrave.lab.court.families import Kind, Listed
from margrave.lab.court.family import HORIZONS_H, TAIL_HORIZONS_H
from margrave.lab.court.panel import Panel
from margrave.lab.court.walk import REFIT_H, ByHorizon, Leg, joined, legs
from margrave.spans import YEAR_H

Say = Callable[[str], None]

FIRST_FIT_H: Final = YEAR_H
"""Hours that the first fit sees, where there are twice as many."""
LEAST_PANEL_H: Final = 180 * 24
"""A panel of fewer hours cannot be halved into a past to fit and a future to judge."""
MOST_LEGS: Final = 40
"""Refits a month apart for three years; a longer history is walked in longer steps, so that a study ends within the
hour on two cores."""
QUICK_ASSETS: Final = 4
QUICK_H: Final = 180 * 24
QUICK_REFIT_H: Final = 90 * 24


@dataclass(frozen=True, slots=True)
class Study:
    """What is judged, in the words of the report."""

    refit_h: int = REFIT_H
    volatility_h: tuple[int, ...] = HORIZONS_H
    tails_h: tuple[int, ...] = TAIL_HORIZONS_H
    quick: bool = False

    def horizons_h(self, kind: Kind) -> tuple[int, ...]:
        return self.volatility_h if kind is Kind.VOLATILITY else self.tails_h


def quick() -> Study:
    return Study(refit_h=QUICK_REFIT_H, quick=True)


def paced(study: Study, panel: Panel) -> Study:
    """The same with its refits so many times further apart, a whole number, that they are no more than `MOST_LEGS`."""
    if too_little(panel):
        return study
    times = -(-len(schedule(panel, study)) // MOST_LEGS)
    return replace(study, refit_h=study.refit_h * times)


def subset(panel: Panel) -> Panel:
    """Of a quick study: the assets with the most bars."""
    bars = panel.present.sum(axis=0)
    longest = np.sort(np.argsort(-bars, kind="stable")[:QUICK_ASSETS])
    return panel.only([panel.assets[place] for place in longest])


def too_little(panel: Panel) -> str | None:
    """Why nobody can be fitted and judged on this panel."""
    lived = int(panel.present.any(axis=1).sum())
    if lived >= LEAST_PANEL_H:
        return None
    return f"{lived} hours are too few: half are fitted on and half judged, and that takes {LEAST_PANEL_H}"


def first_row(panel: Panel, study: Study) -> int:
    """Of the first forecast: after a year, or half of what there is where that is less; of a quick study near the end.
    Only hours count in which some asset has a bar.

    Raises:
        Fatal: there is too little history to fit and judge.
    """
    if why := too_little(panel):
        raise Fatal(why, advice="give a longer history")
    lived = np.flatnonzero(panel.present.any(axis=1))
    first = min(FIRST_FIT_H, len(lived) // 2)
    return int(lived[max(first, len(lived) - QUICK_H) if study.quick else first])


def schedule(panel: Panel, study: Study) -> list[Leg]:
    """Legs with something to judge: in a hole of the history nobody is fitted."""
    planned = legs(panel, first_row(panel, study), study.refit_h)
    shortest = min((*study.volatility_h, *study.tails_h))
    there = np.asarray(np.isfinite(panel.outcome(shortest)).any(axis=1), dtype=np.bool_)
    return [leg for leg in planned if there[leg.fit_row : leg.end_row].any()]


def collect(
    panel: Panel,
    called: Sequence[Listed],
    study: Study,
    folder: Path,
    engine: Engine,
    say: Say,
    faults: list[str] | None = None,
) -> Mapping[str, ByHorizon]:
    """Every family's answers, by name; a family that judged nothing is said and left out.

    Args:
        faults: takes the lines of families that failed.

    Raises:
        Fatal: a family looks ahead, or there is too little history to fit and judge.
    """
    store, todo = Store(folder, panel_digest(panel)), schedule(panel, study)
    sittings = [
        Sitting(listed.family, leg, study.horizons_h(listed.kind), audited=place == len(todo) // 2)
        for listed in called
        for place, leg in enumerate(todo)
    ]
    found: dict[int, ByHorizon] = {}
    for place, sitting in enumerate(sittings):
        before = store.find(sitting)
        if before is not None:
            found[place] = before
    if found:
        say(f"{len(found)} of {len(sittings)} sittings were held before, and are not held again")
    missing = [place for place in range(len(sittings)) if place not in found]
    for done, answers in engine.hold(panel, [sittings[place] for place in missing]):
        sitting = sittings[missing[done]]
        if isinstance(answers, Fault):
            say(answers.why)
            if faults is not None:
                faults.append(answers.why)
            found[missing[done]] = {}
            continue
        store.keep(sitting, answers)
        found[missing[done]] = answers
        say(f"{len(found)}/{len(sittings)}  {sitting.family.name}, fitted at {_day(panel, sitting.leg.fit_row)}")
    return _by_name(called, [found[place] for place in range(len(sittings))], len(todo), say)


def _by_name(called: Sequence[Listed], found: Sequence[ByHorizon], legs_each: int, say: Say) -> dict[str, ByHorizon]:
    named: dict[str, ByHorizon] = {}
    for place, listed in enumerate(called):
        parts = found[place * legs_each : (place + 1) * legs_each]
        if any(parts):
            named[listed.name] = joined(parts)
        else:
            say(f"{listed.name} judged nothing: no asset has {listed.family.least_hours} hours without a gap")
    return named


def _day(panel: Panel, row: int) -> str:
    return str(np.datetime64(int(panel.open_ms[row]), "ms").astype("datetime64[D]"))
