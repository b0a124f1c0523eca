"""Every recorded payload of Deribit through the live parsers: the table says what each file holds, to the item."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import pytest

from margrave.collect.books.keeper import Keeper
from margrave.collect.recorded import parse_file, payloads
from margrave.collect.source import Asked
from margrave.collect.stream import BookDiff, BookSnapshot, Heard, Trade
from margrave.collect.venues.binance.options import black
from margrave.collect.venues.deribit import DERIBIT, endpoints
from margrave.messages import ChainReading, Contract, ContractKind, OptionQuote, TradesReading
from tests.history import needs_data, recorded
from tests.unit.collect.recordings import Counts, counted, files, tally

pytestmark = [needs_data, pytest.mark.data]

FILES: Final[dict[str, Counts]] = {
    "fixtures_nautilus/deribit/http_get_combos.json": {"not_read": 1},
    "fixtures_nautilus/deribit/http_get_expirations_any.json": {"not_read": 1},
    "fixtures_nautilus/deribit/http_get_instrument_option.json": {"Contract": 1},
    "fixtures_nautilus/deribit/http_get_instruments.json": {"Contract": 4},
    "fixtures_nautilus/deribit/http_get_instruments_future_combo.json": {"Contract": 6},
    "fixtures_nautilus/deribit/http_get_instruments_option_combo.json": {"Contract": 6},
    "fixtures_nautilus/deribit/http_get_last_trades.json": {"TradesReading": 1},
    "fixtures_nautilus/deribit/http_get_last_trades_future_combo.json": {"wrong_instrument": 1},
    "fixtures_nautilus/deribit/http_get_last_trades_historical_combo.json": {"wrong_instrument": 1},
    "fixtures_nautilus/deribit/http_get_last_trades_option_combo.json": {"wrong_instrument": 1},
    "fixtures_nautilus/deribit/http_get_last_trades_perpetual_with_combo_tags.json": {"TradesReading": 1},
    "fixtures_nautilus/deribit/http_get_order_book.json": {"BookReading": 1, "ScalarReading": 4},
    "fixtures_nautilus/deribit/http_get_time.json": {"not_read": 1},
    "fixtures_nautilus/deribit/http_get_tradingview_chart_data.json": {"BarsReading": 1},
    "fixtures_nautilus/deribit/ws_book_grouped_snapshot.json": {"BookSnapshot": 1},
    "fixtures_nautilus/deribit/ws_book_snapshot.json": {"BookSnapshot": 1},
    "fixtures_nautilus/deribit/ws_error.json": {"venue_error": 1},
    "fixtures_nautilus/deribit/ws_order_buy_response.json": {"not_read": 1},
    "fixtures_nautilus/deribit/ws_order_cancel_response.json": {"not_read": 1},
    "fixtures_nautilus/deribit/ws_order_edit_response.json": {"not_read": 1},
    "fixtures_nautilus/deribit/ws_order_stop_market_response.json": {"not_read": 1},
    "fixtures_nautilus/deribit/ws_portfolio.json": {"not_read": 1},
    "fixtures_nautilus/deribit/ws_subscribe_response.json": {"not_read": 1},
    "fixtures_nautilus/deribit/ws_test_request.json": {"Reply": 1},
    "fixtures_nautilus/deribit/ws_ticker.json": {"ScalarReading": 4},
    "fixtures_nautilus/deribit/ws_trades.json": {"Trade": 2},
    "fixtures_cryptofeed_raw/DERIBIT.0.gz": {"Contract": 1017},
    "fixtures_cryptofeed_raw/DERIBIT.ws.1.0.gz": {"Quiet": 1, "ChainReading": 89, "BookSnapshot": 10, "BookDiff": 36},
    "fixtures_deribit_book_summary_sample/get_book_summary_by_currency_BTC_option_2026-09-08_five_rows.json": {
        "ChainReading": 1
    },
}
"""Refusals: `not_read` is an account's own, a clock, a list of channels; `wrong_instrument` the trades of combinations,
whose legs are told again; `venue_error` the venue's own words."""
SNAPSHOTS: Final = {
    "BTC_20241104-101033.parquet": 964,
    "BTC_20241105-102542.parquet": 962,
    "BTC_20241105-125901.parquet": 962,
    "BTC_20241105-131754.parquet": 962,
}
"""Whole chains, one get_order_book an option, as columns: rows."""


@pytest.mark.parametrize("path", FILES)
def test_a_recorded_file_gives_what_it_holds_and_nothing_is_skipped(path: str) -> None:
    assert counted("deribit", path) == FILES[path]


@pytest.mark.parametrize("path", [path for path in FILES if "/http_" in path or "book_summary" in path])
def test_a_result_that_was_kept_without_its_envelope_says_the_same(path: str, tmp_path: Path) -> None:
    bare = tmp_path / "bare.json"
    bare.write_bytes(msgspec.json.encode(json.loads(recorded(path).read_bytes())["result"]))
    assert tally(parse_file("deribit", bare)) == FILES[path]


@pytest.mark.parametrize("inside", ["params", "data"])
def test_a_frame_that_was_kept_without_its_envelope_says_the_same(inside: str, tmp_path: Path) -> None:
    for path in ("fixtures_nautilus/deribit/ws_book_snapshot.json", "fixtures_nautilus/deribit/ws_ticker.json"):
        params = json.loads(recorded(path).read_bytes())["params"]
        bare = tmp_path / "bare.json"
        bare.write_bytes(msgspec.json.encode(params if inside == "params" else params["data"]))
        assert tally(parse_file("deribit", bare)) == FILES[path]


def test_no_recorded_file_is_missing_from_the_table() -> None:
    there = files("fixtures_nautilus/deribit", "*") | files("fixtures_deribit_book_summary_sample", "*")
    assert there | files("fixtures_cryptofeed_raw", "DERIBIT*") == FILES.keys()
    assert files("deribit_chain_single_snapshots", "*") == {
        f"deribit_chain_single_snapshots/{name}" for name in (*SNAPSHOTS, "ETH_2024-01-08_book_summary.parquet")
    }


def test_the_list_of_instruments_tells_kinds_and_how_sizes_are_counted() -> None:
    listed = {c.instrument: c for c in parse_file("deribit", recorded("fixtures_cryptofeed_raw", "DERIBIT.0.gz"))}
    contracts = {name: c for name, c in listed.items() if isinstance(c, Contract)}
    kinds = {kind: sum(c.kind is kind for c in contracts.values()) for kind in ContractKind}
    assert kinds[ContractKind.OPTION] == 390 + 418 + 172
    assert kinds[ContractKind.PERPETUAL] + kinds[ContractKind.FUTURE] == 8 + 8 + 5 + 16
    assert contracts["BTC-PERPETUAL"].usd(1_000, 40_000) == 1_000, "inverse: sizes are dollars"
    assert contracts["SOL_USDC-PERPETUAL"].usd(10, 40) == 400, "linear: sizes are coins"
    assert contracts["BTC-PERPETUAL"].tick == 0.5


def test_the_books_frames_follow_one_another_by_their_numbers() -> None:
    held: dict[str, int] = {}
    followed = 0
    for event in parse_file("deribit", recorded("fixtures_cryptofeed_raw", "DERIBIT.ws.1.0.gz")):
        if isinstance(event, BookSnapshot):
            held[event.instrument] = event.sequence
        elif isinstance(event, BookDiff):
            assert event.previous == held[event.instrument]
            held[event.instrument] = event.last
            followed += 1
    assert (len(held), followed) == (10, 36)


def test_books_rebuilt_from_the_frames_show_what_the_tickers_say_is_best() -> None:
    """Tickers bear the book's own time: after all that was said of the book up to then, both must agree to the size."""
    (stream,) = DERIBIT.streams
    keepers: dict[str, Keeper] = {}
    best: dict[str, dict[int, tuple[float, ...]]] = {}
    tickers = []
    for payload in payloads(gzip.decompress(recorded("fixtures_cryptofeed_raw", "DERIBIT.ws.1.0.gz").read_bytes())):
        frame = json.loads(payload.body)
        data = frame.get("params", {}).get("data", {})
        if "best_bid_price" in data:
            tickers.append(data)
        for event in stream.parse(Heard("deribit", payload.seen_ms), frame):
            if not isinstance(event, BookSnapshot | BookDiff):
                continue
            keeper = keepers.setdefault(event.instrument, Keeper(stream.sequence))
            assert (keeper.snapshot(event) if isinstance(event, BookSnapshot) else keeper.diff(event)) is None
            sides = (keeper.ladder.bids, keeper.ladder.asks)
            shown = tuple(
                figure for side in sides for figure in (side.best or 0.0, side.sizes.get(side.best or 0, 0.0))
            )
            best.setdefault(event.instrument, {})[event.venue_ms] = shown
    compared = 0
    for said in tickers:
        times = [at for at in best[said["instrument_name"]] if at <= said["timestamp"]]
        if times:
            keys = ("best_bid_price", "best_bid_amount", "best_ask_price", "best_ask_amount")
            assert tuple(said[key] for key in keys) == best[said["instrument_name"]][max(times)]
            compared += 1
    assert compared == len(tickers) == 89


def test_a_tickers_greeks_are_kept() -> None:
    events = parse_file("deribit", recorded("fixtures_cryptofeed_raw", "DERIBIT.ws.1.0.gz"))
    quotes = [event.quotes[0] for event in events if isinstance(event, ChainReading)]
    assert all(q.delta is not None and q.vega is not None and q.theta is not None for q in quotes)
    assert quotes[0] == OptionQuote(
        1_627_632_000_000, 2800.0, True, 2003.61, 0.0015, 0.0025, 1.2074, 12685.0, 0.03127, 0.0002, 0.20072, -1.64029
    )


def test_trades_that_are_legs_of_combinations_are_trades_of_the_perpetual() -> None:
    path = recorded("fixtures_nautilus", "deribit", "http_get_last_trades_perpetual_with_combo_tags.json")
    rows = json.loads(path.read_bytes())["result"]["trades"]
    (reading,) = parse_file("deribit", path)
    assert isinstance(reading, TradesReading)
    assert (reading.instrument, reading.count, reading.perpetual) == ("BTC-PERPETUAL", len(rows), True)
    assert reading.buy_usd == sum(row["amount"] for row in rows if row["direction"] == "buy")
    assert (reading.low, reading.high) == (min(r["price"] for r in rows), max(r["price"] for r in rows))


def test_the_frames_of_trades_say_who_took() -> None:
    path = recorded("fixtures_nautilus", "deribit", "ws_trades.json")
    trades = [event for event in parse_file("deribit", path) if isinstance(event, Trade)]
    assert [(t.price, t.size_usd, t.buyer_takes, t.trade_id) for t in trades] == [
        (92_294.5, 10.0, False, "403691824"),
        (92_288.5, 750.0, False, "403691825"),
    ]


def order_books(path: Path) -> list[bytes]:
    """The rows of a snapshot as the answers that they were made of."""
    pandas = pytest.importorskip("pandas", reason="the extra `lab` reads Parquet")
    answers = []
    for row in pandas.read_parquet(path).to_dict("records"):
        said = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        result: dict[str, object] = {key: value for key, value in said.items() if "." not in key}
        result |= {side: json.loads(str(said[side])) for side in ("bids", "asks")}
        for part in ("stats", "greeks"):
            result[part] = {key.partition(".")[2]: said[key] for key in said if key.startswith(f"{part}.")}
        answers.append(msgspec.json.encode({"jsonrpc": "2.0", "result": {**result, "state": "open"}}))
    return answers


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_whole_chains_of_order_books_are_quotes_with_greeks(name: str) -> None:
    quotes = []
    for payload in order_books(recorded("deribit_chain_single_snapshots", name)):
        (reading,) = DERIBIT.read(endpoints.ORDER_BOOK, Asked("deribit", "BTC", "", 1_730_800_000_000), payload)
        assert isinstance(reading, ChainReading)
        (quote,) = reading.quotes
        quotes.append(quote)
    assert len(quotes) == SNAPSHOTS[name]
    assert all(None not in (q.delta, q.gamma, q.vega, q.theta) for q in quotes)


def test_a_recorded_mark_is_what_blacks_formula_makes_of_forward_strike_and_volatility() -> None:
    """So the units of volatility, forward and expiry are the venue's: its marks are rounded to a millionth."""
    text = gzip.decompress(recorded("fixtures_cryptofeed_raw", "DERIBIT.ws.1.0.gz").read_bytes())
    frames = [json.loads(payload.body) for payload in payloads(text)]
    tickers = [f["params"]["data"] for f in frames if str(f.get("params", {}).get("channel")).startswith("ticker.")]
    events = list(parse_file("deribit", recorded("fixtures_cryptofeed_raw", "DERIBIT.ws.1.0.gz")))
    chains = [event for event in events if isinstance(event, ChainReading)]
    assert len(tickers) == len(chains) == 89
    off = []
    for said, reading in zip(tickers, chains, strict=True):
        (quote,) = reading.quotes
        assert quote.mark_iv is not None
        years = (quote.expiry_ms - reading.venue_time_ms) / (365 * 86_400_000)
        fair = black(quote.forward, quote.strike, years, quote.mark_iv, is_call=quote.is_call) / quote.forward
        off.append(abs(fair - said["mark_price"]))
    assert median(off) < 1e-6
    assert max(off) < 2.5e-4, "deep in the money, where the forward of the frame is newer than its mark"


def test_a_chain_summary_of_another_day_and_tool_is_read_too() -> None:
    pandas = pytest.importorskip("pandas", reason="the extra `lab` reads Parquet")
    table = pandas.read_parquet(recorded("deribit_chain_single_snapshots", "ETH_2024-01-08_book_summary.parquet"))
    payload = b'{"jsonrpc":"2.0","result":' + table.to_json(orient="records").encode() + b"}"
    (reading,) = DERIBIT.read(endpoints.BOOK_SUMMARY, Asked("deribit", "ETH", "ETH", 1_704_712_800_000), payload)
    assert isinstance(reading, ChainReading)
    assert len(reading.quotes) == len(table) == 684
    assert {quote.mark_iv for quote in reading.quotes} == {None}, "that tool did not keep volatilities"
