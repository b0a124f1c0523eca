"""A fixed margin grid to compare with: the published shape of Deribit's portfolio margin.

Spot moves of ±16 % in nine even steps, each with implied volatility raised, unchanged and lowered; a volatility shock
grows for short expiries as ``(30 / days)^p``. The requirement is the worst loss of the whole portfolio over those 27
scenarios.

Source: Deribit, "Portfolio Margin" (support.deribit.com, article 25944756247837) for the shape, and the example answer
of `private/pme/simulate` (docs.deribit.com) for the BTC parameters: `price_range` 0.16, `volatility_range_up` 0.5,
`volatility_range_down` 0.25, `short_term_vega_power` 0.3, `long_term_vega_power` 0.13, `min_volatility_for_shock_up`
0.5. How the last one enters is documented by a third party only (docs.oreome.com, "Advanced Risk Scenarios"): the
raised volatility is never below it. It is read so here.

Left out, each of which would raise the figure: the table of moves beyond ±16 %, and the contingencies for futures,
short options and delta. The grid's worst loss is a maintenance requirement; initial margin is a quarter more, as in
our own engine and in Derive's PMRM, so that both figures of a comparison mean the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from margrave.errors import Rejected
from margrave.lab.demo.record import Position
from margrave.spans import DAY_MS, YEAR_DAYS
from margrave.verdicts import Rejection

Floats = npt.NDArray[np.float64]
Sigma = Callable[[float, int], float]
"""Annualised implied volatility (a fraction) of a strike (USD) and an expiry (Unix ms)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The parameters of such a grid; the defaults are those published for BTC, used here for every market."""

    spot_range: float = 0.16
    steps_each_side: int = 4
    vol_up: float = 0.50
    vol_down: float = 0.25
    short_power: float = 0.30
    """Exponent of 30 / days up to 30 days."""
    long_power: float = 0.13
    """Exponent of 30 / days beyond 30 days."""
    min_raised_vol: float = 0.50

    def spot_factors(self) -> Floats:
        """Multiples of the price, ascending, shape (2 * steps_each_side + 1,)."""
        return 1.0 + np.linspace(-self.spot_range, self.spot_range, 2 * self.steps_each_side + 1)

    def shocked_vols(self, sigma: float, days: float) -> Floats:
        """Volatility raised, unchanged and lowered for an option with `days` to expiry, shape (3,)."""
        scale = (30.0 / days) ** (self.short_power if days <= 30.0 else self.long_power)
        raised = max(sigma * (1.0 + self.vol_up * scale), self.min_raised_vol)
        lowered = max(sigma * (1.0 - self.vol_down * scale), 0.0)
        return np.array([raised, sigma, lowered])


PUBLISHED: Final = Grid()
INITIAL_OVER_MAINTENANCE: Final = 1.25
METHOD: Final = (
    "Worst loss over a fixed grid in the published shape of Deribit's portfolio margin: spot ±16 % in nine steps, "
    "implied volatility +50 %, unchanged and −25 %, scaled by (30 / days to expiry)^0.3 up to 30 days and ^0.13 "
    "beyond, raised volatility at least 50 %; times 1.25 for initial margin, as our own engine and Derive's have it; "
    "no contingencies, no extended table."
)


def black76(forward: Floats, strike: float, sigma: Floats, years: float, is_call: bool) -> Floats:
    """Undiscounted Black (1976) value in USD; broadcasts over forward and sigma; intrinsic value at zero variance."""
    spread = sigma * np.sqrt(max(years, 0.0))
    safe = np.where(spread > 0.0, spread, 1.0)
    d1 = np.log(forward / strike) / safe + 0.5 * safe
    call = forward * ndtr(d1) - strike * ndtr(d1 - safe)
    value = call if is_call else call - forward + strike
    intrinsic = np.maximum(forward - strike if is_call else strike - forward, 0.0)
    # Far from the money the two terms nearly cancel; an option is worth no less than its intrinsic value.
    return np.where(spread > 0.0, np.maximum(value, intrinsic), intrinsic)


def requirement(
    positions: Sequence[Position], price: float, sigma: Sigma | float, now_ms: int, *, grid: Grid = PUBLISHED
) -> float:
    """Worst loss in USD of one market's positions over the grid, at least zero: the unmoved scenario loses nothing.

    Args:
        positions: options on one underlying, in any order; expired ones count at intrinsic value.
        price: the index in USD, taken as the forward of every expiry.
        sigma: implied volatility by strike and expiry, or one for all.
        now_ms: Unix milliseconds.

    Raises:
        Rejected: the price or a volatility is not above zero, or the positions lie in several markets.
    """
    _refuse_nonsense(positions, price)
    spots = price * grid.spot_factors()
    losses = np.zeros((spots.size, 3))
    for position in positions:
        losses -= position.quantity * _changes(position, price, spots, sigma, now_ms, grid)
    return float(max(losses.max(), 0.0))


def _changes(position: Position, price: float, spots: Floats, sigma: Sigma | float, now_ms: int, grid: Grid) -> Floats:
    """Change in value of one contract in each scenario, shape (spots, 3)."""
    vol = sigma(position.strike, position.expiry_ms) if callable(sigma) else sigma
    if not vol > 0.0:
        raise Rejected(Rejection.NOT_POSITIVE, f"implied volatility of strike {position.strike:g} is {vol}")
    days = (position.expiry_ms - now_ms) / DAY_MS
    years = days / YEAR_DAYS
    vols = grid.shocked_vols(vol, days) if days > 0.0 else np.full(3, vol)
    shocked = black76(spots[:, None], position.strike, vols[None, :], years, position.is_call)
    today = black76(np.array([price]), position.strike, np.array([vol]), years, position.is_call)
    return shocked - today


def _refuse_nonsense(positions: Sequence[Position], price: float) -> None:
    if not 0.0 < price < float("inf"):
        raise Rejected(Rejection.NOT_POSITIVE, f"price is {price}")
    markets = sorted({position.market for position in positions})
    if len(markets) > 1:
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"one price cannot value positions in {', '.join(markets)}")
