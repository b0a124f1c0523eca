"""From the ladder that goes over the wire, with the quantiles beneath its shortfalls, to the rungs the court reads.

The wire's rungs (97.5, 99.5, ES 99, 99.95, ES 99.9 %) and the quantiles at 99 and 99.9 % are of the simple return; the
court judges log returns. What it reads beyond them (95 %, and the shortfalls at 95, 97.5 and 99.5 %) lies on the
generalised Pareto tail through the quantiles at 97.5, 99.5 and 99.95 %: for `tail_net` the tail that it says, for a
Student within a hundredth. A shortfall is carried to the log return as one point is, which is right to second order.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.tails.ladder import ordered
from margrave.lab.court.family import DOWN, LEVELS, UP

Floats = NDArray[np.float64]

THROUGH: Final = (0.025, 0.005, 0.0005)
SHAPES: Final = (-0.5, 0.9)
"""Between which the tail index is looked for; at 1 a mean no longer exists."""
HALVINGS: Final = 60


def from_ladder(ladder: Floats, beneath: Floats) -> tuple[Floats, Floats]:
    """(var, es), (n, 2, LEVELS), of log returns.

    Args:
        ladder: (n, 10), five rungs down and five up, simple returns as magnitudes.
        beneath: (n, 4), the quantiles at 99 and 99.9 % down, then up.
    """
    var, es = np.empty((2, len(ladder), 2, len(LEVELS)))
    for side in (DOWN, UP):
        q975, q995, es99, q9995, es999 = ladder[:, 5 * side : 5 * side + 5].T
        q99, q999 = beneath[:, 2 * side : 2 * side + 2].T
        quantiles, shortfalls = _pareto(np.stack([q975, q995, q9995], axis=-1))
        said_var = {0.025: q975, 0.01: q99, 0.005: q995, 0.001: q999}
        said_es = {0.01: es99, 0.001: es999}
        for place, p in enumerate(LEVELS):
            var[:, side, place] = said_var.get(p, quantiles[:, place])
            es[:, side, place] = said_es.get(p, shortfalls[:, place])
    down, up = -np.log1p(-np.minimum(var[:, DOWN], 1 - 1e-9)), np.log1p(var[:, UP])
    es_down, es_up = -np.log1p(-np.minimum(es[:, DOWN], 1 - 1e-9)), np.log1p(es[:, UP])
    return ordered(np.stack([down, up], axis=1), np.stack([es_down, es_up], axis=1))


def _pareto(through: Floats) -> tuple[Floats, Floats]:
    """Quantiles and shortfalls (n, LEVELS) of q(p) = a + b (p^-xi - 1) / xi through three quantiles (n, 3).

    (q(p3) - q(p2)) / (q(p2) - q(p1)) rises with xi and is free of a and b: xi by halving.
    """
    first, second, third = through.T
    wanted = (third - second) / (second - first)
    low, high = np.full(len(through), SHAPES[0]), np.full(len(through), SHAPES[1])
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        one, two, three = (_reach(np.asarray(p), middle) for p in THROUGH)
        below = (three - two) / (two - one) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    xi = 0.5 * (low + high)
    one, two = _reach(np.asarray(THROUGH[0]), xi), _reach(np.asarray(THROUGH[1]), xi)
    scale = (second - first) / (two - one)
    levels = np.array(LEVELS)
    reach = _reach(levels, xi[:, None])
    var = first[:, None] + scale[:, None] * (reach - one[:, None])
    # the mean of q(s) over s < p: p^-xi / (1 - xi) stands where q has p^-xi
    beyond = levels ** -xi[:, None] / (1 - xi[:, None])
    return var, np.asarray(var + scale[:, None] * beyond)


def _reach(p: Floats, xi: Floats) -> Floats:
    near = np.abs(xi) < 1e-9
    safe = np.where(near, 1.0, xi)
    return np.asarray(np.where(near, -np.log(p), np.expm1(-safe * np.log(p)) / safe))
