"""The recorded payloads of Deribit and Binance as the venues may write them tomorrow: with fields that nobody knows,
with numbers as text, with nulls where a figure was. What is told stays what it was."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final

import msgspec
import pytest

from margrave.collect.recorded import Payload, parse_text, payloads
from margrave.collect.stream import Event
from margrave.collect.venues import VENUES
from margrave.messages import Refusal
from margrave.verdicts import Rejection
from tests.history import needs_data, recorded

pytestmark = [needs_data, pytest.mark.data]

FOLDERS: Final = {"deribit": ("deribit",), "binance": ("binance", "py_binance")}
SESSIONS: Final = {
    "deribit": ("DERIBIT.0", "DERIBIT.ws.1.0"),
    "binance": ("BINANCE.ws.1.0", "BINANCE_FUTURES.ws.1.0", "BINANCE_FUTURES.http.0.0", "BINANCE_DELIVERY.0"),
}
A_SESSION: Final = 25
NOT_MARKETS: Final = (Rejection.NOT_READ, Rejection.UNKNOWN_SHAPE, Rejection.VENUE_ERROR)


@cache
def bodies() -> tuple[tuple[str, Payload], ...]:
    """Each recorded JSON file whole, and payloads spread over the sessions."""
    found: list[tuple[str, Payload]] = []
    for venue, folders in FOLDERS.items():
        for folder in folders:
            files = sorted(recorded("fixtures_nautilus", folder).rglob("*.json"))
            found += [(venue, Payload(file.read_bytes(), 0)) for file in files]
        for session in SESSIONS[venue]:
            raw = gzip.decompress(recorded("fixtures_cryptofeed_raw", f"{session}.gz").read_bytes())
            said = list(payloads(raw))
            found += [(venue, one) for one in said[:: max(len(said) // A_SESSION, 1)]]
    return tuple(found)


def told(venue: str, payload: Payload, body: object) -> tuple[Event, ...]:
    """What the payload says with another body in its place, under the address that it was recorded with."""
    text = msgspec.json.encode(body)
    if payload.url:
        text = f"{payload.url} -> {payload.seen_ms / 1000:.3f}: ".encode() + text
    elif payload.socket:
        text = f"{payload.socket} <-> 1.0\n{payload.seen_ms / 1000:.3f}: ".encode() + text
    return tuple(parse_text(VENUES[venue], text))


def mapped(body: object, leaf: Callable[[object], object], fields: dict[str, object]) -> object:
    if isinstance(body, dict):
        return {key: mapped(value, leaf, fields) for key, value in body.items()} | fields
    return [mapped(value, leaf, fields) for value in body] if isinstance(body, list) else leaf(body)


def as_it_is(value: object) -> object:
    return value


def as_text(value: object) -> object:
    return repr(value) if type(value) in (int, float) else value


def as_number(value: object) -> object:
    """Decimal text as a number, of which the venues' own writing is one form among several."""
    if isinstance(value, str) and value[-1:].isdigit() and value.replace(".", "", 1).removeprefix("-").isdigit():
        return float(value) if "." in value else int(value)
    return value


def markets() -> Iterator[tuple[str, Payload, object, tuple[Event, ...]]]:
    """Those that say something of a market: an account's own, clocks and errors are refused however they are
    written."""
    for venue, payload in bodies():
        body = json.loads(payload.body)
        before = told(venue, payload, body)
        if not all(isinstance(event, Refusal) and event.reason in NOT_MARKETS for event in before):
            yield venue, payload, body, before


@pytest.mark.parametrize("leaf", [as_it_is, as_text, as_number])
def test_numbers_in_another_writing_and_fields_that_nobody_knows_change_nothing(
    leaf: Callable[[object], object],
) -> None:
    compared = 0
    for venue, payload, body, before in markets():
        after = told(venue, payload, mapped(body, leaf, {"a_new_field": {"deep": [1, None]}, "zz": "new"}))
        assert after == before, (venue, payload.body[:200])
        compared += 1
    assert compared == 139
