"""The lanes beside ladder and surface: volatility shocks, liquidity, cascade, contagion.

Baselines, each a formula on one screen with its source, monotone in what it measures, and on the safe side where an
input is missing (which is then named in `masked`, and lowers confidence). Learnt models will have to beat them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.messages import Bar, Ladder, MarketSnapshot
from margrave.score.cascade.message import Cascade
from margrave.score.contagion.message import Contagion
from margrave.spans import DAY_S, HOUR_S

Array = NDArray[np.float64]

REFERENCE_MPOR_S: Final = 14_400


# --- volatility -----------------------------------------------------------------------------------------------------

VOL_NOISE_UP: Final = 0.04
VOL_NOISE_DOWN: Final = 0.04
"""Log moves of 30-day implied volatility in four hours that come without any move of the index, 1 % tail."""
VOL_BETA_UP: Final = 1.2
VOL_BETA_DOWN: Final = 0.9
"""Log move of 30-day implied volatility per log move of the index, either way."""


@dataclass(frozen=True, slots=True)
class VolShock:
    """Relative moves of 30-day implied volatility over the MPOR at 99 %, both positive; `down` is below one."""

    up: float
    down: float


def vol_shock(ladder: Ladder, mpor_s: int) -> VolShock:
    """|d log IV| = noise * sqrt(MPOR / 4 h) + beta * ES99 of the worse side.

    Symmetric in the index's direction: in crypto volatility follows |return| (on hourly DVOL the coefficient of |r|
    is several times that of r). The constants are set over, not at, the 99 % quantiles of four-hour DVOL moves in
    every decile of realised volatility, 2021-03 to 2024-12: at an ES of 2 % the rise seen was 6 % (here 6.6 %), at
    8 % it was 13 % (here 15 %).
    """
    noise = math.sqrt(mpor_s / REFERENCE_MPOR_S)
    worst = max(ladder.down_es99, ladder.up_es99)
    return VolShock(
        up=math.expm1(VOL_NOISE_UP * noise + VOL_BETA_UP * worst),
        down=-math.expm1(-VOL_NOISE_DOWN * noise - VOL_BETA_DOWN * worst),
    )


# --- liquidity ------------------------------------------------------------------------------------------------------

DEPTH_BAND: Final = 0.01
"""Snapshots report depth within 1 % of the mid."""
UNKNOWN_HALF_SPREAD: Final = 0.005
UNKNOWN_SIZE_OVER_DEPTH: Final = 4.0


def liquidity(reference_size_usd: float, half_spread: float | None, depth_usd: float | None) -> float:
    """Half-spread plus average impact of closing the reference size, as a share of its notional, below one.

    With x = size / depth within 1 %: a book of even density costs 0.005 x on average. Orders smaller than the book
    still pay the square-root law (Toth et al., Phys. Rev. X 1, 2011; Almgren et al., Risk 18, 2005), 0.005 sqrt(x).
    The larger of the two counts, and the sum is bent so that nobody pays more than everything.
    """
    over = UNKNOWN_SIZE_OVER_DEPTH if depth_usd is None else reference_size_usd / max(depth_usd, 1.0)
    spread = UNKNOWN_HALF_SPREAD if half_spread is None else half_spread
    return -math.expm1(-(spread + DEPTH_BAND / 2 * max(over, math.sqrt(over))))


# --- cascade --------------------------------------------------------------------------------------------------------

UNKNOWN_COLLATERAL_RATIO: Final = 1.5
MAINTENANCE_SHARE: Final = 0.075
"""Maintenance margin of a naked short at the money as a share of the index, by the venues' published standard rules."""
UNKNOWN_OPEN_INTEREST_OVER_DEPTH: Final = 100.0
LIQUIDATED_PER_MOVE: Final = 1.5
"""Share of open interest liquidated per relative move of the index: a judgement, on the scale of 2025-10-10, when
19 billion USD, a fifth or a quarter of what was open, went in a fall of about 15 %."""
LADDER_PROBABILITIES: Final = (0.025, 0.005, 0.0005)
_LOGS: Final = tuple(math.log(p) for p in (0.5, *LADDER_PROBABILITIES))
SMALLEST_PROBABILITY: Final = 1e-6


def cascade(
    ladder: Ladder,
    mpor_s: int,
    collateral_ratio: float | None,
    open_interest_usd: float | None,
    depth_usd: float | None,
) -> Cascade:
    """Probability that a day's (an hour's) move passes the collateral buffer, and the impact of what must then be sold.

    buffer = (ratio - 1) * 7.5 %: the collateral above maintenance, as a move of the index. It is taken at a fixed
    maintenance, not at the ladder's own, so that a wider tail always makes the cascade likelier. The ladder is
    stretched from the MPOR to the day by the square root of time, and log probability is interpolated in the move,
    falling strictly (from one half a side at no move), with the last rungs' tail index beyond them.

    What must then be sold is `LIQUIDATED_PER_MOVE` times a day's ES99 of the open interest; its impact is the
    square-root law on depth, since a cascade takes hours and books refill meanwhile.
    """
    stretch = math.sqrt(DAY_S / mpor_s)
    said = {"collateral_ratio": collateral_ratio, "open_interest_usd": open_interest_usd, "depth_usd": depth_usd}
    ratio = UNKNOWN_COLLATERAL_RATIO if collateral_ratio is None else collateral_ratio
    worst = max(ladder.down_es99, ladder.up_es99)
    buffer = max(ratio - 1, 0.0) * MAINTENANCE_SHARE
    share = min(LIQUIDATED_PER_MOVE * worst * stretch, 1.0)
    if open_interest_usd is None or depth_usd is None:
        over = UNKNOWN_OPEN_INTEREST_OVER_DEPTH
    else:
        over = open_interest_usd / max(depth_usd, 1.0)
    size = -math.expm1(-DEPTH_BAND * math.sqrt(share * over))
    return Cascade(
        probability=either_side(buffer, ladder, DAY_S, mpor_s),
        probability_1h=either_side(buffer, ladder, HOUR_S, mpor_s),
        size=size,
        buffer=buffer,
        masked=tuple(name for name, value in said.items() if value is None),
    )


def cascades(markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder], mpor_s: int) -> dict[str, Cascade]:
    """`cascade` of every market with a ladder."""
    return {
        of.market: cascade(ladders[of.market], mpor_s, of.collateral_ratio, of.open_interest_usd, of.depth_usd)
        for of in markets
        if of.market in ladders
    }


def either_side(move: float, ladder: Ladder, within_s: int, mpor_s: int) -> float:
    """Probability that the index moves by more than `move`, up or down, within some seconds."""
    scaled = move / math.sqrt(within_s / mpor_s)
    down = tail_probability(scaled, (ladder.down_q975, ladder.down_q995, ladder.down_q9995))
    up = tail_probability(scaled, (ladder.up_q975, ladder.up_q995, ladder.up_q9995))
    return min(down + up, 1.0)


def tail_probability(move: float, quantiles: Sequence[float]) -> float:
    """Probability that one side's move exceeds `move`, from the quantiles at 2.5, 0.5 and 0.05 %."""
    points = [0.0]
    for quantile in quantiles:
        points.append(max(quantile, points[-1] + 1e-9))
    if move >= points[-1]:
        index = (_LOGS[-2] - _LOGS[-1]) / math.log(points[-1] / points[-2])
        return max(math.exp(_LOGS[-1] - index * math.log(move / points[-1])), SMALLEST_PROBABILITY)
    if move <= 0:
        return math.exp(_LOGS[0])
    above = bisect_right(points, move)  # by hand: numpy's takes ten times as long over four points
    share = (move - points[above - 1]) / (points[above] - points[above - 1])
    return math.exp(_LOGS[above - 1] + share * (_LOGS[above] - _LOGS[above - 1]))


# --- contagion ------------------------------------------------------------------------------------------------------

CONTAGION_HOURS: Final = 168
TAIL_SHARE: Final = 0.05
FEW: Final = 16
"""Markets whose tail dependences are remembered."""
CONTAGION_SHARE: Final = 0.10
"""Of another market's ES99: what its liquidations cost here beyond this market's own tail."""


def contagion(markets: Sequence[MarketSnapshot], ladders: Mapping[str, Ladder]) -> dict[str, Contagion]:
    """Add-on a market: `CONTAGION_SHARE` of the worst other market's ES99, times their tail dependence.

    chi(i, j) = P(i in its worst 5 % of hours | j in its), over the last 168 hours they share, on each side (Coles,
    Heffernan and Tawn, Extremes 2, 1999). A market without company, or with too little common history, is charged as
    if it moved one to one with a market like itself.
    """
    scored = [m for m in markets if m.market in ladders]
    down = np.array([ladders[m.market].down_es99 for m in scored])
    up = np.array([ladders[m.market].up_es99 for m in scored])
    alone = CONTAGION_SHARE * np.maximum(down, up)
    dependences = tail_dependences(scored)
    if dependences is None:
        return {m.market: Contagion(addon=float(a)) for m, a in zip(scored, alone, strict=True)}
    lower, upper = dependences
    worst = np.maximum(_others_worst(lower * down[None, :]), _others_worst(upper * up[None, :]))
    return {m.market: Contagion(addon=float(w)) for m, w in zip(scored, CONTAGION_SHARE * worst, strict=True)}


def tail_dependences(markets: Sequence[MarketSnapshot]) -> tuple[Array, Array] | None:
    """chi (i, j) of falls and of rises; `None` of fewer than two markets, or with too little common history."""
    histories = tuple(_Same(market.bars) for market in markets)
    return _remembered(histories) if len(histories) <= FEW else _dependences(histories)


class _Same:
    """Bars, told from others by being the very same ones: their contents are never compared."""

    __slots__ = ("bars",)

    def __init__(self, bars: tuple[Bar, ...]) -> None:
        self.bars = bars

    def __hash__(self) -> int:
        return id(self.bars)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.bars is other.bars


def _dependences(histories: tuple[_Same, ...]) -> tuple[Array, Array] | None:
    returns = _common_returns([each.bars for each in histories])
    if len(histories) < 2 or len(returns) < CONTAGION_HOURS // 2:
        return None
    found = _tail_dependence(-returns), _tail_dependence(returns)
    for each in found:
        each.flags.writeable = False
    return found


_remembered = lru_cache(maxsize=8)(_dependences)
"""A round asks for the same several times, an explanation hundreds of times. Of few markets: their bars are kept."""


def _common_returns(histories: Sequence[Sequence[Bar]]) -> Array:
    """Shape (hours, markets): log returns of the hours that every market's history has."""
    if not histories:
        return np.empty((0, 0))
    recent = [bars[-CONTAGION_HOURS - 1 :] for bars in histories]
    times = set.intersection(*({bar.open_time_ms for bar in bars} for bars in recent))
    closes = np.array([[bar.close for bar in bars if bar.open_time_ms in times] for bars in recent])
    closes = closes.reshape(len(histories), -1)
    returns: Array = np.diff(np.log(closes), axis=1).T
    return returns


def _tail_dependence(losses: Array) -> Array:
    """Shape (i, j): share of j's worst hours that are i's too."""
    hours = losses.shape[0]
    count = max(1, round(TAIL_SHARE * hours))
    ranks = np.argsort(np.argsort(-losses, axis=0, kind="stable"), axis=0, kind="stable")
    worst = (ranks < count).astype(np.float64)
    shared: Array = worst.T @ worst / count
    return shared


def _others_worst(amounts: Array) -> Array:
    others = amounts.copy()
    np.fill_diagonal(others, 0.0)
    worst: Array = others.max(axis=1)
    return worst


def masked(market: MarketSnapshot) -> tuple[str, ...]:
    """The optional inputs of these add-ons that nobody supplied."""
    names = ("half_spread", "depth_usd", "open_interest_usd", "collateral_ratio")
    return tuple(name for name in names if getattr(market, name) is None)
