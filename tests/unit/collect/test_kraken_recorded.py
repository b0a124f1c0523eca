"""Every recorded payload of Kraken through the live parsers: the table says what each file holds, to the item."""

from __future__ import annotations

from typing import Final

import pytest

from margrave.collect.books.checksums import kraken
from margrave.collect.books.keeper import Keeper
from margrave.collect.recorded import parse_file
from margrave.collect.stream import BookDiff, BookSnapshot
from margrave.collect.venues.kraken import KRAKEN
from margrave.messages import Contract
from tests.history import needs_data, recorded
from tests.unit.collect.recordings import Counts, counted, files

pytestmark = [needs_data, pytest.mark.data]

FILES: Final[dict[str, Counts]] = {
    "fixtures_nautilus/kraken/http_asset_pairs.json": {"Contract": 1},
    "fixtures_nautilus/kraken/http_asset_pairs_tokenized.json": {"Contract": 1},
    "fixtures_nautilus/kraken/http_cancel_order_futures.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_cancel_order_spot.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_closed_orders.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_futures_candles_mark.json": {"BarsReading": 1},
    "fixtures_nautilus/kraken/http_futures_candles_spot.json": {"BarsReading": 1},
    "fixtures_nautilus/kraken/http_futures_candles_trade.json": {"BarsReading": 1},
    "fixtures_nautilus/kraken/http_futures_fills.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_futures_instrument_no_fee_schedule.json": {"Contract": 1},
    "fixtures_nautilus/kraken/http_futures_open_orders.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_futures_open_positions.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_futures_order_events.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_futures_order_events_unknown.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_futures_public_executions.json": {"TradesReading": 1},
    "fixtures_nautilus/kraken/http_futures_tickers.json": {"ScalarReading": 8},
    "fixtures_nautilus/kraken/http_ohlc.json": {"BarsReading": 1},
    "fixtures_nautilus/kraken/http_open_orders.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_order_book.json": {"BookReading": 1},
    "fixtures_nautilus/kraken/http_send_order_futures_unknown_trigger.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_spot_open_positions.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_spot_trade_balance.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_system_status.json": {"not_read": 1},
    "fixtures_nautilus/kraken/http_trades.json": {"TradesReading": 1},
    "fixtures_nautilus/kraken/http_trades_history.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_add_order_request.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_add_order_response_success.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_batch_add_request.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_batch_add_response_partial.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_book_snapshot.json": {"BookSnapshot": 1},
    "fixtures_nautilus/kraken/ws_cancel_order_request.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_futures_book_delta.json": {"BookDiff": 1},
    "fixtures_nautilus/kraken/ws_futures_fills_delta.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_futures_fills_snapshot.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_futures_open_orders_cancel.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_futures_open_orders_cancel_post_only.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_futures_open_orders_delta.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_futures_open_orders_snapshot.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_futures_ticker.json": {"ScalarReading": 4},
    "fixtures_nautilus/kraken/ws_futures_trade.json": {"Trade": 1},
    "fixtures_nautilus/kraken/ws_futures_trade_snapshot.json": {"Trade": 2},
    "fixtures_nautilus/kraken/ws_l3_update_add.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_l3_update_delete.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_l3_update_modify_price.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_l3_update_modify_qty.json": {"not_read": 1},
    "fixtures_nautilus/kraken/ws_ohlc_update.json": {"BarsReading": 1},
    "fixtures_nautilus/kraken/ws_pong.json": {"Quiet": 1},
    "fixtures_nautilus/kraken/ws_subscribe_response.json": {"Quiet": 1},
    "fixtures_nautilus/kraken/ws_ticker_snapshot.json": {"BookReading": 1},
    "fixtures_nautilus/kraken/ws_trade_update.json": {"Trade": 2},
    "fixtures_cryptofeed_raw/KRAKEN.0.gz": {"Contract": 304},
    "fixtures_cryptofeed_raw/KRAKEN.ws.48.0.gz": {"Quiet": 41, "Trade": 10},
    "fixtures_cryptofeed_raw/KRAKEN.ws.49.0.gz": {"Quiet": 42, "BookReading": 18},
    "fixtures_cryptofeed_raw/KRAKEN.ws.50.0.gz": {"Quiet": 42, "BookSnapshot": 10, "BookDiff": 4269},
}
"""`not_read`: an account's own, single orders (level3), the venue's status."""


@pytest.mark.parametrize("path", FILES)
def test_a_recorded_file_gives_what_it_holds_and_nothing_is_skipped(path: str) -> None:
    listed_in = "fixtures_cryptofeed_raw/KRAKEN.0.gz" if ".ws." in path else ""
    assert counted("kraken", path, listed_in=listed_in) == FILES[path]


def test_no_recorded_file_is_missing_from_the_table() -> None:
    there = files("fixtures_nautilus/kraken", "*") | files("fixtures_cryptofeed_raw", "KRAKEN.*")
    assert there == FILES.keys()


def test_the_books_rebuilt_from_the_stream_verify_every_checksum_that_it_states() -> None:
    """Ten books of 1,000 levels a side, version 1 of the websocket: every difference states a checksum."""
    spot, _futures = KRAKEN.streams
    keepers: dict[str, Keeper] = {}
    for event in parse_file("kraken", recorded("fixtures_cryptofeed_raw/KRAKEN.ws.50.0.gz")):
        if isinstance(event, BookSnapshot):
            keepers[event.instrument] = Keeper(spot.sequence, checksum=kraken)
            assert keepers[event.instrument].snapshot(event) is None
        elif isinstance(event, BookDiff):
            assert event.checksum is not None
            assert keepers[event.instrument].diff(event) is None, event
    assert len(keepers) == 10
    assert sum(k.verified for k in keepers.values()) == 4269


def test_pairs_tell_the_decimals_that_their_checksums_are_over() -> None:
    listed: dict[str, Contract] = {}
    assert all(parse_file("kraken", recorded("fixtures_cryptofeed_raw/KRAKEN.0.gz"), listed=listed))
    pair = listed["BTC/USD"]
    assert (pair.price_digits, pair.size_digits, pair.trading) == (1, 8, True)
