from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from margrave.collect.recorded import parse_file
from margrave.collect.recording.line import What, encode, said
from margrave.collect.source import Item
from margrave.collect.stream import BookDiff, BookSnapshot, Event
from margrave.errors import Fatal
from margrave.messages import (
    BarsReading,
    BookReading,
    ChainReading,
    Contract,
    Kind,
    OptionQuote,
    Refusal,
    ScalarReading,
)
from margrave.verdicts import Rejection
from tests.history import needs_data, recorded

BOOK = {"lastUpdateId": 1, "bids": [["99", "1"]], "asks": [["101", "1"]]}


def parsed(venue: str, path: Path, body: bytes | object) -> list[Event]:
    path.write_bytes(body if isinstance(body, bytes) else msgspec.json.encode(body))
    return list(parse_file(venue, path))


def test_a_body_is_recognised_by_its_shape(tmp_path: Path) -> None:
    (item,) = parsed("binance", tmp_path / "x.json", BOOK)
    assert isinstance(item, BookReading)
    assert not item.perpetual


def test_a_futures_book_is_told_from_a_spot_book_by_its_event_time(tmp_path: Path) -> None:
    (item,) = parsed("binance", tmp_path / "x.json", {**BOOK, "E": 1_626_992_741_264})
    assert isinstance(item, BookReading)
    assert item.perpetual


def test_a_session_log_is_read_by_its_addresses_and_every_payload_is_accounted_for(tmp_path: Path) -> None:
    book = msgspec.json.encode(BOOK).decode()
    lines = [
        f"https://api.binance.com/api/v3/depth?symbol=NKNUSDT&limit=1000 -> 1633998512.32: {book}",
        'https://api.binance.com/api/v3/exchangeInfo -> 1633998511.13: {"timezone":"UTC"}',
        'configuration: {"trades":["NKN-USDT"]}',
        "wss://stream.binance.com:9443/stream?streams=x <-> 1633998512.05",
        'wss://stream.binance.com:9443/stream <- 1633998512.06: {"op":"subscribe"}',
        '1633998512.0633569: {"stream":"nknusdt@depth","data":{"e":"depthUpdate"}}',
        '1633998512.07: {"stream":"nknusdt@depth","data":{"e":"somethingNew","E":1}}',
        "1633998512.1: not json",
    ]
    items = parsed("binance", tmp_path / "log.gz", gzip.compress("\n".join(lines).encode()))
    book_reading, listing, no_symbol, news, garbage = items
    assert isinstance(book_reading, BookReading)
    assert (book_reading.instrument, book_reading.seen_time_ms) == ("NKNUSDT", 1_633_998_512_320)
    reasons = [item.reason for item in (listing, no_symbol, news, garbage) if isinstance(item, Refusal)]
    assert reasons == [Rejection.MALFORMED, Rejection.MALFORMED, Rejection.UNKNOWN_SHAPE, Rejection.MALFORMED]


def test_frames_with_the_nanosecond_they_came_at_are_read_with_the_snapshot_among_them(tmp_path: Path) -> None:
    diff = {"e": "depthUpdate", "E": 1_723_161_255_208, "s": "BTCUSDT", "U": 5, "u": 7, "b": [["99", "1"]], "a": []}
    trade = {"u": 9, "s": "BTCUSDT", "b": "99", "B": "1", "a": "101", "A": "2"}
    lines = [
        b"1723161253937085768 " + msgspec.json.encode({"stream": "btcusdt@depth@100ms", "data": diff}),
        b"1723161254036059768 " + msgspec.json.encode(BOOK),
        b"1723161254087891268 " + msgspec.json.encode({"stream": "btcusdt@bookTicker", "data": trade}),
    ]
    change, whole, best = parsed("binance", tmp_path / "l2.gz", gzip.compress(b"\n".join(lines)))
    assert isinstance(change, BookDiff)
    assert isinstance(whole, BookReading)
    assert isinstance(best, BookReading)
    assert (whole.seen_time_ms, best.seen_time_ms) == (1_723_161_254_036, 1_723_161_254_087)


def test_a_recording_of_our_own_is_read_for_the_venue_that_is_asked_about(tmp_path: Path) -> None:
    ticker = {"instrument_name": "BTC-PERPETUAL", "timestamp": 1_765_541_474_086, "mark_price": 9.0}
    frame = msgspec.json.encode(
        {"method": "subscription", "params": {"channel": "ticker.BTC-PERPETUAL.100ms", "data": ticker}}
    )
    depth = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
    lines = [
        said(1_000, What.HEADER, "", "", "what is asked"),
        said(1_765_541_474_000, What.ANSWER, "binance", depth, msgspec.json.encode(BOOK), status=200),
        said(1_765_541_474_001, What.OPENED, "deribit", "wss://www.deribit.com/ws/api/v2"),
        said(1_765_541_474_002, What.SENT, "deribit", "wss://www.deribit.com/ws/api/v2", b"{}"),
        said(1_765_541_474_100, What.FRAME, "deribit", "wss://www.deribit.com/ws/api/v2", frame),
        said(1_765_541_474_200, What.FRAME, "deribit", "wss://www.deribit.com/ws/api/v2", b"\xff\x00 noise"),
    ]
    content = gzip.compress(b"".join(encode(line) for line in lines))
    mark, noise = parsed("deribit", tmp_path / "x.jsonl.gz", content)
    assert isinstance(mark, ScalarReading)
    assert (mark.kind, mark.seen_time_ms) == (Kind.MARK_PRICE, 1_765_541_474_100)
    assert isinstance(noise, Refusal)
    assert noise.reason is Rejection.MALFORMED
    (book,) = parsed("binance", tmp_path / "x.jsonl.gz", content)
    assert isinstance(book, BookReading)
    assert (book.instrument, book.seen_time_ms) == ("BTCUSDT", 1_765_541_474_000)


def test_contracts_that_one_file_lists_are_known_to_the_next(tmp_path: Path) -> None:
    symbol = {"symbol": "BTCUSD_PERP", "contractType": "PERPETUAL", "contractSize": 100}
    listed: dict[str, Contract] = {}
    (tmp_path / "info.json").write_bytes(msgspec.json.encode({"symbols": [symbol]}))
    (tmp_path / "book.json").write_bytes(msgspec.json.encode({**BOOK, "symbol": "BTCUSD_PERP", "pair": "BTCUSD"}))
    (unlisted,) = parse_file("binance", tmp_path / "book.json")
    assert isinstance(unlisted, Refusal)
    (contract,) = parse_file("binance", tmp_path / "info.json", listed=listed)
    assert listed == {"BTCUSD_PERP": contract}
    (book,) = parse_file("binance", tmp_path / "book.json", listed=listed)
    assert isinstance(book, BookReading)
    assert book.bid_depth_usd == 100


def test_what_is_known_and_not_read_is_refused_by_name(tmp_path: Path) -> None:
    (order,) = parsed("binance", tmp_path / "x.json", {"symbol": "BTCUSDT", "orderId": 1, "price": "1"})
    assert isinstance(order, Refusal)
    assert (order.reason, order.detail) == (Rejection.NOT_READ, "recognised, and not read: an account's order")


def test_candles_of_any_length_are_taken_from_a_recording(tmp_path: Path) -> None:
    rows = [[1_634_943_780_000 + i * 60_000, "1", "1", "1", "1", "1", 0, "1", 1, "1", "1", "0"] for i in range(3)]
    (item,) = parsed("binance", tmp_path / "x.json", rows)
    assert isinstance(item, BarsReading)
    assert len(item.bars) == 3


def test_a_websocket_frame_says_what_the_rest_answer_says(tmp_path: Path) -> None:
    data = {"instrument_name": "BTC-PERPETUAL", "timestamp": 1_765_541_474_086, "mark_price": 9.0, "funding_8h": 1e-5}
    frame = {
        "jsonrpc": "2.0",
        "method": "subscription",
        "params": {"channel": "ticker.BTC-PERPETUAL.raw", "data": data},
    }
    items = parsed("deribit", tmp_path / "x.json", frame)
    assert {item.kind for item in items if isinstance(item, ScalarReading)} == {Kind.MARK_PRICE, Kind.FUNDING_8H}


@pytest.mark.parametrize(
    ("topic", "data", "expected"),
    [
        ("orderbook.50.BTCUSDT", {"s": "BTCUSDT", "b": [["9", "1"]], "a": [["10", "1"]]}, BookSnapshot),
        (
            "tickers.BTCUSDT",
            {"symbol": "BTCUSDT", "markPrice": "9", "indexPrice": "", "fundingRate": ""},
            ScalarReading,
        ),
        (
            "kline.60.BTCUSDT",
            [{"start": 1_672_324_800_000, "open": "9", "high": "9", "low": "9", "close": "9", "volume": "1"}],
            BarsReading,
        ),
        ("publicTrade.BTCUSDT", [{"p": "9"}], Refusal),
    ],
)
def test_bybits_frames_are_read_by_their_topic(
    tmp_path: Path, topic: str, data: object, expected: type[object]
) -> None:
    frame = {"topic": topic, "type": "snapshot", "ts": 1_672_324_988_882, "data": data}
    (item,) = parsed("bybit", tmp_path / "x.json", frame)
    assert isinstance(item, expected)


def test_a_books_difference_is_not_taken_for_a_book(tmp_path: Path) -> None:
    frame = {
        "arg": {"channel": "books", "instId": "BTC-USDT"},
        "action": "update",
        "data": [{"asks": [["2", "1"]], "bids": [["1", "1"]], "ts": "1597026383085"}],
    }
    (item,) = parsed("okx", tmp_path / "x.json", frame)
    assert isinstance(item, BookDiff)


def test_an_error_of_the_venue_is_a_refusal_even_when_live_it_would_be_a_pause(tmp_path: Path) -> None:
    body = {"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}}
    (item,) = parsed("deribit", tmp_path / "x.json", body)
    assert isinstance(item, Refusal)
    assert (item.reason, item.detail) == (Rejection.VENUE_ERROR, "deribit: 10028 too_many_requests")


def test_an_empty_file_is_a_refusal(tmp_path: Path) -> None:
    (item,) = parsed("kraken", tmp_path / "x.json", b"")
    assert isinstance(item, Refusal)
    assert item.reason is Rejection.EMPTY


def test_a_missing_file_and_a_broken_archive_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"gone\.json: No such file or directory — check"):
        list(parse_file("okx", tmp_path / "gone.json"))
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b"x" * 1000)[:20])
    with pytest.raises(Fatal, match="must be whole"):
        list(parse_file("okx", broken))


def test_an_unknown_venue_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="use one of binance"):
        list(parse_file("mtgox", tmp_path / "x.json"))


# --- payloads recorded from the real venues --------------------------------------------------------------------------


def tally(items: Iterator[Item]) -> Counter[str]:
    return Counter(item.reason.value if isinstance(item, Refusal) else type(item).__name__ for item in items)


@needs_data
@pytest.mark.data
@pytest.mark.parametrize(
    ("venue", "path", "expected"),
    [
        ("okx", "fixtures_nautilus/okx/http_get_candlesticks.json", {"BarsReading": 1}),
        ("okx", "fixtures_nautilus/okx/http_get_candlesticks_full.json", {"BarsReading": 1}),
        ("okx", "fixtures_nautilus/okx/http_get_mark_price.json", {"ScalarReading": 1}),
        ("okx", "fixtures_nautilus/okx/ws_bbo_tbt.json", {"BookReading": 1}),
        ("okx", "fixtures_nautilus/okx/ws_candle.json", {"BarsReading": 1}),
        ("okx", "fixtures_nautilus/okx/ws_funding_rate.json", {"ScalarReading": 1}),
        ("bybit", "fixtures_nautilus/bybit/ws_kline.json", {"BarsReading": 1}),
        ("bybit", "fixtures_nautilus/bybit/ws_orderbook_snapshot.json", {"BookSnapshot": 1}),
        ("bybit", "fixtures_nautilus/bybit/ws_ticker_linear.json", {"ScalarReading": 4}),
        ("bybit", "fixtures_nautilus/bybit/http_get_executions.json", {"not_read": 1}),
        ("kraken", "fixtures_nautilus/kraken/http_order_book.json", {"BookReading": 1}),
        ("kraken", "fixtures_nautilus/kraken/http_ohlc.json", {"BarsReading": 1}),
        ("kraken", "fixtures_nautilus/kraken/http_futures_tickers.json", {"ScalarReading": 8}),
        ("kraken", "fixtures_nautilus/kraken/http_futures_candles_trade.json", {"BarsReading": 1}),
    ],
)
def test_recorded_payloads_give_what_they_hold_and_nothing_is_skipped(
    venue: str, path: str, expected: dict[str, int]
) -> None:
    found = tally(parse_file(venue, recorded(path)))
    assert found == Counter({key: count for key, count in expected.items() if count})


@needs_data
@pytest.mark.data
def test_every_recorded_json_of_the_five_venues_is_a_reading_or_a_named_refusal() -> None:
    folders = {"deribit": "deribit", "binance": "binance", "okx": "okx", "bybit": "bybit", "kraken": "kraken"}
    files = [(venue, p) for venue, f in folders.items() for p in recorded("fixtures_nautilus", f).rglob("*.json")]
    files += [("binance", p) for p in recorded("fixtures_nautilus", "py_binance").rglob("*.json")]
    assert len(files) > 150
    counts = {path: sum(tally(parse_file(venue, path)).values()) for venue, path in files}
    assert min(counts.values()) >= 1


@needs_data
@pytest.mark.data
def test_the_deribit_sample_gives_its_own_numbers() -> None:
    (path,) = recorded("fixtures_deribit_book_summary_sample").glob("*.json")
    (reading,) = parse_file("deribit", path)
    assert isinstance(reading, ChainReading)
    assert (reading.venue_time_ms, reading.instrument, len(reading.quotes)) == (1_788_909_273_348, "BTC", 5)
    by_strike = {quote.strike: quote for quote in reading.quotes}
    assert by_strike[73_000.0] == OptionQuote(
        1_788_940_800_000, 73_000.0, False, 78_493.93, None, 0.0001, pytest.approx(0.6544), 10.1
    )
    assert by_strike[105_000.0] == OptionQuote(
        1_790_323_200_000, 105_000.0, True, 78_610.75, 0.0003, 0.0005, pytest.approx(0.5684), 1538.2
    )
