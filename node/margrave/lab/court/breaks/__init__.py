"""Breaks, planted and real: does the ladder still cover, and do the detectors say so."""

from margrave.lab.court.breaks.chamber import Breaks

__all__ = ["Breaks"]
