"""How figures are written, in the terminal, on the page and in the pictures: one way each."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from margrave.spans import DAY_S, HOUR_S

ABSENT = "–"


def usd(value: float | None) -> str:
    """`$78,112`; cents below a hundred dollars, where they matter."""
    if value is None or math.isnan(value):
        return ABSENT
    places = 0 if abs(value) >= 100 else 2
    return f"{'−' if value < 0 else ''}${abs(value):,.{places}f}"


def short_usd(value: float) -> str:
    """`$1.2M`, `$340k`, `$12`: where the order of magnitude is what matters."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"${value / size:.3g}{letter}"
    return f"${value:.0f}"


def percent(value: float | None, places: int = 1) -> str:
    """A fraction as `6.2%`."""
    return ABSENT if value is None or math.isnan(value) else f"{value * 100:.{places}f}%".replace("-", "−")


def signed_percent(value: float | None, places: int = 1) -> str:
    """A fraction as `+6.2%` or `−6.2%`."""
    return ABSENT if value is None or math.isnan(value) else f"{value * 100:+.{places}f}%".replace("-", "−")


def volatility(value: float | None) -> str:
    """A volatility as `62%`. Zero is no volatility but one that nobody told."""
    return percent(value or None, 0)


def count(value: float | None) -> str:
    """`8,112`."""
    return ABSENT if value is None or math.isnan(value) else f"{value:,.0f}".replace("-", "−")


def seconds(value: float | None) -> str:
    return ABSENT if value is None or math.isnan(value) else f"{value:.1f} s"


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 round`, `12 rounds`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listing(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def duration(span_s: float) -> str:
    """`4 h`, `90 min`, `3 days`: the largest unit that keeps it exact enough to say aloud."""
    if span_s < 120:
        return f"{span_s:.0f} s"
    if span_s < 2 * HOUR_S and span_s % HOUR_S:
        return f"{span_s / 60:.0f} min"
    if span_s < 48 * HOUR_S:
        return f"{span_s / HOUR_S:.3g} h"
    return f"{span_s / DAY_S:.2g} days"


def instant(time_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=time_ms)


def moment(time_ms: int) -> str:
    """`Thu 5 Feb 2026, 14:05 UTC`."""
    at = instant(time_ms)
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M} UTC"


def short_moment(time_ms: int) -> str:
    """`5 Feb 14:05`."""
    at = instant(time_ms)
    return f"{at.day} {at:%b %H:%M}"


def abbreviated(identifier: str, head: int = 10, tail: int = 6) -> str:
    """A hash or address shortened in its middle; a name stays whole."""
    if not identifier.startswith("0x") or len(identifier) <= head + tail + 1:
        return identifier
    return f"{identifier[:head]}…{identifier[-tail:]}"
