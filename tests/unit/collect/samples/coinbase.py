"""What Coinbase documents that it says."""

from __future__ import annotations

from typing import Final

from tests.unit.collect.samples.sample import HOUR, ISO, Sample

PRODUCT: Final = {"product_id": "BTC-USD", "product_type": "SPOT", "price_increment": "0.01", "price": "70000"}


CB_TRADE: Final = {
    "trade_id": "7",
    "product_id": "BTC-USD",
    "price": "70000",
    "size": "0.5",
    "time": ISO,
    "side": "SELL",
}


def advanced(channel: str, event: object) -> dict[str, object]:
    return {"channel": channel, "client_id": "", "timestamp": ISO, "sequence_num": 4, "events": [event]}


ANSWERS: Final = (
    Sample(
        "coinbase",
        "product_book",
        {
            "pricebook": {
                "product_id": "BTC-USD",
                "bids": [{"price": "70000", "size": "1"}],
                "asks": [{"price": "70001", "size": "2"}],
                "time": ISO,
            }
        },
        {"BookReading": 1},
        "BTC-USD",
    ),
    Sample("coinbase", "products", {"products": [PRODUCT]}, {"Contract": 1}),
    Sample("coinbase", "product", PRODUCT, {"Contract": 1}, "BTC-USD"),
    Sample(
        "coinbase",
        "candles",
        {"candles": [{"start": str(HOUR // 1000), "low": "1", "high": "3", "open": "1", "close": "2", "volume": "9"}]},
        {"BarsReading": 1},
        "BTC-USD",
    ),
    Sample(
        "coinbase", "ticker", {"trades": [CB_TRADE], "best_bid": "1", "best_ask": "2"}, {"TradesReading": 1}, "BTC-USD"
    ),
    Sample(
        "coinbase",
        "exchange book",
        {"bids": [["70000", "1", 2]], "asks": [["70001", "2", 1]], "sequence": 13_051_505_638, "time": ISO},
        {"BookReading": 1},
        "BTC-USD",
    ),
    Sample("coinbase", "exchange candles", [[HOUR // 1000, 1, 3, 1, 2, 9]], {"BarsReading": 1}, "BTC-USD"),
    Sample("coinbase", "exchange trades", [CB_TRADE], {"TradesReading": 1}, "BTC-USD"),
    Sample(
        "coinbase",
        "exchange products",
        [
            {
                "id": "BTC-USD",
                "base_currency": "BTC",
                "quote_currency": "USD",
                "quote_increment": "0.01",
                "status": "online",
            }
        ],
        {"Contract": 1},
    ),
)


FRAMES: Final = (
    Sample("coinbase", "advanced", advanced("heartbeats", {"heartbeat_counter": 3}), {"Counted": 1, "Quiet": 1}),
    Sample(
        "coinbase",
        "advanced",
        advanced(
            "l2_data",
            {
                "type": "snapshot",
                "product_id": "BTC-USD",
                "updates": [
                    {"side": "bid", "event_time": ISO, "price_level": "70000", "new_quantity": "2"},
                    {"side": "offer", "event_time": ISO, "price_level": "70001", "new_quantity": "1"},
                ],
            },
        ),
        {"Counted": 1, "BookSnapshot": 1},
    ),
    Sample(
        "coinbase",
        "advanced",
        advanced(
            "l2_data",
            {
                "type": "update",
                "product_id": "BTC-USD",
                "updates": [{"side": "offer", "event_time": ISO, "price_level": "70001", "new_quantity": "0"}],
            },
        ),
        {"Counted": 1, "BookDiff": 1},
    ),
    Sample(
        "coinbase",
        "advanced",
        advanced("market_trades", {"type": "update", "trades": [CB_TRADE]}),
        {"Counted": 1, "Trade": 1},
    ),
    Sample(
        "coinbase",
        "advanced",
        {"type": "l2update", "product_id": "BTC-USD", "changes": [["sell", "70001", "0"]], "time": ISO},
        {"BookDiff": 1},
    ),
    Sample(
        "coinbase",
        "advanced",
        {"type": "snapshot", "product_id": "BTC-USD", "bids": [["70000", "1"]], "asks": [["70001", "2"]], "time": ISO},
        {"BookSnapshot": 1},
    ),
    Sample("coinbase", "advanced", {"type": "match", **CB_TRADE, "trade_id": 7}, {"Trade": 1}),
)
