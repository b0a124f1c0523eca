"""Dynamic conditional correlation (Engle 2002): a GARCH-t of each asset, one correlation recursion of all.

    Q[t + 1] = (1 - a - b) S + a z[t] z[t]' + b Q[t]        R = Q over the roots of its diagonal

with S the correlation of the sample (targeting) and (a, b) by the composite likelihood of neighbouring pairs (Pakel,
Shephard, Sheppard and Engle 2021), which does not favour a + b too near to one as the whole likelihood of many assets
does.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from margrave.lab.court.families.correlation.ewma import outer, weighted
from margrave.lab.court.families.correlation.family import bar_of, phase_bars
from margrave.lab.court.families.tails.garch import recursion_of
from margrave.lab.court.families.tails.recursion import Recursion
from margrave.lab.court.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fit:
    scales: tuple[Recursion, ...]
    target: Floats
    news: float
    keep: float


def correlation(q: Floats) -> Floats:
    """(…, assets, assets) with a unit diagonal."""
    root = np.sqrt(np.diagonal(q, axis1=-2, axis2=-1))
    return np.asarray(q / root[..., :, None] / root[..., None, :])


def recursed(z: Floats, target: Floats, news: float, keep: float) -> Floats:
    """(bars, assets, assets): the correlation that is forecast for the bar after each."""
    fed = (1.0 - news - keep) * target + news * outer(z)
    return correlation(weighted(fed / (1.0 - keep), keep, target))


def fitted(z: Floats) -> tuple[float, float]:
    """(a, b) of devolatilised bars (bars, assets)."""
    target = correlation(z.T @ z / len(z))
    first, second = np.arange(z.shape[1] - 1), np.arange(1, z.shape[1])
    squares, products = z**2, z[:, first] * z[:, second]

    def loss(x: Floats) -> float:
        persistence = 0.9995 * special.expit(x[0])
        news = persistence * special.expit(x[1])
        keep = persistence - news
        rest = 1.0 - news - keep
        own = weighted((rest + news * squares) / (1.0 - keep), keep, np.ones(z.shape[1]))[:-1]
        pair = target[first, second]
        joint = weighted((rest * pair + news * products) / (1.0 - keep), keep, pair)[:-1]
        rho = np.clip(joint / np.sqrt(own[:, first] * own[:, second]), -0.999, 0.999)
        left = 1.0 - rho**2
        quadratic = squares[1:, first] + squares[1:, second] - 2.0 * rho * products[1:]
        return float((np.log(left) + quadratic / left).mean())

    start = np.array([special.logit(0.98), special.logit(0.03)])
    best = optimize.minimize(loss, start, method="Nelder-Mead", options={"maxiter": 120, "xatol": 1e-2, "fatol": 1e-6})
    persistence = 0.9995 * special.expit(best.x[0])
    news = persistence * special.expit(best.x[1])
    return float(news), float(persistence - news)


@dataclass
class DccModel:
    past: Panel
    fits: dict[int, Fit] = field(default_factory=dict)

    def covariance(self, panel: Panel, rows: Ints, horizon_h: int) -> Floats:
        fit = self._fit(horizon_h)
        ends, returns = phase_bars(panel, horizon_h)
        before = np.stack([scale.before(returns[:, place]) for place, scale in enumerate(fit.scales)], axis=1)
        after = np.stack([scale.after(returns[:, place]) for place, scale in enumerate(fit.scales)], axis=1)
        bars = bar_of(ends, rows)
        return recursed(returns / before, fit.target, fit.news, fit.keep)[bars] * outer(after)[bars]

    def _fit(self, horizon_h: int) -> Fit:
        if horizon_h not in self.fits:
            _, returns = phase_bars(self.past, horizon_h)
            scales = tuple(recursion_of(returns[:, place], asymmetric=False)[0] for place in range(returns.shape[1]))
            z = np.stack([returns[:, place] / scale.before(returns[:, place]) for place, scale in enumerate(scales)], 1)
            self.fits[horizon_h] = Fit(scales, correlation(z.T @ z / len(z)), *fitted(z))
        return self.fits[horizon_h]


@dataclass(frozen=True)
class Dcc:
    name: str = "dcc_garch_t"

    def fit(self, past: Panel) -> DccModel:
        return DccModel(past)
