"""What Binance documents that it says."""

from __future__ import annotations

from typing import Final

from margrave.messages import Contract, ContractKind
from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples.sample import HOUR, Sample

COIN: Final = Contract(
    source="binance",
    instrument="BTCUSD_PERP",
    seen_time_ms=NOW_MS,
    kind=ContractKind.PERPETUAL,
    unit_coins=None,
    unit_usd=100.0,
)
SYMBOL: Final = {"symbol": "BTCUSDT"}
LEVELS: Final = {"bids": [["70000.10", "2.5"]], "asks": [["70000.20", "1.5"]]}
KLINE: Final = [HOUR, "1.5", "3.5", "1.5", "2.5", "9.5", HOUR + 3_599_999, "20.5", 4, "5.5", "10.5", "0"]
MARK: Final = {"markPrice": "70010.5", "indexPrice": "70000.5", "lastFundingRate": "0.0001", "time": NOW_MS}
TRADE: Final = {"id": 28457, "price": "70000.5", "qty": "0.5", "quoteQty": "35000.25", "time": NOW_MS}
AGGREGATE: Final = {"a": 26129, "p": "70000.5", "q": "0.5", "f": 27781, "l": 27781, "T": NOW_MS, "m": True}
RATIO: Final = {**SYMBOL, "longShortRatio": "1.4342", "longAccount": "0.5891", "shortAccount": "0.4108"}
BEST: Final = {**SYMBOL, "bidPrice": "4.5", "bidQty": "431.5", "askPrice": "4.75", "askQty": "9.5"}
LISTED: Final = {
    **SYMBOL,
    "status": "TRADING",
    "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0.10"}],
}
FORCED: Final = {
    **SYMBOL,
    "side": "SELL",
    "price": "69000.5",
    "averagePrice": "69010.5",
    "origQty": "0.5",
    "executedQty": "0.25",
    "time": NOW_MS,
}
OPTIONS: Final = [
    {
        "symbol": f"BTC-261225-70000-{side}",
        "markPrice": "9000.5",
        "markIV": "0.5",
        "bidIV": "0.49",
        "askIV": "0.51",
        "delta": "0.55",
        "gamma": "0.00001",
        "vega": "120.5",
        "theta": "-30.5",
        "riskFreeInterest": "0.01",
    }
    for side in "CP"
]


def answer(name: str, body: object, gives: dict[str, int], instrument: str = "BTCUSDT") -> Sample:
    coin = instrument == "BTCUSD_PERP"
    perpetual = coin or "option" not in name
    return Sample("binance", name, body, gives, instrument, perpetual, contract=COIN if coin else None)


def coin_margined(name: str, body: object, gives: dict[str, int]) -> Sample:
    return answer(f"coin-margined {name}", body, gives, "BTCUSD_PERP")


ANSWERS: Final = (
    answer("depth", {"lastUpdateId": 1_027_024, **LEVELS}, {"BookReading": 1}),
    answer("klines", [KLINE], {"BarsReading": 1}),
    answer("trades", [{**TRADE, "isBuyerMaker": True, "isBestMatch": True}], {"TradesReading": 1}),
    answer("historicalTrades", [{**TRADE, "isBuyerMaker": True, "isBestMatch": True}], {"TradesReading": 1}),
    answer("aggTrades", [{**AGGREGATE, "M": True}], {"TradesReading": 1}),
    answer("bookTicker", BEST, {"BookReading": 1}),
    answer("exchangeInfo", {"timezone": "UTC", "symbols": [LISTED]}, {"Contract": 1}),
    answer("futures depth", {"lastUpdateId": 9, "E": NOW_MS, "T": NOW_MS - 1, **LEVELS}, {"BookReading": 1}),
    answer("futures klines", [KLINE], {"BarsReading": 1}),
    answer("premiumIndex", {**SYMBOL, **MARK}, {"ScalarReading": 3}),
    answer("openInterest", {**SYMBOL, "openInterest": "10659.509", "time": NOW_MS}, {"ScalarReading": 1}),
    answer(
        "openInterestHist",
        [{**SYMBOL, "sumOpenInterest": "20403.5", "sumOpenInterestValue": "150570784.07", "timestamp": HOUR}],
        {"ScalarReading": 1},
    ),
    answer("fundingRate", [{**SYMBOL, "fundingTime": HOUR, "fundingRate": "0.0001"}], {"ScalarReading": 1}),
    answer("futures trades", [{**TRADE, "isBuyerMaker": True}], {"TradesReading": 1}),
    answer("futures aggTrades", [AGGREGATE], {"TradesReading": 1}),
    answer("futures bookTicker", {**BEST, "time": NOW_MS}, {"BookReading": 1}),
    answer("globalLongShortAccountRatio", [{**RATIO, "timestamp": HOUR}], {"ScalarReading": 1}),
    answer("topLongShortAccountRatio", [{**RATIO, "timestamp": HOUR}], {"ScalarReading": 1}),
    answer("topLongShortPositionRatio", [{**RATIO, "timestamp": HOUR}], {"ScalarReading": 1}),
    answer(
        "takerlongshortRatio",
        [{"buySellRatio": "1.5586", "buyVol": "387.33", "sellVol": "248.503", "timestamp": HOUR}],
        {"ScalarReading": 1},
    ),
    answer("allForceOrders", [FORCED], {"LiquidationsReading": 1}),
    answer("futures exchangeInfo", {"symbols": [{**LISTED, "contractType": "PERPETUAL"}]}, {"Contract": 1}),
    coin_margined("depth", {"lastUpdateId": 9, "E": NOW_MS, "pair": "BTCUSD", **LEVELS}, {"BookReading": 1}),
    coin_margined("klines", [KLINE], {"BarsReading": 1}),
    coin_margined("premiumIndex", [{"symbol": "BTCUSD_PERP", **MARK}], {"ScalarReading": 3}),
    coin_margined(
        "openInterest", {"symbol": "BTCUSD_PERP", "openInterest": "15004", "time": NOW_MS}, {"ScalarReading": 1}
    ),
    coin_margined("trades", [{**TRADE, "isBuyerMaker": True}], {"TradesReading": 1}),
    coin_margined(
        "exchangeInfo",
        {"symbols": [{**LISTED, "symbol": "BTCUSD_PERP", "contractType": "PERPETUAL", "contractSize": 100}]},
        {"Contract": 1},
    ),
    answer("option mark", OPTIONS, {"ChainReading": 1}),
    answer("option index", {"time": NOW_MS, "indexPrice": "70010.5"}, {"ScalarReading": 1}),
    answer(
        "option openInterest",
        [{"symbol": "BTC-261225-70000-C", "sumOpenInterest": "1.5", "sumOpenInterestUsd": "99.5", "timestamp": HOUR}],
        {"ScalarReading": 1},
    ),
    answer("option depth", {"T": NOW_MS, "u": 7, **LEVELS}, {"BookReading": 1}, "BTC-261225-70000-C"),
    answer(
        "option exchangeInfo",
        {
            "optionSymbols": [
                {
                    "symbol": "BTC-261225-70000-C",
                    "expiryDate": 1_798_185_600_000,
                    "strikePrice": "70000.5",
                    "unit": 1,
                    "side": "CALL",
                    "filters": [],
                }
            ]
        },
        {"Contract": 1},
        "BTC-261225-70000-C",
    ),
)

DIFFERENCE: Final = {
    "e": "depthUpdate",
    "E": NOW_MS,
    "s": "BTCUSDT",
    "U": 157,
    "u": 160,
    "b": [["70000.5", "0"]],
    "a": [],
}
PASSED: Final = {"e": "aggTrade", "E": NOW_MS, "s": "BTCUSDT", **AGGREGATE}
ORDER: Final = {"s": "BTCUSDT", "S": "SELL", "q": "0.5", "p": "69000.5", "ap": "69010.5", "z": "0.25", "T": NOW_MS}

FRAMES: Final = (
    Sample("binance", "spot", {"stream": "btcusdt@depth@100ms", "data": DIFFERENCE}, {"BookDiff": 1}),
    Sample("binance", "spot", {**PASSED, "M": True}, {"Trade": 1}),
    Sample(
        "binance", "spot", {"stream": "btcusdt@depth20", "data": {"lastUpdateId": 160, **LEVELS}}, {"BookSnapshot": 1}
    ),
    Sample("binance", "spot", {"result": None, "id": 1}, {"Quiet": 1}),
    Sample("binance", "futures books", {**DIFFERENCE, "T": NOW_MS, "pu": 149}, {"BookDiff": 1}),
    Sample(
        "binance",
        "futures books",
        {"e": "bookTicker", "u": 5, "s": "BTCUSDT", "b": "4.5", "B": "31.5", "a": "4.75", "A": "40.5", "T": NOW_MS},
        {"BookReading": 1},
    ),
    Sample("binance", "futures flows", PASSED, {"Trade": 1}),
    Sample("binance", "futures flows", {"e": "forceOrder", "E": NOW_MS, "o": ORDER}, {"Liquidation": 1}),
    Sample(
        "binance",
        "futures flows",
        {"e": "markPriceUpdate", "E": NOW_MS, "s": "BTCUSDT", "p": "70010.5", "i": "70000.5", "r": "0.0001"},
        {"ScalarReading": 3},
    ),
    Sample(
        "binance",
        "futures flows",
        {
            "e": "kline",
            "E": NOW_MS,
            "s": "BTCUSDT",
            "k": {"t": HOUR, "o": "1.5", "h": "3.5", "l": "1.5", "c": "2.5", "v": "9.5", "x": False},
        },
        {"BarsReading": 1},
    ),
    Sample("binance", "coin-margined", {**PASSED, "s": "BTCUSD_PERP"}, {"Trade": 1}, contract=COIN),
    Sample("binance", "coin-margined", {**DIFFERENCE, "s": "BTCUSD_PERP", "pu": 149}, {"BookDiff": 1}, contract=COIN),
)
