from __future__ import annotations

import json

import pytest

from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Trouble, VenueTrouble
from margrave.collect.stream import BookDiff, BookSnapshot, Event, Heard, Liquidation, Quiet, Stream, Trade
from margrave.collect.venues.binance import BINANCE
from margrave.collect.venues.binance.stream import family_of
from margrave.errors import Rejected
from margrave.messages import BarsReading, BookReading, Kind, Refusal, ScalarReading
from margrave.settings import Instruments
from margrave.verdicts import Rejection
from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples import binance

STREAMS = {stream.name: stream for stream in BINANCE.streams}
SPOT, BOOKS, FLOWS, COIN = (STREAMS[n] for n in ("spot", "futures books", "futures flows", "coin-margined"))
MARKET_OF = {"BTCUSDT": "BTC", "BTCUSD_PERP": "BTC"}
CONTRACTS = {binance.COIN.instrument: binance.COIN}
DIFF = {"e": "depthUpdate", "E": NOW_MS, "s": "BTCUSDT", "U": 5, "u": 7, "b": [["70000", "1"]], "a": [["70001", "0"]]}


def heard(stream: Stream, frame: object) -> tuple[Event, ...]:
    return tuple(stream.parse(Heard("binance", NOW_MS, MARKET_OF, contracts=CONTRACTS), frame))


def asked_of(stream: Stream, **names: str) -> list[str]:
    channels = tuple(stream.channels("BTC", Instruments(**names)))
    return [name for message in stream.subscribe(channels) for name in json.loads(message)["params"]]


def test_each_host_and_path_is_a_socket_of_its_own_with_its_own_channels() -> None:
    linear = {"spot": "BTCUSDT", "perpetual": "BTCUSDT"}
    assert asked_of(SPOT, **linear) == ["btcusdt@depth@100ms", "btcusdt@aggTrade"]
    assert asked_of(BOOKS, **linear) == ["btcusdt@depth@100ms"]
    assert asked_of(FLOWS, **linear) == ["btcusdt@aggTrade", "btcusdt@forceOrder"]
    assert asked_of(COIN, **linear) == []
    inverse = {"perpetual": "BTCUSD_PERP"}
    assert asked_of(COIN, **inverse) == ["btcusd_perp@depth@100ms", "btcusd_perp@aggTrade", "btcusd_perp@forceOrder"]
    assert asked_of(BOOKS, **inverse) == asked_of(FLOWS, **inverse) == asked_of(SPOT, **inverse) == []
    assert (SPOT.path, BOOKS.path, FLOWS.path) == ("/stream", "/public/stream", "/market/stream")
    assert not SPOT.futures_host
    assert all(stream.futures_host for stream in (BOOKS, FLOWS, COIN))


def test_books_are_begun_by_rest_and_go_on_by_the_rule_of_their_market() -> None:
    rules = {stream.name: stream.sequence for stream in BINANCE.streams}
    assert rules == {
        "spot": SequenceRule.SPAN,
        "futures books": SequenceRule.PREVIOUS,
        "futures flows": SequenceRule.NONE,
        "coin-margined": SequenceRule.PREVIOUS,
    }
    for stream, path in ((SPOT, "/api/v3/depth"), (BOOKS, "/fapi/v1/depth"), (COIN, "/dapi/v1/depth")):
        names = Instruments(spot="BTCUSDT", perpetual="BTCUSD_PERP" if stream is COIN else "BTCUSDT")
        channel = next(iter(stream.channels("BTC", names)))
        assert stream.snapshot is not None
        request = stream.snapshot(channel)
        assert (request.path, request.params["limit"], request.futures_host) == (path, 1000, stream is not SPOT)


def test_a_spot_difference_spans_numbers_and_a_futures_difference_names_the_one_before() -> None:
    assert heard(SPOT, {"stream": "btcusdt@depth@100ms", "data": DIFF}) == (
        BookDiff("BTCUSDT", False, NOW_MS, 5, 7, None, [(70_000.0, 1.0)], [(70_001.0, 0.0)]),
    )
    (diff,) = heard(BOOKS, {**DIFF, "T": NOW_MS - 3, "pu": 4})
    assert isinstance(diff, BookDiff)
    assert (diff.perpetual, diff.venue_ms, diff.previous) == (True, NOW_MS - 3, 4)


def test_a_rest_answer_is_the_snapshot_in_the_units_of_its_market() -> None:
    body = {"lastUpdateId": 9, "E": NOW_MS, "bids": [["70000", "3"]], "asks": [["70001", "4"]]}
    heard_of = Heard("binance", NOW_MS, MARKET_OF, contracts=CONTRACTS)
    for stream, perpetual, name, unit in (
        (BOOKS, "BTCUSDT", "BTCUSDT", 1.0),
        (COIN, "BTCUSD_PERP", "BTCUSD_PERP", 100.0),
    ):
        channel = next(iter(stream.channels("BTC", Instruments(perpetual=perpetual))))
        assert stream.read_snapshot is not None
        book = stream.read_snapshot(heard_of, channel, body)
        assert (book.instrument, book.sequence, book.unit) == (name, 9, unit)
        assert book.sizes_in_usd is (stream is COIN)
        with pytest.raises(Rejected):
            stream.read_snapshot(heard_of, channel, {**body, "symbol": "ETHUSDT"})
    assert COIN.read_snapshot is not None
    with pytest.raises(Rejected, match="exchangeInfo"):
        COIN.read_snapshot(Heard("binance", NOW_MS, MARKET_OF), channel, body)


def test_a_book_of_few_levels_is_whole() -> None:
    data = {"lastUpdateId": 9, "bids": [["9", "1"]], "asks": [["10", "1"]]}
    (book,) = heard(SPOT, {"stream": "btcusdt@depth20@100ms", "data": data})
    assert isinstance(book, BookSnapshot)
    assert (book.instrument, book.sequence, book.venue_ms) == ("BTCUSDT", 9, NOW_MS)
    (futures,) = heard(BOOKS, {"stream": "btcusdt@depth5@500ms", "data": {**DIFF, "T": NOW_MS - 1, "pu": 4}})
    assert isinstance(futures, BookSnapshot)
    assert (futures.sequence, futures.venue_ms) == (7, NOW_MS - 1)


TRADE = {"e": "aggTrade", "E": NOW_MS, "s": "BTCUSDT", "a": 12, "p": "70000.5", "q": "2", "T": NOW_MS - 1, "m": True}


def test_trades_say_who_took_and_how_many_dollars() -> None:
    assert heard(SPOT, TRADE) == (Trade("BTCUSDT", False, NOW_MS - 1, 70_000.5, 140_001.0, False, "12"),)
    (inverse,) = heard(COIN, {**TRADE, "s": "BTCUSD_PERP", "m": False})
    assert isinstance(inverse, Trade)
    assert (inverse.size_usd, inverse.buyer_takes, inverse.perpetual) == (200.0, True, True)


def test_a_force_order_is_a_position_closed_by_force() -> None:
    order = {"s": "BTCUSDT", "S": "SELL", "q": "0.014", "p": "9910", "ap": "9900", "z": "0.01", "T": NOW_MS, "X": "NEW"}
    (closed,) = heard(FLOWS, {"e": "forceOrder", "E": NOW_MS, "o": order})
    assert closed == Liquidation("BTCUSDT", NOW_MS, True, 9_900.0, 99.0)
    events = heard(FLOWS, [{"e": "forceOrder", "o": order}, {"e": "forceOrder", "o": {**order, "ap": "0", "p": "0"}}])
    assert [type(event) for event in events] == [Liquidation, Refusal]


def test_marks_candles_and_best_prices_are_readings() -> None:
    mark = {"e": "markPriceUpdate", "E": NOW_MS, "s": "BTCUSDT", "p": "70001", "i": "70000", "r": "0.0001", "T": NOW_MS}
    said = {e.kind: e.value for e in heard(FLOWS, mark) if isinstance(e, ScalarReading)}
    assert said == {Kind.MARK_PRICE: 70_001.0, Kind.INDEX_PRICE: 70_000.0, Kind.FUNDING_8H: 0.0001}
    candle = {"t": 1_770_298_200_000, "s": "BTCUSDT", "o": "1", "h": "3", "l": "0.5", "c": "2", "v": "10", "x": False}
    (bars,) = heard(SPOT, {"e": "kline", "E": NOW_MS, "s": "BTCUSDT", "k": candle})
    assert isinstance(bars, BarsReading)
    assert (bars.bars[0].high, bars.bars[0].volume, bars.venue_time_ms) == (3.0, 10.0, NOW_MS)
    (best,) = heard(SPOT, {"u": 1, "s": "BTCUSDT", "b": "9", "B": "1", "a": "10", "A": "1"})
    assert isinstance(best, BookReading)
    assert (best.bid, best.ask, best.venue_time_ms, best.perpetual) == (9.0, 10.0, NOW_MS, False)


def test_events_of_options_are_read_by_the_same_letters() -> None:
    trade = {"e": "trade", "E": NOW_MS, "s": "BTC-261225-70000-C", "t": "9", "p": "1000", "q": "0.5", "T": NOW_MS}
    asked = Heard("binance", NOW_MS)
    (done,) = FLOWS.parse(asked, {**trade, "S": "-1"})
    assert isinstance(done, Trade)
    assert (done.size_usd, done.buyer_takes) == (500.0, False)
    (index,) = FLOWS.parse(asked, {"e": "index", "E": NOW_MS, "s": "ETHUSDT", "p": "2000.5"})
    assert isinstance(index, ScalarReading)
    assert (index.kind, index.instrument, index.value) == (Kind.INDEX_PRICE, "ETHUSDT", 2_000.5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"s": "ETHUSDT"}, Rejection.WRONG_INSTRUMENT),
        ({"s": None}, Rejection.MALFORMED),
        ({"E": NOW_MS // 1000}, Rejection.OUT_OF_RANGE),
        ({"U": None}, Rejection.MALFORMED),
        ({"b": [["-1", "1"]]}, Rejection.NOT_POSITIVE),
        ({"b": [["1", "1e30"]]}, Rejection.OUT_OF_RANGE),
        ({"b": [["NaN", "1"]]}, Rejection.NOT_FINITE),
        ({"b": [["1"]]}, Rejection.MALFORMED),
        ({"b": "all"}, Rejection.MALFORMED),
        ({"e": "depthUpdate2"}, Rejection.UNKNOWN_SHAPE),
        ({"e": "executionReport"}, Rejection.NOT_READ),
        ({"e": 7}, Rejection.MALFORMED),
    ],
)
def test_a_bad_event_is_refused_for_its_reason(changes: dict[str, object], reason: Rejection) -> None:
    with pytest.raises(Rejected) as caught:
        heard(SPOT, {**DIFF, **changes})
    assert caught.value.reason is reason


def test_acknowledgements_are_quiet_and_errors_are_named() -> None:
    assert heard(SPOT, {"result": None, "id": 1}) == (Quiet("answer"),)
    assert heard(SPOT, {"e": "serverShutdown", "E": NOW_MS}) == (Quiet("serverShutdown"),)
    with pytest.raises(Rejected, match="Invalid JSON"):
        heard(SPOT, {"error": {"code": 3, "msg": "Invalid JSON"}, "id": 1})
    with pytest.raises(VenueTrouble) as caught:
        heard(SPOT, {"error": {"code": -1003, "msg": "Too many requests"}, "id": 1})
    assert caught.value.trouble is Trouble.RATE_LIMITED


@pytest.mark.parametrize(
    ("address", "frame", "family"),
    [
        ("", DIFF, "spot"),
        ("", {**DIFF, "pu": 4}, "usd"),
        ("", {**DIFF, "s": "BTCUSD_PERP", "pu": 4}, "coin"),
        ("wss://fstream.binance.com/stream?streams=x", DIFF, "usd"),
        ("wss://dstream.binance.com/stream", {"stream": "btcusd_perp@kline_1m", "data": {"e": "kline"}}, "coin"),
        ("wss://stream.binance.com:9443/stream", {"result": None, "id": 1}, "spot"),
        ("", {**TRADE, "M": True}, "spot"),
        ("", TRADE, "usd"),
        ("", {"u": 1, "s": "X", "b": "1", "B": "1", "a": "2", "A": "1"}, "spot"),
        ("", {"lastUpdateId": 1, "bids": [], "asks": []}, None),
        ("", {"result": None, "id": 1}, None),
        ("", [], None),
        ("", 7, None),
    ],
)
def test_a_recorded_frame_is_told_by_its_address_or_by_what_only_one_market_says(
    address: str, frame: object, family: str | None
) -> None:
    assert family_of(address, frame) == family
