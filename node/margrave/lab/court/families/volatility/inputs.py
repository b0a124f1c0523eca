"""The pooled families' inputs of a panel, computed once: what they are, `score.features.volatility` says."""

from __future__ import annotations

import weakref

from margrave.lab.court.panel import Panel
from margrave.score.features import volatility
from margrave.score.features.volatility import GROUPS, NAMES, Inputs, Market

__all__ = ["GROUPS", "NAMES", "Inputs", "Market", "inputs_of"]

_last: dict[Market, tuple[weakref.ref[Panel], Inputs]] = {}


def inputs_of(panel: Panel, market: Market = Market.EITHER) -> Inputs:
    """The inputs of a panel; those of the last panel asked about are kept, because every horizon asks."""
    if market in _last and _last[market][0]() is panel:
        return _last[market][1]
    found = volatility.inputs_of(panel, market=market)
    _last[market] = weakref.ref(panel), found
    return found
