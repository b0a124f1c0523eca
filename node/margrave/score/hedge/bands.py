"""The question (`Contracts`), the answer (`Hedges`), and the classical answers to it.

Holdings are shares of the underlying for one option sold, as *calls*: a put at the same strike is the call less one
unit, and every rule here is asked for the call. Prices are in any one currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from margrave.errors import Rejected
from margrave.spans import YEAR_H
from margrave.verdicts import Rejection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ROOT_2PI: Final = float(np.sqrt(2 * np.pi))


class Remark(StrEnum):
    """Why an answer is trusted less. It is given all the same."""

    NO_HISTORY = "no_history"  # the market's state is unknown: answered as for a usual day, with a wider band
    COST_CLAMPED = "cost_clamped"  # dearer than anything trained on: answered for the dearest
    VOL_CLAMPED = "vol_clamped"  # outside the volatilities trained on: answered for the nearest
    LIFE_CLAMPED = "life_clamped"  # longer than the lives trained on: the policy is asked for the longest
    FAR_FROM_STRIKE = "far_from_strike"  # beyond the moneyness trained on


@dataclass(frozen=True, slots=True)
class Contracts:
    """Options that were sold, columns of shape (n,)."""

    spot: Floats
    strike: Floats
    hours_left: Floats
    is_call: Flags
    vol: Floats
    """Annualised, over the rest of the life: implied, or `forecast_vol`."""
    cost: Floats
    """Of a trade, as a share of what is traded."""
    held: Floats
    """What is held now for each option sold, in units of the underlying; NaN where nothing was traded yet."""

    def __post_init__(self) -> None:
        """
        Raises:
            Rejected: columns of different lengths; a price, a life or a volatility that is none; a negative cost. The
                line names the row.
        """
        if len({len(column) for column in self._columns().values()}) != 1:
            raise Rejected(Rejection.MALFORMED, "the columns of contracts have different lengths")
        for name, column in self._columns().items():
            if name in ("is_call", "held"):
                continue
            _refuse(~np.isfinite(column), Rejection.NOT_FINITE, name, column)
            least = column < 0 if name == "cost" else column <= 0
            word = "has expired" if name == "hours_left" else name
            _refuse(least, Rejection.OUT_OF_RANGE if name == "hours_left" else Rejection.NOT_POSITIVE, word, column)
        _refuse(np.isinf(self.held), Rejection.NOT_FINITE, "held", self.held)
        _refuse(self.cost >= 1, Rejection.OUT_OF_RANGE, "cost", self.cost)

    def __len__(self) -> int:
        return len(self.spot)

    def _columns(self) -> dict[str, Floats]:
        return {name: cast(Floats, getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Hedges:
    """What to hold for each option sold, in units of the underlying; (n,) all. For a put they are negative."""

    lower: Floats
    upper: Floats
    hedge: Floats
    """What is held, moved no further than to the nearer edge; the middle where nothing is held yet."""
    remarks: tuple[tuple[Remark, ...], ...]
    learned: bool
    """False: no policy was asked, this is Black-Scholes with the band of Whalley and Wilmott."""


def total_vol(vol: Floats, hours_left: Floats) -> Floats:
    """Standard deviation of the log price over the rest of the life."""
    return np.asarray(vol * np.sqrt(hours_left / YEAR_H))


def standard_moneyness(log_moneyness: Floats, total: Floats) -> Floats:
    """d1 of Black and Scholes without rates. `log_moneyness` is ln(spot / strike)."""
    return np.asarray(log_moneyness / total + total / 2)


def black_scholes(log_moneyness: Floats, total: Floats) -> Floats:
    """Delta of a call (Black and Scholes 1973, J. Political Economy 81)."""
    return np.asarray(ndtr(standard_moneyness(log_moneyness, total)))


def whalley_wilmott(
    log_moneyness: Floats, total: Floats, cost: Floats | float, aversion: float, most: float = 1.0
) -> Floats:
    """Half-width of the no-trade band, (3 c Gamma^2 S / 2 a)^(1/3), for small costs (Whalley and Wilmott 1997, Math.
    Finance 7), with all amounts as shares of the spot; `most` units at most.

    Args:
        aversion: to risk, a, for a position of one unit of spot.
    """
    d1 = standard_moneyness(log_moneyness, total)
    gamma = np.exp(-0.5 * d1 * d1) / (ROOT_2PI * total)
    return np.asarray(np.minimum(np.cbrt(1.5 * cost * gamma * gamma / aversion), most))


def clock(deltas: Floats, every: int) -> Floats:
    """Holdings of who goes to the delta at every so many steps and rests between; (steps, paths) both."""
    return np.asarray(deltas[np.arange(len(deltas)) // every * every])


def held(lower: Floats, upper: Floats) -> Floats:
    """Holdings of who moves to the nearer edge of a band where they are outside of it, and begins in its middle.

    Args:
        lower: (steps, paths), as `upper`, which is nowhere below it.
    """
    found = np.empty_like(lower)
    now = 0.5 * (lower[0] + upper[0])
    for step in range(len(lower)):
        now = np.minimum(np.maximum(now, lower[step]), upper[step])
        found[step] = now
    return found


def _refuse(bad: Flags, reason: Rejection, what: str, column: Floats) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise Rejected(
            reason,
            f"contract {row}: {what} ({column[row]:g})",
            advice="correct that row; no hedge of the batch is given",
        )
