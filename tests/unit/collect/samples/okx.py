"""What OKX documents that it says."""

from __future__ import annotations

from typing import Final

from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples.sample import HOUR, Sample


def okx(*data: object) -> dict[str, object]:
    return {"code": "0", "msg": "", "data": list(data)}


SWAP, TS = "BTC-USDT-SWAP", str(NOW_MS)


OPTION: Final = {
    "instType": "OPTION",
    "instId": "BTC-USD-260327-80000-C",
    "uly": "BTC-USD",
    "bidVol": "0.50",
    "askVol": "0.52",
    "markVol": "0.51",
    "fwdPx": "71000",
    "deltaBS": "0.31",
    "gammaBS": "0.00002",
    "vegaBS": "95.5",
    "thetaBS": "-60.1",
    "ts": TS,
}


OKX_LIQUIDATIONS: Final = {
    "instId": SWAP,
    "instType": "SWAP",
    "uly": "BTC-USDT",
    "details": [
        {"bkPx": "69000", "posSide": "long", "side": "sell", "sz": "100", "ts": TS, "ccy": "", "bkLoss": "0"},
        {"bkPx": "71000", "posSide": "net", "side": "buy", "sz": "50", "ts": TS, "ccy": "", "bkLoss": "0"},
    ],
}


def pushed(channel: str, *data: object, name: str = SWAP, **more: object) -> dict[str, object]:
    return {"arg": {"channel": channel, "instId": name}, "data": list(data), **more}


OKX_BOOK: Final = {
    "asks": [["70001", "3", "0", "1"]],
    "bids": [["70000", "4", "0", "1"]],
    "ts": TS,
    "checksum": -855_196_043,
    "prevSeqId": 9,
    "seqId": 10,
}

ANSWERS: Final = (
    Sample(
        "okx",
        "instruments",
        okx({"instType": "SWAP", "instId": SWAP, "ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC", "tickSz": "0.1"}),
        {"Contract": 1},
    ),
    Sample(
        "okx",
        "books",
        okx({"asks": [["70001", "3", "0", "1"]], "bids": [["70000", "4", "0", "1"]], "ts": TS}),
        {"BookReading": 1},
        SWAP,
        True,
    ),
    Sample(
        "okx",
        "ticker",
        okx(
            {
                "instId": "BTC-USDT",
                "last": "1",
                "bidPx": "70000",
                "bidSz": "1",
                "askPx": "70001",
                "askSz": "2",
                "ts": TS,
            }
        ),
        {"BookReading": 1},
        "BTC-USDT",
    ),
    Sample(
        "okx", "candles", okx([str(HOUR), "1", "3", "1", "2", "500", "5", "10", "1"]), {"BarsReading": 1}, SWAP, True
    ),
    Sample("okx", "mark-price", okx({"instId": SWAP, "markPx": "70000", "ts": TS}), {"ScalarReading": 1}, SWAP, True),
    Sample("okx", "index-tickers", okx({"instId": "BTC-USDT", "idxPx": "70000", "ts": TS}), {"ScalarReading": 1}),
    Sample(
        "okx",
        "funding-rate",
        okx(
            {
                "instId": SWAP,
                "fundingRate": "0.0001",
                "fundingTime": TS,
                "nextFundingTime": str(NOW_MS + 14_400_000),
                "ts": TS,
            }
        ),
        {"ScalarReading": 1},
        SWAP,
        True,
    ),
    Sample(
        "okx",
        "funding-rate-history",
        okx(
            {"instId": SWAP, "fundingRate": "0.0002", "realizedRate": "0.0001", "fundingTime": TS},
            {"instId": SWAP, "fundingRate": "0.0002", "realizedRate": "", "fundingTime": str(NOW_MS - 14_400_000)},
        ),
        {"ScalarReading": 2},
        SWAP,
        True,
    ),
    Sample(
        "okx",
        "open-interest",
        okx({"instType": "SWAP", "instId": SWAP, "oi": "5", "oiCcy": "0.05", "oiUsd": "3500.5", "ts": TS}),
        {"ScalarReading": 1},
        SWAP,
        True,
    ),
    Sample("okx", "long-short-account-ratio", okx([TS, "1.25"], [str(NOW_MS - 300_000), "1.5"]), {"ScalarReading": 1}),
    Sample("okx", "opt-summary", okx(OPTION), {"ChainReading": 1}, "BTC-USD"),
    Sample(
        "okx",
        "trades",
        okx({"instId": SWAP, "tradeId": "7", "px": "70000", "sz": "10", "side": "buy", "ts": TS}),
        {"TradesReading": 1},
        SWAP,
        True,
    ),
    Sample("okx", "liquidation-orders", okx(OKX_LIQUIDATIONS), {"LiquidationsReading": 1}, SWAP, True),
)


FRAMES: Final = (
    Sample("okx", "public", {"event": "subscribe", "arg": {"channel": "books", "instId": SWAP}}, {"Quiet": 1}),
    Sample("okx", "public", {"event": "notice", "code": "64008", "msg": "closing for an upgrade"}, {"Quiet": 1}),
    Sample("okx", "public", pushed("books", OKX_BOOK, action="snapshot"), {"BookSnapshot": 1}),
    Sample("okx", "public", pushed("books", OKX_BOOK, action="update"), {"BookDiff": 1}),
    Sample("okx", "public", pushed("bbo-tbt", OKX_BOOK), {"BookReading": 1}),
    Sample(
        "okx",
        "public",
        pushed("trades", {"instId": SWAP, "tradeId": "7", "px": "70000", "sz": "10", "side": "sell", "ts": TS}),
        {"Trade": 1},
    ),
    Sample(
        "okx",
        "public",
        {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [OKX_LIQUIDATIONS]},
        {"Liquidation": 2},
    ),
    Sample("okx", "public", pushed("mark-price", {"instId": SWAP, "markPx": "70000", "ts": TS}), {"ScalarReading": 1}),
)
