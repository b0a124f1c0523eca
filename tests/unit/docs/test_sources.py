"""docs/sources.md is what the adapters say of themselves, and what they make of the recordings."""

from __future__ import annotations

import msgspec
import pytest

from margrave.collect.venues import VENUES
from margrave.lab.recordings import Made, made_of
from margrave.lab.sources_page import RECORDED, requests_a_minute, sources_page, sources_stated
from margrave.settings import MARKETS_FILE, load_markets
from tests.history import needs_data, recorded


def test_every_adapter_says_what_it_gives_and_what_it_may_ask() -> None:
    assert not sources_stated()


def test_every_question_and_socket_is_on_the_page() -> None:
    page = sources_page()
    for venue in VENUES.values():
        assert all(endpoint.path.replace("|", "\\|") in page for endpoint in venue.endpoints), venue.name
        assert all(f"| {stream.name} `" in page for stream in venue.streams), venue.name


def test_a_slower_poll_costs_less() -> None:
    markets = load_markets(MARKETS_FILE)
    for venue in VENUES.values():
        assert requests_a_minute(venue, markets, 10.0) > requests_a_minute(venue, markets, 100.0) > 0


@pytest.mark.data
@needs_data
def test_the_table_of_recordings_is_what_the_parsers_make_of_them_now() -> None:
    assert made_of(recorded()) == msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, Made])
