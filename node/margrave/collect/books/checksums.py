"""What venues say of the top of their books in 32 bits, made again from ours.

Each takes the best levels of both sides as the venue wrote them, best first, and gives an unsigned CRC-32; a venue that
states it signed is compared modulo 2^32 (`agrees`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Final
from zlib import crc32

Raw = tuple[str, str]
Checksum = Callable[[Sequence[Raw], Sequence[Raw]], int]

LEVELS: Final = 25
"""The most that any of them covers a side."""
KRAKEN_LEVELS: Final = 10


def okx(bids: Sequence[Raw], asks: Sequence[Raw]) -> int:
    """OKX v5, "Checksum": bid price:bid size:ask price:ask size of 25 levels, one side alone where it is longer."""
    parts: list[str] = []
    for bid, ask in zip_longest(bids[:LEVELS], asks[:LEVELS]):
        parts.extend(bid or ())
        parts.extend(ask or ())
    return crc32(":".join(parts).encode())


def kraken(bids: Sequence[Raw], asks: Sequence[Raw]) -> int:
    """Kraken, "Book checksum": ten asks, ten bids; digits of price and size without the point and leading zeros."""
    rows = (*asks[:KRAKEN_LEVELS], *bids[:KRAKEN_LEVELS])
    return crc32("".join(_digits(price) + _digits(size) for price, size in rows).encode())


def agrees(ours: int, stated: int) -> bool:
    return (ours ^ stated) & 0xFFFFFFFF == 0


def _digits(number: str) -> str:
    return number.replace(".", "").lstrip("0")
