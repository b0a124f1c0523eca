"""Binance options (/eapi/v1, European, quoted in USDT): one answer or frame marks every option with its greeks.

The venue states no forwards. They follow from its own marks: a call less a put of one strike is worth the discounted
forward less the strike (put-call parity), and where a strike has only one of the two, its delta and volatility say
where the forward must be (Black, 1976). Bids and asks come as prices in frames, and as implied volatilities in
answers, which the same formula turns into prices. Volatilities are fractions, below zero where nobody quotes; vega is
per volatility point and theta per day, in dollars.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from statistics import NormalDist, median
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import Asked, Item
from margrave.errors import Rejected
from margrave.messages import EXPIRES_AT_H, Kind, OptionQuote
from margrave.spans import YEAR_MS
from margrave.verdicts import Rejection

NEAREST_PAIRS: Final = 5
"""Strikes nearest the money whose parity is taken: far ones are marked to a tick of the dearer side."""
MAX_VOLATILITY: Final = 10.0
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Terms:
    """What an option's name says: BTC-261225-100000-C."""

    base: str
    expiry_ms: int
    strike: float
    is_call: bool


@lru_cache(maxsize=8192)
def terms(name: str) -> Terms:
    parts = name.split("-")
    if len(parts) != 4 or parts[3] not in ("C", "P") or len(parts[1]) != 6 or not parts[1].isascii():
        raise Rejected(Rejection.MALFORMED, f"{name[:40]!r} is not an option's name")
    try:
        day = datetime.strptime(parts[1], "%y%m%d").replace(hour=EXPIRES_AT_H, tzinfo=UTC)
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{name[:40]!r} does not name a date") from None
    return Terms(parts[0], int(day.timestamp()) * 1000, checks.price(parts[2], f"strike of {name}"), parts[3] == "C")


@dataclass(frozen=True, slots=True)
class Marked:
    """One row, checked: prices in dollars, the rest as fractions."""

    terms: Terms
    mark: float
    volatility: float | None
    rate: float
    bid: float | None
    ask: float | None
    bid_volatility: float | None
    ask_volatility: float | None
    greeks: Mapping[str, float | None]


ANSWER_KEYS: Final = {
    "s": "symbol",
    "mp": "markPrice",
    "vo": "markIV",
    "b": "bidIV",
    "a": "askIV",
    "rf": "riskFreeInterest",
    "d": "delta",
    "g": "gamma",
    "v": "vega",
    "t": "theta",
}


def parse_mark(asked: Asked, body: object) -> Iterator[Item]:
    """/eapi/v1/mark: [{"symbol", "markPrice", "markIV", "bidIV", "askIV", "delta", …}], of every underlying. It has no
    time of its own: its time is when it was read."""
    rows = [checks.mapping(row, "a row of mark") for row in checks.sequence(body, "mark", least=1)]
    renamed = [{short: row.get(long) for short, long in ANSWER_KEYS.items()} for row in rows]
    return chains(asked, asked.seen_ms, renamed)


def chains(asked: Asked, venue_ms: int, rows: Iterable[Mapping[str, object]]) -> Iterator[Item]:
    """A chain of each underlying, or of the one that was asked for ("BTCUSDT" is BTC), from rows in the frames'
    letters."""
    if venue_ms == 0:
        raise Rejected(Rejection.EMPTY, "marks of options without the time at which they were heard")
    by_base: dict[str, list[Mapping[str, object]]] = {}
    for row in rows:
        base = str(row.get("s")).partition("-")[0]
        if not asked.instrument or asked.instrument in (base, f"{base}USDT"):
            by_base.setdefault(base, []).append(row)
    if not by_base:
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"asked for {asked.instrument}, no option of it is in the answer")
    for base, some in by_base.items():
        one = replace(asked, market=asked.market or base, instrument=asked.instrument or base)
        forwards = _forwards(some, venue_ms)
        yield from readings.chain(one, venue_ms, some, partial(_quote, forwards=forwards, as_of_ms=venue_ms))


def _read(row: Mapping[str, object], as_of_ms: int) -> Marked:
    name = checks.text(row.get("s"), "symbol")
    option = terms(name)
    checks.to_come(option.expiry_ms, as_of_ms, name)
    rate = row.get("rf")
    return Marked(
        terms=option,
        mark=checks.within(row.get("mp"), f"mark of {name}", 0.0, checks.MAX_PRICE_USD),
        volatility=_volatility(row.get("vo"), name),
        rate=0.0 if checks.absent(rate) else checks.within(rate, "riskFreeInterest", -1.0, 1.0),
        bid=_price(row.get("bo"), f"bid of {name}"),
        ask=_price(row.get("ao"), f"ask of {name}"),
        bid_volatility=_volatility(row.get("b"), name),
        ask_volatility=_volatility(row.get("a"), name),
        greeks={letter: readings.greek(row.get(letter), f"{letter} of {name}") for letter in ("d", "g", "v", "t")},
    )


def _volatility(value: object, name: str) -> float | None:
    """-1 and 0 mean that there is none."""
    if checks.absent(value) or (volatility := checks.number(value, f"volatility of {name}")) <= 0:
        return None
    return checks.within(volatility, f"volatility of {name}", 0.0, MAX_VOLATILITY)


def _price(value: object, what: str) -> float | None:
    if checks.absent(value) or (price := checks.number(value, what)) == 0:
        return None
    return checks.price(price, what)


def _forwards(rows: Iterable[Mapping[str, object]], as_of_ms: int) -> Mapping[int, float]:
    """The forward of each expiry with a strike that has both: the median over the strikes nearest the money."""
    sides: dict[tuple[int, float], dict[bool, Marked]] = {}
    for row in rows:
        try:
            marked = _read(row, as_of_ms)
        except Rejected:
            continue  # refused with its reason when the quotes are made
        sides.setdefault((marked.terms.expiry_ms, marked.terms.strike), {})[marked.terms.is_call] = marked
    found: dict[int, list[tuple[float, float]]] = {}
    for (expiry_ms, strike), pair in sides.items():
        if len(pair) == 2:
            apart = pair[True].mark - pair[False].mark
            grown = math.exp(pair[True].rate * _years(expiry_ms, as_of_ms))
            found.setdefault(expiry_ms, []).append((abs(apart), strike + grown * apart))
    nearest = {expiry_ms: sorted(pairs)[:NEAREST_PAIRS] for expiry_ms, pairs in found.items()}
    return {expiry_ms: median(forward for _, forward in pairs) for expiry_ms, pairs in nearest.items()}


def _years(expiry_ms: int, as_of_ms: int) -> float:
    return (expiry_ms - as_of_ms) / YEAR_MS


def _quote(row: Mapping[str, object], *, forwards: Mapping[int, float], as_of_ms: int) -> OptionQuote:
    marked = _read(row, as_of_ms)
    option, years = marked.terms, _years(marked.terms.expiry_ms, as_of_ms)
    forward = checks.price(forwards.get(option.expiry_ms) or _from_delta(marked, years), f"forward of {row.get('s')}")
    discount = math.exp(-marked.rate * years)

    def fraction(price: float | None, volatility: float | None) -> float | None:
        if price is None and volatility is not None:
            price = discount * black(forward, option.strike, years, volatility, is_call=option.is_call)
        return None if price is None else checks.within(price / forward, "price over its forward", 0.0, 100.0) or None

    bid, ask = fraction(marked.bid, marked.bid_volatility), fraction(marked.ask, marked.ask_volatility)
    checks.uncrossed(bid, ask, str(row.get("s")))
    return OptionQuote(
        expiry_ms=option.expiry_ms,
        strike=option.strike,
        is_call=option.is_call,
        forward=forward,
        bid=bid,
        ask=ask,
        mark_iv=marked.volatility,
        open_interest=0.0,
        delta=marked.greeks["d"],
        gamma=marked.greeks["g"],
        vega=marked.greeks["v"],
        theta=marked.greeks["t"],
    )


def _from_delta(marked: Marked, years: float) -> float:
    """F = K exp(d1 s - s²/2), s = volatility · √years, d1 from delta = N(d1) of a call, N(d1) - 1 of a put."""
    delta = marked.greeks["d"]
    share = None if delta is None else delta if marked.terms.is_call else delta + 1.0
    if share is None or marked.volatility is None or not 0.01 <= share <= 0.99:
        raise Rejected(Rejection.EMPTY, f"no forward: strike {marked.terms.strike:g} has no pair, and too little delta")
    spread = marked.volatility * math.sqrt(years)
    return marked.terms.strike * math.exp(_NORMAL.inv_cdf(share) * spread - spread * spread / 2)


def black(forward: float, strike: float, years: float, volatility: float, *, is_call: bool) -> float:
    """Undiscounted price of an option on a forward (Black, 1976), dollars."""
    spread = volatility * math.sqrt(years)
    d1 = (
        (math.log(forward / strike) + spread * spread / 2) / spread
        if spread > 0
        else math.copysign(40, forward - strike)
    )
    sign = 1.0 if is_call else -1.0
    price = sign * (forward * _NORMAL.cdf(sign * d1) - strike * _NORMAL.cdf(sign * (d1 - spread)))
    return max(price, 0.0)


# --- the other answers ----------------------------------------------------------------------------------------------


def parse_index(asked: Asked, body: object) -> Iterator[Item]:
    """/eapi/v1/index: {"time", "indexPrice"} of one underlying."""
    answer = checks.mapping(body, "index")
    return readings.scalars(
        asked, checks.time_ms(answer.get("time"), "time"), {Kind.INDEX_PRICE: answer.get("indexPrice")}
    )


def parse_open_interest(asked: Asked, body: object) -> Iterator[Item]:
    """/eapi/v1/openInterest of one expiry: [{"symbol", "sumOpenInterest", "sumOpenInterestUsd", "timestamp"}],
    summed."""
    rows = [checks.mapping(row, "a row of openInterest") for row in checks.sequence(body, "openInterest", least=1)]
    venue_ms = max(checks.time_ms(row.get("timestamp"), "timestamp") for row in rows)
    total = sum(checks.size(row.get("sumOpenInterestUsd"), "sumOpenInterestUsd") for row in rows)
    name = asked.instrument or terms(checks.text(rows[0].get("symbol"), "symbol")).base
    return readings.scalars(replace(asked, instrument=name), venue_ms, {Kind.OPTION_OPEN_INTEREST: total})


def parse_depth(asked: Asked, body: object) -> Iterator[Item]:
    """/eapi/v1/depth of one option: {"T", "u" | "lastUpdateId", "bids": [[price in USDT, contracts]], "asks"}."""
    answer = checks.mapping(body, "depth")
    unit = asked.contract.unit_coins if asked.contract and asked.contract.unit_coins else 1.0
    venue_ms = checks.time_ms(answer.get("T"), "T")
    yield readings.book(
        replace(asked, perpetual=False), venue_ms, answer.get("bids"), answer.get("asks"), unit_coins=unit
    )
