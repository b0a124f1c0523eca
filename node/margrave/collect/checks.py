"""Strict reading of what venues send: each function gives the value in our unit or raises `Rejected` with the number.

Venues send numbers as strings, nulls for absence, and new fields at any time; all of that is taken. What is never taken
is a value that would pass for another: NaN, zero or negative prices, sizes no market has, seconds for milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from margrave.errors import Rejected
from margrave.verdicts import Rejection

MAX_PRICE_USD: Final = 1e9
MAX_SIZE: Final = 1e13
"""Coins or dollars: more than any market holds."""
MAX_FUNDING_8H: Final = 0.5
MAX_DIGITS: Final = 24
EXACT_FLOATS: Final = 2.0**53
EARLIEST_MS: Final = 1_230_768_000_000  # 2009-01-01: no market is older
LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01


def mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not an object")
    return value


def sequence(value: object, what: str, *, least: int = 0) -> Sequence[object]:
    if not isinstance(value, list):
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not a list")
    if len(value) < least:
        reason = Rejection.EMPTY if not value else Rejection.MALFORMED
        raise Rejected(reason, f"{what} has {len(value)} entries, {least} are needed")
    return value


def text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not text")
    return value


def absent(value: object) -> bool:
    """Null, or the empty string that OKX and Bybit send for it."""
    return value is None or value == ""


def number(value: object, what: str) -> float:
    """A finite float from a JSON number or a decimal string."""
    if type(value) is float and math.isfinite(value):
        return value  # nearly every figure of a chain of a thousand options
    if isinstance(value, bool) or not isinstance(value, int | float | str) or (isinstance(value, str) and "_" in value):
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not a number")
    try:
        parsed = float(value)
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not a number") from None
    except OverflowError:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{what} is an integer too large for any market") from None
    if not math.isfinite(parsed):
        raise Rejected(Rejection.NOT_FINITE, f"{what} is {parsed}")
    return parsed


def whole(value: object, what: str) -> int:
    """A signed 64-bit integer from a JSON integer or its decimal string, exactly: numbers of messages exceed what
    floats hold, so of floats only those that count are taken."""
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= MAX_DIGITS:
        value = int(value)
    if type(value) is not int:
        parsed = number(value, what)
        if not parsed.is_integer() or abs(parsed) > EXACT_FLOATS:
            raise Rejected(Rejection.MALFORMED, f"{what} = {parsed:g} is not a whole number")
        value = int(parsed)
    if abs(value) >= 2**63:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{what} is beyond 64 bits")
    return value


def within(value: object, what: str, low: float, high: float) -> float:
    """A number in [low, high]."""
    parsed = number(value, what)
    if not low <= parsed <= high:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{what} = {parsed:g} is outside [{low:g}, {high:g}]")
    return parsed


def price(value: object, what: str) -> float:
    """A price in US dollars: above zero and below what anything costs."""
    parsed = number(value, what)
    if parsed <= 0:
        raise Rejected(Rejection.NOT_POSITIVE, f"{what} = {parsed:g}")
    if parsed > MAX_PRICE_USD:
        raise Rejected(Rejection.OUT_OF_RANGE, f"{what} = {parsed:g} is above {MAX_PRICE_USD:g} USD")
    return parsed


def optional_price(value: object, what: str) -> float | None:
    """A price where the venue states one; zero means that it states none."""
    return None if absent(value) or number(value, what) == 0 else price(value, what)


def size(value: object, what: str) -> float:
    """A size or volume, zero allowed."""
    return within(value, what, 0.0, MAX_SIZE)


def time_ms(value: object, what: str) -> int:
    """Unix milliseconds from an integer, a decimal string or an ISO date.

    Raises:
        Rejected: `OUT_OF_RANGE` outside 2009 to 2100, which is where seconds and microseconds end up.
    """
    if isinstance(value, str) and "T" in value:
        return _iso_ms(value, what)
    parsed = number(value, what)
    if EARLIEST_MS <= parsed <= LATEST_MS:
        return int(parsed)
    guess = next((unit for unit, scale in _UNITS.items() if EARLIEST_MS <= parsed * scale <= LATEST_MS), "no unit")
    raise Rejected(Rejection.OUT_OF_RANGE, f"{what} = {parsed:.0f} is not milliseconds since 1970 (fits {guess})")


_UNITS: Final = {"seconds": 1e3, "microseconds": 1e-3, "nanoseconds": 1e-6}


def seconds_as_ms(value: object, what: str) -> int:
    """Unix milliseconds from seconds, where a venue documents seconds."""
    return time_ms(number(value, what) * 1000.0, what)


_BUYS: Final = frozenset({"buy", "bid", "b"})
_SELLS: Final = frozenset({"sell", "ask", "offer", "s", "a"})


def is_buy(value: object, what: str) -> bool:
    """Which side, in any venue's word for it: "Buy", "BUY", "bid", "b" against "Sell", "offer", "s", "A"."""
    word = text(value, what).lower()
    if word not in _BUYS and word not in _SELLS:
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, neither a buy nor a sale")
    return word in _BUYS


def same_instrument(found: object, asked: str, what: str) -> None:
    """Refuse an answer that names another instrument; one that names none is taken at its word."""
    if absent(found) or not asked:
        return
    if text(found, what) != asked:
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"asked for {asked}, {what} is {_shown(found)}")


def to_come(expiry_ms: int, as_of_ms: int, name: str) -> None:
    """Refuse an option that has expired: an answer that still lists it is old."""
    if expiry_ms <= as_of_ms:
        raise Rejected(Rejection.STALE, f"{name} has expired")


def uncrossed(bid: float | None, ask: float | None, what: str) -> None:
    """Refuse a bid above its ask, in whatever both are quoted."""
    if bid is not None and ask is not None and bid > ask:
        raise Rejected(Rejection.CROSSED_BOOK, f"{what}: bid {bid:g} above ask {ask:g}")


def _iso_ms(value: str, what: str) -> int:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{what} is {_shown(value)}, not a date") from None
    if moment.tzinfo is None:
        raise Rejected(Rejection.MALFORMED, f"{what} = {value[:40]} does not say its time zone")
    return time_ms(int(moment.timestamp() * 1000), what)


def _shown(value: object) -> str:
    """A value for a log line: whole if short, its kind if not."""
    if isinstance(value, dict | list):
        return f"{type(value).__name__} of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
