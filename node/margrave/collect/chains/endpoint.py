"""One RPC endpoint as the node has come to know it: its budget, its pauses, its lag, and what its errors mean.

JSON-RPC has a dozen dialects of «too much»: `complaint` turns them into four words that decide what is done next.
Endpoints are named by their host only, because the paths of most hold a key.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from aiohttp import ClientResponseError
from aiolimiter import AsyncLimiter
from web3.types import RPCEndpoint

from margrave.chain.rpc import UNREACHABLE
from margrave.collect.host import BURST_S, FIRST_PAUSE_S, LONGEST_RETRY_AFTER_S
from margrave.collect.source import Clock, Trouble, VenueTrouble
from margrave.errors import Transient

LONGEST_PAUSE_S: Final = 120.0
LIE_PAUSE_S: Final = 300.0
"""How long an endpoint is left alone that has contradicted the others about a final block."""


class Complaint(StrEnum):
    """What an error of the JSON-RPC protocol wants done."""

    TOO_WIDE = "too_wide"  # ask for fewer blocks, or fewer reads at a time
    RATE_LIMITED = "rate_limited"
    UNKNOWN_BLOCK = "unknown_block"  # not there yet, orphaned, or pruned: another endpoint may have it
    REVERTED = "reverted"  # an answer: the contract refuses
    UNSUPPORTED = "unsupported"  # this endpoint does not know the method or the parameter
    OTHER = "other"


WORDS: Final[Sequence[tuple[Complaint, tuple[str, ...]]]] = (
    (Complaint.REVERTED, ("revert", "invalid opcode", "out of gas", "stack underflow")),
    (
        Complaint.UNKNOWN_BLOCK,
        (
            "header not found",
            "unknown block",
            "block not found",
            "could not find block",
            "missing trie node",
            "state not available",
            "state is not available",
            "not canonical",
            "not currently canonical",
            "header for hash not found",
            "no state available",
            "resource not found",
            "beyond current head",
            "after last accepted block",
        ),
    ),
    (
        Complaint.TOO_WIDE,
        (
            "too many results",
            "returned more than",
            "more than 10000",
            "response size",
            "response is too big",
            "too large",
            "block range",
            "range is too",
            "range limit",
            "limit exceeded for logs",
            "logs matched",
            "query timeout",
            "maximum block",
            "max results",
            "max block",
            "narrow your",
            "eth_getlogs is limited",
            "query exceeds",
        ),
    ),
    (
        Complaint.RATE_LIMITED,
        ("rate limit", "too many requests", "capacity", "compute units", "throughput", "quota", "credits", "throttl"),
    ),
    (Complaint.UNSUPPORTED, ("not supported", "unsupported", "method not found", "does not exist", "not available")),
)
"""Lower-case fragments of messages, the first that occurs decides. Codes do not: -32000 and -32005 stand for all."""
CODES: Final[Mapping[int, Complaint]] = {
    3: Complaint.REVERTED,
    -32601: Complaint.UNSUPPORTED,
    -32001: Complaint.UNKNOWN_BLOCK,  # EIP-1474: resource not found
    -32005: Complaint.RATE_LIMITED,  # EIP-1474: limit exceeded
    -32029: Complaint.RATE_LIMITED,
    429: Complaint.RATE_LIMITED,
}


def complaint(error: object) -> tuple[Complaint, str]:
    """What an error object wants done, and its message in short. Pure, and total: a node may send anything."""
    code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
    said = str(message)[:160]
    lowered = said.lower()
    found = next((meant for meant, words in WORDS if any(word in lowered for word in words)), None)
    if found is None and isinstance(code, int):
        found = CODES.get(code)
    return found or Complaint.OTHER, said


class RpcTrouble(VenueTrouble):
    """An endpoint gave no answer: named like a venue's, so that one gauge shows both."""


class RpcComplaint(Transient):
    """An endpoint answered with an error of the protocol."""

    def __init__(self, meant: Complaint, problem: str) -> None:
        super().__init__(problem, advice="another endpoint is asked; if all say so, check [chains] in node.toml")
        self.meant = meant


class Provider(Protocol):
    """What web3's providers do: one question, its answer as it came."""

    async def make_request(self, method: RPCEndpoint, params: Any) -> Any: ...


@dataclass(slots=True)
class Conduct:
    """How an endpoint has behaved, for gauges and `margrave check`."""

    asked: int = 0
    failures: int = 0
    complaints: int = 0
    disagreements: int = 0
    """Times it contradicted the others."""
    lag_blocks: int = 0
    trouble: Trouble | None = None
    last_error: str | None = None


class Endpoint:
    """Asks one provider, within its budget. A failure begins a pause, twice as long each time, with jitter."""

    def __init__(
        self, url: str, provider: Provider, *, clock: Clock, requests_per_minute: float, timeout_s: float
    ) -> None:
        self.name = urlsplit(url).netloc.rpartition("@")[2] or url[:40]
        self.conduct = Conduct()
        self._provider = provider
        self._clock = clock
        self._timeout_s = timeout_s
        self._budget = AsyncLimiter(max(requests_per_minute * BURST_S / 60.0, 1.0), BURST_S)
        self._jitter = random.Random()  # noqa: S311 jitter, not a secret
        self._rests_until_ms = 0
        self._failures_in_a_row = 0

    def resting(self) -> bool:
        return self._clock.now_ms() < self._rests_until_ms

    async def ask(self, method: str, params: Sequence[object]) -> object:
        """The `result` of one question; `None` where the endpoint says null.

        Raises:
            RpcTrouble: no answer in time, no connection, a bad status, or not JSON-RPC; a pause has begun.
            RpcComplaint: an error of the protocol, with what it wants done.
        """
        async with self._budget:
            self.conduct.asked += 1
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await self._provider.make_request(RPCEndpoint(method), list(params))
            except UNREACHABLE as error:
                raise self._failed(method, error) from error
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise self._trouble(Trouble.BAD_STATUS, f"{self.name} {method}: the answer is not JSON-RPC")
        if (complained := answer.get("error")) is not None:
            raise self._complains(method, complained)
        self._failures_in_a_row = 0
        self.conduct.trouble = None
        return answer.get("result")

    def contradicts(self, detail: str) -> RpcTrouble:
        """It said of a final block what the others deny: it is left alone for a while, and the operator told."""
        self.conduct.disagreements += 1
        problem = f"{self.name} contradicts the others: {detail}"
        return self._trouble(Trouble.BAD_STATUS, problem, at_least_s=LIE_PAUSE_S)

    def _complains(self, method: str, error: object) -> Transient:
        meant, said = complaint(error)
        problem = f"{self.name} {method}: {said}"
        if meant is Complaint.RATE_LIMITED:
            return self._trouble(Trouble.RATE_LIMITED, problem)
        self.conduct.complaints += 1
        self.conduct.last_error = problem
        return RpcComplaint(meant, problem)

    def _failed(self, method: str, error: BaseException) -> RpcTrouble:
        if isinstance(error, ClientResponseError):
            trouble = _STATUS.get(error.status) or (Trouble.MAINTENANCE if error.status >= 500 else Trouble.BAD_STATUS)
            after = str(error.headers.get("Retry-After", "") if error.headers else "").strip()
            asked_s = min(float(after), LONGEST_RETRY_AFTER_S) if after.isdigit() else 0.0
            return self._trouble(trouble, f"{self.name} {method}: HTTP {error.status}", at_least_s=asked_s)
        if isinstance(error, TimeoutError):
            return self._trouble(Trouble.TIMEOUT, f"{self.name} {method}: no answer within {self._timeout_s:g} s")
        # The error's own text may hold the address with its key.
        return self._trouble(Trouble.UNREACHABLE, f"{self.name} {method}: {type(error).__name__}")

    def _trouble(self, trouble: Trouble, problem: str, *, at_least_s: float = 0.0) -> RpcTrouble:
        self.conduct.failures += 1
        self.conduct.trouble = trouble
        self.conduct.last_error = problem
        self._failures_in_a_row += 1
        doubled_s = min(FIRST_PAUSE_S * 2.0 ** min(self._failures_in_a_row - 1, 16), LONGEST_PAUSE_S)
        pause_s = max(at_least_s, doubled_s * self._jitter.uniform(0.5, 1.0))
        self._rests_until_ms = max(self._rests_until_ms, self._clock.now_ms() + int(pause_s * 1000))
        return RpcTrouble(trouble, problem, retry_after_s=pause_s)


_STATUS: Final[Mapping[int, Trouble]] = {
    401: Trouble.BAD_STATUS,
    403: Trouble.GEO_BLOCKED,
    418: Trouble.RATE_LIMITED,
    429: Trouble.RATE_LIMITED,
    451: Trouble.GEO_BLOCKED,
}
