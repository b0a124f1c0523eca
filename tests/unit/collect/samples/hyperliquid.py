"""What Hyperliquid documents that it says."""

from __future__ import annotations

from typing import Final

from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples.sample import HOUR, Sample

L2: Final = [{"px": "70000.0", "sz": "2.5", "n": 3}], [{"px": "70001.0", "sz": "1.0", "n": 1}]


CONTEXT: Final = {"markPx": "70000.0", "oraclePx": "70010.0", "funding": "0.0000125", "openInterest": "1000.0"}


HL_TRADE: Final = {"coin": "BTC", "side": "A", "px": "70000.0", "sz": "0.5", "time": NOW_MS, "tid": 9, "hash": "0x"}

ANSWERS: Final = (
    Sample(
        "hyperliquid", "l2Book", {"coin": "BTC", "time": NOW_MS, "levels": list(L2)}, {"BookReading": 1}, "BTC", True
    ),
    Sample(
        "hyperliquid",
        "metaAndAssetCtxs",
        [{"universe": [{"name": "BTC", "szDecimals": 5}, {"name": "ETH", "szDecimals": 4}]}, [CONTEXT, CONTEXT]],
        {"ScalarReading": 4},
        "BTC",
        True,
    ),
    Sample("hyperliquid", "meta", {"universe": [{"name": "BTC", "szDecimals": 5}]}, {"Contract": 1}, "BTC", True),
    Sample(
        "hyperliquid",
        "candleSnapshot",
        [
            {
                "t": HOUR,
                "T": HOUR + 3_599_999,
                "s": "BTC",
                "i": "1h",
                "o": "1",
                "h": "3",
                "l": "1",
                "c": "2",
                "v": "9",
                "n": 4,
            }
        ],
        {"BarsReading": 1},
        "BTC",
        True,
    ),
    Sample(
        "hyperliquid",
        "fundingHistory",
        [{"coin": "BTC", "fundingRate": "0.0000125", "premium": "0.0003", "time": NOW_MS}],
        {"ScalarReading": 1},
        "BTC",
        True,
    ),
    Sample("hyperliquid", "recentTrades", [HL_TRADE], {"TradesReading": 1}, "BTC", True),
)


FRAMES: Final = (
    Sample("hyperliquid", "public", {"channel": "pong"}, {"Quiet": 1}),
    Sample(
        "hyperliquid",
        "public",
        {"channel": "l2Book", "data": {"coin": "BTC", "time": NOW_MS, "levels": list(L2)}},
        {"BookSnapshot": 1},
    ),
    Sample("hyperliquid", "public", {"channel": "trades", "data": [HL_TRADE]}, {"Trade": 1}),
    Sample(
        "hyperliquid",
        "public",
        {"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": CONTEXT}},
        {"ScalarReading": 4},
    ),
    Sample(
        "hyperliquid",
        "public",
        {"channel": "bbo", "data": {"coin": "BTC", "time": NOW_MS, "bbo": [L2[0][0], L2[1][0]]}},
        {"BookReading": 1},
    ),
    Sample(
        "hyperliquid",
        "public",
        {"channel": "bbo", "data": {"coin": "BTC", "time": NOW_MS, "bbo": [None, None]}},
        {"Quiet": 1},
    ),
    Sample(
        "hyperliquid",
        "public",
        {
            "channel": "candle",
            "data": {
                "t": HOUR,
                "T": HOUR + 59_999,
                "s": "BTC",
                "i": "1m",
                "o": "1",
                "h": "3",
                "l": "1",
                "c": "2",
                "v": "9",
            },
        },
        {"BarsReading": 1},
    ),
)
