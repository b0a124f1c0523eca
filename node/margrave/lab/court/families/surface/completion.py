"""Who fills hidden cells: refits of what is visible, the last surface, a Gaussian process, and the network prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import least_squares

from margrave.lab.court.families.surface.cells import Hole
from margrave.messages import Surface
from margrave.score import arbitrage, completion, surface
from margrave.score.completion import Filled
from margrave.score.registry import Model
from margrave.score.surface import Sample

Floats = NDArray[np.float64]

SMILE_QUOTES: Final = 5
"""A slice of raw SVI has five numbers."""


class Filler(Protocol):
    """Answers with the volatility of every quote of a hole's chain, in its order, having seen the visible ones only."""

    @property
    def name(self) -> str: ...

    def fill(self, hole: Hole) -> Filled | None:
        """`None` where it has nothing to go by."""
        ...


@dataclass(frozen=True)
class SsviRefit:
    """The node's own calibration, on the visible quotes."""

    name: str = "SSVI refit"

    def fill(self, hole: Hole) -> Filled | None:
        sample = hole.shot.sample
        fitted = refit(hole.visible)
        return _plain(surface.vols(fitted, sample.log_moneyness, sample.years))


@dataclass(frozen=True)
class SmileRefit:
    """A raw SVI slice (Gatheral 2004) for each expiry with quotes enough, total variance linear between expiries."""

    name: str = "smile refit"

    def fill(self, hole: Hole) -> Filled | None:
        sample, seen = hole.shot.sample, hole.visible
        slices = {
            float(years): _svi(seen, years)
            for years in np.unique(seen.years)
            if (seen.years == years).sum() >= SMILE_QUOTES
        }
        if not slices:
            return None
        known = np.array(sorted(slices))
        moves = sample.log_moneyness / np.sqrt(sample.years)
        total = np.stack([slices[t](moves * np.sqrt(t)) for t in known])  # (expiries, quotes)
        return _plain(np.sqrt(_between(known, total, sample.years) / sample.years))


@dataclass(frozen=True)
class LastSurface:
    """The chain before, interpolated at the same k / sqrt(T); nothing of this one."""

    name: str = "last surface"

    def fill(self, hole: Hole) -> Filled | None:
        if hole.before is None:
            return None
        sample = hole.shot.sample
        return _plain(interpolated(hole.before.sample, sample.log_moneyness, sample.years))


@dataclass(frozen=True)
class Kernel:
    """A Gaussian process of the log ratio to the last fitted surface (to this chain's refit without a last one).

    Three parts, each forgetting in time at its own pace: a smooth one (Matérn 5/2 in standard moves and ln T), a rough
    one (Matérn 3/2) and one of the tenor alone. Settings were searched for on the first five weeks of 2026.
    """

    smooth: tuple[float, float, float, float] = (0.0221, 1.65, 4.48, 3.0)
    """Standard deviation, lengths in moves and in ln T, days."""
    rough: tuple[float, float, float, float] = (0.0067, 2.69, 0.66, 1.65)
    tenor: tuple[float, float, float] = (0.0182, 1.09, 5.4)
    noise: tuple[float, float] = (0.0009, 0.112)
    """Of any quote, and of each unit of half its spread; relative."""
    name: str = "Gaussian process"

    def fill(self, hole: Hole) -> Filled | None:
        base, seen = base_of(hole), hole.seen()
        sample = hole.shot.sample
        given = completion.inputs(base, seen, sample.log_moneyness, sample.years)
        known, asked = given["seen"], np.column_stack([given["asked"], np.zeros(len(sample.vol))])
        gram = self._covariance(known, known)
        gram[np.diag_indices_from(gram)] += self.noise[0] ** 2 + (self.noise[1] * given["noise"]) ** 2
        factor, cross = cho_factor(gram, lower=True), self._covariance(asked, known)
        mean = cross @ cho_solve(factor, given["log_ratio"])
        prior = self.smooth[0] ** 2 + self.rough[0] ** 2 + self.tenor[0] ** 2
        variance = prior - np.einsum("ij,ji->i", cross, cho_solve(factor, cross.T)) + self.noise[0] ** 2
        vol = surface.vols(base, sample.log_moneyness, sample.years) * np.exp(mean)
        return Filled(vol, vol * np.sqrt(np.maximum(variance, self.noise[0] ** 2)))

    def _covariance(self, one: Floats, other: Floats) -> Floats:
        move = one[:, None, 0] - other[None, :, 0]
        tenor = np.abs(one[:, None, 1] - other[None, :, 1])
        days = np.abs(one[:, None, 2] - other[None, :, 2])
        scale, along, across, lasting = self.smooth
        r = np.sqrt(5 * ((move / along) ** 2 + (tenor / across) ** 2))
        total = scale**2 * (1 + r + r * r / 3) * np.exp(-r - days / lasting)
        scale, along, across, lasting = self.rough
        r = np.sqrt(3 * ((move / along) ** 2 + (tenor / across) ** 2))
        total += scale**2 * (1 + r) * np.exp(-r - days / lasting)
        scale, across, lasting = self.tenor
        total += scale**2 * np.exp(-tenor / across - days / lasting)
        return np.asarray(total)


@dataclass(frozen=True)
class Prior:
    """`surface_prior` of the registry, as the node asks it, made free of arbitrage."""

    model: Model
    alone: bool = False
    """Without the last chain."""

    @property
    def name(self) -> str:
        return "network prior, this chain alone" if self.alone else "network prior"

    def fill(self, hole: Hole) -> Filled | None:
        seen = Hole(hole.shot, None, hole.hidden) if self.alone else hole
        sample = hole.shot.sample
        return completion.fill(self.model, base_of(seen), seen.seen(), sample.log_moneyness, sample.years)


@dataclass(frozen=True)
class Sound:
    """Another's answer with its arbitrage removed, among all listed options."""

    of: Filler

    @property
    def name(self) -> str:
        return f"{self.of.name}, no arbitrage"

    def fill(self, hole: Hole) -> Filled | None:
        filled, sample = self.of.fill(hole), hole.shot.sample
        among = arbitrage.rules(sample.log_moneyness, sample.years)
        return None if filled is None else self.of_filled(hole, filled, among)

    def of_filled(self, hole: Hole, filled: Filled, among: arbitrage.Rules) -> Filled:
        sample = hole.shot.sample
        return completion.sound(filled, sample.log_moneyness, sample.years, among)


def refit(sample: Sample, previous: Surface | None = None) -> Surface:
    """The node's calibration of a part of a chain."""
    return surface.fitted(sample, previous)


def interpolated(sample: Sample, log_moneyness: Floats, years: Floats) -> Floats:
    """Volatilities between a chain's own quotes: linear in k / sqrt(T) within an expiry, total variance linear between
    expiries, level beyond the outermost."""
    known = np.unique(sample.years)
    moves = log_moneyness / np.sqrt(years)
    rows = []
    for expiry in known:
        mine = sample.years == expiry
        at = sample.log_moneyness[mine] / np.sqrt(expiry)
        order = np.argsort(at, kind="stable")
        rows.append(np.interp(moves, at[order], sample.vol[mine][order]) ** 2 * expiry)
    return np.asarray(np.sqrt(_between(known, np.stack(rows), years) / years))


def base_of(hole: Hole) -> Surface:
    """What ratios are taken to: the last surface, or this chain's refit where there is no last one."""
    return hole.before.surface if hole.before is not None else refit(hole.visible)


def _plain(vol: Floats) -> Filled:
    return Filled(vol, np.full_like(vol, np.nan))


def _between(known: Floats, total: Floats, years: Floats) -> Floats:
    """`total` (expiries, quotes) at each quote's own time: linear, and of level volatility beyond the ends."""
    right = np.clip(np.searchsorted(known, years), 1, max(len(known) - 1, 1))
    place = np.arange(total.shape[1])
    if len(known) == 1:
        return np.asarray(total[0] * years / known[0])
    left = right - 1
    share = (years - known[left]) / (known[right] - known[left])
    inside = (1 - share) * total[left, place] + share * total[right, place]
    low = total[0] * years / known[0]
    high = total[-1] * years / known[-1]
    return np.maximum(np.where(years < known[0], low, np.where(years > known[-1], high, inside)), 1e-8)


class _Slice(Protocol):
    def __call__(self, k: Floats) -> Floats: ...


def _svi(sample: Sample, years: float) -> _Slice:
    """w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + s^2)), least squares of volatility over its error."""
    mine = sample.years == years
    k, vol, error = sample.log_moneyness[mine], sample.vol[mine], sample.error[mine]
    level = float(np.median(vol)) ** 2 * years
    width = max(float(np.ptp(k)) / 4, 1e-3)

    def total(x: Floats, at: Floats) -> Floats:
        value: Floats = x[0] + x[1] * (x[2] * (at - x[3]) + np.sqrt((at - x[3]) ** 2 + x[4] ** 2))
        return np.maximum(value, 1e-8)

    def residuals(x: Floats) -> Floats:
        return np.asarray((np.sqrt(total(x, k) / years) - vol) / error)

    low = [-level, 0.0, -0.99, float(k.min()) - 1e-3, 1e-4]
    high = [4 * level, 20 * level / width, 0.99, float(k.max()) + 1e-3, 20 * width]
    start = np.clip([0.7 * level, 0.3 * level / width, -0.1, 0.0, width], np.array(low) + 1e-9, np.array(high) - 1e-9)
    found = least_squares(residuals, start, bounds=(low, high), x_scale=np.abs(start) + 1e-3, max_nfev=40).x
    return lambda at: total(found, at)
