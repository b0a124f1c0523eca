"""Every recorded payload of Bybit through the live parsers: the table says what each file holds, to the item."""

from __future__ import annotations

from typing import Final

import pytest

from margrave.collect.books.keeper import Keeper
from margrave.collect.books.rules import SequenceRule
from margrave.collect.recorded import parse_file
from margrave.collect.stream import BookDiff, BookSnapshot
from margrave.messages import Contract
from tests.history import needs_data, recorded
from tests.unit.collect.recordings import Counts, counted, files

pytestmark = [needs_data, pytest.mark.data]

FILES: Final[dict[str, Counts]] = {
    "fixtures_nautilus/bybit/http_get_executions.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_fee_rate.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_instruments_inverse_symbol_type.json": {"Contract": 1},
    "fixtures_nautilus/bybit/http_get_instruments_linear.json": {"Contract": 2},
    "fixtures_nautilus/bybit/http_get_instruments_linear_symbol_type.json": {"Contract": 1},
    "fixtures_nautilus/bybit/http_get_instruments_option_symbol_id.json": {"Contract": 1},
    "fixtures_nautilus/bybit/http_get_instruments_spot.json": {"Contract": 2},
    "fixtures_nautilus/bybit/http_get_instruments_spot_xstocks.json": {"Contract": 1},
    "fixtures_nautilus/bybit/http_get_orders_history_with_duplicate.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_orders_realtime_tp_sl.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_positions_with_open_time.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_trades_recent.json": {"TradesReading": 1},
    "fixtures_nautilus/bybit/http_get_user_escrow_sub_members.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_user_query_api.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_user_sub_members.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_user_sub_members_paged.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_wallet_balance.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_wallet_balance_spot_short.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_get_wallet_balance_with_spot_borrow.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_post_user_update_master_api.json": {"not_read": 1},
    "fixtures_nautilus/bybit/http_post_user_update_sub_api.json": {"not_read": 1},
    "fixtures_nautilus/bybit/ws_auth_failure.json": {"venue_error": 1},
    "fixtures_nautilus/bybit/ws_auth_success.json": {"Quiet": 1},
    "fixtures_nautilus/bybit/ws_kline.json": {"BarsReading": 1},
    "fixtures_nautilus/bybit/ws_orderbook_snapshot.json": {"BookSnapshot": 1},
    "fixtures_nautilus/bybit/ws_public_trade.json": {"Trade": 1},
    "fixtures_nautilus/bybit/ws_subscription_ack.json": {"Quiet": 1},
    "fixtures_nautilus/bybit/ws_subscription_failure.json": {"venue_error": 1},
    "fixtures_nautilus/bybit/ws_ticker_linear.json": {"ScalarReading": 4},
    "fixtures_cryptofeed_raw/BYBIT.0.gz": {"Contract": 15},
    "fixtures_cryptofeed_raw/BYBIT.ws.25.0.gz": {"Trade": 101, "Quiet": 16, "BookSnapshot": 8, "BookDiff": 3252},
}
"""`not_read`: an account's own; `venue_error`: the venue's own words to a bad key and a bad topic."""


@pytest.mark.parametrize("path", FILES)
def test_a_recorded_file_gives_what_it_holds_and_nothing_is_skipped(path: str) -> None:
    listed_in = "fixtures_cryptofeed_raw/BYBIT.0.gz" if ".ws." in path else ""
    assert counted("bybit", path, listed_in=listed_in) == FILES[path]


def test_no_recorded_file_is_missing_from_the_table() -> None:
    there = files("fixtures_nautilus/bybit", "*") | files("fixtures_cryptofeed_raw", "BYBIT.*")
    assert there == FILES.keys()


def test_the_books_rebuilt_from_the_stream_are_never_crossed() -> None:
    """Of before v5: 25 levels a side that never part, whatever was inserted, changed and deleted."""
    listed: dict[str, Contract] = {}
    assert all(parse_file("bybit", recorded("fixtures_cryptofeed_raw/BYBIT.0.gz"), listed=listed))
    keepers: dict[str, Keeper] = {}
    for event in parse_file("bybit", recorded("fixtures_cryptofeed_raw/BYBIT.ws.25.0.gz"), listed=listed):
        if isinstance(event, BookSnapshot):
            keepers[event.instrument] = Keeper(SequenceRule.NONE)
            assert keepers[event.instrument].snapshot(event) is None
        elif isinstance(event, BookDiff):
            keeper = keepers[event.instrument]
            assert keeper.diff(event) is None, event
            assert (len(keeper.ladder.bids.sizes), len(keeper.ladder.asks.sizes)) == (25, 25)
    assert sum(k.applied for k in keepers.values()) == 8 + 3252
