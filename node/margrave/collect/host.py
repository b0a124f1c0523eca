"""One address of a venue: its connections, its budget, its pauses, and what its failures are called.

Nothing here looks at a number. A host that fails is left alone for a while, twice as long each time, with jitter so
that a fleet does not come back in step; other hosts of the same venue and all other venues go on.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final

import httpx2
import msgspec
from aiolimiter import AsyncLimiter

from margrave.collect.recording.line import Tap, What
from margrave.collect.source import Trouble, VenueTrouble
from margrave.settings import VenueSettings

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""Whole option chains are below 1 MiB; a venue, or who stands in for it, may not fill our memory."""
CONNECTIONS: Final = 4
"""Open at once to one host: polite to the venue, and a dozen small answers are soon read."""
USER_AGENT: Final = "margrave/0.1 (risk oracle node)"
BURST_S: Final = 5.0
"""The budget is spent at most this many seconds ahead: a venue's own window is shorter than a minute."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
GEO_BLOCK_PAUSE_S: Final = 900.0
LONGEST_RETRY_AFTER_S: Final = 3600.0


class Host:
    """Connections are its own, so that a host that hangs takes none of another's; they open as they are needed.

    Pauses are in the node's clock, timeouts and the budget in the wall's. `transport` takes the place of the network
    in tests. `tap`, where a recorder listens, is told every answer under the name `source`.
    """

    def __init__(
        self,
        base_url: str,
        settings: VenueSettings,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        source: str = "",
        tap: Tap | None = None,
    ) -> None:
        self._source, self._tap = source, tap
        self._base_url = base_url.rstrip("/")
        self._timeout_s = settings.timeout_s
        self._transport = transport
        self._client: httpx2.AsyncClient | None = None
        self._budget = AsyncLimiter(max(settings.requests_per_minute * BURST_S / 60.0, 1.0), BURST_S)
        self._jitter = random.Random()  # noqa: S311 jitter, not a secret
        self._rests_until_ms = 0
        self._failures_in_a_row = 0

    def resting(self, now_ms: int) -> bool:
        return now_ms < self._rests_until_ms

    def answered(self) -> None:
        self._failures_in_a_row = 0

    def failed(self, trouble: VenueTrouble, now_ms: int) -> float | None:
        """Begin a pause; its length in seconds, or `None` where one had begun.

        Requests that were under way together fail together: they are one failure, but the longest pause that the venue
        asks for in any of them is kept.
        """
        asked_s = min(trouble.retry_after_s or 0.0, LONGEST_RETRY_AFTER_S)
        asked_s = max(asked_s, GEO_BLOCK_PAUSE_S if trouble.trouble is Trouble.GEO_BLOCKED else 0.0)
        if self.resting(now_ms):
            self._rests_until_ms = max(self._rests_until_ms, now_ms + int(asked_s * 1000))
            return None
        self._failures_in_a_row += 1
        doubled_s = FIRST_PAUSE_S * 2.0 ** min(self._failures_in_a_row - 1, 16)
        pause_s = max(asked_s, min(doubled_s, LONGEST_PAUSE_S) * self._jitter.uniform(0.5, 1.0))
        self._rests_until_ms = now_ms + int(pause_s * 1000)
        return pause_s

    async def get(
        self, path: str, params: Mapping[str, str | int], *, what: str, explained: Callable[[bytes], bool]
    ) -> bytes:
        """The body of one answer, within the budget.

        Args:
            what: the question in words, for the operator.
            explained: whether a body is an error in the venue's own words, which its parser then names.

        Raises:
            VenueTrouble: no answer in time, no connection, or a status other than 2xx that the body does not explain.
        """
        async with self._budget:
            answer, body = await self._ask(path, params, what)
        return _sound(answer, body, what, explained)

    async def post(
        self, path: str, question: Mapping[str, object], *, what: str, explained: Callable[[bytes], bool]
    ) -> bytes:
        """The same for a venue that takes its questions as JSON."""
        async with self._budget:
            answer, body = await self._ask(path, {}, what, question=question)
        return _sound(answer, body, what, explained)

    async def close(self) -> None:
        """Close all connections; the next question opens them again. Pauses and the budget are remembered."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(
        self,
        path: str,
        params: Mapping[str, str | int],
        what: str,
        *,
        question: Mapping[str, object] | None = None,
    ) -> tuple[httpx2.Response, bytes]:
        client = self._client = self._client or self._connect()
        content = None if question is None else msgspec.json.encode(question)
        asking = client.stream(
            "GET" if content is None else "POST",
            self._base_url + path,
            params=dict(params),
            content=content,
            headers=None if content is None else {"content-type": "application/json"},
        )
        try:
            async with asyncio.timeout(self._timeout_s), asking as answer:
                body = await _body(answer, what)
        except (TimeoutError, httpx2.TimeoutException):
            raise VenueTrouble(Trouble.TIMEOUT, f"{what}: no answer within {self._timeout_s:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            problem = f"{what}: {type(error).__name__} {str(error)[:80]}".rstrip()
            raise VenueTrouble(Trouble.UNREACHABLE, problem) from error
        if self._tap is not None:
            asked, url = (content or b"").decode(), str(answer.request.url)
            self._tap.hear(
                What.ANSWER, self._source, url, body, asked=asked, status=answer.status_code, headers=answer.headers
            )
        return answer, body

    def _connect(self) -> httpx2.AsyncClient:
        # Redirects are not followed: a venue's address is configuration, and nobody else's to change.
        return httpx2.AsyncClient(
            headers={"user-agent": USER_AGENT},
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            timeout=self._timeout_s,
            verify=tls(),
            transport=self._transport,
            follow_redirects=False,
        )


def _sound(answer: httpx2.Response, body: bytes, what: str, explained: Callable[[bytes], bool]) -> bytes:
    """The body, unless the status says that it is none and the body does not say why."""
    if not answer.is_success:
        problem = f"{what}: HTTP {answer.status_code}"
        if (named := named_status(answer.status_code, answer.headers, problem)) is not None:
            raise named
        if not explained(body):
            raise VenueTrouble(Trouble.BAD_STATUS, problem)
    return body


def named_status(status: int, headers: Mapping[str, str], problem: str) -> VenueTrouble | None:
    """What an HTTP status means by itself, of an answer or of a handshake; `None` where it means nothing special."""
    retry_after_s = _retry_after_s(headers.get("retry-after"), headers.get("date"))
    if status in (403, 451):
        return VenueTrouble(Trouble.GEO_BLOCKED, problem)
    if status in (418, 429):
        return VenueTrouble(Trouble.RATE_LIMITED, problem, retry_after_s=retry_after_s)
    if status >= 500:
        return VenueTrouble(Trouble.MAINTENANCE, problem, retry_after_s=retry_after_s)
    return None


@cache
def tls() -> ssl.SSLContext:
    """One for all hosts: reading the certificate store takes longer than a poll."""
    return httpx2.create_ssl_context()


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
