"""One part of what was asked, judged: every forecaster's measures, and whether ours is better by more than luck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court import events
from margrave.lab.court.cascade.answers import OURS, Answer
from margrave.lab.court.cascade.questions import Questions
from margrave.lab.court.events import NOT_TESTED, Tested
from margrave.score.cascade.inputs import HORIZONS_H
from margrave.spans import DAY_MS, HOUR_MS, WEEK_MS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

APART_MS: Final = DAY_MS
"""Cascade hours nearer than this are one episode."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one forecaster."""

    name: str
    auroc: float
    auprc: float
    brier: float
    ece: float
    said: float
    """Mean probability."""
    calibrated: Tested
    """Spiegelhalter's, on rows a horizon apart."""
    against_ours: Tested
    """DeLong's, weeks as clusters: z above zero where ours is better."""


@dataclass(frozen=True, slots=True)
class Part:
    """Of one horizon, before the fact or given the fall."""

    horizon_h: int
    rows: int
    cascades: int
    episodes: int
    measured: tuple[Measured, ...]
    happened: Floats
    said: Mapping[str, Floats]

    @property
    def prevalence(self) -> float:
        return self.cascades / self.rows if self.rows else float("nan")

    def of(self, name: str) -> Measured | None:
        return next((one for one in self.measured if one.name == name), None)


def judge(asked: Questions, answers: Sequence[Answer], rows: Flags, *, given: bool) -> list[Part]:
    """A part a horizon with any row. All are judged on the rows on which all of them speak; who nowhere does is left
    out."""
    parts = []
    for place, horizon_h in enumerate(HORIZONS_H):
        said = {one.name: (one.given if given else one.before)[:, place] for one in answers}
        mine = rows & np.isfinite(asked.cascade[:, place])
        said = {name: values for name, values in said.items() if np.isfinite(values[mine]).any()}
        for values in said.values():
            mine = mine & np.isfinite(values)
        if not mine.any() or OURS not in said:
            continue
        happened, times = asked.cascade[mine, place], asked.known_ms[mine]
        theirs = {name: values[mine] for name, values in said.items()}
        apart = (times // HOUR_MS) % horizon_h == 0
        measured = tuple(
            _measured(name, happened, values, theirs[OURS], times, apart) for name, values in theirs.items()
        )
        parts.append(
            Part(
                horizon_h, len(happened), int(happened.sum()), episodes(times[happened > 0]), measured, happened, theirs
            )
        )
    return parts


def _measured(
    name: str, happened: Floats, said: Floats, ours: Floats, times: NDArray[np.int64], apart: Flags
) -> Measured:
    return Measured(
        name=name,
        auroc=events.auroc(happened, said),
        auprc=events.auprc(happened, said),
        brier=events.brier(happened, said),
        ece=events.ece(happened, said),
        said=float(said.mean()),
        calibrated=events.spiegelhalter(happened[apart], said[apart]),
        against_ours=NOT_TESTED if name == OURS else events.delong(happened, ours, said, times // WEEK_MS),
    )


def episodes(times_ms: NDArray[np.int64]) -> int:
    """Cascade hours of any book that lie a day apart from the last are another episode."""
    ordered = np.unique(times_ms)
    return int(1 + (np.diff(ordered) > APART_MS).sum()) if len(ordered) else 0


def size_errors(asked: Questions, sizes: Mapping[str, Floats], rows: Flags, place: int) -> dict[str, float]:
    """Mean absolute error of log10 of what cascades liquidated, of those that say something of every cascade."""
    mine = rows & (np.nan_to_num(asked.cascade[:, place]) > 0)
    found = {}
    for name, said in sizes.items():
        if mine.any() and np.isfinite(said[mine, place]).all():
            said_log = np.log10(np.maximum(said[mine, place], 1e-9))
            found[name] = float(np.abs(said_log - np.log10(asked.liquidated[mine, place])).mean())
    return found
