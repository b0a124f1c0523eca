"""What is said of one market's contagion, whoever says it: the formula of `score.addons` or a learnt model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from margrave.messages import HurtPath, Ladder, MarketSnapshot

__all__ = ["Contagion", "HurtPath", "World"]


class Contagion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stress elsewhere adds to this market's loss, and where it comes from."""

    addon: float
    """Share of the index over the margin period: the lane `contagion`."""
    rank: float | None = None
    """How much of all others' losses this market's distress would be, in [0, 1]; `None` where nobody can say."""
    paths: tuple[HurtPath, ...] = ()
    """Who hurts whom, the largest loss first."""
    masked: tuple[str, ...] = ()
    """Inputs that nobody supplied: the answer is the conservative one without them."""
    learned: bool = False
    """A model of the registry spoke; without it, the formula."""


class World(NamedTuple):
    """A round, or one that might have been: what contagion follows from."""

    markets: Sequence[MarketSnapshot]
    ladders: Mapping[str, Ladder]
    formula: Mapping[str, Contagion]
    """What the formula says of each market with a ladder."""
