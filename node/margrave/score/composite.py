"""The score, its reasons, and the confidence: one number a reader can hold the node to, and how it came about.

The score has a fixed meaning: the expected shortfall (1 %) over the margin period of risk of a short straddle on one
unit of the index, at the money, 30 days, in basis points of its standard margin: 15 % of the index beyond the premium,
which is what the venues' published rules ask of a naked short at the money. 10,000 (the cap) eats all of it.

The reference straddle is priced at a fixed 60 % volatility for its spot part, so that the score answers to measured
risk alone: it rises with the ladder, with implied volatility and its shock, with thin books, with leverage and with
what is concentrated in few hands, each holding the others, and with nothing else. Its parts are amounts of one loss, so
they add up; that all of them come at once is on the safe side. What it means in numbers docs/score.md measures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.messages import Ladder, MarketSnapshot, Reason, Surface
from margrave.score import black76
from margrave.score.addons import VolShock
from margrave.score.cascade.message import Cascade
from margrave.score.contagion.message import Contagion
from margrave.spans import HOUR_S, YEAR_DAYS
from margrave.verdicts import DriftLevel

Array = NDArray[np.float64]

CAP: Final = 10_000.0
STANDARD_MARGIN: Final = 0.15
REFERENCE_VOL: Final = 0.60
_REFERENCE_TOTAL_VOL: Final = REFERENCE_VOL * math.sqrt(30 / YEAR_DAYS)
VEGA: Final = 2 / math.sqrt(2 * math.pi)
"""Of the straddle at the money, per unit of total volatility."""


@dataclass(frozen=True, slots=True)
class Scored:
    score: float
    reasons: tuple[Reason, ...]

    @property
    def points(self) -> float:
        """The score before it is capped: beyond the cap, too, there is more and less."""
        return math.fsum(reason.points for reason in self.reasons)


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
    price, falling = _price((ladder.down_es99, ladder.up_es99), (ladder.down_es999, ladder.up_es999))
    move, side = (ladder.down_es99, "lose") if falling else (ladder.up_es99, "gain")
    hours = _hours(mpor_s)
    reasons = [
        Reason(name="price", points=price, sentence=f"{market} can {side} {move:.1%} in {hours} (1 % tail)"),
        _reason(
            "volatility",
            VEGA * surface.total_vol_30d * shock.up,
            f"30-day implied volatility, now {surface.vol_30d:.0%}, can rise by {shock.up:.0%} of itself in {hours}",
        ),
        _reason("liquidity", liquidity, f"closing {reference_size_usd:,.0f} USD would cost {liquidity:.2%}"),
        _reason(
            "cascade",
            cascade.probability * cascade.size,
            f"{_beginning(cascade)}, {cascade.probability:.1%} likely within a day, would move the index by another "
            f"{cascade.size:.1%}",
        ),
        _reason("contagion", contagion.addon, f"stress in other markets can add {contagion.addon:.2%}"),
    ]
    reasons.sort(key=lambda r: (-r.points, r.name))
    return Scored(score=min(math.fsum(r.points for r in reasons), CAP), reasons=tuple(reasons))


PRICE_SCALE: Final = 2.956
PRICE_POWER: Final = 0.85
"""The price part is scale * (points of the ladder's shortfall) ** power. Ladders say too little in quiet hours and too
much in wild ones: to the end of 2022 the reference straddle lost 1.35 times what they said in the quietest tenth of the
hours and 0.77 times in the wildest. The power is the one of nine that brought the tenths of those years closest
together; docs/score.md has the figures of the years after, of assets left out, and the command."""


@lru_cache(maxsize=1024)
def _price(es99: tuple[float, float], es999: tuple[float, float]) -> tuple[float, bool]:
    """(points, whether the fall costs more than the rise)."""
    down, up = straddle_losses(np.array([-es99[0], es99[1]]))
    return float(price_points(straddle_shortfall(np.array(es99), np.array(es999)))), bool(down >= up)


def price_points(shortfall: Array) -> Array:
    """Of a shortfall as a share of the index: points of the standard margin, calibrated."""
    return np.asarray(PRICE_SCALE * (np.maximum(shortfall, 0.0) / STANDARD_MARGIN * CAP) ** PRICE_POWER)


_SLICES: Final = 10
"""Of the tail: a tenth of a percent each."""


def straddle_shortfall(es99: Array, es999: Array) -> Array:
    """(…,) the straddle's expected shortfall at 1 %, as a share of the index, of the spot move alone.

    A short straddle loses on either side, so its worst 1 % are the worst of both. A shortfall is the most that any
    event of that probability costs in the mean (Acerbi and Tasche, J. Banking & Finance 26, 2002, prop. 3.1): the
    largest over all ways to split it between the sides. A side's mean move in its worst p lies between the two that
    are published, straight in logs; its worst tenth of a percent is kept apart, because the loss is convex in the move.
    Nothing falls when a shortfall rises: a convex loss gains more on the outer part than it can lose on the inner.

    Args:
        es99: (…, 2) mean fall and mean rise in the worst 1 % of each side, as magnitudes; `es999` of 0.1 %.
    """
    far = np.maximum(es999, _LEAST_MOVE)
    near = np.clip(es99, _LEAST_MOVE, far)
    signs = np.array([-1.0, 1.0])
    # (…, slices, 2): what the worst k slices of each side cost, times k
    slices = np.arange(1, _SLICES + 1, dtype=np.float64)[:, None]
    depth = 1 - np.log10(slices)
    mean = near[..., None, :] ** (1 - depth) * far[..., None, :] ** depth
    inner = np.maximum(slices * mean - far[..., None, :], 0.0) / np.maximum(slices - 1, 1.0)
    inner[..., 0, :] = far  # the first slice is the outer one itself
    loss = straddle_losses(signs * inner)
    cost = np.zeros((*loss.shape[:-2], _SLICES + 1, 2))
    cost[..., 1:, :] = loss[..., :1, :] + (slices - 1) * loss
    both = cost[..., 0] + cost[..., ::-1, 1]
    return np.asarray(both.max(axis=-1) / _SLICES)


_LEAST_MOVE: Final = 1e-9


def straddle_loss(move: float) -> float:
    """What the writer of the reference straddle loses when the index moves by `move`, as a share of the index."""
    return float(straddle_losses(np.array(move)))


def straddle_losses(moves: Array) -> Array:
    """`straddle_loss` of each of many moves; a gain is below zero, and what is not a number stays none."""
    spot = 1 + np.maximum(moves, _WORST)
    return np.asarray(spot * _straddle(-np.log(spot)) - _AT_THE_MONEY)


def _straddle(k: Array) -> Array:
    """Price over forward at k = ln(strike / forward): call and put, which differ by 1 - e^k."""
    call = black76.price(k, np.array(_REFERENCE_TOTAL_VOL), np.array(True))
    return np.asarray(2 * call + np.expm1(k))


_WORST: Final = 1e-9 - 1
"""Nothing is left but for what a logarithm needs."""
_AT_THE_MONEY: Final = float(_straddle(np.zeros(())))


def _reason(name: str, loss: float, sentence: str) -> Reason:
    return Reason(name=name, points=max(loss, 0.0) / STANDARD_MARGIN * 10_000, sentence=sentence)


def _beginning(cascade: Cascade) -> str:
    """What a cascade would begin with: a model sees whose health is near its end, the formula one buffer."""
    if cascade.learned:
        return "a cascade of liquidations"
    return f"accounts withstand {_withstood(cascade.buffer)}; liquidations beyond it"


def _withstood(buffer: float) -> str:
    return "any move" if buffer >= 1 else f"a move of {buffer:.0%}"


def _hours(seconds: int) -> str:
    hours = seconds / HOUR_S
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
    factors = (
        min(len(market.sources) / expected_sources, 1.0),
        FLOOR + (1 - FLOOR) / (1 + age_s / CHAIN_HALF_S),
        FLOOR + (1 - FLOOR) / (1 + (surface.rmse_vol / surface.vol_30d / FIT_HALF) ** 2),
        FLOOR + (1 - FLOOR) / max(unlike, 1.0),
        FALLBACK if fallback else 1.0,
        MASKED ** len(masked),
        DOUBTED ** len(market.doubts),
        DRIFTING**drift,
    )
    return math.prod(factors)
