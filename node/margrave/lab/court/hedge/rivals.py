"""What a policy has to beat: nothing at all, the clock, a band as wide everywhere, and Whalley and Wilmott's.

All of them hold Black and Scholes' delta, once with the volatility forecast at the sale and once with that of the
hour; which of them is best is found afterwards, on what is judged, so that ours meets the strongest of each sort.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.lab.court.hedge.episodes import Episodes, Kind, hedged, unhedged
from margrave.score.hedge.bands import black_scholes, clock, held, total_vol, whalley_wilmott
from margrave.score.hedge.served import Hedger, columns

Floats = NDArray[np.float64]

COSTS: Final = (0.0005, 0.0020)
CLOCKS_H: Final = (1, 2, 4, 8, 24)
AVERSIONS: Final = (1.0, 5.0, 20.0, 100.0, 500.0)
WIDTHS: Final = (0.02, 0.05, 0.10)
OURS: Final = "policy"
UNHEDGED: Final = "unhedged"
CLOCK: Final = "clock"
BAND: Final = "band"
WW: Final = "Whalley-Wilmott"
UNIT_COST: Final = 0.001
BATCH: Final = 200_000
"""Rows that the policy is asked at once."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to hedge; `sort` is what it competes as."""

    sort: str
    setting: str = ""

    @property
    def name(self) -> str:
        return f"{self.sort} {self.setting}".strip()


def losses(sold: Episodes, kind: Kind, hedger: Hedger) -> Mapping[tuple[Rule, float], Floats]:
    """(paths,) of every rule at every cost, shares of the spot at the sale; without costs where nothing is traded."""
    open_loss = unhedged(sold, kind)
    found: dict[tuple[Rule, float], Floats] = {(Rule(UNHEDGED), cost): open_loss for cost in COSTS}
    for cost in COSTS:
        lower, upper = bounds(sold, kind, hedger, cost)
        found[Rule(OURS), cost] = _net(sold, kind, held(lower, upper), cost)
    for rule, costs, calls in _rivals(sold, kind):
        loss, traded = hedged(sold, kind, calls)
        found |= {(rule, cost): loss + cost * traded for cost in costs}
    return found


def bounds(sold: Episodes, kind: Kind, hedger: Hedger, cost: float) -> tuple[Floats, Floats]:
    """(life, paths) each: the policy's, hour by hour."""
    log_moneyness = sold.log_moneyness(kind.strike)
    hours = np.broadcast_to(sold.hours_left, log_moneyness.shape).ravel()
    asked = columns(log_moneyness.ravel(), hours, sold.vol.ravel(), np.array(cost), sold.flat_state)
    parts = [hedger.bounds(asked[row : row + BATCH]) for row in range(0, len(asked), BATCH)]
    lower, upper = (np.concatenate(side).reshape(log_moneyness.shape) for side in zip(*parts, strict=True))
    return lower, upper


def _rivals(sold: Episodes, kind: Kind) -> Iterator[tuple[Rule, tuple[float, ...], Floats]]:
    """(rule, the costs that it holds this at, holdings (life, paths))."""
    log_moneyness = sold.log_moneyness(kind.strike)
    for word, vol in (("vol at sale", sold.vol[:1]), ("vol of the hour", sold.vol)):
        total = total_vol(np.broadcast_to(vol, log_moneyness.shape), sold.hours_left)
        delta = black_scholes(log_moneyness, total)
        for every in CLOCKS_H:
            yield Rule(CLOCK, f"{every} h, {word}"), COSTS, clock(delta, every)
        for width in WIDTHS:
            yield Rule(BAND, f"{width:g}, {word}"), COSTS, _within(delta, np.array(width))
        one = whalley_wilmott(log_moneyness, total, UNIT_COST, 1.0, most=np.inf)
        for cost in COSTS:
            for aversion in AVERSIONS:
                wide = np.minimum(one * np.cbrt(cost / UNIT_COST / aversion), 1.0)
                yield Rule(WW, f"a = {aversion:g}, {word}"), (cost,), _within(delta, wide)


def _within(delta: Floats, half: Floats) -> Floats:
    return held(np.maximum(delta - half, 0.0), np.minimum(delta + half, 1.0))


def _net(sold: Episodes, kind: Kind, calls: Floats, cost: float) -> Floats:
    loss, traded = hedged(sold, kind, calls)
    return np.asarray(loss + cost * traded)
