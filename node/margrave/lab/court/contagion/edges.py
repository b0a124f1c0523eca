"""Which exposures will be new next week, and which gone: pairs of collateral and debt that are liquidated, by week.

A pair is an edge of the week in which it was liquidated. Most of next week's edges are this week's: what counts is the
changes. Persistence says that nothing changes, of every pair alike. Harder to beat is who orders pairs by how far they
are from their usual: the share of weeks with them, or of late. Ours is a logistic regression of both, of the week's
state and of how busy the week was, fitted anew each week on the weeks before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from margrave.lab.court.contagion.found import LIQUIDATIONS
from margrave.lab.court.events import average_precision
from margrave.score.contagion.graph import Floats, Ints
from margrave.spans import WEEK_MS

FIRST: Final = 12
"""Weeks to learn from before anything is judged."""
LEAST: Final = 8
"""Weeks to judge."""
HALF_LIFE: Final = 3.0
"""Weeks, of what counts as lately."""
PRIOR: Final = (0.2, 2.0)
"""Weeks with a pair, and weeks, that a pair's share begins with."""
RIDGE: Final = 3.0
OURS: Final = "logistic"
PERSISTENCE: Final = "persistence"
SHARE: Final = "share of weeks"
DRAWS: Final = 500


@dataclass(frozen=True, slots=True)
class History:
    """Presence of every pair, (weeks, pairs), from the first week with any to the last."""

    pairs: tuple[tuple[str, str], ...]
    present: Floats
    source: str


@dataclass(frozen=True, slots=True)
class Foretold:
    """Average precision by what is asked (changed, new, gone) and by who answers; of pairs known by then."""

    precision: Mapping[str, Mapping[str, float]]
    base: Mapping[str, float]
    over_persistence: float
    """Ours over persistence, of changed pairs."""
    over_best: float
    """Ours over the best of all others, of changed pairs."""
    low: float
    high: float
    """95 % of that, weeks drawn with replacement."""
    best: str
    weeks: int
    pairs: int


def histories(folder: Path) -> list[History]:
    found = []
    for file in sorted(folder.rglob("*.parquet")):
        try:
            if not set(pq.read_schema(file).names) >= LIQUIDATIONS:
                continue
            table = pq.read_table(file, columns=["collateralReserve", "principalReserve", "ts"])
            table = table.filter(table["ts"].is_valid())
            stamps = table["ts"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
        except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        ends = zip(table["collateralReserve"].to_pylist(), table["principalReserve"].to_pylist(), strict=True)
        pairs = [(str(a), str(b)) for a, b in ends]
        if pairs:
            found.append(history(np.asarray(stamps, dtype=np.int64), pairs, file.parent.name))
    return found


def history(stamps_ms: Ints, pairs: list[tuple[str, str]], source: str) -> History:
    """Repeats and disorder do not matter; a pair of a thing with itself is no edge."""
    weeks = stamps_ms // WEEK_MS
    names = tuple(sorted({pair for pair in pairs if pair[0] != pair[1]}))
    at = {pair: place for place, pair in enumerate(names)}
    present = np.zeros((int(weeks.max() - weeks.min()) + 1, len(names)))
    for week, pair in zip(weeks - weeks.min(), pairs, strict=True):
        if pair in at:
            present[week, at[pair]] = 1.0
    return History(names, present, source)


def foretold(told: History) -> Foretold | None:
    """`None` where there are too few weeks."""
    weeks = len(told.present)
    if weeks < FIRST + LEAST + 1:
        return None
    inputs = [features(told, week) for week in range(weeks - 1)]
    known = [told.present[: week + 1].any(axis=0) for week in range(weeks - 1)]
    answers: dict[str, list[Floats]] = defaultdict(list)
    changed: list[Floats] = []
    states: list[Floats] = []
    for week in range(FIRST, weeks - 1):
        here, now, after = known[week], told.present[week], told.present[week + 1]
        past = range(FIRST // 2, week)
        x = np.concatenate([inputs[w][known[w]] for w in past])
        centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
        y = np.concatenate([told.present[w + 1][known[w]] for w in past])
        weights = fitted((x - centre) / scale, y)
        will = 1 / (1 + np.exp(-_wide((inputs[week][here] - centre) / scale) @ weights))
        state, lately = now[here], _faded(told.present[: week + 1], HALF_LIFE)[here]
        answers[OURS].append(np.where(state > 0, 1 - will, will))
        answers[PERSISTENCE].append(np.zeros(int(here.sum())))
        answers["changed lately"].append(_lately(told.present[: week + 1])[here])
        answers[SHARE].append(np.abs(state - told.present[: week + 1].mean(axis=0)[here]))
        answers["seen lately"].append(np.abs(state - lately))
        changed.append(np.abs(after - now)[here])
        states.append(state)
    return _judged(answers, changed, states, len(told.pairs))


def features(told: History, week: int) -> Floats:
    """(pairs, inputs) of what was known at the end of a week."""
    past = told.present[: week + 1]
    share = (past.sum(axis=0) + PRIOR[0]) / (len(past) + PRIOR[1])
    lately = 0.01 + 0.98 * _faded(past, HALF_LIFE)
    edges = past.sum(axis=1)
    busier = np.log1p(edges[-1]) - np.log1p(edges.mean())
    return np.stack([_logit(share), past[-1], _logit(lately), np.full(len(share), busier)], axis=1)


def fitted(x: Floats, y: Floats) -> Floats:
    """Weights of a ridge logistic regression, by Newton's steps; the first is the constant's."""
    wide = _wide(x)
    weights = np.zeros(wide.shape[1])
    penalty = RIDGE * np.eye(wide.shape[1])
    penalty[0, 0] = 1e-6
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(wide @ weights, -30, 30)))
        step = np.linalg.solve((wide * (p * (1 - p))[:, None]).T @ wide + penalty, wide.T @ (y - p) - penalty @ weights)
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(weights)


def _judged(answers: Mapping[str, list[Floats]], changed: list[Floats], states: list[Floats], pairs: int) -> Foretold:
    truth, state = np.concatenate(changed), np.concatenate(states)
    asked = {"changed": np.ones(len(state), dtype=np.bool_), "new": state == 0, "gone": state == 1}
    precision = {
        what: {name: average_precision(truth[rows], np.concatenate(parts)[rows]) for name, parts in answers.items()}
        for what, rows in asked.items()
    }
    best = max((name for name in answers if name != OURS), key=lambda name: precision["changed"][name])
    rng, ratios = np.random.default_rng(0), []
    for _ in range(DRAWS):
        weeks = rng.integers(len(changed), size=len(changed))
        drawn_truth = np.concatenate([changed[week] for week in weeks])
        mine, other = (
            average_precision(drawn_truth, np.concatenate([answers[name][week] for week in weeks]))
            for name in (OURS, best)
        )
        ratios.append(mine / other)
    low, high = np.nanquantile(ratios, [0.025, 0.975])
    return Foretold(
        precision=precision,
        base={what: float(truth[rows].mean()) for what, rows in asked.items()},
        over_persistence=precision["changed"][OURS] / precision["changed"][PERSISTENCE],
        over_best=precision["changed"][OURS] / precision["changed"][best],
        low=float(low),
        high=float(high),
        best=best,
        weeks=len(changed),
        pairs=pairs,
    )


def _faded(past: Floats, half_life: float) -> Floats:
    weights = 0.5 ** (np.arange(len(past))[::-1] / half_life)
    return np.asarray(weights @ past / weights.sum())


def _lately(past: Floats) -> Floats:
    """How often a pair changed, the last weeks weighing most."""
    return _faded(np.abs(np.diff(past, axis=0, prepend=past[:1])), HALF_LIFE)


def _logit(share: Floats) -> Floats:
    return np.asarray(np.log(share / (1 - share)))


def _wide(x: Floats) -> Floats:
    return np.concatenate([np.ones((len(x), 1)), x], axis=1)
