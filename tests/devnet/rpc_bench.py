"""A chain of the tests behind real HTTP, with the faults that only a socket has."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum, auto

from margrave.collect.chains.provider import MAX_ANSWER_BYTES
from tests.unit.collect.chains.fake import FakeNode

RETRY_AFTER_S = 90


class Fault(StrEnum):
    NONE = auto()
    HALF_OPEN = auto()  # takes the question and never answers
    CUT = auto()  # ends in the middle of the body
    HTML = auto()
    GARBLED_GZIP = auto()
    NESTED = auto()  # a hundred thousand brackets
    ENDLESS = auto()  # more than any answer may have
    BUSY = auto()  # 429 with Retry-After
    BLOCKED = auto()  # 451
    DOWN = auto()  # 503
    EXPLAINED = auto()  # 400 with an error of the protocol


@dataclass
class RpcServer:
    """One endpoint: a fake node's answers over HTTP/1.1, and how it is ill now."""

    node: FakeNode
    fault: Fault = Fault.NONE
    only: str | None = None
    """The one method that is ill; all where it is none."""
    questions: int = 0
    url: str = ""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self.url
        finally:
            server.close()
            for writer in tuple(self._open):
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
                )
                await self._answer(json.loads(await reader.readexactly(length)), writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, question: dict[str, object], writer: asyncio.StreamWriter) -> None:
        self.questions += 1
        method = str(question["method"])
        fault = self.fault if self.only in (None, method) else Fault.NONE
        match fault:
            case Fault.HALF_OPEN:
                await asyncio.sleep(3600)
            case Fault.HTML:
                await _send(writer, b"<html>hello</html>")
            case Fault.NESTED:
                await _send(writer, b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 100_000)
            case Fault.GARBLED_GZIP:
                await _send(writer, gzip.compress(b"{}")[:-9] + b"garbage", more=b"Content-Encoding: gzip\r\n")
            case Fault.ENDLESS:
                await _send(writer, b" " * (MAX_ANSWER_BYTES + 1))
            case Fault.BUSY:
                await _send(
                    writer, b"slow down", status=b"429 Too Many Requests", more=b"Retry-After: %d\r\n" % RETRY_AFTER_S
                )
            case Fault.BLOCKED:
                await _send(writer, b"", status=b"451 Unavailable For Legal Reasons")
            case Fault.DOWN:
                await _send(writer, b"", status=b"503 Service Unavailable")
            case Fault.EXPLAINED:
                error = {"code": -32602, "message": "eth_getLogs is limited to a 10 block range"}
                body = json.dumps({"jsonrpc": "2.0", "id": question["id"], "error": error}).encode()
                await _send(writer, body, status=b"400 Bad Request")
            case Fault.CUT | Fault.NONE:
                told = await self.node.make_request(method, question["params"])
                body = json.dumps(told | {"id": question["id"]}).encode()
                if fault is Fault.CUT:
                    writer.write(_head(len(body), b"200 OK", b"") + body[: len(body) // 2])
                    await writer.drain()
                    raise ConnectionError
                await _send(writer, body)


async def _send(writer: asyncio.StreamWriter, body: bytes, *, status: bytes = b"200 OK", more: bytes = b"") -> None:
    writer.write(_head(len(body), status, more) + body)
    await writer.drain()


def _head(length: int, status: bytes, more: bytes) -> bytes:
    return (
        b"HTTP/1.1 "
        + status
        + b"\r\nContent-Type: application/json\r\n"
        + more
        + b"Content-Length: %d\r\n\r\n" % length
    )
