"""What a node answers over HTTP: what was signed for a round for peers, its state for operators and dashboards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from margrave.attest import wire
from margrave.attest.ballots import Ballots
from margrave.attest.pool import Pool
from margrave.ops.metrics import Metrics


def service(pool: Pool, ballots: Ballots, metrics: Metrics, status: Callable[[], Mapping[str, Any]]) -> Starlette:
    """Routes: `/v1/rounds/{round}`, `/v1/status`, `/metrics`, `/live`, `/ready` (rounds succeed)."""

    async def rounds(request: Request) -> Response:
        round_ = int(request.path_params["round"])
        attestations = pool.everything(round_)
        if not attestations:
            return JSONResponse({"error": f"no attestation for round {round_}"}, status_code=404)
        return Response(wire.encode(round_, attestations, ballots.of(round_)), media_type="application/json")

    async def show_status(_: Request) -> Response:
        return JSONResponse(status())

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    async def live(_: Request) -> Response:
        return Response("alive\n")

    async def ready(_: Request) -> Response:
        now = status()
        return JSONResponse({"ready": now["ready"], "why": now["why"]}, status_code=200 if now["ready"] else 503)

    return Starlette(
        routes=[
            Route("/v1/rounds/{round:int}", rounds),
            Route("/v1/status", show_status),
            Route("/metrics", show_metrics),
            Route("/live", live),
            Route("/ready", ready),
        ]
    )
