"""At-the-money volatility, skew and term slope at fixed tenors, read off a chain's own quotes.

Of each expiry a smile is fitted, a quartic in standard moves whose upper two coefficients are held back, and read at
the money and at the deltas of +-25 %. Between expiries total variance is linear in time, skew in ln time. What lies
ahead is read off the same chain: the forward volatility from h to T + h, and the skew of the options that will be T
days long in h days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.families.surface.cells import Shot
from margrave.score import surface
from margrave.spans import YEAR_DAYS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TENORS_DAYS: Final = (7.0, 14.0, 30.0, 60.0, 90.0)
HORIZONS_DAYS: Final = (1, 7)
LEAST_QUOTES: Final = 6
REACH: Final = 2.0
"""Standard moves to which a smile is fitted."""
SPANNED: Final = 0.8
"""Standard moves to which quotes must reach on both sides."""
HELD: Final = 30.0
"""How strongly the cubic and the quartic are held back, in quotes of a volatility point's spread."""
QUARTER: Final = 0.6744897501960817
"""Normal quantile of 75 %: |d1| of an option of 25 % delta."""


@dataclass(frozen=True, slots=True)
class Indicators:
    """One asset's series; shape (times,), (times, tenors), or (times, tenors, horizons). NaN where a chain lacks it."""

    asset: str
    as_of_ms: Ints
    atm: Floats
    skew: Floats
    """Volatility of the call of 25 % delta less that of the put."""
    atm_ahead: Floats
    skew_ahead: Floats
    underlying: Floats

    @property
    def slope(self) -> Floats:
        """(times, tenors - 1): the next tenor's at-the-money volatility less this one's."""
        return np.asarray(np.diff(self.atm, axis=1))

    @property
    def slope_ahead(self) -> Floats:
        return np.asarray(np.diff(self.atm_ahead, axis=1))


@dataclass(frozen=True, slots=True)
class _Smiles:
    """Expiries that have one, ascending; shape (expiries,) each."""

    days: Floats
    atm: Floats
    skew: Floats


def indicators(shots: Sequence[Shot]) -> Indicators:
    """Of one asset's shots in order of time."""
    shape = (len(shots), len(TENORS_DAYS))
    atm, skew = np.full(shape, np.nan), np.full(shape, np.nan)
    ahead, skew_ahead = (np.full((*shape, len(HORIZONS_DAYS)), np.nan) for _ in range(2))
    for row, shot in enumerate(shots):
        smiles = _smiles(shot)
        if len(smiles.days) < 2:
            continue
        variance = smiles.atm**2 * smiles.days
        ln_days = np.log(smiles.days)
        for column, tenor in enumerate(TENORS_DAYS):
            if smiles.days[0] <= tenor <= smiles.days[-1]:
                atm[row, column] = np.sqrt(np.interp(tenor, smiles.days, variance) / tenor)
                skew[row, column] = np.interp(np.log(tenor), ln_days, smiles.skew)
            for place, horizon in enumerate(HORIZONS_DAYS):
                if tenor + horizon <= smiles.days[-1]:
                    grid = np.append(0.0, smiles.days), np.append(0.0, variance)
                    forward = np.interp(tenor + horizon, *grid) - np.interp(horizon, *grid)
                    ahead[row, column, place] = np.sqrt(max(float(forward), 1e-8) / tenor)
                    skew_ahead[row, column, place] = np.interp(np.log(tenor + horizon), ln_days, smiles.skew)
    times = np.array([shot.as_of_ms for shot in shots], dtype=np.int64)
    underlying = np.array([shot.underlying for shot in shots])
    return Indicators(shots[0].asset if shots else "", times, atm, skew, ahead, skew_ahead, underlying)


def _smiles(shot: Shot) -> _Smiles:
    sample = shot.sample
    rows = []
    for years in np.unique(sample.years):
        flat = float(surface.vols(shot.surface, np.zeros(1), np.array([years]))[0]) * np.sqrt(years)
        mine = (sample.years == years) & sample.two_sided & (np.abs(sample.log_moneyness) <= REACH * flat)
        moves = sample.log_moneyness[mine] / flat
        if mine.sum() < LEAST_QUOTES or moves.min() > -SPANNED or moves.max() < SPANNED:
            continue
        # a quote's own half spread, with a floor of a quarter point
        weight = 1 / (shot.half_spread[mine] + surface.IV_NOISE / 4)
        held = np.diag([0.0, 0.0, 0.0, HELD, HELD])
        design = np.vstack([np.vander(moves, 5, increasing=True) * weight[:, None], held])
        answer = np.concatenate([sample.vol[mine] * weight, np.zeros(5)])
        smile = np.linalg.lstsq(design, answer, rcond=None)[0][::-1]
        call, put = (_at_delta(smile, flat, years, sign) for sign in (1.0, -1.0))
        rows.append((years * YEAR_DAYS, float(np.polyval(smile, 0.0)), call - put))
    columns = np.array(rows).reshape(-1, 3)
    sound = np.isfinite(columns).all(axis=1) & (columns[:, 1] > 0)
    return _Smiles(*columns[sound].T)


def _at_delta(smile: Floats, flat: float, years: float, sign: float) -> float:
    """The smile's volatility where |delta| is 25 %: k = s^2 / 2 +- 0.674 s, found by repetition."""
    k = 0.0
    for _ in range(30):
        moves = float(np.clip(k / flat, -REACH, REACH))
        total = max(float(np.polyval(smile, moves)), 0.01) * np.sqrt(years)
        k = total * total / 2 + sign * QUARTER * total
    return float(np.polyval(smile, np.clip(k / flat, -REACH, REACH)))
