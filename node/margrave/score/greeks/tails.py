"""Greeks over the moves that the ladder tells: heavy tails and lopsided ones, and no small step.

A derivative says what an infinitesimal move does. Over the margin period moves are what the published ladder says, and
the best delta against them is the one that leaves the least variance,

    delta = Cov(V, F') / Var(F'),    F' = F (1 + r),  V = V(F', sigma + b ln(1 + r)),

which is Black's delta plus gamma E[r^3] / (2 E[r^2]) F and so on: skewness and kurtosis of the predicted return at work
(the minimum variance of J. Hull and A. White, "Optimal delta hedging for options", J. Banking and Finance 82, 2017,
taken over a distribution that is given). gamma is twice the second coefficient of the least-squares parabola, vega the
mean over where the forward may stand: what is left of both where the tails are heavy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtri

from margrave.errors import Rejected
from margrave.messages import Ladder
from margrave.score import black76
from margrave.score.greeks.options import Floats, Options, positive
from margrave.verdicts import Rejection

BODY: Final = (0.025, 0.1, 0.2, 0.35, 0.5)
"""Tail probabilities between which the body is cut: a normal on each side, through the rung at 97.5 %."""
LEAST_VOL: Final = 0.01
CHUNK: Final = 2_048
"""Options revalued at once: what stays in a processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """A distribution of simple returns with mean zero; shape (m,)."""

    returns: Floats
    probability: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Heavy:
    """Shape (n,), in the units of `Greeks`."""

    delta: Floats
    gamma: Floats
    vega: Floats


def moves(ladder: Ladder) -> Moves:
    """The ladder as fourteen moves: its shortfalls are kept exactly, so are the tails' means.

    Raises:
        Rejected: a rung is not finite, not positive or below the one before; or a fall of everything.
    """
    down = _side("down", (ladder.down_q975, ladder.down_q995, ladder.down_es99, ladder.down_q9995, ladder.down_es999))
    up = _side("up", (ladder.up_q975, ladder.up_q995, ladder.up_es99, ladder.up_q9995, ladder.up_es999))
    if down[0][0] >= 1:
        raise Rejected(Rejection.OUT_OF_RANGE, "the ladder loses more than there is", advice="take a published one")
    returns = np.concatenate([-down[0], up[0][::-1]])
    probability = np.concatenate([down[1], up[1][::-1]])
    return Moves(returns - float(probability @ returns), probability)


def over_moves(options: Options, vol: Floats, vol_by_log_forward: Floats, moves: Moves) -> Heavy:
    """
    Args:
        vol: (n,) of the options now.
        vol_by_log_forward: (n,) `Served.vol_by_log_forward`, or zeros for volatilities that stay.

    Raises:
        Rejected: a volatility is not positive and finite; with its row.
    """
    positive("volatility", vol)
    r, p = moves.returns, moves.probability
    to_delta = p * r / float(p @ r**2)
    # the parabola a + b r + c r^2: of each move, what it adds to c
    powers = np.stack([np.ones_like(r), r, r * r])
    to_square = np.linalg.solve(powers * p @ powers.T, powers * p)[2]
    parts = [
        _over(options, slice(begin, begin + CHUNK), vol, vol_by_log_forward, moves, (to_delta, to_square))
        for begin in range(0, max(len(options), 1), CHUNK)
    ]
    return Heavy(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _over(
    options: Options, rows: slice, vol: Floats, slope: Floats, moves: Moves, to: tuple[Floats, Floats]
) -> tuple[Floats, Floats, Floats]:
    forward = options.forward[rows]
    logs = np.log1p(moves.returns)
    k = options.log_moneyness[rows, None] - logs
    root = np.sqrt(options.years[rows, None])
    total = np.maximum(vol[rows, None] + slope[rows, None] * logs, LEAST_VOL) * root
    over = 1 + moves.returns
    value = over * black76.price(k, total, np.broadcast_to(options.is_call[rows, None], k.shape))
    vega = over * black76.vega(k, total) @ moves.probability
    return value @ to[0], 2 * (value @ to[1]) / forward, forward * root[:, 0] * vega


def _side(name: str, rungs: tuple[float, ...]) -> tuple[Floats, Floats]:
    """(mean sizes, probabilities) of one side's moves, the furthest first."""
    if not np.isfinite(rungs).all() or rungs[0] <= 0 or list(rungs) != sorted(rungs):
        raise Rejected(
            Rejection.OUT_OF_RANGE,
            f"the ladder's rungs {name} do not ascend from above zero",
            advice="take a published one",
        )
    q975, q995, es99, _, es999 = rungs
    # between 2.5 and 1 % the quantile runs straight in log p, as between its rungs
    first, last = 0.025, 0.01
    mean_log = (first - last * (math.log(first / last) + 1)) / (first - last)
    shoulder = q975 + (q995 - q975) / math.log(0.025 / 0.005) * mean_log
    tail = max((0.01 * es99 - 0.001 * es999) / 0.009, shoulder)
    edges = ndtri(np.array(BODY))
    density = np.exp(-edges * edges / 2) / math.sqrt(2 * math.pi)
    shares = np.diff(BODY)
    body = np.diff(density) / shares / -edges[0] * q975
    return np.array([es999, tail, shoulder, *body]), np.array([0.001, 0.009, 0.015, *shares])
