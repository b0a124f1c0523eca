"""Every recorded payload of Binance through the live parsers: the table says what each file holds, to the item."""

from __future__ import annotations

import csv
import gzip
import json
from bisect import bisect_right
from itertools import groupby, pairwise
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from margrave.collect.books.keeper import Keeper
from margrave.collect.recorded import parse_file, payloads
from margrave.collect.source import Asked
from margrave.collect.stream import BookDiff, BookSnapshot, Channel, Heard, Trade
from margrave.collect.venues.binance import BINANCE, endpoints
from margrave.messages import BookReading, Contract, ContractKind, Refusal, TradesReading
from tests.history import needs_data, recorded
from tests.unit.collect.recordings import Counts, counted, files

pytestmark = [needs_data, pytest.mark.data]

COIN_LISTING: Final = "fixtures_cryptofeed_raw/BINANCE_DELIVERY.0.gz"
FILES: Final[dict[str, Counts]] = {
    "fixtures_nautilus/binance/futures/http_json/open_algo_orders.json": {"not_read": 1},
    "fixtures_nautilus/binance/futures/http_json/position_risk.json": {"not_read": 1},
    "fixtures_nautilus/binance/futures/market_data_json/agg_trade_stream.json": {"out_of_range": 1},
    "fixtures_nautilus/binance/futures/market_data_json/kline_stream_closed.json": {"BarsReading": 1},
    "fixtures_nautilus/binance/futures/market_data_json/kline_stream_open.json": {"out_of_range": 1},
    "fixtures_nautilus/binance/futures/market_data_json/liquidation_stream.json": {"Liquidation": 1},
    "fixtures_nautilus/binance/futures/market_data_json/ticker_stream.json": {"Quiet": 1},
    "fixtures_nautilus/binance/futures/market_data_json/trade_stream.json": {"out_of_range": 1},
    "fixtures_nautilus/binance/spot/http_json/all_orders_response.json": {"not_read": 1},
    "fixtures_nautilus/binance/spot/http_json/cancel_open_orders_response.json": {"not_read": 1},
    "fixtures_nautilus/binance/spot/http_json/cancel_order_response.json": {"not_read": 1},
    "fixtures_nautilus/binance/spot/http_json/exchange_info_response.json": {"Contract": 1},
    "fixtures_nautilus/binance/spot/http_json/klines_response.json": {"BarsReading": 1},
    "fixtures_nautilus/binance/spot/http_json/new_order_full_response.json": {"not_read": 1},
    "fixtures_nautilus/binance/spot/http_json/order_response.json": {"not_read": 1},
    "fixtures_nautilus/binance/spot/http_json/server_time_response.json": {"not_read": 1},
    "fixtures_nautilus/binance/spot/http_json/ticker_price_response.json": {"not_read": 1},
    "fixtures_nautilus/binance/spot/http_json/trades_response.json": {"TradesReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_agg_trades.json": {"TradesReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_blvt_nav_kline.json": {"BarsReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_book_ticker.json": {"BookReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_continuous_klines.json": {"BarsReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_depth.json": {"BookReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_exchange_info.json": {"Contract": 3},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_index_info.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_klines.json": {"BarsReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_mark_price_klines.json": {"BarsReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_open_interest.json": {"empty": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_premium_index.json": {"ScalarReading": 3},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_taker_long_short_ratio.json": {"ScalarReading": 2},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_ticker_24hr.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_top_long_short_position_ratio.json": {
        "ScalarReading": 2
    },
    "fixtures_nautilus/py_binance/http_responses/http_futures_market_trades.json": {"TradesReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_wallet_commission_rate_btcusdt.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/http_responses/http_futures_wallet_commission_rate_btcusdt_quarterly.json": {
        "not_read": 1
    },
    "fixtures_nautilus/py_binance/http_responses/http_futures_wallet_commission_rate_ethusdt.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/http_responses/http_spot_market_book_ticker.json": {"BookReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_spot_market_depth.json": {"BookReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_spot_market_exchange_info.json": {"Contract": 2},
    "fixtures_nautilus/py_binance/http_responses/http_spot_market_historical_trades.json": {"TradesReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_spot_market_klines.json": {"BarsReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_spot_market_ping.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/http_responses/http_spot_market_ticker_price.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/http_responses/http_spot_market_trades.json": {"TradesReading": 1},
    "fixtures_nautilus/py_binance/http_responses/http_wallet_trading_fee.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/http_responses/http_wallet_trading_fees.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_algo_update_finished.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_algo_update_finished_canceled.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_algo_update_triggering.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_book_ticker.json": {"BookReading": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_depth_diff_update.json": {"out_of_range": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_depth_update.json": {"BookDiff": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_order_update_adl_filled.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_order_update_liquidation.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_order_update_liquidation_zero_qty.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_order_update_new_limit_if_touched_price_match.json": {
        "not_read": 1
    },
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_order_update_new_price_match.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_order_update_new_reduce_only_qty.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_order_update_new_stop_limit_price_match.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_futures_order_update_settlement.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_agg_trade.json": {"Trade": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_calculated.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_canceled.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_empty_client_id.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_expired.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_new.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_new_limit_if_touched_price_match.json": {
        "not_read": 1
    },
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_new_price_match.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_new_stop_limit_price_match.json": {
        "not_read": 1
    },
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_rejected.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_trade.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_trade_l_zero.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_trade_l_zero_canceled.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_trade_l_zero_expired.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_trade_l_zero_partial.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_execution_report_trade_prevention.json": {"not_read": 1},
    "fixtures_nautilus/py_binance/ws_messages/ws_spot_trade.json": {"Trade": 1},
    "fixtures_cryptofeed_raw/BINANCE.0.gz": {"Contract": 1695},
    "fixtures_cryptofeed_raw/BINANCE.http.0.0.gz": {"BookReading": 4},
    "fixtures_cryptofeed_raw/BINANCE.ws.1.0.gz": {"BookDiff": 177, "BookReading": 84, "Trade": 2, "BarsReading": 2},
    "fixtures_cryptofeed_raw/BINANCE_DELIVERY.0.gz": {"Contract": 36},
    "fixtures_cryptofeed_raw/BINANCE_DELIVERY.http.0.0.gz": {"BookReading": 10},
    "fixtures_cryptofeed_raw/BINANCE_FUTURES.0.gz": {"Contract": 122},
    "fixtures_cryptofeed_raw/BINANCE_FUTURES.http.0.0.gz": {"BookReading": 4},
    "fixtures_cryptofeed_raw/BINANCE_FUTURES.ws.1.0.gz": {
        "BookReading": 613,
        "BookDiff": 764,
        "BarsReading": 67,
        "Trade": 91,
    },
    "l2_raw_ws_binance_2024_08_08/cm_btcusd_perp_20240808.gz": {"BookDiff": 26847, "BookReading": 19137, "Trade": 2286},
    "l2_raw_ws_binance_2024_08_08/spot_btcusdt_20240808.gz": {"BookDiff": 3451, "BookReading": 28041, "Trade": 9757},
    "l2_raw_ws_binance_2024_08_08/spot_ethusdt_20240808.gz": {"BookReading": 24078, "BookDiff": 3434, "Trade": 6106},
    "l2_raw_ws_binance_2024_08_08/usdm_btcusdt_20240808.gz": {"BookDiff": 6551, "BookReading": 66090, "Trade": 21313},
}
"""Refusals: `not_read` is an account's own, a clock, a ping, a last price; `out_of_range` an example of the
documentation whose time is 123456789 and one whose candle opens below its low; `empty` open interest in coins without a
mark."""
COIN_MARGINED: Final = (
    "fixtures_cryptofeed_raw/BINANCE_DELIVERY.http.0.0.gz",
    "l2_raw_ws_binance_2024_08_08/cm_btcusd_perp_20240808.gz",
)
DERIVED: Final = {
    "fixtures_nautilus/data_binance/btcusdt-depth-snap.csv",
    "fixtures_nautilus/data_binance/btcusdt-depth-update.csv",
    "fixtures_nautilus/data_binance/btcusdt-instrument-repr.txt",
    "fixtures_nautilus/data_binance/btcusdt-trades.parquet",
}
"""Tables made of payloads: put back into the venue's form by the tests below; the text file describes an object."""


@pytest.mark.parametrize("path", FILES)
def test_a_recorded_file_gives_what_it_holds_and_nothing_is_skipped(path: str) -> None:
    assert counted("binance", path, listed_in=COIN_LISTING if path in COIN_MARGINED else "") == FILES[path]


def test_no_recorded_file_is_missing_from_the_table() -> None:
    folders = ("fixtures_nautilus/binance", "fixtures_nautilus/py_binance", "l2_raw_ws_binance_2024_08_08")
    there = set[str]().union(*(files(folder, "*") for folder in folders), files("fixtures_cryptofeed_raw", "BINANCE*"))
    assert there == FILES.keys()
    assert files("fixtures_nautilus/data_binance", "*") == DERIVED


def test_coin_margined_books_are_not_valued_before_their_contracts_are_listed() -> None:
    path = recorded(COIN_MARGINED[0])
    unlisted = list(parse_file("binance", path))
    assert [event.reason.value for event in unlisted if isinstance(event, Refusal)] == ["empty"] * 10
    listed: dict[str, Contract] = {}
    assert all(isinstance(event, Contract) for event in parse_file("binance", recorded(COIN_LISTING), listed=listed))
    assert (listed["BTCUSD_PERP"].unit_usd, listed["ETHUSD_PERP"].unit_usd) == (100, 10), "as exchangeInfo says"
    assert listed["BTCUSD_PERP"].kind is ContractKind.PERPETUAL
    assert listed["BTCUSD_211231"].kind is ContractKind.FUTURE
    books = {b.instrument: b for b in parse_file("binance", path, listed=listed) if isinstance(b, BookReading)}
    assert len(books) == 10
    assert books["BCHUSD_PERP"].perpetual
    assert not books["BTCUSD_211231"].perpetual
    first_bids_usd = (169 + 515 + 444) * 10
    assert books["BCHUSD_PERP"].bid_depth_usd > first_bids_usd


@pytest.mark.parametrize("name", ["cm_btcusd_perp", "usdm_btcusdt", "spot_btcusdt", "spot_ethusdt"])
def test_recorded_differences_follow_one_another_by_the_rule_of_their_market(name: str) -> None:
    path = recorded("l2_raw_ws_binance_2024_08_08", f"{name}_20240808.gz")
    diffs = [event for event in parse_file("binance", path) if isinstance(event, BookDiff)]
    assert len(diffs) > 3_000
    gaps = 0
    for before, after in pairwise(diffs):
        follows = after.previous == before.last if after.previous is not None else after.first == before.last + 1
        gaps += not follows
    assert gaps == 0
    assert {diff.perpetual for diff in diffs} == {not name.startswith("spot")}


@pytest.mark.parametrize(
    ("session", "name", "compared"), [("BINANCE", "spot", 159), ("BINANCE_FUTURES", "futures books", 745)]
)
def test_books_begun_by_rest_show_what_the_best_prices_say(session: str, name: str, compared: int) -> None:
    """Four books a session through the live parsers: differences heard while the answer was fetched are laid over it,
    and after each message the book shows the last bookTicker at or before its number."""
    (stream,) = [s for s in BINANCE.streams if s.name == name]
    assert stream.read_snapshot is not None
    folder = recorded("fixtures_cryptofeed_raw")
    log = [
        payload
        for part in ("ws.1.0", "http.0.0")
        for payload in payloads(gzip.decompress((folder / f"{session}.{part}.gz").read_bytes()))
    ]
    keepers: dict[str, Keeper] = {}
    shown: list[tuple[str, int, tuple[float | None, ...]]] = []
    said: dict[str, list[tuple[int, tuple[float, ...]]]] = {}
    for payload in sorted(log, key=lambda one: one.seen_ms):
        heard, body = Heard("binance", payload.seen_ms), json.loads(payload.body)
        symbol = body["data"]["s"] if "data" in body else parse_qs(urlsplit(payload.url).query)["symbol"][0]
        keeper = keepers.setdefault(symbol, Keeper(stream.sequence, by_rest=True))
        applied = keeper.applied
        if "data" not in body:
            channel = Channel("book", symbol, symbol, perpetual=stream.futures_host)
            assert keeper.snapshot(stream.read_snapshot(heard, channel, body)) is None
        elif "B" in body["data"]:
            best = tuple(float(body["data"][key]) for key in "bBaA")
            said.setdefault(symbol, []).append((body["data"]["u"], best))
        else:
            diffs = [event for event in stream.parse(heard, body) if isinstance(event, BookDiff)]
            assert [keeper.diff(diff) for diff in diffs] == [None] * len(diffs)
        if keeper.applied > applied:
            bids, asks = keeper.ladder.bids, keeper.ladder.asks
            touch = (bids.best, bids.sizes.get(bids.best or 0), asks.best, asks.sizes.get(asks.best or 0))
            shown.append((symbol, keeper.sequence, touch))
    agreed = 0
    for symbol, number, touch in shown:
        tickers = said.get(symbol, [])
        at = bisect_right([u for u, _ in tickers], number)
        if at:
            assert touch == tickers[at - 1][1], f"{symbol} after update {number}"
            agreed += 1
    assert len(keepers) == 4
    assert agreed == compared


def test_contracts_of_a_coin_margined_trade_are_dollars() -> None:
    listed: dict[str, Contract] = {}
    list(parse_file("binance", recorded(COIN_LISTING), listed=listed))
    trades = [e for e in parse_file("binance", recorded(COIN_MARGINED[1]), listed=listed) if isinstance(e, Trade)]
    assert len(trades) == 2_286
    assert all(trade.size_usd % 100 == 0 and trade.perpetual for trade in trades)


def rows(name: str) -> list[dict[str, str]]:
    with recorded("fixtures_nautilus", "data_binance", name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_of_half_a_snapshot_is_half_a_book_and_no_reading() -> None:
    table = rows("btcusdt-depth-snap.csv")
    sides = {side: [[r["price"], r["qty"]] for r in table if r["side"] == side] for side in "ba"}
    body = {
        "lastUpdateId": int(table[0]["last_update_id"]),
        "E": int(table[0]["timestamp"]),
        "bids": sides["b"],
        "asks": sides["a"],
    }
    (stream,) = [s for s in BINANCE.streams if s.name == "futures books"]
    assert stream.read_snapshot is not None
    channel = Channel("book", "BTCUSDT", "BTC", perpetual=True)
    book = stream.read_snapshot(Heard("binance", 0, {"BTCUSDT": "BTC"}), channel, body)
    assert isinstance(book, BookSnapshot)
    assert (book.sequence, len(book.bids), len(book.asks)) == (2_098_021_528_332, len(table), 0)
    asked = Asked("binance", "BTC", "BTCUSDT", 1, perpetual=True)
    (refusal,) = BINANCE.read(endpoints.FUTURES_DEPTH, asked, msgspec.json.encode(body))
    assert isinstance(refusal, Refusal)
    assert refusal.detail.startswith("asks"), "the table holds the bids alone, and half a book is none"


def test_a_table_of_updates_is_the_differences_that_it_was_made_of() -> None:
    table = rows("btcusdt-depth-update.csv")
    (stream,) = [s for s in BINANCE.streams if s.name == "futures books"]
    held, levels = None, 0
    for _, group in groupby(table, key=lambda r: r["last_update_id"]):
        some = list(group)
        frame = {
            "e": "depthUpdate",
            "E": int(some[0]["timestamp"]),
            "s": some[0]["symbol"],
            "U": int(some[0]["first_update_id"]),
            "u": int(some[0]["last_update_id"]),
            "pu": int(some[0]["pu"]),
            "b": [[r["price"], r["qty"]] for r in some if r["side"] == "b"],
            "a": [[r["price"], r["qty"]] for r in some if r["side"] == "a"],
        }
        (diff,) = stream.parse(Heard("binance", 0), frame)
        assert isinstance(diff, BookDiff)
        assert held in (None, diff.previous)
        held, levels = diff.last, levels + len(diff.bids) + len(diff.asks)
    assert levels == len(table)


def test_a_table_of_trades_is_one_reading_of_them() -> None:
    pandas = pytest.importorskip("pandas", reason="the extra `lab` reads Parquet")
    table = pandas.read_parquet(recorded("fixtures_nautilus", "data_binance", "btcusdt-trades.parquet")).head(1000)
    body = [
        {
            "id": int(row["trade_id"]),
            "price": str(row["price"]),
            "qty": str(row["quantity"]),
            "time": int(row["timestamp"].timestamp() * 1000),
            "isBuyerMaker": row["buyer_maker"] == "True",
        }
        for row in table.reset_index().to_dict("records")
    ]
    asked = Asked("binance", "BTC", "BTCUSDT", 1_700_000_000_000)
    (reading,) = BINANCE.read(endpoints.SPOT_TRADES, asked, msgspec.json.encode(body))
    assert isinstance(reading, TradesReading)
    assert (reading.count, reading.low, reading.high) == (len(table), table["price"].min(), table["price"].max())
    bought = table["buyer_maker"] == "False"
    assert reading.buy_usd == pytest.approx(float((table["price"] * table["quantity"])[bought].sum()))
    assert reading.buy_usd + reading.sell_usd == pytest.approx(float((table["price"] * table["quantity"]).sum()))
