"""One venue's questions: which are due, put to its hosts, and the answers on the board."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import httpx2
import structlog

from margrave.collect.board import Board
from margrave.collect.host import Host
from margrave.collect.recording.line import Tap
from margrave.collect.source import Asked, Clock, Item, Pace, Request, Trouble, Venue, VenueTrouble, decode
from margrave.errors import Rejected
from margrave.messages import Refusal
from margrave.settings import MarketSettings, VenueSettings
from margrave.spans import HOUR_MS
from margrave.verdicts import Rejection

HISTORY_BARS: Final = 744
"""Asked for at the start: 31 days of hours."""
UNKNOWN_PAUSE_S: Final = 600.0
"""Before a question is put again that the venue itself called wrong (an instrument that it does not list)."""
PACE_S: Final[Mapping[Pace, float]] = {Pace.QUOTE: 0.0, Pace.CHAIN: 50.0, Pace.BARS: 280.0, Pace.LISTING: 3_550.0}
"""Clock seconds between two askings of one thing, at least: a little under a minute and five, so that a poll which
comes each minute does not find it due a moment too late, and wait for the next."""
MARK_MAX_AGE_MS: Final = 1_800_000
"""An older mark does not value an open interest."""

Kept = Callable[[str, bool], bool]
"""(market, whether its perpetual) -> whether a socket keeps that book now."""

log = structlog.get_logger(__name__)


class Poller:
    """One venue: makes the requests that are due and puts what the parsers say on the board.

    Connections open as they are needed, until `close`. `transport` takes the place of the network in tests; `kept` says
    which books need no asking.
    """

    def __init__(
        self,
        venue: Venue,
        settings: VenueSettings,
        markets: Mapping[str, MarketSettings],
        *,
        board: Board,
        clock: Clock,
        transport: httpx2.AsyncBaseTransport | None = None,
        tap: Tap | None = None,
        kept: Kept = lambda *_: False,
    ) -> None:
        self.venue = venue
        self._kept = kept
        self._settings = settings
        self._markets = markets
        self._board = board
        self._clock = clock
        self._due_ms: dict[tuple[str, str, str, bool, str], int] = {}
        urls = {settings.base_url, settings.futures_url, settings.options_url}
        self._hosts = {u: Host(u, settings, transport=transport, source=venue.name, tap=tap) for u in urls if u}

    async def close(self) -> None:
        """Close all connections; the next poll opens them again."""
        for host in self._hosts.values():
            await host.close()

    async def poll(self) -> None:
        """Make every request that is due: contract sizes first, what needs this venue's mark last. Never raises."""
        due = self._due()
        await self._ask_all(request for request in due if request.pace is Pace.LISTING)
        due = [request for request in due if request.pace is not Pace.LISTING and self._can_be_read(request)]
        await self._ask_all(request for request in due if not request.needs_mark)
        await self._ask_all(request for request in due if request.needs_mark)

    async def fetch(self, request: Request) -> bytes:
        """One answer now, outside the cadence but within the budget and the pauses: a socket's snapshot.

        Raises:
            VenueTrouble: no answer, or the host is being left alone.
        """
        host = self._host_of(request)
        what = f"{self.venue.name} {request.endpoint.name} of {request.instrument}"
        if host.resting(self._clock.now_ms()):
            raise VenueTrouble(Trouble.RATE_LIMITED, f"{what}: not asked while the venue is left alone")
        try:
            return await self._put(host, request, what)
        except VenueTrouble as trouble:
            self._note(host, trouble)
            raise

    def _due(self) -> list[Request]:
        now_ms = self._clock.now_ms()
        due: list[Request] = []
        for market, settings in self._markets.items():
            if names := settings.instruments.get(self.venue.name):
                wanted = self.venue.requests(market, names, now_ms, self._bars_wanted)
                due.extend(r for r in wanted if self._is_due(r) and self._is_wanted(r))
        return due

    def _is_due(self, request: Request) -> bool:
        return self._clock.now_ms() >= self._due_ms.get(request.key, 0)

    def _is_wanted(self, request: Request) -> bool:
        if request.options_host and not self._settings.options_url:
            return False
        return not (request.endpoint.streamed and self._kept(request.market, request.perpetual))

    def _can_be_read(self, request: Request) -> bool:
        """Whether the answer could be valued: sizes in contracts of an unknown size could not."""
        return not request.needs_contract or self._board.contract(self.venue.name, request.instrument) is not None

    def _bars_wanted(self, market: str, *, perpetual: bool) -> int:
        last_ms = self._board.last_bar_ms(self.venue.name, market, perpetual=perpetual)
        if last_ms is None:
            return HISTORY_BARS
        return min(HISTORY_BARS, (self._clock.now_ms() - last_ms) // HOUR_MS + 2)

    async def _ask_all(self, requests: Iterable[Request]) -> None:
        async with asyncio.TaskGroup() as group:
            for request in requests:
                group.create_task(self._ask(request))

    async def _ask(self, request: Request) -> None:
        host, asked_ms = self._host_of(request), self._clock.now_ms()
        if host.resting(asked_ms):
            return
        try:
            items = await self._answer(host, request)
        except VenueTrouble as trouble:
            self._note(host, trouble)
        except Exception as error:
            # A fault of ours in one parser must not stop the others, let alone the round.
            problem = f"{self.venue.name} {request.endpoint.name}: {type(error).__name__}: {error}"
            self._board.fail(self.venue.name, problem, None)
            log.exception("an adapter failed: report it with the payload", source=self.venue.name)
        else:
            host.answered()
            self._due_ms[request.key] = asked_ms + int(_pause_s(request, items) * 1000)
            for item in items:
                self._board.put(item)

    async def _answer(self, host: Host, request: Request) -> tuple[Item, ...]:
        payload = await self._put(host, request, f"{self.venue.name} {request.endpoint.name} of {request.instrument}")
        now_ms = self._clock.now_ms()
        asked = Asked(
            source=self.venue.name,
            market=request.market,
            instrument=request.instrument,
            seen_ms=now_ms,
            perpetual=request.perpetual,
            bar_ms=HOUR_MS,
            mark_price=self._board.mark_price(self.venue.name, request.market, since_ms=now_ms - MARK_MAX_AGE_MS),
            contract=self._board.contract(self.venue.name, request.instrument),
            reference_usd=self._markets[request.market].reference_size_usd,
        )
        return self.venue.read(request.endpoint, asked, payload)

    async def _put(self, host: Host, request: Request, what: str) -> bytes:
        if request.body is None:
            return await host.get(request.path, request.params, what=what, explained=self._explained)
        return await host.post(request.path, request.body, what=what, explained=self._explained)

    def _host_of(self, request: Request) -> Host:
        settings = self._settings
        if request.options_host and settings.options_url:
            return self._hosts[settings.options_url]
        return self._hosts[(settings.futures_url or settings.base_url) if request.futures_host else settings.base_url]

    def _explained(self, body: bytes) -> bool:
        try:
            return self.venue.complaint(decode(body)) is not None
        except Rejected:
            return False

    def _note(self, host: Host, trouble: VenueTrouble) -> None:
        self._board.fail(self.venue.name, trouble.problem, trouble.trouble)
        pause_s = host.failed(trouble, self._clock.now_ms())
        if pause_s is None:
            return
        log.warning(
            "venue not heard",
            source=self.venue.name,
            trouble=trouble.trouble.value,
            problem=trouble.problem,
            pause_s=round(pause_s, 1),
            advice=trouble.advice,
        )


def _pause_s(request: Request, items: tuple[Item, ...]) -> float:
    """How long until the same question is worth putting again."""
    wrong = all(isinstance(item, Refusal) and item.reason is Rejection.VENUE_ERROR for item in items)
    return max(PACE_S[request.pace], UNKNOWN_PAUSE_S if wrong else 0.0)
