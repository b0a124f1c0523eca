"""The drift rule on real residuals: how often it speaks for nothing, and how soon after a break, planted or real.

Nothing happened, twice over: the residuals of a model in the hours as they came, and the same in an order drawn by lot,
in which no change can be. Both are counted by level and year of one market.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.breaks import planted
from margrave.lab.court.breaks.scene import BEFORE_H, Scene, breaks_of, copied, ours, rungs, scene_at
from margrave.lab.court.family import DOWN, LEVELS, UP, TailModel
from margrave.lab.court.panel import Panel
from margrave.score import drift
from margrave.score.drift import Drift, Seen
from margrave.spans import DAY_H, HOUR_MS, JULIAN_YEAR_H
from margrave.verdicts import DriftLevel

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

WATCHED_H: Final = 7 * DAY_H
"""Hours after a break in which it should be found."""
LEAN_SD: Final = 0.5
REAL: Final = (
    ("2020-03-12", "the pandemic's day"),
    ("2021-05-19", "China bans, leverage falls"),
    ("2022-05-09", "Terra fails"),
    ("2022-11-08", "FTX fails"),
)
FIT_BEFORE_D: Final = 45
LEVELS_UP: Final = (DriftLevel.FLAGGED, DriftLevel.WIDENED, DriftLevel.BASELINE)
SEED: Final = 5


@dataclass(frozen=True, slots=True)
class Alarms:
    """By level, times a year of one market that it was reached where nothing was planted."""

    what: str
    years: float
    by_level: tuple[float, ...]
    hastened: float
    """Mean factor of haste."""


@dataclass(frozen=True, slots=True)
class Delays:
    """After one kind of break."""

    what: str
    markets: int
    found: tuple[float, ...]
    """By level, share of markets that reached it within `WATCHED_H`."""
    median_h: tuple[float, ...]
    """By level, median hours until then; infinite where fewer than half did."""


def judged(scenes: Sequence[Scene], panel: Panel) -> tuple[list[Alarms], list[Delays]]:
    """Both tables; empty where there is no scene."""
    _, bare = ours()
    family = bare or ours()[0]
    rng = np.random.default_rng(SEED)
    calendar: list[Floats] = []
    shuffled: list[Floats] = []
    kinds: dict[str, list[Ints]] = defaultdict(list)
    for scene in scenes:
        past = scene.past()
        model = scene.fitted(family, past, (1,))
        rows = np.arange(scene.fit_row - BEFORE_H, scene.panel.hours - 1)
        seen, _ = _residuals(copied(model, past), scene.panel, rows)
        calendar += list(seen.T)
        shuffled += [rng.permutation(column[np.isfinite(column)]) for column in seen.T]
        for row in breaks_of(scene):
            for what, broken in _planted(scene, row).items():
                kinds[what].append(_first(*_residuals(copied(model, past), broken, _around(row))))
    for day, what in REAL:
        found = _real(panel, day)
        if found is not None:
            kinds[f"{day}, {what}"].append(found)
    alarms = [_alarms("hours as they came", calendar), _alarms("the same by lot", shuffled)] if calendar else []
    return alarms, [_delays(what, np.concatenate(found)) for what, found in kinds.items()]


def _planted(scene: Scene, row: int) -> dict[str, Panel]:
    panel = scene.panel
    deviation = np.nanstd(panel.log_return[row - BEFORE_H : row], axis=0)
    return {
        "volatility x3": planted.louder(panel, row, 3.0),
        "volatility x2": planted.louder(panel, row, 2.0),
        "volatility x0.5": planted.louder(panel, row, 0.5),
        f"drift of {LEAN_SD:g} standard deviations an hour": planted.leaning(panel, row, LEAN_SD * deviation),
        "frozen feed": planted.frozen(panel, row),
    }


def _real(panel: Panel, day: str) -> Ints | None:
    """First hours of each level after a day that is known for what happened; `None` where the panel lacks it."""
    row = (int(np.datetime64(day, "ms").astype(np.int64)) - int(panel.open_ms[0])) // HOUR_MS if panel.hours else -1
    if not BEFORE_H < row < panel.hours - WATCHED_H - 1:
        return None
    scene = scene_at(panel, row - FIT_BEFORE_D * DAY_H, FIT_BEFORE_D * DAY_H + WATCHED_H + 2)
    if scene is None:
        return None
    _, bare = ours()
    past = scene.past()
    model = scene.fitted(bare or ours()[0], past, (1,))
    at = scene.fit_row + FIT_BEFORE_D * DAY_H
    return _first(*_residuals(copied(model, past), scene.panel, _around(at)))


def _around(row: int) -> Ints:
    return np.arange(row - BEFORE_H, row + WATCHED_H)


def _residuals(model: TailModel, panel: Panel, rows: Ints) -> tuple[Floats, Flags]:
    """(rows, assets): the normal score of the hour after each row, and whether its price moved."""
    said = rungs(model, panel, rows, 1)
    came = panel.outcome(1)[rows]
    columns = [
        drift.scores(came[:, place], said[:, place, DOWN], said[:, place, UP], np.array(LEVELS))
        for place in range(came.shape[1])
    ]
    return np.stack(columns, axis=1), np.asarray(came != 0.0)


def _first(seen: Floats, moved: Flags) -> Ints:
    """(assets, levels): hours from the break until each level is reached; -1 where it is not."""
    found = np.full((seen.shape[1], len(LEVELS_UP)), -1, dtype=np.int64)
    for place in range(seen.shape[1]):
        state = Drift()
        for bar, value in enumerate(seen[:, place]):
            state = state.after(_seen(value, bool(moved[bar, place])))
            hours = bar - BEFORE_H + 1
            for which, level in enumerate(LEVELS_UP):
                if hours > 0 and state.level >= level and found[place, which] < 0:
                    found[place, which] = hours
    return found


def _seen(value: float, moved: bool) -> Seen:
    return Seen(score=float(value) if np.isfinite(value) else None, moved=moved)


def _alarms(what: str, streams: Sequence[Floats]) -> Alarms:
    reached, bars, haste = np.zeros(len(LEVELS_UP)), 0, 0.0
    for stream in streams:
        state = Drift()
        for value in stream:
            after = state.after(_seen(value, True))
            reached += [state.level < level <= after.level for level in LEVELS_UP]
            bars, haste, state = bars + 1, haste + after.haste, after
    years = bars / JULIAN_YEAR_H
    return Alarms(what, years, tuple((reached / years).tolist()), haste / max(bars, 1))


def _delays(what: str, first: Ints) -> Delays:
    """From (markets, levels)."""
    hours = np.where(first > 0, first.astype(np.float64), np.inf)
    return Delays(
        what,
        len(first),
        tuple((first > 0).mean(axis=0).tolist()),
        tuple(np.median(hours, axis=0).tolist()),
    )
