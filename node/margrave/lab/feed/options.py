"""A generated option chain: what Deribit would list on a day, priced on an SSVI surface, with quotes of finite width.

SSVI (Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces", 2014): total variance at log-moneyness k is
w = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)), with phi = eta / (theta^gamma (1 + theta)^(1-gamma)).
Prices are undiscounted Black-76 over the forward: what an inverse option costs in coins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from margrave.lab.feed.tape import Chain, ListedOption
from margrave.spans import YEAR_MS

Floats = NDArray[np.float64]
PRICE_TICK = 0.0005
SMALL_TICK = 0.0001
SMALL_BELOW = 0.005
"""Deribit quotes in 0.0005 coins, below 0.005 in 0.0001."""
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True)
class SurfaceShape:
    """The generated surface and the width of its quotes; volatilities as fractions."""

    rho: float = -0.2
    eta: float = 1.1
    gamma: float = 0.4
    calm_iv: float = 0.8
    """Where the term structure is flat; above it the short end is higher, below it lower."""
    slope: float = 0.25
    carry: float = 0.05
    """Annual rate from index to forward."""
    half_spread_vol: float = 0.012
    """Half the bid-ask spread at the money, in volatility, when implied volatility is `calm_iv`."""


def chain(market: str, index: float, iv_30d: float, as_of_ms: int, shape: SurfaceShape, strike_step: float) -> Chain:
    """The whole chain of one underlying at one moment, from its index and its 30-day implied volatility."""
    listed: list[ListedOption] = []
    for expiry_ms in expiries(as_of_ms):
        years = (expiry_ms - as_of_ms) / YEAR_MS
        forward = index * math.exp(shape.carry * years)
        strikes = _strikes(forward, iv_30d, years, strike_step)
        vols = _volatilities(strikes / forward, iv_30d, years, shape)
        listed.extend(_rows(market, expiry_ms, forward, strikes, vols, years, iv_30d, shape))
    return Chain(as_of_ms=as_of_ms, index=index, options=listed)


def expiries(as_of_ms: int) -> list[int]:
    """08:00 UTC of the next two days, the next four Fridays, three month-ends and four quarter-ends."""
    now = datetime.fromtimestamp(as_of_ms / 1000, UTC)
    first = now.replace(hour=8, minute=0, second=0, microsecond=0)
    first = first if first > now else first + timedelta(days=1)
    fridays = [first + timedelta(days=(4 - first.weekday()) % 7 + 7 * week) for week in range(60)]
    monthly = [a for a, b in pairwise(fridays) if a.month != b.month]
    quarterly = [day for day in monthly if day.month % 3 == 0]
    days = {first, first + timedelta(days=1), *fridays[:4], *monthly[:3], *quarterly[:4]}
    return sorted(int(day.timestamp()) * 1000 for day in days)


def _strikes(forward: float, iv: float, years: float, step: float) -> Floats:
    """About two to three standard deviations each side, on a step that grows with the distance to expiry."""
    reach = max(2.5 * iv * math.sqrt(years), 0.12)
    wide = step * (1 if years < 15 / 365 else 2 if years < 60 / 365 else 5)
    low, high = forward * math.exp(-min(reach, 1.4)), forward * math.exp(min(reach, 1.4))
    wide *= max(1.0, round((high - low) / wide / 45))
    return np.asarray(np.arange(max(wide, math.floor(low / wide) * wide), high + wide, wide))


def atm_volatility(iv_30d: float, years: float, shape: SurfaceShape) -> float:
    """Term structure: a power of time through the 30-day point, bounded so that total variance always rises."""
    power = max(-0.2, min(0.25, shape.slope * (iv_30d / shape.calm_iv - 1)))
    return float(iv_30d * max(years * 365 / 30, 0.03) ** -power)


def _volatilities(moneyness: Floats, iv_30d: float, years: float, shape: SurfaceShape) -> Floats:
    theta = atm_volatility(iv_30d, years, shape) ** 2 * years
    phi = shape.eta / (theta**shape.gamma * (1 + theta) ** (1 - shape.gamma))
    k = np.log(moneyness)
    w = theta / 2 * (1 + shape.rho * phi * k + np.sqrt((phi * k + shape.rho) ** 2 + 1 - shape.rho**2))
    return np.asarray(np.sqrt(w / years))


def _premium(moneyness: Floats, vols: Floats, years: float, is_call: bool) -> Floats:
    """Black-76 over the forward; `moneyness` is strike over forward."""
    spread = vols * math.sqrt(years)
    d1 = -np.log(moneyness) / spread + spread / 2
    sign = 1.0 if is_call else -1.0
    return np.asarray(np.maximum(sign * (ndtr(sign * d1) - moneyness * ndtr(sign * (d1 - spread))), 0.0))


def _rows(
    market: str,
    expiry_ms: int,
    forward: float,
    strikes: Floats,
    vols: Floats,
    years: float,
    iv_30d: float,
    shape: SurfaceShape,
) -> list[ListedOption]:
    day = datetime.fromtimestamp(expiry_ms / 1000, UTC)
    future = f"{market}-{day.day}{MONTHS[day.month - 1]}{day.year % 100:02d}"
    moneyness = strikes / forward
    distance = np.abs(np.log(moneyness)) / (iv_30d * math.sqrt(years))
    half = shape.half_spread_vol * (iv_30d / shape.calm_iv) * (1 + distance)
    interest = 400.0 * np.exp(-0.5 * distance**2) * (1 + years)
    rows = []
    for is_call in (True, False):
        mark = _premium(moneyness, vols, years, is_call)
        bid = _premium(moneyness, np.maximum(vols - half, 0.02), years, is_call)
        ask = _premium(moneyness, vols + half, years, is_call)
        for i, strike in enumerate(strikes):
            rows.append(
                ListedOption(
                    name=f"{future}-{strike:.0f}-{'C' if is_call else 'P'}",
                    underlying_name=future,
                    forward=round(forward, 4),
                    bid=_ticked(float(bid[i]), up=False),
                    ask=_ticked(float(ask[i]), up=True),
                    mark=round(float(mark[i]), 6),
                    mark_iv=round(float(vols[i]) * 100, 2),
                    open_interest=round(float(interest[i]), 1),
                    volume=0.0,
                    volume_usd=0.0,
                )
            )
    return rows


def _ticked(premium: float, *, up: bool) -> float | None:
    """A quote on the venue's tick, away from the mid; a bid of nothing is no bid."""
    tick = SMALL_TICK if premium < SMALL_BELOW else PRICE_TICK
    counts = math.ceil(premium / tick - 1e-9) if up else math.floor(premium / tick + 1e-9)
    if up:
        return round(max(counts, 1) * tick, 6)
    return round(counts * tick, 6) if counts > 0 else None
