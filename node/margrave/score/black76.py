"""Black (1976) on forwards, in fractions of the forward and without discounting, as option venues quote crypto.

The float twin of the contract's pricing, vectorised: prices, vegas, and implied volatilities out of prices.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

_STEPS: Final = 40
_VOL_RANGE: Final = (1e-3, 20.0)


def price(log_moneyness: Array, total_vol: Array, is_call: NDArray[np.bool_]) -> Array:
    """Price over forward of options at k = ln(K/F) and total volatility sigma * sqrt(T).

    call = N(d1) - e^k N(d2), d1 = -k / s + s / 2, d2 = d1 - s; puts by parity. F. Black, "The pricing of commodity
    contracts", J. Financial Economics 3 (1976).
    """
    sign = np.where(is_call, 1.0, -1.0)
    d1 = -log_moneyness / total_vol + total_vol / 2
    value: Array = sign * (ndtr(sign * d1) - np.exp(log_moneyness) * ndtr(sign * (d1 - total_vol)))
    return value


def vega(log_moneyness: Array, total_vol: Array) -> Array:
    """Change of price over forward per unit of *total* volatility: the density at d1."""
    d1 = -log_moneyness / total_vol + total_vol / 2
    density: Array = np.exp(-d1 * d1 / 2) / np.sqrt(2 * np.pi)
    return density


def implied_vol(
    prices: Array,
    log_moneyness: Array,
    years: Array,
    is_call: NDArray[np.bool_],
    near: Array | None = None,
    of: NDArray[np.int64] | None = None,
) -> Array:
    """Annualised volatility that gives `prices` (fractions of the forward); NaN where none does.

    Newton's step wherever it stays inside the bracket, bisection elsewhere: all options at once, a fixed number of
    steps at most, so that no quote can stall a round.

    Args:
        near: annualised volatilities to begin at where they are numbers; they change the way and not the place.
        of: which of several chains each option is of, from zero on. A chain goes on until the last of its own options
            has settled: it finds what it finds alone, to the last bit.
    """
    chain = np.zeros(len(prices), dtype=np.int64) if of is None else of
    chains = int(chain.max(initial=0)) + 1
    intrinsic = np.maximum(np.where(is_call, -np.expm1(log_moneyness), np.expm1(log_moneyness)), 0.0)
    ceiling = np.where(is_call, 1.0, np.exp(log_moneyness))
    with np.errstate(invalid="ignore"):
        solvable = (prices > intrinsic) & (prices < ceiling) & (years > 0)
    root = np.sqrt(np.where(solvable, years, 1.0))
    low, high = np.full_like(root, _VOL_RANGE[0]) * root, np.full_like(root, _VOL_RANGE[1]) * root
    # start at the inflection point, from where Newton cannot diverge (Manaster and Koehler 1982)
    total = np.clip(np.sqrt(2 * np.abs(log_moneyness)), 0.05 * root, 5.0 * root)
    if near is not None:
        with np.errstate(invalid="ignore"):
            total = np.where((near > _VOL_RANGE[0]) & (near < _VOL_RANGE[1]), near * root, total)
    target = np.where(solvable, prices, price(log_moneyness, total, is_call))
    ends, rows, k = total.copy(), np.arange(len(total)), log_moneyness
    for _ in range(_STEPS):
        error = price(k, total, is_call) - target
        low, high = np.where(error < 0, total, low), np.where(error > 0, total, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = total - error / vega(k, total)
        # a root that was hit is an end of the bracket: it has arrived, and is not to be bisected away
        inside = (newton >= low) & (newton <= high)
        step = np.where(inside, newton, (low + high) / 2)
        step = np.where(error == 0, total, step)
        settled = np.abs(step - total) <= 1e-10 * total
        ends[rows] = total = step
        going_on = np.zeros(chains, dtype=np.bool_)
        going_on[chain[~settled]] = True
        on = going_on[chain]
        if not on.any():
            break
        if not on.all():
            rows, chain, is_call = rows[on], chain[on], is_call[on]
            k, target, low, high, total = (column[on] for column in (k, target, low, high, total))
    return np.where(solvable, ends / root, np.nan)
