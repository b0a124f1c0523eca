"""Breaks before the court: coverage after planted ones, and what the drift rule makes of planted and real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from margrave.errors import Fatal
from margrave.lab.court import plots
from margrave.lab.court.breaks import coverage, drifting, scene
from margrave.lab.court.breaks.coverage import BARS, HORIZONS_H, LOUDER, Covered
from margrave.lab.court.breaks.drifting import Alarms, Delays
from margrave.lab.court.chamber import Case, Figure, Ruling, Table, unjudged
from margrave.lab.court.families.tails.garch import FAST_FHS
from margrave.lab.court.study import first_row
from margrave.lab.court.target import Goal
from margrave.lab.demo.plots import AMBER, BLUE, GREY
from margrave.spans import DAY_H

COVERAGE: Final = Goal("conformal coverage after planted breaks", 0.87, "of 0.90", at_least=True)
WIDTH: Final = Goal("conformal width over the oracle's", 1.10, "x")
TITLE: Final = "Breaks"
SMOOTHED: Final = 6
"""Bars of a moving mean in the drawing."""
FACTORS: Final = ", ".join(f"{factor:g}" for factor in coverage.FACTORS)


@dataclass(frozen=True)
class Breaks:
    kind: str = "breaks"
    about: str = "coverage after planted breaks, false alarms and delays of the drift rule"
    goals: tuple[Goal, ...] = (COVERAGE, WIDTH)

    def judge(self, case: Case) -> Ruling:
        try:
            start = first_row(case.panel, replace(case.study, quick=False)) if case.panel.hours else 0
        except Fatal as refused:
            return unjudged(self, TITLE, refused.problem)
        scenes = scene.scenes(case.panel, start, 1 if case.study.quick else scene.MOST_FITS)
        if not scenes:
            days = (scene.LEAST_PAST_H + scene.AFTER_H) // DAY_H
            return unjudged(self, TITLE, f"no asset has {days} days without a gap to plant a break into")
        case.say(
            f"breaks: {len(scenes)} fits, {len(scene.BREAKS_D)} breaks after each, {len(scene.families())} families"
        )
        rows = coverage.covered(scenes)
        case.say("breaks: the drift rule")
        alarms, delays = drifting.judged(scenes, case.panel)
        return self._ruling(scenes, rows, alarms, delays)

    def _ruling(
        self,
        scenes: Sequence[scene.Scene],
        rows: Sequence[Covered],
        alarms: Sequence[Alarms],
        delays: Sequence[Delays],
    ) -> Ruling:
        served = next(iter(scene.families()))
        share, width, bars = coverage.pooled(rows, served)
        note = f"{served}; volatility x{LOUDER[0]:g} and x{LOUDER[1]:g}, {bars} bars; the first {BARS} after each break"
        lacking = tuple(
            f"the break of {day} ({what}): no asset has the hours around it"
            for day, what in drifting.REAL
            if not any(row.what.startswith(day) for row in delays)
        )
        return Ruling(
            kind=self.kind,
            title=TITLE,
            summary=(
                f"Volatility was multiplied by {FACTORS} at {len(scenes) * len(scene.BREAKS_D)} hours of a real past, "
                f"for at most {scene.MOST_ASSETS} assets at once, {' and '.join(f'{h} h' for h in HORIZONS_H)} ahead. "
                f"In the first {BARS} bars after it doubled or trebled, {served} covered {share:.3f} of 0.90 at "
                f"{width:.2f} of the width of a model that knew."
            ),
            tables=(_coverage_table(rows), _alarm_table(alarms), _delay_table(delays)),
            figures=_figures(rows, served),
            targets=(COVERAGE.measured(share, note), WIDTH.measured(width, note)),
            silent=lacking,
        )


def _coverage_table(rows: Sequence[Covered]) -> Table:
    return Table(
        f"Coverage of the 90 % interval in the first {BARS} bars, and its width",
        ("family", "horizon, h", "volatility times", "bars", "covered", "width over the oracle's"),
        tuple((r.family, r.horizon_h, r.factor, r.bars, r.share, r.width) for r in rows),
        "Times 1 is no break. The oracle is our family without widening on the unbroken past, times the factor.",
    )


def _alarm_table(alarms: Sequence[Alarms]) -> Table:
    return Table(
        "The drift rule where nothing was planted: levels reached, a year of one market",
        ("residuals", "market years", *(level.name.lower() for level in drifting.LEVELS_UP), "mean haste"),
        tuple((a.what, a.years, *a.by_level, a.hastened) for a in alarms),
        "In an order drawn by lot nothing can have changed; as the hours came, some alarms are true.",
    )


def _delay_table(delays: Sequence[Delays]) -> Table:
    names = [level.name.lower() for level in drifting.LEVELS_UP]
    columns = [part for name in names for part in (f"{name}, share", f"{name}, median h")]
    rows = []
    for row in delays:
        cells: list[float | None] = []
        for share, hours in zip(row.found, row.median_h, strict=True):
            cells += [share, hours if np.isfinite(hours) else None]
        rows.append((row.what, row.markets, *cells))
    return Table(
        f"The drift rule after breaks: share of markets at each level within {drifting.WATCHED_H // DAY_H} days",
        ("break", "markets", *columns),
        tuple(rows),
        "The model follows volatility within hours: half of the breaks are over for it before any rule could be sure. "
        "Haste is for those hours.",
    )


def _figures(rows: Sequence[Covered], served: str) -> tuple[Figure, ...]:
    """Coverage by bar since the break, of the served family, of the bare one and of the best known baseline."""
    _, bare = scene.ours()
    shown = [served, *([bare.name] if bare else []), FAST_FHS.name]
    panels = [(horizon_h, factor) for horizon_h in HORIZONS_H for factor in LOUDER]
    figure, axes = plots.side_by_side(len(panels), 1.9, share_y=True)
    for axis, (horizon_h, factor) in zip(axes, panels, strict=True):
        for name, colour in zip(shown, (BLUE, AMBER, GREY), strict=False):
            row = next((r for r in rows if (r.family, r.horizon_h, r.factor) == (name, horizon_h, factor)), None)
            if row is not None:
                values = np.convolve(row.by_bar, np.ones(SMOOTHED) / SMOOTHED, mode="valid")
                axis.plot(np.arange(len(values)) + 1, values, color=colour)
        axis.axhline(0.9, color=GREY, linewidth=0.8)
        axis.set_title(f"{horizon_h} h, x{factor:g}", loc="left", fontsize=8)
    return (
        Figure(
            "Share of outcomes inside the 90 % interval, by bars since the break",
            plots.svg(figure),
            f"Means of {SMOOTHED} bars. Blue {served}, amber {', grey '.join(shown[1:])}.",
        ),
    )
