"""Ask the other members what they signed. Reaching one node reaches all: each serves everything it verified."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx2

from margrave.attest import wire
from margrave.attest.wire import Answer
from margrave.errors import Transient


class Peers:
    """HTTP pull with one client; a peer that fails costs only its own answer."""

    def __init__(self, urls: Sequence[str], *, timeout_s: float) -> None:
        self.urls = tuple(url.rstrip("/") for url in urls)
        self._client = httpx2.AsyncClient(timeout=timeout_s, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, url: str, round_: int) -> Answer:
        """What one peer holds for a round, unverified.

        Raises:
            Transient: it does not answer, or not yet.
            Rejected: MALFORMED.
        """
        answer = await self._get(f"{url}/v1/rounds/{round_}")
        return Answer() if answer.status_code == httpx2.codes.NOT_FOUND else wire.decode(answer.content)

    async def status(self, url: str) -> dict[str, Any]:
        """A peer's `/v1/status`, as it tells it."""
        told: dict[str, Any] = (await self._get(f"{url}/v1/status")).json()
        return told

    async def _get(self, url: str) -> httpx2.Response:
        try:
            answer = await self._client.get(url)
        except httpx2.HTTPError as error:
            raise Transient(
                f"peer {url}: {type(error).__name__}", advice="ask its operator if this lasts; a quorum does without it"
            ) from error
        if answer.status_code not in (httpx2.codes.OK, httpx2.codes.NOT_FOUND):
            raise Transient(f"peer {url} answers {answer.status_code}", advice="ask its operator if this lasts")
        return answer

    async def ask_all(self, round_: int) -> dict[str, Answer | Exception]:
        """Every peer at once; an exception stands where an answer failed."""
        answers = await asyncio.gather(*(self.ask(url, round_) for url in self.urls), return_exceptions=True)
        found: dict[str, Answer | Exception] = {}
        for url, answer in zip(self.urls, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
            found[url] = answer
        return found
