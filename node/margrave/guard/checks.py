"""What is wrong with one reading, looked at alone: its clock, its range, its book."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from margrave.messages import (
    AnyReading,
    BarsReading,
    BookReading,
    ChainReading,
    DepthBand,
    HealthReading,
    Kind,
    LiquidationsReading,
    NoticeReading,
    OptionQuote,
    PoolReading,
    ScalarReading,
    TradesReading,
)
from margrave.settings import GuardPolicy
from margrave.spans import HOUR_S
from margrave.verdicts import Rejection

MOST_USD: Final = 1e13
"""More than all there is to trade: a size of 10^30 is a wrong unit."""
RANGES: Final[Mapping[Kind, tuple[float, float]]] = {
    Kind.INDEX_PRICE: (1e-8, 1e10),
    Kind.MARK_PRICE: (1e-8, 1e10),
    Kind.FUNDING_8H: (-0.1, 0.1),
    Kind.OPEN_INTEREST: (0.0, 1e13),
    Kind.VOL_INDEX: (0.01, 10.0),
    Kind.COLLATERAL_RATIO: (0.0, 1e6),
    Kind.BASE_FEE: (0.0, 1e15),
    Kind.LONG_SHORT_RATIO: (1e-3, 1e3),
    Kind.TOP_LONG_SHORT_RATIO: (1e-3, 1e3),
    Kind.TAKER_RATIO: (1e-3, 1e3),
    Kind.OPTION_OPEN_INTEREST: (0.0, 1e13),
    Kind.DELIVERY_PRICE: (1e-8, 1e10),
    Kind.SPOT_TWAP: (1e-8, 1e10),
    Kind.ORACLE_PRICE: (1e-8, 1e10),
    Kind.REDEMPTION_VALUE: (1e-8, 1e10),
    Kind.PEG: (1e-3, 1e3),
    Kind.SUPPLY_CHANGE_24H: (-1.0, 10.0),
    Kind.TRANSFER_VELOCITY: (0.0, 1e3),
    Kind.HEALTH_AT_RISK: (0.0, 1.0),
    Kind.LENDING_DEBT: (0.0, MOST_USD),
    Kind.FEAR_GREED: (0.0, 100.0),
    Kind.FUNDING_POSITIONING: (-100.0, 100.0),
    Kind.NEWS_TONE: (-1.0, 1.0),
}
"""Wider than anything seen, narrower than a wrong unit: a volatility of 62 is percent points sent as a fraction."""
PRICES: Final = frozenset(kind for kind, limits in RANGES.items() if limits == (1e-8, 1e10))

SLOW_S: Final[Mapping[Kind, float]] = {
    Kind.FUNDING_8H: 9 * HOUR_S,  # a rate stands for its whole interval
    Kind.OPEN_INTEREST: 2 * HOUR_S,
    Kind.VOL_INDEX: 2 * HOUR_S,  # served as hourly candles
    Kind.ORACLE_PRICE: 1.1 * HOUR_S,  # the usual heartbeat of the large feeds, and what a block takes
    Kind.REDEMPTION_VALUE: 25 * HOUR_S,  # accrues daily
    Kind.SUPPLY_CHANGE_24H: 2 * HOUR_S,
    Kind.TRANSFER_VELOCITY: 2 * HOUR_S,
    Kind.HEALTH_AT_RISK: 2 * HOUR_S,
    Kind.LENDING_DEBT: 2 * HOUR_S,
    Kind.LONG_SHORT_RATIO: 2 * HOUR_S,
    Kind.TOP_LONG_SHORT_RATIO: 2 * HOUR_S,
    Kind.TAKER_RATIO: 2 * HOUR_S,
    Kind.OPTION_OPEN_INTEREST: 2 * HOUR_S,
    Kind.DELIVERY_PRICE: 25 * HOUR_S,  # one a day
    Kind.FEAR_GREED: 49 * HOUR_S,  # a figure a day, published some hours into it
    Kind.FUNDING_POSITIONING: 9 * HOUR_S,
    Kind.NEWS_TONE: 25 * HOUR_S,
}
"""Kinds that venues themselves renew slowly, with the age at which each is stale; the others obey the policy."""

NO_NUMBER: Final = frozenset({Rejection.NOT_FINITE, Rejection.NOT_POSITIVE, Rejection.EMPTY, Rejection.MALFORMED})
NOTICE_S: Final = 7 * 24 * HOUR_S
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
    layers = policy.layers
    if layers.staleness and (late := _clock_flaw(reading, now_ms, policy)) is not None:
        return late
    found = _value_flaw(reading, policy)
    if layers.range or found is None:
        return found
    # what is no positive number cannot be aggregated, whatever is switched off
    negative = isinstance(reading, ScalarReading) and reading.kind in PRICES and reading.value <= 0
    return found if negative or found.reason in NO_NUMBER else None


def age_s(reading: AnyReading, now_ms: int) -> float:
    """Seconds since the venue says it happened; zero for a stamp within the allowed future."""
    return max(0.0, (now_ms - reading.venue_time_ms) / 1_000)


def max_age_s(reading: AnyReading, policy: GuardPolicy) -> float:
    match reading:
        case ChainReading():
            return policy.max_chain_age_s
        case BarsReading():
            return math.inf  # history does not age: `bars` asks how far its last closed hour lies back
        case ScalarReading(kind=Kind.COLLATERAL_RATIO | Kind.SPOT_TWAP | Kind.PEG | Kind.BASE_FEE):
            return policy.max_chain_age_s
        case ScalarReading(kind=kind):
            return SLOW_S.get(kind, policy.max_age_s)
        case PoolReading() | TradesReading():
            return policy.max_chain_age_s
        case LiquidationsReading() | HealthReading():
            return 2 * HOUR_S  # nobody may have been liquidated for that long
        case NoticeReading():
            return NOTICE_S
        case BookReading():
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
        case TradesReading():
            return _trades_flaw(reading)
        case LiquidationsReading():
            return _amounts_flaw((reading.long_usd, reading.short_usd, reading.largest_usd))
        case HealthReading():
            return _health_flaw(reading)
        case PoolReading():
            return _prices_flaw((reading.price,)) or _amounts_flaw((reading.bid_depth_usd, reading.ask_depth_usd))
        case NoticeReading():
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
    if (wrong := _amounts_flaw((book.bid_depth_usd, book.ask_depth_usd))) is not None:
        return wrong
    if (wrong := _shape_flaw(book)) is not None:
        return wrong
    if depth_usd(book) < policy.min_depth_usd:
        return Flaw(Rejection.THIN_BOOK, f"depth {depth_usd(book):,.0f} USD, {policy.min_depth_usd:,.0f} needed")
    return None


def _shape_flaw(book: BookReading) -> Flaw | None:
    """What a kept local book adds: bands ascend and gather, measures are numbers."""
    measures = (book.imbalance, book.slope_usd_per_bp, book.impact_buy, book.impact_sell)
    if not all(m is None or math.isfinite(m) for m in measures):
        return Flaw(Rejection.NOT_FINITE, f"measures {measures}")
    before = DepthBand(0.0, 0.0, 0.0)
    for band in book.bands:
        if not all(map(math.isfinite, (band.distance_bp, band.bid_usd, band.ask_usd))):
            return Flaw(Rejection.NOT_FINITE, f"band {band}")
        if band.distance_bp <= before.distance_bp or band.bid_usd < before.bid_usd or band.ask_usd < before.ask_usd:
            return Flaw(Rejection.OUT_OF_RANGE, f"the band at {band.distance_bp:g} bp holds less than one nearer")
        before = band
    return None


def _trades_flaw(trades: TradesReading) -> Flaw | None:
    if trades.count <= 0:
        return Flaw(Rejection.EMPTY, "no trades")
    if (wrong := _prices_flaw((trades.low, trades.high, trades.last, trades.vwap))) is not None:
        return wrong
    if not (trades.low <= trades.last <= trades.high and trades.low * (1 - 1e-9) <= trades.vwap):
        return Flaw(Rejection.OUT_OF_RANGE, f"last {trades.last:g} outside {trades.low:g} to {trades.high:g}")
    return _amounts_flaw((trades.buy_usd, trades.sell_usd))


def _health_flaw(health: HealthReading) -> Flaw | None:
    edges, buckets = health.edges, len(health.edges) + 1
    if len(health.debt_usd) != buckets or len(health.collateral_usd) != buckets:
        return Flaw(Rejection.MALFORMED, f"{len(edges)} edges and {len(health.debt_usd)} buckets of debt")
    if not all(map(math.isfinite, edges)):
        return Flaw(Rejection.NOT_FINITE, f"edges {edges}")
    if edges and edges[0] <= 0:
        return Flaw(Rejection.NOT_POSITIVE, f"a health factor of {edges[0]:g}")
    if any(b <= a for a, b in pairwise(edges)):
        return Flaw(Rejection.MALFORMED, "health factors do not ascend")
    if health.concentration is not None and not 0 <= health.concentration <= 1:
        return Flaw(Rejection.OUT_OF_RANGE, f"the largest borrower owes {health.concentration:g} of the debt")
    return _amounts_flaw((*health.debt_usd, *health.collateral_usd))


def _prices_flaw(prices: Sequence[float]) -> Flaw | None:
    low, high = RANGES[Kind.INDEX_PRICE]
    for price in prices:
        if not math.isfinite(price):
            return Flaw(Rejection.NOT_FINITE, f"price {price}")
        if price <= 0:
            return Flaw(Rejection.NOT_POSITIVE, f"price {price:g}")
        if not low <= price <= high:
            return Flaw(Rejection.OUT_OF_RANGE, f"price {price:g} is outside {low:g} to {high:g}")
    return None


def _amounts_flaw(amounts_usd: Sequence[float]) -> Flaw | None:
    for amount in amounts_usd:
        if not math.isfinite(amount):
            return Flaw(Rejection.NOT_FINITE, f"amount {amount}")
        if not 0 <= amount <= MOST_USD:
            return Flaw(Rejection.OUT_OF_RANGE, f"{amount:g} USD is outside 0 to {MOST_USD:g}")
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
