"""What Kraken documents that it says."""

from __future__ import annotations

from typing import Final

from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples.sample import HOUR, ISO, NOW_S, Sample


def kraken(pair: str, content: object) -> dict[str, object]:
    return {"error": [], "result": {pair: content}}


def v2(channel: str, *data: object, kind: str = "update") -> dict[str, object]:
    return {"channel": channel, "type": kind, "data": list(data)}


PF: Final = {"feed": "trade", "product_id": "PF_XBTUSD", "time": NOW_MS, "uid": "a", "price": 70_000, "qty": 2}

ANSWERS: Final = (
    Sample(
        "kraken",
        "AssetPairs",
        kraken(
            "XXBTZUSD", {"altname": "XBTUSD", "base": "XXBT", "pair_decimals": 1, "lot_decimals": 8, "tick_size": "0.1"}
        ),
        {"Contract": 1},
        "XBTUSD",
    ),
    Sample(
        "kraken",
        "Depth",
        kraken("XXBTZUSD", {"asks": [["70001", "1", NOW_S]], "bids": [["70000", "2", NOW_S - 9]]}),
        {"BookReading": 1},
        "XBTUSD",
    ),
    Sample(
        "kraken", "OHLC", kraken("XXBTZUSD", [[HOUR // 1000, "1", "3", "1", "2", "1.5", "9", 4]]), {"BarsReading": 1}
    ),
    Sample(
        "kraken",
        "Trades",
        kraken(
            "XXBTZUSD", [["70000", "0.5", NOW_S - 0.25, "b", "l", "", 9], ["70001", "0.5", NOW_S, "s", "m", "", 10]]
        ),
        {"TradesReading": 1},
        "XBTUSD",
    ),
    Sample(
        "kraken",
        "Ticker",
        kraken("XXBTZUSD", {"a": ["70001", 1, "1.5"], "b": ["70000", 2, "2.5"], "c": ["70000", "0.1"]}),
        {"BookReading": 1},
        "XBTUSD",
    ),
    Sample(
        "kraken",
        "futures tickers",
        {
            "result": "success",
            "serverTime": ISO,
            "tickers": [
                {
                    "symbol": "PF_XBTUSD",
                    "tag": "perpetual",
                    "markPrice": 70_000,
                    "indexPrice": 70_010,
                    "fundingRate": 0.7,
                    "openInterest": 1000,
                    "suspended": False,
                }
            ],
        },
        {"ScalarReading": 4},
        "PF_XBTUSD",
        True,
    ),
    Sample(
        "kraken",
        "futures orderbook",
        {"orderBook": {"bids": [[70_000, 5]], "asks": [[70_001, 6]]}, "serverTime": ISO},
        {"BookReading": 1},
        "PI_XBTUSD",
        True,
    ),
    Sample(
        "kraken",
        "futures charts",
        {"candles": [{"time": HOUR, "open": "1", "high": "3", "low": "1", "close": "2", "volume": "9"}]},
        {"BarsReading": 1},
    ),
    Sample(
        "kraken",
        "futures instruments",
        {"instruments": [{"symbol": "PI_XBTUSD", "type": "futures_inverse", "contractSize": 1, "tickSize": 0.5}]},
        {"Contract": 1},
    ),
    Sample(
        "kraken",
        "historical-funding-rates",
        {"rates": [{"timestamp": ISO, "fundingRate": 0.7, "relativeFundingRate": 0.00001}]},
        {"ScalarReading": 1},
        "PF_XBTUSD",
        True,
    ),
    Sample(
        "kraken",
        "futures history",
        {
            "history": [
                {
                    "time": ISO,
                    "trade_id": 1,
                    "price": 70_000,
                    "size": 3,
                    "side": "sell",
                    "type": "liquidation",
                    "uid": "a",
                },
                {"time": ISO, "trade_id": 2, "price": 70_000, "size": 2, "side": "buy", "type": "fill", "uid": "b"},
            ]
        },
        {"TradesReading": 1, "LiquidationsReading": 1},
        "PF_XBTUSD",
        True,
    ),
    Sample(
        "kraken",
        "futures executions",
        {
            "elements": [
                {
                    "event": {
                        "Execution": {
                            "execution": {
                                "uid": "u",
                                "price": "70000",
                                "quantity": "0.5",
                                "timestamp": NOW_MS,
                                "takerOrder": {"tradeable": "PF_XBTUSD", "direction": "Sell"},
                            }
                        }
                    }
                }
            ]
        },
        {"TradesReading": 1},
        "PF_XBTUSD",
        True,
    ),
)


FRAMES: Final = (
    Sample("kraken", "spot", {"channel": "heartbeat"}, {"Quiet": 1}),
    Sample("kraken", "spot", {"method": "subscribe", "success": True, "result": {"channel": "book"}}, {"Quiet": 1}),
    Sample(
        "kraken",
        "spot",
        v2(
            "book",
            {
                "symbol": "BTC/USD",
                "bids": [{"price": 70_000.0, "qty": 0.5}],
                "asks": [{"price": 70_001.5, "qty": 1.25}],
                "checksum": 2_439_117_997,
            },
            kind="snapshot",
        ),
        {"BookSnapshot": 1},
    ),
    Sample(
        "kraken",
        "spot",
        v2("book", {"symbol": "BTC/USD", "bids": [{"price": 70_000.0, "qty": 0}], "asks": [], "timestamp": ISO}),
        {"BookDiff": 1},
    ),
    Sample(
        "kraken",
        "spot",
        v2(
            "trade",
            {"symbol": "BTC/USD", "side": "sell", "price": 70_000.0, "qty": 0.5, "trade_id": 9, "timestamp": ISO},
        ),
        {"Trade": 1},
    ),
    Sample(
        "kraken",
        "spot",
        v2("ticker", {"symbol": "BTC/USD", "bid": 70_000.0, "bid_qty": 1.0, "ask": 70_001.0, "ask_qty": 2.0}),
        {"BookReading": 1},
    ),
    Sample("kraken", "spot", {"event": "heartbeat"}, {"Quiet": 1}),
    Sample(
        "kraken",
        "spot",
        [0, {"as": [["70001", "1", f"{NOW_S}.5"]], "bs": [["70000", "2", f"{NOW_S}.1"]]}, "book-10", "XBT/USD"],
        {"BookSnapshot": 1},
    ),
    Sample(
        "kraken",
        "spot",
        [
            0,
            {"a": [["70001", "0", f"{NOW_S}.5"]]},
            {"b": [["70000", "2", f"{NOW_S}.1"]], "c": "974942666"},
            "book-10",
            "X/USD",
        ],
        {"BookDiff": 1},
    ),
    Sample("kraken", "spot", [0, [["70000", "0.5", f"{NOW_S}.5", "s", "l", ""]], "trade", "XBT/USD"], {"Trade": 1}),
    Sample("kraken", "spot", [0, ["70000", "70001", f"{NOW_S}.5", "1", "2"], "spread", "XBT/USD"], {"BookReading": 1}),
    Sample(
        "kraken",
        "spot",
        [0, [f"{NOW_S}.5", f"{HOUR // 1000 + 60}.0", "1", "3", "1", "2", "1.5", "9", 4], "ohlc-1", "XBT/USD"],
        {"BarsReading": 1},
    ),
    Sample("kraken", "futures", {"event": "subscribed", "feed": "book", "product_ids": ["PF_XBTUSD"]}, {"Quiet": 1}),
    Sample(
        "kraken",
        "futures",
        {
            "feed": "book_snapshot",
            "product_id": "PF_XBTUSD",
            "timestamp": NOW_MS,
            "seq": 7,
            "bids": [{"price": 70_000, "qty": 5}],
            "asks": [{"price": 70_001, "qty": 6}],
        },
        {"BookSnapshot": 1},
    ),
    Sample(
        "kraken",
        "futures",
        {
            "feed": "book",
            "product_id": "PF_XBTUSD",
            "timestamp": NOW_MS,
            "seq": 8,
            "side": "sell",
            "price": 70_001,
            "qty": 0,
        },
        {"BookDiff": 1},
    ),
    Sample("kraken", "futures", PF | {"side": "sell", "type": "fill", "seq": 9}, {"Trade": 1}),
    Sample("kraken", "futures", PF | {"side": "sell", "type": "liquidation", "seq": 9}, {"Trade": 1, "Liquidation": 1}),
    Sample(
        "kraken",
        "futures",
        {
            "feed": "ticker",
            "product_id": "PF_XBTUSD",
            "time": NOW_MS,
            "markPrice": 70_000,
            "index": 70_010,
            "relative_funding_rate": 0.00001,
            "openInterest": 1000,
        },
        {"ScalarReading": 4},
    ),
)
