"""Structured logs: one event, its numbers, and what the operator should do about it."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

_SECRET: Final = ("passphrase", "private_key", "secret", "token", "authorization")

Log = structlog.typing.FilteringBoundLogger


def configure(style: str, *, node: str, level: str = "info") -> None:
    """Logs go to stderr: stdout belongs to what a command prints."""
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=28)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever stderr is by then
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(node=node)
    for noisy in ("apscheduler", "httpx2", "httpcore2", "uvicorn", "web3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def get() -> Log:
    log: Log = structlog.get_logger()
    return log


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A secret that reaches a log line by mistake must not reach the disk."""
    for key in event:
        if any(word in key.lower() for word in _SECRET):
            event[key] = "[redacted]"
    return event
