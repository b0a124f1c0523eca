from __future__ import annotations

import asyncio
import json

import httpx2

from margrave.collect.host import Host
from margrave.settings import VenueSettings


def test_a_question_may_be_put_as_json() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json={"levels": []})

    async def ask() -> bytes:
        host = Host("https://x.test", VenueSettings(base_url="https://x.test"), transport=httpx2.MockTransport(answer))
        try:
            return await host.post("/info", {"type": "l2Book", "coin": "BTC"}, what="x", explained=lambda _: False)
        finally:
            await host.close()

    assert json.loads(asyncio.run(ask())) == {"levels": []}
    (request,) = asked
    assert (request.method, request.url.path) == ("POST", "/info")
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"type": "l2Book", "coin": "BTC"}
