"""The registry's hedging policy, asked in batches: bounds of what to hold, and what to do with what is held."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from margrave.errors import Fatal
from margrave.score.hedge.bands import (
    Contracts,
    Hedges,
    Remark,
    black_scholes,
    standard_moneyness,
    total_vol,
    whalley_wilmott,
)
from margrave.score.hedge.market import GAPS_H, LEVELS_H, MarketState
from margrave.score.registry import Model
from margrave.spans import YEAR_H

Floats = NDArray[np.float64]

FAMILY: Final = "hedge"
AGAINST_USUAL: Final = ("level_6h", "level_24h", "level_usual")
COLUMNS: Final = (
    "log_moneyness", "hours_left", "vol", "cost", *AGAINST_USUAL, *(f"gap_{age:g}h" for age in GAPS_H),
)  # fmt: skip
"""What the policy is asked with, in order; see `columns`."""
MOST_COST: Final = 0.005
"""A trade's share: 50 bp. Trained at 5 and 20; the band is a cube root in between and beyond."""
VOLS: Final = (0.05, 5.0)
MOST_HOURS: Final = 720.0
FAR_SD: Final = 4.0
UNKNOWN_WIDER: Final = 1.5
"""Times as wide is the band of a market of whose past nothing is known."""
AVERSION: Final = 100.0
"""Of the band that stands in where there is no policy: narrow ones had the smaller tails in every period."""


class Hedger:
    """Asks `hedge/1`; without a model, Black and Scholes inside the band of Whalley and Wilmott."""

    def __init__(self, model: Model | None) -> None:
        """
        Raises:
            Fatal: the model is made for other columns than this node computes.
        """
        if model is not None and model.card.columns != COLUMNS:
            raise Fatal(
                f"{model.name} is made for other columns than this node computes",
                advice="install the release that its card names, or choose another model",
            )
        self.model = model

    def hedges(self, contracts: Contracts, state: MarketState) -> Hedges:
        """What to hold for each option.

        Args:
            state: (n, ...), of the contract's market at its hour; NaN where it is not known.
        """
        remarks = _remarks(contracts, state)
        found = columns(
            np.log(contracts.spot / contracts.strike), contracts.hours_left, contracts.vol, contracts.cost, state
        )
        lower, upper = self.bounds(found)
        slack = np.where(_known(state), 0.0, 0.5 * (UNKNOWN_WIDER - 1.0) * (upper - lower))
        lower, upper = np.maximum(lower - slack, 0.0), np.minimum(upper + slack, 1.0)
        put = np.where(contracts.is_call, 0.0, 1.0)
        lower, upper = lower - put, upper - put
        now = np.where(np.isnan(contracts.held), 0.5 * (lower + upper), contracts.held)
        return Hedges(lower, upper, np.clip(now, lower, upper), remarks, learned=self.model is not None)

    def bounds(self, found: Floats) -> tuple[Floats, Floats]:
        """Edges of the call's band, in [0, 1].

        Args:
            found: (n, COLUMNS), of `columns`.
        """
        if not len(found):
            return np.empty(0), np.empty(0)
        if self.model is not None:
            out = self.model.run({"columns": np.ascontiguousarray(found, dtype=np.float32)})
            return out["lower"], out["upper"]
        log_moneyness, hours_left, vol, cost = found[:, :4].T
        total = total_vol(vol, hours_left)
        delta = black_scholes(log_moneyness, total)
        wide = whalley_wilmott(log_moneyness, total, cost, AVERSION)
        return np.maximum(delta - wide, 0.0), np.minimum(delta + wide, 1.0)


def columns(log_moneyness: Floats, hours_left: Floats, vol: Floats, cost: Floats, state: MarketState) -> Floats:
    """Shape (n, COLUMNS) from columns (n,) or one for all: what is asked, within what was trained on.

    `level_6h` and `level_24h` are half the log variance of those ages over the contract's own, `level_usual` the
    contract's over the market's usual one. What is not known of a market is as on a usual day: zero.
    """
    hours = np.clip(hours_left, 1.0, MOST_HOURS)
    clamped = np.clip(vol, *VOLS)
    own = np.log(clamped * clamped / YEAR_H)
    usual = state.levels[:, len(LEVELS_H) - 1]
    against = [0.5 * (state.levels[:, 0] - own), 0.5 * (state.levels[:, 1] - own), 0.5 * (own - usual)]
    rest = [log_moneyness, hours, clamped, np.minimum(cost, MOST_COST)]
    stacked = np.stack(np.broadcast_arrays(*rest, *against, *state.gaps.T), axis=1)
    return np.asarray(np.nan_to_num(stacked), dtype=np.float64)


def _remarks(contracts: Contracts, state: MarketState) -> tuple[tuple[Remark, ...], ...]:
    total = total_vol(contracts.vol, contracts.hours_left)
    far = np.abs(standard_moneyness(np.log(contracts.spot / contracts.strike), total)) > FAR_SD
    said: dict[Remark, NDArray[np.bool_]] = {
        Remark.NO_HISTORY: ~_known(state),
        Remark.COST_CLAMPED: contracts.cost > MOST_COST,
        Remark.VOL_CLAMPED: (contracts.vol < VOLS[0]) | (contracts.vol > VOLS[1]),
        Remark.LIFE_CLAMPED: contracts.hours_left > MOST_HOURS,
        Remark.FAR_FROM_STRIKE: far,
    }
    return tuple(tuple(remark for remark, which in said.items() if which[row]) for row in range(len(contracts)))


def _known(state: MarketState) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(np.concatenate((state.levels, state.gaps), axis=1)).all(axis=1))
