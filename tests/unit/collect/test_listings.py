from __future__ import annotations

import asyncio
import json

import httpx2
import pytest

from margrave.collect.board import MAX_LISTINGS, Board
from margrave.collect.host import Host
from margrave.collect.source import InstrumentKind, Listing
from margrave.settings import VenueSettings

SWAP = Listing("okx", "BTC-USDT-SWAP", InstrumentKind.PERPETUAL, unit=0.01)


def test_a_linear_contract_is_coins_at_a_price_and_an_inverse_one_is_dollars() -> None:
    inverse = Listing("okx", "BTC-USD-SWAP", InstrumentKind.PERPETUAL, unit=100.0, inverse=True)
    assert SWAP.usd(200, 70_000) == pytest.approx(140_000)
    assert inverse.usd(3, 70_000) == 300


def test_the_board_keeps_what_each_venue_lists_apart_and_the_newest_of_one_name() -> None:
    board = Board()
    board.put(SWAP)
    board.put(Listing("okx", "BTC-USDT-SWAP", InstrumentKind.PERPETUAL, unit=0.02))
    board.put(Listing("bybit", "BTCUSDT", InstrumentKind.PERPETUAL))
    assert board.listings("okx")["BTC-USDT-SWAP"].unit == 0.02
    assert set(board.listings("bybit")) == {"BTCUSDT"}
    assert board.listings("kraken") == {}
    assert board.readings() == (), "a listing is no reading"


def test_listings_are_bounded_and_those_that_are_held_still_change() -> None:
    board = Board()
    for i in range(MAX_LISTINGS + 5):
        board.put(Listing("okx", f"X-{i}", InstrumentKind.OPTION))
    board.put(Listing("okx", "X-0", InstrumentKind.OPTION, unit=2.0))
    assert len(board.listings("okx")) == MAX_LISTINGS
    assert board.listings("okx")["X-0"].unit == 2.0


def test_a_question_may_be_put_as_json() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json={"levels": []})

    async def ask() -> bytes:
        host = Host("https://x.test", VenueSettings(base_url="https://x.test"), transport=httpx2.MockTransport(answer))
        try:
            return await host.post("/info", {"type": "l2Book", "coin": "BTC"}, what="x", explained=lambda _: False)
        finally:
            await host.close()

    assert json.loads(asyncio.run(ask())) == {"levels": []}
    (request,) = asked
    assert (request.method, request.url.path) == ("POST", "/info")
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"type": "l2Book", "coin": "BTC"}
