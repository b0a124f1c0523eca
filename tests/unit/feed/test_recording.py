"""The recording tape over a small directory of the documented layout, written here."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from margrave.collect.source import Asked
from margrave.collect.venues import VENUES
from margrave.errors import Fatal
from margrave.lab.feed.recording import RecordingTape, load_recording
from margrave.lab.feed.server import Feed
from margrave.messages import ChainReading
from margrave.settings import MARKETS_FILE, load_markets
from margrave.spans import DAY_MS, HOUR_MS

FROM_MS = 1_770_163_200_000  # 2026-02-04
TO_MS = FROM_MS + DAY_MS
FIRST_MS = FROM_MS - 37 * DAY_MS
VENUE_NAMES = ("binance", "okx", "bybit", "kraken")
SNAPSHOTS_MS = (FROM_MS - 3 * HOUR_MS, FROM_MS + 6 * HOUR_MS + 12_345)
MARKETS = load_markets(MARKETS_FILE)


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    at = table.schema.get_field_index("ts")
    pq.write_table(table.set_column(at, "ts", table["ts"].cast(pa.timestamp("ms", "UTC"))), path)


@cache
def _candles() -> list[dict[str, object]]:
    hours = range(FIRST_MS, TO_MS + 2 * HOUR_MS, HOUR_MS)
    rng = np.random.default_rng(3)
    rows: list[dict[str, object]] = []
    for coin, start in (("BTC", 70_000.0), ("ETH", 2_000.0)):
        closes = start * np.exp(np.cumsum(rng.standard_normal(len(hours))) * 0.006)
        for shift, venue in enumerate(VENUE_NAMES):
            opened = start
            for ts, close in zip(hours, closes * (1 + shift * 1e-4), strict=True):
                high, low = max(opened, close) * 1.002, min(opened, close) * 0.997
                prices = {"open": opened, "high": high, "low": low, "close": float(close)}
                rows.append({"ts": ts, "venue": venue, "coin": coin, **prices, "volume": 500.0})
                opened = float(close)
    return rows


def _options(ts: int, currency: str, index: float) -> list[dict[str, object]]:
    expiry = datetime(2026, 2, 27, 8, tzinfo=UTC)
    terms = {"ts": ts, "currency": currency, "expiry": expiry, "underlying": index * 1.002, "index_price": index}
    quoted = {"mark": 0.05, "mark_iv": 0.6, "open_interest": 12.5, "volume": 1.0, "volume_usd": 9.0}
    named = {"underlying_name": f"{currency}-27FEB26", **quoted}
    return [
        {**terms, **named, "option_type": "C", "strike": index, "bid": 0.0495, "ask": 0.0505},
        {**terms, **named, "option_type": "P", "strike": index / 2, "bid": float("nan"), "ask": 0.0001},
    ]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recorded")
    _write(root / "ohlcv_7venues_2025_2026" / "candles.parquet", _candles())
    funding: list[dict[str, object]] = [
        {"ts": ts, "venue": venue, "coin": coin, "funding_rate": 1e-5}
        for venue in VENUE_NAMES
        for coin in ("BTC", "ETH")
        for ts in range(FIRST_MS, TO_MS, HOUR_MS if venue == "kraken" else 8 * HOUR_MS)
    ]
    _write(root / "funding_7venues_2025_2026" / "funding.parquet", funding)
    prices = (("BTC", 70_000.0), ("ETH", 2_000.0))
    chains = [row for ts in SNAPSHOTS_MS for coin, index in prices for row in _options(ts, coin, index)]
    _write(root / "deribit_option_chain_snapshots_2026" / "2026-02.parquet", chains)
    marks: list[dict[str, object]] = [
        {"ts": ts, "coin": coin, "perp_futures_mark_price": price * 1.001}
        for ts in SNAPSHOTS_MS
        for coin, price in prices
    ]
    _write(root / "deribit_futures_term_structure_2026" / "perpetual_prices.parquet", marks)
    return root


@pytest.fixture(scope="module")
def tape(directory: Path) -> RecordingTape:
    return load_recording(directory, FROM_MS, TO_MS)


def test_closed_candles_are_served_as_recorded_and_the_running_one_as_far_as_it_has_run(tape: RecordingTape) -> None:
    at_ms = FROM_MS + 5 * HOUR_MS + 1_000_000
    bars = tape.bars("bybit", "BTC", perpetual=True, since_ms=0, t_ms=at_ms)
    assert bars is not None
    assert len(bars) >= 36 * 24 + 5
    recorded = {r["ts"]: r for r in _candles() if (r["venue"], r["coin"]) == ("bybit", "BTC")}
    for bar in bars[:-1]:
        known = recorded[bar.open_time_ms]
        assert (bar.open, bar.high, bar.low, bar.close) == (known["open"], known["high"], known["low"], known["close"])
    whole, running = recorded[bars[-1].open_time_ms], bars[-1]
    assert running.open == pytest.approx(whole["open"])
    assert running.high <= whole["high"]  # type: ignore[operator]
    assert running.low >= whole["low"]  # type: ignore[operator]


def test_what_was_not_recorded_is_not_served(tape: RecordingTape) -> None:
    assert tape.quote("binance", "BTC", perpetual=False, t_ms=FROM_MS) is None
    assert tape.bars("kraken", "ETH", perpetual=False, since_ms=0, t_ms=FROM_MS) is None
    assert tape.vol_index("deribit", "BTC", FROM_MS) is None
    assert tape.quote("deribit", "BTC", perpetual=True, t_ms=FROM_MS) is None
    state = tape.perpetual("okx", "BTC", FROM_MS)
    assert state is not None
    assert (state.open_interest_usd, state.index) == (None, None)


def test_funding_is_told_for_eight_hours_whatever_the_venues_period(tape: RecordingTape) -> None:
    rates = {v: tape.perpetual(v, "BTC", FROM_MS) for v in VENUE_NAMES}
    assert {v: state.funding_8h for v, state in rates.items() if state} == {
        "binance": 1e-5,
        "okx": 1e-5,
        "bybit": 1e-5,
        "kraken": pytest.approx(8e-5),
    }


def test_chain_index_and_mark_of_deribit_are_the_last_ones_under_their_own_time(tape: RecordingTape) -> None:
    before, after = SNAPSHOTS_MS
    for t_ms, known_ms in ((FROM_MS, before), (after - 1, before), (after, after), (TO_MS, after)):
        chain, state = tape.chain("deribit", "BTC", t_ms), tape.perpetual("deribit", "BTC", t_ms)
        index = tape.index("deribit", "BTC", t_ms)
        assert chain is not None
        assert state is not None
        assert index is not None
        assert chain.as_of_ms == state.time_ms == index.time_ms == known_ms
        assert (index.value, state.mark) == (70_000, pytest.approx(70_070))


def test_the_adapter_hears_the_recorded_chain(tape: RecordingTape) -> None:
    feed = Feed(tape, MARKETS, now_ms=lambda: FROM_MS)
    path = "/api/v2/public/get_book_summary_by_currency"
    status, body = feed.answer("deribit", path, {"currency": "BTC", "kind": "option"}, FROM_MS)
    assert status == 200
    venue = VENUES["deribit"]
    endpoint = next(e for e in venue.endpoints if e.path == path)
    (reading,) = venue.read(endpoint, Asked("deribit", "BTC", "BTC", FROM_MS), body)
    assert isinstance(reading, ChainReading)
    assert reading.venue_time_ms == SNAPSHOTS_MS[0]
    assert [(q.strike, q.is_call, q.bid, q.ask) for q in reading.quotes] == [
        (35_000, False, None, 0.0001),
        (70_000, True, 0.0495, 0.0505),
    ]


@pytest.mark.parametrize(
    ("venue", "path", "query"),
    [
        ("binance", "/api/v3/depth", {"symbol": "BTCUSDT"}),
        ("binance", "/fapi/v1/openInterest", {"symbol": "BTCUSDT"}),
        ("binance", "/api/v3/nothing", {}),
        ("okx", "/api/v5/market/books", {"instId": "BTC-USDT"}),
        ("okx", "/api/v5/public/open-interest", {"instId": "BTC-USDT-SWAP"}),
        ("okx", "/api/v5/nothing", {}),
        ("bybit", "/v5/market/kline", {"category": "spot", "symbol": "BTCUSDT"}),
        ("bybit", "/v5/market/tickers", {"category": "spot", "symbol": "BTCUSDT"}),
        ("bybit", "/v5/nothing", {}),
        ("kraken", "/0/public/OHLC", {"pair": "XBTUSD"}),
        ("kraken", "/derivatives/api/v3/orderbook", {"symbol": "PF_DOGEUSD"}),
        ("kraken", "/api/charts/v1/trade/PF_DOGEUSD/1h", {}),
        ("kraken", "/0/nothing", {}),
        ("deribit", "/api/v2/public/get_volatility_index_data", {"currency": "BTC"}),
        ("deribit", "/api/v2/public/get_order_book", {"instrument_name": "DOGE-PERPETUAL"}),
        ("deribit", "/api/v2/public/nothing", {}),
    ],
)
def test_what_is_not_there_is_answered_as_the_venue_would(
    tape: RecordingTape, venue: str, path: str, query: dict[str, str]
) -> None:
    feed = Feed(tape, MARKETS, now_ms=lambda: FROM_MS)
    _, body = feed.answer(venue, path, query, FROM_MS)
    complaint = VENUES[venue].complaint(msgspec.json.decode(body))
    assert complaint is not None, body
    assert venue in str(complaint)


@pytest.mark.parametrize("missing", ["ohlcv_7venues_2025_2026", "deribit_option_chain_snapshots_2026"])
def test_a_directory_without_its_data_sets_is_one_clear_line(directory: Path, tmp_path: Path, missing: str) -> None:
    for folder in directory.iterdir():
        if folder.name != missing:
            (tmp_path / folder.name).symlink_to(folder)
    with pytest.raises(Fatal, match=f"{missing.split('_')[0]}_.*point --recording at the directory above"):
        load_recording(tmp_path, FROM_MS, TO_MS)


def test_a_period_without_candles_or_chains_is_one_clear_line(directory: Path) -> None:
    with pytest.raises(Fatal, match="have gaps in this period"):
        load_recording(directory, FROM_MS - 100 * DAY_MS, TO_MS - 100 * DAY_MS)
    with pytest.raises(Fatal, match="no option chain of BTC"):
        load_recording(directory, FROM_MS - 10 * DAY_MS, FROM_MS - 9 * DAY_MS)


def test_an_hour_missing_from_the_candles_is_noticed(directory: Path, tmp_path: Path) -> None:
    for folder in directory.iterdir():
        if not folder.name.startswith("ohlcv"):
            (tmp_path / folder.name).symlink_to(folder)
    rows = [row for row in _candles() if not (row["venue"] == "okx" and row["ts"] == FROM_MS)]
    _write(tmp_path / "ohlcv_7venues_2025_2026" / "candles.parquet", rows)
    with pytest.raises(Fatal, match="candles of okx BTC have gaps"):
        load_recording(tmp_path, FROM_MS, TO_MS)
