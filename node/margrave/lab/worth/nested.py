"""Nested forecasts, with and without a group of inputs, walked forward on the same rows.

For volatility a generalised linear model that minimises QLIKE (gamma, log link), pooled over assets, on the published
inputs; for tails a scale fitted on the joint loss of VaR and ES. Both are refitted every half year on two years at most
and judged on what follows. The losses' difference is averaged over the assets of an hour before it is tested (Diebold
and Mariano 1995, Newey-West): assets move together. Small shrinkage, no choice of settings: the question is only
whether the group adds anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from margrave.lab.court.comparison import Difference, diebold_mariano
from margrave.lab.court.losses import fz0, qlike
from margrave.spans import YEAR_H

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

TRAIN_H: Final = 17_520
REFIT_H: Final = 4_380
LEAST_TRAIN_H: Final = 24 * 30
LEAST_PAIRS: Final = 1_000
LEAST_TIMES: Final = 60
"""Judged hours, or days at 24 h: fewer say nothing."""
MOST_PAIRS: Final = 25_000
RIDGE: Final = 0.03
CLIP_SD: Final = 5.0
MOST_SURPRISED: Final = 5.0
STEPS: Final = 25
FURTHEST: Final = 4.0
TAIL_RIDGE: Final = 2e-4
TAIL_P: Final = 0.01
FITTED_AT: Final = (0.10, 0.05, 0.025, 0.01)


@dataclass(frozen=True, slots=True)
class Pairs:
    """One (hour, asset) a row."""

    rows: Ints
    """Of the panel."""
    assets: Ints
    base: Floats
    """(pairs, inputs) without the group, NaN where one is absent."""
    added: Floats
    """(pairs, inputs of the group)."""
    usual: Floats
    """What the forecast is relative to: a variance, or a scale."""
    outcome: Floats
    """Realised variance, or return."""
    judged: Flags
    """A horizon apart from each other."""


def legs(rows: Ints, horizon_h: int) -> Iterator[tuple[Flags, Flags]]:
    """Rows to fit on and rows to judge: outcomes of the one are known before the other begins."""
    first, last = int(rows.min()), int(rows.max())
    span = last - first
    start = first + max(min(YEAR_H, span // 3), LEAST_TRAIN_H)
    step = int(np.clip(span // 8, 240, REFIT_H))
    for begin in range(start, last, step):
        yield (
            (rows >= begin - TRAIN_H) & (rows + horizon_h < begin),
            (rows >= begin) & (rows < begin + step),
        )


def compared(pairs: Pairs, horizon_h: int, *, tail: int | None = None) -> tuple[Difference, float] | None:
    """The loss with the group less that without, and the mean loss without; `None` where there is too little.

    Args:
        tail: `None` for volatility, else -1 for the left and 1 for the right tail.
    """
    both: list[list[Floats]] = [[], []]
    times: list[Ints] = []
    for fit, judge in legs(pairs.rows, horizon_h):
        judge = judge & pairs.judged
        train = np.flatnonzero(fit)
        if len(train) < LEAST_PAIRS or not judge.any():
            continue
        train = train[np.linspace(0, len(train) - 1, min(len(train), MOST_PAIRS)).astype(np.int64)]
        times.append(pairs.rows[judge])
        for place, columns in enumerate((pairs.base, np.concatenate((pairs.base, pairs.added), axis=1))):
            x, asked = _standard(columns[train], columns[judge])
            part = _variance_losses if tail is None else _tail_losses
            both[place].append(part(pairs, train, judge, x, asked, tail or 0))
    if not times or len(np.unique(np.concatenate(times))) < LEAST_TIMES:
        return None
    without, with_group = (np.concatenate(losses) for losses in both)
    return diebold_mariano(with_group, without, np.concatenate(times)), float(without.mean())


def _standard(train: Floats, asked: Floats) -> tuple[Floats, Floats]:
    """In standard deviations of the training rows, clipped; what is absent sits at their mean."""
    there = np.isfinite(train)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, train, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.where(there, (train - mean) ** 2, 0.0).sum(axis=0) / count)
    scale = np.where(scale > 1e-9, scale, np.inf)
    x, y = (np.nan_to_num(np.clip((part - mean) / scale, -CLIP_SD, CLIP_SD), nan=0.0) for part in (train, asked))
    return x, y


def _variance_losses(pairs: Pairs, train: Ints, judge: Flags, x: Floats, asked: Floats, _: int) -> Floats:
    weights = generalised(x, pairs.outcome[train] / pairs.usual[train])
    said = np.exp(np.clip(weights[0] + asked @ weights[1:], -FURTHEST, FURTHEST))
    return qlike(pairs.outcome[judge], said * pairs.usual[judge])


def generalised(x: Floats, target: Floats) -> Floats:
    """Weights, the constant first, by Fisher scoring; then brought to the mean of the target over the forecast."""
    x = np.concatenate((np.ones((len(x), 1)), x), axis=1)
    penalty = np.full(x.shape[1], RIDGE)
    penalty[0] = 0.0
    gram = x.T @ x / len(x) + np.diag(penalty)
    weights = np.zeros(x.shape[1])
    weights[0] = np.log(target.mean())
    for _ in range(STEPS):
        surprise = np.minimum(target / np.exp(np.clip(x @ weights, -FURTHEST, FURTHEST)), MOST_SURPRISED) - 1.0
        step = np.linalg.solve(gram, x.T @ surprise / len(x) - penalty * weights)
        weights = weights + step
        if float(np.abs(step).max()) < 1e-5:
            break
    weights[0] += np.log(np.mean(target / np.exp(np.clip(x @ weights, -FURTHEST, FURTHEST))))
    return np.asarray(weights)


def _tail_losses(pairs: Pairs, train: Ints, judge: Flags, x: Floats, asked: Floats, side: int) -> Floats:
    losses = side * pairs.outcome[train] / pairs.usual[train]
    weights = optimize.minimize(
        joint_loss,
        np.zeros(x.shape[1]),
        args=(losses, x),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 30},
    ).x
    z = np.sort(losses * np.exp(-(x @ weights)))[::-1]
    worst = max(int(TAIL_P * len(z)), 1)
    scale = pairs.usual[judge] * np.exp(np.clip(asked @ weights, -2.0, 2.0))
    return fz0(-side * pairs.outcome[judge], -scale * z[worst - 1], -scale * z[:worst].mean(), TAIL_P)


def joint_loss(weights: Floats, losses: Floats, x: Floats) -> tuple[float, Floats]:
    """FZ0 at its best constants, averaged over `FITTED_AT`, and its gradient: ln ES_p of the losses over exp(x w), plus
    the mean of x w (`families/tails/README.md`)."""
    z = losses * np.exp(-(x @ weights))
    deepest = len(z) - int(max(FITTED_AT) * len(z))
    tail = np.argpartition(z, deepest)[deepest:]
    tail = tail[np.argsort(-z[tail], kind="stable")]
    sums, pull = np.cumsum(z[tail]), np.zeros(len(tail))
    mean_x = x.mean(axis=0)
    value = float(mean_x @ weights) + TAIL_RIDGE * float(weights @ weights)
    for p in FITTED_AT:
        end = max(int(p * len(z)), 1)
        value += float(np.log(sums[end - 1] / end)) / len(FITTED_AT)
        pull[:end] += z[tail[:end]] / sums[end - 1] / len(FITTED_AT)
    return value, mean_x - pull @ x[tail] + 2.0 * TAIL_RIDGE * weights
