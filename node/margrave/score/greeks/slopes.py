"""How the published surface bends, in closed form: its slopes in moneyness, in level and in time.

With u = phi k, r = sqrt((u + rho)^2 + 1 - rho^2) and m(u) = (1 + rho u + r) / 2, SSVI is w = theta m(phi(theta) k) and
sigma = sqrt(w / T); `score.surface` has the source and the coordinates. The level is the at-the-money volatility of
the expiry, a = sqrt(theta / T): when it moves, rho, the wing and the decay stay, as where all of a surface is lifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from margrave.errors import Rejected
from margrave.messages import Surface
from margrave.score.greeks.options import Floats, Options
from margrave.score.surface import TENORS_DAYS, tenor_weights
from margrave.spans import YEAR_DAYS
from margrave.verdicts import Rejection


@dataclass(frozen=True, slots=True, eq=False)
class Smile:
    """Of each option, shape (n,). Volatilities annual and as fractions; k is ln(K / F), a the level."""

    vol: Floats
    level: Floats
    by_k: Floats
    """d sigma / dk at the option."""
    by_kk: Floats
    by_level: Floats
    """d sigma / da."""
    by_level_twice: Floats
    by_k_level: Floats
    """d2 sigma / dk da."""
    skew: Floats
    """d sigma / dk at the money: a rho phi / 2."""
    skew_by_level: Floats
    by_years: Floats
    """d sigma / dT at the same k: along the surface to a shorter life."""


def smile(surface: Surface, options: Options) -> Smile:
    """
    Raises:
        Rejected: the surface is none: a number that is not finite, total volatilities that do not ascend from above
            zero, |rho| >= 1, or a wing or decay outside what a surface can have.
    """
    checked(surface)
    k, years, rho = options.log_moneyness, options.years, surface.rho
    theta, theta_by_years = _thetas(surface, years)
    eta, gamma = surface.wing / (1 + abs(rho)), surface.decay
    phi = eta * theta**-gamma * (1 + theta) ** (gamma - 1)
    q = -(gamma / theta + (1 - gamma) / (1 + theta))  # phi' / phi
    phi_1 = phi * q
    phi_2 = phi * (q * q + gamma / theta**2 + (1 - gamma) / (1 + theta) ** 2)
    u = phi * k
    r = np.sqrt((u + rho) ** 2 + 1 - rho * rho)
    m, m_1, m_2 = (1 + rho * u + r) / 2, (rho + (u + rho) / r) / 2, (1 - rho * rho) / (2 * r**3)
    # total variance by k and theta
    w, w_k, w_kk = theta * m, theta * phi * m_1, theta * phi**2 * m_2
    w_t = m + theta * m_1 * phi_1 * k
    w_tt = 2 * m_1 * phi_1 * k + theta * (m_2 * (phi_1 * k) ** 2 + m_1 * phi_2 * k)
    w_kt = (phi + theta * phi_1) * m_1 + theta * phi * phi_1 * k * m_2
    # theta = a^2 T
    level = np.sqrt(theta / years)
    t_a = 2 * level * years
    w_a, w_aa, w_ka = w_t * t_a, w_tt * t_a**2 + w_t * 2 * years, w_kt * t_a
    # sigma = sqrt(w / T)
    vol = np.sqrt(w / years)
    half = 1 / (2 * vol * years)
    by_k, by_level = w_k * half, w_a * half
    return Smile(
        vol=vol,
        level=level,
        by_k=by_k,
        by_kk=w_kk * half - by_k**2 / vol,
        by_level=by_level,
        by_level_twice=w_aa * half - by_level**2 / vol,
        by_k_level=w_ka * half - by_k * by_level / vol,
        skew=level * phi * rho / 2,
        skew_by_level=(phi + level * phi_1 * t_a) * rho / 2,
        by_years=(w_t * theta_by_years - w / years) * half,
    )


def checked(surface: Surface) -> None:
    """
    Raises:
        Rejected: as `smile` says.
    """
    numbers = (
        surface.total_vol_7d,
        surface.total_vol_30d,
        surface.total_vol_90d,
        surface.rho,
        surface.wing,
        surface.decay,
    )
    advice = "take the lanes of a report that the contract took"
    if not np.isfinite(numbers).all():
        raise Rejected(Rejection.NOT_FINITE, "the surface holds what is no number", advice=advice)
    if not 0 < surface.total_vol_7d <= surface.total_vol_30d <= surface.total_vol_90d:
        raise Rejected(Rejection.OUT_OF_RANGE, "the surface's total volatilities do not ascend", advice=advice)
    if not (abs(surface.rho) < 1 and 0 <= surface.wing <= 2 and 0 <= surface.decay <= 1):
        raise Rejected(Rejection.OUT_OF_RANGE, "the surface's smile is outside what one can have", advice=advice)


def _thetas(surface: Surface, years: Floats) -> tuple[Floats, Floats]:
    """(at-the-money total variance, its slope in years towards a shorter life)."""
    tenors = np.array([surface.total_vol_7d, surface.total_vol_30d, surface.total_vol_90d]) ** 2
    slopes = np.diff(tenors, prepend=0.0) / np.diff(TENORS_DAYS, prepend=0.0) * YEAR_DAYS
    return tenor_weights(years) @ tenors, slopes[np.searchsorted(TENORS_DAYS[:2], years * YEAR_DAYS, side="left")]
