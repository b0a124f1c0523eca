from __future__ import annotations

from pathlib import Path

import pytest

from margrave.collect.collector import Collector
from margrave.errors import Fatal
from margrave.ops.clock import Clock
from margrave.settings import ChainSettings, KeySettings, NodeSettings, VenueSettings


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
