"""OKX options: the whole chain of one family in one answer, quoted in volatilities (/public/opt-summary)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from margrave.collect import checks, readings
from margrave.collect.source import Asked, Item
from margrave.collect.venues.okx.messages import data_of
from margrave.errors import Rejected
from margrave.messages import EXPIRES_AT_H, OptionQuote
from margrave.spans import YEAR_MS
from margrave.verdicts import Rejection


def parse_option_summary(asked: Asked, body: object) -> Iterator[Item]:
    """/public/opt-summary of one family: [{"instId", "bidVol", "askVol", "markVol", "fwdPx", "deltaBS", …, "ts"}].

    Bids and asks are volatilities here, and are turned into prices by the formula they were taken with: Black (1976),
    undiscounted, over the forward. The answer has no open interest; `open-interest` gives their sum.
    """
    rows = [checks.mapping(row, "an option") for row in data_of(body)]
    venue_ms = max(checks.time_ms(row.get("ts"), "ts") for row in rows)
    return readings.chain(asked, venue_ms, rows, lambda row: _quote(asked, row, venue_ms))


def _quote(asked: Asked, row: Mapping[str, object], as_of_ms: int) -> OptionQuote:
    name = checks.text(row.get("instId"), "instId")
    family, expiry_ms, strike, is_call = option_terms(name)
    if asked.instrument not in ("", family, name):
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"asked for {asked.instrument}, {name} is in the answer")
    checks.to_come(expiry_ms, as_of_ms, name)
    forward = checks.price(row.get("fwdPx"), f"fwdPx of {name}")
    bid_vol, ask_vol = _vol(row.get("bidVol"), name), _vol(row.get("askVol"), name)
    checks.uncrossed(bid_vol, ask_vol, f"{name} in volatility")
    root_years = math.sqrt((expiry_ms - as_of_ms) / YEAR_MS)
    return OptionQuote(
        expiry_ms=expiry_ms,
        strike=strike,
        is_call=is_call,
        forward=forward,
        bid=None if bid_vol is None else _premium(forward, strike, bid_vol * root_years, is_call),
        ask=None if ask_vol is None else _premium(forward, strike, ask_vol * root_years, is_call),
        mark_iv=_vol(row.get("markVol"), name),
        open_interest=0.0,
        delta=readings.greek(row.get("deltaBS"), "delta"),
        gamma=readings.greek(row.get("gammaBS"), "gamma"),
        vega=readings.greek(row.get("vegaBS"), "vega"),
        theta=readings.greek(row.get("thetaBS"), "theta"),
    )


def _vol(value: object, name: str) -> float | None:
    """A volatility; 0 and nothing mean that there is none."""
    if checks.absent(value):
        return None
    vol = checks.within(value, f"volatility of {name}", 0.0, 1e4)
    return vol if 0.0 < vol < 10.0 else None


def _premium(forward: float, strike: float, total_vol: float, is_call: bool) -> float | None:
    """Price over forward; `None` where it is below what any venue can quote."""
    sign = 1.0 if is_call else -1.0
    d1 = math.log(forward / strike) / total_vol + total_vol / 2
    upper, lower = (0.5 * math.erfc(-sign * d / math.sqrt(2)) for d in (d1, d1 - total_vol))
    value = sign * (upper - strike / forward * lower)
    return value if value > 1e-9 else None


@lru_cache(maxsize=8_192)
def option_terms(name: str) -> tuple[str, int, float, bool]:
    """Family, expiry in ms, strike and whether a call, of BTC-USD-241217-92000-C; options expire at 08:00 UTC."""
    parts = name.split("-")
    if len(parts) != 5 or parts[4] not in ("C", "P"):
        raise Rejected(Rejection.WRONG_INSTRUMENT, f"{name[:40]} is not the name of an option")
    try:
        day = datetime.strptime(parts[2], "%y%m%d").replace(hour=EXPIRES_AT_H, tzinfo=UTC)
    except ValueError:
        raise Rejected(Rejection.MALFORMED, f"{name[:40]} does not name a day") from None
    strike = checks.price(parts[3], f"strike of {name[:40]}")
    return f"{parts[0]}-{parts[1]}", int(day.timestamp() * 1000), strike, parts[4] == "C"
