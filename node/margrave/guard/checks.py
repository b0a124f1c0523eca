"""What is wrong with one reading, looked at alone: its clock, its range, its book."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

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
    Kind.LONG_SHORT_RATIO: (1e-3, 1e3),
    Kind.SPOT_TWAP: (1e-8, 1e10),
    Kind.ORACLE_PRICE: (1e-8, 1e10),
    Kind.REDEMPTION_VALUE: (1e-8, 1e10),
    Kind.PEG: (1e-3, 1e3),
    Kind.SUPPLY_CHANGE_24H: (-1.0, 10.0),
    Kind.TRANSFER_VELOCITY: (0.0, 1e3),
    Kind.HEALTH_AT_RISK: (0.0, 1.0),
    Kind.FEAR_GREED: (0.0, 100.0),
    Kind.FUNDING_POSITIONING: (-100.0, 100.0),
    Kind.NEWS_TONE: (-1.0, 1.0),
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
        case _:
            return None


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

    Of two quotes for one option the first stands. A quote is judged for the first thing wrong with it.
    """
    expiry = np.array([q.expiry_ms for q in quotes], dtype=np.int64)
    strike = np.array([q.strike for q in quotes])
    is_call = np.array([q.is_call for q in quotes])
    forward = np.array([q.forward for q in quotes])
    bid, ask, iv = (
        np.array([0.0 if x is None else x for x in column])
        for column in ([q.bid for q in quotes], [q.ask for q in quotes], [q.mark_iv for q in quotes])
    )
    unquoted_iv = np.array([q.mark_iv is None for q in quotes])
    one_sided = np.array([q.bid is None or q.ask is None for q in quotes])
    with np.errstate(invalid="ignore"):
        wrong = {
            Rejection.NOT_FINITE: ~np.isfinite([strike, forward, bid, ask, iv]).all(axis=0),
            Rejection.STALE: expiry <= now_ms,
            Rejection.NOT_POSITIVE: (strike <= 0) | (forward <= 0) | (bid < 0) | (ask < 0),
            Rejection.OUT_OF_RANGE: (np.abs(forward / price_usd - 1) > FORWARD_BAND)
            | (~unquoted_iv & ((iv < IV_RANGE[0]) | (iv > IV_RANGE[1]))),
            Rejection.CROSSED_BOOK: ~one_sided & (bid > ask),
        }
    sound = np.ones(len(quotes), dtype=np.bool_)
    dropped: dict[Rejection, int] = {}
    for reason, flawed in wrong.items():
        if count := int((sound & flawed).sum()):
            dropped[reason] = count
        sound &= ~flawed
    order = np.lexsort((is_call, strike, expiry))
    order = order[sound[order]]
    repeats = np.zeros(len(order), dtype=np.bool_)
    if len(order):
        key = np.column_stack([expiry[order], strike[order], is_call[order]])
        repeats[1:] = (key[1:] == key[:-1]).all(axis=1)
    return tuple(quotes[i] for i in order[~repeats].tolist()), dropped
