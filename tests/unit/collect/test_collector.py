from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from margrave.collect.collector import Collector
from margrave.collect.source import Trouble
from margrave.errors import Fatal
from margrave.ops.clock import Clock
from margrave.settings import (
    ChainSettings,
    Instruments,
    KeySettings,
    MarketSettings,
    NodeSettings,
    VenueSettings,
)


def node(**venues: VenueSettings) -> NodeSettings:
    keys = KeySettings(keystore=Path("k"), passphrase_file=Path("p"))
    chain = ChainSettings(rpc=["http://unused"], chain_id=1, oracle="unused")
    return NodeSettings(name="n", state_dir=Path("s"), keys=keys, chain=chain, venues=venues)


def test_a_venue_that_nobody_speaks_is_refused_by_name() -> None:
    with pytest.raises(Fatal, match=r"\[venues\.mtgox\] is not a venue — use one of binance, bybit"):
        Collector(node(mtgox=VenueSettings(base_url="http://x")), {}, clock=Clock(), interval_s=1)


async def test_a_disabled_venue_is_never_asked_and_has_no_health() -> None:
    settings = VenueSettings(base_url="http://127.0.0.1:1", enabled=False)
    collector = Collector(node(okx=settings), {}, clock=Clock(), interval_s=1)
    await collector.collect_once()
    assert collector.board.health() == {}


async def test_stopping_what_never_started_is_no_error() -> None:
    collector = Collector(node(), {}, clock=Clock(), interval_s=1)
    await collector.stop()
    await collector.stop()


MARKETS = {
    "BTC": MarketSettings(
        id=0, reference_size_usd=1.0, instruments={"binance": Instruments(spot="BTCUSDT", perpetual="BTCUSDT")}
    )
}


async def test_websockets_are_opened_beside_the_polls_and_closed_with_them() -> None:
    here = "ws://127.0.0.1:1"
    nowhere = VenueSettings(base_url="http://127.0.0.1:1", stream_url=here, futures_stream_url=here)
    before = asyncio.all_tasks()
    async with Collector(node(binance=nowhere), MARKETS, clock=Clock(), interval_s=1) as collector:
        async with asyncio.timeout(10):
            while len(sockets := collector.board.health_of("binance").sockets) < 3:  # noqa: ASYNC110 it has no event
                await asyncio.sleep(0.01)
        assert {socket.trouble for socket in sockets.values()} == {Trouble.UNREACHABLE}
        assert "spot" in sockets
    assert asyncio.all_tasks() == before


async def test_a_venue_without_an_address_for_websockets_is_only_polled() -> None:
    settings = VenueSettings(base_url="http://127.0.0.1:1")
    async with Collector(node(binance=settings), MARKETS, clock=Clock(), interval_s=1) as collector:
        await collector.collect_once()
        assert collector.board.health_of("binance").sockets == {}


async def test_polling_once_opens_no_websocket() -> None:
    settings = VenueSettings(base_url="http://127.0.0.1:1", stream_url="ws://127.0.0.1:1")
    collector = Collector(node(binance=settings), MARKETS, clock=Clock(), interval_s=1)
    await collector.collect_once()
    assert collector.board.health_of("binance").sockets == {}
