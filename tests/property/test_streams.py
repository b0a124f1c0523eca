"""Whatever a socket says, its parser answers with sound events and named refusals, and raises nothing but those two
kinds of error that the socket handles. Seeds are frames as the venues document them, and recorded ones where there are
any."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.collect.recorded import payloads
from margrave.collect.source import VenueTrouble
from margrave.collect.stream import Event, Heard, Stream
from margrave.collect.venues import VENUES
from margrave.errors import Rejected
from margrave.ops import strict_json
from tests.history import needs_data, recorded
from tests.property.test_collect import POISON, assert_recorded, changed, encoded, places
from tests.unit.collect.samples.binance import COIN
from tests.unit.collect.samples.deribit import pushed

NOW_MS = 1_770_300_000_000
A_RECORDING = 40
"""Frames taken of each file, spread over it."""
RECORDINGS = {
    "deribit": ("DERIBIT.ws.1.0.gz",),
    "binance": ("BINANCE.ws.1.0.gz", "BINANCE_FUTURES.ws.1.0.gz"),
}
CONTRACTS = {COIN.instrument: COIN}


TICKER = {
    "instrument_name": "BTC-PERPETUAL",
    "timestamp": NOW_MS,
    "mark_price": 7e4,
    "index_price": 7e4,
    "state": "open",
}
DOCUMENTED: dict[str, tuple[object, ...]] = {
    "deribit": (
        pushed(
            "book.BTC-PERPETUAL.100ms",
            {
                "type": "change",
                "timestamp": NOW_MS,
                "instrument_name": "BTC-PERPETUAL",
                "change_id": 11,
                "prev_change_id": 10,
                "bids": [["new", 69_999.5, 1000.0], ["delete", 69_990.0, 0.0]],
                "asks": [["change", 70_000.0, 500.0]],
            },
        ),
        pushed(
            "trades.BTC-PERPETUAL.100ms",
            [
                {
                    "trade_id": "1",
                    "timestamp": NOW_MS,
                    "price": 7e4,
                    "amount": 10.0,
                    "direction": "sell",
                    "instrument_name": "BTC-PERPETUAL",
                    "index_price": 7e4,
                    "liquidation": "MT",
                }
            ],
        ),
        pushed("ticker.BTC-PERPETUAL.100ms", {**TICKER, "funding_8h": 1e-5, "open_interest": 1e9}),
        pushed("deribit_volatility_index.btc_usd", {"index_name": "btc_usd", "timestamp": NOW_MS, "volatility": 55.5}),
        {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}},
    ),
    "binance": (
        {"e": "depthUpdate", "E": NOW_MS, "s": "BTCUSDT", "U": 5, "u": 7, "b": [["70000", "1"]], "a": []},
        {
            "e": "depthUpdate",
            "E": NOW_MS,
            "T": NOW_MS,
            "s": "BTCUSDT",
            "U": 5,
            "u": 7,
            "pu": 4,
            "b": [],
            "a": [["1", "0"]],
        },
        {"e": "aggTrade", "E": NOW_MS, "s": "BTCUSD_PERP", "a": 1, "p": "70000.1", "q": "3", "T": NOW_MS, "m": True},
        {
            "e": "forceOrder",
            "E": NOW_MS,
            "o": {"s": "BTCUSDT", "S": "SELL", "q": "1", "p": "70000", "ap": "69990", "z": "1", "T": NOW_MS},
        },
        {"e": "markPriceUpdate", "E": NOW_MS, "s": "BTCUSDT", "p": "70000", "i": "70001", "r": "0.0001", "T": NOW_MS},
        {"stream": "btcusdt@depth20@100ms", "data": {"lastUpdateId": 9, "bids": [["9", "1"]], "asks": [["10", "1"]]}},
        [
            {
                "e": "markPrice",
                "E": NOW_MS,
                "s": f"BTC-261225-70000-{side}",
                "mp": "9000.5",
                "bo": "8900",
                "ao": "9100",
                "vo": "0.6",
                "rf": "0.0",
                "d": "0.5",
                "g": "0.00001",
                "v": "250",
                "t": "-30",
            }
            for side in "CP"
        ],
        {"result": None, "id": 1},
    ),
}


def recorded_frames(venue: str) -> Iterator[object]:
    for name in RECORDINGS.get(venue, ()):
        text = gzip.decompress(recorded("fixtures_cryptofeed_raw", name).read_bytes())
        frames = [payload.body for payload in payloads(text)]
        for body in frames[:: max(len(frames) // A_RECORDING, 1)]:
            yield strict_json.decode(body)


@cache
def seeds(*, recorded: bool) -> tuple[tuple[str, Stream, object], ...]:
    """(venue, the socket that says it, frame)."""
    found = []
    for name, venue in VENUES.items():
        frames = recorded_frames(name) if recorded else iter(DOCUMENTED.get(name, ()))
        for frame in frames:
            stream = next((stream for stream in venue.streams if stream.hears("", frame)), None)
            found += [(name, one, frame) for one in venue.streams if one is (stream or venue.streams[0])]
    return tuple(found)


def heard(venue: str) -> Heard:
    return Heard(source=venue, seen_ms=NOW_MS, contracts=CONTRACTS)


def events(venue: str, stream: Stream, frame: object) -> tuple[Event, ...]:
    return tuple(stream.parse(heard(venue), frame))


@pytest.mark.parametrize("index", range(len(seeds(recorded=False))))
def test_documented_frames_are_read_without_a_refusal(index: int) -> None:
    venue, stream, frame = seeds(recorded=False)[index]
    said = events(venue, stream, frame)
    assert said
    assert_recorded(said)
    assert "Refusal" not in {type(event).__name__ for event in said}


def mutated(data: st.DataObject, seed: tuple[str, Stream, object]) -> None:
    venue, stream, frame = seed
    for _ in range(data.draw(st.integers(1, 3))):
        if paths := places(frame):
            frame = changed(frame, data.draw(st.sampled_from(paths)), data.draw(POISON), drop=data.draw(st.booleans()))
    with suppress(VenueTrouble, Rejected, msgspec.DecodeError):
        assert_recorded(events(venue, stream, strict_json.decode(encoded(frame))))


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_a_frame_changed_anywhere_gives_sound_events_or_named_refusals(data: st.DataObject) -> None:
    mutated(data, data.draw(st.sampled_from(seeds(recorded=False))))


@pytest.mark.data
@needs_data
@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_a_recorded_frame_changed_anywhere_gives_sound_events_or_named_refusals(data: st.DataObject) -> None:
    mutated(data, data.draw(st.sampled_from(seeds(recorded=True))))


@settings(max_examples=300, deadline=None)
@given(frame=st.one_of(POISON, st.recursive(POISON, lambda inner: st.lists(inner, max_size=3), max_leaves=6)))
def test_any_json_at_all_is_survived_by_every_socket(frame: object) -> None:
    for name, venue in VENUES.items():
        for stream in venue.streams:
            with suppress(VenueTrouble, Rejected, msgspec.DecodeError):
                assert_recorded(events(name, stream, strict_json.decode(encoded(frame))))
            stream.hears("", frame)
