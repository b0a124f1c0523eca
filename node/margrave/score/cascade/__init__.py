"""Liquidation cascades: how likely forced sales are to feed on themselves, and how far they would push the price."""

from margrave.score.cascade.message import Cascade

__all__ = ["Cascade"]
