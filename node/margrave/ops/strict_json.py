"""JSON from strangers. One attack more than a decoder refuses by itself: nesting so deep that it runs out of stack.

Decoders count recursion against Python's limit, and importing py_ecc (eth-account does) lifts that limit to 100,000 for
the whole process: 100 kB of opening brackets from a venue or a peer then end the node with a segmentation fault.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
import numpy as np

T = TypeVar("T")

MAX_NESTING: Final = 64
"""Venues nest four or five deep."""
_OPEN: Final = np.zeros(256, dtype=np.int32)
_OPEN[[ord("["), ord("{")]] = 1
_OPEN[[ord("]"), ord("}")]] = -1


def decode(payload: bytes, kind: type[T] | Any = Any) -> T | Any:
    """Strict JSON into `kind`: NaN literals and broken text are refused.

    Raises:
        msgspec.DecodeError: it is not JSON of that kind, or nests deeper than `MAX_NESTING`.
    """
    if nesting(payload) > MAX_NESTING:
        raise msgspec.DecodeError(f"JSON nests deeper than {MAX_NESTING}")
    try:
        return msgspec.json.decode(payload, type=kind)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"not UTF-8 at byte {error.start}") from error


def nesting(payload: bytes) -> int:
    """An upper bound of the depth, brackets inside strings counted too; exact only above `MAX_NESTING` brackets."""
    opened = payload.count(b"[") + payload.count(b"{")
    if opened <= MAX_NESTING:
        return opened
    return int(_OPEN[np.frombuffer(payload, dtype=np.uint8)].cumsum(dtype=np.int32).max())
