"""ES-CAViaR with an asymmetric slope (Engle and Manganelli 2004; Taylor 2019), VaR and ES fitted jointly on FZ0.

    q[t] = constant + keep q[t - 1] + (down 1{r < 0} + up 1{r >= 0}) |r|        ES = q (1 + e^gamma)

The joint loss does not need all of these searched for. Write q = s g with g of free scale and z = loss / g. FZ0 at
ES = k q is (1 + M(s)) / k + ln k + ln s + mean ln g - 1, M the mean excess of z over s in units of p s; its best k is
1 + M, and s (1 + M) is Rockafellar and Uryasev's function, least at the quantile of z, where it is the ES of z. So

    min FZ0 = ln ES_p(z) + mean ln g

in three coordinates, and s and k follow exactly. Fitted at 1 %; the other rungs are those of z under the same g.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from margrave.lab.court.families.tails.ladder import empirical
from margrave.lab.court.families.tails.recursion import Recursion, RecursiveFamily, Side, Sides

Floats = NDArray[np.float64]

FITTED_AT: Final = 0.01
FLOOR: Final = 0.3
"""Of historical simulation, at every horizon: few tail days let the recursion run down to nothing."""
MOST_KEPT: Final = 0.999
STARTS: Final = tuple((keep, share, skew) for keep in (0.85, 0.95, 0.98) for share in (0.3, 0.8) for skew in (0.0, 0.4))
"""(keep, share of the long-run level that news brings, skew of news to the side's own losses)."""


def recursion_of(losses: Floats, scale: float) -> Recursion:
    """The shape g of one tail.

    Args:
        losses: (bars,) with their sign: positive is a loss of this side. NaN at gaps.
        scale: their mean size.
    """
    seen = np.isfinite(losses)
    scaled = losses / scale
    tail = int(np.ceil(FITTED_AT * int(seen.sum())))

    def decoded(x: Floats) -> Recursion:
        keep = MOST_KEPT * special.expit(x[0])
        news = (1.0 - keep) * special.expit(x[1])
        skew = np.tanh(x[2])
        # `up` is what moves a positive value has: here a loss
        return Recursion(1.0 - keep - news, news * (1.0 - skew), news * (1.0 + skew), keep, 1, 1.0)

    def loss(x: Floats) -> float:
        g = decoded(x).before(scaled)[seen]
        z = scaled[seen] / g
        return shortfall_of(z, tail) + float(np.log(g).mean())

    starts = [np.array([special.logit(k / MOST_KEPT), special.logit(n), np.arctanh(s)]) for k, n, s in STARTS]
    best = optimize.minimize(
        loss, min(starts, key=loss), method="Nelder-Mead", options={"maxiter": 150, "xatol": 1e-2, "fatol": 1e-5}
    )
    unit = decoded(best.x)
    return Recursion(unit.constant * scale, unit.down, unit.up, unit.keep, 1, scale)


def shortfall_of(z: Floats, tail: int) -> float:
    """ln of the ES at `FITTED_AT` of a sample, its partial last loss counted in part."""
    worst = np.partition(z, len(z) - tail)[len(z) - tail :]
    whole = FITTED_AT * len(z)
    mean = (worst.sum() - (tail - whole) * worst.min()) / whole
    return float(np.log(max(mean, 1e-12)))


def _es_caviar(bars: Floats) -> Sides:
    return _side(bars, -1.0), _side(bars, 1.0)


def _side(bars: Floats, sign: float) -> Side:
    losses = sign * bars
    there = losses[np.isfinite(losses)]
    fitted = recursion_of(losses, float(np.abs(there).mean()))
    z = losses / fitted.before(losses)
    var, es = empirical(z[np.isfinite(z)])
    least_var, least_es = empirical(there)
    scale = fitted
    if sign < 0:
        # The model runs on returns, where this side's losses are the negative ones.
        scale = Recursion(fitted.constant, fitted.up, fitted.down, fitted.keep, 1, fitted.level)
    return Side(scale, var, es, FLOOR * least_var, FLOOR * least_es)


ES_CAVIAR: Final = RecursiveFamily("es_caviar", _es_caviar)
