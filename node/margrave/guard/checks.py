"""What is wrong with one reading, looked at alone: its clock, its range, its book."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from margrave.messages import AnyReading, BarsReading, BookReading, ChainReading, Kind, OptionQuote, ScalarReading
from margrave.settings import GuardPolicy
from margrave.verdicts import Rejection

HOUR_S: Final = 3_600.0

RANGES: Final[Mapping[Kind, tuple[float, float]]] = {
    Kind.INDEX_PRICE: (1e-8, 1e10),
    Kind.MARK_PRICE: (1e-8, 1e10),
    Kind.FUNDING_8H: (-0.1, 0.1),
    Kind.OPEN_INTEREST: (0.0, 1e13),
    Kind.VOL_INDEX: (0.01, 10.0),
    Kind.COLLATERAL_RATIO: (0.0, 1e6),
    Kind.BASE_FEE: (0.0, 1e15),
}
"""Wider than anything seen, narrower than a wrong unit: a volatility of 62 is percent points sent as a fraction."""

SLOW_S: Final[Mapping[Kind, float]] = {
    Kind.FUNDING_8H: 9 * HOUR_S,  # a rate stands for its whole interval
    Kind.OPEN_INTEREST: 2 * HOUR_S,
    Kind.VOL_INDEX: 2 * HOUR_S,  # served as hourly candles
}
"""Kinds that venues themselves renew slowly, with the age at which each is stale; the others obey the policy."""

IV_RANGE: Final = (0.01, 10.0)
FORWARD_BAND: Final = 0.5
"""An option's forward further than this from the agreed price (relative) is not that underlying's."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """The reason for a refusal and the numbers behind it."""

    reason: Rejection
    detail: str


def flaw(reading: AnyReading, now_ms: int, policy: GuardPolicy) -> Flaw | None:
    """The first thing wrong with `reading`, or `None`."""
    return _clock_flaw(reading, now_ms, policy) or _value_flaw(reading, policy)


def age_s(reading: AnyReading, now_ms: int) -> float:
    """Seconds since the venue says it happened; zero for a stamp within the allowed future."""
    return max(0.0, (now_ms - reading.venue_time_ms) / 1_000)


def max_age_s(reading: AnyReading, policy: GuardPolicy) -> float:
    match reading:
        case ChainReading():
            return policy.max_chain_age_s
        case BarsReading():
            return math.inf  # history does not age: `bars` asks how far its last closed hour lies back
        case ScalarReading(kind=Kind.COLLATERAL_RATIO):
            return policy.max_chain_age_s
        case ScalarReading(kind=kind):
            return SLOW_S.get(kind, policy.max_age_s)
        case _:
            return policy.max_age_s


def _clock_flaw(reading: AnyReading, now_ms: int, policy: GuardPolicy) -> Flaw | None:
    ahead_s = (reading.venue_time_ms - now_ms) / 1_000
    if ahead_s > policy.max_future_s:
        return Flaw(Rejection.FUTURE, f"stamped {ahead_s:.1f} s ahead, {policy.max_future_s:g} s allowed")
    limit_s = max_age_s(reading, policy)
    if -ahead_s > limit_s:
        return Flaw(Rejection.STALE, f"{-ahead_s:.0f} s old, {limit_s:g} s allowed")
    return None


def _value_flaw(reading: AnyReading, policy: GuardPolicy) -> Flaw | None:
    match reading:
        case ScalarReading():
            return _scalar_flaw(reading)
        case BookReading():
            return _book_flaw(reading, policy)
        case BarsReading():
            return None if reading.bars else Flaw(Rejection.EMPTY, "no bars")
        case ChainReading():
            return None if reading.quotes else Flaw(Rejection.EMPTY, "no quotes")


def _scalar_flaw(reading: ScalarReading) -> Flaw | None:
    if not math.isfinite(reading.value):
        return Flaw(Rejection.NOT_FINITE, f"{reading.kind} is {reading.value}")
    low, high = RANGES[reading.kind]
    if not low <= reading.value <= high:
        return Flaw(Rejection.OUT_OF_RANGE, f"{reading.kind} {reading.value:g} is outside {low:g} to {high:g}")
    return None


def _book_flaw(book: BookReading, policy: GuardPolicy) -> Flaw | None:
    if not all(map(math.isfinite, (book.bid, book.ask, book.bid_depth_usd, book.ask_depth_usd))):
        return Flaw(Rejection.NOT_FINITE, f"bid {book.bid}, ask {book.ask}")
    low, high = RANGES[Kind.INDEX_PRICE]
    if min(book.bid, book.ask) <= 0:
        return Flaw(Rejection.NOT_POSITIVE, f"bid {book.bid:g}, ask {book.ask:g}")
    if book.bid > book.ask:
        return Flaw(Rejection.CROSSED_BOOK, f"bid {book.bid:g} above ask {book.ask:g}")
    if book.bid < low or book.ask > high:
        return Flaw(Rejection.OUT_OF_RANGE, f"bid {book.bid:g}, ask {book.ask:g} outside {low:g} to {high:g}")
    spread = (book.ask - book.bid) / mid(book)
    if spread > policy.max_spread:
        return Flaw(Rejection.WIDE_SPREAD, f"spread {spread:.2%}, {policy.max_spread:.2%} allowed")
    if depth_usd(book) < policy.min_depth_usd:
        return Flaw(Rejection.THIN_BOOK, f"depth {depth_usd(book):,.0f} USD, {policy.min_depth_usd:,.0f} needed")
    return None


def mid(book: BookReading) -> float:
    return (book.bid + book.ask) / 2


def depth_usd(book: BookReading) -> float:
    """The thinner side: what is left when everybody wants out the same way."""
    return min(book.bid_depth_usd, book.ask_depth_usd)


def sound_quotes(
    quotes: Sequence[OptionQuote], now_ms: int, price_usd: float
) -> tuple[tuple[OptionQuote, ...], Mapping[Rejection, int]]:
    """The quotes that can be believed one by one, ascending by expiry, strike, type; and the others counted by reason.

    A quote whose bid and ask are unusable but whose mark is sound keeps the mark.
    """
    kept: dict[tuple[int, float, bool], OptionQuote] = {}
    dropped: dict[Rejection, int] = {}
    for quote in quotes:
        if (reason := _quote_flaw(quote, now_ms, price_usd)) is None:
            kept.setdefault((quote.expiry_ms, quote.strike, quote.is_call), quote)
        else:
            dropped[reason] = dropped.get(reason, 0) + 1
    return tuple(kept[key] for key in sorted(kept)), dropped


def _quote_flaw(quote: OptionQuote, now_ms: int, price_usd: float) -> Rejection | None:
    numbers = (quote.strike, quote.forward, quote.bid or 0.0, quote.ask or 0.0, quote.mark_iv or 0.0)
    if not all(map(math.isfinite, numbers)):
        return Rejection.NOT_FINITE
    if quote.expiry_ms <= now_ms:
        return Rejection.STALE
    if quote.strike <= 0 or quote.forward <= 0:
        return Rejection.NOT_POSITIVE
    if abs(quote.forward / price_usd - 1) > FORWARD_BAND:
        return Rejection.OUT_OF_RANGE
    if quote.bid is not None and quote.ask is not None and quote.bid > quote.ask:
        return Rejection.CROSSED_BOOK
    if min(quote.bid or 0.0, quote.ask or 0.0) < 0:
        return Rejection.NOT_POSITIVE
    if quote.mark_iv is not None and not IV_RANGE[0] <= quote.mark_iv <= IV_RANGE[1]:
        return Rejection.OUT_OF_RANGE
    return None
