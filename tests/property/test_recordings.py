"""Every recorded answer and frame, changed anywhere, is read or refused by name; by its shape and by its address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from margrave.collect.recorded import parse_text
from margrave.collect.source import Asked, Endpoint, VenueTrouble
from margrave.collect.venues import VENUES
from tests.history import needs_data, recorded
from tests.property.test_collect import POISON, assert_recorded, assert_sound, changed, encoded, places
from tests.unit.collect.samples.binance import COIN

pytestmark = [needs_data, pytest.mark.data]
NOW_MS = 1_770_300_000_000
FOLDERS = {"binance": ("binance", "py_binance"), **{name: (name,) for name in VENUES if name != "binance"}}
LONGEST = 12
"""Rows kept of a list: mutations are copies."""


def shortened(body: object) -> object:
    if isinstance(body, dict):
        return {key: shortened(value) for key, value in body.items()}
    return [shortened(value) for value in body[:LONGEST]] if isinstance(body, list) else body


def bodies(venue: str) -> Iterator[object]:
    for folder in FOLDERS[venue]:
        for path in sorted(recorded("fixtures_nautilus", folder).rglob("*.json")):
            with suppress(msgspec.DecodeError):
                yield shortened(msgspec.json.decode(path.read_bytes()))


@cache
def seeds() -> tuple[tuple[str, object], ...]:
    return tuple((venue, body) for venue in VENUES for body in bodies(venue))


@cache
def answers() -> tuple[tuple[str, Endpoint, object], ...]:
    """(venue, endpoint whose shape it has, answer)."""
    found = []
    for venue, body in seeds():
        plain = VENUES[venue].unframe(body)
        fitting = next((endpoint for endpoint in VENUES[venue].endpoints if endpoint.fits(plain)), None)
        found += [(venue, fitting, plain)] if fitting else []
    return tuple(found)


def mutated(data: st.DataObject, body: object) -> bytes:
    for _ in range(data.draw(st.integers(1, 3))):
        if paths := places(body):
            body = changed(body, data.draw(st.sampled_from(paths)), data.draw(POISON), drop=data.draw(st.booleans()))
    return encoded(body)


def test_there_are_recordings_of_each_venue() -> None:
    assert {venue for venue, _ in seeds()} >= {"deribit", "binance", "okx", "bybit", "kraken"}
    assert len(answers()) > 60


@settings(max_examples=800, deadline=None)
@given(data=st.data())
def test_a_recorded_payload_changed_anywhere_is_accounted_for(data: st.DataObject) -> None:
    venue, body = data.draw(st.sampled_from(seeds()))
    events = tuple(parse_text(VENUES[venue], mutated(data, body)))
    assert events
    assert_recorded(events)


@settings(max_examples=800, deadline=None)
@given(data=st.data())
def test_a_recorded_answer_changed_anywhere_is_sound_as_the_poller_would_read_it(data: st.DataObject) -> None:
    venue, endpoint, body = data.draw(st.sampled_from(answers()))
    asked = Asked(venue, "BTC", "", NOW_MS, perpetual=endpoint.perpetual, mark_price=40_000.0, contract=COIN)
    with suppress(VenueTrouble):
        assert_sound(VENUES[venue].read(endpoint, asked, mutated(data, body)))


@settings(max_examples=200, deadline=None)
@given(payload=st.one_of(st.binary(max_size=200), st.recursive(POISON, st.lists, max_leaves=8).map(encoded)))
def test_any_bytes_at_all_are_survived_by_every_question(payload: bytes) -> None:
    for name, venue in VENUES.items():
        for endpoint in venue.endpoints:
            with suppress(VenueTrouble):
                asked = Asked(name, "BTC", "BTCUSD_PERP", NOW_MS, mark_price=1.0, contract=COIN)
                assert_sound(venue.read(endpoint, asked, payload))
