"""Whatever comes over a socket of OKX, Bybit, Kraken, Coinbase or Hyperliquid, its parser tells sound events or refuses
by name: it raises nothing else, and never passes on a number that a book or a sum would have to doubt."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.collect.books.keeper import Keeper
from margrave.collect.books.rules import SequenceRule
from margrave.collect.source import Asked, VenueTrouble
from margrave.collect.stream import BookDiff, BookSnapshot, Event, Heard, Liquidation, Trade
from margrave.collect.venues import VENUES, breadth
from margrave.errors import Rejected
from margrave.messages import Contract, Refusal
from tests.property.test_collect import POISON, assert_sound, changed, places
from tests.unit.collect.ask import NOW_MS
from tests.unit.collect.samples import FRAMES, SAMPLES
from tests.unit.collect.samples.sample import Sample
from tests.unit.collect.test_venue_samples import told


def assert_sound_events(events: tuple[Event, ...]) -> None:
    for event in events:
        match event:
            case BookSnapshot() | BookDiff():
                for price, size in (*event.bids, *event.asks):
                    assert 0 < price < math.inf
                    assert 0 <= size < math.inf
                assert (event.sequence if isinstance(event, BookSnapshot) else event.last) > -(2**63)
            case Trade() | Liquidation():
                assert 0 < event.price < math.inf
                assert 0 <= event.size_usd < math.inf
                assert 1_230_768_000_000 <= event.venue_ms <= 4_102_444_800_000
            case Contract():
                assert (event.unit_coins or event.unit_usd or 0) > 0
            case Refusal():
                assert event.detail
            case msgspec.Struct() if hasattr(event, "venue_time_ms"):
                assert_sound((event,))  # type: ignore[arg-type]


def heard_of(sample: Sample, body: object) -> tuple[Event, ...]:
    try:
        return told(sample, body)
    except (Rejected, VenueTrouble):
        return ()


def decoded(body: object) -> object:
    """As it would come over the wire: integers of any length, no NaN."""
    return msgspec.json.decode(json.dumps(body).encode())


@settings(max_examples=1_000, deadline=None)
@given(data=st.data())
def test_a_frame_or_answer_changed_anywhere_gives_sound_events_or_named_refusals(data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(SAMPLES))
    body = sample.body
    for _ in range(data.draw(st.integers(1, 4))):
        if paths := places(body):
            path = data.draw(st.sampled_from(paths))
            body = changed(body, path, data.draw(POISON), drop=data.draw(st.booleans()))
    assert_sound_events(heard_of(sample, decoded(body)))


KEYS = "arg data channel topic feed events event type method result levels coin product_id symbol a b bids asks updates"
ANYTHING = st.recursive(POISON, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS.split()), inner))


@settings(max_examples=300, deadline=None)
@given(body=ANYTHING)
def test_any_frame_at_all_is_survived_by_every_socket(body: object) -> None:
    frame = decoded(body)
    for name in ("okx", "bybit", "kraken", "coinbase", "hyperliquid"):
        for stream in VENUES[name].streams:
            try:
                assert_sound_events(tuple(stream.parse(Heard(source=name, seen_ms=NOW_MS), frame)))
            except (Rejected, VenueTrouble):
                continue


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_kept_book_is_whole_or_empty_whatever_is_said(data: st.DataObject) -> None:
    book = [s for s in FRAMES if {"BookSnapshot", "BookDiff"} & s.gives.keys()]
    rule = data.draw(st.sampled_from(SequenceRule))
    keeper = Keeper(rule)
    for _ in range(data.draw(st.integers(1, 8))):
        sample = data.draw(st.sampled_from(book))
        body: object = sample.body
        if data.draw(st.booleans()):
            body = changed(body, data.draw(st.sampled_from(places(body))), data.draw(POISON), drop=False)
        for event in heard_of(sample, decoded(body)):
            if isinstance(event, BookSnapshot):
                keeper.snapshot(event)
            elif isinstance(event, BookDiff):
                keeper.diff(event)
        assert not keeper.whole or not keeper.ladder.crossed()


UNIFIED = {
    "order book": (breadth.parse_order_book, {"bids": [[1.0, 2.0]], "asks": [[1.1, 2.0]], "timestamp": NOW_MS}),
    "ticker": (breadth.parse_ticker, {"bid": 1.0, "bidVolume": 2.0, "ask": 1.1, "askVolume": 2.0, "timestamp": NOW_MS}),
    "funding rate": (breadth.parse_funding_rate, {"fundingRate": 1e-4, "interval": "8h", "markPrice": 1.0}),
    "open interest": (breadth.parse_open_interest, {"openInterestValue": 5.0, "timestamp": NOW_MS}),
}


@pytest.mark.parametrize("what", UNIFIED)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_unified_answer_changed_anywhere_gives_sound_readings_or_named_refusals(
    what: str, data: st.DataObject
) -> None:
    parse, body = UNIFIED[what]
    changed_body = changed(
        body, data.draw(st.sampled_from(places(body))), data.draw(POISON), drop=data.draw(st.booleans())
    )
    try:
        assert_sound_events(tuple(parse(Asked("ccxt:x", "BTC", "BTC/USDT", NOW_MS), decoded(changed_body))))
    except Rejected:
        return
