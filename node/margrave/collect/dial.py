"""Opening a websocket, and the names of all the ways in which one is refused or lost."""

from __future__ import annotations

from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import CloseCode

from margrave.collect.host import MAX_ANSWER_BYTES, USER_AGENT, named_status, tls
from margrave.collect.source import Trouble, VenueTrouble

MAX_FRAME_BYTES: Final = MAX_ANSWER_BYTES
"""The longest message that a venue sends (Coinbase's whole book) has some five million bytes."""
READ_AHEAD: Final = 16
"""Messages that the library holds for us before it stops reading the socket."""
PING_S: Final = 20.0
"""Between websocket pings; a connection whose far end is gone shows itself after at most twice as long."""
CLOSE_S: Final = 1.0

_CLOSED: Final = {
    CloseCode.POLICY_VIOLATION: Trouble.RATE_LIMITED,  # what venues send who have had enough of us
    CloseCode.SERVICE_RESTART: Trouble.MAINTENANCE,
    CloseCode.TRY_AGAIN_LATER: Trouble.MAINTENANCE,
}


class _Connect(connect):
    """Redirects are not followed: a venue's address is configuration, and nobody else's to change."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


async def dial(url: str, *, timeout_s: float, what: str) -> ClientConnection:
    """An open websocket. Nothing is compressed: a small frame that unpacks to a large one is work for us alone.

    Args:
        what: whose it is, for the operator.

    Raises:
        VenueTrouble: no connection in time, or a handshake that ended otherwise than with 101.
    """
    try:
        return await _Connect(
            url,
            ssl=tls() if url.startswith("wss:") else None,
            compression=None,
            user_agent_header=USER_AGENT,
            open_timeout=timeout_s,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=CLOSE_S,
            max_size=MAX_FRAME_BYTES,
            max_queue=READ_AHEAD,
        )
    except TimeoutError:
        raise VenueTrouble(Trouble.TIMEOUT, f"{what}: no websocket within {timeout_s:g} s") from None
    except InvalidStatus as error:
        answer = error.response
        problem = f"{what}: HTTP {answer.status_code} in place of a websocket"
        named = named_status(answer.status_code, answer.headers, problem)
        raise named or VenueTrouble(Trouble.BAD_STATUS, problem) from error
    except (InvalidHandshake, EOFError, ValueError) as error:
        raise VenueTrouble(Trouble.BAD_STATUS, f"{what}: no websocket there: {str(error)[:80]}") from error
    except (OSError, InvalidURI) as error:
        raise VenueTrouble(Trouble.UNREACHABLE, f"{what}: {type(error).__name__} {str(error)[:80]}") from error


def lost(closed: ConnectionClosed, what: str) -> VenueTrouble:
    """What the end of a connection means."""
    theirs, ours = closed.rcvd, closed.sent
    if ours is not None and not closed.rcvd_then_sent:
        if ours.code == CloseCode.INTERNAL_ERROR:
            return VenueTrouble(Trouble.SILENT, f"{what}: no answer to our ping within {PING_S:g} s")
        if ours.code == CloseCode.MESSAGE_TOO_BIG:
            return VenueTrouble(Trouble.GARBLED, f"{what}: a message of more than {MAX_FRAME_BYTES >> 20} MiB")
        if ours.code in (CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA):
            return VenueTrouble(Trouble.GARBLED, f"{what}: no websocket frames: {ours.reason[:60]}")
    if theirs is None:
        return VenueTrouble(Trouble.DISCONNECTED, f"{what}: the connection broke")
    trouble = _CLOSED.get(CloseCode(theirs.code) if theirs.code in set(CloseCode) else CloseCode.NORMAL_CLOSURE)
    return VenueTrouble(
        trouble or Trouble.DISCONNECTED, f"{what}: the venue closed it: {theirs.code} {theirs.reason[:60]}".rstrip()
    )
