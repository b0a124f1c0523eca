"""What the pushes of OKX, Bybit and Kraken mean: who took, who was liquidated, what follows what, what a unit is."""

from __future__ import annotations

import msgspec
import pytest

from margrave.collect.books import checksums
from margrave.collect.books.keeper import Keeper
from margrave.collect.books.rules import Resync, SequenceRule
from margrave.collect.source import Trouble, VenueTrouble
from margrave.collect.stream import (
    BookDiff,
    BookSnapshot,
    Channel,
    Event,
    Heard,
    Liquidation,
    Quiet,
    Stream,
    Trade,
)
from margrave.collect.venues import VENUES
from margrave.errors import Rejected
from margrave.messages import Contract, ContractKind, Kind, ScalarReading
from margrave.settings import Instruments
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS, answer, values
from tests.unit.collect.samples import bybit, kraken, okx
from tests.unit.collect.samples.sample import NOW_S

NAMES = Instruments(spot="BTC-USDT", perpetual="BTC-USDT-SWAP")


def stream_of(venue: str, name: str) -> Stream:
    return next(s for s in VENUES[venue].streams if s.name == name)


def parsed(venue: str, name: str, frame: object, *contracts: Contract, only: str = "") -> list[Event]:
    listed = {c.instrument: c for c in contracts}
    heard = Heard(source=venue, seen_ms=NOW_MS, market_of={only: "BTC"} if only else {}, contracts=listed)
    return list(stream_of(venue, name).parse(heard, frame))


def contract(venue: str, name: str, **how: object) -> Contract:
    known = {"source": venue, "instrument": name, "seen_time_ms": NOW_MS, "kind": ContractKind.PERPETUAL}
    return msgspec.convert(known | how, Contract)


# --- OKX ------------------------------------------------------------------------------------------------------------


def test_okx_is_asked_for_books_and_trades_by_name_and_for_liquidations_of_all_swaps_once() -> None:
    stream = stream_of("okx", "public")
    channels = [*stream.channels("BTC", NAMES), Channel("liquidations", "ETH-USDT-SWAP", "ETH", True)]
    (message,) = stream.subscribe(channels)
    assert msgspec.json.decode(message) == {
        "op": "subscribe",
        "args": [
            {"channel": "books", "instId": "BTC-USDT"},
            {"channel": "trades", "instId": "BTC-USDT"},
            {"channel": "books", "instId": "BTC-USDT-SWAP"},
            {"channel": "trades", "instId": "BTC-USDT-SWAP"},
            {"channel": "liquidation-orders", "instType": "SWAP"},
        ],
    }


def test_okx_liquidations_are_told_by_the_positions_side_and_in_net_mode_by_the_orders() -> None:
    frame = {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [okx.OKX_LIQUIDATIONS]}
    found = [e for e in parsed("okx", "public", frame) if isinstance(e, Liquidation)]
    assert [(e.long, e.size_usd) for e in found] == [(True, pytest.approx(69_000)), (False, pytest.approx(35_500))]


def test_okx_liquidations_of_swaps_that_are_not_watched_are_read_and_of_no_further_use() -> None:
    frame = {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [okx.OKX_LIQUIDATIONS]}
    assert parsed("okx", "public", frame, only="ETH-USDT-SWAP") == [Quiet(why="another instrument")]


def test_okx_contracts_are_counted_as_listed_and_not_guessed() -> None:
    row = {"instId": "BTC-USD-SWAP", "tradeId": "7", "px": "70000", "sz": "3", "side": "buy", "ts": okx.TS}
    frame = okx.pushed("trades", row, name="BTC-USD-SWAP")
    (trade,) = parsed("okx", "public", frame, contract("okx", "BTC-USD-SWAP", unit_coins=None, unit_usd=100.0))
    assert isinstance(trade, Trade)
    assert (trade.size_usd, trade.buyer_takes, trade.perpetual) == (300.0, True, True)
    with pytest.raises(Rejected, match="contract size of BTC-USD-SWAP is not known"):
        parsed("okx", "public", frame)


def test_an_okx_book_follows_by_the_number_before_and_a_gap_costs_it() -> None:
    keeper = Keeper(SequenceRule.PREVIOUS)
    (whole,) = parsed("okx", "public", okx.pushed("books", okx.OKX_BOOK | {"checksum": ""}, action="snapshot"))
    assert isinstance(whole, BookSnapshot)
    assert (whole.sequence, whole.unit, whole.depth) == (10, 0.01, 400)
    assert keeper.snapshot(whole) is None
    for previous, number, expected in ((10, 15, None), (15, 15, None), (15, 12, None), (40, 41, Resync.GAP)):
        body = okx.OKX_BOOK | {"checksum": None, "prevSeqId": previous, "seqId": number}
        (diff,) = parsed("okx", "public", okx.pushed("books", body, action="update"))
        assert isinstance(diff, BookDiff)
        assert keeper.diff(diff) is expected


@pytest.mark.parametrize(
    ("frame", "trouble"),
    [
        ({"event": "error", "code": "60014", "msg": "Requests too frequent"}, Trouble.RATE_LIMITED),
        ({"event": "error", "code": "50001", "msg": "Service temporarily unavailable"}, Trouble.MAINTENANCE),
    ],
)
def test_okx_says_over_the_socket_when_it_wants_to_be_left_alone(frame: object, trouble: Trouble) -> None:
    with pytest.raises(VenueTrouble) as caught:
        parsed("okx", "public", frame)
    assert caught.value.trouble is trouble


def test_a_bad_okx_subscription_is_the_venues_error() -> None:
    with pytest.raises(Rejected) as caught:
        parsed("okx", "public", {"event": "error", "code": "60012", "msg": "Invalid request"})
    assert caught.value.reason is Rejection.VENUE_ERROR


def test_okx_funding_that_was_settled_is_scaled_by_the_time_between_settlements() -> None:
    rows = [
        {
            "instId": okx.SWAP,
            "fundingRate": "0.0002",
            "realizedRate": "0.0001",
            "fundingTime": str(NOW_MS - i * HOUR_MS * 4),
        }
        for i in range(3)
    ]
    items = answer("okx", "funding-rate-history", okx.okx(*rows), instrument=okx.SWAP, perpetual=True)
    readings = [item for item in items if isinstance(item, ScalarReading)]
    assert [r.venue_time_ms for r in readings] == [NOW_MS - 8 * HOUR_MS, NOW_MS - 4 * HOUR_MS, NOW_MS]
    assert [r.value for r in readings] == [pytest.approx(0.0002)] * 3


# --- Bybit ----------------------------------------------------------------------------------------------------------


def test_bybits_liquidation_names_the_side_of_the_position() -> None:
    row = {"T": NOW_MS, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "69000"}
    (found,) = parsed("bybit", "linear", bybit.topic("allLiquidation.BTCUSDT", [row]))
    assert found == Liquidation(instrument="BTCUSDT", venue_ms=NOW_MS, long=True, price=69_000.0, size_usd=34_500.0)


def test_bybits_trade_names_the_side_of_the_taker() -> None:
    row = {"T": NOW_MS, "s": "BTCUSDT", "S": "Sell", "v": "0.5", "p": "70000", "i": "x"}
    (found,) = parsed("bybit", "linear", bybit.topic("publicTrade.BTCUSDT", [row]))
    assert isinstance(found, Trade)
    assert (found.size_usd, found.buyer_takes, found.perpetual) == (35_000.0, False, True)
    (spot,) = parsed("bybit", "spot", bybit.topic("publicTrade.BTCUSDT", [row]))
    assert isinstance(spot, Trade)
    assert not spot.perpetual


def test_bybits_inverse_sizes_are_dollars() -> None:
    body = bybit.bybit({"s": "BTCUSD", "b": [["70000", "500"]], "a": [["70001", "300"]], "ts": NOW_MS})
    (book,) = answer("bybit", "orderbook", body, instrument="BTCUSD", perpetual=True)
    assert (book.bid_depth_usd, book.ask_depth_usd) == (500, 300)  # type: ignore[union-attr]


def test_a_bybit_book_numbered_one_is_whole_because_the_service_was_restarted() -> None:
    data = {"s": "BTCUSDT", "b": [["70000", "1"]], "a": [["70001", "2"]], "u": 1, "seq": 6}
    (found,) = parsed("bybit", "linear", bybit.topic("orderbook.200.BTCUSDT", data, "delta"))
    assert isinstance(found, BookSnapshot)
    assert (found.sequence, found.depth) == (1, 200)


def test_a_rate_without_its_period_is_not_scaled_by_a_guess() -> None:
    data = {"symbol": "BTCUSDT", "markPrice": "70000", "fundingRate": "0.0001"}
    items = parsed("bybit", "linear", bybit.topic("tickers.BTCUSDT", data, "delta"))
    assert [(i.kind, i.value) for i in items if isinstance(i, ScalarReading)] == [(Kind.MARK_PRICE, 70_000.0)]


def test_bybit_takes_ten_topics_a_message() -> None:
    stream = stream_of("bybit", "spot")
    wanted = [Channel("trades", f"C{i}USDT", "M", perpetual=False) for i in range(23)]
    messages = [msgspec.json.decode(m)["args"] for m in stream.subscribe(wanted)]
    assert [len(m) for m in messages] == [10, 10, 3]


# --- Kraken ---------------------------------------------------------------------------------------------------------

ASKS = "45285.2:0.00100000 45286.4:1.54571953 45286.6:1.54571109 45289.6:1.54560911 45290.2:0.15890660 "
ASKS += "45291.8:1.54553491 45294.7:0.04454749 45296.1:0.35380000 45297.5:0.09945542 45299.5:0.18772827"
BIDS = "45283.5:0.10000000 45283.4:1.54582015 45282.1:0.10000000 45281.0:0.10000000 45280.3:1.54592586 "
BIDS += "45279.0:0.07990000 45277.6:0.03310103 45277.5:0.30000000 45277.3:1.54602737 45276.6:0.15445238"


def v2_levels(text: str) -> list[dict[str, float]]:
    """As JSON numbers, which lose their zeros."""
    return [{"price": float(price), "qty": float(size)} for price, size in (row.split(":") for row in text.split())]


def test_krakens_documented_book_verifies_by_the_decimals_that_its_pair_lists() -> None:
    """The example of "Book checksum (v2)": 3310070434."""
    data = {"symbol": "BTC/USD", "bids": v2_levels(BIDS), "asks": v2_levels(ASKS), "checksum": 3_310_070_434}
    pair = contract("kraken", "BTC/USD", kind="spot", price_digits=1, size_digits=8)
    (whole,) = parsed("kraken", "spot", kraken.v2("book", data, kind="snapshot"), pair)
    assert isinstance(whole, BookSnapshot)
    keeper = Keeper(SequenceRule.CHECKSUM, checksum=checksums.kraken)
    assert keeper.snapshot(whole) is None
    assert keeper.verified == 1
    (wrong,) = parsed("kraken", "spot", kraken.v2("book", data | {"checksum": 1}, kind="snapshot"), pair)
    assert isinstance(wrong, BookSnapshot)
    assert Keeper(SequenceRule.CHECKSUM, checksum=checksums.kraken).snapshot(wrong) is Resync.CHECKSUM


def test_a_sum_over_text_that_cannot_be_written_again_is_not_compared() -> None:
    data = {"symbol": "BTC/USD", "bids": v2_levels(BIDS), "asks": v2_levels(ASKS), "checksum": 1}
    (whole,) = parsed("kraken", "spot", kraken.v2("book", data, kind="snapshot"))
    assert isinstance(whole, BookSnapshot)
    assert whole.checksum is None


@pytest.mark.parametrize(
    ("pair", "symbol"), [("XBTUSD", "BTC/USD"), ("ETHUSDT", "ETH/USDT"), ("XDGEUR", "DOGE/EUR"), ("ETHXBT", "ETH/BTC")]
)
def test_krakens_pairs_are_named_as_the_websocket_names_them(pair: str, symbol: str) -> None:
    listed = {"altname": pair, "base": "X", "pair_decimals": 1, "lot_decimals": 8}
    for more in ({}, {"wsname": symbol.replace("BTC", "XBT").replace("DOGE", "XDG")}):
        (found,) = answer("kraken", "AssetPairs", kraken.kraken("X", listed | more), instrument=pair)
        assert isinstance(found, Contract)
        assert found.instrument == symbol


@pytest.mark.parametrize(("side", "long"), [("sell", True), ("buy", False)])
def test_a_kraken_trade_that_closed_a_position_by_force_is_a_liquidation_too(side: str, long: bool) -> None:
    trade, closed = parsed("kraken", "futures", kraken.PF | {"side": side, "type": "liquidation", "seq": 9})
    assert isinstance(trade, Trade)
    assert isinstance(closed, Liquidation)
    assert (closed.long, closed.size_usd, trade.buyer_takes) == (long, 140_000.0, not long)


def test_krakens_inverse_sizes_are_dollars() -> None:
    frame = kraken.PF | {"product_id": "PI_XBTUSD", "qty": 15_000, "side": "buy", "type": "fill"}
    (trade,) = parsed("kraken", "futures", frame)
    assert isinstance(trade, Trade)
    assert (trade.size_usd, trade.perpetual) == (15_000.0, True)


def test_krakens_futures_books_are_numbered_one_by_one() -> None:
    keeper = Keeper(SequenceRule.NEXT)
    level = {"feed": "book", "product_id": "PF_XBTUSD", "timestamp": NOW_MS, "price": 70_001, "qty": 9, "side": "sell"}
    whole = {
        "feed": "book_snapshot",
        "product_id": "PF_XBTUSD",
        "timestamp": NOW_MS,
        "seq": 7,
        "bids": [{"price": 70_000, "qty": 5}],
        "asks": [{"price": 70_001, "qty": 6}],
    }
    (first,) = parsed("kraken", "futures", whole)
    assert isinstance(first, BookSnapshot)
    assert keeper.snapshot(first) is None
    for number, expected in ((8, None), (8, None), (10, Resync.GAP)):
        (diff,) = parsed("kraken", "futures", level | {"seq": number})
        assert isinstance(diff, BookDiff)
        assert keeper.diff(diff) is expected
    assert keeper.repeats == 1


def test_krakens_hourly_rate_is_scaled_to_eight_hours_and_suspended_contracts_say_nothing() -> None:
    ticker = {
        "feed": "ticker",
        "product_id": "PI_XBTUSD",
        "time": NOW_MS,
        "markPrice": 21_979.7,
        "index": 21_984.5,
        "relative_funding_rate": -1.380384722222e-6,
        "openInterest": 30_072_580.0,
    }
    found = {i.kind: i.value for i in parsed("kraken", "futures", ticker) if isinstance(i, ScalarReading)}
    assert found[Kind.FUNDING_8H] == pytest.approx(-1.380384722222e-6 * 8)
    assert found[Kind.OPEN_INTEREST] == 30_072_580.0, "inverse: dollars"
    with pytest.raises(Rejected, match="suspended"):
        parsed("kraken", "futures", ticker | {"suspended": True})


def test_a_kraken_subscription_that_failed_is_the_venues_error_in_all_three_dialects() -> None:
    for name, frame in (
        ("spot", {"method": "subscribe", "success": False, "error": "Currency pair not supported BTC/XXX"}),
        ("spot", {"event": "subscriptionStatus", "status": "error", "errorMessage": "Currency pair not supported"}),
        ("futures", {"event": "error", "message": "Invalid product id"}),
    ):
        with pytest.raises(Rejected) as caught:
            parsed("kraken", name, frame)
        assert caught.value.reason is Rejection.VENUE_ERROR


def test_kraken_trades_of_one_answer_are_summed_by_who_took() -> None:
    rows = [["70000", "0.5", NOW_S - 0.25, "b", "l", "", 9], ["70010", "0.25", NOW_S, "s", "m", "", 10]]
    (reading,) = answer("kraken", "Trades", kraken.kraken("XXBTZUSD", rows), instrument="XBTUSD")
    assert (reading.buy_usd, reading.sell_usd, reading.count) == (35_000.0, 17_502.5, 2)  # type: ignore[union-attr]


def test_kraken_funding_history_is_hourly() -> None:
    body = {"rates": [{"timestamp": "2026-02-05T14:00:00Z", "fundingRate": 0.7, "relativeFundingRate": 0.00001}]}
    assert values(answer("kraken", "historical-funding-rates", body)) == {Kind.FUNDING_8H: pytest.approx(0.00008)}
