"""Moves the bytes: one venue's requests over HTTP, within its budget, its failures named and paced.

Nothing here looks at a number. A host that fails is left alone for a while, twice as long each time, with jitter so
that a fleet does not come back in step; other hosts of the same venue and all other venues go on.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final

import httpx2
import structlog
from aiolimiter import AsyncLimiter

from margrave.collect.board import Board
from margrave.collect.source import (
    HOUR_MS,
    Asked,
    Clock,
    Pace,
    Request,
    Trouble,
    Venue,
    VenueTrouble,
    decode,
)
from margrave.errors import Rejected
from margrave.messages import Refusal
from margrave.settings import MarketSettings, VenueSettings
from margrave.verdicts import Rejection

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Whole option chains are below 1 MiB; a venue, or who stands in for it, may not fill our memory."""
CONNECTIONS: Final = 4
"""Open at once to one host: polite to the venue, and a dozen small answers are soon read."""
USER_AGENT: Final = "margrave/0.1 (risk oracle node)"
HISTORY_BARS: Final = 744
"""Asked for at the start: 31 days of hours."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
GEO_BLOCK_PAUSE_S: Final = 900.0
UNKNOWN_PAUSE_S: Final = 600.0
"""Before a question is put again that the venue itself called wrong (an instrument that it does not list)."""
PACE_S: Final[Mapping[Pace, float]] = {Pace.QUOTE: 0.0, Pace.CHAIN: 60.0, Pace.BARS: 300.0}
"""Clock seconds between two askings of one thing, at least; polls are the interval of the collector."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Host:
    """One base address: its budget, and until when it is left alone (clock time)."""

    base_url: str
    limiter: AsyncLimiter
    jitter: random.Random
    client: httpx2.AsyncClient | None = None
    """Its own while polls are made: a host that hangs holds its own connections and nobody else's."""
    rests_until_ms: int = 0
    failures_in_a_row: int = field(default=0)

    def resting(self, now_ms: int) -> bool:
        return now_ms < self.rests_until_ms

    def answered(self) -> None:
        self.failures_in_a_row = 0

    def failed(self, trouble: VenueTrouble, now_ms: int) -> float:
        """Begin a pause; its length in clock seconds."""
        self.failures_in_a_row += 1
        doubled_s = FIRST_PAUSE_S * 2.0 ** min(self.failures_in_a_row - 1, 16)
        pause_s = min(doubled_s, LONGEST_PAUSE_S) * self.jitter.uniform(0.5, 1.0)
        if trouble.trouble is Trouble.GEO_BLOCKED:
            pause_s = GEO_BLOCK_PAUSE_S
        if trouble.retry_after_s is not None:
            pause_s = max(pause_s, min(trouble.retry_after_s, 3600.0))
        # Requests that were under way together fail together: that is one failure, and one pause.
        self.rests_until_ms = max(self.rests_until_ms, now_ms + int(pause_s * 1000))
        return pause_s


class Poller:
    """One venue: makes the requests that are due and puts what the parsers say on the board.

    `transport` takes the place of the network in tests. Connections open as they are needed, until `close`.
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
    ) -> None:
        self.venue = venue
        self._settings = settings
        self._markets = markets
        self._board = board
        self._clock = clock
        self._due_ms: dict[tuple[str, str, str, bool, str], int] = {}
        self._transport = transport
        self._futures_url = settings.futures_url or settings.base_url
        self._hosts = {url: _host(url, settings) for url in {settings.base_url, self._futures_url}}

    async def close(self) -> None:
        """Close all connections; the next poll opens them again. Pauses and budgets are remembered."""
        for host in self._hosts.values():
            client, host.client = host.client, None
            if client is not None:
                await client.aclose()

    async def poll(self) -> None:
        """Make every request that is due, those that need this venue's mark price last. Never raises."""
        due = self._due()
        await self._ask_all(request for request in due if not request.needs_mark)
        await self._ask_all(request for request in due if request.needs_mark)

    def _due(self) -> list[Request]:
        now_ms = self._clock.now_ms()
        due = []
        for market, settings in self._markets.items():
            if names := settings.instruments.get(self.venue.name):
                wanted = [r for r in self.venue.requests(market, names, now_ms, self._bars_wanted) if self._is_due(r)]
                due.extend(wanted)
        return due

    def _is_due(self, request: Request) -> bool:
        return self._clock.now_ms() >= self._due_ms.get(request.key, 0)

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
        host = self._hosts[self._futures_url if request.futures_host else self._settings.base_url]
        if host.resting(self._clock.now_ms()):
            return
        try:
            await self._fetch_and_put(host, request)
        except VenueTrouble as trouble:
            self._note(host, trouble)
        except Exception as error:
            # A fault of ours in one parser must not stop the others, let alone the round.
            problem = f"{self.venue.name} {request.endpoint.name}: {type(error).__name__}: {error}"
            self._board.fail(self.venue.name, problem, None)
            log.exception("an adapter failed: report it with the payload", source=self.venue.name)

    async def _fetch_and_put(self, host: Host, request: Request) -> None:
        async with host.limiter:
            payload = await self._fetch(host, request)
        asked = Asked(
            source=self.venue.name,
            market=request.market,
            instrument=request.instrument,
            seen_ms=self._clock.now_ms(),
            perpetual=request.perpetual,
            bar_ms=HOUR_MS,
            mark_price=self._board.mark_price(self.venue.name, request.market),
        )
        items = self.venue.read(request.endpoint, asked, payload)
        host.answered()
        wrong = all(isinstance(item, Refusal) and item.reason is Rejection.VENUE_ERROR for item in items)
        pause_s = max(PACE_S[request.pace], UNKNOWN_PAUSE_S if wrong else 0.0)
        self._due_ms[request.key] = asked.seen_ms + int(pause_s * 1000)
        for item in items:
            self._board.put(item)

    async def _fetch(self, host: Host, request: Request) -> bytes:
        what = f"{self.venue.name} {request.endpoint.name} of {request.instrument}"
        client = host.client = host.client or self._connect()
        try:
            async with (
                asyncio.timeout(self._settings.timeout_s),
                client.stream("GET", host.base_url + request.path, params=dict(request.params)) as answer,
            ):
                body = await _body(answer, what)
        except (TimeoutError, httpx2.TimeoutException):
            problem = f"{what}: no answer within {self._settings.timeout_s:g} s"
            raise VenueTrouble(Trouble.TIMEOUT, problem) from None
        except httpx2.HTTPError as error:
            problem = f"{what}: {type(error).__name__} {str(error)[:80]}".rstrip()
            raise VenueTrouble(Trouble.UNREACHABLE, problem) from error
        if answer.is_success:
            return body
        self._explain(answer, body, what)
        return body

    def _connect(self) -> httpx2.AsyncClient:
        # Redirects are not followed: a venue's address is configuration, and nobody else's to change.
        return httpx2.AsyncClient(
            headers={"user-agent": USER_AGENT},
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            timeout=self._settings.timeout_s,
            verify=_tls(),
            transport=self._transport,
            follow_redirects=False,
        )

    def _explain(self, answer: httpx2.Response, body: bytes, what: str) -> None:
        """Raise what a status other than 2xx means, unless the body is an error that the venue itself explains."""
        retry_after_s = _retry_after_s(answer.headers.get("retry-after"), answer.headers.get("date"))
        problem = f"{what}: HTTP {answer.status_code}"
        if answer.status_code in (403, 451):
            raise VenueTrouble(Trouble.GEO_BLOCKED, problem)
        if answer.status_code in (418, 429):
            raise VenueTrouble(Trouble.RATE_LIMITED, problem, retry_after_s=retry_after_s)
        if answer.status_code >= 500:
            raise VenueTrouble(Trouble.MAINTENANCE, problem, retry_after_s=retry_after_s)
        try:
            complaint = self.venue.complaint(decode(body))
        except Rejected:
            complaint = None
        if complaint is None:
            raise VenueTrouble(Trouble.BAD_STATUS, problem)

    def _note(self, host: Host, trouble: VenueTrouble) -> None:
        now_ms = self._clock.now_ms()
        already = host.resting(now_ms)
        self._board.fail(self.venue.name, trouble.problem, trouble.trouble)
        if already:
            return
        pause_s = host.failed(trouble, now_ms)
        log.warning(
            "venue not heard",
            source=self.venue.name,
            trouble=trouble.trouble.value,
            problem=trouble.problem,
            pause_s=round(pause_s, 1),
            advice=trouble.advice,
        )


@cache
def _tls() -> ssl.SSLContext:
    """One for all clients: reading the certificate store takes longer than a poll."""
    return httpx2.create_ssl_context()


def _host(url: str, settings: VenueSettings) -> Host:
    # Bursts of at most five seconds' worth: a venue's own window is shorter than a minute.
    window_s = 5.0
    limiter = AsyncLimiter(max(settings.requests_per_minute * window_s / 60.0, 1.0), window_s)
    return Host(url.rstrip("/"), limiter, random.Random())  # noqa: S311 jitter, not a secret


async def _body(answer: httpx2.Response, what: str) -> bytes:
    received = bytearray()
    async for chunk in answer.aiter_bytes():
        received += chunk
        if len(received) > MAX_ANSWER_BYTES:
            raise VenueTrouble(Trouble.BAD_STATUS, f"{what}: more than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(received)


def _retry_after_s(header: str | None, date: str | None) -> float | None:
    """Seconds, or a date measured against the answer's own; `None` where absent or unreadable."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max((parsedate_to_datetime(header) - parsedate_to_datetime(date or "")).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
