"""The SSVI surface of a market word, as contracts/src/margin/Surface.sol reads it.

Gatheral and Jacquier (2014), Arbitrage-free SVI volatility surfaces: w(k) = theta/2 (1 + rho phi k +
sqrt((phi k + rho)^2 + 1 - rho^2)) with phi = eta / (theta^gamma (1 + theta)^(1 - gamma)). Total variance is
proportional to time below 7 days, linear between the tenors, and goes on at its last slope.

Integers: 40 fractional bits, total variance 80, the forward 8 decimals and 24 fractional bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from margrave.lanes import EXCESS, PRICE_SHIFT, Words, raw
from margrave.mirror.fixed_point import BITS, ONE, exp, ln, quotient, sqrt
from margrave.mirror.words import PRICE_MAX
from margrave.spans import DAY_S, YEAR_S

PAR: Final = 10_000
"""One, in the basis points that lanes are."""
FORWARD_BITS: Final = 24

_LEAST_CARRY: Final = ONE // 10
_MOST_CARRY: Final = 10 * ONE
_MOST_THETA: Final = 64 << 80
_MOST_EXPONENT: Final = 20 * ONE
_VARIANCE_UNIT: Final = (25 << 80) // 10**10
_LOG_OF_UNIT: Final = -8059778512952
_LOG_OF_40_BITS: Final = 30484935391432


@dataclass(frozen=True, slots=True)
class Surface:
    """One market's surface: index price (8 decimals), basis (basis points a year), total variance at 7, 30 and 90 days
    (80 fractional bits), and the SSVI parameters (40)."""

    spot: int
    basis: int
    theta: tuple[int, int, int]
    rho: int
    eta: int
    gamma: int


@dataclass(frozen=True, slots=True)
class Slice:
    """What of it depends on the expiry only."""

    forward: int
    log_forward: int
    theta: int
    phi: int
    rho: int


def unpack(words: Words) -> Surface:
    rho = _held(raw(words, "ssvi_rho") - EXCESS, -PAR, PAR)
    return Surface(
        spot=words.market >> PRICE_SHIFT & PRICE_MAX,
        basis=raw(words, "basis") - EXCESS,
        theta=(_variance(words, "total_vol_7d"), _variance(words, "total_vol_30d"), _variance(words, "total_vol_90d")),
        rho=quotient(rho * ONE, PAR),
        eta=raw(words, "ssvi_wing") * ONE // (PAR + abs(rho)),
        gamma=raw(words, "ssvi_decay") * ONE // PAR,
    )


def cut(surface: Surface, time_s: int) -> Slice:
    """The slice of one expiry, `time_s` seconds away; at zero no variance is left."""
    carry = _held(ONE + quotient(surface.basis * time_s * ONE, PAR * YEAR_S), _LEAST_CARRY, _MOST_CARRY)
    forward = surface.spot * carry >> 16
    theta = _held(_theta_at(surface.theta, time_s), 0, _MOST_THETA)
    phi = 0
    if theta:
        exponent = surface.gamma * (ln(theta) - _LOG_OF_40_BITS) + (ONE - surface.gamma) * ln(ONE + (theta >> BITS))
        phi = surface.eta * exp(min(-exponent >> BITS, _MOST_EXPONENT)) >> BITS
    return Slice(forward=forward, log_forward=ln(forward) + _LOG_OF_UNIT, theta=theta, phi=phi, rho=surface.rho)


def total_vol(at: Slice, k: int) -> int:
    """sigma * sqrt(T) at log-moneyness `k` = ln(strike / forward)."""
    phi_k = at.phi * k >> BITS
    a = phi_k + at.rho
    root = sqrt(a * a + ONE * ONE - at.rho * at.rho)
    return sqrt(max(at.theta * (ONE + (at.rho * phi_k >> BITS) + root) >> BITS + 1, 0))


def _variance(words: Words, name: str) -> int:
    return raw(words, name) ** 2 * _VARIANCE_UNIT


def _theta_at(theta: tuple[int, int, int], time_s: int) -> int:
    week, month, quarter = theta
    if time_s <= 7 * DAY_S:
        return week * time_s // (7 * DAY_S)
    if time_s <= 30 * DAY_S:
        return week + quotient((month - week) * (time_s - 7 * DAY_S), 23 * DAY_S)
    return month + quotient((quarter - month) * (time_s - 30 * DAY_S), 60 * DAY_S)


def _held(x: int, low: int, high: int) -> int:
    return min(max(x, low), high)
