"""A chamber: a part of the court that judges by rules of its own, and brings its own tables, drawings and targets.

Volatility and tails are walked (`study`, `judge_volatility`, `judge_tails`) and need none. Whatever else is judged is a
chamber: it is handed the folder and the panel, finds in them what it needs, and says of the rest that it is not there.
`chambers.CHAMBERS` lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from margrave.lab.court.panel import Panel
from margrave.lab.court.study import Say, Study
from margrave.lab.court.target import Goal, Target, unmeasured


@dataclass(frozen=True, slots=True)
class Case:
    """What a chamber may look at."""

    data: Path
    panel: Panel
    """Hourly, all assets of the study; of no hours and no assets where the folder has no bars."""
    study: Study
    answers: Path
    """A folder of the chamber's own, to resume from. It need not exist."""
    say: Say


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are words, numbers in the unit that their column names, or None for what there is not."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """Drawn with `plots.side_by_side` and `plots.svg`, which give it the page's colours."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a chamber found."""

    kind: str
    title: str
    summary: str
    """One or two sentences: what was judged, on what, and how it ended."""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    targets: tuple[Target, ...] = ()
    silent: tuple[str, ...] = ()
    """What could not be judged, and why."""


class Chamber(Protocol):
    @property
    def kind(self) -> str:
        """The word for `--family`."""
        ...

    @property
    def about(self) -> str:
        """One line for those who choose."""
        ...

    @property
    def goals(self) -> tuple[Goal, ...]:
        """Every target that its ruling has: where it is not called, the report says that they were not measured."""
        ...

    def judge(self, case: Case) -> Ruling:
        """Never raises for what the folder lacks: `silent` says it, and targets are unmeasured."""
        ...


def unjudged(chamber: Chamber, title: str, why: str) -> Ruling:
    """Where there is nothing to go by: every target is unmeasured, and the reader is told why."""
    targets = unmeasured(chamber.goals, why)
    return Ruling(chamber.kind, title, "Nothing could be judged.", targets=targets, silent=(why,))
