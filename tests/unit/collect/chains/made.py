"""Logs and words as a contract would write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi.abi import encode as abi_encode

from margrave.collect.chains.abi import Event
from margrave.collect.chains.logs import Log, log_of

CONTRACT = "0x" + "11" * 20
SENDER = "0x" + "22" * 20
RECEIVER = "0x" + "33" * 20
ZERO = "0x" + "00" * 20
HASH = "0x" + "ab" * 32


def words(*values: int) -> str:
    """Integers as ABI words."""
    return "0x" + b"".join(value.to_bytes(32, "big", signed=value < 0) for value in values).hex()


def log(event: Event[Any] | bytes, data: str = "0x", *indexed: str, **more: object) -> Log:
    """A log of an event (or topic), its indexed arguments as hexadecimal text."""
    topic = event if isinstance(event, bytes) else event.topic
    topics = ["0x" + topic.hex(), *("0x" + value.removeprefix("0x").rjust(64, "0") for value in indexed)]
    body = {"address": CONTRACT, "topics": topics, "data": data, "blockNumber": "0x10", "logIndex": "0x1"}
    return log_of(body | {"blockHash": HASH, "transactionHash": HASH} | more)


def encoded(kinds: Sequence[str], *values: object) -> str:
    """Arguments that are not indexed, of any type."""
    return "0x" + abi_encode(kinds, values).hex()
