"""What Bybit documents that it says."""

from __future__ import annotations

from typing import Final

from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples.sample import HOUR, Sample

TS: Final = str(NOW_MS)


def bybit(result: object) -> dict[str, object]:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": NOW_MS - 3}


BYBIT_OPTION: Final = {
    "symbol": "BTC-27MAR26-80000-C-USDT",
    "bid1Price": "1500",
    "ask1Price": "1550",
    "markIv": "0.51",
    "underlyingPrice": "71000",
    "openInterest": "12.5",
    "delta": "0.31",
    "gamma": "0.00002",
    "vega": "95.5",
    "theta": "-60.1",
}


def topic(name: str, data: object, kind: str = "snapshot") -> dict[str, object]:
    return {"topic": name, "type": kind, "ts": NOW_MS, "data": data}


ANSWERS: Final = (
    Sample(
        "bybit",
        "instruments-info",
        bybit(
            {
                "category": "inverse",
                "list": [
                    {
                        "symbol": "BTCUSD",
                        "contractType": "InversePerpetual",
                        "status": "Trading",
                        "priceFilter": {"tickSize": "0.5"},
                        "lotSizeFilter": {},
                    }
                ],
            }
        ),
        {"Contract": 1},
    ),
    Sample(
        "bybit",
        "orderbook",
        bybit({"s": "BTCUSDT", "b": [["70000", "1"]], "a": [["70001", "2"]], "ts": NOW_MS, "u": 5, "seq": 6}),
        {"BookReading": 1},
        "BTCUSDT",
        True,
    ),
    Sample(
        "bybit",
        "kline",
        bybit({"symbol": "BTCUSDT", "list": [[str(HOUR), "1", "3", "1", "2", "500", "1000"]]}),
        {"BarsReading": 1},
        "BTCUSDT",
    ),
    Sample(
        "bybit",
        "tickers",
        bybit(
            {
                "category": "linear",
                "list": [
                    {
                        "symbol": "BTCUSDT",
                        "markPrice": "70000",
                        "indexPrice": "70010",
                        "fundingRate": "0.0001",
                        "fundingIntervalHour": "4",
                        "openInterestValue": "1000000",
                    }
                ],
            }
        ),
        {"ScalarReading": 4},
        "BTCUSDT",
        True,
    ),
    Sample(
        "bybit",
        "account-ratio",
        bybit({"list": [{"symbol": "BTCUSDT", "buyRatio": "0.6", "sellRatio": "0.4", "timestamp": TS}]}),
        {"ScalarReading": 1},
        "BTCUSDT",
        True,
    ),
    Sample(
        "bybit",
        "funding history",
        bybit({"list": [{"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": TS}]}),
        {"ScalarReading": 1},
        "BTCUSDT",
        True,
    ),
    Sample(
        "bybit",
        "open-interest",
        bybit({"symbol": "BTCUSD", "list": [{"openInterest": "5000000", "timestamp": TS}]}),
        {"ScalarReading": 1},
        "BTCUSD",
        True,
    ),
    Sample(
        "bybit",
        "recent-trade",
        bybit(
            {
                "category": "linear",
                "list": [
                    {"execId": "a", "symbol": "BTCUSDT", "price": "70000", "size": "0.5", "side": "Sell", "time": TS}
                ],
            }
        ),
        {"TradesReading": 1},
        "BTCUSDT",
        True,
    ),
    Sample(
        "bybit", "option tickers", bybit({"category": "option", "list": [BYBIT_OPTION]}), {"ChainReading": 1}, "BTC"
    ),
)


FRAMES: Final = (
    Sample("bybit", "linear", {"success": True, "ret_msg": "pong", "op": "ping"}, {"Quiet": 1}),
    Sample(
        "bybit",
        "linear",
        topic(
            "orderbook.200.BTCUSDT", {"s": "BTCUSDT", "b": [["70000", "1"]], "a": [["70001", "2"]], "u": 5, "seq": 6}
        ),
        {"BookSnapshot": 1},
    ),
    Sample(
        "bybit",
        "linear",
        topic("orderbook.200.BTCUSDT", {"s": "BTCUSDT", "b": [["70000", "0"]], "a": [], "u": 6, "seq": 7}, "delta"),
        {"BookDiff": 1},
    ),
    Sample(
        "bybit",
        "linear",
        topic("publicTrade.BTCUSDT", [{"T": NOW_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "70000", "i": "x"}]),
        {"Trade": 1},
    ),
    Sample(
        "bybit",
        "linear",
        topic("allLiquidation.BTCUSDT", [{"T": NOW_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "69000"}]),
        {"Liquidation": 1},
    ),
    Sample(
        "bybit",
        "linear",
        topic(
            "liquidation.BTCUSDT",
            {"updatedTime": NOW_MS, "symbol": "BTCUSDT", "side": "Sell", "size": "0.5", "price": "71000"},
        ),
        {"Liquidation": 1},
    ),
    Sample(
        "bybit",
        "linear",
        topic("tickers.BTCUSDT", {"symbol": "BTCUSDT", "markPrice": "70000", "fundingRate": "0.0001"}, "delta"),
        {"ScalarReading": 1},
    ),
    Sample("bybit", "linear", topic("tickers.BTC-27MAR26-80000-C-USDT", BYBIT_OPTION), {"ChainReading": 1}),
)
