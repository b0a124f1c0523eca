"""The score, its reasons, and the confidence: one number a reader can hold the node to, and how it came about.

The score has a fixed meaning: the expected shortfall (1 %) over the margin period of risk of a short straddle on one
unit of the index, at the money, 30 days, in basis points of its standard margin: 15 % of the index beyond the premium,
which is what the venues' published rules ask of a naked short at the money. 10,000 (the cap) eats all of it.

The reference straddle is priced at a fixed 60 % volatility for its spot part, so that the score answers to measured
risk alone: it rises with the ladder, with implied volatility and its shock, with thin books and with leverage, each
holding the others, and with nothing else. Its parts are amounts of one loss, so they add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from margrave.messages import Ladder, MarketSnapshot, Reason, Surface
from margrave.score import black76
from margrave.score.addons import VolShock
from margrave.score.cascade.message import Cascade
from margrave.score.contagion.message import Contagion
from margrave.verdicts import DriftLevel

CAP: Final = 10_000.0
STANDARD_MARGIN: Final = 0.15
REFERENCE_VOL: Final = 0.60
REFERENCE_DAYS: Final = 30.0
_REFERENCE_TOTAL_VOL: Final = REFERENCE_VOL * math.sqrt(REFERENCE_DAYS / 365)
_VEGA: Final = 2 / math.sqrt(2 * math.pi)
"""Of the straddle at the money, per unit of total volatility."""


@dataclass(frozen=True, slots=True)
class Scored:
    score: float
    reasons: tuple[Reason, ...]


def compose(
    market: str,
    mpor_s: int,
    reference_size_usd: float,
    ladder: Ladder,
    surface: Surface,
    shock: VolShock,
    liquidity: float,
    cascade: Cascade,
    contagion: Contagion,
) -> Scored:
    """The score with its reasons, largest first; their points sum to the score before it is capped."""
    down = straddle_loss(-ladder.down_es99)
    up = straddle_loss(ladder.up_es99)
    move, side = (ladder.down_es99, "lose") if down >= up else (ladder.up_es99, "gain")
    vol_30d = surface.total_vol_30d / math.sqrt(REFERENCE_DAYS / 365)
    hours = _hours(mpor_s)
    reasons = [
        _reason("price", max(down, up), f"{market} can {side} {move:.1%} in {hours} (1 % tail)"),
        _reason(
            "volatility",
            _VEGA * surface.total_vol_30d * shock.up,
            f"30-day implied volatility, now {vol_30d:.0%}, can rise by {shock.up:.0%} of itself in {hours}",
        ),
        _reason("liquidity", liquidity, f"closing {reference_size_usd:,.0f} USD would cost {liquidity:.2%}"),
        _reason(
            "cascade",
            cascade.probability * cascade.size,
            f"accounts withstand {_withstood(cascade.buffer)}; liquidations beyond it, {cascade.probability:.1%} "
            f"likely within a day, would move the index by another {cascade.size:.1%}",
        ),
        _reason("contagion", contagion.addon, f"stress in other markets can add {contagion.addon:.2%}"),
    ]
    reasons.sort(key=lambda r: (-r.points, r.name))
    return Scored(score=min(math.fsum(r.points for r in reasons), CAP), reasons=tuple(reasons))


@lru_cache(maxsize=1024)
def straddle_loss(move: float) -> float:
    """What the writer of the reference straddle loses when the index moves by `move`, as a share of the index."""
    spot = 1 + max(move, -0.999)
    k = np.full(2, -math.log(spot))
    total = np.full(2, _REFERENCE_TOTAL_VOL)
    now = spot * float(black76.price(k, total, np.array([True, False])).sum())
    return now - float(black76.price(np.zeros(2), total, np.array([True, False])).sum())


def _reason(name: str, loss: float, sentence: str) -> Reason:
    return Reason(name=name, points=max(loss, 0.0) / STANDARD_MARGIN * 10_000, sentence=sentence)


def _withstood(buffer: float) -> str:
    return "any move" if buffer >= 1 else f"a move of {buffer:.0%}"


def _hours(seconds: int) -> str:
    hours = seconds / 3_600
    return "one hour" if hours == 1 else f"{hours:g} hours"


# --- confidence -----------------------------------------------------------------------------------------------------

CHAIN_HALF_S: Final = 1_800.0
"""A chain this old halves what the fresh one adds."""
FIT_HALF: Final = 0.20
"""A surface this far off its quotes, as a share of the 30-day volatility, halves what a perfect one adds."""
FLOOR: Final = 0.6
"""No factor but the sources goes below: each is one doubt among several."""
FALLBACK: Final = 0.8
MASKED: Final = 0.97
DOUBTED: Final = 0.8
DRIFTING: Final = 0.9
"""A level of drift."""


def confidence(
    market: MarketSnapshot,
    expected_sources: int,
    surface: Surface,
    unlike: float,
    masked: Sequence[str],
    *,
    fallback: bool,
    drift: DriftLevel = DriftLevel.STEADY,
) -> float:
    """How far the node trusts this row, in (0, 1]: the product of one factor a doubt.

    sources kept over sources expected; age of the option chain (no chain counts as a very old one); the surface's
    fit; how unlike the training data the input is; whether the baseline speaks; 0.97 for every input missing; 0.8 for
    every doubt that the guard has about the price; 0.9 for every level of drift. The wire has no lane for drift itself:
    this is how a contract is told.
    """
    age_s = market.chain_age_s if market.chain_age_s is not None else math.inf
    vol_30d = surface.total_vol_30d / math.sqrt(REFERENCE_DAYS / 365)
    factors = (
        min(len(market.sources) / expected_sources, 1.0),
        FLOOR + (1 - FLOOR) / (1 + age_s / CHAIN_HALF_S),
        FLOOR + (1 - FLOOR) / (1 + (surface.rmse_vol / vol_30d / FIT_HALF) ** 2),
        FLOOR + (1 - FLOOR) / max(unlike, 1.0),
        FALLBACK if fallback else 1.0,
        MASKED ** len(masked),
        DOUBTED ** len(market.doubts),
        DRIFTING**drift,
    )
    return math.prod(factors)
