"""Bybit options: the whole chain of one coin in one answer (/v5/market/tickers, category option), in dollars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from margrave.collect import checks, readings
from margrave.collect.source import Asked, Item
from margrave.collect.venues.bybit.messages import result_of, rows_of
from margrave.errors import Rejected
from margrave.messages import EXPIRES_AT_H, OptionQuote
from margrave.verdicts import Rejection

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def parse_option_tickers(asked: Asked, body: object) -> Iterator[Item]:
    """/tickers: [{"symbol", "bid1Price", "ask1Price", "markIv", "underlyingPrice", "openInterest", "delta", …}].

    Prices are dollars and are divided by the forward; open interest is in coins.
    """
    result, answered_ms = result_of(body)
    rows = [checks.mapping(row, "an option") for row in rows_of(result)]
    return readings.chain(asked, answered_ms, rows, lambda row: option(asked, row, answered_ms))


def option(asked: Asked, row: Mapping[str, object], as_of_ms: int) -> OptionQuote:
    """One row of the chain, or one push about an option: they are written alike but for the best quotes."""
    name = checks.text(row.get("symbol"), "symbol")
    coin, expiry_ms, strike, is_call = option_terms(name)
    if asked.instrument not in ("", coin, name):
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"asked for {asked.instrument}, {name} is in the answer")
    checks.to_come(expiry_ms, as_of_ms, name)
    forward = checks.price(row.get("underlyingPrice"), f"underlyingPrice of {name}")
    bid = _premium(row.get("bid1Price", row.get("bidPrice")), forward, name)
    ask = _premium(row.get("ask1Price", row.get("askPrice")), forward, name)
    checks.uncrossed(bid, ask, name)
    interest = row.get("openInterest")
    return OptionQuote(
        expiry_ms=expiry_ms,
        strike=strike,
        is_call=is_call,
        forward=forward,
        bid=bid,
        ask=ask,
        mark_iv=_vol(row.get("markIv", row.get("markPriceIv")), name),
        open_interest=0.0 if checks.absent(interest) else checks.size(interest, f"openInterest of {name}"),
        delta=readings.greek(row.get("delta"), "delta"),
        gamma=readings.greek(row.get("gamma"), "gamma"),
        vega=readings.greek(row.get("vega"), "vega"),
        theta=readings.greek(row.get("theta"), "theta"),
    )


def _premium(value: object, forward: float, name: str) -> float | None:
    """Over the forward; 0 and nothing mean that nobody quotes."""
    if checks.absent(value):
        return None
    dollars = checks.within(value, f"price of {name}", 0.0, checks.MAX_PRICE_USD)
    return dollars / forward if dollars > 0 else None


def _vol(value: object, name: str) -> float | None:
    if checks.absent(value):
        return None
    vol = checks.within(value, f"markIv of {name}", 0.0, 1e4)
    return vol if 0.0 < vol < 10.0 else None


@lru_cache(maxsize=8_192)
def option_terms(name: str) -> tuple[str, int, float, bool]:
    """Coin, expiry in ms, strike and whether a call, of BTC-30JUN25-100000-C or BTC-30JUN25-100000-C-USDT."""
    parts = name.split("-")
    if len(parts) not in (4, 5) or parts[3] not in ("C", "P"):
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"{name[:40]} is not the name of an option")
    day, month, year = parts[1][:-5], parts[1][-5:-2].upper(), parts[1][-2:]
    if month not in MONTHS or not (day + year).isascii() or not (day.isdigit() and year.isdigit()):
        raise Rejected(Rejection.MALFORMED, f"{name[:40]} does not name a day")
    try:
        expiry = datetime(2000 + int(year), MONTHS.index(month) + 1, int(day), EXPIRES_AT_H, tzinfo=UTC)
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{name[:40]} does not name a day") from None
    return parts[0], int(expiry.timestamp() * 1000), checks.price(parts[2], f"strike of {name[:40]}"), parts[3] == "C"
