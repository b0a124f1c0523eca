"""Greeks of Black (1976) on the forward: undiscounted, in USD, the option's volatility held (sticky strike).

With s = sigma sqrt(T), d1 = ln(F / K) / s + s / 2, d2 = d1 - s and n the normal density, for calls and puts alike
except where two signs stand: upper for calls.

    delta = ±N(±d1)                  dV / dF
    gamma = n(d1) / (F s)            d2V / dF2
    vega  = F n(d1) sqrt(T)          dV / d sigma
    vanna = -n(d1) d2 / sigma        d2V / dF d sigma
    volga = vega d1 d2 / sigma       d2V / d sigma2
    theta = -F n(d1) sigma / (2 sqrt(T))    dV / dt

F. Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976); the second derivatives as in E. Haug,
"The Complete Guide to Option Pricing Formulas" (2007), chapter 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from margrave.score.greeks.options import Floats, Options, positive

CERTAIN: Final = 1e3
"""Standard moves beyond which nothing is left of the density: an option of a moment's life has no NaN."""

_ROOT_OF_2_PI: Final = math.sqrt(2 * math.pi)


@dataclass(frozen=True, slots=True, eq=False)
class Greeks:
    """Of one option of each row, long one coin's worth; shape (n,). Forward and price in USD, volatility annual and as
    a fraction, so one volatility point is 0.01 of `vega`; `theta` is per year of 365 days."""

    price: Floats
    delta: Floats
    gamma: Floats
    vega: Floats
    vanna: Floats
    volga: Floats
    theta: Floats


def plain(options: Options, vol: Floats) -> Greeks:
    """At each option's own volatility, which does not move.

    Args:
        vol: (n,) annual, as fractions.

    Raises:
        Rejected: a volatility is not finite or not positive; with its row.
    """
    positive("volatility", vol)
    forward, root = options.forward, np.sqrt(options.years)
    total = vol * root
    with np.errstate(over="ignore"):
        d1 = np.clip(total / 2 - options.log_moneyness / total, -CERTAIN, CERTAIN)
    d2 = d1 - total
    density = np.exp(d1 * d1 * -0.5) / _ROOT_OF_2_PI
    sign = np.where(options.is_call, 1.0, -1.0)
    delta = sign * ndtr(sign * d1)
    vega = forward * density * root
    return Greeks(
        price=forward * delta - options.strike * (sign * ndtr(sign * d2)),
        delta=delta,
        gamma=density / (forward * total),
        vega=vega,
        vanna=-density * d2 / vol,
        volga=vega * d1 * d2 / vol,
        theta=vega * vol / (-2 * options.years),
    )
