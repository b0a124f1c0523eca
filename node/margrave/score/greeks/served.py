"""The Greeks that are served: what an option gains when the index moves and its volatility moves along, as it does.

Black's delta holds the option's volatility. On real chains it does not stay: where the forward rises by one percent,
the volatility at a fixed strike changes by about one percent of

    b = D(c) (LEVERAGE f s0 - WING (s(k) - s0)),    s(k) = d sigma / dk,  s0 = s(0),  f = max(1 - RESTING / |rho|, 0)

* s0, the smile's slope at the money: in stochastic-volatility models the at-the-money volatility of short expiries
  runs along it, and as far again (skew-stickiness ratio two; L. Bergomi, "Smile dynamics IV", Risk, December 2009).
  A part of the slope is always there and answers to nothing: what a correlation of RESTING would give. The rest counts
  LEVERAGE times. Where the slope is flatter, or upward, nothing is added: no such chain was looked at.
* s(k) - s0: the smile's curvature goes with the forward (sticky moneyness; C. Alexander and A. Imeraj, "Delta hedging
  bitcoin options with a smile", Quantitative Finance 23, 2023, who hedge with delta + vega d sigma / dF), but only for
  WING of its way: shrunk towards what stays.
* D(c), of the call delta c = N(d1): one up to 0.5, falling smoothly to zero at 0.8. The volatility of puts far below
  the forward rose with it in some weeks and against it in others: there the plain delta is served, nothing beats it.

So delta = Black's + vega b / F; gamma is that delta's derivative in the forward with the volatility moving along; vega,
vanna and volga are by the level of the whole smile of the expiry, and theta goes along the surface. The delta to hedge
with is taken over the ladder's moves (`tails`) with the volatility moving by b: what the tails model says of falls
against rises is in it. All of it is computed from the published lanes and the option: whoever reads the contract
computes the same.

The form and its constants were chosen on the chains of one month; docs/greeks.md says how many others were tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from margrave.messages import Surface
from margrave.score.greeks.black import Greeks, plain
from margrave.score.greeks.options import Floats, Options
from margrave.score.greeks.slopes import Smile, smile
from margrave.score.greeks.tails import Heavy, Moves, over_moves

LEVERAGE: Final = 2.5
RESTING: Final = 0.15
WING: Final = 0.3
"""Of the smile's curvature, the share that goes with the forward."""
CHOSEN_FROM: Final = "2025-12-30"
CHOSEN_TO: Final = "2026-02-01"
"""Between the beginnings of these days lie the chains that the constants and the rule's form were chosen on."""
FULL_TO: Final = 0.5
NOTHING_FROM: Final = 0.8
"""Call deltas between which the move of volatility fades out."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Shape (n,) each."""

    vol: Floats
    """The options' volatility: the surface's, or the caller's."""
    vol_by_log_forward: Floats
    """b: what the option's volatility does when the forward rises, per unit of its logarithm."""
    plain: Greeks
    """Black's, the volatility held."""
    adjusted: Greeks
    """With the smile; `vega`, `vanna` and `volga` by the at-the-money volatility of the expiry."""
    heavy: Heavy | None
    """With the smile and over the moves of a ladder; `None` without one."""

    @property
    def hedge(self) -> Floats:
        """The delta to hedge with: over the ladder's moves, or along the smile alone."""
        return self.adjusted.delta if self.heavy is None else self.heavy.delta


def greeks(surface: Surface, options: Options, vol: Floats | None = None, moves: Moves | None = None) -> Served:
    """Of options on one underlying.

    Args:
        surface: as published.
        vol: (n,) of the options themselves where they are known better than by the surface, such as a venue's mark;
            the smile's slopes are the surface's all the same.
        moves: of the ladder that was published with the surface.

    Raises:
        Rejected: a volatility is not positive and finite, with its row; or the surface is none.
    """
    seen = smile(surface, options)
    own = seen.vol if vol is None else np.broadcast_to(np.asarray(vol, dtype=np.float64), seen.vol.shape)
    black = plain(options, own)
    call_delta = np.where(options.is_call, black.delta, black.delta + 1)
    fade, fade_by_delta = faded(call_delta)
    way, way_by_k, way_by_level = _ways(surface, seen)
    b = fade * way
    forward = options.forward
    by_forward = b / forward
    # of b along the way: the call delta moves by gamma and by vanna, k by -1 / F
    b_by_forward = fade_by_delta * (black.gamma + black.vanna * by_forward) * way - fade * way_by_k / forward
    b_by_level = fade_by_delta * black.vanna * seen.by_level * way + fade * way_by_level
    adjusted = Greeks(
        price=black.price,
        delta=black.delta + black.vega * by_forward,
        gamma=black.gamma
        + 2 * black.vanna * by_forward
        + black.volga * by_forward**2
        + black.vega * (b_by_forward - by_forward) / forward,
        vega=black.vega * seen.by_level,
        vanna=(black.vanna + black.volga * by_forward) * seen.by_level + black.vega * b_by_level / forward,
        volga=black.volga * seen.by_level**2 + black.vega * seen.by_level_twice,
        theta=black.theta - black.vega * seen.by_years,
    )
    return Served(own, b, black, adjusted, None if moves is None else over_moves(options, own, b, moves))


def call_delta(options: Options, vol: Floats) -> Floats:
    total = vol * np.sqrt(options.years)
    value: Floats = ndtr(total / 2 - options.log_moneyness / total)
    return value


def faded(call_delta: Floats) -> tuple[Floats, Floats]:
    """(D, its derivative): Hermite's cubic between the two deltas."""
    t = np.clip((NOTHING_FROM - call_delta) / (NOTHING_FROM - FULL_TO), 0.0, 1.0)
    return t * t * (3 - 2 * t), 6 * t * (t - 1) / (NOTHING_FROM - FULL_TO)


def _ways(surface: Surface, seen: Smile) -> tuple[Floats, Floats, Floats]:
    """(b before it fades, its derivatives in k and in the level)."""
    beyond = 1 + RESTING / surface.rho if surface.rho < -RESTING else 0.0
    at_money = LEVERAGE * beyond + WING
    by_level = at_money * seen.skew_by_level - WING * seen.by_k_level
    return at_money * seen.skew - WING * seen.by_k, -WING * seen.by_kk, by_level
