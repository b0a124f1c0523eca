"""Who is asked: the registry's model, a logistic regression that learns as it goes, the simulator alone, and the rate
at which cascades have come so far.

Each speaks twice: before the fact, of what is known when an hour is over, and given the fall that followed, which
parts what it knows of borrowers from what it knows of prices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.cascade import simulator
from margrave.lab.court.cascade.questions import HALF_LIVES_H, Questions, scales
from margrave.score.cascade.inputs import EDGES, FALLS, HORIZONS_H
from margrave.score.registry import Model
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEG_H: Final = 24 * 90
"""Between refits of what learns."""
LEAST_CASCADES: Final = 20
"""Hours with one, before anything is fitted."""
RIDGE: Final = 1e-3
STEPS: Final = 50
OURS: Final = "registry"
LOGISTIC: Final = "logistic"
SIMULATOR: Final = "simulator"
RATE: Final = "rate so far"


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one forecaster; arrays of shape (rows, horizons), NaN where it does not speak."""

    name: str
    before: Floats
    given: Floats
    size: Floats
    """Share of the deposits liquidated, given the fall and a cascade; NaN where it has no opinion."""


def scale_of(model: Model, asked: Questions) -> Floats:
    """The forecast of falls that all are given, by the card's weights."""
    names = ("level", *(f"{half_life:g}" for half_life in HALF_LIVES_H))
    weights = {h: [model.card.parameters[f"scale_{name}_{h}h"] for name in names] for h in HORIZONS_H}
    return scales(asked.ranges, weights)


def ours(model: Model, asked: Questions, scale: Floats) -> Answer:
    fall = np.nan_to_num(asked.fall)
    said = model.run({"mass": asked.mass, "scale": scale, "over_depth": asked.over_depth, "shock": fall})
    return Answer(OURS, said["probability"], said["given"], said["size"])


def logistic(asked: Questions, scale: Floats, judged: Flags) -> Answer:
    """On debt within one forecast fall over depth, the forecast, funding, and the book over depth: walked forward."""
    before, given = np.full(scale.shape, np.nan), np.full(scale.shape, np.nan)
    for place in range(scale.shape[1]):
        one = scale[:, place]
        near = within(asked.mass, one) * asked.over_depth[:, 0]
        known = np.column_stack((near, one, asked.funding, asked.over_depth[:, 0]))
        fall = np.nan_to_num(asked.fall[:, place])
        passed = np.column_stack((known, fall, within(asked.mass, fall) * asked.over_depth[:, 0]))
        for into, columns in ((before, known), (given, passed)):
            into[:, place] = _walked(asked, columns, place, judged)
    return Answer(LOGISTIC, before, given, np.full(scale.shape, np.nan))


def rate(asked: Questions, judged: Flags) -> Answer:
    said = np.full(asked.cascade.shape, np.nan)
    for place in range(len(HORIZONS_H)):
        said[:, place] = _walked(asked, np.zeros((len(asked), 0)), place, judged)
    sizes = np.full(said.shape, np.nan)
    for place, horizon_h in enumerate(HORIZONS_H):
        for start_ms, rows in _legs(asked, judged):
            past = _past(asked, place, start_ms, horizon_h) & (np.nan_to_num(asked.cascade[:, place]) > 0)
            if past.any():
                sizes[rows, place] = np.median(asked.liquidated[past, place])
    return Answer(RATE, said, said, sizes)


def simulated(asked: Questions, scale: Floats, judged: Flags) -> Answer:
    """The law of falls is that of all rows before the first judged one; where there are too few, the model's own."""
    before, given, size = (np.full(scale.shape, np.nan) for _ in range(3))
    rows = np.flatnonzero(judged)
    if not len(rows):
        return Answer(SIMULATOR, before, given, size)
    earlier = asked.known_ms + max(HORIZONS_H) * HOUR_MS <= int(asked.known_ms[rows].min())
    earlier &= np.isfinite(asked.fall).all(axis=1)
    standard = np.sort(asked.fall[earlier] / scale[earlier], axis=0) if earlier.sum() >= LEG_H else usual_falls()
    critical = np.array([simulator.critical_fall(asked.mass[row], float(asked.over_depth[row, 0])) for row in rows])
    before[rows] = simulator.probabilities(critical, scale[rows], standard)
    fall = np.nan_to_num(asked.fall[rows])
    # certain either way; how far from the critical fall only orders them
    order = 1e-6 * (np.clip(fall - critical[:, None], -0.5, 0.5) + 0.5)
    given[rows] = np.where(fall >= critical[:, None], 1.0 - 1e-6 + order, order)
    for at, row in enumerate(rows):
        for place in np.flatnonzero(np.nan_to_num(asked.cascade[row]) > 0):
            book = simulator.positions(asked.mass[row])
            size[row, place] = simulator.liquidated(book, float(asked.over_depth[row, 0]), float(fall[at, place]))
    return Answer(SIMULATOR, before, given, size)


def usual_falls() -> Floats:
    """(2,000, horizons) falls in units of their forecast, ascending: exponential between and beyond the two that a node
    knows, and between the first and none."""
    left = np.log(1.0 - (np.arange(2_000) + 0.5) / 2_000)
    found = []
    for place in range(len(HORIZONS_H)):
        points = sorted((math.log(p), falls[place]) for p, falls in FALLS.items())
        logs, at = [point[0] for point in points], [point[1] for point in points]
        slope = (at[0] - at[1]) / (logs[0] - logs[1])
        inside = np.interp(left, [*logs, 0.0], [*at, 0.0])
        found.append(np.where(left < logs[0], at[0] + slope * (left - logs[0]), inside))
    return np.stack(found, axis=1)


def within(mass: Floats, falls: Floats) -> Floats:
    """(rows,) share of the deposits that a log fall alone sweeps."""
    reach, padded = np.log((1.0, *EDGES)), np.column_stack((np.zeros(len(mass)), mass))
    part = np.clip((falls[:, None] - reach[:-1]) / np.diff(reach), 0.0, 1.0)
    swept: Floats = (part * np.diff(padded, axis=1)).sum(axis=1)
    return swept


# --- walking ----------------------------------------------------------------------------------------------------------


def _walked(asked: Questions, columns: Floats, place: int, judged: Flags) -> Floats:
    """(rows,) probabilities by a logistic regression refitted every `LEG_H` on all whose outcome was known by then."""
    said = np.full(len(asked), np.nan)
    for start_ms, rows in _legs(asked, judged):
        past = _past(asked, place, start_ms, HORIZONS_H[place])
        happened = asked.cascade[past, place]
        if happened.sum() >= LEAST_CASCADES:
            centre, spread = columns[past].mean(axis=0), columns[past].std(axis=0)
            spread = np.where(spread > 0, spread, 1.0)
            fitted = regression((columns[past] - centre) / spread, happened)
            said[rows] = _sigmoid(fitted[0] + ((columns[rows] - centre) / spread) @ fitted[1:])
    return said


def _legs(asked: Questions, judged: Flags) -> Sequence[tuple[int, NDArray[np.int64]]]:
    rows = np.flatnonzero(judged)
    if not len(rows):
        return []
    first = int(asked.known_ms[rows].min())
    leg = (asked.known_ms[rows] - first) // (LEG_H * HOUR_MS)
    return [(first + int(one) * LEG_H * HOUR_MS, rows[leg == one]) for one in np.unique(leg)]


def _past(asked: Questions, place: int, start_ms: int, horizon_h: int) -> Flags:
    return np.isfinite(asked.cascade[:, place]) & (asked.known_ms + horizon_h * HOUR_MS <= start_ms)


def regression(columns: Floats, happened: Floats) -> Floats:
    """(1 + columns,) level and slopes by Newton's steps on the penalised likelihood; columns are standardised."""
    design = np.column_stack((np.ones(len(columns)), columns))
    at = np.zeros(design.shape[1])
    share = float(np.clip(happened.mean(), 1e-9, 1 - 1e-9))
    at[0] = np.log(share / (1 - share))
    penalty = np.full(len(at), RIDGE * len(columns) / 1_000)
    penalty[0] = 0.0
    for _ in range(STEPS):
        p = _sigmoid(design @ at)
        gradient = design.T @ (p - happened) + penalty * at
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        at = at - np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-8:
            break
    return at


def _sigmoid(x: Floats) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(x, -40.0, 40.0)))
    return found


def foreseen(model: Model, asked: Questions, scale: Floats) -> Floats:
    """(rows, horizons) what our model says a cascade would liquidate, before the fact: after a fall that one in a
    hundred passes."""
    shock = scale * np.array(FALLS[0.01])
    said = model.run({"mass": asked.mass, "scale": scale, "over_depth": asked.over_depth, "shock": shock})
    return said["size"]
