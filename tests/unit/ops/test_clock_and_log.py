from __future__ import annotations

import asyncio
import json

import pytest

from margrave.ops import log
from margrave.ops.clock import Clock, wall_ms
from margrave.settings import ClockSettings


def test_without_settings_market_time_is_the_walls() -> None:
    before = wall_ms()
    now = Clock.of(None).now_ms()
    assert before <= now <= wall_ms()


def test_an_accelerated_clock_passes_so_many_market_seconds_a_wall_second() -> None:
    clock = Clock.of(ClockSettings(origin_ms=1_000_000, wall_origin_ms=wall_ms() - 2_000, speed=100.0))
    assert clock.now_ms() - 1_000_000 >= 200_000
    assert clock.wall_s(50.0) == 0.5


def test_two_nodes_with_the_same_settings_agree_on_the_time() -> None:
    settings = ClockSettings(origin_ms=5, wall_origin_ms=wall_ms(), speed=1e-9)
    assert Clock.of(settings).now_ms() == Clock.of(settings).now_ms() == 5


async def test_sleeping_ends_when_the_market_is_there() -> None:
    clock = Clock(origin_ms=0, wall_origin_ms=wall_ms(), speed=1000.0)
    await asyncio.wait_for(clock.sleep_until_ms(60_000), 10)
    assert clock.now_ms() >= 60_000


async def test_a_time_that_has_passed_is_not_slept_for() -> None:
    await asyncio.wait_for(Clock().sleep_until_ms(0), 10)


def test_a_secret_never_reaches_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", node="ada")
    log.get().info("unlocked", passphrase="correct horse", keystore="keystore.json")
    line = json.loads(capsys.readouterr().err)
    assert line["passphrase"] == "[redacted]"
    assert line["keystore"] == "keystore.json"
    assert line["node"] == "ada"
