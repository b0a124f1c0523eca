"""Kraken: spot /0/public and futures /derivatives/api/v3, /api/charts/v1."""

from __future__ import annotations

from datetime import UTC, datetime

from margrave.lab.feed.book import levels, tick_of
from margrave.lab.feed.dialect import Question, Says, decimal
from margrave.spans import HOUR_MS, HOUR_S

UNKNOWN_PAIR = {"error": ["EQuery:Unknown asset pair"]}
PREFIXED = {"XBTUSD": "XXBTZUSD", "ETHUSD": "XETHZUSD"}
"""Spot answers name pairs with their asset classes."""
CHARTS = "/api/charts/v1/trade/"


def answer(q: Question) -> object:
    if q.path.startswith(CHARTS):
        return _charts(q, q.path.removeprefix(CHARTS).partition("/")[0])
    match q.path:
        case "/0/public/Depth":
            return _depth(q)
        case "/0/public/OHLC":
            return _ohlc(q)
        case "/derivatives/api/v3/tickers":
            return _tickers(q)
        case "/derivatives/api/v3/orderbook":
            return _orderbook(q)
        case "/0/public/AssetPairs":
            return _pairs(q)
        case "/derivatives/api/v3/instruments":
            return _instruments(q)
    raise Says(404, {"error": ["EGeneral:Unknown method"]})


def _depth(q: Question) -> object:
    quote = q.quote(q.market(q.text("pair"), field="spot"), perpetual=False)
    if quote is None:
        raise Says(200, UNKNOWN_PAIR)
    seconds = q.t_ms // 1000
    bids, asks = levels(quote, tick_of(quote.mid))
    book = {
        "asks": [[decimal(p, 5), decimal(s, 3), seconds - i] for i, (p, s) in enumerate(asks)],
        "bids": [[decimal(p, 5), decimal(s, 3), seconds - i] for i, (p, s) in enumerate(bids)],
    }
    return {"error": [], "result": {_answered_as(q.text("pair")): book}}


def _ohlc(q: Question) -> object:
    since_ms = q.whole("since", 0) * 1000
    # Kraken answers with the last 720 at most, whatever was asked for.
    oldest_ms = q.t_ms - q.t_ms % HOUR_MS - 719 * HOUR_MS
    bars = q.bars(q.market(q.text("pair"), field="spot"), perpetual=False, since_ms=max(since_ms, oldest_ms))
    if bars is None:
        raise Says(200, UNKNOWN_PAIR)
    rows = [
        [
            b.open_time_ms // 1000,
            *(decimal(x, 5) for x in (b.open, b.high, b.low, b.close)),
            decimal((b.high + b.low) / 2, 5),
            decimal(b.volume),
            100,
        ]
        for b in bars
    ]
    return {"error": [], "result": {_answered_as(q.text("pair")): rows, "last": q.t_ms // HOUR_MS * HOUR_S - HOUR_S}}


def _tickers(q: Question) -> object:
    tickers = []
    for market, settings in q.markets.items():
        names = settings.instruments.get("kraken")
        state = q.perpetual(market) if market in q.tape.markets else None
        if names is None or names.perpetual is None or state is None:
            continue
        ticker: dict[str, object] = {
            "symbol": names.perpetual,
            "tag": "perpetual",
            "last": round(state.mark, 2),
            "markPrice": state.mark,
            "suspended": False,
        }
        if state.index is not None:
            ticker["indexPrice"] = state.index
        if state.funding_8h is not None:
            ticker["fundingRate"] = state.funding_8h / 8 * (state.mark if state.index is None else state.index)
        if state.open_interest_usd is not None:
            ticker["openInterest"] = state.open_interest_usd / state.mark
        tickers.append(ticker)
    return {"result": "success", "tickers": tickers, "serverTime": _iso(q.t_ms)}


def _orderbook(q: Question) -> object:
    quote = q.quote(q.market(q.text("symbol"), field="perpetual"), perpetual=True)
    if quote is None:
        raise Says(200, {"result": "error", "error": "contractNotFound", "serverTime": _iso(q.t_ms)})
    bids, asks = levels(quote, tick_of(quote.mid))
    book = {"bids": [[p, round(s, 4)] for p, s in bids], "asks": [[p, round(s, 4)] for p, s in asks]}
    return {"result": "success", "orderBook": book, "serverTime": _iso(q.t_ms)}


def _pairs(q: Question) -> object:
    name = q.text("pair")
    if q.market(name, field="spot") is None:
        raise Says(200, UNKNOWN_PAIR)
    pair = {"altname": name, "base": name[:3], "pair_decimals": 1, "lot_decimals": 8, "tick_size": "0.1"}
    return {"error": [], "result": {_answered_as(name): {**pair, "status": "online"}}}


def _instruments(q: Question) -> object:
    listed = [
        {"symbol": names.perpetual, "type": "flexible_futures", "contractSize": 1, "tickSize": 0.5, "tradeable": True}
        for market, settings in q.markets.items()
        if (names := settings.instruments.get("kraken")) and names.perpetual and market in q.tape.markets
    ]
    return {"result": "success", "instruments": listed, "serverTime": _iso(q.t_ms)}


def _charts(q: Question, symbol: str) -> object:
    since_ms = q.whole("from", 0) * 1000
    bars = q.bars(q.market(symbol, field="perpetual"), perpetual=True, since_ms=since_ms)
    if bars is None:
        raise Says(404, {"errors": [{"message": "market not found"}]})
    candles = [
        {
            "time": b.open_time_ms,
            "open": decimal(b.open),
            "high": decimal(b.high),
            "low": decimal(b.low),
            "close": decimal(b.close),
            "volume": decimal(b.volume),
        }
        for b in bars[-2000:]
    ]
    return {"candles": candles, "more_candles": False}


def _answered_as(pair: str) -> str:
    return PREFIXED.get(pair, pair)


def _iso(t_ms: int) -> str:
    moment = datetime.fromtimestamp(t_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{t_ms % 1000:03d}Z"
