"""Options sold on real hours, and what hedging them cost: paths down the columns, hours down the rows.

An episode sells one option at the close of an hour, at Black and Scholes' price of the forecast volatility of its life,
and holds a hedge from then on, hour by hour, until it expires. Amounts are shares of the spot at the sale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from margrave.lab.court.panel import Panel
from margrave.score.hedge.bands import standard_moneyness, total_vol
from margrave.score.hedge.market import GAPS_H, LEAST_HOURS, LEVELS_H, MarketState, forecast_vol, state_of
from margrave.spans import HOUR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TAIL: Final = 0.05
"""The share of the worst outcomes that CVaR95 is the mean of."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An option that is sold: its strike as a share of the spot, its life, its side."""

    life_h: int
    strike: float
    is_call: bool

    @property
    def name(self) -> str:
        return f"{self.life_h // 24} d {self.strike:.0%} {'call' if self.is_call else 'put'}"


@dataclass(frozen=True, slots=True)
class Episodes:
    """Sales of one life, whatever the strike."""

    spot: Floats
    """(life + 1, paths), one at the sale."""
    levels: Floats
    """(life, paths, LEVELS_H)."""
    gaps: Floats
    """(life, paths, GAPS_H)."""
    vol: Floats
    """(life, paths) forecast for the rest of the life, after each hour."""
    sold_ms: Ints
    """(paths,)"""
    assets: NDArray[np.str_]
    """(paths,)"""

    @property
    def life_h(self) -> int:
        return len(self.vol)

    @property
    def hours_left(self) -> Floats:
        """(life, 1)."""
        return np.arange(self.life_h, 0, -1, dtype=np.float64)[:, None]

    @property
    def paths(self) -> int:
        return len(self.sold_ms)

    @property
    def flat_state(self) -> MarketState:
        """(life * paths, ...)."""
        return MarketState(self.levels.reshape(-1, len(LEVELS_H)), self.gaps.reshape(-1, len(GAPS_H)))

    def log_moneyness(self, strike: float) -> Floats:
        """(life, paths) ln(spot / strike)."""
        return np.asarray(np.log(self.spot[:-1] / strike))

    def some(self, paths: Ints) -> Episodes:
        return Episodes(
            self.spot[:, paths], self.levels[:, paths], self.gaps[:, paths], self.vol[:, paths],
            self.sold_ms[paths], self.assets[paths],
        )  # fmt: skip


def episodes(panel: Panel, life_h: int, every_h: int, from_ms: int, to_ms: int, phase: int = 0) -> Iterator[Episodes]:
    """Asset by asset, sales from `from_ms` on that have expired by `to_ms`; assets without any are passed over.

    Args:
        every_h: between two sales. A number that shares no factor with 24 has them fall on every hour of the day: a
            clock that rests for eight hours is then not judged by what happened at three of them.
        phase: of the sales.
    """
    for place in range(len(panel.assets)):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], panel.present[:, place].astype(np.int64), [0]))))
        parts = [
            _sold(panel, place, int(first), int(end), life_h, every_h, phase, from_ms, to_ms)
            for first, end in edges.reshape(-1, 2)
            if end - first >= LEAST_HOURS + life_h
        ]
        parts = [part for part in parts if part.paths]
        if parts:
            yield joined(parts)


def of_bars(
    opens: Floats, highs: Floats, lows: Floats, closes: Floats, rows: Ints, life_h: int, known_ms: Ints, asset: str
) -> Episodes:
    """Sales at the closes of some hours of a stretch without gaps.

    Args:
        rows: (paths,), `LEAST_HOURS` - 1 or later and `life_h` before the end or earlier.
        known_ms: (hours,) of the closes.
    """
    state = state_of(opens, highs, lows, closes)
    hours = rows[None, :] + np.arange(life_h)[:, None]
    levels = state.levels[hours]
    left = np.arange(life_h, 0, -1, dtype=np.float64)[:, None]
    spot = closes[rows[None, :] + np.arange(life_h + 1)[:, None]] / closes[rows]
    return Episodes(
        spot, levels, state.gaps[hours], forecast_vol(levels, left), known_ms[rows], np.full(len(rows), asset)
    )


def joined(parts: list[Episodes]) -> Episodes:
    """All of one life."""
    return Episodes(
        spot=np.concatenate([part.spot for part in parts], axis=1),
        levels=np.concatenate([part.levels for part in parts], axis=1),
        gaps=np.concatenate([part.gaps for part in parts], axis=1),
        vol=np.concatenate([part.vol for part in parts], axis=1),
        sold_ms=np.concatenate([part.sold_ms for part in parts]),
        assets=np.concatenate([part.assets for part in parts]),
    )


def unhedged(sold: Episodes, kind: Kind) -> Floats:
    """(paths,) payoff less the premium that the forecast volatility makes at the sale."""
    last, strike = sold.spot[-1], kind.strike
    total = total_vol(sold.vol[0], np.array(float(sold.life_h)))
    d1 = standard_moneyness(np.array(-np.log(strike)), total)
    premium = ndtr(d1) - strike * ndtr(d1 - total)
    if kind.is_call:
        return np.asarray(np.maximum(last - strike, 0.0) - premium)
    return np.asarray(np.maximum(strike - last, 0.0) - (premium - (1.0 - strike)))


def hedged(sold: Episodes, kind: Kind, calls: Floats) -> tuple[Floats, Floats]:
    """(loss without costs, what was traded), both (paths,), shares of the spot at the sale.

    Args:
        calls: (life, paths) holdings for the call of that strike; the put's are one less. They are bought at the
            sale, rebalanced at the close of each hour and sold at expiry: each of these trades counts.
    """
    holdings = calls if kind.is_call else calls - 1.0
    gained = np.einsum("tp,tp->p", holdings, np.diff(sold.spot, axis=0))
    traded = np.abs(holdings[0]) * sold.spot[0] + np.abs(holdings[-1]) * sold.spot[-1]
    traded = traded + np.einsum("tp,tp->p", np.abs(np.diff(holdings, axis=0)), sold.spot[1:-1])
    return unhedged(sold, kind) - gained, traded


def cvar(losses: Floats, weights: Floats | None = None, tail: float = TAIL) -> float:
    """Mean of the worst `tail` of outcomes (Rockafellar and Uryasev 2000, J. Risk 2), the last of them in part.

    Args:
        losses: (n,).
        weights: how often each counts.
    """
    order = np.argsort(-losses, kind="stable")
    weight = np.ones(len(losses)) if weights is None else weights
    return cvar_sorted(losses[order], weight[order], tail)


def cvar_sorted(losses: Floats, weights: Floats, tail: float = TAIL) -> float:
    """`cvar` of losses that descend."""
    reach = np.cumsum(weights)
    if not reach[-1] > 0:
        return float("nan")
    wanted = tail * reach[-1]
    taken = np.clip(wanted - (reach - weights), 0.0, weights)
    return float(taken @ losses / wanted)


def _sold(
    panel: Panel, place: int, first: int, end: int, life_h: int, every_h: int, phase: int, from_ms: int, to_ms: int
) -> Episodes:
    rows = np.arange(first + LEAST_HOURS - 1, end - life_h)
    known = panel.known_ms[rows]
    fits = (known // HOUR_MS % every_h == phase % every_h) & (known >= from_ms) & (known + life_h * HOUR_MS <= to_ms)
    stretch = slice(first, end)
    opens, highs, lows, closes = (getattr(panel, name)[stretch, place] for name in ("open", "high", "low", "close"))
    known_ms, sales = panel.known_ms[stretch], rows[fits] - first
    return of_bars(opens, highs, lows, closes, sales, life_h, known_ms, panel.assets[place])
