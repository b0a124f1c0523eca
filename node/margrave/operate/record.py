"""`margrave record`: the venues of a node.toml, asked and listened to without a chain or a key, and everything kept."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from typing import Final

import structlog

from margrave.collect.board import SourceHealth
from margrave.collect.collector import Collector
from margrave.collect.recording.recorder import recorder_of
from margrave.ops.clock import Clock
from margrave.settings import RecordingSettings, Settings

SAID_EVERY_S: Final = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of a recording."""

    lines: int
    dropped: int
    bytes_written: int
    sources: dict[str, SourceHealth]


async def record(
    settings: Settings,
    to: RecordingSettings,
    *,
    for_s: float | None,
    stop: asyncio.Event,
) -> Kept:
    """Until `stop` is set or `for_s` seconds are over; the log says once a minute how it goes.

    Raises:
        Fatal: the folder cannot be written.
    """
    clock = Clock.of(settings.node.clock)
    async with recorder_of(settings.node, to, clock) as tap:
        interval_s = settings.policy.round.poll_s
        async with Collector(settings.node, settings.markets, clock=clock, interval_s=interval_s, tap=tap) as collector:
            left_s = for_s
            while not stop.is_set() and (left_s is None or left_s > 0):
                wait_s = SAID_EVERY_S if left_s is None else min(SAID_EVERY_S, left_s)
                try:
                    await asyncio.wait_for(stop.wait(), wait_s)
                except TimeoutError:
                    log.info("recording", lines=tap.lines, bytes=tap.bytes_written, dropped=tap.dropped)
                left_s = None if left_s is None else left_s - wait_s
        health = dict(collector.board.health())
    return Kept(tap.lines, tap.dropped, tap.bytes_written, health)


async def record_until_told(settings: Settings, to: RecordingSettings, *, for_s: float | None) -> Kept:
    """The same until SIGTERM or Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await record(settings, to, for_s=for_s, stop=stop)
