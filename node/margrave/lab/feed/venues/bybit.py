"""Bybit v5: /v5/market/{orderbook,kline,tickers,instruments-info,account-ratio}."""

from __future__ import annotations

from margrave.lab.feed.book import levels, tick_of
from margrave.lab.feed.dialect import HALF, Question, Says, decimal
from margrave.spans import HOUR_MS


def answer(q: Question) -> object:
    match q.path:
        case "/v5/market/orderbook":
            return _ok(q, _orderbook(q))
        case "/v5/market/kline":
            return _ok(q, _kline(q))
        case "/v5/market/tickers":
            return _ok(q, _tickers(q))
        case "/v5/market/instruments-info":
            return _ok(q, _instruments(q))
        case "/v5/market/account-ratio":
            return _ok(q, _ratio(q))
    raise Says(404, {"retCode": 404, "retMsg": "not found", "result": {}, "retExtInfo": {}, "time": q.t_ms})


def _ok(q: Question, result: object) -> object:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": q.t_ms}


def _unknown(q: Question) -> Says:
    body = {"retCode": 10001, "retMsg": "Not supported symbols", "result": {}, "retExtInfo": {}, "time": q.t_ms}
    return Says(200, body)


def _orderbook(q: Question) -> object:
    market, perpetual = _instrument(q)
    quote = q.quote(market, perpetual=perpetual)
    if quote is None:
        raise _unknown(q)
    bids, asks = levels(quote, tick_of(quote.mid))
    return {
        "s": q.text("symbol"),
        "b": [[decimal(p), decimal(s)] for p, s in bids],
        "a": [[decimal(p), decimal(s)] for p, s in asks],
        "ts": q.t_ms,
        "u": q.t_ms // 20,
        "seq": q.t_ms,
        "cts": q.t_ms - 4,
    }


def _kline(q: Question) -> object:
    market, perpetual = _instrument(q)
    bars = q.newest_bars(market, perpetual=perpetual, count=min(q.whole("limit", 200), 1000))
    if bars is None:
        raise _unknown(q)
    rows = [
        [
            str(b.open_time_ms),
            *(decimal(x) for x in (b.open, b.high, b.low, b.close)),
            decimal(b.volume),
            decimal(b.volume * b.close),
        ]
        for b in reversed(bars)
    ]
    return {"category": q.text("category"), "symbol": q.text("symbol"), "list": rows}


def _tickers(q: Question) -> object:
    market, perpetual = _instrument(q)
    state = q.perpetual(market) if perpetual else None
    if state is None:
        raise _unknown(q)
    interest = state.open_interest_usd
    ticker = {
        "symbol": q.text("symbol"),
        "lastPrice": decimal(state.mark),
        "markPrice": decimal(state.mark),
        "indexPrice": "" if state.index is None else decimal(state.index),
        "openInterest": "" if interest is None else decimal(interest / state.mark, 3),
        "openInterestValue": "" if interest is None else decimal(interest, 2),
        "fundingRate": "" if state.funding_8h is None else decimal(state.funding_8h),
        "nextFundingTime": str((q.t_ms // (8 * HOUR_MS) + 1) * 8 * HOUR_MS),
        "fundingIntervalHour": "8",
    }
    return {"category": "linear", "list": [ticker]}


def _instruments(q: Question) -> object:
    market, perpetual = _instrument(q)
    if market is None:
        raise _unknown(q)
    listed = {"symbol": q.text("symbol"), "status": "Trading", "priceFilter": {"tickSize": "0.01"}, "lotSizeFilter": {}}
    kind = {"contractType": "LinearPerpetual", "fundingInterval": 480} if perpetual else {}
    return {"category": q.text("category"), "list": [{**listed, **kind}]}


def _ratio(q: Question) -> object:
    market, perpetual = _instrument(q)
    state = q.perpetual(market) if perpetual else None
    if state is None:
        raise _unknown(q)
    row = {"symbol": q.text("symbol"), "buyRatio": HALF, "sellRatio": HALF, "timestamp": str(state.time_ms)}
    return {"list": [row], "nextPageCursor": ""}


def _instrument(q: Question) -> tuple[str | None, bool]:
    perpetual = q.text("category") == "linear"
    return q.market(q.text("symbol"), field="perpetual" if perpetual else "spot"), perpetual
