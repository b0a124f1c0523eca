"""The search for the surface nearest to quotes: many searches at once, each of which finds what it finds alone.

A surface is a point of R^6: the root of the 7-day tenor's total variance, the two steps from tenor to tenor, rho, b and
gamma, each unbounded and mapped into its own range, so that every point is a sound surface. The formulas are those of
`score.surface`, with the slopes by the chain rule.

Levenberg and Marquardt's steps over a leading axis of searches. SciPy's `least_squares` finds the same surfaces and
takes ten times as long, most of it not in the residuals; the court compares the two on every chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Array = NDArray[np.float64]

ROBUST_SCALE: Final = 2.0
"""Residuals beyond this many of their own spreads count linearly, not squared: junk does not bend the rest."""

MOST_STEPS: Final = 60
MOST_RETRIES: Final = 12
FIRST_DAMPING: Final = 1e-3
DAMPING_STEP: Final = 6.0
SETTLED: Final = 1e-10
"""Relative fall of the loss below which the search ends: far below what a word on the wire shows."""

RHO: Final = (-0.94, 0.94)
WING: Final = (0.06, 1.99)
DECAY: Final = (0.02, 0.499)
"""Where the fit may go: inside the bounds that a contract can be expected to hold, so that a fit without wings (two
strikes a tenor) publishes a plain surface instead of halting its market."""
TOTAL_VOL: Final = (0.012, 1.5)
"""Of the 7-day tenor: volatility of 9 % to 1,080 % a year."""
LOWEST, HIGHEST = np.array([TOTAL_VOL, (0.0, 1.0), (0.0, 1.0), RHO, WING, DECAY]).T
SPAN: Final = HIGHEST - LOWEST
"""By coordinate; the second and third, the steps from tenor to tenor, have no bounds."""
MIN_INCREMENT: Final = 1e-6
"""Of total variance from tenor to tenor: keeps them apart by more than a rounding of the wire."""

PADDED: Final = 32
"""Searches whose quotes are as many, rounded up to these, go on together; `TOGETHER` of them fit a core's cache."""
TOGETHER: Final = 24


@dataclass(frozen=True, slots=True)
class Columns:
    """What the search reads of samples, one or many: any leading axes, quotes on the last one. An error is
    `scale` sqrt(w) - `target`; where both are zero no quote is."""

    log_moneyness: Array
    reach: Array
    """Shape (..., 3, n): theta by the first tenor's and by the two steps from tenor to tenor."""
    scale: Array
    target: Array

    @classmethod
    def stacked(cls, several: Sequence[Columns], length: int) -> Columns:
        """One above the other, each with empty places at its end up to a length."""
        k, scale, target = np.zeros((3, len(several), length))
        reach = np.ones((len(several), 3, length))
        for place, one in enumerate(several):
            quotes = len(one.scale)
            k[place, :quotes], reach[place, :, :quotes] = one.log_moneyness, one.reach
            scale[place, :quotes], target[place, :quotes] = one.scale, one.target
        return cls(k, reach, scale, target)

    def at(self, rows: NDArray[np.bool_]) -> Columns:
        return Columns(self.log_moneyness[rows], self.reach[rows], self.scale[rows], self.target[rows])


class End(NamedTuple):
    """Where a search ended."""

    point: Array
    """(6,)"""
    loss: float
    """The soft loss there."""
    errors: Array
    """(n,) there, at the quotes."""


def parameters(x: Array) -> tuple[Array, Array, Array, Array]:
    """(theta at the tenors, rho, b, gamma) from points of R^6; shapes (..., 3) and (...)."""
    level = LOWEST + SPAN * expit(x)
    tenors = np.cumsum(np.concatenate((level[..., :1] ** 2, MIN_INCREMENT + _growth(x)), axis=-1), axis=-1)
    return tenors, level[..., 3], level[..., 4], level[..., 5]


def _growth(x: Array) -> Array:
    """Total variance from tenor to tenor (..., 2), beyond `MIN_INCREMENT`."""
    growth: Array = np.exp(np.minimum(np.maximum(x[..., 1:3], -40), 3))
    return growth


def errors_of(x: Array, columns: Columns) -> tuple[Array, Array]:
    """Errors of points of R^6 (..., 6) at the quotes, (..., n), in units of their own uncertainty, and their slopes
    (..., 6, n), by the chain rule through (theta, rho, eta, gamma).

    Of each point by itself: what stands beside it changes no bit of it.
    """
    share, growth = expit(x), _growth(x)
    within = SPAN * share
    level, slope = LOWEST + within, within * (1 - share)
    rho, wing, gamma = level[..., 3, None], level[..., 4, None], level[..., 5, None]
    k, reach = columns.log_moneyness, columns.reach
    rises = growth + MIN_INCREMENT
    theta = (
        reach[..., 0, :] * (level[..., 0, None] ** 2)
        + reach[..., 1, :] * rises[..., 0, None]
        + reach[..., 2, :] * rises[..., 1, None]
    )
    log_theta, log_beyond = np.log(theta), np.log1p(theta)
    phi = wing / (1 + np.abs(rho)) * np.exp((gamma - 1) * log_beyond - gamma * log_theta)
    moved = phi * k
    slant, half = moved + rho, theta / 2
    root = np.sqrt(slant * slant + (1 - rho * rho))
    w = half * (1 + rho * moved + root)
    total_vol = np.sqrt(w)
    # of the errors; `by_phi` is by phi's logarithm, which is eta's too
    unit = columns.scale / (2 * total_vol)
    along = unit * half * moved
    by_phi = along * (rho + slant / root)
    by_theta = unit * w / theta + by_phi * ((gamma - 1) / (1 + theta) - gamma / theta)
    slopes = np.empty((*theta.shape[:-1], 6, theta.shape[-1]))
    by_tenors = np.concatenate((2 * level[..., :1] * slope[..., :1], growth), axis=-1)
    np.multiply(by_theta[..., None, :] * reach, by_tenors[..., None], out=slopes[..., :3, :])
    slopes[..., 3, :] = (along * (1 + 1 / root) - by_phi * (np.sign(rho) / (1 + np.abs(rho)))) * slope[..., 3, None]
    slopes[..., 4, :] = by_phi * (slope[..., 4, None] / wing)
    slopes[..., 5, :] = by_phi * (log_beyond - log_theta) * slope[..., 5, None]
    return columns.scale * total_vol - columns.target, slopes


def searched(several: Sequence[Columns], begins: Array) -> list[End]:
    """Where Levenberg and Marquardt's steps end from each begin over its columns. Each search has its own damping and
    its own end, and is padded by its own length alone: it finds, to the last bit, what it finds by itself.
    """
    found: dict[int, End] = {}
    lengths = np.array([-(-len(one.scale) // PADDED) * PADDED for one in several])
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        for some in (alike[k : k + TOGETHER] for k in range(0, len(alike), TOGETHER)):
            columns = Columns.stacked([several[int(place)] for place in some], int(length))
            for place, point, loss, errors in zip(some.tolist(), *_descended(columns, begins[some]), strict=True):
                found[place] = End(point, float(loss), errors[: len(several[place].scale)])
    return [found[place] for place in range(len(several))]


def _descended(columns: Columns, x: Array) -> tuple[Array, Array, Array]:
    """Ends, losses and errors of `searched` over columns of one length."""
    ends, losses, place = x.copy(), np.empty(len(x)), np.arange(len(x))
    errors_at_ends = np.empty(columns.scale.shape)
    damping, steps, retries = np.full(len(x), FIRST_DAMPING), np.zeros(len(x)), np.zeros(len(x))
    found, slopes = errors_of(x, columns)
    loss = soft_losses(found)
    while True:
        # the soft loss to first order about here, as weighted squares (Triggs et al., "Bundle adjustment", 2000)
        weight = 1 / _softness(found)
        gram = (slopes * weight[:, None]) @ slopes.swapaxes(1, 2)
        downhill = slopes @ (weight * found)[..., None]
        diagonal = gram.reshape(-1, 36)[:, ::7]
        diagonal += damping[:, None] * (diagonal + 1e-9)
        tried = x - np.linalg.solve(gram, downhill)[..., 0]
        errors, steeper = errors_of(tried, columns)
        lower = soft_losses(errors)
        better = lower <= loss
        steps, retries = steps + better, np.where(better, 0, retries + 1)
        over = better & ((loss - lower <= SETTLED * lower) | (steps >= MOST_STEPS)) | (retries >= MOST_RETRIES)
        if better.all():
            damping = damping / DAMPING_STEP
            x, loss, found, slopes = tried, lower, errors, steeper
        else:
            damping = np.where(better, damping / DAMPING_STEP, damping * DAMPING_STEP)
            x[better], loss[better], found[better], slopes[better] = (
                tried[better],
                lower[better],
                errors[better],
                steeper[better],
            )
        if over.any():
            ends[place[over]], losses[place[over]], errors_at_ends[place[over]] = x[over], loss[over], found[over]
            on = ~over
            if not on.any():
                return ends, losses, errors_at_ends
            columns, x, found, slopes = columns.at(on), x[on], found[on], slopes[on]
            loss, damping, steps, retries, place = loss[on], damping[on], steps[on], retries[on], place[on]


def _softness(residuals: Array) -> Array:
    soft: Array = np.sqrt(1 + (residuals / ROBUST_SCALE) ** 2)
    return soft


def soft_losses(residuals: Array) -> Array:
    """Half the sums over the last axis of soft squares (soft L1): squares up to `ROBUST_SCALE`, linear beyond."""
    return np.asarray(ROBUST_SCALE**2 * (_softness(residuals) - 1).sum(axis=-1))


def begin_at(root: float, steps: Array, rho: float, wing: float, decay: float) -> Array:
    """The point of a surface, or the nearest that is well inside the ranges."""
    shares = (np.array([root, 0.5, 0.5, rho, wing, decay]) - LOWEST) / SPAN
    point: Array = logit(np.minimum(np.maximum(shares, 1e-3), 1 - 1e-3))
    point[1:3] = np.log(np.maximum(steps - MIN_INCREMENT, 1e-5))
    return point
