"""Hedging of options that were sold: how much of the underlying to hold, and how far off it may be before one acts.

`market` is what hourly bars say (one definition for training, court and node), `bands` the question and the classical
answers, `served` the registry's policy. See docs/hedging.md.
"""

from margrave.score.hedge.bands import Contracts, Hedges, Remark, black_scholes, clock, held, whalley_wilmott
from margrave.score.hedge.market import MarketState, forecast_vol, state_of, state_of_bars, unknown
from margrave.score.hedge.served import Hedger

__all__ = [
    "Contracts",
    "Hedger",
    "Hedges",
    "MarketState",
    "Remark",
    "black_scholes",
    "clock",
    "forecast_vol",
    "held",
    "state_of",
    "state_of_bars",
    "unknown",
    "whalley_wilmott",
]
