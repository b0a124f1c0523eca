"""The implied-volatility surface of one market, fitted each round to its option chain: SSVI in published coordinates.

    w(k, T) = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)),   k = ln(K/F),
    phi(theta) = eta / (theta^gamma (1 + theta)^(1 - gamma)),   eta = b / (1 + |rho|)

(Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14, 2014). With b <= 2 and
0 < gamma <= 1/2 no butterfly has a negative price, with ascending theta no calendar spread has. theta(T), the
at-the-money total variance, is linear in T between the published tenors 7, 30 and 90 days, proportional to T below
and with the last forward variance above: three numbers, on which it depends linearly, evaluated alike by the contract.

The constraints hold by construction: the fit runs over the whole of R^6, and every point of it is a sound surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Rejected
from margrave.messages import OptionQuote, Surface
from margrave.middle import median
from margrave.score import black76
from margrave.score.descent import Columns, End, begin_at, errors_of, parameters, searched, soft_losses
from margrave.spans import DAY_MS, YEAR_DAYS
from margrave.verdicts import Rejection

Array = NDArray[np.float64]

TENORS_DAYS: Final = (7.0, 30.0, 90.0)
MIN_DAYS: Final = 2.0
MAX_DAYS: Final = 200.0
MIN_QUOTES: Final = 8
"""Six numbers need more than six quotes."""
MAX_RELATIVE_SPREAD: Final = 0.5
"""Ask minus bid over mid; wider says little about the volatility."""
MAX_STANDARD_MOVES: Final = 3.5
"""Strikes further than this many standard deviations from the forward: their price is a tick or two."""
IV_NOISE: Final = 0.01
"""What a quote's volatility is uncertain by, even with no spread: keeps one locked market from owning the fit."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The quotes that the fit uses, as columns of equal length."""

    log_moneyness: Array
    years: Array
    vol: Array
    """Implied by the mid price, annualised; the venue's mark where nobody quotes both sides."""
    error: Array
    """Half the spread in volatility, with a floor: what one residual is measured in."""
    weight: Array
    """Square root of each quote's share of its expiry's say."""
    tenors: Array
    """Shape (n, 3): `tenor_weights(years)`."""
    two_sided: NDArray[np.bool_]
    """Quoted on both sides; the others have a mark only."""


def calibrate(
    quotes: Sequence[OptionQuote], as_of_ms: int, previous: Surface | None = None, *, index: float | None = None
) -> Surface:
    """Fit the surface to a chain as of its own time; `previous` is the start of the search and nothing else.

    Args:
        quotes: bid and ask as fractions of the forward.
        as_of_ms: when the chain was quoted: times to expiry count from here.
        previous: last round's surface.
        index: underlying price at that time in USD; without it the basis is taken between the chain's own forwards.

    Raises:
        Rejected: fewer than `MIN_QUOTES` usable quotes, or fewer than two expiries.
    """
    sample = usable(quotes, as_of_ms)
    return fitted(sample, previous, basis(quotes, as_of_ms, index))


def calibrated(chains: Sequence[tuple[Sequence[OptionQuote], int, Surface | None]]) -> list[Surface | Rejected]:
    """`calibrate` of each (quotes, as_of_ms, previous), to the last bit, in far less time: or why there is none."""
    samples = _usable([(quotes, as_of_ms) for quotes, as_of_ms, _ in chains])
    asked = [
        (sample, previous, basis(quotes, as_of_ms))
        for sample, (quotes, as_of_ms, previous) in zip(samples, chains, strict=True)
        if isinstance(sample, Sample)
    ]
    surfaces = iter(_fitted(asked))
    return [next(surfaces) if isinstance(sample, Sample) else sample for sample in samples]


def fitted(sample: Sample, previous: Surface | None = None, basis_annual: float = 0.0) -> Surface:
    """The surface nearest to a sample: the better end of two searches, from `previous` and from a plain start. Sparse
    chains have more than one valley."""
    return _fitted([(sample, previous, basis_annual)])[0]


def _fitted(asked: Sequence[tuple[Sample, Surface | None, float]]) -> list[Surface]:
    begins: list[Array] = []
    several: list[Columns] = []
    of: list[int] = []
    for place, (sample, previous, _) in enumerate(asked):
        columns = columns_of(sample)
        for begin in (previous, None) if previous is not None else (None,):
            begins.append(start(sample, begin))
            several.append(columns)
            of.append(place)
    best: dict[int, End] = {}
    for place, end in zip(of, searched(several, np.array(begins)), strict=True):
        if place not in best or end.loss < best[place].loss:  # of equals the first
            best[place] = end
    return [
        published(best[place].point, sample, basis_annual, best[place].errors)
        for place, (sample, _, basis_annual) in enumerate(asked)
    ]


def usable(quotes: Sequence[OptionQuote], as_of_ms: int) -> Sample:
    """Out-of-the-money options of 2 to 200 days with a sane spread, or else with a mark.

    Raises:
        Rejected: too few are left.
    """
    (found,) = _usable([(quotes, as_of_ms)])
    if isinstance(found, Rejected):
        raise found
    return found


def _usable(chains: Sequence[tuple[Sequence[OptionQuote], int]]) -> list[Sample | Rejected]:
    """`usable` of each of some (quotes, as_of_ms), all options as one array."""
    every = [q for quotes, _ in chains for q in quotes]
    expiry, strike, forward, bid, ask, mark = (
        np.array(list(map(attrgetter(name), every)), dtype=np.float64)  # None becomes NaN
        for name in ("expiry_ms", "strike", "forward", "bid", "ask", "mark_iv")
    )
    is_call = np.array([q.is_call for q in every], dtype=np.bool_)
    many = [len(quotes) for quotes, _ in chains]
    of = np.repeat(np.arange(len(chains)), many)
    days = (expiry - np.repeat([as_of_ms for _, as_of_ms in chains], many)) / DAY_MS
    k = np.log(strike / forward)
    mid = (bid + ask) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        two_sided = (bid > 0) & (ask >= bid) & ((ask - bid) <= MAX_RELATIVE_SPREAD * mid)
        wanted = (days >= MIN_DAYS) & (days <= MAX_DAYS) & (is_call == (k >= 0)) & (two_sided | (mark > 0))
    k, days, is_call, bid, ask, mid, mark, two_sided, of = (
        column[wanted] for column in (k, days, is_call, bid, ask, mid, mark, two_sided, of)
    )
    years = days / YEAR_DAYS
    vol = np.where(two_sided, black76.implied_vol(mid, k, years, is_call, mark, of), mark)
    vol = np.where(np.isfinite(vol), vol, mark)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = vol * np.sqrt(years)
        half_spread = np.where(two_sided, (ask - bid) / 2, 0.0) / (black76.vega(k, total) * np.sqrt(years))
        sound = np.isfinite(vol) & (vol > 0.02) & (vol < 8) & (np.abs(k) <= MAX_STANDARD_MOVES * total)
    # a mark is the venue's own model: it may fill a hole, but weighs less than a price somebody would pay
    error = np.where(two_sided, half_spread, 4 * IV_NOISE) + IV_NOISE
    k, days, years, vol, error, two_sided = (column[sound] for column in (k, days, years, vol, error, two_sided))
    tenors, ends = tenor_weights(years), np.searchsorted(of[sound], np.arange(len(chains) + 1))
    found: list[Sample | Rejected] = []
    for quotes, (begin, end) in zip(many, pairwise(ends.tolist()), strict=True):
        one = slice(begin, end)
        weight = _weights(days[one], quotes)
        if isinstance(weight, Rejected):
            found.append(weight)
        else:
            found.append(Sample(k[one], years[one], vol[one], error[one], weight, tenors[one], two_sided[one]))
    return found


def _weights(days: Array, quotes: int) -> Array | Rejected:
    """(n,) of the usable options, which are so many days long; or why so many quotes are not enough."""
    if not quotes:
        return Rejected(Rejection.EMPTY, "no option is quoted")
    if len(days) < MIN_QUOTES:
        return Rejected(Rejection.EMPTY, f"{len(days)} of {quotes} options are usable, {MIN_QUOTES} needed")
    expiries, which, count = np.unique(days, return_inverse=True, return_counts=True)
    if len(expiries) < 2:
        return Rejected(Rejection.EMPTY, f"usable options at one expiry only ({expiries[0]:.1f} days)")
    # every expiry has a say that grows with the square root of its quotes: a crowded week does not drown a quarter
    weights: Array = count[which].astype(np.float64) ** -0.25
    return weights


def implied_vol(surface: Surface, forward: float, strike: float, years: float) -> float:
    """Annualised implied volatility of one option, `years` to expiry."""
    k = np.array([np.log(strike / forward)])
    return float(vols(surface, k, np.array([years]))[0])


def vols(surface: Surface, log_moneyness: Array, years: Array) -> Array:
    """Annualised implied volatilities at points (k, T), arrays of one shape."""
    tenors = np.array([surface.total_vol_7d, surface.total_vol_30d, surface.total_vol_90d]) ** 2
    theta = tenor_weights(years) @ tenors
    phi = _phi(theta, surface.wing / (1 + abs(surface.rho)), surface.decay)
    values: Array = np.sqrt(_total_variance(log_moneyness, theta, phi, surface.rho) / years)
    return values


def tenor_weights(years: Array) -> Array:
    """Shape (n, 3): theta(T) as a linear function of the total variances at 7, 30 and 90 days."""
    days = years * YEAR_DAYS
    short, middle, long = TENORS_DAYS
    weights = np.zeros((*days.shape, 3))
    first = days <= short
    second = ~first & (days <= middle)
    third = days > middle  # beyond the last tenor the same line goes on: flat forward variance
    weights[first, 0] = days[first] / short
    share = (days[second] - short) / (middle - short)
    weights[second, 0], weights[second, 1] = 1 - share, share
    share = (days[third] - middle) / (long - middle)
    weights[third, 1], weights[third, 2] = 1 - share, share
    return weights


def basis(quotes: Sequence[OptionQuote], as_of_ms: int, index: float | None = None) -> float:
    """Annualised forward over index, minus one: median over expiries of (F/S - 1) / T, weekly and longer preferred.

    Without `index` the nearest forward stands in for it, and the basis is measured from there.
    """
    quoted = {q.expiry_ms: q.forward for q in quotes}
    forwards = {expiry_ms: forward for expiry_ms, forward in quoted.items() if expiry_ms > as_of_ms}
    if not forwards:
        return 0.0
    expiries = np.array(sorted(forwards), dtype=np.float64)
    forward = np.array([forwards[e] for e in sorted(forwards)])
    years = (expiries - as_of_ms) / DAY_MS / YEAR_DAYS
    if index is None:
        if len(years) < 2:
            return 0.0
        index = float(forward[0])
        forward, years = forward[1:], years[1:] - years[0]
    if (long := years * YEAR_DAYS >= TENORS_DAYS[0]).any():
        forward, years = forward[long], years[long]
    return median((forward / index - 1) / years)


# --- the fit --------------------------------------------------------------------------------------------------------


def columns_of(sample: Sample) -> Columns:
    """The sample as the search reads it."""
    reach = np.cumsum(sample.tenors[:, ::-1], axis=1)[:, ::-1].T
    units = sample.weight / sample.error
    return Columns(sample.log_moneyness, reach, units / np.sqrt(sample.years), units * sample.vol)


def _phi(theta: Array, eta: float, gamma: float) -> Array:
    value: Array = eta * theta**-gamma * (1 + theta) ** (gamma - 1)
    return value


def _total_variance(k: Array, theta: Array, phi: Array, rho: float) -> Array:
    root = np.sqrt((phi * k + rho) ** 2 + 1 - rho * rho)
    value: Array = theta / 2 * (1 + rho * phi * k + root)
    return value


def residuals(x: Array, sample: Sample) -> Array:
    """Errors of a point of R^6 at the quotes, in units of their own uncertainty; shape (n,)."""
    return errors_of(x, columns_of(sample))[0]


def jacobian(x: Array, sample: Sample) -> Array:
    """Shape (n, 6)."""
    slopes: Array = errors_of(x, columns_of(sample))[1].T
    return slopes


def polished(sample: Sample, begin: Array) -> Array:
    """The point of R^6 with the smallest soft loss near `begin`."""
    return searched([columns_of(sample)], begin[None])[0].point


def soft_loss(residuals: Array) -> float:
    """Half the sum of soft squares (soft L1): squares up to `ROBUST_SCALE`, linear beyond."""
    return float(soft_losses(residuals))


def start(sample: Sample, previous: Surface | None) -> Array:
    """Where the search begins: the previous surface, or one as level as the quotes near the money."""
    if previous is not None:
        tenors = np.array([previous.total_vol_7d, previous.total_vol_30d, previous.total_vol_90d]) ** 2
        rho, wing, gamma = previous.rho, previous.wing, previous.decay
    else:
        away = np.abs(sample.log_moneyness)
        level = median(sample.vol[away <= median(away)])
        tenors = level**2 * np.array(TENORS_DAYS) / YEAR_DAYS
        rho, wing, gamma = -0.1, 0.8, 0.4
    return begin_at(float(np.sqrt(tenors[0])), np.diff(tenors), rho, wing, gamma)


def published(x: Array, sample: Sample, basis_annual: float, off: Array | None = None) -> Surface:
    """A point of R^6 in the coordinates of the wire; `off` are its `residuals`, where they are known."""
    tenors, rho, wing, gamma = parameters(x)
    total_vol = np.sqrt(tenors)
    errors = (residuals(x, sample) if off is None else off) * sample.error / sample.weight
    return Surface(
        total_vol_7d=float(total_vol[0]),
        total_vol_30d=float(total_vol[1]),
        total_vol_90d=float(total_vol[2]),
        rho=float(rho),
        wing=float(wing),
        decay=float(gamma),
        rmse_vol=float(np.sqrt(np.mean(errors**2))),
        quotes_used=len(sample.vol),
        basis=basis_annual,
    )
