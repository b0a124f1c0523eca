"""The greeks chamber: options held from chain to chain, several deltas, and the variance that each leaves."""

from __future__ import annotations

from margrave.lab.court.greeks.chamber import GreeksChamber

__all__ = ["GreeksChamber"]
