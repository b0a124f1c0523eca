"""Binance: spot /api/v3 and USD-M /fapi/v1."""

from __future__ import annotations

from margrave.lab.feed.book import levels, tick_of
from margrave.lab.feed.dialect import EVEN, HALF, Question, Says, decimal
from margrave.lab.feed.tape import Perpetual
from margrave.spans import HOUR_MS

UNKNOWN = {"code": -1121, "msg": "Invalid symbol."}


def answer(q: Question) -> object:
    match q.path:
        case "/api/v3/depth":
            return _depth(q, perpetual=False)
        case "/fapi/v1/depth":
            return {"E": q.t_ms, "T": q.t_ms - 3, **_depth(q, perpetual=True)}
        case "/api/v3/klines":
            return _klines(q, perpetual=False)
        case "/fapi/v1/klines":
            return _klines(q, perpetual=True)
        case "/fapi/v1/premiumIndex":
            return _premium_index(q)
        case "/fapi/v1/openInterest":
            return _open_interest(q)
        case "/futures/data/globalLongShortAccountRatio":
            return _long_short(q)
    raise Says(404, {"code": -1100, "msg": "Unknown path."})


def _depth(q: Question, *, perpetual: bool) -> dict[str, object]:
    quote = q.quote(_market(q, perpetual=perpetual), perpetual=perpetual)
    if quote is None:
        raise Says(400, UNKNOWN)
    bids, asks = levels(quote, tick_of(quote.mid))
    return {
        "lastUpdateId": q.t_ms,
        "bids": [[decimal(p), decimal(s)] for p, s in bids],
        "asks": [[decimal(p), decimal(s)] for p, s in asks],
    }


def _klines(q: Question, *, perpetual: bool) -> object:
    count = min(q.whole("limit", 500), 1500)
    bars = q.newest_bars(_market(q, perpetual=perpetual), perpetual=perpetual, count=count)
    if bars is None:
        raise Says(400, UNKNOWN)
    return [
        [
            b.open_time_ms,
            decimal(b.open),
            decimal(b.high),
            decimal(b.low),
            decimal(b.close),
            decimal(b.volume),
            b.open_time_ms + HOUR_MS - 1,
            decimal(b.volume * b.close),
            100,
            decimal(b.volume / 2),
            decimal(b.volume * b.close / 2),
            "0",
        ]
        for b in bars
    ]


def _premium_index(q: Question) -> object:
    state = _perpetual(q)
    answer: dict[str, object] = {"symbol": q.text("symbol"), "markPrice": decimal(state.mark), "time": state.time_ms}
    if state.index is not None:
        answer["indexPrice"] = decimal(state.index)
    if state.funding_8h is not None:
        answer |= {"lastFundingRate": decimal(state.funding_8h), "nextFundingTime": _next_funding_ms(q.t_ms)}
    return answer


def _open_interest(q: Question) -> object:
    state = _perpetual(q)
    if state.open_interest_usd is None:
        raise Says(400, UNKNOWN)
    coins = decimal(state.open_interest_usd / state.mark, 3)
    return {"openInterest": coins, "symbol": q.text("symbol"), "time": state.time_ms}


def _long_short(q: Question) -> object:
    state = _perpetual(q)
    row = {"longShortRatio": EVEN, "longAccount": HALF, "shortAccount": HALF, "timestamp": state.time_ms}
    return [{"symbol": q.text("symbol"), **row}]


def _perpetual(q: Question) -> Perpetual:
    state = q.perpetual(_market(q, perpetual=True))
    if state is None:
        raise Says(400, UNKNOWN)
    return state


def _market(q: Question, *, perpetual: bool) -> str | None:
    return q.market(q.text("symbol"), field="perpetual" if perpetual else "spot")


def _next_funding_ms(t_ms: int) -> int:
    return (t_ms // (8 * HOUR_MS) + 1) * 8 * HOUR_MS
