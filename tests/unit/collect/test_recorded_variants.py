"""Recorded payloads as venues may write them tomorrow: numbers as text, text as numbers, fields that nobody knows."""

from __future__ import annotations

import json

import pytest

from margrave.collect.recorded import parse_text
from margrave.collect.venues import VENUES
from tests.history import needs_data, recorded
from tests.unit.collect.recordings import Counts, files, tally
from tests.unit.collect.test_venue_samples import as_text, mapped, same

pytestmark = [needs_data, pytest.mark.data]
VENUES_HERE = ["okx", "bybit", "kraken", "coinbase"]
KEYS_ARE_NAMES = ("asset_pairs",)
"""Where an unknown key is an unknown pair."""


def as_number(value: object) -> object:
    if not isinstance(value, str) or len(value) > 15 or not value.replace(".", "", 1).removeprefix("-").isdigit():
        return value
    return float(value) if "." in value else int(value)


def read(venue: str, body: object) -> Counts:
    return tally(parse_text(VENUES[venue], json.dumps(body).encode()))


@pytest.mark.parametrize("venue", VENUES_HERE)
def test_another_way_to_write_numbers_changes_nothing(venue: str) -> None:
    paths = sorted(files(f"fixtures_nautilus/{venue}", "*.json"))
    assert len(paths) > 15
    for path in paths:
        body = json.loads(recorded(path).read_bytes())
        assert read(venue, mapped(body, as_text, same)) == read(venue, body), path  # type: ignore[arg-type]
        assert read(venue, mapped(body, as_number, same)) == read(venue, body), path  # type: ignore[arg-type]


@pytest.mark.parametrize("venue", VENUES_HERE)
def test_fields_that_nobody_knows_change_nothing(venue: str) -> None:
    for path in sorted(files(f"fixtures_nautilus/{venue}", "*.json")):
        if any(name in path for name in KEYS_ARE_NAMES):
            continue
        body = json.loads(recorded(path).read_bytes())
        more = mapped(body, same, lambda entry: entry | {"aNewField": {"deep": [None, 1]}, "zzz": None})
        assert read(venue, more) == read(venue, body), path
