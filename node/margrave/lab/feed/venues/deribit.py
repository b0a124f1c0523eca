"""Deribit v2 over GET: the public methods that the adapter asks."""

from __future__ import annotations

from margrave.lab.feed.book import levels
from margrave.lab.feed.dialect import Question, Says
from margrave.lab.feed.tape import Chain, ListedOption
from margrave.spans import HOUR_MS

PUBLIC = "/api/v2/public/"


def answer(q: Question) -> object:
    method = q.path.removeprefix(PUBLIC)
    match method:
        case "get_index_price":
            return _index_price(q)
        case "get_order_book":
            return _order_book(q)
        case "get_book_summary_by_currency":
            return _book_summary(q)
        case "get_volatility_index_data":
            return _volatility_index(q)
        case "get_tradingview_chart_data":
            return _chart_data(q)
    raise Says(400, _error(q, -32601, "Method not found"))


def _ok(result: object, out_ms: int) -> object:
    out = out_ms * 1000
    return {"jsonrpc": "2.0", "result": result, "usIn": out - 350, "usOut": out, "usDiff": 350, "testnet": False}


def _error(q: Question, code: int, message: str) -> object:
    out = q.t_ms * 1000
    error = {"message": message, "code": code}
    return {"jsonrpc": "2.0", "error": error, "usIn": out - 80, "usOut": out, "usDiff": 80, "testnet": False}


def _unknown(q: Question) -> Says:
    return Says(400, _error(q, 13020, "instrument_not_found"))


def _index_price(q: Question) -> object:
    market = q.market(q.text("index_name"), field="index")
    index = q.tape.index(q.venue, market, q.t_ms) if market else None
    if index is None:
        raise Says(400, _error(q, -32602, "Invalid params"))
    value = round(index.value, 2)
    return _ok({"index_price": value, "estimated_delivery_price": value}, index.time_ms)


def _order_book(q: Question) -> object:
    market = q.market(q.text("instrument_name"), field="perpetual")
    state, quote = q.perpetual(market), q.quote(market, perpetual=True)
    if state is None:
        raise _unknown(q)
    # A tape may know the mark and not the book: then the book is empty, not made up.
    bids, asks = levels(quote, 0.5 if quote.mid > 5000 else 0.05) if quote else ([], [])
    result: dict[str, object] = {
        "timestamp": state.time_ms,
        "state": "open",
        "instrument_name": q.text("instrument_name"),
        "mark_price": round(state.mark, 2),
        "change_id": state.time_ms,
        "bids": [[p, round(p * s)] for p, s in bids],
        "asks": [[p, round(p * s)] for p, s in asks],
        "best_bid_price": bids[0][0] if bids else 0.0,
        "best_ask_price": asks[0][0] if asks else 0.0,
    }
    if state.index is not None:
        result["index_price"] = round(state.index, 2)
    if state.funding_8h is not None:
        result |= {"funding_8h": state.funding_8h, "current_funding": 0.0}
    if state.open_interest_usd is not None:
        result["open_interest"] = round(state.open_interest_usd, -1)
    return _ok(result, q.t_ms)


def _book_summary(q: Question) -> object:
    currency = q.text("currency")
    market = q.market(currency, field="options")
    chain = q.tape.chain(q.venue, market, q.t_ms) if market else None
    if chain is None:
        raise Says(400, _error(q, -32602, "Invalid params"))
    return _ok([_option(currency, option, chain) for option in chain.options], q.t_ms)


def _option(currency: str, option: ListedOption, chain: Chain) -> object:
    mid = None if option.bid is None or option.ask is None else round((option.bid + option.ask) / 2, 6)
    return {
        "instrument_name": option.name,
        "high": None,
        "low": None,
        "last": None,
        "bid_price": option.bid,
        "ask_price": option.ask,
        "mid_price": mid,
        "mark_price": option.mark,
        "mark_iv": option.mark_iv,
        "open_interest": option.open_interest,
        "interest_rate": 0.0,
        "creation_timestamp": chain.as_of_ms,
        "estimated_delivery_price": round(chain.index, 2),
        "price_change": None,
        "volume": option.volume,
        "volume_usd": option.volume_usd,
        "underlying_price": option.forward,
        "underlying_index": option.underlying_name,
        "base_currency": currency,
        "quote_currency": currency,
    }


def _volatility_index(q: Question) -> object:
    market = q.market(q.text("currency"), field="vol_index")
    if market is None or q.tape.vol_index(q.venue, market, q.t_ms) is None:
        raise Says(400, _error(q, -32602, "Invalid params"))
    first_ms = q.whole("start_timestamp", q.t_ms - HOUR_MS)
    first_ms += -first_ms % HOUR_MS
    rows = []
    for open_ms in range(first_ms, min(q.whole("end_timestamp", q.t_ms), q.t_ms) + 1, HOUR_MS):
        ends = (open_ms, min(open_ms + HOUR_MS, q.t_ms))
        known = [q.tape.vol_index(q.venue, market, t) for t in ends]
        if known[0] is None or known[1] is None:
            continue
        opened, closed = (round(x.value * 100, 2) for x in known if x is not None)
        rows.append([open_ms, opened, max(opened, closed), min(opened, closed), closed])
    return _ok({"data": rows, "continuation": None}, q.t_ms)


def _chart_data(q: Question) -> object:
    market = q.market(q.text("instrument_name"), field="perpetual")
    if market is None:
        raise _unknown(q)
    bars = q.bars(market, perpetual=True, since_ms=q.whole("start_timestamp", 0)) or ()
    columns = {
        "ticks": [b.open_time_ms for b in bars],
        "open": [round(b.open, 2) for b in bars],
        "high": [round(b.high, 2) for b in bars],
        "low": [round(b.low, 2) for b in bars],
        "close": [round(b.close, 2) for b in bars],
        "volume": [round(b.volume, 6) for b in bars],
        "cost": [round(b.volume * b.close) for b in bars],
    }
    return _ok({"status": "ok" if bars else "no_data", **columns}, q.t_ms)
