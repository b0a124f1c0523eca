"""Spans of time in the units that names carry: every stage measures by the same ones."""

from __future__ import annotations

from typing import Final

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S

DAY_H: Final = 24
WEEK_H: Final = 7 * DAY_H

YEAR_DAYS: Final = 365
"""Of volatility, funding and rates: markets that never close count every day, and no leap day."""
YEAR_H: Final = YEAR_DAYS * DAY_H
YEAR_MS: Final = YEAR_DAYS * DAY_MS
YEAR_S: Final = YEAR_DAYS * DAY_S
JULIAN_YEAR_H: Final = 8_766
"""Of the calendar, with its leap days: what years of history are counted in."""
