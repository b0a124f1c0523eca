"""One port, five venues: `/binance/api/v3/depth`, `/deribit/api/v2/public/get_index_price`, …

`/_lab/status` says what is being spoken and what time it is on the tape; `/_lab/fault/{venue}` breaks a venue;
`/_lab/lender` is a chain with a lending protocol on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from margrave.lab.feed.dialect import Question, Says
from margrave.lab.feed.faults import SKEW_MS, Fault, Faults
from margrave.lab.feed.lender import Lender
from margrave.lab.feed.tape import Tape
from margrave.lab.feed.venues import DIALECTS
from margrave.settings import MarketSettings

HANG_S: Final = 3600.0
RETRY_AFTER_S: Final = 7
MAX_CACHED: Final = 500
SLOW_PATHS: Final = ("/get_book_summary_by_currency",)
SLOW_BUCKET: Final = 10
"""A chain changes its quotes ten times more slowly than books."""


class Feed:
    """A tape spoken in five dialects. Moments are rounded down to a bucket, so that nodes share encoded answers.

    Args:
        tape: what the market was.
        markets: the venues' names for the tape's markets.
        now_ms: tape time.
        bucket_ms: tape time within which answers are the same.
    """

    def __init__(
        self, tape: Tape, markets: Mapping[str, MarketSettings], *, now_ms: Callable[[], int], bucket_ms: int = 1
    ) -> None:
        self.tape = tape
        self.faults = Faults()
        self.lender = Lender(tape)
        self.served = 0
        self._markets = markets
        self._now_ms = now_ms
        self._bucket_ms = max(bucket_ms, 1)
        self._cache: dict[tuple[str, str, str, int], tuple[int, bytes]] = {}

    def answer(self, venue: str, path: str, query: Mapping[str, str], t_ms: int) -> tuple[int, bytes]:
        """HTTP status and body of what the venue says at a moment of the tape. Pure but for the cache."""
        bucket_ms = self._bucket_ms * (SLOW_BUCKET if path.endswith(SLOW_PATHS) else 1)
        moment_ms = t_ms - t_ms % bucket_ms
        key = (venue, path, "&".join(f"{k}={v}" for k, v in sorted(query.items())), moment_ms)
        if key not in self._cache:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[key] = self._say(Question(venue, path, query, moment_ms, self.tape, self._markets))
        return self._cache[key]

    def _say(self, question: Question) -> tuple[int, bytes]:
        try:
            return 200, msgspec.json.encode(DIALECTS[question.venue](question))
        except Says as says:
            return says.status, msgspec.json.encode(says.body)

    async def serve(self, request: Request) -> Response:
        venue, path = request.path_params["venue"], "/" + request.path_params["path"]
        if venue not in DIALECTS:
            return _json(404, {"error": f"no venue {venue}"})
        self.served += 1
        fault, t_ms = self.faults.of(venue), self._now_ms()
        match fault:
            case Fault.GEO_BLOCKED:
                return _json(451, {"code": 0, "msg": "Service unavailable from a restricted location."})
            case Fault.RATE_LIMITED:
                return Response(b"{}", 429, headers={"retry-after": str(RETRY_AFTER_S)}, media_type="application/json")
            case Fault.DOWN:
                return Response(b"<html>maintenance</html>", 503, media_type="text/html")
            case Fault.HANGS:
                await asyncio.sleep(HANG_S)
            case Fault.GARBAGE:
                return Response(b"\x1f\x8b\x00not json\xff", 200, media_type="application/json")
            case Fault.EMPTY:
                return Response(b"", 200, media_type="application/json")
            case Fault.FROZEN:
                t_ms = self.faults.since_ms[venue]
            case Fault.SKEWED:
                t_ms += SKEW_MS
        status, body = self.answer(venue, path, dict(request.query_params), t_ms)
        return Response(
            body[: len(body) // 2] if fault is Fault.TRUNCATED else body, status, media_type="application/json"
        )

    async def status(self, _request: Request) -> Response:
        tape = self.tape
        return _json(
            200,
            {
                "title": tape.title,
                "source": tape.source,
                "real": tape.real,
                "generated": tape.generated,
                "start_ms": tape.start_ms,
                "end_ms": tape.end_ms,
                "now_ms": self._now_ms(),
                "markets": tape.markets,
                "faults": self.faults.by_venue,
                "served": self.served,
            },
        )

    async def fault(self, request: Request) -> Response:
        """PUT sets `?kind=`, DELETE mends."""
        venue = request.path_params["venue"]
        if venue not in DIALECTS:
            return _json(404, {"error": f"no venue {venue}"})
        kind = request.query_params.get("kind", "")
        if request.method == "DELETE":
            self.faults.set(venue, None, self._now_ms())
        elif kind in set(Fault):
            self.faults.set(venue, Fault(kind), self._now_ms())
        else:
            return _json(400, {"error": f"kind must be one of {', '.join(Fault)}"})
        return _json(200, {"faults": self.faults.by_venue})

    async def lend(self, request: Request) -> Response:
        """The lending protocol's chain, JSON-RPC."""
        self.served += 1
        try:
            asked = msgspec.json.decode(await request.body())
        except msgspec.DecodeError:
            asked = None
        now_ms = self._now_ms()
        answer = [self.lender.answer(one, now_ms) for one in asked] if isinstance(asked, list) else None
        return _json(200, self.lender.answer(asked, now_ms) if answer is None else answer)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/_lab/lender", self.lend, methods=["POST"]),
                Route("/_lab/status", self.status),
                Route("/_lab/fault/{venue}", self.fault, methods=["PUT", "DELETE"]),
                Route("/{venue}/{path:path}", self.serve),
            ]
        )


def _json(status: int, body: object) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
