"""What Deribit documents that it says."""

from __future__ import annotations

from typing import Final

from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples.sample import HOUR, Sample

PERPETUAL: Final = "BTC-PERPETUAL"
OPTION: Final = "BTC-25DEC26-70000-C"
TICKER: Final = {
    "instrument_name": PERPETUAL,
    "timestamp": NOW_MS,
    "state": "open",
    "mark_price": 70_000.5,
    "index_price": 70_010.0,
    "funding_8h": 0.0000174,
    "open_interest": 1_132_329_370.0,
}
QUOTED: Final = {
    "instrument_name": OPTION,
    "underlying_price": 71_000.5,
    "mark_iv": 56.84,
    "open_interest": 1_538.2,
    "base_currency": "BTC",
    "quote_currency": "BTC",
}
GREEKS: Final = {"delta": 0.5, "gamma": 0.00001, "vega": 120.5, "theta": -30.1, "rho": 10.2}
DONE: Final = {
    "instrument_name": PERPETUAL,
    "trade_id": "403691824",
    "timestamp": NOW_MS,
    "price": 70_000.5,
    "amount": 500.0,
    "direction": "sell",
    "index_price": 70_010.0,
}
LISTED: Final = {
    "instrument_name": OPTION,
    "kind": "option",
    "tick_size": 0.0005,
    "expiration_timestamp": 1_798_185_600_000,
    "settlement_period": "month",
    "is_active": True,
}


def result(value: object) -> object:
    return {"jsonrpc": "2.0", "result": value, "usIn": NOW_MS * 1000 - 350, "usOut": NOW_MS * 1000, "testnet": False}


def pushed(channel: str, data: object) -> object:
    return {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}


def answer(
    name: str, value: object, gives: dict[str, int], instrument: str = PERPETUAL, *, perpetual: bool = True
) -> Sample:
    return Sample("deribit", name, result(value), gives, instrument, perpetual)


def frame(body: object, gives: dict[str, int]) -> Sample:
    return Sample("deribit", "all", body, gives)


ANSWERS: Final = (
    answer(
        "get_index_price",
        {"index_price": 70_010.5, "estimated_delivery_price": 70_010.5},
        {"ScalarReading": 1},
        "btc_usd",
        perpetual=False,
    ),
    answer(
        "get_order_book",
        {**TICKER, "change_id": 7, "bids": [[70_000.0, 10.0]], "asks": [[70_000.5, 20.0]]},
        {"BookReading": 1, "ScalarReading": 4},
    ),
    answer("ticker", TICKER, {"ScalarReading": 4}),
    answer(
        "get_book_summary_by_currency",
        [{**QUOTED, "creation_timestamp": NOW_MS, "bid_price": 0.05, "ask_price": 0.051}],
        {"ChainReading": 1},
        "BTC",
        perpetual=False,
    ),
    answer(
        "get_volatility_index_data",
        {"data": [[HOUR, 55.5, 56.1, 55.2, 55.9]], "continuation": None},
        {"ScalarReading": 1},
        "BTC",
        perpetual=False,
    ),
    answer(
        "get_tradingview_chart_data",
        {
            "status": "ok",
            "ticks": [HOUR],
            "open": [1.5],
            "high": [3.5],
            "low": [1.5],
            "close": [2.5],
            "volume": [9.5],
            "cost": [20.5],
        },
        {"BarsReading": 1},
    ),
    answer("get_instruments", [LISTED], {"Contract": 1}, "BTC", perpetual=False),
    answer("get_instrument", LISTED, {"Contract": 1}, OPTION, perpetual=False),
    answer(
        "get_funding_rate_history",
        [{"timestamp": HOUR, "interest_8h": 0.00001, "interest_1h": 0.000001, "index_price": 70_010.5}],
        {"ScalarReading": 1},
    ),
    answer(
        "get_funding_chart_data",
        {"current_interest": 0.0, "data": [{"timestamp": HOUR, "interest_8h": 0.00001, "index_price": 70_010.5}]},
        {"ScalarReading": 1},
    ),
    answer("get_funding_rate_value", 0.00001, {"ScalarReading": 1}),
    answer(
        "get_delivery_prices",
        {"data": [{"date": "2026-02-05", "delivery_price": 70_010.5}], "records_total": 1},
        {"ScalarReading": 1},
        "btc_usd",
        perpetual=False,
    ),
    answer(
        "get_last_settlements",
        {"settlements": [{"type": "delivery", "timestamp": HOUR, "index_price": 70_010.5}], "continuation": "x"},
        {"ScalarReading": 1},
        "BTC",
        perpetual=False,
    ),
    answer("get_last_trades", {"trades": [DONE], "has_more": False}, {"TradesReading": 1}),
    answer(
        "get_last_trades",
        {"trades": [{**DONE, "liquidation": "MT"}], "has_more": False},
        {"TradesReading": 1, "LiquidationsReading": 1},
    ),
)
FRAMES: Final = (
    frame(
        pushed(
            "book.BTC-PERPETUAL.100ms",
            {
                "type": "change",
                "timestamp": NOW_MS,
                "instrument_name": PERPETUAL,
                "change_id": 136_725_664_747,
                "prev_change_id": 136_725_664_740,
                "bids": [["change", 70_000.5, 10.0]],
                "asks": [["delete", 70_001.5, 0.0]],
            },
        ),
        {"BookDiff": 1},
    ),
    frame(
        pushed(
            "book.BTC-PERPETUAL.none.10.100ms",
            {
                "timestamp": NOW_MS,
                "instrument_name": PERPETUAL,
                "change_id": 5,
                "bids": [[70_000.5, 10.0]],
                "asks": [[70_001.5, 20.0]],
            },
        ),
        {"BookSnapshot": 1},
    ),
    frame(pushed("trades.BTC-PERPETUAL.100ms", [{**DONE, "liquidation": "T"}]), {"Trade": 1, "Liquidation": 1}),
    frame(pushed("ticker.BTC-PERPETUAL.100ms", TICKER), {"ScalarReading": 4}),
    frame(
        pushed(
            f"ticker.{OPTION}.100ms",
            {**QUOTED, "timestamp": NOW_MS, "best_bid_price": 0.05, "best_ask_price": 0.06, "greeks": GREEKS},
        ),
        {"ChainReading": 1},
    ),
    frame(
        pushed(
            "quote.BTC-PERPETUAL",
            {
                "instrument_name": PERPETUAL,
                "timestamp": NOW_MS,
                "best_bid_price": 70_000.5,
                "best_bid_amount": 10.0,
                "best_ask_price": 70_001.5,
                "best_ask_amount": 20.0,
            },
        ),
        {"BookReading": 1},
    ),
    frame(
        pushed("deribit_volatility_index.btc_usd", {"index_name": "btc_usd", "timestamp": NOW_MS, "volatility": 55.5}),
        {"ScalarReading": 1},
    ),
    frame({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}, {"Reply": 1}),
    frame({"jsonrpc": "2.0", "id": 2, "result": ["book.BTC-PERPETUAL.100ms"]}, {"Quiet": 1}),
)
