"""Every recorded payload of Coinbase through the live parsers: the table says what each file holds, to the item."""

from __future__ import annotations

import gzip
from typing import Final

import msgspec
import pytest

from margrave.collect import checks
from margrave.collect.books.keeper import Keeper
from margrave.collect.books.rules import SequenceRule
from margrave.collect.recorded import parse_file, payloads
from margrave.collect.stream import BookDiff, BookSnapshot, Heard, Trade
from margrave.collect.venues.coinbase import COINBASE
from margrave.messages import Contract, ContractKind, Kind, ScalarReading
from tests.history import needs_data, recorded
from tests.unit.collect.recordings import Counts, counted, files

pytestmark = [needs_data, pytest.mark.data]

FILES: Final[dict[str, Counts]] = {
    "fixtures_nautilus/coinbase/http_candles.json": {"BarsReading": 1},
    "fixtures_nautilus/coinbase/http_cfm_balance_summary.json": {"not_read": 1},
    "fixtures_nautilus/coinbase/http_cfm_position.json": {"not_read": 1},
    "fixtures_nautilus/coinbase/http_cfm_positions.json": {"not_read": 1},
    "fixtures_nautilus/coinbase/http_fills.json": {"not_read": 1},
    "fixtures_nautilus/coinbase/http_order.json": {"not_read": 1},
    "fixtures_nautilus/coinbase/http_orders_list.json": {"not_read": 1},
    "fixtures_nautilus/coinbase/http_product.json": {"Contract": 1},
    "fixtures_nautilus/coinbase/http_product_book.json": {"BookReading": 1},
    "fixtures_nautilus/coinbase/http_products.json": {"Contract": 2},
    "fixtures_nautilus/coinbase/http_products_future.json": {"Contract": 2, "ScalarReading": 3},
    "fixtures_nautilus/coinbase/http_ticker.json": {"TradesReading": 1},
    "fixtures_nautilus/coinbase/ws_candles.json": {"Counted": 1, "BarsReading": 1},
    "fixtures_nautilus/coinbase/ws_heartbeats.json": {"Counted": 1, "Quiet": 1},
    "fixtures_nautilus/coinbase/ws_l2_data_update.json": {"Counted": 1, "BookDiff": 1},
    "fixtures_nautilus/coinbase/ws_market_trades.json": {"Counted": 1, "Trade": 2},
    "fixtures_cryptofeed_raw/COINBASE.0.gz": {"Contract": 162},
    "fixtures_cryptofeed_raw/COINBASE.ws.28.0.gz": {"Quiet": 110, "BookSnapshot": 10, "Trade": 107, "BookDiff": 9719},
}
"""`not_read`: an account's own."""


@pytest.mark.parametrize("path", FILES)
def test_a_recorded_file_gives_what_it_holds_and_nothing_is_skipped(path: str) -> None:
    listed_in = "fixtures_cryptofeed_raw/COINBASE.0.gz" if ".ws." in path else ""
    assert counted("coinbase", path, listed_in=listed_in) == FILES[path]


def test_no_recorded_file_is_missing_from_the_table() -> None:
    there = files("fixtures_nautilus/coinbase", "*") | files("fixtures_cryptofeed_raw", "COINBASE.*")
    assert there == FILES.keys()


def test_the_books_rebuilt_from_the_stream_agree_with_the_best_prices_that_its_tickers_state() -> None:
    """Exchange's feed has neither numbers nor sums, but a ticker tells the best bid and ask after each trade. Of 107
    those count that are not older than the book: some told of the last trade before the subscription, one came late."""
    (stream,) = COINBASE.streams
    keepers: dict[str, Keeper] = {}
    begun_ms = 0
    agreed = older = 0
    for payload in payloads(gzip.decompress(recorded("fixtures_cryptofeed_raw/COINBASE.ws.28.0.gz").read_bytes())):
        frame = msgspec.json.decode(payload.body)
        begun_ms = begun_ms or payload.seen_ms
        for event in stream.parse(Heard(source="coinbase", seen_ms=payload.seen_ms), frame):
            if isinstance(event, BookSnapshot):
                keepers[event.instrument] = Keeper(SequenceRule.NONE)
                assert keepers[event.instrument].snapshot(event) is None
            elif isinstance(event, BookDiff):
                assert keepers[event.instrument].diff(event) is None, event
        if frame["type"] == "ticker":
            keeper = keepers[frame["product_id"]]
            if checks.time_ms(frame["time"], "time") < max(keeper.venue_ms, begun_ms):
                older += 1
                continue
            assert keeper.ladder.bids.best == float(frame["best_bid"]), frame
            assert keeper.ladder.asks.best == float(frame["best_ask"]), frame
            agreed += 1
    assert sum(k.applied for k in keepers.values()) == 10 + 9719
    assert (agreed, older) == (98, 9)


def test_a_makers_side_is_turned_into_the_takers() -> None:
    trades = list(parse_file("coinbase", recorded("fixtures_nautilus/coinbase/ws_market_trades.json")))[1:]
    assert [(t.price, t.buyer_takes) for t in trades if isinstance(t, Trade)] == [(68_900.5, False), (68_900.0, True)]


def test_a_perpetual_style_future_gives_index_funding_and_open_interest() -> None:
    items = list(parse_file("coinbase", recorded("fixtures_nautilus/coinbase/http_products_future.json")))
    contracts = {c.instrument: c for c in items if isinstance(c, Contract)}
    assert contracts["BIP-20DEC30-CDE"].kind is ContractKind.PERPETUAL
    assert contracts["BIT-24APR26-CDE"].kind is ContractKind.FUTURE
    assert contracts["BIP-20DEC30-CDE"].usd(3, 68_000) == pytest.approx(3 * 0.01 * 68_000)
    values = {item.kind: item.value for item in items if isinstance(item, ScalarReading)}
    assert values == {
        Kind.INDEX_PRICE: 68_899.882564,
        Kind.FUNDING_8H: pytest.approx(0.000013 * 8),
        Kind.OPEN_INTEREST: pytest.approx(183_283 * 0.01 * 68_930),
    }
