"""What the adapters ask live: each question goes to the address of its endpoint, and none is asked twice in a poll."""

from __future__ import annotations

import pytest

from margrave.collect.source import Pace, Request
from margrave.collect.venues import VENUES
from margrave.settings import MARKETS_FILE, Instruments, load_markets
from tests.unit.collect.ask import NOW_MS

MARKETS = load_markets(MARKETS_FILE)


def few(_market: str, *, perpetual: bool) -> int:
    return 3 if perpetual else 2


def asked(venue: str, market: str = "BTC", names: Instruments | None = None) -> list[Request]:
    return list(VENUES[venue].requests(market, names or MARKETS[market].instruments[venue], NOW_MS, few))


@pytest.mark.parametrize("venue", sorted(VENUES))
@pytest.mark.parametrize("market", sorted(MARKETS))
def test_a_question_goes_to_its_endpoints_address_and_is_told_from_all_others(venue: str, market: str) -> None:
    requests = asked(venue, market)
    assert requests
    assert all(request.endpoint.answers(request.path) for request in requests)
    assert len({request.key for request in requests}) == len(requests)
    assert {request.endpoint.name for request in requests} <= {e.name for e in VENUES[venue].endpoints}


@pytest.mark.parametrize("venue", ["okx", "bybit", "kraken", "coinbase", "hyperliquid"])
def test_what_is_listed_is_asked_of_each_market_each_hour(venue: str) -> None:
    assert [r for r in asked(venue) if r.pace is Pace.LISTING]


@pytest.mark.parametrize("venue", ["okx", "bybit", "kraken", "coinbase", "hyperliquid"])
def test_a_market_without_a_name_at_the_venue_is_not_asked(venue: str) -> None:
    assert asked(venue, names=Instruments(index="x")) == []


def test_okx_books_of_a_swap_of_unknown_size_wait_for_the_listing() -> None:
    waiting = {
        r.instrument
        for name in ("BTC-USDT-SWAP", "PEPE-USDT-SWAP")
        for r in asked("okx", names=Instruments(perpetual=name))
        if r.needs_contract
    }
    assert waiting == {"PEPE-USDT-SWAP"}


@pytest.mark.parametrize(("venue", "family"), [("okx", "BTC-USD"), ("bybit", "BTC")])
def test_option_chains_are_asked_where_the_operator_names_them(venue: str, family: str) -> None:
    chains = [r for r in asked(venue, names=Instruments(options=family)) if r.pace is Pace.CHAIN]
    assert chains
    assert {r.instrument for r in chains} == {family}
