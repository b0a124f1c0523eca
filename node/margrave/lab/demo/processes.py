"""The programs of a demonstration, each with its log file; whatever happens, none outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from margrave.errors import Fatal

GRACE_S: Final = 5.0


class Processes:
    """Starts programs in their own process groups and stops them, last started first, on the way out."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._stack = AsyncExitStack()
        self._running: dict[str, asyncio.subprocess.Process] = {}
        logs.mkdir(parents=True, exist_ok=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start(self, name: str, command: Sequence[str]) -> None:
        with (self._logs / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._running[name] = process
        self._stack.push_async_callback(self._stop, name)

    async def until(self, name: str, ready: Callable[[], Awaitable[bool]], *, patience_s: float) -> None:
        """Wait for a started program to be of use.

        Raises:
            Fatal: it ended, or is still not ready when patience does; with the last line it wrote.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + patience_s
        while not await ready():
            if self._running[name].returncode is not None:
                raise Fatal(f"{name} stopped: {self.last_line(name)}", advice=f"read {self._logs / name}.log")
            if loop.time() > give_up:
                raise Fatal(f"{name} is not ready after {patience_s:g} s", advice=f"read {self._logs / name}.log")
            await asyncio.sleep(0.05)

    def ended(self) -> list[str]:
        """Programs that have stopped by themselves."""
        return [name for name, process in self._running.items() if process.returncode is not None]

    def last_line(self, name: str) -> str:
        lines = (self._logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    async def _stop(self, name: str) -> None:
        process = self._running.pop(name)
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is not None:
                return
            os.killpg(process.pid, number)
            try:
                await asyncio.wait_for(process.wait(), GRACE_S)
            except TimeoutError:
                continue


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, held together while they are chosen so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
