"""What the daemon starts: for each venue a poller on a cadence and its websockets, writing to one board."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from margrave.collect.board import Board
from margrave.collect.listener import listener_of
from margrave.collect.poller import Poller
from margrave.collect.recording.line import Tap
from margrave.collect.socket import Socket
from margrave.collect.source import Clock, Venue
from margrave.collect.venues import VENUES
from margrave.errors import Fatal
from margrave.ops.clock import wall_ms
from margrave.settings import MarketSettings, NodeSettings, VenueSettings

SHORTEST_POLL_S: Final = 0.2
"""Of the wall's clock, however fast the market's runs."""
LONGEST_TELL_S: Final = 2.0
"""Clock seconds between two times that what sockets have heard is put on the board: a round reads no older book."""


class Collector:
    """All venues of one node. `start` and `stop` bracket a run; `board` is what a round reads at any time.

    Args:
        node: venues with their addresses and budgets.
        markets: by name, with each venue's names for them.
        clock: market time; an accelerated clock shortens the cadence on the wall.
        interval_s: clock seconds between two polls of a venue.
        tap: told everything that the venues say, where it is recorded.
    """

    def __init__(
        self,
        node: NodeSettings,
        markets: Mapping[str, MarketSettings],
        *,
        clock: Clock,
        interval_s: float,
        tap: Tap | None = None,
    ) -> None:
        if unknown := sorted(node.venues.keys() - VENUES.keys()):
            raise Fatal(f"[venues.{unknown[0]}] is not a venue", advice=f"use one of {', '.join(sorted(VENUES))}")
        self.board = Board(tap)
        self._poll_s = max(clock.wall_s(interval_s), SHORTEST_POLL_S)
        self._sockets: list[Socket] = []
        self._pollers = tuple(
            self._poller(VENUES[name], settings, markets, clock, tap)
            for name, settings in node.venues.items()
            if settings.enabled
        )
        self._tell_s = min(self._poll_s, max(clock.wall_s(LONGEST_TELL_S), SHORTEST_POLL_S))
        self._listening: list[asyncio.Task[None]] = []
        self._scheduler: AsyncIOScheduler | None = None
        self._polls: set[asyncio.Task[object]] = set()
        self.polls_skipped = 0
        """Polls that did not begin because the one before had not ended, or that came too late."""

    async def __aenter__(self) -> Collector:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the websockets, and begin polling, at once and then at the interval."""
        # Our own log tells polls apart by venue; the scheduler's lines would name only its jobs.
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._scheduler.add_listener(self._skipped, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        self._scheduler.start()
        for poller in self._pollers:
            self._scheduler.add_job(
                self._poll,
                "interval",
                args=(poller,),
                id=poller.venue.name,
                seconds=self._poll_s,
                next_run_time=datetime.fromtimestamp(wall_ms() / 1000, UTC),
                coalesce=True,
                max_instances=1,
                misfire_grace_time=max(1, round(self._poll_s)),
            )

        self._listening = [asyncio.create_task(socket.run()) for socket in self._sockets]
        if self._sockets:
            self._scheduler.add_job(self._tell, "interval", id="sockets", seconds=self._tell_s, coalesce=True)

    async def stop(self) -> None:
        """End polling and listening, what is under way included, and close all connections; safe to call twice."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None
        listening, self._listening = self._listening, []
        for task in listening:
            task.cancel()
        if listening:
            await asyncio.wait(listening)
        while under_way := tuple(self._polls):
            for poll in under_way:
                poll.cancel()
            await asyncio.wait(under_way)
        for poller in self._pollers:
            await poller.close()

    async def collect_once(self) -> None:
        """Poll what is due of everything, and return when each venue has answered, failed or timed out.

        Between `start` and `stop` the connections stay open for the next call, otherwise they are closed.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for poller in self._pollers:
                    group.create_task(poller.poll())
        finally:
            if self._scheduler is None:
                await self.stop()

    async def _poll(self, poller: Poller) -> None:
        """One scheduled poll, remembered so that `stop` can end it; nothing once stopped."""
        task = asyncio.current_task()
        if task is None or self._scheduler is None:
            return
        self._polls.add(task)
        try:
            await poller.poll()
        finally:
            self._polls.discard(task)

    def _poller(
        self,
        venue: Venue,
        settings: VenueSettings,
        markets: Mapping[str, MarketSettings],
        clock: Clock,
        tap: Tap | None,
    ) -> Poller:
        """A venue's poller, and its sockets where the operator names their host: they share its budget and pauses."""
        mine: list[Socket] = []

        def kept(market: str, perpetual: bool) -> bool:
            return any(socket.keeps(market, perpetual=perpetual) for socket in mine)

        poller = Poller(venue, settings, markets, board=self.board, clock=clock, tap=tap, kept=kept)
        if settings.stream_url is not None:
            for stream in venue.streams:
                listener = listener_of(venue, stream, markets, board=self.board)
                if listener.channels:
                    mine.append(Socket(listener, settings, board=self.board, clock=clock, fetch=poller.fetch, tap=tap))
        self._sockets.extend(mine)
        return poller

    async def _tell(self) -> None:
        """What the sockets have heard, one at a time, so that measuring books holds up nothing for long."""
        for socket in self._sockets:
            socket.tell()
            await asyncio.sleep(0)

    def _skipped(self, _event: JobEvent) -> None:
        self.polls_skipped += 1
