"""The SSVI surface of a market word, as contracts/src/margin/Surface.sol reads it; integers with 18 decimals.

Gatheral and Jacquier (2014), Arbitrage-free SVI volatility surfaces: w(k) = theta/2 (1 + rho phi k +
sqrt((phi k + rho)^2 + 1 - rho^2)) with phi = eta / (theta^gamma (1 + theta)^(1 - gamma)). Total variance is
proportional to time below 7 days, linear between the tenors, and goes on at its last slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from margrave.lanes import EXCESS, Words, raw
from margrave.mirror.fixed_point import WAD, exp_wad, ln_wad, quotient, sqrt
from margrave.mirror.words import FIELDS, value

DAY_S: Final = 86_400
YEAR_S: Final = 365 * DAY_S
PRICE_SCALE: Final = 10**10
VOL_UNIT: Final = 5 * 10**13
UNIT: Final = 10**14
LEAST_CARRY: Final = WAD // 10


@dataclass(frozen=True, slots=True)
class Surface:
    """One market's surface: total variance at 7, 30 and 90 days, and the SSVI parameters."""

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


def unpack(words: Words) -> Surface:
    rho = (raw(words, "ssvi_rho") - EXCESS) * UNIT
    return Surface(
        spot=value(words.market, FIELDS["market"][-1]) * PRICE_SCALE,
        basis=(raw(words, "basis") - EXCESS) * UNIT,
        theta=(_theta(words, "total_vol_7d"), _theta(words, "total_vol_30d"), _theta(words, "total_vol_90d")),
        rho=rho,
        eta=raw(words, "ssvi_wing") * UNIT * WAD // (WAD + abs(rho)),
        gamma=raw(words, "ssvi_decay") * UNIT,
    )


def cut(surface: Surface, time_s: int) -> Slice:
    """The slice of one expiry, `time_s` seconds away and above zero."""
    carry = max(WAD + quotient(surface.basis * time_s, YEAR_S), LEAST_CARRY)
    forward = surface.spot * carry // WAD
    theta = _theta_at(surface.theta, time_s)
    phi = 0
    if theta:
        exponent = surface.gamma * ln_wad(theta) + (WAD - surface.gamma) * ln_wad(WAD + theta)
        phi = surface.eta * exp_wad(quotient(-exponent, WAD)) // WAD
    return Slice(forward=forward, log_forward=ln_wad(forward), theta=theta, phi=phi)


def total_vol(surface: Surface, at: Slice, k: int) -> int:
    """sigma * sqrt(T) at log-moneyness `k` = ln(strike / forward)."""
    phi_k = quotient(at.phi * k, WAD)
    a = phi_k + surface.rho
    root = sqrt(a * a + WAD * WAD - surface.rho * surface.rho)
    w = quotient(at.theta * (WAD + quotient(surface.rho * phi_k, WAD) + root), 2 * WAD)
    return sqrt(w * WAD)


def _theta(words: Words, name: str) -> int:
    vol = raw(words, name) * VOL_UNIT
    return vol * vol // WAD


def _theta_at(theta: tuple[int, int, int], time_s: int) -> int:
    week, month, quarter = theta
    if time_s <= 7 * DAY_S:
        return week * time_s // (7 * DAY_S)
    if time_s <= 30 * DAY_S:
        return week + quotient((month - week) * (time_s - 7 * DAY_S), 23 * DAY_S)
    return month + quotient((quarter - month) * (time_s - 30 * DAY_S), 60 * DAY_S)
