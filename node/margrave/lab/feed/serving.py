"""A feed on a real socket in this process, for tests and short studies. Drills run `python -m margrave.lab.feed`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn

from margrave.lab.feed.server import Feed

LOOPBACK: Final = "127.0.0.1"


@asynccontextmanager
async def serving(feed: Feed) -> AsyncIterator[str]:
    """Serve on a free port of the loopback; gives `http://127.0.0.1:PORT` and stops at the end."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        config = uvicorn.Config(
            feed.app(), log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:  # noqa: ASYNC110 uvicorn has no event for it
                await asyncio.sleep(0.005)
            yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
