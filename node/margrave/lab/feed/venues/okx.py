"""OKX v5: /api/v5/market, /api/v5/public and /api/v5/rubik."""

from __future__ import annotations

from margrave.lab.feed.book import levels, tick_of
from margrave.lab.feed.dialect import EVEN, Question, Says, decimal
from margrave.lab.feed.tape import Perpetual
from margrave.spans import HOUR_MS

UNKNOWN = {"code": "51001", "msg": "Instrument ID, Instrument ID code, or Spread ID doesn't exist.", "data": []}
COINS_A_CONTRACT = {"BTC": 0.01, "ETH": 0.1}


def answer(q: Question) -> object:
    match q.path:
        case "/api/v5/market/books":
            return _ok([_books(q)])
        case "/api/v5/market/candles":
            return _ok(_candles(q))
        case "/api/v5/public/mark-price":
            state = _perpetual(q)
            mark = {"instType": "SWAP", "markPx": decimal(state.mark), "ts": str(state.time_ms)}
            return _ok([{"instId": q.text("instId"), **mark}])
        case "/api/v5/public/funding-rate":
            return _ok([_funding_rate(q)])
        case "/api/v5/public/open-interest":
            return _ok([_open_interest(q)])
        case "/api/v5/public/instruments":
            return _ok([_contract(q)])
        case "/api/v5/market/index-tickers":
            return _ok([_index(q)])
        case "/api/v5/rubik/stat/contracts/long-short-account-ratio-contract":
            return _ok([[str(_perpetual(q).time_ms), EVEN]])
    raise Says(404, {"code": "404", "msg": "Not found", "data": {}})


def _ok(data: object) -> object:
    return {"code": "0", "msg": "", "data": data}


def _books(q: Question) -> object:
    market, perpetual = _instrument(q)
    quote = q.quote(market, perpetual=perpetual)
    if quote is None or market is None:
        raise Says(200, UNKNOWN)
    bids, asks = levels(quote, tick_of(quote.mid))
    unit = COINS_A_CONTRACT[market] if perpetual else 1.0
    return {
        "asks": [[decimal(p), decimal(s / unit), "0", "3"] for p, s in asks],
        "bids": [[decimal(p), decimal(s / unit), "0", "3"] for p, s in bids],
        "ts": str(q.t_ms),
        "seqId": q.t_ms,
    }


def _candles(q: Question) -> object:
    market, perpetual = _instrument(q)
    limit, after_ms = min(q.whole("limit", 100), 300), q.whole("after", q.t_ms + 1)
    newest_ms = min(after_ms - 1, q.t_ms)
    bars = q.bars(market, perpetual=perpetual, since_ms=newest_ms - newest_ms % HOUR_MS - (limit - 1) * HOUR_MS)
    if bars is None or market is None:
        raise Says(200, UNKNOWN)
    rows = []
    for b in reversed([bar for bar in bars if bar.open_time_ms < after_ms]):
        coins, quoted = decimal(b.volume), decimal(b.volume * b.close)
        contracts = decimal(b.volume / COINS_A_CONTRACT[market]) if perpetual else coins
        closed = "1" if b.open_time_ms + HOUR_MS <= q.t_ms else "0"
        prices = [decimal(b.open), decimal(b.high), decimal(b.low), decimal(b.close)]
        rows.append([str(b.open_time_ms), *prices, contracts, coins if perpetual else quoted, quoted, closed])
    return rows


def _funding_rate(q: Question) -> object:
    state = _perpetual(q)
    if state.funding_8h is None:
        raise Says(200, UNKNOWN)
    settles_ms = (q.t_ms // (8 * HOUR_MS) + 1) * 8 * HOUR_MS
    return {
        "instType": "SWAP",
        "instId": q.text("instId"),
        "fundingRate": decimal(state.funding_8h, 10),
        "nextFundingRate": "",
        "fundingTime": str(settles_ms),
        "nextFundingTime": str(settles_ms + 8 * HOUR_MS),
        "ts": str(state.time_ms),
    }


def _open_interest(q: Question) -> object:
    state = _perpetual(q)
    market, _ = _instrument(q)
    if state.open_interest_usd is None or market is None:
        raise Says(200, UNKNOWN)
    coins = state.open_interest_usd / state.mark
    return {
        "instType": "SWAP",
        "instId": q.text("instId"),
        "oi": decimal(coins / COINS_A_CONTRACT[market], 2),
        "oiCcy": decimal(coins, 4),
        "oiUsd": decimal(state.open_interest_usd, 2),
        "ts": str(state.time_ms),
    }


def _contract(q: Question) -> object:
    market, perpetual = _instrument(q)
    if market is None:
        raise Says(200, UNKNOWN)
    size = {"ctVal": decimal(COINS_A_CONTRACT[market]), "ctMult": "1", "ctValCcy": market, "ctType": "linear"}
    nothing = {"ctVal": "", "ctMult": "", "ctValCcy": "", "ctType": ""}
    listed = {"instType": q.text("instType"), "instId": q.text("instId"), "tickSz": "0.1", "state": "live"}
    return {**listed, **(size if perpetual else nothing)}


def _index(q: Question) -> object:
    state = q.perpetual(q.market(q.text("instId") + "-SWAP", field="perpetual"))
    if state is None or state.index is None:
        raise Says(200, UNKNOWN)
    return {"instId": q.text("instId"), "idxPx": decimal(state.index), "ts": str(state.time_ms)}


def _perpetual(q: Question) -> Perpetual:
    state = q.perpetual(q.market(q.text("instId"), field="perpetual"))
    if state is None:
        raise Says(200, UNKNOWN)
    return state


def _instrument(q: Question) -> tuple[str | None, bool]:
    name = q.text("instId")
    perpetual = name.endswith("-SWAP")
    return q.market(name, field="perpetual" if perpetual else "spot"), perpetual
