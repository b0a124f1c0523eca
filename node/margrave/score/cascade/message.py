"""What is said of a market's liquidation cascade, whoever says it: the formula of `score.addons` or a learnt model."""

from __future__ import annotations

import msgspec


class Cascade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A liquidation cascade: how likely it is, and how far it would push the price (share of it)."""

    probability: float
    """Of one within 24 hours: the lane `cascade_probability`."""
    probability_1h: float
    """Of one within the next hour; never above `probability`."""
    size: float
    """Share of the price that forced sales would take beyond the move that begins them, below one."""
    buffer: float
    """The relative move of the index that eats the protocol's collateral down to its maintenance margin."""
    masked: tuple[str, ...] = ()
    """Inputs that nobody supplied: the answer is the conservative one without them."""
    learned: bool = False
    """A model of the registry spoke; without it, the formula."""
