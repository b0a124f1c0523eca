"""Every recorded payload of OKX through the live parsers: the table says what each file holds, to the item."""

from __future__ import annotations

from typing import Final

import pytest

from margrave.collect.books.checksums import okx
from margrave.collect.books.keeper import Keeper
from margrave.collect.recorded import parse_file
from margrave.collect.stream import BookDiff, BookSnapshot, Trade
from margrave.collect.venues.okx import OKX
from margrave.messages import ChainReading, Contract, ContractKind
from tests.history import needs_data, recorded
from tests.unit.collect.recordings import Counts, counted, files

pytestmark = [needs_data, pytest.mark.data]

FILES: Final[dict[str, Counts]] = {
    "fixtures_nautilus/okx/common_optional_string_to_u64.json": {"unknown_shape": 1},
    "fixtures_nautilus/okx/http_balance_detail_new_fields.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_cancel_algo_order_response.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_get_candlesticks.json": {"BarsReading": 1},
    "fixtures_nautilus/okx/http_get_candlesticks_full.json": {"BarsReading": 1},
    "fixtures_nautilus/okx/http_get_funding_rate_history.json": {"ScalarReading": 2},
    "fixtures_nautilus/okx/http_get_index_price.json": {"ScalarReading": 1},
    "fixtures_nautilus/okx/http_get_instruments_futures.json": {"Contract": 6},
    "fixtures_nautilus/okx/http_get_instruments_margin.json": {"Contract": 4},
    "fixtures_nautilus/okx/http_get_instruments_spot.json": {"Contract": 5},
    "fixtures_nautilus/okx/http_get_mark_price.json": {"ScalarReading": 1},
    "fixtures_nautilus/okx/http_get_option_summary.json": {"ChainReading": 1},
    "fixtures_nautilus/okx/http_get_orders_algo_history.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_get_orders_algo_pending_close_fraction.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_get_orders_history.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_get_orders_pending.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_get_orders_pending_with_attached_tp_sl.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_get_position_tiers.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_get_spreads.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_get_trades.json": {"TradesReading": 1},
    "fixtures_nautilus/okx/http_place_algo_order_rejected.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_place_algo_order_response.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_place_order_response.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_set_position_mode_response.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_transaction_detail.json": {"not_read": 1},
    "fixtures_nautilus/okx/http_transaction_detail_empty_fee.json": {"not_read": 1},
    "fixtures_nautilus/okx/ws_bbo_tbt.json": {"BookReading": 1},
    "fixtures_nautilus/okx/ws_books_update.json": {"BookDiff": 1},
    "fixtures_nautilus/okx/ws_candle.json": {"BarsReading": 1},
    "fixtures_nautilus/okx/ws_funding_rate.json": {"ScalarReading": 1},
    "fixtures_nautilus/okx/ws_orders.json": {"not_read": 1},
    "fixtures_nautilus/okx/ws_orders_adl.json": {"not_read": 1},
    "fixtures_nautilus/okx/ws_orders_algo.json": {"not_read": 1},
    "fixtures_nautilus/okx/ws_orders_fok.json": {"not_read": 1},
    "fixtures_nautilus/okx/ws_orders_ioc.json": {"not_read": 1},
    "fixtures_nautilus/okx/ws_orders_liquidation.json": {"not_read": 1},
    "fixtures_nautilus/okx/ws_sprd_orders.json": {"not_read": 1},
    "fixtures_nautilus/okx/ws_tickers.json": {"BookReading": 1},
    "fixtures_nautilus/okx/ws_trades.json": {"Trade": 1},
    "fixtures_cryptofeed_raw/OKX.0.gz": {"Contract": 7395},
    "fixtures_cryptofeed_raw/OKX.ws.1.0.gz": {
        "Quiet": 18,
        "BookReading": 28,
        "Trade": 74,
        "BookSnapshot": 3,
        "BookDiff": 287,
    },
}
"""`not_read`: an account's own, margin tiers, spreads; `unknown_shape`: a test file that no venue says."""


@pytest.mark.parametrize("path", FILES)
def test_a_recorded_file_gives_what_it_holds_and_nothing_is_skipped(path: str) -> None:
    listed_in = "fixtures_cryptofeed_raw/OKX.0.gz" if ".ws." in path else ""
    assert counted("okx", path, listed_in=listed_in) == FILES[path]


def test_no_recorded_file_is_missing_from_the_table() -> None:
    there = files("fixtures_nautilus/okx", "*") | files("fixtures_cryptofeed_raw", "OKX.*")
    assert there == FILES.keys()


def test_the_books_rebuilt_from_the_stream_verify_every_checksum_that_it_states() -> None:
    """Of before 2023: no numbers, so that the checksums alone hold 287 differences of three books together."""
    listed: dict[str, Contract] = {}
    assert all(parse_file("okx", recorded("fixtures_cryptofeed_raw/OKX.0.gz"), listed=listed))
    (stream,) = OKX.streams
    keepers: dict[str, Keeper] = {}
    for event in parse_file("okx", recorded("fixtures_cryptofeed_raw/OKX.ws.1.0.gz"), listed=listed):
        if isinstance(event, BookSnapshot):
            keepers[event.instrument] = Keeper(stream.sequence, checksum=okx)
            assert keepers[event.instrument].snapshot(event) is None
        elif isinstance(event, BookDiff):
            assert keepers[event.instrument].diff(event) is None
    verified = {name: (k.applied, k.verified) for name, k in keepers.items()}
    assert verified == {"BTC-USD-220527": (99, 99), "UNI-USD-SWAP": (93, 93), "BTC-USDT": (98, 98)}


def test_instruments_tell_kinds_and_how_sizes_are_counted() -> None:
    listed: dict[str, Contract] = {}
    assert all(parse_file("okx", recorded("fixtures_cryptofeed_raw/OKX.0.gz"), listed=listed))
    linear, inverse, option = listed["BTC-USDT-SWAP"], listed["BTC-USD-SWAP"], listed["BTC-USD-220514-22000-C"]
    assert (linear.kind, linear.usd(200, 40_000)) == (ContractKind.PERPETUAL, pytest.approx(200 * 0.01 * 40_000))
    assert (inverse.kind, inverse.usd(3, 40_000)) == (ContractKind.PERPETUAL, 300)
    assert (option.kind, option.unit_coins) == (ContractKind.OPTION, pytest.approx(0.1))
    assert listed["BTC-USD-220527"].kind is ContractKind.FUTURE
    assert listed["BTC-USDT"].kind is ContractKind.SPOT


def test_trades_in_contracts_are_dollars() -> None:
    listed: dict[str, Contract] = {}
    assert all(parse_file("okx", recorded("fixtures_cryptofeed_raw/OKX.0.gz"), listed=listed))
    events = parse_file("okx", recorded("fixtures_cryptofeed_raw/OKX.ws.1.0.gz"), listed=listed)
    first = next(e for e in events if isinstance(e, Trade) and e.instrument == "BTC-USD-220527")
    assert (first.price, first.size_usd, first.buyer_takes) == (30_218.8, 100.0, True), "one contract of 100 dollars"


def test_a_chain_quoted_in_volatilities_is_priced_by_the_formula_it_was_quoted_with() -> None:
    (chain,) = parse_file("okx", recorded("fixtures_nautilus/okx/http_get_option_summary.json"))
    assert isinstance(chain, ChainReading)
    by_terms = {(q.strike, q.is_call): q for q in chain.quotes}
    call, put = by_terms[92_000.0, True], by_terms[92_000.0, False]
    assert (call.mark_iv, call.forward) == (0.455, 97_000)
    for side in ("bid", "ask"):
        parity = getattr(call, side) - getattr(put, side)
        assert parity == pytest.approx(1 - 92_000 / 97_000, abs=1e-12), "puts and calls of one volatility"
    assert call.bid is not None
    assert call.ask is not None
    assert 5_000 / 97_000 < call.bid < call.ask, "above its intrinsic value"
